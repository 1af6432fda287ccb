"""Images: made of machines, and their disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.instances import Instance

from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("image-names", "makes two images of one name"),
    Gap("image-tags", "can not tag an image's snapshot when it makes it"),
    Gap("image-disks", "keeps nothing of the machine's disk"),
)


def fill(cloud: Cloud) -> None:
    create, deregister = AmiBackend.create_image, AmiBackend.deregister_image

    @replace(AmiBackend, "create_image")
    def create_image(self: Any, instance_id: str, name: str, description: str, tag_specifications: list[Any]) -> Ami:
        if any(ami.name == name and ami.owner_id == self.account_id for ami in self.amis.values()):
            taken = next(ami.id for ami in self.amis.values() if ami.name == name)
            raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {taken}")
        instance = self.get_instance(instance_id)
        if instance.state not in ("running", "stopped"):
            raise EC2ClientError(
                "IncorrectState", f"Instance is not in state 'running', 'stopping' or 'stopped': {instance_id}"
            )
        source = self.amis.get(instance.image_id)
        tags = {each["ResourceType"]: each["Tags"] for each in tag_specifications}
        made: Ami = create(self, instance_id, name, description, [])
        made.add_tags({tag["Key"]: tag["Value"] for tag in tags.get("image", [])})
        made.ebs_snapshot.add_tags({tag["Key"]: tag["Value"] for tag in tags.get("snapshot", [])})
        if source:
            made.root_device_name, made.boot_mode = source.root_device_name, source.boot_mode
        made.root_device_type, made.virtualization_type = "ebs", "hvm"
        if volume := _root_volume(instance, made.root_device_name):
            made.ebs_snapshot.encrypted, made.ebs_snapshot.kms_key_id = volume.encrypted, volume.kms_key_id
            made.ebs_snapshot.volume.size, made.ebs_snapshot.volume.volume_type = volume.size, volume.volume_type
        cloud.images.take(made.id, cloud.machines.tree(instance_id))
        return made

    @replace(AmiBackend, "deregister_image")
    def delete_the_tree(self: Any, ami_id: str) -> None:
        deregister(self, ami_id)
        cloud.images.delete(ami_id)

    def block_device_mappings(self: Ami) -> list[dict[str, Any]]:
        disk = self.ebs_snapshot
        return [
            {
                "DeviceName": self.root_device_name,
                "Ebs": {
                    "SnapshotId": disk.id,
                    "VolumeSize": disk.volume.size,
                    "VolumeType": disk.volume.volume_type,
                    "Encrypted": disk.encrypted,
                    "DeleteOnTermination": True,
                },
            }
        ]

    setattr(Ami, "block_device_mappings", property(block_device_mappings))  # noqa: B010 - mypy takes it for a method


def _root_volume(instance: Instance, device: str) -> Any:
    attached = instance.block_device_mapping.get(device)
    return attached and instance.ec2_backend.volumes.get(attached.volume_id)
