"""Scaling policies and scheduled actions: what a group is told of how to follow its load."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeScheduledAction
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from bluegreen.model.recurrence import Recurrence
from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.groups import find

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("schedules-of-groups", "keeps one scheduled action of a name, whatever the group, and without an ARN"),
    Gap("schedules-run", "takes a scheduled action of any recurrence, and of a group that is not there"),
    Gap("policy-enabled", "forgets that a scaling policy is not enabled"),
)


def fill(cloud: Cloud) -> None:
    put_policy = AutoScalingResponse.put_scaling_policy

    @replace(AutoScalingResponse, "put_scaling_policy")
    def put_scaling_policy(self: AutoScalingResponse) -> ActionResult:
        answer = put_policy(self)
        policy: Any = self.autoscaling_backend.policies[self._get_param("PolicyName")]
        policy.enabled = self._get_bool_param("Enabled", True)
        return answer

    @replace(AutoScalingBackend, "put_scheduled_update_group_action")
    def put_action(
        self: AutoScalingBackend, name: str, scheduled_action_name: str, timezone: str | None, **given: Any
    ) -> FakeScheduledAction:
        find(self, name)
        for once in ("start_time", "end_time"):
            if given[once]:
                raise ValidationError(f"The sandbox's scheduled actions recur, and have no {once.replace('_', ' ')}.")
        if all(given[size] is None for size in ("min_size", "max_size", "desired_capacity")):
            raise ValidationError("At least one of min size, max size and desired capacity must be specified")
        try:
            Recurrence.parse(given["recurrence"] or "")
            ZoneInfo(timezone or "UTC")
        except (ValueError, KeyError, OSError) as fault:
            raise ValidationError(f"Given recurrence string: {given['recurrence']} is invalid: {fault}") from fault
        action = FakeScheduledAction(  # type: ignore[abstract]
            autos_caling_group_name=name, scheduled_action_name=scheduled_action_name, time_zone=timezone, **given
        )
        action.scheduled_action_arn = (  # type: ignore[attr-defined]  # DescribeScheduledActions shows it
            f"arn:aws:autoscaling:{self.region_name}:{self.account_id}:scheduledUpdateGroupAction:{uuid.uuid4()}:"
            f"autoScalingGroupName/{name}:scheduledActionName/{scheduled_action_name}"
        )
        self.scheduled_actions[f"{name}/{scheduled_action_name}"] = action
        return action

    @replace(AutoScalingBackend, "delete_scheduled_action")
    def delete_action(self: AutoScalingBackend, auto_scaling_group_name: str, scheduled_action_name: str) -> None:
        if not self.scheduled_actions.pop(f"{auto_scaling_group_name}/{scheduled_action_name}", None):
            raise ValidationError("Scheduled action name not found")
