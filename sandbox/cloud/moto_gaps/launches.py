"""What a launch is checked for, and what it takes from its image; moto looks for nothing that a launch names."""

from __future__ import annotations

import base64
import copy
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance
from moto.iam.models import InstanceProfile, iam_backends

from sandbox.cloud import quotas, user_data

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud


def check_launch(
    backend: Any,
    template: dict[str, Any],
    *,
    image_id: str | None = None,
    key_name: str | None = None,
    profile: dict[str, str] | None = None,
    given_user_data: Any = None,
) -> None:
    """What a launch names must be there; where the request is silent, its template speaks."""
    check_user_data(given_user_data or template.get("UserData"))
    _check_image(backend, image_id or template.get("ImageId", ""))
    key_name = key_name or template.get("KeyName")
    if key_name and key_name not in backend.key_pairs:
        raise EC2ClientError("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")
    profile = profile or template.get("IamInstanceProfile") or {}
    for key, word in (("Arn", "ARN"), ("Name", "name")):
        value = profile.get(key)
        profiles = iam_backends[backend.account_id][backend.partition].get_instance_profiles() if value else ()
        if value and value not in (it.arn if key == "Arn" else it.name for it in profiles):
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Value ({value}) for parameter iamInstanceProfile.{key.lower()} is invalid. "
                f"Invalid IAM Instance Profile {word}",
            )


def _check_image(backend: Any, image_id: str) -> None:
    (ami,) = backend.describe_images(filters={"image-id": [image_id]}) or [None]
    if ami is None:
        raise EC2ClientError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if ami.state != "available":
        raise EC2ClientError("InvalidAMIID.Unavailable", f"The image id '[{image_id}]' is no longer available")


def profile_of(instance: Instance) -> InstanceProfile | None:
    association = instance.ec2_backend.iam_instance_profile_associations.get(instance.id)
    return association.iam_instance_profile if association else None


def raw_user_data(given: Any) -> bytes:
    """moto has it in base64, as an object of its own or as text."""
    return b"" if not given else base64.b64decode(given.as_bytes() if hasattr(given, "as_bytes") else given)


def check_user_data(given: Any) -> None:
    raw = raw_user_data(given)
    if why := user_data.refusal(raw):
        raise EC2ClientError("InvalidParameterValue" if len(raw) > user_data.LIMIT else "Unsupported", why)


def check_quota(cloud: Cloud, backend: Any, instance_types: list[str]) -> None:
    wanted = sum(map(quotas.vcpus_of, instance_types))
    if refusal := quotas.refusal(cloud.vcpu_quota, backend.all_instances(), wanted):
        raise EC2ClientError("VcpuLimitExceeded", refusal)


def check_cells(cloud: Cloud) -> None:
    if obstacle := cloud.cell_obstacle:
        raise EC2ClientError(
            "Unsupported",
            f"The sandbox runs machines with a key pair in namespaces of their own, which this computer refuses: "
            f"{obstacle}. It needs Linux 5.11 or later and unprivileged user namespaces (on Ubuntu: sysctl "
            "kernel.apparmor_restrict_unprivileged_userns=0).",
        )


def with_root_of(ami: Any, devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a request leaves out of the root device comes from the image."""
    devices = copy.deepcopy(devices)
    for device in devices:
        if device["DeviceName"] == ami.root_device_name and "Ebs" in device:
            given = {key: value for key, value in device["Ebs"].items() if value is not None}
            device["Ebs"] = device["Ebs"] | {"SnapshotId": ami.ebs_snapshot.id, "DeleteOnTermination": True, **given}
    return devices
