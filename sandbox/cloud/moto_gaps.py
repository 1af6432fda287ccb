"""Everything that moto lacks or gets wrong for this sandbox, in one place. All seen in moto 5.2.5.

Each gap says what moto does; an upgrade can drop those that it fills. `fill` replaces methods of moto's classes, so it
is called once per process. The replacements run inside API calls, hence with `Cloud.lock` held.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.ec2.exceptions import DryRunClientError, EC2ClientError
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.general import General
from moto.ec2.responses.instances import InstanceResponse
from moto.elbv2.exceptions import DuplicateListenerError, ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeHealthStatus, FakeListener, FakeTargetGroup
from moto.iam.models import iam_backends
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from sandbox.cloud import quotas
from sandbox.cloud.balancers import has_sticky_targets, sticky_seconds
from sandbox.cloud.health import DRAINING, NOT_REGISTERED, Health
from sandbox.cloud.plane import PortUnavailable

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud, Drain

F = TypeVar("F", bound=Callable[..., Any])

_STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_LONGEST_STICKY_SECONDS = 7 * 24 * 60 * 60


def fill(cloud: Cloud) -> None:
    _instances(cloud)
    _consoles(cloud)
    _dry_runs()
    _quotas(cloud)
    _images(cloud)
    _groups(cloud)
    _activities(cloud)
    _targets(cloud)
    _listeners(cloud)
    _stickiness()
    _redirects()
    _security_group_rules()
    _launch_templates()


def set_state(instance: Instance, name: str) -> None:
    instance._state = InstanceState(name, _STATE_CODES[name])


def drains(group: FakeTargetGroup) -> dict[str, Drain]:
    """Targets on their way out; moto forgets them at once."""
    found: dict[str, Drain] = group.__dict__.setdefault("drains", {})
    return found


def healths(cloud: Cloud, group: FakeTargetGroup) -> list[tuple[dict[str, Any], Health]]:
    """Registered targets and draining ones, each with its health."""
    found = [
        (target, cloud.plane.health(group.arn, target["Id"], int(target["Port"]))) for target in group.targets.values()
    ]
    return found + [(drain.target, DRAINING) for drain in drains(group).values()]


def replace(owner: type, name: str) -> Callable[[F], F]:
    """A decorator: the function takes the place of a method of one of moto's classes."""

    def put(function: F) -> F:
        setattr(owner, name, function)
        return function

    return put


def _instances(cloud: Cloud) -> None:
    """moto calls an instance running, stopped or terminated at once, and looks for nothing that a launch names."""
    run_instances, answer_run_instances = InstanceBackend.run_instances, InstanceResponse.run_instances

    @replace(InstanceBackend, "run_instances")
    def launch(self: Any, image_id: str, count: int, *args: Any, **kwargs: Any) -> Any:
        template = self._get_template_from_args(kwargs["launch_template"]).data if kwargs.get("launch_template") else {}
        image_id = image_id or template.get("ImageId", "")
        _check_launch(self, template, image_id=image_id, key_name=kwargs.get("key_name"))
        if kwargs.get("key_name") or template.get("KeyName"):
            _check_cells(cloud)
        # moto says m1.small where a request is silent, and only that
        type_of_request = None if kwargs.get("is_instance_type_default") else kwargs.get("instance_type")
        instance_type = type_of_request or template.get("InstanceType") or kwargs.get("instance_type") or ""
        if not (kwargs.get("instance_market_options") or template.get("InstanceMarketOptions")):
            _check_quota(cloud, self, [instance_type] * count)
        subnet_id, zone = kwargs.get("subnet_id"), kwargs.get("placement")
        if subnet_id:
            zone = self.get_subnet(subnet_id).availability_zone
        if refusal := cloud.take_capacity(instance_type, zone, count):
            raise EC2ClientError("InsufficientInstanceCapacity", refusal)
        # moto reads neither of these from a launch template
        if not kwargs.get("metadata_options"):
            kwargs["metadata_options"] = template.get("MetadataOptions", {})
        if not kwargs.get("nics") and template.get("NetworkInterfaces"):
            kwargs["nics"] = copy.deepcopy(template["NetworkInterfaces"])
        if devices := kwargs.get("block_device_mappings") or template.get("BlockDeviceMappings"):
            kwargs["block_device_mappings"] = _with_root_of(self.describe_images([image_id])[0], devices)
        reservation = run_instances(self, image_id, count, *args, **kwargs)
        for instance in reservation.instances:
            set_state(instance, "pending")
            _give_public_address(cloud, instance)
        return reservation

    @replace(InstanceResponse, "run_instances")
    def check_and_run(self: InstanceResponse) -> ActionResult:
        """A dry run ends after these checks; moto takes it for a success in any case."""
        given = self._get_param("LaunchTemplate", {})
        template = self.ec2_backend._get_template_from_args(given).data if given else {}
        _check_launch(
            self.ec2_backend,
            template,
            image_id=self._get_param("ImageId"),
            key_name=self._get_param("KeyName"),
            profile=self._get_param("IamInstanceProfile"),
        )
        return answer_run_instances(self)

    # It asks for a size or a snapshot of every device, where AWS takes the root's from the image.
    replace(InstanceResponse, "_validate_block_device_mapping")(staticmethod(lambda device: None))

    @replace(InstanceBackend, "start_instances")
    def start_instances(self: Any, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        stopped = [it for it in self.get_multi_instances_by_id(instance_ids) if it.state == "stopped"]
        _check_quota(cloud, self, [it.instance_type for it in stopped if it.lifecycle != "spot"])
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


def _consoles(cloud: Cloud) -> None:
    """moto knows one console output for all instances, of 2006."""

    @replace(General, "get_console_output")
    def get_console_output(self: General) -> ActionResult:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        answer = {"InstanceId": instance.id, "Timestamp": datetime.now(UTC)}
        if console := cloud.machines.console(instance.id):
            text, written_at = console
            answer["Output"] = Base64EncodedString.from_encoded_bytes(base64.b64encode(text))
            answer["Timestamp"] = datetime.fromtimestamp(written_at, UTC)
        return ActionResult(answer)


def _dry_runs() -> None:
    """moto answers DryRunOperation with 400."""
    serialize = EC2BaseResponse.serialized

    @replace(EC2BaseResponse, "serialized")
    def serialized(self: EC2BaseResponse, action_result: ActionResult) -> tuple[int, Any, Any]:
        status, headers, body = serialize(self, action_result)
        is_dry = isinstance(action_result.result, DryRunClientError)
        return HTTPStatus.PRECONDITION_FAILED if is_dry else status, headers, body


def _quotas(cloud: Cloud) -> None:
    """moto has no quotas of EC2's, and lists none that are applied."""
    get, listed = ServiceQuotasBackend.get_service_quota, ServiceQuotasBackend.list_aws_default_service_quotas

    def of_ec2(backend: ServiceQuotasBackend) -> dict[str, Any]:
        return quotas.as_answer(cloud.vcpu_quota, region=backend.region_name, account=backend.account_id)

    @replace(ServiceQuotasBackend, "get_service_quota")
    def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
        if (service_code, quota_code) == ("ec2", quotas.STANDARD):
            return of_ec2(self)
        return get(self, service_code, quota_code)

    @replace(ServiceQuotasResponse, "list_service_quotas")
    def list_service_quotas(self: ServiceQuotasResponse) -> str:
        given = json.loads(self.body)
        service = str(given.get("ServiceCode"))
        found = [of_ec2(self.backend)] if service == "ec2" else listed(self.backend, service)
        code = given.get("QuotaCode")
        return json.dumps({"Quotas": [it for it in found if code in (None, it["QuotaCode"])]})


def _check_quota(cloud: Cloud, backend: Any, instance_types: list[str]) -> None:
    wanted = sum(map(quotas.vcpus_of, instance_types))
    if refusal := quotas.refusal(cloud.vcpu_quota, backend.all_instances(), wanted):
        raise EC2ClientError("VcpuLimitExceeded", refusal)


def _give_public_address(cloud: Cloud, instance: Instance) -> None:
    """Where its SSH server listens, if it has one: on the loopback network nobody is outside."""
    if instance.key_name and instance.public_ip:
        instance.nics[0].public_ip = cloud.machines.address(instance.id)


def _check_cells(cloud: Cloud) -> None:
    if obstacle := cloud.cell_obstacle:
        raise EC2ClientError(
            "Unsupported",
            f"The sandbox runs machines with a key pair in namespaces of their own, which this computer refuses: "
            f"{obstacle}. It needs Linux 5.11 or later and unprivileged user namespaces (on Ubuntu: sysctl "
            "kernel.apparmor_restrict_unprivileged_userns=0).",
        )


def _images(cloud: Cloud) -> None:
    """moto's images have no content, forget the machine's disk, and can't be tagged with their snapshots."""
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


def _check_launch(
    backend: Any,
    template: dict[str, Any],
    *,
    image_id: str | None = None,
    key_name: str | None = None,
    profile: dict[str, str] | None = None,
) -> None:
    """What a launch names must be there; where the request is silent, its template speaks."""
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


def _with_root_of(ami: Any, devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a request leaves out of the root device comes from the image."""
    devices = copy.deepcopy(devices)
    for device in devices:
        if device["DeviceName"] == ami.root_device_name and "Ebs" in device:
            given = {key: value for key, value in device["Ebs"].items() if value is not None}
            device["Ebs"] = device["Ebs"] | {"SnapshotId": ami.ebs_snapshot.id, "DeleteOnTermination": True, **given}
    return devices


def _move(backend: Any, instance_ids: list[str], moves: dict[str, str]) -> list[tuple[Instance, InstanceState]]:
    moved = []
    for instance in backend.get_multi_instances_by_id(instance_ids):
        before = copy.copy(instance._state)
        if instance.state in moves:
            set_state(instance, moves[instance.state])
        moved.append((instance, before))
    return moved


def _groups(cloud: Cloud) -> None:
    """moto launches and terminates inside the API call, without limits, zones, draining or ForceDelete."""
    create, update = AutoScalingBackend.create_auto_scaling_group, AutoScalingBackend.update_auto_scaling_group
    lookup = AutoScalingBackend.describe_auto_scaling_groups

    def find(backend: AutoScalingBackend, name: str) -> FakeAutoScalingGroup:
        for group in lookup(backend, [name]):
            return group
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")

    @replace(FakeAutoScalingGroup, "set_desired_capacity")
    def remember_desired_capacity(self: FakeAutoScalingGroup, new_capacity: int | None) -> None:
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity

    @replace(AutoScalingBackend, "create_auto_scaling_group")
    def create_group(self: AutoScalingBackend, name: str, **kwargs: Any) -> FakeAutoScalingGroup:
        if name in self.autoscaling_groups:
            raise AutoscalingClientError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        desired = kwargs["desired_capacity"] if kwargs["desired_capacity"] is not None else kwargs["min_size"]
        _check_sizes(kwargs["min_size"], desired, kwargs["max_size"])
        for arn in kwargs["target_group_arns"]:
            if arn not in self.elbv2_backend.target_groups:
                raise ValidationError(
                    "Provided Target Groups may not be valid. Please ensure they exist and try again."
                )
        grace = kwargs["health_check_period"]
        group: FakeAutoScalingGroup = create(self, name, **kwargs)
        group.health_check_grace_period = grace or 0  # moto: 300 for 0 and for none; the API's default is 0
        try:
            template = group.ec2_launch_template
            named = template.get_version(group.launch_template_version).data if template else {}
            _check_launch(self.ec2_backend, named, image_id=group.image_id)
        except EC2ClientError as fault:
            del self.autoscaling_groups[name]
            raise ValidationError(f"You must use a valid fully-formed launch template. {fault.message}") from fault
        cloud.autoscaling.note_change(group, "created an AutoScalingGroup", 0)
        return group

    @replace(AutoScalingBackend, "update_auto_scaling_group")
    def update_group(self: AutoScalingBackend, name: str, **kwargs: Any) -> FakeAutoScalingGroup:
        group = find(self, name)
        before = group.desired_capacity or 0
        low = group.min_size if kwargs["min_size"] is None else kwargs["min_size"]
        high = group.max_size if kwargs["max_size"] is None else kwargs["max_size"]
        if kwargs["desired_capacity"] is None:
            # UpdateAutoScalingGroup: new limits move the desired capacity along.
            kwargs["desired_capacity"] = min(max(before, low or 0), high or 0)
        _check_sizes(low, kwargs["desired_capacity"], high)
        update(self, name, **kwargs)
        cloud.autoscaling.note_change(
            group,
            f"update of AutoScalingGroup constraints to min: {low}, max: {high}, desired: {group.desired_capacity}",
            before,
        )
        return group

    @replace(AutoScalingBackend, "set_desired_capacity")
    def set_desired_capacity(self: AutoScalingBackend, group_name: str, desired_capacity: int) -> None:
        group = find(self, group_name)
        low, high, before = group.min_size or 0, group.max_size or 0, group.desired_capacity or 0
        if desired_capacity > high:
            raise ValidationError(
                f"New SetDesiredCapacity value {desired_capacity} is above max value {high} for the AutoScalingGroup."
            )
        if desired_capacity < low:
            raise ValidationError(
                f"New SetDesiredCapacity value {desired_capacity} is below min value {low} for the AutoScalingGroup."
            )
        group.desired_capacity = desired_capacity
        cloud.autoscaling.note_change(group, "explicitly set group desired capacity", before)

    @replace(AutoScalingResponse, "delete_auto_scaling_group")
    def delete_group(self: AutoScalingResponse) -> ActionResult:
        backend = self.autoscaling_backend
        group = find(backend, self._get_param("AutoScalingGroupName"))
        if self._get_bool_param("ForceDelete", False):
            cloud.autoscaling.delete(backend, group)
        elif group.instance_states:
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        elif cloud.autoscaling.has_activity_under_way(group):
            raise AutoscalingClientError(
                "ScalingActivityInProgress",
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
            )
        else:
            cloud.autoscaling.forget(backend, group)
        for name, policy in list(backend.policies.items()):
            if policy.auto_scaling_group_name == group.name:
                del backend.policies[name]  # moto leaves them behind
        return EmptyResult()

    # The rounds register instances with target groups when they are in service.
    replace(AutoScalingBackend, "update_attached_target_groups")(lambda self, group_name: None)


def _check_sizes(low: int | None, desired: int | None, high: int | None) -> None:
    low, high = low or 0, high or 0
    if low > high:
        raise ValidationError(f"Min bound, {low}, must be less than or equal to max bound, {high}")
    if desired is not None and not low <= desired <= high:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
        )


def _activities(cloud: Cloud) -> None:
    """moto has no scaling activities, and forgets an instance that a group is asked to terminate."""

    @replace(AutoScalingResponse, "describe_scaling_activities")
    def describe_scaling_activities(self: AutoScalingResponse) -> ActionResult:
        found = cloud.autoscaling.activities(
            self.autoscaling_backend,
            self._get_param("AutoScalingGroupName"),
            self._get_param("ActivityIds", []) or [],
        )
        start = int(self._get_param("NextToken") or 0)
        end = start + (self._get_int_param("MaxRecords") or 100)
        return ActionResult({"Activities": found[start:end], "NextToken": str(end) if end < len(found) else None})

    @replace(AutoScalingResponse, "terminate_instance_in_auto_scaling_group")
    def terminate_instance(self: AutoScalingResponse) -> ActionResult:
        instance_id = self._get_param("InstanceId")
        decrements = self._get_bool_param("ShouldDecrementDesiredCapacity", False)
        for group in self.autoscaling_backend.autoscaling_groups.values():
            for state in group.instance_states:
                if state.instance_id != instance_id:
                    continue
                if decrements and (group.desired_capacity or 0) <= (group.min_size or 0):
                    raise ValidationError(
                        f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without "
                        "replacement will violate group's min size constraint. Either set "
                        "shouldDecrementDesiredCapacity flag to false or lower group's min size."
                    )
                if decrements:
                    group.desired_capacity = (group.desired_capacity or 0) - 1
                activity = cloud.autoscaling.terminate(
                    group, state, f"Instance {instance_id} was taken out of service in response to a user request."
                )
                return ActionResult({"Activity": activity.as_answer()})
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance_id}")


def _targets(cloud: Cloud) -> None:
    """moto calls every target healthy, drops a deregistered one at once, and refuses to deregister a stranger."""
    register = FakeTargetGroup.register

    @replace(FakeTargetGroup, "register")
    def register_again(self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
        register(self, targets)
        for target in targets:
            drains(self).pop(target["Id"], None)

    @replace(FakeTargetGroup, "deregister")
    def deregister(self: FakeTargetGroup, targets: list[dict[str, Any]]) -> None:
        from sandbox.cloud.cloud import Drain

        delay = float(str(self.attributes["deregistration_delay.timeout_seconds"]))
        for target in targets:
            if known := self.targets.pop(target["Id"], None):
                drains(self)[target["Id"]] = Drain(known, monotonic() + delay)

    @replace(ELBv2Backend, "describe_target_health")
    def describe_target_health(
        self: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]
    ) -> list[FakeHealthStatus]:
        (group,) = self.describe_target_groups(None, [target_group_arn], None)
        known = healths(cloud, group)
        if targets:
            by_id = {target["Id"]: (target, health) for target, health in known}
            known = [by_id.get(it["Id"], ({"Port": group.port, **it}, NOT_REGISTERED)) for it in targets]
        return [
            FakeHealthStatus(
                target["Id"],
                target["Port"],
                str(target["Port"]) if group.health_check_port == "traffic-port" else group.health_check_port,
                health.state,
                health.reason,
                health.description,
            )
            for target, health in known
        ]


def _listeners(cloud: Cloud) -> None:
    """moto's load balancers have no address, and two listeners of one may have the same port."""
    create_balancer, delete_balancer = ELBv2Backend.create_load_balancer, ELBv2Backend.delete_load_balancer
    create, modify = ELBv2Backend.create_listener, ELBv2Backend.modify_listener

    @replace(ELBv2Backend, "create_load_balancer")
    def create_load_balancer(self: ELBv2Backend, name: str, *args: Any, **kwargs: Any) -> Any:
        if any(balancer.name == name for balancer in self.load_balancers.values()):
            raise ELBClientError("DuplicateLoadBalancerName", f"A load balancer with the same name '{name}' exists")
        balancer = create_balancer(self, name, *args, **kwargs)
        balancer.dns_name = cloud.loopback.for_balancer()
        return balancer

    @replace(ELBv2Backend, "delete_load_balancer")
    def delete_load_balancer(self: ELBv2Backend, arn: str) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        delete_balancer(self, arn)

    @replace(ELBv2Backend, "create_listener")
    def create_listener(self: ELBv2Backend, load_balancer_arn: str, *args: Any, **kwargs: Any) -> FakeListener:
        listener: FakeListener = create(self, load_balancer_arn, *args, **kwargs)
        siblings = self.load_balancers[load_balancer_arn].listeners
        if any(it is not listener and int(it.port) == int(listener.port) for it in siblings.values()):
            del siblings[listener.arn]
            raise DuplicateListenerError()
        try:
            cloud.publish()
        except PortUnavailable as fault:
            del siblings[listener.arn]
            raise ELBClientError("InvalidConfigurationRequest", str(fault)) from fault
        return listener

    @replace(ELBv2Backend, "modify_listener")
    def modify_listener(self: ELBv2Backend, arn: str, *args: Any, **kwargs: Any) -> FakeListener:
        (listener,) = self.describe_listeners(None, [arn])
        before, actions = dict(vars(listener)), listener._default_rule[0].actions
        modify(self, arn, *args, **kwargs)
        try:
            cloud.publish()
        except PortUnavailable as fault:
            vars(listener).update(before)
            listener._default_rule[0].actions = actions
            raise ELBClientError("InvalidConfigurationRequest", str(fault)) from fault
        return listener


def _stickiness() -> None:
    """moto takes any mix of stickiness, and no action of ModifyListener is looked at."""
    validate, modify = ELBv2Backend._validate_actions, ELBv2Backend.modify_listener
    modify_attributes = ELBv2Backend.modify_target_group_attributes

    @replace(ELBv2Backend, "_validate_actions")
    def validate_actions(self: ELBv2Backend, actions: list[FakeAction]) -> None:
        validate(self, actions)
        for config in _forward_configs(actions):
            seconds = sticky_seconds(config)
            if seconds is not None and not 1 <= seconds <= _LONGEST_STICKY_SECONDS:
                raise ELBClientError(
                    "ValidationError",
                    f"Target group stickiness duration must be between 1 and {_LONGEST_STICKY_SECONDS} seconds",
                )
            if any(has_sticky_targets(self.target_groups[arn]) for arn in _roaming(config)):
                raise ELBClientError(
                    "InvalidLoadBalancerAction",
                    "You must enable target group stickiness on the rule if you enabled target stickiness on one of "
                    "its target groups.",
                )

    @replace(ELBv2Backend, "modify_listener")
    def modify_listener(self: ELBv2Backend, arn: str, *args: Any, **kwargs: Any) -> FakeListener:
        actions = kwargs.get("actions") or (args[4] if len(args) > 4 else [])
        self._validate_actions([FakeAction(action) for action in actions or []])
        return modify(self, arn, *args, **kwargs)

    @replace(ELBv2Backend, "modify_target_group_attributes")
    def modify_target_group_attributes(self: ELBv2Backend, arn: str, attributes: dict[str, Any]) -> None:
        group = self.target_groups.get(arn)
        before = dict(group.attributes) if group else {}
        modify_attributes(self, arn, attributes)
        assert group  # or moto would have refused
        if not has_sticky_targets(group):
            return
        refusal = None
        if group.attributes.get("stickiness.type") == "app_cookie":
            refusal = "The sandbox has no stickiness by an application's cookie. Take the type lb_cookie."
        elif rule := next((rule for rule, config in _rules(self) if arn in _roaming(config)), None):
            refusal = (
                f"This target group appears behind a rule with group stickiness disabled ({rule}). "
                "You must enable group stickiness before enabling target stickiness"
            )
        if refusal:
            group.attributes = before
            raise ELBClientError("InvalidConfigurationRequest", refusal)


def _redirects() -> None:
    """moto takes a redirect to where the request was."""
    validate = ELBv2Backend._validate_actions
    same = {"Protocol": "#{protocol}", "Host": "#{host}", "Port": "#{port}", "Path": "/#{path}"}

    @replace(ELBv2Backend, "_validate_actions")
    def validate_actions(self: ELBv2Backend, actions: list[FakeAction]) -> None:
        validate(self, actions)
        for action in actions:
            config = action.data.get("RedirectConfig")
            if config and all(config.get(key) in (None, value) for key, value in same.items()):
                raise ELBClientError(
                    "InvalidLoadBalancerAction",
                    "The redirect configuration is not valid because it creates a loop.",
                )


def _rules(backend: ELBv2Backend) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule that forwards, a listener's default among them: its ARN and its ForwardConfig."""
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            for rule in listener.rules.values():
                yield from ((rule.arn, config) for config in _forward_configs(rule.actions))


def _forward_configs(actions: list[FakeAction]) -> list[dict[str, Any]]:
    return [action.data["ForwardConfig"] for action in actions if action.data.get("ForwardConfig")]


def _roaming(config: dict[str, Any]) -> set[str]:
    """The target groups between which an action lets a client go to and fro."""
    groups = {group["TargetGroupArn"] for group in config.get("TargetGroups", [])}
    return groups if len(groups) > 1 and sticky_seconds(config) is None else set()


def _security_group_rules() -> None:
    """moto drops the description of a rule whose source is a group, until the rule is modified."""

    def description(self: SecurityGroupRule) -> str | None:
        text: str | None = self.ip_range.get("Description") or self.source_group.get("Description")
        return text

    setattr(SecurityGroupRule, "description", property(description))  # noqa: B010 - mypy takes it for a method


def _launch_templates() -> None:
    """moto puts the tags of the template itself among those that the template gives to what it launches."""
    create = LaunchTemplateBackend.create_launch_template

    @replace(LaunchTemplateBackend, "create_launch_template")
    def create_launch_template(self: Any, name: str, description: str, data: dict[str, Any], *args: Any) -> Any:
        specifications = data.get("TagSpecifications") or []
        kept = [each for each in specifications if each["ResourceType"] != "launch-template"]
        rest = {key: value for key, value in data.items() if key != "TagSpecifications"}
        return create(self, name, description, rest | ({"TagSpecifications": kept} if kept else {}), *args)
