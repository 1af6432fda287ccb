"""What the load balancers do with a request or a connection, as frozen values: listeners, rules, target groups.

Pure: no sockets, no moto. `balancers.py` makes these from moto's tables; `proxy.py`, `flows.py` and `health.py` follow
them.
Sources of the rules: the Elastic Load Balancing guides on listener rules (condition types, wildcards, priorities).
Not here yet: authentication actions.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Request:
    """The part of a request that rules look at. Header names in lower case."""

    method: str
    host: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    source: str


@lru_cache(maxsize=1024)
def _wildcard(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _any_matches(patterns: tuple[str, ...], value: str, *, ignore_case: bool) -> bool:
    return any(_wildcard(pattern, ignore_case).fullmatch(value) for pattern in patterns)


@dataclass(frozen=True)
class Condition:
    """One condition of a rule, by AWS's name of its field. Its values are alternatives."""

    field: str
    values: tuple[str, ...] = ()
    header: str = ""
    pairs: tuple[tuple[str | None, str], ...] = ()

    def holds(self, request: Request) -> bool:
        match self.field:
            case "host-header":
                return _any_matches(self.values, request.host.rpartition(":")[0] or request.host, ignore_case=True)
            case "path-pattern":
                return _any_matches(self.values, request.path, ignore_case=False)
            case "http-header":
                return any(
                    _any_matches(self.values, value, ignore_case=True)
                    for name, value in request.headers
                    if name == self.header.lower()
                )
            case "http-request-method":
                return request.method in self.values
            case "query-string":
                given = parse_qsl(request.query, keep_blank_values=True)
                return any(
                    (key is None or _any_matches((key,), name, ignore_case=True))
                    and _any_matches((wanted,), value, ignore_case=True)
                    for key, wanted in self.pairs
                    for name, value in given
                )
            case "source-ip":
                return any(ipaddress.ip_address(request.source) in ipaddress.ip_network(net) for net in self.values)
            case _:
                return False


@dataclass(frozen=True)
class Forward:
    """To one of these target groups (ARN, weight); `sticky_seconds` is how long a client stays, None: not at all."""

    groups: tuple[tuple[str, int], ...]
    sticky_seconds: int | None = None

    @property
    def arns(self) -> tuple[str, ...]:
        return tuple(arn for arn, _ in self.groups)

    def choose(self, point: float) -> str | None:
        """The ARN of the group at this point, from 0 to below 1, of the whole weight; None if there is no weight."""
        left = point * sum(weight for _, weight in self.groups)
        for arn, weight in self.groups:
            if left < weight:
                return arn
            left -= weight
        return None


@dataclass(frozen=True)
class FixedResponse:
    status: int
    content_type: str = "text/plain"
    body: str = ""


@dataclass(frozen=True)
class Redirect:
    status: int
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"

    def location(self, request: Request, *, port: int, protocol: str) -> str:
        """The URL, with AWS's placeholders filled in and a default port left out."""
        known = {
            "protocol": protocol,
            "host": request.host.rpartition(":")[0] or request.host,
            "port": str(port),
            "path": request.path.removeprefix("/"),
            "query": request.query,
        }

        def fill(text: str) -> str:
            return re.sub(r"#\{(\w+)\}", lambda match: known.get(match[1], match[0]), text)

        to_protocol, to_port, query = fill(self.protocol).lower(), fill(self.port), fill(self.query)
        is_default = (to_protocol, to_port) in (("http", "80"), ("https", "443"))
        place = fill(self.host) + ("" if is_default else f":{to_port}")
        return f"{to_protocol}://{place}{fill(self.path)}" + (f"?{query}" if query else "")


Action = Forward | FixedResponse | Redirect


@dataclass(frozen=True)
class Rule:
    conditions: tuple[Condition, ...]
    action: Action


@dataclass(frozen=True)
class Certificate:
    """In PEM: the certificate with the chain behind it, and its key."""

    arn: str
    chain: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Tls:
    """How a listener speaks TLS: a policy of AWS's, and certificates, of which the first is the default."""

    policy: str
    certificates: tuple[Certificate, ...]
    protocols: tuple[str, ...] = ("http/1.1",)  # that clients may agree on (ALPN), the most wanted first


@dataclass(frozen=True)
class Attributes:
    """Those of a load balancer that its traffic shows."""

    idle_timeout_seconds: float = 60
    keep_alive_seconds: float = 3600
    drops_invalid_fields: bool = False
    preserves_host: bool = False
    forwarded_for: str = "append"  # or preserve, remove
    adds_client_port: bool = False
    adds_tls_fields: bool = False


@dataclass(frozen=True)
class Listener:
    """A port of a load balancer. `rules` in the order of their priority; the default action comes last."""

    arn: str
    address: str
    port: int
    default: Action
    rules: tuple[Rule, ...] = ()
    tls: Tls | None = None
    attributes: Attributes = Attributes()
    balancer_arn: str = ""
    is_network: bool = False  # of a Network Load Balancer: it deals out connections, and knows no requests

    @property
    def protocol(self) -> str:
        return "https" if self.tls else "http"

    def action_for(self, request: Request) -> Action:
        for rule in self.rules:
            if all(condition.holds(request) for condition in rule.conditions):
                return rule.action
        return self.default

    def group_arns(self) -> set[str]:
        actions = [self.default, *(rule.action for rule in self.rules)]
        return {arn for action in actions if isinstance(action, Forward) for arn in action.arns}


@dataclass(frozen=True)
class Check:
    """How the targets of a group are probed. `port` None means the target's own, `path` None no request at all."""

    path: str | None = "/"
    port: int | None = None
    interval_seconds: float = 30
    timeout_seconds: float = 5
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    matcher: str = "200"
    host: str = ""  # that a request is for; empty: the target
    says_why: bool = True  # an Application Load Balancer's does; a Network one's says only that it failed

    def accepts(self, status: int) -> bool:
        for part in self.matcher.split(","):
            low, _, high = part.strip().partition("-")
            if int(low) <= status <= int(high or low):
                return True
        return False


@dataclass(frozen=True)
class Member:
    """A registered target. Without an address it can't be reached: its machine is stopped."""

    id: str
    port: int
    address: str | None
    is_draining: bool = False


@dataclass(frozen=True)
class Group:
    """A target group; `sticky_seconds` is how long a client stays with its target, None: not at all."""

    arn: str
    check: Check = Check()
    members: tuple[Member, ...] = ()
    sticky_seconds: int | None = None
    is_http_2: bool = False  # gRPC too
    keeps_deregistered: bool = False  # connections that are there at the end of a deregistration stay
    ends_unhealthy: bool = False  # those to a target that turns unhealthy are ended


@dataclass(frozen=True)
class Table:
    """Everything that the data plane follows."""

    listeners: tuple[Listener, ...] = ()
    groups: tuple[Group, ...] = ()
    used_arns: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        used = frozenset(arn for listener in self.listeners for arn in listener.group_arns())
        object.__setattr__(self, "used_arns", used)
