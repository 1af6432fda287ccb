"""What requests of Elastic Load Balancing may name: target groups of one load balancer, instances that run, rules.

Sources: its API reference (CreateListener, ModifyListener, CreateRule, ModifyRule, DeleteRule, RegisterTargets,
CreateLoadBalancer), and the guide, "Target groups for your Application Load Balancers".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.elbv2.exceptions import ELBClientError, RuleNotFoundError
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeListener, FakeListenerRule, FakeLoadBalancer, FakeRule

from sandbox.cloud.balancers import group_arns
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("groups-of-one-balancer", "lets several load balancers forward to one target group"),
    Gap("rules-that-are-not", "deletes a rule that is not there"),
    Gap("targets-that-are-not", "registers instances that are not there"),
    Gap("two-zones", "makes an Application Load Balancer in one subnet"),
)


def fill(cloud: Cloud) -> None:
    create_listener, modify_listener = ELBv2Backend.create_listener, ELBv2Backend.modify_listener
    create_rule, modify_rule, delete_rule = ELBv2Backend.create_rule, ELBv2Backend.modify_rule, ELBv2Backend.delete_rule
    register, create_balancer = ELBv2Backend.register_targets, ELBv2Backend.create_load_balancer

    @replace(ELBv2Backend, "create_listener")
    def create_listener_of(self: ELBv2Backend, load_balancer_arn: str, *args: Any, **kwargs: Any) -> FakeListener:
        _check(self, load_balancer_arn, kwargs.get("actions") or (args[4] if len(args) > 4 else []))
        listener: FakeListener = create_listener(self, load_balancer_arn, *args, **kwargs)
        return listener

    @replace(ELBv2Backend, "modify_listener")
    def modify_listener_of(self: ELBv2Backend, arn: str, *args: Any, **kwargs: Any) -> FakeListener:
        _check(self, _balancer_of(self, arn), kwargs.get("actions") or (args[4] if len(args) > 4 else []))
        listener: FakeListener = modify_listener(self, arn, *args, **kwargs)
        return listener

    @replace(ELBv2Backend, "create_rule")
    def create_rule_of(
        self: ELBv2Backend, listener_arn: str, conditions: Any, priority: int, actions: Any, tags: Any = None
    ) -> FakeListenerRule:
        _check(self, _balancer_of(self, listener_arn), actions)
        rule: FakeListenerRule = create_rule(self, listener_arn, conditions, priority, actions, tags)
        return rule

    @replace(ELBv2Backend, "modify_rule")
    def modify_rule_of(self: ELBv2Backend, rule_arn: str, conditions: Any, actions: Any) -> FakeRule:
        _check(self, _balancer_of(self, rule_arn), actions)
        rule: FakeRule = modify_rule(self, rule_arn, conditions, actions)
        return rule

    @replace(ELBv2Backend, "delete_rule")
    def delete_known_rule(self: ELBv2Backend, arn: str) -> None:
        if _balancer_of(self, arn) is None:
            raise RuleNotFoundError("One or more rules not found")
        delete_rule(self, arn)

    @replace(ELBv2Backend, "register_targets")
    def register_known_targets(self: ELBv2Backend, target_group_arn: str, instances: list[Any]) -> None:
        lost = [it["Id"] for it in instances if it["Id"].startswith("i-") and not _runs(self, it["Id"])]
        if lost and target_group_arn in self.target_groups:
            raise ELBClientError(
                "InvalidTarget",
                f"The following targets are not in a running state and cannot be registered: '{', '.join(lost)}'",
            )
        register(self, target_group_arn, instances)

    @replace(ELBv2Backend, "create_load_balancer")
    def create_in_two_zones(self: ELBv2Backend, name: str, *args: Any, **kwargs: Any) -> FakeLoadBalancer:
        mapped = [each["SubnetId"] for each in kwargs.get("subnet_mappings") or []]
        found = [self.ec2_backend.get_subnet(it) for it in (*(kwargs.get("subnet_ids") or []), *mapped)]
        is_application = kwargs.get("loadbalancer_type") in (None, "application")
        if is_application and found and len({it.availability_zone for it in found}) < 2:
            raise ELBClientError(
                "ValidationError", "At least two subnets in two different Availability Zones must be specified"
            )
        balancer: FakeLoadBalancer = create_balancer(self, name, *args, **kwargs)
        return balancer


def _check(backend: ELBv2Backend, balancer_arn: str | None, actions: list[dict[str, Any]]) -> None:
    wanted = {arn for action in actions or [] for arn in _groups(FakeAction(action))}
    for other in backend.load_balancers.values():
        if other.arn == balancer_arn:
            continue
        taken = {arn for listener in other.listeners.values() for arn in group_arns(other, listener)}
        if shared := sorted(wanted & taken):
            raise ELBClientError(
                "TargetGroupAssociationLimit",
                "The following target groups cannot be associated with more than one load balancer: "
                + ", ".join(shared),
            )


def _groups(action: FakeAction) -> set[str]:
    forward = action.data.get("ForwardConfig") or {}
    named = {each["TargetGroupArn"] for each in forward.get("TargetGroups", [])}
    return named | ({action.data["TargetGroupArn"]} if action.data.get("TargetGroupArn") else set())


def _balancer_of(backend: ELBv2Backend, arn: str) -> str | None:
    """Of a listener or a rule."""
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            if arn == listener.arn or any(arn == rule.arn for rule in listener.rules.values()):
                return str(balancer.arn)
    return None


def _runs(backend: ELBv2Backend, instance_id: str) -> bool:
    instance = backend.ec2_backend.get_instance_by_id(instance_id)
    return instance is not None and instance.state == "running"
