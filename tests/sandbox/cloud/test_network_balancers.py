"""The API of Network Load Balancers: what they have, what they start with, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.keys import KeyPair
from tests.sandbox.cloud.site import weighted
from tests.sandbox.cloud.world import Aws

_API = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference"
_GUIDE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/network"
_IDLE = f"{_GUIDE}/update-idle-timeout.html"
_CREATE_GROUP = f"{_API}/API_CreateTargetGroup.html"
_PROTOCOLS = "https://github.com/hashicorp/terraform-provider-aws/issues/4955"
_numbers = itertools.count(1)
FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
REDIRECT = {"Type": "redirect", "RedirectConfig": {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}}
TCP = {"Protocol": "TCP", "HealthCheckPath": None}


def said(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as fault:
        call(**arguments)
    return f"{fault.value.response['Error']['Code']}: {fault.value.response['Error']['Message']}"


class Made:
    """A Network Load Balancer that forwards TCP to a group, and an Application Load Balancer beside it."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self.security_group = aws.ec2.create_security_group(
            GroupName=f"of-{next(_numbers)}", Description="of a load balancer", VpcId=aws.vpc
        )["GroupId"]
        self.balancer = aws.balancer(Type="network")
        self.group = aws.target_group(**TCP)
        self.listener = aws.listener(self.balancer, self.group, protocol="TCP")
        self.application = aws.balancer()

    def attributes(self, of: str) -> dict[str, str]:
        elb = self.aws.elb
        match of.split(":")[5].partition("/")[0]:
            case "loadbalancer":
                found = elb.describe_load_balancer_attributes(LoadBalancerArn=of)
            case "listener":
                found = elb.describe_listener_attributes(ListenerArn=of)
            case _:
                found = elb.describe_target_group_attributes(TargetGroupArn=of)
        return {each["Key"]: each["Value"] for each in found["Attributes"]}

    def checks(self, group: str) -> dict[str, Any]:
        found = self.aws.elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]
        names = ("Protocol", "IntervalSeconds", "TimeoutSeconds", "Path")
        check = {name: found[f"HealthCheck{name}"] for name in names if f"HealthCheck{name}" in found}
        counts = {name: int(found[f"{name}ThresholdCount"]) for name in ("Healthy", "Unhealthy")}
        return check | counts | ({"Codes": found["Matcher"]["HttpCode"]} if "Matcher" in found else {})

    def create_group(self, **settings: Any) -> str:
        given = {"Name": f"g-{next(_numbers)}", "Protocol": "TCP", "Port": 80, "VpcId": self.aws.vpc} | settings
        return str(self.aws.elb.create_target_group(**given)["TargetGroups"][0]["TargetGroupArn"])


@pytest.fixture
def made(aws: Aws) -> Made:
    return Made(aws)


@pytest.mark.documented(
    "a Network Load Balancer's ARN has net/, its listeners' too", f"{_API}/API_CreateLoadBalancer.html"
)
def test_its_names_say_what_it_is(made: Made) -> None:
    (found,) = made.aws.elb.describe_load_balancers(LoadBalancerArns=[made.balancer])["LoadBalancers"]
    assert (found["Type"], found["State"]["Code"]) == ("network", "active")
    assert ":loadbalancer/net/" in made.balancer
    assert made.listener.startswith(made.balancer.replace(":loadbalancer/", ":listener/"))
    tags = [{"Key": "team", "Value": "web"}]
    tagged = made.aws.balancer(Type="network", Tags=tags)
    assert made.aws.elb.describe_tags(ResourceArns=[tagged])["TagDescriptions"][0]["Tags"] == tags


def test_one_subnet_is_enough_for_it(aws: Aws) -> None:
    assert aws.balancer(Type="network", Subnets=aws.subnets[:1])


@pytest.mark.documented(
    "cross-zone load balancing of a Network Load Balancer is off by default", f"{_API}/API_LoadBalancerAttribute.html"
)
def test_the_attributes_of_a_new_load_balancer(made: Made) -> None:
    found = made.attributes(made.balancer)
    assert found["load_balancing.cross_zone.enabled"] == found["deletion_protection.enabled"] == "false"
    assert not [key for key in found if key.startswith(("routing.", "idle_timeout", "client_keep_alive", "waf"))]


@pytest.mark.documented(
    "the attributes of a target group of TCP, and their defaults", f"{_API}/API_TargetGroupAttribute.html"
)
def test_the_attributes_of_a_new_target_group(made: Made) -> None:
    assert made.attributes(made.create_group()).items() >= {
        ("deregistration_delay.timeout_seconds", "300"),
        ("deregistration_delay.connection_termination.enabled", "false"),
        ("preserve_client_ip.enabled", "true"),
        ("proxy_protocol_v2.enabled", "false"),
        ("stickiness.enabled", "false"),
        ("stickiness.type", "source_ip"),
        ("target_health_state.unhealthy.connection_termination.enabled", "true"),
    }
    assert made.attributes(made.create_group(TargetType="ip"))["preserve_client_ip.enabled"] == "false"


@pytest.mark.documented("the health checks of a new target group of TCP", f"{_GUIDE}/target-group-health-checks.html")
def test_the_health_checks_of_a_new_target_group(made: Made) -> None:
    by_tcp = {"Protocol": "TCP", "IntervalSeconds": 30, "TimeoutSeconds": 10, "Healthy": 5, "Unhealthy": 2}
    assert made.checks(made.create_group()) == by_tcp
    by_http = by_tcp | {"Protocol": "HTTP", "TimeoutSeconds": 6, "Path": "/", "Codes": "200-399"}
    group = made.create_group(HealthCheckProtocol="HTTP")
    assert made.checks(group) == by_http
    made.aws.elb.modify_target_group(TargetGroupArn=group, Matcher={"HttpCode": "200-299"}, HealthCheckPath="/health")
    assert made.checks(group) == by_http | {"Path": "/health", "Codes": "200-299"}
    made.aws.elb.modify_target_group(TargetGroupArn=group, HealthCheckProtocol="TCP")
    assert made.checks(group) == by_tcp | {"TimeoutSeconds": 6}


@pytest.mark.documented(
    "a listener of TCP has an idle timeout from 60 to 6000 seconds, one of TLS has none to set", _IDLE
)
def test_the_idle_timeout_of_a_listener(made: Made, client: Any) -> None:
    elb = made.aws.elb

    def idle(listener: str, seconds: int) -> dict[str, Any]:
        attribute = {"Key": "tcp.idle_timeout.seconds", "Value": str(seconds)}
        return {"ListenerArn": listener, "Attributes": [attribute]}

    assert made.attributes(made.listener) == {"tcp.idle_timeout.seconds": "350"}
    elb.modify_listener_attributes(**idle(made.listener, 6000))
    assert made.attributes(made.listener) == {"tcp.idle_timeout.seconds": "6000"}
    for seconds in (59, 6001):
        assert "must be between '60-6000'" in said(elb.modify_listener_attributes, **idle(made.listener, seconds))
    pair = KeyPair.signed_by_itself("shop.example")
    arn = client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)["CertificateArn"]
    elb.modify_listener(ListenerArn=made.listener, Protocol="TLS", Certificates=[{"CertificateArn": arn}])
    (found,) = elb.describe_listeners(ListenerArns=[made.listener])["Listeners"]
    assert (found["Protocol"], found["Certificates"]) == ("TLS", [{"CertificateArn": arn}])
    assert "is not supported" in said(elb.modify_listener_attributes, **idle(made.listener, 100))
    elb.modify_listener(ListenerArn=made.listener, Protocol="TCP")
    (found,) = elb.describe_listeners(ListenerArns=[made.listener])["Listeners"]
    assert (found["Protocol"], found.get("Certificates", []), found.get("SslPolicy")) == ("TCP", [], None)
    assert made.attributes(made.listener) == {"tcp.idle_timeout.seconds": "350"}


def _refusals() -> Iterator[Any]:
    def case(what: str, source: str | None, words: str, call: Any) -> Any:
        marks = [pytest.mark.documented(f"refused: {what}", source)] if source else []
        return pytest.param(call, words, id=what, marks=marks)

    def balancer_attribute(key: str, value: str) -> Any:
        attributes = [{"Key": key, "Value": value}]
        return lambda it: said(
            it.aws.elb.modify_load_balancer_attributes, LoadBalancerArn=it.balancer, Attributes=attributes
        )

    def group_attribute(key: str, value: str, *, of_http: bool = False) -> Any:
        attributes = [{"Key": key, "Value": value}]
        return lambda it: said(
            it.aws.elb.modify_target_group_attributes,
            TargetGroupArn=it.aws.target_group() if of_http else it.group,
            Attributes=attributes,
        )

    def listener(*, to: Any, protocol: str = "TCP", of: str = "balancer", **more: Any) -> Any:
        return lambda it: said(
            it.aws.elb.create_listener,
            LoadBalancerArn=getattr(it, of),
            Protocol=protocol,
            Port=9000,
            DefaultActions=[to(it) if callable(to) else to],
            **more,
        )

    def group(**settings: Any) -> Any:
        return lambda it: said(it.create_group, **settings)

    of_http, of_tcp = lambda it: weighted(**{it.aws.target_group(): 1}), lambda it: weighted(**{it.group: 1})
    attributes, groups = f"{_API}/API_LoadBalancerAttribute.html", f"{_API}/API_TargetGroupAttribute.html"
    actions = f"{_API}/API_Action.html"
    yield case(
        "the idle timeout of an Application Load Balancer",
        attributes,
        "'idle_timeout.timeout_seconds' is not supported on load balancers with type 'network'",
        balancer_attribute("idle_timeout.timeout_seconds", "90"),
    )
    yield case(
        "attributes of HTTP",
        attributes,
        "is not supported on load balancers with type 'network'",
        balancer_attribute("routing.http.drop_invalid_header_fields.enabled", "true"),
    )
    unsupported = "InvalidConfigurationRequest: The provided target group attribute is not supported"
    yield case("a slow start", groups, unsupported, group_attribute("slow_start.duration_seconds", "30"))
    yield case("an algorithm", groups, unsupported, group_attribute("load_balancing.algorithm.type", "round_robin"))
    yield case(
        "termination of connections by a target group of HTTP",
        groups,
        unsupported,
        group_attribute("deregistration_delay.connection_termination.enabled", "true", of_http=True),
    )
    yield case(
        "stickiness, which the sandbox has not", None, "as false alone", group_attribute("stickiness.enabled", "true")
    )
    yield case(
        "proxy protocol, which the sandbox has not",
        None,
        "as false alone",
        group_attribute("proxy_protocol_v2.enabled", "true"),
    )
    yield case(
        "a listener of HTTP",
        f"{_API}/API_CreateListener.html",
        "Listener protocol 'HTTP' must be one of",
        listener(to=of_http, protocol="HTTP"),
    )
    yield case("a listener of UDP", None, "The sandbox has no listeners of UDP", listener(to=of_tcp, protocol="UDP"))
    yield case("a target group of HTTP", _PROTOCOLS, "IncompatibleProtocols: ", listener(to=of_http))
    yield case(
        "a target group of TCP at an Application Load Balancer",
        _PROTOCOLS,
        "IncompatibleProtocols: ",
        listener(to=lambda it: weighted(**{it.aws.target_group(**TCP): 1}), protocol="HTTP", of="application"),
    )
    yield case("a redirect", actions, "InvalidLoadBalancerAction: ", listener(to=REDIRECT))
    yield case("a fixed response", actions, "InvalidLoadBalancerAction: ", listener(to=FIXED))
    yield case(
        "stickiness of a target group",
        None,
        "have no target group stickiness",
        listener(to=lambda it: weighted(sticky_seconds=60, **{it.group: 1})),
    )
    yield case(
        "a TLS listener without a certificate",
        f"{_GUIDE}/create-tls-listener.html",
        "A certificate must be specified",
        listener(to=of_tcp, protocol="TLS"),
    )
    yield case(
        "a policy of ALPN for TCP",
        f"{_API}/API_CreateListener.html",
        "for TLS listeners only",
        listener(to=of_tcp, AlpnPolicy=["HTTP1Only"]),
    )
    yield case("a target group of UDP", None, "The sandbox has no target groups of UDP", group(Protocol="UDP"))
    for what, words, settings in (
        ("an interval of less than 5 seconds", "must be between '5' and '300'", {"HealthCheckIntervalSeconds": 4}),
        ("an interval of more than 300 seconds", "must be between '5' and '300'", {"HealthCheckIntervalSeconds": 301}),
        ("a timeout of less than 2 seconds", "must be between '2' and '120'", {"HealthCheckTimeoutSeconds": 1}),
        ("a timeout beyond the interval", "must be smaller than or equal to", {"HealthCheckTimeoutSeconds": 40}),
        ("a health check of TCP with a path", "neither a path nor a matcher", {"HealthCheckPath": "/health"}),
        (
            "a matcher beyond 599",
            "must be within '200-599'",
            {"HealthCheckProtocol": "HTTP", "Matcher": {"HttpCode": "200-600"}},
        ),
        (
            "a health check of TCP for a target group of HTTP",
            "Health check protocol 'TCP' is not supported",
            {"Protocol": "HTTP", "HealthCheckProtocol": "TCP"},
        ),
    ):
        yield case(what, _CREATE_GROUP, words, group(**settings))


@pytest.mark.parametrize(("call", "words"), list(_refusals()))
def test_what_it_has_not_is_refused(made: Made, call: Any, words: str) -> None:
    assert words in call(made)


@pytest.mark.documented(
    "a Network Load Balancer that was made without security groups gets none", f"{_API}/API_SetSecurityGroups.html"
)
def test_security_groups_neither_come_nor_go_altogether(made: Made) -> None:
    elb, ours = made.aws.elb, [made.security_group]
    assert "InvalidConfigurationRequest" in said(
        elb.set_security_groups, LoadBalancerArn=made.balancer, SecurityGroups=ours
    )
    secured = made.aws.balancer(Type="network", SecurityGroups=ours)
    assert "InvalidConfigurationRequest" in said(elb.set_security_groups, LoadBalancerArn=secured, SecurityGroups=[])
    elb.set_security_groups(LoadBalancerArn=secured, SecurityGroups=ours)


@pytest.mark.documented("rules are of Application Load Balancers alone", f"{_API}/API_CreateRule.html")
def test_a_listener_of_tcp_has_no_rules(made: Made) -> None:
    assert "Application Load Balancers only" in said(
        made.aws.elb.create_rule,
        ListenerArn=made.listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/x"]}],
        Actions=[weighted(**{made.group: 1})],
    )


def test_a_rule_of_an_application_load_balancer_forwards_to_no_tcp(made: Made) -> None:
    elb, ours = made.aws.elb, [weighted(**{made.aws.target_group(**TCP): 1})]
    asked = {
        "ListenerArn": made.aws.listener(made.application, FIXED),
        "Priority": 1,
        "Conditions": [{"Field": "path-pattern", "Values": ["/x"]}],
    }
    assert "IncompatibleProtocols" in said(elb.create_rule, **asked, Actions=ours)
    rule = elb.create_rule(**asked, Actions=[FIXED])["Rules"][0]["RuleArn"]
    assert "IncompatibleProtocols" in said(elb.modify_rule, RuleArn=rule, Actions=ours)
    assert elb.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"][0]["Type"] == "fixed-response"


def test_a_listener_is_not_changed_to_what_it_can_not_have(made: Made) -> None:
    elb = made.aws.elb
    group = made.aws.target_group()
    assert "IncompatibleProtocols" in said(
        elb.modify_listener, ListenerArn=made.listener, DefaultActions=[weighted(**{group: 1})]
    )
    assert "InvalidLoadBalancerAction" in said(elb.modify_listener, ListenerArn=made.listener, DefaultActions=[FIXED])
    assert "must be one of" in said(elb.modify_listener, ListenerArn=made.listener, Protocol="HTTP")
    (found,) = elb.describe_listeners(ListenerArns=[made.listener])["Listeners"]
    assert (found["Protocol"], found["DefaultActions"][0]["TargetGroupArn"]) == ("TCP", made.group)
