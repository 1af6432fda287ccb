"""A service behind a load balancer that others have made: what the program declares there, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from bluegreen.components import BalancerArgs, Network, NetworkArgs, SharedBalancerArgs, Stack, make_balancer
from bluegreen.errors import BluegreenError
from bluegreen.model.observation import Balancer as Seen
from bluegreen.model.observation import Egress, Front, Group, HostedZone, Rule, Subnet, Vpc, WayOut
from tests.components.conftest import ELB, FakeHooks, FakeObserver

ARN = f"{ELB}:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
LISTENER = {"arn": ARN, "hosts": ["shop.example.com"], "priority": 100}
CONFIG: dict[str, Any] = {"vpc": {"id": "vpc-00000001"}, "listener": LISTENER, "previewCidrs": ["198.51.100.7/32"]}
PRIVATE = tuple(
    Subnet(
        id=f"subnet-1000000{zone}",
        zone=f"us-east-1{zone}",
        cidr=f"172.31.{number}.0/24",
        free_addresses=100,
        way_out=WayOut.OTHER,
    )
    for number, zone in enumerate("ab")
)
BALANCER = Seen(
    arn=f"{ELB}:loadbalancer/app/shared/50dc6c495c0c9188",
    vpc="vpc-00000001",
    is_internal=True,
    address="shared.elb.test",
    address_zone="ZELB",
    zones=("us-east-1a", "us-east-1b"),
    security_groups=("sg-1", "sg-2"),
)
FRONT = Front(listener=ARN, port=80, protocol="HTTP", balancer=BALANCER, egress=(Egress(network="0.0.0.0/0"),))
RUNNING = Group(
    name="web-1",
    service="web",
    release="00000001",
    minimum=1,
    maximum=6,
    desired=2,
    target_groups=("tg",),
    subnets=tuple(each.id for each in PRIVATE),
)


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeObserver, "own", ())
    monkeypatch.setattr(FakeObserver, "there", (Vpc(id="vpc-00000001", cidr="172.31.0.0/16"),))
    monkeypatch.setattr(FakeObserver, "in_it", PRIVATE)
    monkeypatch.setattr(FakeObserver, "fronts", (FRONT,))


def rule(declared: Any, purpose: str) -> dict[str, Any]:
    return dict(declared.one("ListenerRule", f"web-{purpose}"))


def test_no_load_balancer_is_made_and_three_rules_are(declare: Any) -> None:
    declared = declare(**CONFIG)
    assert not declared.of("LoadBalancer") + declared.of("Listener")
    assert not [each for each in declared.of("SecurityGroup") if each.name != "web-machines"]
    hosts = {"hostHeader": {"values": ["shop.example.com"]}}
    header = {"httpHeader": {"httpHeaderName": "X-Bluegreen-Preview", "values": ["web"]}}
    preview, closed, production = (rule(declared, purpose) for purpose in ("preview", "closed", "production"))
    assert {each["listenerArn"] for each in (preview, closed, production)} == {ARN}
    assert [each["priority"] for each in (preview, closed, production)] == [100, 101, 102]
    assert preview["conditions"] == [hosts, header, {"sourceIp": {"values": ["198.51.100.7/32"]}}]
    assert closed["conditions"] == [hosts, header]
    assert production["conditions"] == [hosts]
    assert closed["actions"][0]["fixedResponse"]["statusCode"] == "403"
    assert "open to 198.51.100.7/32 alone" in closed["actions"][0]["fixedResponse"]["messageBody"]
    (group,) = declared.of("TargetGroup")
    assert preview["actions"] == production["actions"]
    assert production["actions"] == [{"type": "forward", "targetGroupArn": f"arn:TargetGroup:{group.name}"}]
    assert production["tags"]["bluegreen:listener"] == "production"
    assert production["tags"]["bluegreen:service"] == "web"


def test_the_order_is_that_of_listeners(declare: Any) -> None:
    declared = declare(**CONFIG)
    assert declared.bound["ListenerRule web-production"] == "cutover,gate"
    assert "ListenerRule web-preview" not in declared.bound
    (group,) = declared.of("Group")
    dependencies = declared.requests[f"Group {group.name}"].dependencies
    assert any(urn.endswith("::web-preview") for urn in dependencies), "a target group that is not named is not checked"
    dependencies = declared.requests["ListenerRule web-production"].dependencies
    assert any(urn.endswith(f"::{group.name}") for urn in dependencies)
    for purpose in ("preview", "production"):
        dependencies = declared.requests[f"ListenerRule web-{purpose}"].dependencies
        assert any(urn.endswith("::web-closed") for urn in dependencies)


def test_without_networks_for_the_preview_the_vpc_may_see_it(declare: Any) -> None:
    declared = declare(**{**CONFIG, "previewCidrs": None})
    assert {"sourceIp": {"values": ["172.31.0.0/16"]}} in rule(declared, "preview")["conditions"]


def test_the_machines_let_its_security_groups_in_and_it_is_let_out_where_nobody_else_does(
    declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = declare(**CONFIG)
    inward = {each.name: each.inputs for each in declared.of("SecurityGroupIngressRule")}
    assert set(inward) == {"web-machines-8080", "web-machines-8080-sg-2"}
    assert {each["referencedSecurityGroupId"] for each in inward.values()} == {"sg-1", "sg-2"}
    assert {each.name for each in declared.of("SecurityGroupEgressRule")} == {"web-machines"}

    monkeypatch.setattr(FakeObserver, "fronts", (replace(FRONT, egress=(Egress(network="172.31.0.0/24"),)),))
    outward = {each.name: each.inputs for each in declare(**CONFIG).of("SecurityGroupEgressRule")}
    assert set(outward) == {"web-machines", "web-balancer-8080", "web-balancer-8080-sg-2"}
    assert outward["web-balancer-8080"]["securityGroupId"] == "sg-1"


def test_the_alarm_on_all_of_the_load_balancer_is_left_out(declare: Any) -> None:
    names = {each.name.rpartition("-")[2] for each in declare(**CONFIG).of("MetricAlarm")}
    assert names == {"errors", "latency", "unhealthy"}


def test_users_meet_it_by_the_first_host_and_the_header_is_an_output(
    declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = declare(**CONFIG).outputs
    assert outputs["url"] == outputs["previewUrl"] == "http://shop.example.com"
    assert (outputs["address"], outputs["previewHeader"]) == ("shared.elb.test", "X-Bluegreen-Preview: web")
    monkeypatch.setattr(FakeObserver, "fronts", (replace(FRONT, protocol="HTTPS", port=8443),))
    assert declare(**CONFIG).outputs["url"] == "https://shop.example.com:8443"
    monkeypatch.setattr(FakeObserver, "fronts", (FRONT,))
    by_path = {**LISTENER, "hosts": [], "paths": ["/version"]}
    assert declare(**{**CONFIG, "listener": by_path}).outputs["url"] == "http://shared.elb.test"


def test_names_of_an_internal_one_are_made_in_the_private_zone(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    zones = (HostedZone(id="ZPUB", name="example.com"), HostedZone(id="ZPRIV", name="example.com", is_private=True))
    monkeypatch.setattr(FakeObserver, "hosted", zones)
    for is_internal, zone in ((True, "ZPRIV"), (False, "ZPUB")):
        balancer = replace(BALANCER, is_internal=is_internal)
        monkeypatch.setattr(FakeObserver, "fronts", (replace(FRONT, balancer=balancer),))
        (record,) = declare(**CONFIG, dns={"zone": "example.com", "names": ["shop.example.com"]}).of("Record")
        assert record.inputs["zoneId"] == zone


@pytest.mark.parametrize("is_dualstack", [False, True])
def test_names_lead_to_it_by_both_kinds_of_address_where_it_has_both(
    declare: Any, monkeypatch: pytest.MonkeyPatch, is_dualstack: bool
) -> None:
    balancer = replace(BALANCER, is_dualstack=is_dualstack)
    monkeypatch.setattr(FakeObserver, "fronts", (replace(FRONT, balancer=balancer),))
    records = declare(**CONFIG, dns={"zone": "example.com", "names": ["shop.example.com"]}).of("Record")
    assert {each.inputs["type"] for each in records} == ({"A", "AAAA"} if is_dualstack else {"A"})
    for each in records:
        assert each.inputs["aliases"] == [{"name": "shared.elb.test", "zoneId": "ZELB", "evaluateTargetHealth": False}]


@pytest.mark.parametrize(
    ("fronts", "fault"),
    [
        ((), "bluegreen:listener.arn: there is no listener"),
        ((replace(FRONT, balancer=replace(BALANCER, vpc="vpc-2")),), "bluegreen:listener.arn: its load balancer is in"),
        ((replace(FRONT, rules=(Rule(arn="arn:theirs", priority=102),)),), "bluegreen:listener.priority: 102 is taken"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_declared_and_a_destroy_goes_on(
    declare: Any, monkeypatch: pytest.MonkeyPatch, fronts: tuple[Front, ...], fault: str
) -> None:
    monkeypatch.setattr(FakeObserver, "fronts", fronts)
    declared = declare(**CONFIG)
    assert [each.typ for each in declared.resources if each.typ.startswith("aws:")] == [
        "aws:ec2/launchTemplate:LaunchTemplate"
    ]
    (refusal,) = FakeHooks.refused
    assert fault in refusal


def test_machines_in_a_zone_that_the_load_balancer_has_not_are_refused(
    declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    balancer = replace(BALANCER, zones=("us-east-1a", "us-east-1c"))
    monkeypatch.setattr(FakeObserver, "fronts", (replace(FRONT, balancer=balancer),))
    with pytest.raises(pulumi.RunError, match=r"vpc\.privateSubnets: there are some in us-east-1b, where the load bal"):
        declare(**CONFIG)


def test_a_listener_of_another_region_is_refused(declare: Any) -> None:
    declare(**{**CONFIG, "listener": {**LISTENER, "arn": ARN.replace("us-east-1", "eu-west-1")}})
    (refusal,) = FakeHooks.refused
    assert "is in eu-west-1, and the stack in us-east-1" in refusal


def test_a_service_that_runs_stays_behind_its_load_balancer(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeObserver, "running", (RUNNING,))
    with pytest.raises(pulumi.RunError, match=r"bluegreen:listener\.arn: is of .*app/shared/.*, and the stack runs"):
        declare(**CONFIG)
    monkeypatch.setattr(FakeObserver, "balancer", BALANCER)
    declare(**CONFIG)
    monkeypatch.setattr(FakeObserver, "running", (replace(RUNNING, is_behind_shared=True),))
    with pytest.raises(pulumi.RunError, match=r"bluegreen:listener: is unset, and the stack runs behind .*shared/"):
        declare(vpc=CONFIG["vpc"])


def test_what_is_behind_a_shared_one_says_so_and_nothing_else_does(declare: Any) -> None:
    def tags(declared: Any) -> dict[str, str]:
        (group,) = declared.of("Group")
        return {each["key"]: each["value"] for each in group.inputs["tags"]}

    assert tags(declare(**CONFIG))["bluegreen:balancer"] == "shared"
    assert "bluegreen:balancer" not in tags(declare(vpc=None))


def test_it_is_asked_about_once(declare: Any) -> None:
    declare(**CONFIG)
    calls = [call for call in FakeObserver.calls if call != "groups"]
    assert sorted(calls) == ["front", "subnets", "vpcs"]


def test_rules_serve_the_one_service_that_their_header_names(declare: Any) -> None:
    caught: list[str] = []

    def program(stack: Stack) -> None:
        network = Network("web", NetworkArgs.from_settings(stack.settings, stack=stack))
        balancer = make_balancer("web", stack.settings, stack=stack, network=network)
        for service in ("api", "web", "web"):
            try:
                balancer.claim(service)
            except BluegreenError as error:
                caught.append(str(error))

    declare(program, **CONFIG)
    assert len(caught) == 2
    assert "the rules web are the service web's, and can't be api's too" in caught[0]


def test_settings_say_which_of_the_two_it_is_and_the_other_is_refused(declare: Any) -> None:
    made: list[str] = []

    def program(stack: Stack) -> None:
        network = Network("web", NetworkArgs.from_settings(stack.settings, stack=stack))
        made.append(type(make_balancer("web", stack.settings, stack=stack, network=network)).__name__)
        for args in (BalancerArgs, SharedBalancerArgs):
            try:
                args.from_settings(stack.settings, stack=stack, network=network)
            except BluegreenError as error:
                made.append(error.what)

    declare(program, **CONFIG)
    declare(program)
    assert made == [
        "SharedBalancer",
        "the service web has a `listener` of a load balancer that is there already",
        "Balancer",
        "the service web has no `listener`: make it a Balancer of its own",
    ]
