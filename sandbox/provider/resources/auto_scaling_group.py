"""Auto Scaling groups: how they wait for capacity, and how they drain before they go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, absent_group, doing, first, without_none
from sandbox.provider.table import (
    Kind,
    ResourceType,
    arn,
    block,
    blocks,
    boolean,
    integer,
    names,
    output,
    text,
    text_list,
    text_set,
)
from sandbox.provider.wire import Props

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_DURATION: Final = re.compile(r"0|((\d+(\.\d+)?)(ms|h|m|s))+")


def parse_duration(duration: str) -> float:
    """Go's notation -> seconds: 10m, 1h30m, 0."""
    return sum(float(size) * _UNITS[unit] for size, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", duration))


# property -> argument of Create- and UpdateAutoScalingGroup, and member of its description
_PLAIN: Final = {
    "minSize": "MinSize",
    "maxSize": "MaxSize",
    "desiredCapacity": "DesiredCapacity",
    "desiredCapacityType": "DesiredCapacityType",
    "defaultCooldown": "DefaultCooldown",
    "defaultInstanceWarmup": "DefaultInstanceWarmup",
    "healthCheckGracePeriod": "HealthCheckGracePeriod",
    "healthCheckType": "HealthCheckType",
    "capacityRebalance": "CapacityRebalance",
    "maxInstanceLifetime": "MaxInstanceLifetime",
    "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
    "terminationPolicies": "TerminationPolicies",
    "serviceLinkedRoleArn": "ServiceLinkedRoleARN",
    "context": "Context",
}
_MAINTENANCE: Final = {"minHealthyPercentage": "MinHealthyPercentage", "maxHealthyPercentage": "MaxHealthyPercentage"}


def _template(news: Props) -> dict[str, Any]:
    spec = news["launchTemplate"]
    return without_none(
        LaunchTemplateId=spec.get("id"), LaunchTemplateName=spec.get("name"), Version=spec.get("version")
    )


def _shape(news: Props) -> dict[str, Any]:
    """What Create and Update have in common."""
    asked = {argument: news[name] for name, argument in _PLAIN.items() if name in news}
    if "vpcZoneIdentifiers" in news:
        asked["VPCZoneIdentifier"] = ",".join(news["vpcZoneIdentifiers"])
    if "launchTemplate" in news:
        asked["LaunchTemplate"] = _template(news)
    if policy := news.get("instanceMaintenancePolicy"):
        asked["InstanceMaintenancePolicy"] = {argument: policy[name] for name, argument in _MAINTENANCE.items()}
    return asked


def _group_tags(group: str, tags: list[Props]) -> list[dict[str, Any]]:
    return [
        {
            "ResourceId": group,
            "ResourceType": "auto-scaling-group",
            "Key": tag["key"],
            "Value": tag["value"],
            "PropagateAtLaunch": tag["propagateAtLaunch"],
        }
        for tag in tags
    ]


def _create_group(aws: Aws, news: Props) -> str:
    group = str(news["name"])
    with doing(aws.autoscaling, f"creating Auto Scaling Group ({group})"):
        optional: dict[str, Any] = {}
        if arns := news.get("targetGroupArns"):
            optional["TargetGroupARNs"] = arns
        if tags := news.get("tags"):
            optional["Tags"] = _group_tags(group, tags)
        aws.autoscaling.create_auto_scaling_group(AutoScalingGroupName=group, **_shape(news), **optional)
    return group


def _settle_group(aws: Aws, group: str, news: Props) -> None:
    with doing(aws.autoscaling, f"suspending Auto Scaling Group ({group}) scaling processes"):
        if suspended := news.get("suspendedProcesses"):
            aws.autoscaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=suspended)
    with doing(aws.autoscaling, f"enabling Auto Scaling Group ({group}) metrics collection"):
        if metrics := news.get("enabledMetrics"):
            granularity = news["metricsGranularity"]
            aws.autoscaling.enable_metrics_collection(
                AutoScalingGroupName=group, Metrics=metrics, Granularity=granularity
            )
    _wait_for_capacity(aws, group, news)


def _describe_group(aws: Aws, group: str) -> Any:
    answer = aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    return first(answer["AutoScalingGroups"])


def _wait_for_capacity(aws: Aws, group: str, news: Props) -> None:
    """For instances in service; for healthy targets only where the program asked for a number of them."""
    timeout = parse_duration(news["waitForCapacityTimeout"])
    if timeout == 0:
        return
    wanted = news.get("desiredCapacity") or news["minSize"]
    wanted_at_balancer = news.get("waitForElbCapacity") or news.get("minElbCapacity") or 0
    exactly = bool(news.get("waitForElbCapacity"))

    def state() -> str:
        found = _describe_group(aws, group)
        if found is None:
            return "deleted"
        ready = [i for i in found["Instances"] if (i["HealthStatus"], i["LifecycleState"]) == ("Healthy", "InService")]
        if len(ready) < wanted:
            return f"want at least {wanted} healthy instance(s) in Auto Scaling Group, have {len(ready)}"
        if wanted_at_balancer:
            at_balancer = _healthy_targets(aws, found["TargetGroupARNs"], {i["InstanceId"] for i in ready})
            if at_balancer < wanted_at_balancer or (exactly and at_balancer != wanted_at_balancer):
                want = f"want {'exactly' if exactly else 'at least'} {wanted_at_balancer}"
                return f"{want} healthy instance(s) registered to Load Balancer, have {at_balancer}"
        return "ok"

    what = f"Auto Scaling Group ({group}) capacity satisfied"
    with doing(aws.autoscaling, f"waiting for {what}"):
        aws.wait(what, "ok", state, timeout=timeout, failing=("deleted",))


def _healthy_targets(aws: Aws, groups: list[str], instances: set[str]) -> int:
    healthy = [
        {
            line["Target"]["Id"]
            for line in aws.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
            if line["TargetHealth"]["State"] == "healthy"
        }
        for group in groups
    ]
    return len(instances.intersection(*healthy)) if healthy else 0


def _read_group(aws: Aws, group: str, known: Props) -> Props | None:
    with doing(aws.autoscaling, f"reading Auto Scaling Group ({group})"):
        found = _describe_group(aws, group)
    if found is None:
        return None
    template = found.get("LaunchTemplate")
    policy = found.get("InstanceMaintenancePolicy")
    metrics = found.get("EnabledMetrics", [])
    return {
        **{name: found.get(member) for name, member in _PLAIN.items()},
        "arn": found["AutoScalingGroupARN"],
        "name": group,
        "availabilityZones": sorted(found["AvailabilityZones"]),
        "vpcZoneIdentifiers": [zone for zone in found.get("VPCZoneIdentifier", "").split(",") if zone],
        "targetGroupArns": found.get("TargetGroupARNs", []),
        "launchTemplate": template
        and {
            "id": template["LaunchTemplateId"],
            "name": template["LaunchTemplateName"],
            # Without a version AWS takes $Default and says so; the state says what the program said.
            "version": template.get("Version") if "version" in known.get("launchTemplate", {}) else "$Default",
        },
        "instanceMaintenancePolicy": policy and {name: policy[member] for name, member in _MAINTENANCE.items()},
        "suspendedProcesses": [process["ProcessName"] for process in found.get("SuspendedProcesses", [])],
        "enabledMetrics": [metric["Metric"] for metric in metrics],
        "metricsGranularity": metrics[0]["Granularity"] if metrics else known.get("metricsGranularity"),
        "predictedCapacity": found.get("PredictedCapacity", 0),
        "warmPoolSize": found.get("WarmPoolSize", 0),
        "tags": [
            {"key": tag["Key"], "value": tag["Value"], "propagateAtLaunch": tag["PropagateAtLaunch"]}
            for tag in found.get("Tags", [])
        ],
    }


def _update_group(aws: Aws, group: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    asked = _shape({name: news[name] for name in changed if name in news})
    with doing(aws.autoscaling, f"updating Auto Scaling Group ({group})"):
        if asked:
            aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, **asked)
    if "tags" in changed:
        _update_tags(aws, group, olds.get("tags", []), news.get("tags", []))
    if "targetGroupArns" in changed:
        _update_target_groups(aws, group, set(olds.get("targetGroupArns", [])), set(news["targetGroupArns"]))
    if "suspendedProcesses" in changed:
        before, after = set(olds.get("suspendedProcesses", [])), set(news.get("suspendedProcesses", []))
        with doing(aws.autoscaling, f"updating Auto Scaling Group ({group}) scaling processes"):
            if before - after:
                aws.autoscaling.resume_processes(AutoScalingGroupName=group, ScalingProcesses=sorted(before - after))
            if after - before:
                aws.autoscaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=sorted(after - before))
    if changed & {"minSize", "desiredCapacity", "waitForElbCapacity", "minElbCapacity"}:
        _wait_for_capacity(aws, group, news)


def _update_tags(aws: Aws, group: str, olds: list[Props], news: list[Props]) -> None:
    kept = {tag["key"] for tag in news}
    with doing(aws.autoscaling, f"updating Auto Scaling Group ({group}) tags"):
        if gone := [tag for tag in olds if tag["key"] not in kept]:
            aws.autoscaling.delete_tags(Tags=_group_tags(group, gone))
        if wanted := [tag for tag in news if tag not in olds]:
            aws.autoscaling.create_or_update_tags(Tags=_group_tags(group, wanted))


def _update_target_groups(aws: Aws, group: str, olds: set[str], news: set[str]) -> None:
    with doing(aws.autoscaling, f"updating Auto Scaling Group ({group}) target groups"):
        if gone := sorted(olds - news):
            aws.autoscaling.detach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=gone)
        if added := sorted(news - olds):
            aws.autoscaling.attach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=added)


def _delete_group(aws: Aws, group: str, olds: Props) -> None:
    timeout = aws.timeout(10 * MINUTE)
    force = bool(olds.get("forceDelete"))
    autoscaling = aws.autoscaling
    with doing(autoscaling, f"deleting Auto Scaling Group ({group})"):
        found = _describe_group(aws, group)
        if found is None:
            return
        if not force:
            _drain(aws, group, found, timeout)
        call = partial(autoscaling.delete_auto_scaling_group, AutoScalingGroupName=group, ForceDelete=force)
        what = f"Auto Scaling Group ({group}) delete"
        with absent_group():
            aws.retry(what, ("ResourceInUse", "ScalingActivityInProgress"), call, timeout=timeout)
        state = lambda: "deleting" if _describe_group(aws, group) else "deleted"  # noqa: E731
        aws.wait(what, "deleted", state, timeout=timeout)


def _drain(aws: Aws, group: str, found: Mapping[str, Any], timeout: float) -> None:
    with absent_group():
        aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, MinSize=0, MaxSize=0, DesiredCapacity=0)
        protected = [i["InstanceId"] for i in found["Instances"] if i.get("ProtectedFromScaleIn")]
        if protected:
            aws.autoscaling.set_instance_protection(
                AutoScalingGroupName=group, InstanceIds=protected, ProtectedFromScaleIn=False
            )

    def state() -> str:
        left = _describe_group(aws, group)
        return str(len(left["Instances"])) if left else "0"

    aws.wait(f"Auto Scaling Group ({group}) drain", "0", state, timeout=timeout)


GROUP = ResourceType(
    token="aws:autoscaling/group:Group",
    properties={
        "name": text(
            computed=True, replaces=True, pattern=re.compile(r".{1,255}"), pattern_reason="must be 1 to 255 characters"
        ),
        "minSize": integer(required=True, at_least=0),
        "maxSize": integer(required=True, at_least=0),
        "desiredCapacity": integer(computed=True, at_least=0),
        "desiredCapacityType": text(choices=("units", "vcpu", "memory-mib"), only=("units",)),
        "vpcZoneIdentifiers": text_set(required=True),
        "launchTemplate": block(
            {
                "id": text(
                    computed=True,
                    conflicts_with=("name",),
                    pattern=re.compile(r"lt-[a-z0-9]+"),
                    pattern_reason="must begin with 'lt-' and contain only lowercase alphanumeric characters",
                ),
                "name": text(computed=True),
                "version": text(computed=True),
            },
            required=True,
        ),
        "targetGroupArns": text_set(computed=True),
        "healthCheckType": text(computed=True),
        "healthCheckGracePeriod": integer(default=300),
        "defaultCooldown": integer(computed=True),
        "defaultInstanceWarmup": integer(),
        "capacityRebalance": boolean(),
        "context": text(),
        "maxInstanceLifetime": integer(),
        "protectFromScaleIn": boolean(default=False),
        "terminationPolicies": text_list(computed=True),
        "suspendedProcesses": text_set(),
        "enabledMetrics": text_set(),
        "metricsGranularity": text(default="1Minute", choices=("1Minute",)),
        "serviceLinkedRoleArn": arn(computed=True),
        "instanceMaintenancePolicy": block(
            {
                "minHealthyPercentage": integer(required=True, at_least=-1, at_most=100),
                "maxHealthyPercentage": integer(required=True, at_least=-1, at_most=200),
            }
        ),
        "minElbCapacity": integer(),
        "waitForElbCapacity": integer(),
        "waitForCapacityTimeout": text(
            default="10m", pattern=_DURATION, pattern_reason="cannot be parsed as a duration"
        ),
        "ignoreFailedScalingActivities": boolean(default=False),
        "forceDelete": boolean(default=False),
        "forceDeleteWarmPool": boolean(default=False),
        "tags": blocks(
            {"key": text(required=True), "value": text(required=True), "propagateAtLaunch": boolean(required=True)},
            ordered=False,
        ),
        "arn": output(),
        "availabilityZones": output(Kind.SET),
        "predictedCapacity": output(Kind.INTEGER),
        "warmPoolSize": output(Kind.INTEGER),
    },
    refused=names(
        "availabilityZoneDistribution availabilityZones capacityReservationSpecification "
        "initialLifecycleHooks instanceLifecyclePolicy instanceRefresh launchConfiguration loadBalancers "
        "mixedInstancesPolicy namePrefix placementGroup trafficSources warmPool"
    ),
    name_limit=255,
    create=_create_group,
    settle=_settle_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
)
