"""Auto Scaling groups: how they wait for capacity, and how they drain before they go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from sandbox.provider.aws import MINUTE, Aws, OperationFailed, absent_group, doing, first, without_none
from sandbox.provider.table import (
    Kind,
    ResourceType,
    arn,
    block,
    blocks,
    boolean,
    exactly_one_of,
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


_HOOK: Final = {
    "name": "LifecycleHookName",
    "lifecycleTransition": "LifecycleTransition",
    "heartbeatTimeout": "HeartbeatTimeout",
    "defaultResult": "DefaultResult",
}


_PREFERENCES: Final = {
    "minHealthyPercentage": "MinHealthyPercentage",
    "maxHealthyPercentage": "MaxHealthyPercentage",
    "instanceWarmup": "InstanceWarmup",
    "skipMatching": "SkipMatching",
}


def _template(news: Props) -> dict[str, Any]:
    spec = news["launchTemplate"]
    return without_none(
        LaunchTemplateId=spec.get("id"), LaunchTemplateName=spec.get("name"), Version=spec.get("version")
    )


_DISTRIBUTION: Final = {
    "onDemandAllocationStrategy": "OnDemandAllocationStrategy",
    "onDemandBaseCapacity": "OnDemandBaseCapacity",
    "onDemandPercentageAboveBaseCapacity": "OnDemandPercentageAboveBaseCapacity",
    "spotAllocationStrategy": "SpotAllocationStrategy",
}


def _mixed(policy: Props) -> dict[str, Any]:
    spec = policy["launchTemplate"]["launchTemplateSpecification"]
    template = {"LaunchTemplateId": spec["launchTemplateId"], "Version": spec.get("version", "$Default")}
    overrides = [
        without_none(InstanceType=each["instanceType"], WeightedCapacity=each.get("weightedCapacity"))
        for each in policy["launchTemplate"].get("overrides", [])
    ]
    distribution = policy.get("instancesDistribution", {})
    return {
        "LaunchTemplate": {"LaunchTemplateSpecification": template, "Overrides": overrides},
        "InstancesDistribution": {_DISTRIBUTION[name]: value for name, value in distribution.items()},
    }


def _mixed_state(policy: Mapping[str, Any]) -> Props:
    template, distribution = policy["LaunchTemplate"], policy["InstancesDistribution"]
    spec = template["LaunchTemplateSpecification"]
    return {
        "launchTemplate": {
            "launchTemplateSpecification": {
                "launchTemplateId": spec["LaunchTemplateId"],
                "launchTemplateName": spec.get("LaunchTemplateName"),
                "version": spec.get("Version", "$Default"),
            },
            "overrides": [
                without_none(instanceType=each["InstanceType"], weightedCapacity=each.get("WeightedCapacity"))
                for each in template.get("Overrides", [])
            ],
        },
        "instancesDistribution": {name: distribution.get(member) for name, member in _DISTRIBUTION.items()}
        | {"onDemandAllocationStrategy": distribution.get("OnDemandAllocationStrategy", "prioritized")},
    }


def _shape(news: Props) -> dict[str, Any]:
    """What Create and Update have in common."""
    asked = {argument: news[name] for name, argument in _PLAIN.items() if name in news}
    if "vpcZoneIdentifiers" in news:
        asked["VPCZoneIdentifier"] = ",".join(news["vpcZoneIdentifiers"])
    if "launchTemplate" in news:
        asked["LaunchTemplate"] = _template(news)
    if policy := news.get("mixedInstancesPolicy"):
        asked["MixedInstancesPolicy"] = _mixed(policy)
    if policy := news.get("instanceMaintenancePolicy"):
        asked["InstanceMaintenancePolicy"] = {argument: policy[name] for name, argument in _MAINTENANCE.items()}
    return asked


_NO_LIMIT: Final = -1


def _keep_warm(aws: Aws, group: str, pool: Props, doing_what: str) -> None:
    """A `minSize` of 0 is not sent (hashicorp/terraform-provider-aws#44732): what AWS has of it stays."""
    asked: dict[str, Any] = {
        "MaxGroupPreparedCapacity": pool.get("maxGroupPreparedCapacity", _NO_LIMIT),
        "PoolState": pool.get("poolState", "Stopped"),
    }
    if pool.get("minSize"):
        asked["MinSize"] = pool["minSize"]
    if policy := pool.get("instanceReusePolicy"):
        asked["InstanceReusePolicy"] = {"ReuseOnScaleIn": policy.get("reuseOnScaleIn", False)}
    with doing(aws.autoscaling, f"{doing_what} Auto Scaling Warm Pool ({group})"):
        aws.autoscaling.put_warm_pool(AutoScalingGroupName=group, **asked)


def _delete_warm_pool(aws: Aws, group: str, *, force: bool, timeout: float) -> None:
    autoscaling = aws.autoscaling
    find = partial(autoscaling.describe_warm_pool, AutoScalingGroupName=group)
    if not force:
        what = f"Auto Scaling Warm Pool ({group}) drain"
        with doing(autoscaling, f"setting Auto Scaling Warm Pool ({group}) capacity to 0"):
            autoscaling.put_warm_pool(AutoScalingGroupName=group, MaxGroupPreparedCapacity=0, MinSize=0)
        with doing(autoscaling, f"waiting for {what}"):
            aws.wait(what, "0", lambda: str(len(find()["Instances"])), timeout=timeout)
    call = partial(autoscaling.delete_warm_pool, AutoScalingGroupName=group, ForceDelete=force)
    what = f"Auto Scaling Warm Pool ({group}) delete"
    with doing(autoscaling, f"deleting Auto Scaling Warm Pool ({group})"):
        try:
            aws.retry(what, ("ResourceInUse", "ScalingActivityInProgress"), call, timeout=timeout)
        except ClientError as error:
            if "No warm pool found" not in str(error):
                raise
            return
    state = lambda: find().get("WarmPoolConfiguration", {}).get("Status") or "deleted"  # noqa: E731
    with doing(autoscaling, f"waiting for {what}"):
        aws.wait(what, "deleted", state, timeout=timeout)


def _warm_pool_state(pool: Mapping[str, Any]) -> Props:
    policy = pool.get("InstanceReusePolicy")
    return {
        "poolState": pool.get("PoolState"),
        "minSize": pool.get("MinSize"),
        "maxGroupPreparedCapacity": pool.get("MaxGroupPreparedCapacity", _NO_LIMIT),
        "instanceReusePolicy": policy and {"reuseOnScaleIn": policy.get("ReuseOnScaleIn")},
    }


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
        if hooks := news.get("initialLifecycleHooks"):
            optional["LifecycleHookSpecificationList"] = [
                {argument: hook[name] for name, argument in _HOOK.items() if name in hook} for hook in hooks
            ]
        aws.autoscaling.create_auto_scaling_group(AutoScalingGroupName=group, **_shape(news), **optional)
    return group


def _settle_group(aws: Aws, group: str, news: Props) -> None:
    wanted = news.get("desiredCapacity") or news["minSize"]
    at_balancer = news.get("waitForElbCapacity") or news.get("minElbCapacity") or 0

    def lacks(in_group: int, in_balancer: int) -> str | None:
        if in_group < wanted:
            return f"want at least {wanted} healthy instance(s) in Auto Scaling Group, have {in_group}"
        if in_balancer < at_balancer:
            return f"want at least {at_balancer} healthy instance(s) registered to Load Balancer, have {in_balancer}"
        return None

    _wait_for_capacity(aws, group, news, lacks)
    with doing(aws.autoscaling, f"suspending Auto Scaling Group ({group}) scaling processes"):
        if suspended := news.get("suspendedProcesses"):
            aws.autoscaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=suspended)
    with doing(aws.autoscaling, f"enabling Auto Scaling Group ({group}) metrics collection"):
        if metrics := news.get("enabledMetrics"):
            granularity = news["metricsGranularity"]
            aws.autoscaling.enable_metrics_collection(
                AutoScalingGroupName=group, Metrics=metrics, Granularity=granularity
            )
    if pool := news.get("warmPool"):
        _keep_warm(aws, group, pool, "creating")


def _describe_group(aws: Aws, group: str) -> Any:
    answer = aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    return first(answer["AutoScalingGroups"])


def _wait_for_capacity(aws: Aws, group: str, news: Props, lacks: Callable[[int, int], str | None]) -> None:
    """Until nothing lacks, or a scaling activity has failed since. `lacks` is told how many instances are in service,
    by their weights, and how many of them the load balancer has nothing against."""
    timeout = parse_duration(news["waitForCapacityTimeout"])
    if timeout == 0:
        return
    since = datetime.now(UTC)
    what = f"Auto Scaling Group ({group}) capacity satisfied"

    def state() -> str:
        if not news.get("ignoreFailedScalingActivities") and (failed := _failed_activities(aws, group, since)):
            raise OperationFailed(f"waiting for {what}: " + "\n".join(failed))
        found = _describe_group(aws, group)
        if found is None:
            return "deleted"
        ready = {
            each["InstanceId"]: int(each.get("WeightedCapacity") or 1)
            for each in found["Instances"]
            if (each["HealthStatus"], each["LifecycleState"]) == ("Healthy", "InService")
        }
        unhealthy = _unhealthy_targets(aws, found["TargetGroupARNs"])
        return lacks(sum(ready.values()), sum(ready[each] for each in ready.keys() - unhealthy)) or "ok"

    with doing(aws.autoscaling, f"waiting for {what}"):
        aws.wait(what, "ok", state, timeout=timeout, failing=("deleted",))


def _failed_activities(aws: Aws, group: str, since: datetime) -> list[str]:
    answer = aws.autoscaling.describe_scaling_activities(AutoScalingGroupName=group)
    return [
        f"scaling activity ({each['ActivityId']}): {each['StatusCode']}: {each.get('StatusMessage', '')}"
        for each in answer["Activities"]
        if each["StatusCode"] == "Failed" and each.get("Progress") == 100 and each["StartTime"] > since
    ]


def _unhealthy_targets(aws: Aws, groups: list[str]) -> set[str]:
    """Those that are registered and not healthy: one that isn't registered yet doesn't count as unhealthy."""
    return {
        line["Target"]["Id"]
        for group in groups
        for line in aws.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        if line["TargetHealth"]["State"] != "healthy"
    }


def _read_group(aws: Aws, group: str, known: Props) -> Props | None:
    with doing(aws.autoscaling, f"reading Auto Scaling Group ({group})"):
        found = _describe_group(aws, group)
    if found is None:
        return None
    template = found.get("LaunchTemplate")
    policy = found.get("InstanceMaintenancePolicy")
    metrics = found.get("EnabledMetrics", [])
    mixed = found.get("MixedInstancesPolicy")
    policies = found.get("TerminationPolicies", [])
    pool = found.get("WarmPoolConfiguration")
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
        "mixedInstancesPolicy": mixed and _mixed_state(mixed),
        "instanceMaintenancePolicy": policy and {name: policy[member] for name, member in _MAINTENANCE.items()},
        "suspendedProcesses": [process["ProcessName"] for process in found.get("SuspendedProcesses", [])],
        "enabledMetrics": [metric["Metric"] for metric in metrics],
        "metricsGranularity": metrics[0]["Granularity"] if metrics else "1Minute",
        "terminationPolicies": policies if policies != ["Default"] or known.get("terminationPolicies") else None,
        "predictedCapacity": found.get("PredictedCapacity", 0),
        "warmPool": pool and _warm_pool_state(pool),
        "warmPoolSize": found.get("WarmPoolSize", 0),
        "tags": [
            {"key": tag["Key"], "value": tag["Value"], "propagateAtLaunch": tag["PropagateAtLaunch"]}
            for tag in found.get("Tags", [])
        ],
    }


# what an argument that the program drops is set back to
_DROPPED: Final = {
    "capacityRebalance": False,
    "context": "",
    "defaultInstanceWarmup": 0,
    "maxInstanceLifetime": 0,
    "terminationPolicies": ["Default"],
}


def _update_group(aws: Aws, group: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    asked = _shape({name: news.get(name, _DROPPED.get(name)) for name in changed if name in {*news, *_DROPPED}})
    if "healthCheckType" in changed:
        asked |= _shape({"healthCheckGracePeriod": news["healthCheckGracePeriod"]})
    with doing(aws.autoscaling, f"updating Auto Scaling Group ({group})"):
        if asked:
            aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, **asked)
    if "tags" in changed:
        _update_tags(aws, group, olds.get("tags", []), news.get("tags", []))
    if "targetGroupArns" in changed:
        _update_target_groups(aws, group, set(olds.get("targetGroupArns", [])), set(news["targetGroupArns"]))
    if "instanceRefresh" in news and "launchTemplate" in changed:
        _refresh(aws, group, news)
    if "warmPool" in changed and (pool := news.get("warmPool")):
        _keep_warm(aws, group, pool, "updating")
    elif "warmPool" in changed:
        force = bool(news.get("forceDelete") or news.get("forceDeleteWarmPool"))
        _delete_warm_pool(aws, group, force=force, timeout=aws.timeout(10 * MINUTE))
    if changed & {"minSize", "desiredCapacity"}:
        _wait_for_changed_capacity(aws, group, {**olds, **news})
    if "enabledMetrics" in changed:
        _update_metrics(aws, group, olds, news)
    if "suspendedProcesses" in changed:
        _update_processes(aws, group, olds, news)


def _refresh(aws: Aws, group: str, news: Props) -> None:
    """The real provider doesn't wait for it, and gives up one that is under way."""
    spec = news["instanceRefresh"]
    preferences = {
        argument: int(spec["preferences"][name]) if name == "instanceWarmup" else spec["preferences"][name]
        for name, argument in _PREFERENCES.items()
        if name in spec.get("preferences", {})
    }
    start = partial(
        aws.autoscaling.start_instance_refresh,
        AutoScalingGroupName=group,
        Strategy=spec["strategy"],
        **without_none(Preferences=preferences or None),
    )
    with doing(aws.autoscaling, f"starting Auto Scaling Group ({group}) instance refresh"):
        try:
            start()
        except ClientError as error:
            if error.response["Error"]["Code"] != "InstanceRefreshInProgress":
                raise
            aws.autoscaling.cancel_instance_refresh(AutoScalingGroupName=group)
            start()


def _wait_for_changed_capacity(aws: Aws, group: str, news: Props) -> None:
    wanted = max(news["minSize"], news.get("desiredCapacity", 0))
    at_balancer = news.get("waitForElbCapacity") or 0

    def lacks(in_group: int, in_balancer: int) -> str | None:
        if in_group != wanted:
            return f"want exactly {wanted} healthy instance(s) in Auto Scaling Group, have {in_group}"
        if at_balancer and in_balancer != at_balancer:
            return f"want exactly {at_balancer} healthy instance(s) registered to Load Balancer, have {in_balancer}"
        return None

    _wait_for_capacity(aws, group, news, lacks)


def _parts(whole: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    yield from (whole[start : start + size] for start in range(0, len(whole), size))


def _differences(olds: Props, news: Props, name: str) -> tuple[list[str], list[str]]:
    """What has gone from a set, and what has come."""
    before, after = set(olds.get(name, [])), set(news.get(name, []))
    return sorted(before - after), sorted(after - before)


def _update_metrics(aws: Aws, group: str, olds: Props, news: Props) -> None:
    gone, added = _differences(olds, news, "enabledMetrics")
    if gone:
        with doing(aws.autoscaling, f"disabling Auto Scaling Group ({group}) metrics collection"):
            aws.autoscaling.disable_metrics_collection(AutoScalingGroupName=group, Metrics=gone)
    if added:
        with doing(aws.autoscaling, f"enabling Auto Scaling Group ({group}) metrics collection"):
            aws.autoscaling.enable_metrics_collection(
                AutoScalingGroupName=group, Metrics=added, Granularity=news["metricsGranularity"]
            )


def _update_processes(aws: Aws, group: str, olds: Props, news: Props) -> None:
    gone, added = _differences(olds, news, "suspendedProcesses")
    if gone:
        with doing(aws.autoscaling, f"resuming Auto Scaling Group ({group}) scaling processes"):
            aws.autoscaling.resume_processes(AutoScalingGroupName=group, ScalingProcesses=gone)
    if added:
        with doing(aws.autoscaling, f"suspending Auto Scaling Group ({group}) scaling processes"):
            aws.autoscaling.suspend_processes(AutoScalingGroupName=group, ScalingProcesses=added)


def _update_tags(aws: Aws, group: str, olds: list[Props], news: list[Props]) -> None:
    kept = {tag["key"] for tag in news}
    with doing(aws.autoscaling, f"updating tags for Auto Scaling Group ({group})"):
        if gone := [tag for tag in olds if tag["key"] not in kept]:
            aws.autoscaling.delete_tags(Tags=_group_tags(group, gone))
        if wanted := [tag for tag in news if tag not in olds]:
            aws.autoscaling.create_or_update_tags(Tags=_group_tags(group, wanted))


def _update_target_groups(aws: Aws, group: str, olds: set[str], news: set[str]) -> None:
    """Ten at a time, as the API allows; each ten are waited for."""
    autoscaling = aws.autoscaling
    for which, call, doing_what, state in (
        (olds - news, autoscaling.detach_load_balancer_target_groups, "detaching", "Removing"),
        (news - olds, autoscaling.attach_load_balancer_target_groups, "attaching", "Adding"),
    ):
        for ten in _parts(sorted(which), 10):
            with doing(autoscaling, f"{doing_what} Auto Scaling Group ({group}) target groups"):
                call(AutoScalingGroupName=group, TargetGroupARNs=list(ten))
            _wait_for_target_groups(aws, group, state)


def _wait_for_target_groups(aws: Aws, group: str, passing: str) -> None:
    def left() -> str:
        answer = aws.autoscaling.describe_load_balancer_target_groups(AutoScalingGroupName=group)
        return str(sum(each["State"] == passing for each in answer["LoadBalancerTargetGroups"]))

    what = f"Auto Scaling Group ({group}) target groups {'removed' if passing == 'Removing' else 'added'}"
    with doing(aws.autoscaling, f"waiting for {what}"):
        aws.wait(what, "0", left, timeout=aws.timeout(10 * MINUTE))


def _delete_group(aws: Aws, group: str, olds: Props) -> None:
    timeout = aws.timeout(10 * MINUTE)
    force = bool(olds.get("forceDelete"))
    autoscaling = aws.autoscaling
    with doing(autoscaling, f"reading Auto Scaling Group ({group})"):
        found = _describe_group(aws, group)
    if found is None:
        return
    if found.get("WarmPoolConfiguration"):
        _delete_warm_pool(aws, group, force=force or bool(olds.get("forceDeleteWarmPool")), timeout=timeout)
    if not force:
        _drain(aws, group, found, timeout)
    call = partial(autoscaling.delete_auto_scaling_group, AutoScalingGroupName=group, ForceDelete=force)
    what = f"Auto Scaling Group ({group}) delete"
    with doing(autoscaling, f"deleting Auto Scaling Group ({group})"), absent_group():
        aws.retry(what, ("ResourceInUse", "ScalingActivityInProgress"), call, timeout=timeout)
    state = lambda: "deleting" if _describe_group(aws, group) else "deleted"  # noqa: E731
    with doing(autoscaling, f"waiting for {what}"):
        aws.wait(what, "deleted", state, timeout=timeout)


def _drain(aws: Aws, group: str, found: Mapping[str, Any], timeout: float) -> None:
    autoscaling = aws.autoscaling
    with doing(autoscaling, f"setting Auto Scaling Group ({group}) capacity to 0"), absent_group():
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=group, MinSize=0, MaxSize=0, DesiredCapacity=0)
    protected = [i["InstanceId"] for i in found["Instances"] if i.get("ProtectedFromScaleIn")]
    for fifty in _parts(protected, 50):
        with doing(autoscaling, f"disabling Auto Scaling Group ({group}) scale-in protections"), absent_group():
            autoscaling.set_instance_protection(
                AutoScalingGroupName=group, InstanceIds=list(fifty), ProtectedFromScaleIn=False
            )

    def state() -> str:
        left = _describe_group(aws, group)
        return str(len(left["Instances"])) if left else "0"

    what = f"Auto Scaling Group ({group}) drain"
    with doing(autoscaling, f"waiting for {what}"):
        aws.wait(what, "0", state, timeout=timeout)


def _lifts_nothing(old: Any, new: Any) -> bool:
    """-1 takes the policy away; where there is none, there is nothing to take."""
    return not old and isinstance(new, dict) and -1 in new.values()


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
                "name": text(computed=True, conflicts_with=("id",)),
                "version": text(computed=True),
            },
            computed=True,
            conflicts_with=("mixedInstancesPolicy",),
        ),
        "mixedInstancesPolicy": block(
            {
                "launchTemplate": block(
                    {
                        "launchTemplateSpecification": block(
                            {
                                "launchTemplateId": text(required=True),
                                "launchTemplateName": text(computed=True),
                                "version": text(default="$Default"),
                            },
                            required=True,
                        ),
                        "overrides": blocks(
                            {
                                "instanceType": text(required=True),
                                "weightedCapacity": text(
                                    pattern=re.compile(r"[1-9][0-9]{0,2}"),
                                    pattern_reason="see https://docs.aws.amazon.com/autoscaling/ec2/APIReference/"
                                    "API_LaunchTemplateOverrides.html",
                                ),
                            },
                            refused="instanceRequirements launchTemplateSpecification",
                        ),
                    },
                    required=True,
                ),
                "instancesDistribution": block(
                    {
                        "onDemandAllocationStrategy": text(computed=True, only=("prioritized",)),
                        "onDemandBaseCapacity": integer(computed=True, at_least=0),
                        "onDemandPercentageAboveBaseCapacity": integer(computed=True, at_least=0, at_most=100),
                        "spotAllocationStrategy": text(computed=True),
                    },
                    refused="spotInstancePools spotMaxPrice",
                    computed=True,
                ),
            },
            computed=True,
            conflicts_with=("launchTemplate",),
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
        "terminationPolicies": text_list(),
        "suspendedProcesses": text_set(),
        "enabledMetrics": text_set(),
        "metricsGranularity": text(default="1Minute"),
        "serviceLinkedRoleArn": arn(computed=True),
        "instanceMaintenancePolicy": block(
            {
                "minHealthyPercentage": integer(required=True, at_least=-1, at_most=100),
                "maxHealthyPercentage": integer(required=True, at_least=100, at_most=200, besides=(-1,)),
            },
            suppresses=_lifts_nothing,
        ),
        "initialLifecycleHooks": blocks(
            {
                "name": text(required=True),
                "lifecycleTransition": text(
                    required=True,
                    choices=("autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"),
                ),
                "heartbeatTimeout": integer(at_least=30, at_most=7200),
                "defaultResult": text(computed=True, choices=("CONTINUE", "ABANDON")),
            },
            refused="notificationMetadata notificationTargetArn roleArn",
            ordered=False,
            replaces=True,
        ),
        "instanceRefresh": block(
            {
                "strategy": text(required=True, choices=("Rolling", "ReplaceRootVolume"), only=("Rolling",)),
                "preferences": block(
                    {
                        "minHealthyPercentage": integer(default=90, at_least=0, at_most=100),
                        "maxHealthyPercentage": integer(default=100, at_least=100, at_most=200),
                        "instanceWarmup": text(),
                        "skipMatching": boolean(default=False),
                        "scaleInProtectedInstances": text(default="Ignore", only=("Ignore",)),
                        "standbyInstances": text(default="Ignore", only=("Ignore",)),
                    },
                    refused="alarmSpecification autoRollback checkpointDelay checkpointPercentages",
                ),
            },
            refused="triggers",
        ),
        "minElbCapacity": integer(),
        "waitForElbCapacity": integer(),
        "waitForCapacityTimeout": text(
            default="10m", pattern=_DURATION, pattern_reason="cannot be parsed as a duration"
        ),
        "ignoreFailedScalingActivities": boolean(default=False),
        "forceDelete": boolean(default=False),
        "forceDeleteWarmPool": boolean(default=False),
        "warmPool": block(
            {
                "poolState": text(
                    default="Stopped", choices=("Stopped", "Running", "Hibernated"), only=("Stopped", "Running")
                ),
                "minSize": integer(default=0, at_least=0),
                "maxGroupPreparedCapacity": integer(default=_NO_LIMIT, at_least=_NO_LIMIT),
                "instanceReusePolicy": block({"reuseOnScaleIn": boolean(default=False)}),
            }
        ),
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
        "instanceLifecyclePolicy launchConfiguration loadBalancers "
        "namePrefix placementGroup trafficSources"
    ),
    name_limit=255,
    rules=(exactly_one_of("launchTemplate", "mixedInstancesPolicy"),),
    create=_create_group,
    settle=_settle_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
)
