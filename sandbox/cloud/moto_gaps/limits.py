"""Sizes: of names, tags, priorities, weights and thresholds.

Sources: the API references of EC2 (CreateTags, CreateLaunchTemplate), Elastic Load Balancing (CreateLoadBalancer,
CreateRule, TargetGroupTuple, CreateTargetGroup) and Auto Scaling (CreateAutoScalingGroup); "Quotas for your Application
Load Balancers".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidLaunchTemplateIdNotFound
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.responses.tags import TagResponse
from moto.elbv2.exceptions import ELBClientError, TooManyTagsError
from moto.elbv2.models import ELBv2Backend, FakeAction

from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.groups import find

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("tag-sizes", "takes EC2's tags of any size, and of AWS's own prefix"),
    Gap("tags-of-balancers", "allows 10 tags on what is Elastic Load Balancing's, and more at once"),
    Gap("balancer-names", "takes any name for a load balancer"),
    Gap("rule-priorities", "takes any priority of a rule"),
    Gap("groups-per-action", "forwards to any number of target groups, with any weights"),
    Gap("thresholds", "takes any threshold of a health check"),
    Gap("template-names", "takes any name for a launch template"),
    Gap("template-ids", "calls a launch template that is not there by the wrong error"),
    Gap("group-names", "takes any name for an Auto Scaling group"),
    Gap("policies-of-nobody", "gives scaling policies to groups that are not there"),
)

TAGS, GROUPS_PER_ACTION = 50, 5
_PRIORITIES, _WEIGHTS, _THRESHOLDS = range(1, 50_000 + 1), range(999 + 1), range(2, 10 + 1)


def fill(cloud: Cloud) -> None:
    _of_ec2()
    _of_load_balancing()
    _of_auto_scaling()


def _of_ec2() -> None:
    create_tags, create_template = TagResponse.create_tags, LaunchTemplateBackend.create_launch_template
    delete_template = LaunchTemplateBackend.delete_launch_template

    @replace(TagResponse, "create_tags")
    def create_small_tags(self: TagResponse) -> ActionResult:
        for tag in self._get_param("Tags", []):
            if why := _fault_of_tag(tag["Key"], tag.get("Value") or ""):
                raise EC2ClientError("InvalidParameterValue", why)
        return create_tags(self)

    @replace(LaunchTemplateBackend, "create_launch_template")
    def create_named_template(self: Any, name: str, *args: Any) -> Any:
        if not re.fullmatch(r"[a-zA-Z0-9().\-/_]{3,128}", name):
            raise EC2ClientError(
                "InvalidLaunchTemplateName.MalformedException",
                "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and "
                "the following characters: - ( ) . / _.",
            )
        return create_template(self, name, *args)

    @replace(LaunchTemplateBackend, "delete_launch_template")
    def delete_known_template(self: Any, name: str, tid: str | None) -> Any:
        if tid and tid not in self.launch_templates:
            raise InvalidLaunchTemplateIdNotFound(tid)
        return delete_template(self, name, tid)


def _fault_of_tag(key: str, value: str) -> str | None:
    if key.lower().startswith("aws:"):
        return "Tag keys starting with 'aws:' are reserved for internal use"
    if not 1 <= len(key) <= 128:
        return "Tag key exceeds the maximum length of 128 characters"
    return "Tag value exceeds the maximum length of 256 characters" if len(value) > 256 else None


def _of_load_balancing() -> None:
    create_balancer, create_rule = ELBv2Backend.create_load_balancer, ELBv2Backend.create_rule
    validate, create_group = ELBv2Backend._validate_actions, ELBv2Backend.create_target_group
    modify_group = ELBv2Backend.modify_target_group

    @replace(ELBv2Backend, "create_load_balancer")
    def create_named_balancer(self: ELBv2Backend, name: str, *args: Any, **kwargs: Any) -> Any:
        if len(name) > 32:
            raise _refusal(f"The load balancer name '{name}' cannot be longer than '32' characters")
        if not re.fullmatch(r"(?!-)[a-zA-Z0-9-]+(?<!-)", name):
            raise _refusal(
                f"The load balancer name '{name}' can only contain characters that are alphanumeric characters and "
                "hyphens(-), and must not begin or end with a hyphen"
            )
        if name.startswith("internal-"):
            raise _refusal(f"The load balancer name '{name}' cannot begin with 'internal-'")
        return create_balancer(self, name, *args, **kwargs)

    @replace(ELBv2Backend, "create_rule")
    def create_rule_of_priority(
        self: ELBv2Backend, listener_arn: str, conditions: Any, priority: int, actions: Any, tags: Any = None
    ) -> Any:
        _within("priority", priority, _PRIORITIES)
        return create_rule(self, listener_arn, conditions, priority, actions, tags)

    @replace(ELBv2Backend, "_validate_actions")
    def validate_few(self: ELBv2Backend, actions: list[FakeAction]) -> None:
        for action in actions:
            groups = (action.data.get("ForwardConfig") or {}).get("TargetGroups", [])
            for group in groups:
                _within("weight", int(group.get("Weight", 1)), _WEIGHTS)
            if len(groups) > GROUPS_PER_ACTION:
                raise ELBClientError(
                    "TooManyTargetGroups", f"The maximum number of target groups of an action is {GROUPS_PER_ACTION}"
                )
        validate(self, actions)

    @replace(ELBv2Backend, "create_target_group")
    def create_group_of_thresholds(self: ELBv2Backend, name: str, **kwargs: Any) -> Any:
        _check_thresholds(kwargs)
        return create_group(self, name, **kwargs)

    @replace(ELBv2Backend, "modify_target_group")
    def modify_group_of_thresholds(self: ELBv2Backend, arn: str, *args: Any, **kwargs: Any) -> Any:
        names = ("healthy_threshold_count", "unhealthy_threshold_count")
        _check_thresholds(kwargs | dict(zip(names, args[5:7], strict=False)))
        return modify_group(self, arn, *args, **kwargs)

    @replace(ELBv2Backend, "add_tags")
    def add_tags(self: ELBv2Backend, resource_arns: list[str], tags: list[dict[str, str]]) -> None:
        given = self.tagging_service.flatten_tag_list(tags)
        for arn in resource_arns:
            self._get_resource_by_arn(arn)
            if len(self.tagging_service.get_tag_dict_for_resource(arn).keys() | given.keys()) > TAGS:
                raise TooManyTagsError()
        for arn in resource_arns:
            self.tagging_service.tag_resource(arn, tags)


def _check_thresholds(given: dict[str, Any]) -> None:
    for key in ("healthy_threshold_count", "unhealthy_threshold_count"):
        if given.get(key) is not None:
            _within(re.sub("_(.)", lambda match: match[1].upper(), key), int(given[key]), _THRESHOLDS)


def _of_auto_scaling() -> None:
    create_group: Any = AutoScalingBackend.create_auto_scaling_group
    put_policy: Any = AutoScalingBackend.put_scaling_policy

    @replace(AutoScalingBackend, "create_auto_scaling_group")
    def create_named_group(self: AutoScalingBackend, name: str, **kwargs: Any) -> Any:
        if not re.fullmatch(r"[^:\x00-\x1f\x7f]{1,255}", name):
            raise ValidationError(
                f"1 validation error detected: Value '{name}' at 'autoScalingGroupName' failed to satisfy constraint: "
                "Member must have length less than or equal to 255, and no colons"
            )
        return create_group(self, name, **kwargs)

    @replace(AutoScalingBackend, "put_scaling_policy")
    def put_policy_of_group(self: AutoScalingBackend, *args: Any, **kwargs: Any) -> Any:
        find(self, kwargs["as_name"])
        return put_policy(self, *args, **kwargs)


def _within(what: str, value: int, limits: range) -> None:
    if value in limits:
        return
    bound = f"less than or equal to {limits[-1]}" if value > limits[-1] else f"greater than or equal to {limits[0]}"
    raise _refusal(
        f"1 validation error detected: Value '{value}' at '{what}' failed to satisfy constraint: Member must have "
        f"value {bound}"
    )


def _refusal(message: str) -> ELBClientError:
    return ELBClientError("ValidationError", message)
