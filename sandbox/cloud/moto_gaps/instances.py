"""Instances: their states, and what a launch takes from its template."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import AutoScalingBackend
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.utils import parse_user_data
from moto.elbv2.models import ELBv2Backend

from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.launches import check_cells, check_launch, check_quota, with_root_of

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

_STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

GAPS = (
    Gap("instance-states", "calls an instance running, stopped or terminated as soon as it is asked to"),
    Gap("root-device", "wants a size or a snapshot of every block device, the image's root too"),
    Gap("template-metadata", "does not read the metadata options of a launch template"),
    Gap("template-profile", "does not give an instance the instance profile of its launch template"),
    Gap("template-interfaces", "does not read the network interfaces of a launch template"),
    Gap("termination-protection", "terminates an instance that is protected from it"),
    Gap("launch-names", "looks for no key pair or instance profile that a launch names, nor does a dry run"),
    Gap("user-data-size", "takes user data of any size"),
)


def fill(cloud: Cloud) -> None:
    run_instances, answer_run_instances = InstanceBackend.run_instances, InstanceResponse.run_instances

    @replace(InstanceBackend, "run_instances")
    def launch(self: Any, image_id: str, count: int, *args: Any, **kwargs: Any) -> Any:
        template = self._get_template_from_args(kwargs["launch_template"]).data if kwargs.get("launch_template") else {}
        image_id = image_id or template.get("ImageId", "")
        check_launch(self, template, image_id=image_id, key_name=kwargs.get("key_name"))
        if kwargs.get("key_name") or template.get("KeyName"):
            check_cells(cloud)
        # moto says m1.small where a request is silent, and only that
        type_of_request = None if kwargs.get("is_instance_type_default") else kwargs.get("instance_type")
        instance_type = type_of_request or template.get("InstanceType") or kwargs.get("instance_type") or ""
        if not (kwargs.get("instance_market_options") or template.get("InstanceMarketOptions")):
            check_quota(cloud, self, [instance_type] * count)
        subnet_id, zone = kwargs.get("subnet_id"), kwargs.get("placement")
        if subnet_id:
            zone = self.get_subnet(subnet_id).availability_zone
        if refusal := cloud.take_capacity(instance_type, zone, count):
            raise EC2ClientError("InsufficientInstanceCapacity", refusal)
        # moto reads none of these from a launch template
        if not kwargs.get("metadata_options"):
            kwargs["metadata_options"] = template.get("MetadataOptions", {})
        if not kwargs.get("nics") and template.get("NetworkInterfaces"):
            kwargs["nics"] = copy.deepcopy(template["NetworkInterfaces"])
        if devices := kwargs.get("block_device_mappings") or template.get("BlockDeviceMappings"):
            kwargs["block_device_mappings"] = with_root_of(self.describe_images([image_id])[0], devices)
        reservation = run_instances(self, image_id, count, *args, **kwargs)
        for instance in reservation.instances:
            set_state(instance, "pending")
            _give_public_address(cloud, instance)
            if not kwargs.get("iam_instance_profile_name") and not kwargs.get("iam_instance_profile_arn"):
                _give_profile(self, instance, template.get("IamInstanceProfile") or {})
        return reservation

    @replace(InstanceResponse, "run_instances")
    def check_and_run(self: InstanceResponse) -> ActionResult:
        """A dry run ends after these checks; moto takes it for a success in any case."""
        given = self._get_param("LaunchTemplate", {})
        template = self.ec2_backend._get_template_from_args(given).data if given else {}
        check_launch(
            self.ec2_backend,
            template,
            image_id=self._get_param("ImageId"),
            key_name=self._get_param("KeyName"),
            profile=self._get_param("IamInstanceProfile"),
            given_user_data=parse_user_data(self._get_param("UserData")),
        )
        return answer_run_instances(self)

    # It asks for a size or a snapshot of every device, where AWS takes the root's from the image.
    replace(InstanceResponse, "_validate_block_device_mapping")(staticmethod(lambda device: None))

    @replace(InstanceBackend, "start_instances")
    def start_instances(self: Any, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        stopped = [it for it in self.get_multi_instances_by_id(instance_ids) if it.state == "stopped"]
        check_quota(cloud, self, [it.instance_type for it in stopped if it.lifecycle != "spot"])
        moved = _move(self, instance_ids, {"stopped": "pending"})
        for instance, _ in moved:
            instance.nics[0].check_auto_public_ip()
            _give_public_address(cloud, instance)
        return moved

    @replace(InstanceBackend, "stop_instances")
    def stop_instances(self: Any, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        return _move(self, instance_ids, {"pending": "stopping", "running": "stopping"})

    @replace(InstanceBackend, "terminate_instances")
    def terminate_instances(self: Any, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        for instance in self.get_multi_instances_by_id(instance_ids):
            if instance.disable_api_termination:
                raise EC2ClientError(
                    "OperationNotPermitted",
                    f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiTermination' instance "
                    "attribute and try again.",
                )
        alive = ("pending", "running", "stopping", "stopped")
        return _move(self, instance_ids, dict.fromkeys(alive, "shutting-down"))

    # moto's response for TerminateInstances drops the instances from their groups by itself; the rounds do it properly.
    for backend in (AutoScalingBackend, ELBv2Backend):
        replace(backend, "notify_terminate_instances")(lambda self, instance_ids: None)


def set_state(instance: Instance, name: str) -> None:
    instance._state = InstanceState(name, _STATE_CODES[name])


def _give_profile(backend: Any, instance: Instance, profile: dict[str, str]) -> None:
    if profile:
        backend.associate_iam_instance_profile(instance.id, profile.get("Name"), profile.get("Arn"))


def _give_public_address(cloud: Cloud, instance: Instance) -> None:
    """Where its SSH server listens, if it has one: on the loopback network nobody is outside."""
    if instance.key_name and instance.public_ip:
        instance.nics[0].public_ip = cloud.machines.address(instance.id)


def _move(backend: Any, instance_ids: list[str], moves: dict[str, str]) -> list[tuple[Instance, InstanceState]]:
    moved = []
    for instance in backend.get_multi_instances_by_id(instance_ids):
        before = copy.copy(instance._state)
        if instance.state in moves:
            set_state(instance, moves[instance.state])
        moved.append((instance, before))
    return moved
