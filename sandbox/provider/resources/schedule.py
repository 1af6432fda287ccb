"""Scheduled actions of Auto Scaling groups."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.aws import Aws, OperationFailed, absent_group, doing, first, without_none
from sandbox.provider.table import ResourceType, integer, names, output, text
from sandbox.provider.wire import Props

_UNCHANGED: Final = -1
_SIZES: Final = {"minSize": "MinSize", "maxSize": "MaxSize", "desiredCapacity": "DesiredCapacity"}


def _put(aws: Aws, news: Props) -> str:
    name = str(news["scheduledActionName"])
    # As the real provider does: a size that is left out is 0.
    sizes = {member: news.get(size, 0) for size, member in _SIZES.items()}
    with doing(aws.autoscaling, f"putting Auto Scaling Scheduled Action ({name})"):
        aws.autoscaling.put_scheduled_update_group_action(
            AutoScalingGroupName=news["autoscalingGroupName"],
            ScheduledActionName=name,
            **without_none(Recurrence=news["recurrence"], TimeZone=news.get("timeZone")),
            **{member: size for member, size in sizes.items() if size != _UNCHANGED},
        )
    return name


def _read(aws: Aws, name: str, known: Props) -> Props | None:
    with doing(aws.autoscaling, f"reading Auto Scaling Scheduled Action ({name})"), absent_group():
        found: dict[str, Any] | None = first(
            aws.autoscaling.describe_scheduled_actions(
                AutoScalingGroupName=known["autoscalingGroupName"], ScheduledActionNames=[name]
            )["ScheduledUpdateGroupActions"]
        )
        return found and {
            "arn": found.get("ScheduledActionARN", name),  # moto alone has none (seen in 5.2.5)
            "autoscalingGroupName": found["AutoScalingGroupName"],
            "scheduledActionName": name,
            "recurrence": found.get("Recurrence"),
            "timeZone": found.get("TimeZone"),
            **{size: found.get(member, _UNCHANGED) for size, member in _SIZES.items()},
        }
    return None


def _update(aws: Aws, name: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed:
        _put(aws, news)


def _delete(aws: Aws, name: str, olds: Props) -> None:
    with doing(aws.autoscaling, f"deleting Auto Scaling Scheduled Action ({name})"), absent_group():
        aws.autoscaling.delete_scheduled_action(
            AutoScalingGroupName=olds["autoscalingGroupName"], ScheduledActionName=name
        )


def _locate(aws: Aws, given: str) -> tuple[str, Props]:
    group, _, action = given.partition("/")
    if not group or not action:
        raise OperationFailed(f"wrong format of import ID ({given}), use: 'asg-name/action-name'")
    return action, {"autoscalingGroupName": group}


SCHEDULE = ResourceType(
    token="aws:autoscaling/schedule:Schedule",
    properties={
        "autoscalingGroupName": text(required=True, replaces=True),
        "scheduledActionName": text(required=True, replaces=True),
        "recurrence": text(required=True),
        "timeZone": text(computed=True),
        **{size: integer(computed=True) for size in _SIZES},
        "arn": output(),
    },
    refused=names("endTime startTime"),
    create=_put,
    read=_read,
    update=_update,
    delete=_delete,
    locate=_locate,
)
