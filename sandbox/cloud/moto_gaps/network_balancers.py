"""Network Load Balancers and their target groups.

Sources: Elastic Load Balancing's API reference (CreateLoadBalancer, CreateTargetGroup, SetSecurityGroups,
LoadBalancerAttribute, TargetGroupAttribute), and the guide. AWS's words as users quote them:
hashicorp/terraform-provider-aws#7047.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, FakeTargetGroup

from sandbox.cloud.balancers import is_network, is_of_network
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("network-arns", "gives a Network Load Balancer the ARN of an Application Load Balancer"),
    Gap("network-attributes", "gives all load balancers and target groups the same attributes"),
    Gap("network-health-checks", "takes 200 alone for a healthy target's answer to a Network Load Balancer"),
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
_INTERVALS, _TIMEOUTS, _CODES = range(5, 300 + 1), range(2, 120 + 1), range(200, 599 + 1)


def fill(cloud: Cloud) -> None:
    _of_balancers()
    _of_groups()


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
        if is_of_network(group):
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
