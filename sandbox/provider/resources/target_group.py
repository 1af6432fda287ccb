"""Target groups of instances, behind application and network load balancers."""

from __future__ import annotations

import re
from functools import partial
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
    Kind,
    ResourceType,
    block,
    boolean,
    integer,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props

_GROUP_ATTRIBUTES: Final[Attributes] = {
    "deregistrationDelay": ("deregistration_delay.timeout_seconds", 300),
    "slowStart": ("slow_start.duration_seconds", 0),
    "loadBalancingAlgorithmType": ("load_balancing.algorithm.type", "round_robin"),
    "loadBalancingCrossZoneEnabled": ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
}
_NETWORK_ATTRIBUTES: Final[Attributes] = {
    "connectionTermination": ("deregistration_delay.connection_termination.enabled", False),
    "deregistrationDelay": ("deregistration_delay.timeout_seconds", 300),
    "loadBalancingCrossZoneEnabled": ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
    "preserveClientIp": ("preserve_client_ip.enabled", "true"),
}
_STICKINESS: Final[Attributes] = {
    "enabled": ("stickiness.enabled", False),
    "type": ("stickiness.type", "lb_cookie"),
    "cookieDuration": ("stickiness.lb_cookie.duration_seconds", 86400),
}
_OF_HTTP: Final = frozenset({"slowStart", "loadBalancingAlgorithmType", "protocolVersion", "stickiness"})
_OF_TCP: Final = frozenset({"connectionTermination", "preserveClientIp"})
_GROUP_GONE: Final = "TargetGroupNotFound"

# property of `healthCheck` -> name in Create- and ModifyTargetGroup, and in descriptions
_HEALTH_CHECK: Final = {
    "enabled": "HealthCheckEnabled",
    "healthyThreshold": "HealthyThresholdCount",
    "interval": "HealthCheckIntervalSeconds",
    "path": "HealthCheckPath",
    "port": "HealthCheckPort",
    "protocol": "HealthCheckProtocol",
    "timeout": "HealthCheckTimeoutSeconds",
    "unhealthyThreshold": "UnhealthyThresholdCount",
}


def _health_check(news: Props) -> dict[str, Any]:
    check = news.get("healthCheck", {})
    arguments = {asked: check[name] for name, asked in _HEALTH_CHECK.items() if name in check}
    if "matcher" in check:
        arguments["Matcher"] = {"HttpCode": check["matcher"]}
    return arguments


def _create_group(aws: Aws, news: Props) -> str:
    with doing(aws.elbv2, f"reading ELBv2 Target Group ({news['name']})"):
        if find(aws.elbv2.describe_target_groups, _GROUP_GONE, Names=[news["name"]]):
            raise OperationFailed(f"ELBv2 Target Group ({news['name']}) already exists")
    with doing(aws.elbv2, f"creating ELBv2 Target Group ({news['name']})"):
        made = aws.elbv2.create_target_group(
            **without_none(
                Name=news["name"],
                Port=news["port"],
                Protocol=news["protocol"],
                ProtocolVersion=news.get("protocolVersion"),
                TargetType=news["targetType"],
                VpcId=news["vpcId"],
                IpAddressType=news.get("ipAddressType"),
            ),
            **_health_check(news),
            **tag_arguments(news),
        )
    return str(made["TargetGroups"][0]["TargetGroupArn"])


def _attributes(protocol: str) -> Attributes:
    return _NETWORK_ATTRIBUTES if protocol == "TCP" else _GROUP_ATTRIBUTES


def _group_attributes(news: Props, olds: Props | None) -> list[dict[str, str]]:
    attributes = attributes_to_set(_attributes(news["protocol"]), news, olds)
    if "stickiness" in news:
        before = None if olds is None else olds.get("stickiness", {})
        attributes += attributes_to_set(_STICKINESS, news["stickiness"], before)
    return attributes


def _settle_group(aws: Aws, identifier: str, news: Props) -> None:
    _modify_group(aws, identifier, _group_attributes(news, None))


def _modify_group(aws: Aws, identifier: str, attributes: list[dict[str, str]]) -> None:
    if attributes:
        with doing(aws.elbv2, f"modifying ELBv2 Target Group ({identifier}) attributes"):
            aws.elbv2.modify_target_group_attributes(TargetGroupArn=identifier, Attributes=attributes)


def _read_group(aws: Aws, identifier: str, known: Props) -> Props | None:
    with doing(aws.elbv2, f"reading ELBv2 Target Group ({identifier})"):
        found = find(aws.elbv2.describe_target_groups, _GROUP_GONE, TargetGroupArns=[identifier])
        if found is None:
            return None
        live = aws.elbv2.describe_target_group_attributes(TargetGroupArn=identifier)["Attributes"]
        tags = tags_of(aws, identifier, known)
    check = {name: found[asked] for name, asked in _HEALTH_CHECK.items() if asked in found}
    if matcher := found.get("Matcher", {}).get("HttpCode"):
        check["matcher"] = matcher
    return {
        "arn": identifier,
        "arnSuffix": identifier.rpartition(":")[2],
        "name": found["TargetGroupName"],
        "port": found.get("Port"),
        "protocol": found.get("Protocol"),
        "protocolVersion": found.get("ProtocolVersion"),
        "targetType": found["TargetType"],
        "vpcId": found.get("VpcId"),
        "ipAddressType": found.get("IpAddressType"),
        "loadBalancerArns": found.get("LoadBalancerArns", []),
        "healthCheck": check,
        **attributes_read(TARGET_GROUP.properties, _attributes(found["Protocol"]), live),
        "stickiness": attributes_read(TARGET_GROUP.properties["stickiness"].fields, _stickiness(found), live),
        **tags,
    }


def _stickiness(found: Any) -> Attributes:
    """One of TCP knows no cookies."""
    return {name: _STICKINESS[name] for name in ("enabled", "type")} if found["Protocol"] == "TCP" else _STICKINESS


def _fitting(inputs: Props) -> tuple[str, str] | None:
    """Terraform's CustomizeDiff; and what groups of one protocol have, and those of the other not."""
    check, protocol = inputs.get("healthCheck", {}), inputs["protocol"]
    if isinstance(check, dict) and check.get("protocol") == "TCP":
        for name in ("matcher", "path"):
            if name in check:
                reason = f'Attribute "healthCheck.{name}" cannot be specified when "healthCheck.protocol" is "TCP".'
                return f"healthCheck.{name}", f"Invalid Attribute Combination. {reason}"
        if protocol == "HTTP":
            reason = 'Attribute "healthCheck.protocol" cannot have value "TCP" when "protocol" is "HTTP".'
            return "healthCheck.protocol", reason
    given = set(inputs) - set(inputs.get(DEFAULTS, ()))
    foreign = given & (_OF_HTTP if protocol == "TCP" else _OF_TCP)
    if protocol in ("TCP", "HTTP") and foreign:
        name = min(foreign)
        return name, f"a target group of {protocol} has no {name}: The provided target group attribute is not supported"
    return None


def _update_group(aws: Aws, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "healthCheck" in changed:
        with doing(aws.elbv2, f"modifying ELBv2 Target Group ({identifier})"):
            aws.elbv2.modify_target_group(TargetGroupArn=identifier, **_health_check(news))
    _modify_group(aws, identifier, _group_attributes(news, olds))


def _delete_group(aws: Aws, identifier: str, olds: Props) -> None:
    with doing(aws.elbv2, f"deleting ELBv2 Target Group ({identifier})"), absent(_GROUP_GONE):
        # The listener that named it may have been changed or deleted only a moment ago.
        call = partial(aws.elbv2.delete_target_group, TargetGroupArn=identifier)
        what = f"ELBv2 Target Group ({identifier}) delete"
        said = "is currently in use by a listener or a rule"
        aws.retry(what, ("ResourceInUse",), call, timeout=aws.timeout(2 * MINUTE), saying=said)


TARGET_GROUP = ResourceType(
    token="aws:lb/targetGroup:TargetGroup",
    properties={
        "name": NAME,
        "port": integer(required=True, replaces=True, at_least=1, at_most=65535),
        "protocol": text(
            required=True,
            replaces=True,
            choices=("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"),
            only=("HTTP", "TCP"),
        ),
        "protocolVersion": text(computed=True, replaces=True, choices=("GRPC", "HTTP1", "HTTP2"), only=("HTTP1",)),
        "targetType": text(
            default="instance", replaces=True, choices=("instance", "ip", "lambda", "alb"), only=("instance",)
        ),
        "vpcId": text(required=True, replaces=True),
        "ipAddressType": text(computed=True, replaces=True, choices=("ipv4", "ipv6"), only=("ipv4",)),
        "connectionTermination": boolean(computed=True),
        "preserveClientIp": text(
            computed=True, pattern=re.compile("true|false"), pattern_reason="must be true or false"
        ),
        "deregistrationDelay": integer(default=300, at_least=0, at_most=3600),
        "slowStart": integer(default=0, at_least=30, at_most=900, besides=(0,)),
        "loadBalancingAlgorithmType": text(
            computed=True,
            choices=("round_robin", "least_outstanding_requests", "weighted_random"),
            only=("round_robin",),
        ),
        "loadBalancingCrossZoneEnabled": text(
            computed=True,
            choices=("true", "false", "use_load_balancer_configuration"),
            only=("true", "use_load_balancer_configuration"),
        ),
        "healthCheck": block(
            {
                "enabled": boolean(default=True),
                "healthyThreshold": integer(default=3, at_least=2, at_most=10),
                "interval": integer(default=30, at_least=5, at_most=300),
                "matcher": text(computed=True),
                "path": text(computed=True, pattern=re.compile(r"/.{0,1023}"), pattern_reason='must begin with "/"'),
                "port": text(
                    default="traffic-port",
                    pattern=re.compile(r"traffic-port|\d{1,5}"),
                    pattern_reason='must be a valid port number (1-65535) or "traffic-port"',
                ),
                "protocol": text(default="HTTP", choices=("HTTP", "HTTPS", "TCP"), only=("HTTP", "TCP")),
                "timeout": integer(computed=True, at_least=2, at_most=120),
                "unhealthyThreshold": integer(default=3, at_least=2, at_most=10),
            },
            computed=True,
        ),
        "stickiness": block(
            {
                "enabled": boolean(default=True),
                "type": text(
                    required=True,
                    choices=("lb_cookie", "app_cookie", "source_ip", "source_ip_dest_ip", "source_ip_dest_ip_proto"),
                    only=("lb_cookie",),
                ),
                "cookieDuration": integer(default=86400, at_least=0, at_most=604800),
            },
            refused="cookieName",
            computed=True,
        ),
        "lambdaMultiValueHeadersEnabled": boolean(default=False, only=(False,)),
        "proxyProtocolV2": boolean(default=False, only=(False,)),
        "arn": output(),
        "arnSuffix": output(),
        "loadBalancerArns": output(Kind.SET),
        **TAGS,
    },
    refused=names(
        "loadBalancingAnomalyMitigation namePrefix targetControlPort "
        "targetFailovers targetGroupHealth targetHealthStates"
    ),
    name_limit=NAME_LIMIT,
    rules=(_fitting,),
    create=_create_group,
    settle=_settle_group,
    read=_read_group,
    update=_update_group,
    delete=_delete_group,
    retag=retag,
)
