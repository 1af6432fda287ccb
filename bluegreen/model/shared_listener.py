"""A listener that was there before the stack, and others' services too: which, what of its requests is for the service,
and whether the service can be there. Pure.

The service has three rules of it, one after the other: the preview, for requests with a header from networks that may
see it; no entry, for others with the header; production.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from bluegreen.errors import Fault
from bluegreen.model.observation import Egress, Front
from bluegreen.model.schema import ConfigModel, refusal
from bluegreen.model.tags import LISTENER, Owner, Purpose

PATH = "bluegreen:listener"
PREVIEW_HEADER = "X-Bluegreen-Preview"
"""Of a request that is to see the release which is being proven; its value is the service's name."""

MAX_PRIORITY = 50_000
MOST_OF_A_CONDITION = 3
MOST_OF_A_RULE = 5
"""Values, of all its conditions together (Application Load Balancers guide, "Quotas", "Listener rules")."""

PURPOSES = (Purpose.PREVIEW, Purpose.CLOSED, Purpose.PRODUCTION)
"""Of the rules, in the order of their priorities."""


def _listener(value: str) -> str:
    if re.fullmatch(r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:listener/net/.+", value, re.ASCII):
        raise refusal(f"{value!r} is of a Network Load Balancer, which has no rules; name one of an Application one")
    shape = r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:listener/app/[\w-]+/[0-9a-f]+/[0-9a-f]+"
    if not re.fullmatch(shape, value, re.ASCII):
        raise refusal(
            f"{value!r} is not the ARN of a listener; one looks like "
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/NAME/ID/ID"
        )
    return value


def _host(value: str) -> str:
    """ELB API, HostHeaderConditionConfig."""
    name = value.lower()
    if len(name) > 128 or not re.fullmatch(r"[a-z0-9*?_-]+(\.[a-z0-9*?_-]+)*\.[a-z*?]+", name):
        raise refusal(f"{value!r} is not the whole name of a host; one looks like shop.example.com, or *.example.com")
    return name


def _path(value: str) -> str:
    """ELB API, PathPatternConditionConfig."""
    if not re.fullmatch(r"/[A-Za-z0-9_\-.$/~\"'@:+&*?]{0,127}", value):
        raise refusal(f"{value!r} is not the pattern of a path; one looks like /shop/*")
    return value


def _few(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) > MOST_OF_A_CONDITION:
        raise refusal(f"names {len(value)}, and a rule of AWS takes {MOST_OF_A_CONDITION}")
    if twice := sorted({each for each in value if value.count(each) > 1}):
        raise refusal(f"names {', '.join(twice)} twice")
    return value


class SharedListener(ConfigModel):
    """`hosts` and `paths` (with * and ?) say which of the listener's requests are for the service: those that match one
    of each. `priority`: of the first of three rules, one after the other."""

    arn: Annotated[str, AfterValidator(_listener)]
    priority: int = Field(ge=1, le=MAX_PRIORITY - len(PURPOSES) + 1)
    hosts: Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], AfterValidator(_few)] = ()
    paths: Annotated[tuple[Annotated[str, AfterValidator(_path)], ...], AfterValidator(_few)] = ()

    @model_validator(mode="after")
    def _some(self) -> SharedListener:
        if not self.hosts and not self.paths:
            raise refusal("should have hosts or paths, which say what of the listener's requests is for the service")
        if self.hosts and set(self.hosts[0]) & set("*?"):
            raise refusal(
                f"asks for {self.hosts[0]} first; put a whole name first in hosts: by that one the new release is asked"
            )
        return self

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def balancer(self) -> str:
        """The ARN of its load balancer."""
        return self.arn.replace(":listener/", ":loadbalancer/").rpartition("/")[0]

    @property
    def priorities(self) -> dict[Purpose, int]:
        return {purpose: self.priority + number for number, purpose in enumerate(PURPOSES)}

    def takes_host(self, host: str) -> bool:
        return not self.hosts or _matches(self.hosts, host.lower())

    def takes_path(self, path: str) -> bool:
        """Whether a request path, with its query or not, comes to the service."""
        return not self.paths or _matches(self.paths, path.partition("?")[0])


def faults(
    listener: SharedListener, *, preview_networks: int, names: Iterable[str], asked: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """What other settings have against it: path of the setting, and why. `preview_networks`: how many may see the
    preview. `names`: of the service in DNS. `asked`: settings with the paths that they ask the load balancer for."""
    values = len(listener.hosts) + len(listener.paths) + 1 + preview_networks
    if values > MOST_OF_A_RULE:
        yield (
            "listener",
            f"its hosts and paths, the header and the networks of previewCidrs are {values} values, and a rule of AWS "
            f"takes {MOST_OF_A_RULE}",
        )
    if preview_networks > MOST_OF_A_CONDITION:
        yield "previewCidrs", f"has {preview_networks} networks, and a rule of AWS takes {MOST_OF_A_CONDITION}"
    for name in names:
        if not listener.takes_host(name):
            yield "dns.names", f"{name} is none of listener.hosts, and would lead to another service"
    for where, path in asked:
        if not listener.takes_path(path):
            yield where, f"{path} is none of listener.paths: the load balancer would take it to another service"


def judge(listener: SharedListener, front: Front | None, *, owner: Owner, vpc: str) -> Iterator[Fault]:
    """What keeps a service from being there. `front`: as AWS has the listener. `vpc`: id of the machines'."""
    if front is None:
        yield Fault(f"{PATH}.arn", f"there is no listener {listener.arn}, or this account may not see it")
        return
    if front.balancer.vpc != vpc:
        message = (
            f"its load balancer is in {front.balancer.vpc}, and the machines would be in {vpc}; name that with vpc"
        )
        yield Fault(f"{PATH}.arn", message)
    if front.protocol == "HTTPS" and not listener.hosts:
        message = "is unset, and the listener speaks HTTPS: give the name in its certificate by which users ask for it"
        yield Fault(f"{PATH}.hosts", message)
    wanted = {priority: purpose for purpose, priority in listener.priorities.items()}
    for rule in front.rules:
        is_ours = owner.tags.items() <= rule.tags.items()
        if is_ours and rule.tags.get(LISTENER) == wanted[rule.priority]:
            continue
        whose = f"this service's own {rule.tags.get(LISTENER)} rule" if is_ours else rule.tags.get("Name", "a rule")
        yield Fault(
            f"{PATH}.priority",
            f"{rule.priority} is taken by {whose} ({rule.conditions or 'no condition'}; {rule.arn}); three in a row "
            f"must be free, {min(wanted)} to {max(wanted)}",
        )


def lets_out(egress: Iterable[Egress], port: int, networks: Sequence[str], owner: Owner) -> bool:
    """Whether others' rules let the load balancer reach a port of all of these networks."""
    open_to = [
        ipaddress.ip_network(each.network)
        for each in egress
        if each.network and not owner.tags.items() <= each.tags.items() and _has_port(each, port)
    ]
    return all(
        any(ipaddress.IPv4Network(network).subnet_of(each) for each in open_to if each.version == 4)
        for network in networks
    )


def _has_port(egress: Egress, port: int) -> bool:
    return egress.protocol == "-1" or (egress.protocol in ("tcp", "6") and egress.from_port <= port <= egress.to_port)


def _matches(patterns: Collection[str], text: str) -> bool:
    def pattern(of: str) -> str:
        return "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in of)

    return any(re.fullmatch(pattern(each), text) for each in patterns)
