"""Load balancers and listeners: addresses and ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.elbv2.exceptions import DuplicateListenerError, ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeListener

from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.plane import PortUnavailable

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("duplicate-listener", "takes two listeners of one port"),
    Gap("duplicate-balancer", "takes two load balancers of one name"),
    Gap("deletion-protection", "deletes a load balancer that is protected from it"),
    Gap("balancer-address", "gives load balancers addresses that lead nowhere"),
)


def fill(cloud: Cloud) -> None:
    create_balancer, delete_balancer = ELBv2Backend.create_load_balancer, ELBv2Backend.delete_load_balancer
    create, modify = ELBv2Backend.create_listener, ELBv2Backend.modify_listener

    @replace(ELBv2Backend, "create_load_balancer")
    def create_load_balancer(self: ELBv2Backend, name: str, *args: Any, **kwargs: Any) -> Any:
        if any(balancer.name == name for balancer in self.load_balancers.values()):
            raise ELBClientError("DuplicateLoadBalancerName", f"A load balancer with the same name '{name}' exists")
        balancer = create_balancer(self, name, *args, **kwargs)
        balancer.dns_name = cloud.loopback.for_balancer()
        return balancer

    @replace(ELBv2Backend, "delete_load_balancer")
    def delete_load_balancer(self: ELBv2Backend, arn: str) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        delete_balancer(self, arn)

    @replace(ELBv2Backend, "create_listener")
    def create_listener(self: ELBv2Backend, load_balancer_arn: str, *args: Any, **kwargs: Any) -> FakeListener:
        listener: FakeListener = create(self, load_balancer_arn, *args, **kwargs)
        siblings = self.load_balancers[load_balancer_arn].listeners
        if any(it is not listener and int(it.port) == int(listener.port) for it in siblings.values()):
            del siblings[listener.arn]
            raise DuplicateListenerError()
        try:
            cloud.publish()
        except PortUnavailable as fault:
            del siblings[listener.arn]
            raise ELBClientError("InvalidConfigurationRequest", str(fault)) from fault
        return listener

    @replace(ELBv2Backend, "modify_listener")
    def modify_listener(self: ELBv2Backend, arn: str, *args: Any, **kwargs: Any) -> FakeListener:
        (listener,) = self.describe_listeners(None, [arn])
        before, actions = dict(vars(listener)), listener._default_rule[0].actions
        modify(self, arn, *args, **kwargs)
        try:
            cloud.publish()
        except PortUnavailable as fault:
            vars(listener).update(before)
            listener._default_rule[0].actions = actions
            raise ELBClientError("InvalidConfigurationRequest", str(fault)) from fault
        return listener
