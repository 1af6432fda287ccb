"""The table that the data plane follows, made from moto's load balancers, listeners, rules and target groups.

Reads moto only; the caller holds `Cloud.lock`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.acm.models import AWS_ROOT_CA, CertBundle, acm_backends
from moto.elbv2.models import ELBv2Backend, FakeListener, FakeLoadBalancer, FakeTargetGroup, elbv2_backends
from moto.iam.models import iam_backends

from sandbox.cloud.routing import (
    Action,
    Attributes,
    Certificate,
    Check,
    Condition,
    FixedResponse,
    Forward,
    Group,
    Listener,
    Member,
    Redirect,
    Rule,
    Table,
    Tls,
)

_CONFIG_OF = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}

_STICKY_SECONDS = 24 * 60 * 60  # unless the target group says otherwise
SECURE = ("HTTPS", "TLS")
IDLE_SECONDS = 350  # of a Network Load Balancer; with TLS there is no other
ALPN = {
    "HTTP1Only": ("http/1.1", "http/1.0"),
    "HTTP2Only": ("h2",),
    "HTTP2Optional": ("http/1.1", "http/1.0", "h2"),
    "HTTP2Preferred": ("h2", "http/1.1", "http/1.0"),
    "None": (),
}


def table(address_of: Callable[[str], str | None]) -> Table:
    """`address_of` gives a target's address by its id; None where it can't be reached now."""
    backends = [backend for account in elbv2_backends.values() for backend in account.values()]
    listeners = [
        _listener(balancer, listener)
        for backend in backends
        for balancer in backend.load_balancers.values()
        for listener in balancer.listeners.values()
    ]
    hosts = {arn: f"{it.address}:{it.port}" for it in listeners if it.is_network for arn in it.group_arns()}
    groups = [
        _group(group, address_of, hosts.get(group.arn, ""))
        for backend in backends
        for group in backend.target_groups.values()
    ]
    return Table(tuple(listeners), tuple(groups))


def refresh_associations(backend: ELBv2Backend) -> None:
    """A target group's load balancers are those whose listeners name it now; moto 5.2.5 only ever adds to them."""
    for group in backend.target_groups.values():
        group.load_balancer_arns = []
    for balancer in backend.load_balancers.values():
        for listener in balancer.listeners.values():
            for arn in group_arns(balancer, listener):
                if arn in backend.target_groups and balancer.arn not in backend.target_groups[arn].load_balancer_arns:
                    backend.target_groups[arn].load_balancer_arns.append(balancer.arn)


def group_arns(balancer: FakeLoadBalancer, listener: FakeListener) -> set[str]:
    """Every target group that this listener names, in its default action or in a rule."""
    return _listener(balancer, listener).group_arns()


def _listener(balancer: FakeLoadBalancer, listener: FakeListener) -> Listener:
    ranked = sorted(listener._non_default_rules.values(), key=lambda rule: int(rule.priority))
    return Listener(
        arn=listener.arn,
        address=balancer.dns_name,
        port=int(listener.port),
        default=_action([action.data for action in listener.default_actions]),
        rules=tuple(
            Rule(tuple(map(_condition, rule.conditions)), _action([action.data for action in rule.actions]))
            for rule in ranked
        ),
        tls=_tls(listener),
        attributes=_of_connections(listener) if is_network(balancer) else _attributes(balancer),
        balancer_arn=balancer.arn,
        is_network=is_network(balancer),
    )


def is_network(balancer: FakeLoadBalancer) -> bool:
    return str(balancer.type) == "network"


def is_of_network(group: FakeTargetGroup) -> bool:
    """Whether this target group is for Network Load Balancers."""
    return str(group.protocol) == "TCP"


def _of_connections(listener: FakeListener) -> Attributes:
    seconds = listener.attributes.get("tcp.idle_timeout.seconds") if listener.protocol == "TCP" else None
    return Attributes(idle_timeout_seconds=float(seconds or IDLE_SECONDS))


def _attributes(balancer: FakeLoadBalancer) -> Attributes:
    known = {key: str(value) for key, value in balancer.attrs.items()}

    def is_set(key: str) -> bool:
        return _is_true(known.get(f"routing.http.{key}.enabled"))

    return Attributes(
        idle_timeout_seconds=float(known.get("idle_timeout.timeout_seconds") or 60),
        keep_alive_seconds=float(known.get("client_keep_alive.seconds") or 3600),
        drops_invalid_fields=is_set("drop_invalid_header_fields"),
        preserves_host=is_set("preserve_host_header"),
        forwarded_for=known.get("routing.http.xff_header_processing.mode") or "append",
        adds_client_port=is_set("xff_client_port"),
        adds_tls_fields=is_set("x_amzn_tls_version_and_cipher_suite"),
    )


def _tls(listener: FakeListener) -> Tls | None:
    if listener.protocol not in SECURE:
        return None
    region, account = listener.arn.split(":")[3:5]
    found = (certificate(arn, region=region, account=account) for arn in listener.certificates)
    certificates = tuple(it for it in found if it)
    if listener.protocol == "HTTPS":
        return Tls(listener.ssl_policy, certificates)
    return Tls(listener.ssl_policy, certificates, ALPN[(listener.alpn_policy or ["None"])[0]])


def certificate(arn: str, *, region: str, account: str) -> Certificate | None:
    """With its key, from ACM or IAM; None if the region has none of that name."""
    if arn.split(":")[2:3] == ["iam"]:
        held = iam_backends[account]["aws"].get_certificate_by_arn(arn)
        return Certificate(arn, _joined(held.cert_body, held.cert_chain), held.private_key) if held else None
    bundle = in_acm(arn, region=region, account=account)
    if bundle is None:
        return None
    # moto ends every chain with a root of Amazon's.
    chain = bundle.chain.replace(AWS_ROOT_CA, b"").decode()
    return Certificate(arn, _joined(bundle.cert.decode(), chain), bundle.key.decode())


def in_acm(arn: str, *, region: str, account: str) -> CertBundle | None:
    bundle = acm_backends[account][region]._certificates.get(arn)
    if bundle:
        bundle.check()
    return bundle


def _joined(body: str, chain: str | None) -> str:
    return "\n".join(part.strip() for part in (body, chain or "") if part.strip())


def _action(actions: list[dict[str, Any]]) -> Action:
    """The one that answers: authentication may come before it."""
    for action in actions:
        match action["Type"]:
            case "forward":
                config = action.get("ForwardConfig") or {"TargetGroups": [{"TargetGroupArn": action["TargetGroupArn"]}]}
                groups = config.get("TargetGroups", [])
                return Forward(
                    tuple((group["TargetGroupArn"], int(group.get("Weight", 1))) for group in groups),
                    sticky_seconds(config),
                )
            case "fixed-response":
                config = action["FixedResponseConfig"]
                content_type = config.get("ContentType") or "text/plain"
                return FixedResponse(int(config["StatusCode"]), content_type, config.get("MessageBody") or "")
            case "redirect":
                config = action["RedirectConfig"]
                return Redirect(
                    int(config["StatusCode"].removeprefix("HTTP_")),
                    *(
                        config.get(key) or default
                        for key, default in (
                            ("Protocol", "#{protocol}"),
                            ("Host", "#{host}"),
                            ("Port", "#{port}"),
                            ("Path", "/#{path}"),
                            ("Query", "#{query}"),
                        )
                    ),
                )
    return Forward(())


def sticky_seconds(config: dict[str, Any]) -> int | None:
    """For how long a ForwardConfig keeps a client in its target group; None if it doesn't."""
    stickiness = config.get("TargetGroupStickinessConfig") or {}
    return int(stickiness.get("DurationSeconds") or 0) if _is_true(stickiness.get("Enabled")) else None


def has_sticky_targets(group: FakeTargetGroup) -> bool:
    return _is_set(group, "stickiness")


def _is_set(group: FakeTargetGroup, attribute: str) -> bool:
    return _is_true(group.attributes.get(f"{attribute}.enabled"))


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _condition(condition: dict[str, Any]) -> Condition:
    field = condition["Field"]
    config = condition.get(_CONFIG_OF.get(field, ""), {})
    values = config.get("Values") or condition.get("Values") or []
    if field == "query-string":
        return Condition(field, pairs=tuple((value.get("Key"), value["Value"]) for value in values))
    return Condition(field, tuple(values), header=config.get("HttpHeaderName", ""))


def _group(group: FakeTargetGroup, address_of: Callable[[str], str | None], host: str) -> Group:
    """`host`: of a Network Load Balancer, whose checks are for it."""
    port = str(group.health_check_port or "traffic-port")
    members = [(target, False) for target in group.targets.values()]
    members += [(drain.target, True) for drain in group.__dict__.get("drains", {}).values()]
    return Group(
        arn=group.arn,
        check=Check(
            path=None if group.health_check_protocol == "TCP" else group.health_check_path or "/",
            port=None if port == "traffic-port" else int(port),
            interval_seconds=float(group.health_check_interval_seconds),
            timeout_seconds=float(group.health_check_timeout_seconds),
            healthy_threshold=int(group.healthy_threshold_count),
            unhealthy_threshold=int(group.unhealthy_threshold_count),
            matcher=str(getattr(group, "matcher", {}).get("HttpCode") or "200"),
            host=host,
            says_why=not is_of_network(group),
        ),
        members=tuple(
            Member(target["Id"], int(target["Port"]), address_of(target["Id"]), is_draining)
            for target, is_draining in members
        ),
        sticky_seconds=(
            int(str(group.attributes.get("stickiness.lb_cookie.duration_seconds") or _STICKY_SECONDS))
            if has_sticky_targets(group)
            else None
        ),
        is_http_2=group.protocol_version in ("HTTP2", "GRPC"),
        keeps_deregistered=is_of_network(group) and not _is_set(group, "deregistration_delay.connection_termination"),
        ends_unhealthy=is_of_network(group) and _is_set(group, "target_health_state.unhealthy.connection_termination"),
    )
