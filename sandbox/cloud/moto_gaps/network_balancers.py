"""Network Load Balancers: what they have, and what only Application Load Balancers have.

Sources: Elastic Load Balancing's API reference (CreateLoadBalancer, CreateTargetGroup, CreateListener, CreateRule,
SetSecurityGroups, LoadBalancerAttribute, TargetGroupAttribute, ListenerAttribute), and the guide to them. AWS's words
as users quote them: hashicorp/terraform-provider-aws#4955, #7047.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeAction, FakeListener, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

from sandbox.cloud.balancers import ALPN, IDLE_SECONDS, is_network, is_of_network, sticky_seconds
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("network-arns", "gives a Network Load Balancer the ARN of an Application Load Balancer"),
    Gap("network-attributes", "gives all load balancers and target groups the same attributes"),
    Gap("network-health-checks", "takes 200 alone for a healthy target's answer to a Network Load Balancer"),
    Gap("network-listeners", "lets a listener have actions, rules and target groups that its load balancer has not"),
    Gap("network-tls", "changes no listener to TLS"),
    Gap("network-security-groups", "gives a Network Load Balancer security groups that was made without"),
)

_OF_BALANCERS = {
    "deletion_protection.enabled": "false",
    "load_balancing.cross_zone.enabled": "false",
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "ipv6.deny_all_igw_traffic": "false",
    "zonal_shift.config.enabled": "false",
    "dns_record.client_routing_policy": "any_availability_zone",
    "secondary_ips.auto_assigned.per_subnet": "0",
}
_OF_GROUPS = {
    "deregistration_delay.timeout_seconds": "300",
    "deregistration_delay.connection_termination.enabled": "false",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "preserve_client_ip.enabled": "true",
    "proxy_protocol_v2.enabled": "false",
    "stickiness.enabled": "false",
    "stickiness.type": "source_ip",
    "target_health_state.unhealthy.connection_termination.enabled": "true",
    "target_health_state.unhealthy.draining_interval_seconds": "0",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
_ONLY_AS_THEY_ARE = (
    "proxy_protocol_v2.",
    "stickiness.",
    "target_group_health.",
    "target_health_state.unhealthy.draining",
)
_ONLY_OF_NETWORK = (
    "deregistration_delay.connection_termination.",
    "preserve_client_ip.",
    "proxy_protocol_v2.",
    "target_health_state.",
)
_IDLE_LIMITS = range(60, 6000 + 1)
_INTERVALS, _TIMEOUTS, _CODES = range(5, 300 + 1), range(2, 120 + 1), range(200, 599 + 1)


def fill(cloud: Cloud) -> None:
    _of_balancers()
    _of_groups()
    _of_listeners()
    _of_listener_attributes()
    _of_rules()


def _of_balancers() -> None:
    create, modify = ELBv2Backend.create_load_balancer, ELBv2Backend.modify_load_balancer_attributes
    set_groups = ELBv2Backend.set_security_groups

    @replace(ELBv2Backend, "create_load_balancer")
    def create_network_balancer(self: ELBv2Backend, *args: Any, **kwargs: Any) -> FakeLoadBalancer:
        balancer: FakeLoadBalancer = create(self, *args, **kwargs)
        if is_network(balancer):
            before, balancer.arn = balancer.arn, balancer.arn.replace(":loadbalancer/app/", ":loadbalancer/net/")
            self.load_balancers[balancer.arn] = self.load_balancers.pop(before)
            self.tagging_service.copy_tags(before, balancer.arn)
            self.tagging_service.delete_all_tags_for_resource(before)
            balancer.attrs = dict(_OF_BALANCERS)
        return balancer

    @replace(ELBv2Backend, "modify_load_balancer_attributes")
    def modify_known_attributes(self: ELBv2Backend, arn: str, attrs: dict[str, Any]) -> Any:
        balancer = self.load_balancers.get(arn)
        for key in attrs if balancer and is_network(balancer) else ():
            if key not in _OF_BALANCERS:
                raise ELBClientError(
                    "InvalidConfigurationRequest",
                    f"Load balancer attribute key '{key}' is not supported on load balancers with type 'network'",
                )
        return modify(self, arn, attrs)

    @replace(ELBv2Backend, "set_security_groups")
    def set_known_security_groups(self: ELBv2Backend, arn: str, sec_groups: list[str]) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer and is_network(balancer) and bool(balancer.security_groups) != bool(sec_groups):
            raise ELBClientError(
                "InvalidConfigurationRequest",
                "Security groups of a Network Load Balancer can be changed only if it was created with security "
                "groups, and can't be removed altogether",
            )
        set_groups(self, arn, sec_groups)


def _of_groups() -> None:
    create, modify = ELBv2Backend.create_target_group, ELBv2Backend.modify_target_group
    modify_attributes = ELBv2Backend.modify_target_group_attributes

    @replace(ELBv2Backend, "create_target_group")
    def create_network_group(self: ELBv2Backend, name: str, **kwargs: Any) -> FakeTargetGroup:
        protocol, check = kwargs.get("protocol"), kwargs.get("healthcheck_protocol")
        if protocol not in (None, "HTTP", "HTTPS", "TCP"):
            raise ELBClientError(
                "ValidationError", f"The sandbox has no target groups of {protocol}, only of HTTP and TCP"
            )
        _check_health_check(protocol, check, kwargs)
        if protocol == "TCP" and check == "HTTP":
            kwargs["healthcheck_timeout_seconds"] = kwargs.get("healthcheck_timeout_seconds") or 6
            kwargs["healthcheck_path"] = kwargs.get("healthcheck_path") or "/"
            kwargs["matcher"] = kwargs.get("matcher") or {"HttpCode": "200-399"}
        group: FakeTargetGroup = create(self, name, **kwargs)
        if is_of_network(group) and group.protocol:
            group.attributes = dict(_OF_GROUPS)
            if group.target_type == "ip":
                group.attributes["preserve_client_ip.enabled"] = "false"
        return group

    @replace(ELBv2Backend, "modify_target_group")
    def modify_network_group(
        self: ELBv2Backend, arn: str, health_check_proto: str | None = None, *args: Any, **kwargs: Any
    ) -> FakeTargetGroup:
        known = self.target_groups.get(arn)
        if known:
            _check_health_check(known.protocol, health_check_proto, {})
        group: FakeTargetGroup = modify(self, arn, health_check_proto, *args, **kwargs)
        if group.protocol == "TCP":
            codes = kwargs.get("http_codes") or (args[6] if len(args) > 6 else None)
            if group.health_check_protocol == "TCP":
                group.health_check_path = None
                vars(group).pop("matcher", None)
            else:
                before = getattr(group, "matcher", {}).get("HttpCode")
                group.matcher = {"HttpCode": codes or before or "200-399"}
                group.health_check_path = group.health_check_path or "/"
        return group

    @replace(ELBv2Backend, "modify_target_group_attributes")
    def modify_known_attributes(self: ELBv2Backend, arn: str, attributes: dict[str, Any]) -> None:
        group = self.target_groups.get(arn)
        for key, value in attributes.items() if group else ():
            assert group
            is_known = key in _OF_GROUPS if group.protocol == "TCP" else not key.startswith(_ONLY_OF_NETWORK)
            if not is_known:
                raise ELBClientError(
                    "InvalidConfigurationRequest", "The provided target group attribute is not supported"
                )
            if group.protocol == "TCP" and key.startswith(_ONLY_AS_THEY_ARE) and str(value) != _OF_GROUPS[key]:
                raise ELBClientError(
                    "InvalidConfigurationRequest",
                    f"The sandbox's target groups of TCP have {key} as {_OF_GROUPS[key]} alone, not as {value}",
                )
        modify_attributes(self, arn, attributes)


def _check_health_check(protocol: str | None, check: str | None, given: dict[str, Any]) -> None:
    if protocol in ("HTTP", "HTTPS") and check == "TCP":
        raise ELBClientError(
            "ValidationError", f"Health check protocol 'TCP' is not supported by target groups of {protocol}"
        )
    if protocol != "TCP":
        return
    if check not in (None, "TCP", "HTTP"):
        raise ELBClientError("ValidationError", f"The sandbox checks targets of TCP by TCP and HTTP, not by {check}")
    if (check or "TCP") == "TCP" and (given.get("matcher") or given.get("healthcheck_path")):
        raise ELBClientError("ValidationError", "Health checks by TCP have neither a path nor a matcher")
    for what, value, limits in (
        ("interval", given.get("healthcheck_interval_seconds"), _INTERVALS),
        ("timeout", given.get("healthcheck_timeout_seconds"), _TIMEOUTS),
    ):
        if value is not None and int(value) not in limits:
            raise ELBClientError(
                "ValidationError",
                f"Health check {what} '{value}' must be between '{limits[0]}' and '{limits[-1]}' seconds",
            )
    codes = str((given.get("matcher") or {}).get("HttpCode") or "")
    if any(int(code) not in _CODES for part in codes.split(",") for code in part.split("-") if code.isdigit()):
        raise ELBClientError("ValidationError", "Health check matcher HTTP code must be within '200-599'")


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


def _of_listener_attributes() -> None:
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
    create = ELBv2Backend.create_rule

    @replace(ELBv2Backend, "create_rule")
    def create_application_rule(
        self: ELBv2Backend, listener_arn: str, conditions: Any, priority: int, actions: Any, tags: Any = None
    ) -> Any:
        (listener,) = self.describe_listeners(None, [listener_arn])
        balancer = self.load_balancers[listener.load_balancer_arn]
        if is_network(balancer):
            raise ELBClientError(
                "InvalidConfigurationRequest", "Rules can be created for listeners of Application Load Balancers only"
            )
        _check_actions(self, balancer, listener.protocol, actions)
        return create(self, listener_arn, conditions, priority, actions, tags)
