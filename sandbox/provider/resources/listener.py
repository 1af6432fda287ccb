"""HTTP listeners and their default actions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import Aws, absent, doing, without_none
from sandbox.provider.resources.elbv2 import (
    find,
    retag,
    tag_arguments,
    tags_of,
)
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    arn,
    block,
    blocks,
    boolean,
    integer,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props

_LISTENER_GONE: Final = "ListenerNotFound"


def _to_action(action: Props) -> dict[str, Any]:
    asked = without_none(Type=action["type"], Order=action.get("order"))
    if "targetGroupArn" in action:
        asked["TargetGroupArn"] = action["targetGroupArn"]
    if forward := action.get("forward"):
        groups = [{"TargetGroupArn": group["arn"], "Weight": group["weight"]} for group in forward["targetGroups"]]
        asked["ForwardConfig"] = {"TargetGroups": groups}
        if stickiness := forward.get("stickiness"):
            asked["ForwardConfig"]["TargetGroupStickinessConfig"] = {
                "Enabled": stickiness["enabled"],
                "DurationSeconds": stickiness["duration"],
            }
    if fixed := action.get("fixedResponse"):
        asked["FixedResponseConfig"] = without_none(
            ContentType=fixed["contentType"],
            MessageBody=fixed.get("messageBody"),
            StatusCode=fixed.get("statusCode", "200"),
        )
    return asked


def _from_action(action: Mapping[str, Any], known: Props) -> Props:
    """AWS answers with both forms of a forward; the state keeps the form that the program used."""
    state: Props = {"type": action["Type"], "order": action.get("Order", 1)}
    if fixed := action.get("FixedResponseConfig"):
        members = {"contentType": "ContentType", "messageBody": "MessageBody", "statusCode": "StatusCode"}
        state["fixedResponse"] = {name: fixed[asked] for name, asked in members.items() if fixed.get(asked)}
    if action["Type"] != "forward":
        return state
    config = action.get("ForwardConfig", {})
    only = {"TargetGroupArn": action.get("TargetGroupArn"), "Weight": 1}
    groups = config.get("TargetGroups") or [only]
    if "forward" not in known and len(groups) == 1:
        state["targetGroupArn"] = groups[0]["TargetGroupArn"]
        return state
    state["forward"] = {
        "targetGroups": [{"arn": group["TargetGroupArn"], "weight": group.get("Weight", 1)} for group in groups]
    }
    stickiness = config.get("TargetGroupStickinessConfig") or {}
    if stickiness.get("DurationSeconds") or "stickiness" in known.get("forward", {}):
        state["forward"]["stickiness"] = {
            "enabled": stickiness.get("Enabled", False),
            "duration": stickiness.get("DurationSeconds", 0),
        }
    return state


def _create_listener(aws: Aws, news: Props) -> str:
    balancer = news["loadBalancerArn"]
    with doing(aws.elbv2, f"creating ELBv2 Listener ({balancer})"):
        made = aws.elbv2.create_listener(
            LoadBalancerArn=balancer,
            Port=news["port"],
            Protocol=news.get("protocol", "HTTP"),
            DefaultActions=[_to_action(action) for action in news["defaultActions"]],
            **tag_arguments(news),
        )
    return str(made["Listeners"][0]["ListenerArn"])


def _read_listener(aws: Aws, identifier: str, known: Props) -> Props | None:
    with doing(aws.elbv2, f"reading ELBv2 Listener ({identifier})"):
        found = find(aws.elbv2.describe_listeners, _LISTENER_GONE, ListenerArns=[identifier])
        if found is None:
            return None
        tags = tags_of(aws, identifier, known)
    actions = sorted(found["DefaultActions"], key=lambda action: action.get("Order", 1))
    shapes = known.get("defaultActions", [])
    return {
        "arn": identifier,
        "loadBalancerArn": found["LoadBalancerArn"],
        "port": found["Port"],
        "protocol": found["Protocol"],
        "defaultActions": [
            _from_action(action, shapes[index] if index < len(shapes) else {}) for index, action in enumerate(actions)
        ],
        **tags,
    }


def _update_listener(aws: Aws, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed & {"port", "protocol", "defaultActions"}:
        with doing(aws.elbv2, f"modifying ELBv2 Listener ({identifier})"):
            aws.elbv2.modify_listener(
                ListenerArn=identifier,
                Port=news["port"],
                Protocol=news.get("protocol", "HTTP"),
                DefaultActions=[_to_action(action) for action in news["defaultActions"]],
            )


def _delete_listener(aws: Aws, identifier: str, olds: Props) -> None:
    with doing(aws.elbv2, f"deleting ELBv2 Listener ({identifier})"), absent(_LISTENER_GONE):
        aws.elbv2.delete_listener(ListenerArn=identifier)


LISTENER = ResourceType(
    token="aws:lb/listener:Listener",
    properties={
        "loadBalancerArn": arn(required=True, replaces=True),
        "port": integer(required=True, at_least=1, at_most=65535),
        "protocol": text(
            computed=True,
            choices=("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"),
            only=("HTTP",),
        ),
        "defaultActions": blocks(
            {
                "type": text(
                    required=True,
                    choices=("forward", "authenticate-oidc", "authenticate-cognito", "redirect", "fixed-response"),
                    only=("forward", "fixed-response"),
                ),
                "order": integer(computed=True, at_least=1, at_most=50000),
                "targetGroupArn": arn(),
                "forward": block(
                    {
                        "targetGroups": blocks(
                            {"arn": arn(required=True), "weight": integer(default=1, at_least=0, at_most=999)},
                            ordered=False,
                            required=True,
                        ),
                        "stickiness": block(
                            {
                                "duration": integer(required=True, at_least=1, at_most=604800),
                                "enabled": boolean(default=False),
                            },
                            computed=True,
                        ),
                    }
                ),
                "fixedResponse": block(
                    {
                        "contentType": text(
                            required=True,
                            choices=(
                                "text/plain",
                                "text/css",
                                "text/html",
                                "application/javascript",
                                "application/json",
                            ),
                        ),
                        "messageBody": text(),
                        "statusCode": text(
                            computed=True, pattern=re.compile(r"[245]\d\d"), pattern_reason="must be 2XX, 4XX or 5XX"
                        ),
                    }
                ),
            },
            refused="authenticateCognito authenticateOidc jwtValidation redirect",
            required=True,
        ),
        "arn": output(),
        **TAGS,
    },
    refused=names(
        "routingHttpRequestXAmznMtlsClientcertHeaderName "
        "routingHttpRequestXAmznMtlsClientcertIssuerHeaderName "
        "routingHttpRequestXAmznMtlsClientcertLeafHeaderName "
        "routingHttpRequestXAmznMtlsClientcertSerialNumberHeaderName "
        "routingHttpRequestXAmznMtlsClientcertSubjectHeaderName "
        "routingHttpRequestXAmznMtlsClientcertValidityHeaderName "
        "routingHttpRequestXAmznTlsCipherSuiteHeaderName routingHttpRequestXAmznTlsVersionHeaderName "
        "routingHttpResponseAccessControlAllowCredentialsHeaderValue "
        "routingHttpResponseAccessControlAllowHeadersHeaderValue "
        "routingHttpResponseAccessControlAllowMethodsHeaderValue "
        "routingHttpResponseAccessControlAllowOriginHeaderValue "
        "routingHttpResponseAccessControlExposeHeadersHeaderValue "
        "routingHttpResponseAccessControlMaxAgeHeaderValue "
        "routingHttpResponseContentSecurityPolicyHeaderValue routingHttpResponseServerEnabled "
        "routingHttpResponseStrictTransportSecurityHeaderValue "
        "routingHttpResponseXContentTypeOptionsHeaderValue routingHttpResponseXFrameOptionsHeaderValue "
        "alpnPolicy certificateArn mutualAuthentication sslPolicy tcpIdleTimeoutSeconds"
    ),
    create=_create_listener,
    read=_read_listener,
    update=_update_listener,
    delete=_delete_listener,
    retag=retag,
)
