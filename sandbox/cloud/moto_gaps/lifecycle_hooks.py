"""Lifecycle hooks, and the actions that instances wait for."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, LifecycleHook
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from sandbox.cloud.lifecycle import ABANDON, CONTINUE, LAUNCHING, TERMINATING, Hook
from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.moto_gaps.groups import find

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

_HEARTBEATS = range(30, 7200 + 1)

GAPS = (
    Gap("hooks-at-creation", "forgets the lifecycle hooks that a group is made with"),
    Gap("lifecycle-actions", "knows no lifecycle action, so no instance waits for one"),
    Gap("hook-fields", "makes up a role and a notification target for each hook"),
)


def fill(cloud: Cloud) -> None:
    create_group = AutoScalingResponse.create_auto_scaling_group
    create: Any = AutoScalingBackend.create_lifecycle_hook

    @replace(AutoScalingBackend, "create_lifecycle_hook")
    def create_lifecycle_hook(
        self: AutoScalingBackend, name: str, as_name: str, transition: str, timeout: int | None, result: str
    ) -> LifecycleHook:
        find(self, as_name)
        known = next(iter(self.describe_lifecycle_hooks(as_name, [name])), None)
        if known:
            transition, timeout = transition or known.lifecycle_transition or "", timeout or known.heartbeat_timeout
            result = result or known.default_result
        _check(transition, timeout, result)
        hook: LifecycleHook = create(self, name, as_name, transition, timeout, result)
        hook.role_arn = hook.notification_target_arn = None  # type: ignore[assignment]  # moto makes some up
        hook.global_timeout = Hook(name, hook.heartbeat_timeout, hook.default_result).longest_seconds
        return hook

    @replace(AutoScalingResponse, "put_lifecycle_hook")
    def put_lifecycle_hook(self: AutoScalingResponse) -> ActionResult:
        _put(self.autoscaling_backend, self._get_param("AutoScalingGroupName"), self._get_params())
        return EmptyResult()

    @replace(AutoScalingResponse, "create_auto_scaling_group")
    def create_group_with_hooks(self: AutoScalingResponse) -> ActionResult:
        hooks = self._get_param("LifecycleHookSpecificationList", []) or []
        for hook in hooks:
            _check_given({"LifecycleTransition": "none"} | hook)
        answer = create_group(self)
        for hook in hooks:
            _put(self.autoscaling_backend, self._get_param("AutoScalingGroupName"), hook)
        return answer

    @replace(AutoScalingResponse, "complete_lifecycle_action")
    def complete_lifecycle_action(self: AutoScalingResponse) -> ActionResult:
        result = self._get_param("LifecycleActionResult")
        if result not in (CONTINUE, ABANDON):
            raise ValidationError(f"The lifecycle action result must be {CONTINUE} or {ABANDON}, and is {result}")
        _tell(cloud, self, lambda wait, hook, token: wait.complete(hook, token, result))
        return EmptyResult()

    @replace(AutoScalingResponse, "record_lifecycle_action_heartbeat")
    def record_lifecycle_action_heartbeat(self: AutoScalingResponse) -> ActionResult:
        _tell(cloud, self, lambda wait, hook, token: wait.extend(hook, token, monotonic()))
        return EmptyResult()


def _put(backend: AutoScalingBackend, group: str, given: dict[str, Any]) -> None:
    _check_given(given)
    backend.create_lifecycle_hook(
        given["LifecycleHookName"],
        group,
        given.get("LifecycleTransition") or "",
        given.get("HeartbeatTimeout"),
        given.get("DefaultResult") or "",
    )


def _check_given(given: dict[str, Any]) -> None:
    for name in ("NotificationTargetARN", "RoleARN", "NotificationMetadata"):
        if given.get(name):
            raise ValidationError(f"The sandbox sends no notifications of lifecycle actions ({name}).")
    if transition := given.get("LifecycleTransition"):
        _check(transition, given.get("HeartbeatTimeout"), given.get("DefaultResult"))


def _check(transition: str, timeout: int | None, result: str | None) -> None:
    if transition not in (LAUNCHING, TERMINATING):
        raise ValidationError(f"Invalid Lifecycle Transition {transition}")
    if timeout is not None and timeout not in _HEARTBEATS:
        raise ValidationError(f"Heartbeat Timeout must be between {_HEARTBEATS[0]} and {_HEARTBEATS[-1]} seconds")
    if result and result not in (CONTINUE, ABANDON):
        raise ValidationError(f"The default result must be {CONTINUE} or {ABANDON}, and is {result}")


def _tell(cloud: Cloud, request: AutoScalingResponse, tell: Any) -> None:
    group: FakeAutoScalingGroup = find(request.autoscaling_backend, request._get_param("AutoScalingGroupName"))
    hook, token = request._get_param("LifecycleHookName"), request._get_param("LifecycleActionToken")
    instance_id = request._get_param("InstanceId")
    if not token and not instance_id:
        raise ValidationError("Either an instance ID or a lifecycle action token is needed")
    if not any(tell(wait, hook, token) for wait in cloud.autoscaling.waits(group, instance_id)):
        raise ValidationError(
            f"No active Lifecycle Action found with {f'instance ID {instance_id}' if instance_id else f'token {token}'}"
        )
