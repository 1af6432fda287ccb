"""Application and network load balancers."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, OperationFailed, absent, doing, without_none
from sandbox.provider.check import DEFAULTS
from sandbox.provider.resources.elbv2 import (
    NAME,
    NAME_LIMIT,
    Attributes,
    attributes_read,
    attributes_to_set,
    find,
    retag,
    tag_arguments,
    tags_of,
)
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    block,
    boolean,
    integer,
    names,
    output,
    text,
    text_set,
)
from sandbox.provider.wire import Props

_APPLICATION_ATTRIBUTES: Final[Attributes] = {
    "clientKeepAlive": ("client_keep_alive.seconds", 3600),
    "desyncMitigationMode": ("routing.http.desync_mitigation_mode", "defensive"),
    "dropInvalidHeaderFields": ("routing.http.drop_invalid_header_fields.enabled", False),
    "enableDeletionProtection": ("deletion_protection.enabled", False),
    "enableHttp2": ("routing.http2.enabled", True),
    "enableTlsVersionAndCipherSuiteHeaders": ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", False),
    "enableWafFailOpen": ("waf.fail_open.enabled", False),
    "enableXffClientPort": ("routing.http.xff_client_port.enabled", False),
    "enableZonalShift": ("zonal_shift.config.enabled", False),
    "idleTimeout": ("idle_timeout.timeout_seconds", 60),
    "preserveHostHeader": ("routing.http.preserve_host_header.enabled", False),
    "xffHeaderProcessingMode": ("routing.http.xff_header_processing.mode", "append"),
}
_NETWORK_ATTRIBUTES: Final[Attributes] = {
    "enableCrossZoneLoadBalancing": ("load_balancing.cross_zone.enabled", False),
    "enableDeletionProtection": ("deletion_protection.enabled", False),
    "enableZonalShift": ("zonal_shift.config.enabled", False),
}
_OF_APPLICATION_ALONE: Final = frozenset(_APPLICATION_ATTRIBUTES) - frozenset(_NETWORK_ATTRIBUTES)
_BALANCER_GONE: Final = "LoadBalancerNotFound"


def _create_balancer(aws: Aws, news: Props) -> str:
    with doing(aws.elbv2, f"reading ELBv2 Load Balancer ({news['name']})"):
        if find(aws.elbv2.describe_load_balancers, _BALANCER_GONE, Names=[news["name"]]):
            raise OperationFailed(f"ELBv2 Load Balancer ({news['name']}) already exists")
    kind = news["loadBalancerType"]
    with doing(aws.elbv2, f"creating ELBv2 {kind} Load Balancer ({news['name']})"):
        made = aws.elbv2.create_load_balancer(
            Name=news["name"],
            Type=kind,
            Subnets=news["subnets"],
            Scheme="internal" if news.get("internal") else "internet-facing",
            **without_none(SecurityGroups=news.get("securityGroups"), IpAddressType=news.get("ipAddressType")),
            **tag_arguments(news),
        )
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


def _balancer(aws: Aws, identifier: str) -> Any:
    return find(aws.elbv2.describe_load_balancers, _BALANCER_GONE, LoadBalancerArns=[identifier])


def _settle_balancer(aws: Aws, identifier: str, news: Props) -> None:
    what = f"ELBv2 Load Balancer ({identifier}) create"
    with doing(aws.elbv2, f"waiting for {what}"):
        state = lambda: str((_balancer(aws, identifier) or {"State": {"Code": "deleted"}})["State"]["Code"])  # noqa: E731
        aws.wait(what, "active", state, timeout=aws.timeout(10 * MINUTE), failing=("failed", "deleted"))
    _modify_balancer(aws, identifier, [*attributes_to_set(_attributes(news), news, None), *_logging(news, {})])


def _attributes(inputs: Props) -> Attributes:
    return _NETWORK_ATTRIBUTES if _is_network(inputs) else _APPLICATION_ATTRIBUTES


def _is_network(inputs: Props) -> bool:
    return inputs.get("loadBalancerType") == "network"


def _logging(news: Props, olds: Props) -> list[dict[str, str]]:
    """Where the access logs go; what is said no more is turned off."""
    before, logs = olds.get("accessLogs") or {}, news.get("accessLogs") or {}
    if before == logs:
        return []
    if not logs.get("enabled"):
        return [{"Key": "access_logs.s3.enabled", "Value": "false"}]
    values = {"enabled": "true", "bucket": logs["bucket"], "prefix": logs.get("prefix") or ""}
    return [{"Key": f"access_logs.s3.{name}", "Value": value} for name, value in values.items()]


def _logging_read(live: list[dict[str, str]]) -> Props:
    values = {line["Key"].removeprefix("access_logs.s3."): line["Value"] for line in live}
    if values.get("enabled") != "true":
        return {"accessLogs": None}
    return {"accessLogs": {"bucket": values["bucket"], "enabled": True, "prefix": values.get("prefix") or None}}


def _modify_balancer(aws: Aws, identifier: str, attributes: list[dict[str, str]]) -> None:
    if attributes:
        with doing(aws.elbv2, f"modifying ELBv2 Load Balancer ({identifier}) attributes"):
            aws.elbv2.modify_load_balancer_attributes(LoadBalancerArn=identifier, Attributes=attributes)


def _read_balancer(aws: Aws, identifier: str, known: Props) -> Props | None:
    with doing(aws.elbv2, f"reading ELBv2 Load Balancer ({identifier})"):
        found = _balancer(aws, identifier)
        if found is None:
            return None
        live = aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=identifier)["Attributes"]
        tags = tags_of(aws, identifier, known)
    return {
        "arn": identifier,
        "arnSuffix": identifier.partition(":loadbalancer/")[2],
        "name": found["LoadBalancerName"],
        "dnsName": found["DNSName"],
        "zoneId": found["CanonicalHostedZoneId"],
        "vpcId": found.get("VpcId"),
        "internal": found.get("Scheme") == "internal",
        "ipAddressType": found.get("IpAddressType"),
        "loadBalancerType": found["Type"],
        "securityGroups": found.get("SecurityGroups", []),
        "subnets": [zone["SubnetId"] for zone in found["AvailabilityZones"]],
        **attributes_read(LOAD_BALANCER.properties, _attributes({"loadBalancerType": found["Type"]}), live),
        **_logging_read(live),
        **tags,
    }


def _update_balancer(aws: Aws, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    _modify_balancer(aws, identifier, [*attributes_to_set(_attributes(news), news, olds), *_logging(news, olds)])
    setting = f"setting ELBv2 Load Balancer ({identifier})"
    if "securityGroups" in changed:
        with doing(aws.elbv2, f"{setting} security groups"):
            aws.elbv2.set_security_groups(LoadBalancerArn=identifier, SecurityGroups=news["securityGroups"])
    if "subnets" in changed:
        with doing(aws.elbv2, f"{setting} subnets"):
            aws.elbv2.set_subnets(LoadBalancerArn=identifier, Subnets=news["subnets"])
    if "ipAddressType" in changed:
        with doing(aws.elbv2, f"{setting} address type"):
            aws.elbv2.set_ip_address_type(LoadBalancerArn=identifier, IpAddressType=news["ipAddressType"])


def _delete_balancer(aws: Aws, identifier: str, olds: Props) -> None:
    with doing(aws.elbv2, f"deleting ELBv2 Load Balancer ({identifier})"), absent(_BALANCER_GONE):
        aws.elbv2.delete_load_balancer(LoadBalancerArn=identifier)


def _unseen(inputs: Props) -> frozenset[str]:
    """Cross-zone load balancing is always on for an application load balancer, whatever is said."""
    return _OF_APPLICATION_ALONE if _is_network(inputs) else frozenset({"enableCrossZoneLoadBalancing"})


def _of_its_type(inputs: Props) -> tuple[str, str] | None:
    given = (_OF_APPLICATION_ALONE & set(inputs)) - set(inputs.get(DEFAULTS, ()))
    if _is_network(inputs) and given:
        name = min(given)
        return name, f"the sandbox takes {name} for application load balancers only: a network one has no such thing"
    return None


def _network_replaces(state: Props, inputs: Props) -> frozenset[str]:
    """A network load balancer's subnets can only become more; its security groups neither come nor go altogether."""
    if not _is_network(inputs):
        return frozenset()
    groups_before, groups = state.get("securityGroups") or [], inputs.get("securityGroups")
    subnets_before, subnets = state.get("subnets") or [], inputs.get("subnets")
    found = set()
    if isinstance(subnets, list) and set(subnets) != set(subnets_before) and len(subnets) <= len(subnets_before):
        found.add("subnets")
    if isinstance(groups, list) and bool(groups) != bool(groups_before):
        found.add("securityGroups")
    return frozenset(found)


LOAD_BALANCER = ResourceType(
    token="aws:lb/loadBalancer:LoadBalancer",
    properties={
        "name": NAME,
        "internal": boolean(computed=True, replaces=True),
        "ipAddressType": text(
            computed=True,
            choices=("ipv4", "dualstack", "dualstack-without-public-ipv4"),
            only=("ipv4", "dualstack"),
        ),
        "loadBalancerType": text(
            default="application",
            replaces=True,
            choices=("application", "network", "gateway"),
            only=("application", "network"),
        ),
        "securityGroups": text_set(computed=True),
        "subnets": text_set(required=True),
        "accessLogs": block(
            {"bucket": text(required=True), "enabled": boolean(default=False), "prefix": text()},
            suppresses=lambda old, new: not (new or {}).get("enabled") and not (old or {}).get("enabled"),
        ),
        "clientKeepAlive": integer(default=3600, at_least=60, at_most=604800),
        "desyncMitigationMode": text(default="defensive", choices=("monitor", "defensive", "strictest")),
        "dropInvalidHeaderFields": boolean(default=False),
        "enableCrossZoneLoadBalancing": boolean(default=False),
        "enableDeletionProtection": boolean(default=False),
        "enableHttp2": boolean(default=True),
        "enableTlsVersionAndCipherSuiteHeaders": boolean(default=False),
        "enableWafFailOpen": boolean(default=False),
        "enableXffClientPort": boolean(default=False),
        "enableZonalShift": boolean(default=False),
        "idleTimeout": integer(default=60, at_least=1, at_most=4000),
        "preserveHostHeader": boolean(default=False),
        "xffHeaderProcessingMode": text(default="append", choices=("append", "preserve", "remove")),
        "arn": output(),
        "arnSuffix": output(),
        "dnsName": output(),
        "vpcId": output(),
        "zoneId": output(),
        **TAGS,
    },
    refused=names(
        "connectionLogs customerOwnedIpv4Pool dnsRecordClientRoutingPolicy "
        "enablePrefixForIpv6SourceNat enforceSecurityGroupInboundRulesOnPrivateLinkTraffic healthCheckLogs "
        "ipamPools minimumLoadBalancerCapacity namePrefix secondaryIpsAutoAssignedPerSubnet subnetMappings"
    ),
    name_limit=NAME_LIMIT,
    rules=(_of_its_type,),
    also_replaces=_network_replaces,
    unseen=_unseen,
    create=_create_balancer,
    settle=_settle_balancer,
    read=_read_balancer,
    update=_update_balancer,
    delete=_delete_balancer,
    retag=retag,
)
