# ../source.pkr.hcl for Packer 1.6, which knows nothing of IMDSv2: `bluegreen bake` sets it on the finished image. Change
# both.

source "amazon-ebs" "linux" {
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
  shutdown_behavior    = "terminate" # a machine that halts before its image is taken is of no use to anybody

  temporary_security_group_source_cidrs = local.source_cidrs

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

  communicator              = "ssh"
  ssh_username              = var.ssh_username
  ssh_port                  = var.ssh_port
  ssh_interface             = var.builder_ssh_interface
  ssh_file_transfer_method  = "sftp" # newer systems have no scp
  ssh_clear_authorized_keys = true

  ami_name        = var.image_name
  ami_description = "${var.service} ${var.app_version}"
  tags            = var.tags
  snapshot_tags   = var.tags
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags
}
