"""Stickiness: which mixes there may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeListener

from sandbox.cloud.balancers import has_sticky_targets, sticky_seconds
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

_LONGEST_STICKY_SECONDS = 7 * 24 * 60 * 60

GAPS = (
    Gap("modified-actions", "looks at no action of ModifyListener: a target group that is not there will do"),
    Gap("mixed-stickiness", "takes any mix of group and target stickiness"),
)


def fill(cloud: Cloud) -> None:
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
