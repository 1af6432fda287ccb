"""What the sandbox's Auto Scaling refuses by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

REFUSED = {
    "attach_instances": "AttachInstances",
    "detach_instances": "DetachInstances",
    "enter_standby": "EnterStandby",
    "exit_standby": "ExitStandby",
    "attach_load_balancers": "AttachLoadBalancers",
    "execute_policy": "ExecutePolicy",
    "batch_put_scheduled_update_group_action": "BatchPutScheduledUpdateGroupAction",
}

GAPS = (Gap("kept-in-vain", "keeps standby and what else nothing comes of"),)


def fill(cloud: Cloud) -> None:
    for method, action in REFUSED.items():
        _refuse(method, action)


def _refuse(method: str, action: str) -> None:
    @replace(AutoScalingResponse, method)
    def refuse(self: AutoScalingResponse) -> ActionResult:
        raise ValidationError(f"The sandbox's Auto Scaling has no {action}.")
