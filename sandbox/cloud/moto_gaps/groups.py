"""Auto Scaling groups: made, changed and deleted; the rounds in autoscaling.py do the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.iam.models import iam_backends

from bluegreen.model.encryption import AUTO_SCALING_ROLE
from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.launches import check_launch
from sandbox.cloud.weights import weights_in

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("group-launches", "launches and terminates inside the API call, without draining"),
    Gap("capacity-limits", "takes a desired capacity outside the group's limits"),
    Gap("grace-period", "makes a grace period of none 300 seconds, where the API's default is 0"),
    Gap("force-delete", "deletes a group with instances without ForceDelete"),
    Gap("policies-left", "leaves the policies of a deleted group behind"),
    Gap("auto-scaling-role", "makes groups without the role by which Auto Scaling launches machines"),
    Gap("mixed-policy", "forgets a group's mixed instances policy at any update that doesn't name it"),
    Gap("weights", "takes weights of any size, of some types only, and tells none of an instance"),
    Gap("maintenance-policy", "forgets a group's instance maintenance policy"),
)


def fill(cloud: Cloud) -> None:
    create, update = AutoScalingBackend.create_auto_scaling_group, AutoScalingBackend.update_auto_scaling_group

    for action in ("create_auto_scaling_group", "update_auto_scaling_group"):
        _keep_maintenance_policy(action)

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
        _check_weights(kwargs.get("mixed_instances_policy"))
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
            check_launch(self.ec2_backend, named, image_id=group.image_id)
        except EC2ClientError as fault:
            del self.autoscaling_groups[name]
            raise ValidationError(f"You must use a valid fully-formed launch template. {fault.message}") from fault
        _make_role(self)
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
        _check_weights(kwargs.get("mixed_instances_policy"))
        if not kwargs.get("mixed_instances_policy") and not kwargs.get("launch_template"):
            kwargs["mixed_instances_policy"] = _kept(group.mixed_instances_policy)
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
        elif group.instance_states or cloud.autoscaling.warm_pool(group):
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

    def weighted_capacity(self: InstanceState) -> str | None:
        of_types = weights_in(self.auto_scaling_group.mixed_instances_policy)
        return str(of_types[self.instance_type]) if self.instance_type in of_types else None

    InstanceState.weighted_capacity = property(weighted_capacity)  # type: ignore[attr-defined]

    # The rounds register instances with target groups when they are in service.
    replace(AutoScalingBackend, "update_attached_target_groups")(lambda self, group_name: None)


def _make_role(backend: AutoScalingBackend) -> None:
    """With an account's first group comes Auto Scaling's service-linked role."""
    iam = iam_backends[backend.account_id][backend.partition]
    if not any(role.name == AUTO_SCALING_ROLE for role in iam.get_roles()):
        iam.create_service_linked_role("autoscaling.amazonaws.com", "", "")


def _keep_maintenance_policy(action: str) -> None:
    act = getattr(AutoScalingResponse, action)

    @replace(AutoScalingResponse, action)
    def keep(self: AutoScalingResponse) -> ActionResult:
        policy = self._get_param("InstanceMaintenancePolicy")
        answer: ActionResult = act(self)
        if policy:
            group: Any = find(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
            is_taken_away = -1 in policy.values()
            group.instance_maintenance_policy = None if is_taken_away else policy
        return answer


def _kept(policy: dict[str, Any] | None) -> dict[str, Any] | None:
    """moto has put the template's name beside its id, and takes one of the two."""
    if not policy:
        return None
    spec = policy["LaunchTemplate"]["LaunchTemplateSpecification"]
    spec = {key: value for key, value in spec.items() if key != "LaunchTemplateName"}
    return policy | {"LaunchTemplate": policy["LaunchTemplate"] | {"LaunchTemplateSpecification": spec}}


def _check_weights(policy: dict[str, Any] | None) -> None:
    overrides = policy["LaunchTemplate"].get("Overrides") or [] if policy else []
    given = [str(each["WeightedCapacity"]) for each in overrides if each.get("WeightedCapacity") is not None]
    if given and len(given) < len(overrides):
        raise ValidationError("WeightedCapacity must be specified for all instance types or for none of them.")
    if wrong := [each for each in given if not each.isdecimal() or not 1 <= int(each) <= 999]:
        raise ValidationError(f"WeightedCapacity must be a number from 1 to 999, and is {wrong[0]}.")


def find(backend: AutoScalingBackend, name: str) -> FakeAutoScalingGroup:
    for group in backend.describe_auto_scaling_groups([name]):
        return group
    raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")


def _check_sizes(low: int | None, desired: int | None, high: int | None) -> None:
    low, high = low or 0, high or 0
    if low > high:
        raise ValidationError(f"Min bound, {low}, must be less than or equal to max bound, {high}")
    if desired is not None and not low <= desired <= high:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
        )
