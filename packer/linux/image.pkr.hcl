# A Linux image: the inputs, and what is done on the machine. How the machine is launched: source.pkr.hcl.
# `bluegreen bake` gives every variable that has no default; README.md says how to build without it.

# What is baked.

variable "region" {
  type        = string
  description = "Where the image is made. Other regions get copies."
}

variable "service" {
  type        = string
  description = "The service that the image is of."
}

variable "app_version" {
  type        = string
  description = "The version of the artifact. The app finds it in APP_VERSION."
}

variable "commit" {
  type        = string
  description = "The commit that the artifact was built from."
}

variable "artifact_url" {
  type        = string
  sensitive   = true # a presigned URL is a credential
  description = "Where the machine fetches the artifact, a tar.gz, from: an https URL."
}

variable "artifact_sha256" {
  type        = string
  description = "What the artifact's SHA-256 has to be."
}

variable "app_port" {
  type        = number
  default     = 8080
  description = "The port that the app listens on while it is checked."
}

variable "app_health_path" {
  type        = string
  default     = "/health"
  description = "What the app has to answer with 200 before its image is taken."
}

variable "app_health_seconds" {
  type        = number
  default     = 60
  description = "How long the app may take until it is healthy."
}

# What it is baked from.

variable "base_image_id" {
  type        = string
  default     = ""
  description = "The image to start from. Empty: the newest that base_image_name and base_image_owner find."
}

variable "base_image_name" {
  type        = string
  default     = ""
  description = "A pattern for the name of the base image, such as debian-12-amd64-*."
}

variable "base_image_owner" {
  type        = string
  default     = ""
  description = "The account that owns the base image. Anybody can publish an image of any name."
}

variable "ssh_username" {
  type        = string
  description = "The base image's user: admin on Debian, ubuntu on Ubuntu, ec2-user on Amazon Linux."
}

variable "root_device" {
  type        = string
  default     = "/dev/xvda"
  description = "The root device of the base image. Another name would add a second volume."
}

variable "volume_gb" {
  type        = number
  default     = 8
  description = "The size of the root volume, at least that of the base image."
}

variable "kms_key_id" {
  type        = string
  default     = ""
  description = "The key that encrypts the volume. Empty: the account's default key for EBS, which can't be shared."
}

variable "consul_url" {
  type        = string
  default     = ""
  description = "A release of Consul, a zip: its agent is on the image, or its server. Empty: neither."
}

variable "consul_sha256" {
  type        = string
  default     = ""
  description = "The SHA-256 of that zip, from HashiCorp's signed list."
}

variable "playbook" {
  type        = string
  default     = "deploy.yml"
  description = "What runs after bootstrap.yml: deploy.yml for the app, consul.yml for a Consul server."
}

# Where it is baked. These change nothing in the image.

variable "builder_instance_type" {
  type        = string
  default     = "t3.small"
  description = "The type of the machine, of the base image's architecture."
}

variable "builder_vpc_id" {
  type        = string
  default     = ""
  description = "The VPC of the machine. Empty: the one of the subnet, else the default VPC."
}

variable "builder_subnet_id" {
  type        = string
  default     = ""
  description = "The subnet of the machine. Empty: one of the default VPC."
}

variable "builder_source_cidrs" {
  type        = list(string)
  default     = []
  description = "Who may connect to the machine: the address that this runs from."
}

variable "builder_instance_profile" {
  type        = string
  default     = ""
  description = "The machine's instance profile. Session Manager needs one with AmazonSSMManagedInstanceCore."
}

variable "builder_ssh_interface" {
  type        = string
  default     = ""
  description = "How the machine is reached: public_ip, private_ip or session_manager. Empty: public if there is one."
}

variable "builder_ec2_endpoint" {
  type        = string
  default     = env("AWS_ENDPOINT_URL") # Packer 1.6 does not read it by itself
  description = "An EC2 API other than the region's."
}

variable "ssh_port" {
  type        = number
  default     = 22
  description = "The port that the machine's SSH server listens on."
}

# What it is called, and where things are.

variable "image_name" {
  type        = string
  description = "The name of the image, unique in the account and region."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of the image and its snapshots."
}

variable "run_tags" {
  type        = map(string)
  default     = {}
  description = "Tags of the machine and its volumes."
}

variable "ansible_directory" {
  type        = string
  default     = "ansible"
  description = "The playbooks and roles."
}

variable "scripts_directory" {
  type        = string
  default     = "packer/scripts"
  description = "What the shell provisioner runs."
}

variable "manifest" {
  type        = string
  default     = "packer/manifest.json"
  description = "The file that says which image came out."
}

locals {
  # Packer's own default is everybody. With no address given, nobody can connect.
  source_cidrs = length(var.builder_source_cidrs) > 0 ? var.builder_source_cidrs : ["127.0.0.1/32"]
}

build {
  sources = ["source.amazon-ebs.linux"]

  provisioner "file" {
    source      = abspath(var.ansible_directory) # without a slash at the end: the directory itself
    destination = "/tmp"
  }

  # As environment_vars, not in a file: nothing on the machine's disk has the artifact's URL.
  provisioner "shell" {
    script = "${var.scripts_directory}/provision.sh"
    environment_vars = [
      "PLAYBOOKS=/tmp/${basename(var.ansible_directory)}",
      "APP_VERSION=${var.app_version}",
      "APP_PORT=${var.app_port}",
      "APP_HEALTH_PATH=${var.app_health_path}",
      "APP_HEALTH_SECONDS=${var.app_health_seconds}",
      "ARTIFACT_URL=${var.artifact_url}",
      "ARTIFACT_SHA256=${var.artifact_sha256}",
      "CONSUL_URL=${var.consul_url}",
      "CONSUL_SHA256=${var.consul_sha256}",
      "PLAYBOOK=${var.playbook}",
    ]
  }

  post-processor "manifest" {
    output     = var.manifest
    strip_path = true
    custom_data = {
      service         = var.service
      app_version     = var.app_version
      commit          = var.commit
      artifact_sha256 = var.artifact_sha256
      base_image      = var.base_image_id
    }
  }
}
