"""Scaling policies: of target tracking, and in steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import Aws, OperationFailed, absent_group, doing, first, without_none
from sandbox.provider.table import (
    ResourceType,
    block,
    blocks,
    boolean,
    integer,
    names,
    number,
    output,
    text,
)
from sandbox.provider.wire import Props

_DIMENSION: Final = {"name": "Name", "value": "Value"}
_CUSTOM: Final = {
    "metricName": "MetricName",
    "namespace": "Namespace",
    "statistic": "Statistic",
    "unit": "Unit",
    "period": "Period",
}


def _configuration(news: Props) -> dict[str, Any]:
    config = news["targetTrackingConfiguration"]
    asked: dict[str, Any] = {"TargetValue": config["targetValue"], "DisableScaleIn": config["disableScaleIn"]}
    if predefined := config.get("predefinedMetricSpecification"):
        asked["PredefinedMetricSpecification"] = without_none(
            PredefinedMetricType=predefined["predefinedMetricType"], ResourceLabel=predefined.get("resourceLabel")
        )
    if custom := config.get("customizedMetricSpecification"):
        asked["CustomizedMetricSpecification"] = {
            member: custom[name] for name, member in _CUSTOM.items() if name in custom
        }
        if dimensions := custom.get("metricDimensions"):
            asked["CustomizedMetricSpecification"]["Dimensions"] = [
                {member: dimension[name] for name, member in _DIMENSION.items()} for dimension in dimensions
            ]
    return asked


def _from_configuration(config: Mapping[str, Any]) -> Props:
    state: Props = {"targetValue": config["TargetValue"], "disableScaleIn": config.get("DisableScaleIn", False)}
    if predefined := config.get("PredefinedMetricSpecification"):
        state["predefinedMetricSpecification"] = without_none(
            predefinedMetricType=predefined["PredefinedMetricType"], resourceLabel=predefined.get("ResourceLabel")
        )
    if custom := config.get("CustomizedMetricSpecification"):
        spec = {name: custom[member] for name, member in _CUSTOM.items() if custom.get(member) is not None}
        if dimensions := custom.get("Dimensions"):
            spec["metricDimensions"] = [
                {name: dimension[member] for name, member in _DIMENSION.items()} for dimension in dimensions
            ]
        state["customizedMetricSpecification"] = spec
    return state


_TRACKING: Final = "targetTrackingConfiguration"
_STEPS: Final = {
    "adjustmentType": "AdjustmentType",
    "metricAggregationType": "MetricAggregationType",
    "minAdjustmentMagnitude": "MinAdjustmentMagnitude",
}
_BOUNDS: Final = {
    "metricIntervalLowerBound": "MetricIntervalLowerBound",
    "metricIntervalUpperBound": "MetricIntervalUpperBound",
}


def _steps(news: Props) -> dict[str, Any]:
    adjustments = [
        {
            "ScalingAdjustment": each["scalingAdjustment"],
            **{member: float(each[name]) for name, member in _BOUNDS.items() if name in each},
        }
        for each in news.get("stepAdjustments", [])
    ]
    return {**{member: news[name] for name, member in _STEPS.items() if name in news}, "StepAdjustments": adjustments}


def _from_steps(found: Mapping[str, Any]) -> Props:
    return {
        **{name: found.get(member) for name, member in _STEPS.items()},
        "stepAdjustments": [
            {
                "scalingAdjustment": each["ScalingAdjustment"],
                **{name: f"{each[member]:g}" for name, member in _BOUNDS.items() if each.get(member) is not None},
            }
            for each in found.get("StepAdjustments", [])
        ],
    }


def _put_policy(aws: Aws, what: str, news: Props) -> None:
    with doing(aws.autoscaling, f"{what} Auto Scaling Policy ({news['name']})"):
        aws.autoscaling.put_scaling_policy(
            AutoScalingGroupName=news["autoscalingGroupName"],
            PolicyName=news["name"],
            PolicyType=news["policyType"],
            Enabled=news["enabled"],
            **without_none(EstimatedInstanceWarmup=news.get("estimatedInstanceWarmup")),
            **(_steps(news) if news["policyType"] == "StepScaling" else {}),
            **({"TargetTrackingConfiguration": _configuration(news)} if _TRACKING in news else {}),
        )


def _create_policy(aws: Aws, news: Props) -> str:
    _put_policy(aws, "creating", news)
    return str(news["name"])


def _read_policy(aws: Aws, policy: str, known: Props) -> Props | None:
    with doing(aws.autoscaling, f"reading Auto Scaling Policy ({policy})"), absent_group():
        answer = aws.autoscaling.describe_policies(
            AutoScalingGroupName=known["autoscalingGroupName"], PolicyNames=[policy]
        )
        found = first(answer["ScalingPolicies"])
        return found and {
            "arn": found["PolicyARN"],
            "name": policy,
            "autoscalingGroupName": found["AutoScalingGroupName"],
            "policyType": found["PolicyType"],
            "enabled": found.get("Enabled", True),
            "estimatedInstanceWarmup": found.get("EstimatedInstanceWarmup"),
            **(_from_steps(found) if found["PolicyType"] == "StepScaling" else {}),
            **(
                {_TRACKING: _from_configuration(found["TargetTrackingConfiguration"])}
                if found.get("TargetTrackingConfiguration")
                else {}
            ),
        }
    return None


def _update_policy(aws: Aws, policy: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed:
        _put_policy(aws, "updating", news)


def _locate_policy(aws: Aws, given: str) -> tuple[str, Props]:
    group, _, policy = given.partition("/")
    if not group or not policy:
        raise OperationFailed(f'unexpected format ("{given}"), expected <asg-name>/<policy-name>')
    return policy, {"autoscalingGroupName": group}


def _delete_policy(aws: Aws, policy: str, olds: Props) -> None:
    with doing(aws.autoscaling, f"deleting Auto Scaling Policy ({policy})"), absent_group():
        aws.autoscaling.delete_policy(AutoScalingGroupName=olds["autoscalingGroupName"], PolicyName=policy)


def _says_how(inputs: Props) -> tuple[str, str] | None:
    """The real provider leaves this to AWS."""
    wanted = {"StepScaling": "stepAdjustments", "TargetTrackingScaling": _TRACKING}
    needed = wanted.get(inputs.get("policyType", ""))
    return (needed, f"a policy of type {inputs['policyType']} needs it") if needed and needed not in inputs else None


_PREDEFINED: Final = (
    "ASGAverageCPUUtilization",
    "ASGAverageNetworkIn",
    "ASGAverageNetworkOut",
    "ALBRequestCountPerTarget",
)

POLICY = ResourceType(
    token="aws:autoscaling/policy:Policy",
    properties={
        "name": text(computed=True, replaces=True),
        "autoscalingGroupName": text(required=True, replaces=True),
        "policyType": text(
            required=True,  # left out it would be SimpleScaling, which the sandbox doesn't support
            choices=("SimpleScaling", "StepScaling", "TargetTrackingScaling", "PredictiveScaling"),
            only=("StepScaling", "TargetTrackingScaling"),
        ),
        "enabled": boolean(default=True),
        "estimatedInstanceWarmup": integer(),
        "targetTrackingConfiguration": block(
            {
                "targetValue": number(required=True),
                "disableScaleIn": boolean(default=False),
                "predefinedMetricSpecification": block(
                    {"predefinedMetricType": text(required=True, choices=_PREDEFINED), "resourceLabel": text()},
                    conflicts_with=("customizedMetricSpecification",),
                ),
                "customizedMetricSpecification": block(
                    {
                        "metricName": text(required=True),
                        "namespace": text(required=True),
                        "statistic": text(
                            required=True, choices=("Average", "Minimum", "Maximum", "SampleCount", "Sum")
                        ),
                        "unit": text(),
                        "period": integer(choices=(10, 30, 60)),
                        "metricDimensions": blocks({"name": text(required=True), "value": text(required=True)}),
                    },
                    refused="metrics",
                    conflicts_with=("predefinedMetricSpecification",),
                ),
            },
        ),
        "adjustmentType": text(),
        "metricAggregationType": text(computed=True),
        "minAdjustmentMagnitude": integer(at_least=1),
        "stepAdjustments": blocks(
            {
                "scalingAdjustment": integer(required=True),
                "metricIntervalLowerBound": text(),
                "metricIntervalUpperBound": text(),
            },
            ordered=False,
        ),
        "arn": output(),
    },
    refused=names("cooldown predictiveScalingConfiguration scalingAdjustment"),
    rules=(_says_how,),
    name_limit=255,
    create=_create_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
    locate=_locate_policy,
)
