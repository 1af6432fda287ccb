"""Listeners of HTTP, HTTPS, TCP and TLS, and their default actions."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.aws import Aws, absent, doing, without_none
from sandbox.provider.check import DEFAULTS
from sandbox.provider.resources.elbv2 import (
    Attributes,
    attributes_read,
    attributes_to_set,
    find,
    retag,
    tag_arguments,
    tags_of,
)
from sandbox.provider.resources.listener_action import ACTIONS, complete, from_actions, to_actions
from sandbox.provider.table import TAGS, ResourceType, arn, integer, names, output, text
from sandbox.provider.wire import Props

_LISTENER_GONE: Final = "ListenerNotFound"
_ATTRIBUTES: Final[Attributes] = {"tcpIdleTimeoutSeconds": ("tcp.idle_timeout.seconds", 350)}


def _settings(news: Props) -> dict[str, Any]:
    """What a create and a change ask for alike."""
    certificate = news.get("certificateArn")
    return {
        "Port": news["port"],
        "Protocol": news.get("protocol", "HTTP"),
        "DefaultActions": to_actions(news["defaultActions"]),
        **without_none(
            SslPolicy=news.get("sslPolicy"),
            Certificates=[{"CertificateArn": certificate}] if certificate else None,
            AlpnPolicy=[news["alpnPolicy"]] if news.get("alpnPolicy") else None,
        ),
    }


def _create_listener(aws: Aws, news: Props) -> str:
    balancer = news["loadBalancerArn"]
    with doing(aws.elbv2, f"creating ELBv2 Listener ({balancer})"):
        made = aws.elbv2.create_listener(LoadBalancerArn=balancer, **_settings(news), **tag_arguments(news))
    return str(made["Listeners"][0]["ListenerArn"])


def _settle_listener(aws: Aws, identifier: str, news: Props) -> None:
    _modify_attributes(aws, identifier, news, None)


def _modify_attributes(aws: Aws, identifier: str, news: Props, olds: Props | None) -> None:
    attributes = attributes_to_set(_ATTRIBUTES, news, olds) if news.get("protocol") == "TCP" else []
    if attributes:
        with doing(aws.elbv2, f"modifying ELBv2 Listener ({identifier}) attributes"):
            aws.elbv2.modify_listener_attributes(ListenerArn=identifier, Attributes=attributes)


def _read_listener(aws: Aws, identifier: str, known: Props) -> Props | None:
    with doing(aws.elbv2, f"reading ELBv2 Listener ({identifier})"):
        found = find(aws.elbv2.describe_listeners, _LISTENER_GONE, ListenerArns=[identifier])
        if found is None:
            return None
        tags = tags_of(aws, identifier, known)
        is_tcp = found["Protocol"] == "TCP"
        live = aws.elbv2.describe_listener_attributes(ListenerArn=identifier)["Attributes"] if is_tcp else []
    # AWS has the default certificate here alone.
    certificates = found.get("Certificates") or [{}]
    secured = {"sslPolicy": found.get("SslPolicy"), "certificateArn": certificates[0].get("CertificateArn")}
    return {
        "arn": identifier,
        "loadBalancerArn": found["LoadBalancerArn"],
        "port": found["Port"],
        "protocol": found["Protocol"],
        "defaultActions": from_actions(found["DefaultActions"], known.get("defaultActions", [])),
        **(secured if found["Protocol"] in ("HTTPS", "TLS") else {}),
        **({"alpnPolicy": (found.get("AlpnPolicy") or [None])[0]} if found["Protocol"] == "TLS" else {}),
        **(attributes_read(LISTENER.properties, _ATTRIBUTES, live) if is_tcp else {}),
        **tags,
    }


def _update_listener(aws: Aws, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed & {"port", "protocol", "defaultActions", "sslPolicy", "certificateArn", "alpnPolicy"}:
        with doing(aws.elbv2, f"modifying ELBv2 Listener ({identifier})"):
            aws.elbv2.modify_listener(ListenerArn=identifier, **_settings(news))
    _modify_attributes(aws, identifier, news, olds if olds.get("protocol") == "TCP" else None)


def _delete_listener(aws: Aws, identifier: str, olds: Props) -> None:
    with doing(aws.elbv2, f"deleting ELBv2 Listener ({identifier})"), absent(_LISTENER_GONE):
        aws.elbv2.delete_listener(ListenerArn=identifier)


def _unseen(inputs: Props) -> frozenset[str]:
    return frozenset() if inputs.get("protocol") == "TCP" else frozenset({"tcpIdleTimeoutSeconds"})


def _of_its_protocol(inputs: Props) -> tuple[str, str] | None:
    given, protocol = set(inputs) - set(inputs.get(DEFAULTS, ())), inputs.get("protocol")
    for name, wanted in (("alpnPolicy", "TLS"), ("tcpIdleTimeoutSeconds", "TCP")):
        if name in given and isinstance(protocol, str) and protocol != wanted:
            return name, f"the sandbox takes {name} for listeners of {wanted} only: one of {protocol} has no such thing"
    return None


LISTENER = ResourceType(
    token="aws:lb/listener:Listener",
    properties={
        "loadBalancerArn": arn(required=True, replaces=True),
        "port": integer(required=True, at_least=1, at_most=65535),
        "protocol": text(
            computed=True,
            choices=("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"),
            only=("HTTP", "HTTPS", "TCP", "TLS"),
        ),
        "certificateArn": arn(),
        "sslPolicy": text(computed=True),
        "alpnPolicy": text(choices=("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None")),
        "tcpIdleTimeoutSeconds": integer(default=350, at_least=60, at_most=6000),
        "defaultActions": ACTIONS,
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
        "mutualAuthentication"
    ),
    rules=(complete("defaultActions"), _of_its_protocol),
    unseen=_unseen,
    create=_create_listener,
    settle=_settle_listener,
    read=_read_listener,
    update=_update_listener,
    delete=_delete_listener,
    retag=retag,
)
