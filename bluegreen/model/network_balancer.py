"""The other kind of load balancer: a Network Load Balancer passes connections on, and knows of no request. Pure.

What an Application Load Balancer does with requests it can't do; what a config asks of it nevertheless is a fault, by
name. Sources: Network Load Balancers guide and ELB API, "LoadBalancerAttribute", "ListenerAttribute".
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bluegreen.model.attest import DEFAULT as DEFAULT_ATTEST

if TYPE_CHECKING:
    from bluegreen.model.settings import Settings


class LoadBalancer(StrEnum):
    """AWS's own words for the types of load balancers."""

    APPLICATION = "application"
    NETWORK = "network"


class HealthProtocol(StrEnum):
    """How machines are asked whether they are well. TCP: whether they take a connection."""

    HTTP = "http"
    TCP = "tcp"


STREAMS = {"http": "tcp", "https": "tls"}
"""What the schemes of URLs are without HTTP."""

SETTLED_SECONDS = 600
"""How long new connections may still be passed on as they were before a change of the listener: so long Amazon ECS
waits after each shift of a Network Load Balancer's (ECS Developer Guide, "Network Load Balancer resources for Amazon
ECS blue/green, linear and canary deployments")."""

CONNECTION_SECONDS = SETTLED_SECONDS
"""By default connections have until then. Those that are silent are closed after 350 s by the load balancer itself."""

MAX_CONNECTION_SECONDS = 3600
"""AWS itself leaves connections for no longer where they are (Network Load Balancers guide, "Update a listener for your
Network Load Balancer")."""

MAX_IDLE_SECONDS = {LoadBalancer.APPLICATION: 4000, LoadBalancer.NETWORK: 6000}
"""Guides to each kind of load balancer, "Connection idle timeout"."""

MIN_IDLE_SECONDS = 60
"""Of a TCP listener; 6000 at most, and 350 where nothing is said. Of a TLS listener it is 350 for good."""


def is_network(arn: str) -> bool:
    """Whether a load balancer or a listener, by its ARN, is of this kind."""
    return ":listener/net/" in arn or ":loadbalancer/net/" in arn


def url_of(url: str, *, speaks_http: bool) -> str:
    """The same, of an app that speaks another protocol: `tcp://...`, and `tls://...` in place of HTTPS."""
    scheme, rest = url.split(":", 1)
    return url if speaks_http else f"{STREAMS[scheme]}:{rest}"


def faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """What a config asks of a Network Load Balancer that it can't do: path and message.

    The engine fills in defaults: what has its default was not asked for, and is left out.
    """
    yield from _of_the_balancer(settings)
    yield from _of_its_metrics(settings)
    if settings.health_check.protocol is HealthProtocol.TCP:
        yield from _without_http(settings)


def _of_the_balancer(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.listener:
        yield "listener", "names a listener of an Application Load Balancer, and loadBalancer is network; leave one out"
    if settings.web_acl:
        yield "webAcl", "a web ACL stands before Application Load Balancers alone; leave it out"
    if settings.tls and settings.tls.redirect_port and "redirect_port" in _given(settings.tls):
        yield "tls.redirectPort", "a Network Load Balancer answers no requests, so it can't redirect any; leave it out"
    if settings.access_logs and not settings.tls:
        yield "accessLogs", "a Network Load Balancer logs TLS connections alone; set tls, or leave it out"
    for name, path in (
        ("group_stickiness_seconds", "groupStickinessSeconds"),
        ("target_stickiness_seconds", "targetStickinessSeconds"),
    ):
        if getattr(settings, name):
            yield path, "sticks clients by a cookie, and a Network Load Balancer sees none; leave it out"
    if settings.idle_timeout_seconds and settings.tls:
        yield "idleTimeoutSeconds", "the TLS listeners of a Network Load Balancer close after 350 s; leave it out"
    elif 0 < settings.idle_timeout_seconds < MIN_IDLE_SECONDS:
        message = f"{settings.idle_timeout_seconds} should be {MIN_IDLE_SECONDS} to 6000 for a Network Load Balancer"
        yield "idleTimeoutSeconds", message


def _of_its_metrics(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.scaling.requests_per_target:
        yield (
            "scaling.requestsPerTarget",
            "a Network Load Balancer counts no requests; use cpuPercent, or steps on a metric of the app's own",
        )
    alarms = settings.alarms
    for name, path, what in (
        ("error_percent", "alarms.errorPercent", "sees no 5xx"),
        ("latency_seconds", "alarms.latencySeconds", "measures no answers"),
    ):
        if getattr(alarms, name) not in (0, type(alarms).model_fields[name].default):
            yield (
                path,
                f"a Network Load Balancer {what}; leave it out, and put an alarm on a metric of the app's own into "
                "soakAlarms",
            )


def _without_http(settings: Settings) -> Iterator[tuple[str, str]]:
    """Machines that are asked by TCP speak no HTTP that anybody may rely on."""
    why = "asks by HTTP, and healthCheck.protocol is tcp; leave it out"
    if settings.smoke_tests:
        yield "smokeTests", f"{why}, and let gateCommand ask the new release in its own protocol"
    if settings.attest.is_on and settings.attest != DEFAULT_ATTEST:
        yield "attest", why


def _given(part: object) -> set[str]:
    """The keys that a config has of a part of it."""
    given: set[str] = getattr(part, "model_fields_set", set())
    return given
