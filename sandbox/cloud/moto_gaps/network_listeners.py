"""Listeners of Network Load Balancers: what they have, and what only those of Application Load Balancers have.

Sources: Elastic Load Balancing's API reference (CreateListener, ModifyListener, ListenerAttribute, CreateRule), and the
guide. AWS's words as users quote them: hashicorp/terraform-provider-aws#4955.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeListener, FakeListenerRule, FakeLoadBalancer, FakeRule
from moto.elbv2.responses import ELBV2Response

from sandbox.cloud.balancers import ALPN, IDLE_SECONDS, is_network, is_of_network, sticky_seconds
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("network-listeners", "lets a listener have actions, rules and target groups that its load balancer has not"),
    Gap("network-tls", "changes no listener to TLS"),
)
_IDLE_LIMITS = range(60, 6000 + 1)


def fill(cloud: Cloud) -> None:
    _of_listeners()
    _of_attributes()
    _of_rules()


def _of_listeners() -> None:
    create, modify = ELBv2Backend.create_listener, ELBv2Backend.modify_listener

    @replace(ELBv2Backend, "create_listener")
    def create_network_listener(
        self: ELBv2Backend, load_balancer_arn: str, protocol: str, port: str, **more: Any
    ) -> FakeListener:
        balancer = self.load_balancers.get(load_balancer_arn)
        if balancer:
            self._validate_port_and_protocol(balancer.type, port, protocol)
            _check_actions(self, balancer, protocol, more["actions"])
            _check_alpn(protocol, more.get("alpn_policy"))
        listener: FakeListener = create(self, load_balancer_arn, protocol, port, **more)
        if balancer:
            listener.attributes = {"tcp.idle_timeout.seconds": str(IDLE_SECONDS)} if protocol == "TCP" else {}
        return listener

    @replace(ELBv2Backend, "modify_listener")
    def modify_network_listener(
        self: ELBv2Backend,
        arn: str,
        port: str | None = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: list[dict[str, Any]] | None = None,
        actions: list[dict[str, Any]] | None = None,
    ) -> FakeListener:
        """moto knows no TLS here: that is put into its place before the change is published."""
        (listener,) = self.describe_listeners(None, [arn])
        balancer = self.load_balancers[listener.load_balancer_arn]
        wanted = protocol or listener.protocol
        self._validate_port_and_protocol(balancer.type, port or listener.port, wanted)
        _check_actions(self, balancer, wanted, actions or [it.data for it in listener.default_actions])
        if wanted != "TLS":
            listener.alpn_policy = []
            if wanted == "TCP" and listener.protocol != "TCP":
                listener.attributes = {"tcp.idle_timeout.seconds": str(IDLE_SECONDS)}
            changed: FakeListener = modify(self, arn, port, protocol, ssl_policy, certificates, actions)
            return changed
        listener.protocol = "TCP"  # so that moto looks at nothing of TLS
        modify(self, arn, port, None, ssl_policy, [], actions)
        listener.protocol, listener.attributes = "TLS", {}
        if certificates:
            listener.certificates = [it["CertificateArn"] for it in certificates]
            listener.certificate = listener.certificates[0]
        return listener

    modify_response = ELBV2Response.modify_listener

    @replace(ELBV2Response, "modify_listener")
    def modify_alpn(self: ELBV2Response) -> ActionResult:
        """moto doesn't read it."""
        policy = self._get_param("AlpnPolicy")
        (listener,) = self.elbv2_backend.describe_listeners(None, [self._get_param("ListenerArn")])
        if policy is not None:
            _check_alpn(self._get_param("Protocol") or listener.protocol, policy)
            before, listener.alpn_policy = listener.alpn_policy, policy
            try:
                return modify_response(self)
            except Exception:
                listener.alpn_policy = before
                raise
        return modify_response(self)


def _check_alpn(protocol: str, policy: list[str] | None) -> None:
    if not policy:
        return
    if protocol != "TLS":
        raise ELBClientError("ValidationError", "An ALPN policy can be specified for TLS listeners only")
    if len(policy) > 1 or policy[0] not in ALPN:
        raise ELBClientError("ALPNPolicyNotSupported", f"One of {', '.join(ALPN)} can be specified as ALPN policy")


def _check_actions(
    backend: ELBv2Backend, balancer: FakeLoadBalancer, protocol: str, actions: list[dict[str, Any]]
) -> None:
    if is_network(balancer) and protocol not in ("TCP", "TLS"):
        raise ELBClientError("UnsupportedProtocol", f"The sandbox has no listeners of {protocol}, only of TCP and TLS")
    for action in actions:
        if is_network(balancer) and action["Type"] != "forward":
            raise ELBClientError(
                "InvalidLoadBalancerAction",
                f"The action type '{action['Type']}' is not supported on load balancers with type 'network'",
            )
        if is_network(balancer) and sticky_seconds(action.get("ForwardConfig") or {}) is not None:
            raise ELBClientError(
                "InvalidLoadBalancerAction", "The sandbox's Network Load Balancers have no target group stickiness"
            )
        for arn in backend._get_target_group_arns_from(FakeAction(action).data) if action["Type"] == "forward" else ():
            group = backend.target_groups.get(arn)
            if group and is_of_network(group) != is_network(balancer):
                raise ELBClientError(
                    "IncompatibleProtocols",
                    f"The listener and its associated target group '{arn}' have incompatible protocols: "
                    f"'{protocol}' and '{group.protocol}'",
                )


def _of_attributes() -> None:
    modify = ELBv2Backend.modify_listener_attributes

    @replace(ELBv2Backend, "modify_listener_attributes")
    def modify_known_attributes(self: ELBv2Backend, listener_arn: str, attrs: list[dict[str, str]]) -> dict[str, str]:
        (listener,) = self.describe_listeners(None, [listener_arn])
        for each in attrs:
            if each["Key"] not in listener.attributes:
                raise ELBClientError(
                    "InvalidConfigurationRequest",
                    f"Listener attribute key '{each['Key']}' is not supported on listeners with the protocol "
                    f"'{listener.protocol}'",
                )
            if int(each["Value"]) not in _IDLE_LIMITS:
                raise ELBClientError(
                    "ValidationError",
                    f"'{each['Key']}' value '{each['Value']}' must be between '{_IDLE_LIMITS[0]}-{_IDLE_LIMITS[-1]}'",
                )
        changed: dict[str, str] = modify(self, listener_arn, attrs)
        return changed


def _of_rules() -> None:
    create, modify = ELBv2Backend.create_rule, ELBv2Backend.modify_rule

    @replace(ELBv2Backend, "create_rule")
    def create_application_rule(
        self: ELBv2Backend, listener_arn: str, conditions: Any, priority: int, actions: Any, tags: Any = None
    ) -> FakeListenerRule:
        (listener,) = self.describe_listeners(None, [listener_arn])
        balancer = self.load_balancers[listener.load_balancer_arn]
        if is_network(balancer):
            raise ELBClientError(
                "InvalidConfigurationRequest", "Rules can be created for listeners of Application Load Balancers only"
            )
        _check_actions(self, balancer, listener.protocol, actions)
        return create(self, listener_arn, conditions, priority, actions, tags)

    @replace(ELBv2Backend, "modify_rule")
    def modify_application_rule(self: ELBv2Backend, rule_arn: str, conditions: Any, actions: Any) -> FakeRule:
        for balancer in self.load_balancers.values():
            for listener in balancer.listeners.values():
                if rule_arn in (rule.arn for rule in listener.rules.values()):
                    _check_actions(self, balancer, listener.protocol, actions or [])
        return modify(self, rule_arn, conditions, actions)
