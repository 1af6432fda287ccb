# ../source.pkr.hcl for Packer 1.6, which knows nothing of IMDSv2: `bluegreen bake` sets it on the finished image. Change
# both.

source "amazon-ebs" "windows" {
  region              = var.region
  custom_endpoint_ec2 = var.builder_ec2_endpoint

  source_ami = var.base_image_id
  dynamic "source_ami_filter" {
    for_each = var.base_image_id == "" ? [var.base_image_name] : []
    content {
      filters = {
        name                = source_ami_filter.value
        root-device-type    = "ebs"
        virtualization-type = "hvm"
      }
      owners      = [var.base_image_owner]
      most_recent = true
    }
  }

  instance_type        = var.builder_instance_type
  vpc_id               = var.builder_vpc_id
  subnet_id            = var.builder_subnet_id
  iam_instance_profile = var.builder_instance_profile

  temporary_security_group_source_cidrs = local.source_cidrs

  disable_stop_instance = true # Sysprep shuts it down

  launch_block_device_mappings {
    device_name           = var.root_device
    volume_type           = "gp3"
    volume_size           = var.volume_gb
    iops                  = 3000 # this and 125 MiB/s are what gp3 has anyway: Packer 1.6 wants it said
    throughput            = 125
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true
  }

  # The self-signed certificate is the machine's own, and nobody else can reach it.
  communicator   = "winrm"
  winrm_username = "Administrator"
  winrm_use_ssl  = true
  winrm_use_ntlm = true # Basic would have to be allowed first
  winrm_insecure = true
  winrm_timeout  = "15m"
  user_data_file = "${var.scripts_directory}/windows-user-data.ps1"

  ami_name        = var.image_name
  ami_description = "${var.service} ${var.app_version}"
  tags            = var.tags
  snapshot_tags   = var.tags
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags
}
