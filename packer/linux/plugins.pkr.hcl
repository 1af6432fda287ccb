# For `packer init`. Packer 1.6 brings its builders along and does not know this block, so it is not given this file.

packer {
  required_version = ">= 1.7.0"
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.1"
    }
  }
}
