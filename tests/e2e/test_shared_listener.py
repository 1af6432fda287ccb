"""Two services of two owners behind one load balancer, which neither of them made: ours has rules of its listener."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.e2e.project import Project, eventually

pytestmark = pytest.mark.rollout

HOST = "shop.example.com"
PORT = 8080
NEAR = ["127.0.0.0/8"]
SMOKE = [{"path": "/version", "timesInARow": 1}]


@dataclass(frozen=True)
class Shared:
    """A VPC with a load balancer, whose listener answers 404, and another service's rule at priority 10."""

    project: Project
    vpc: str
    balancer: str
    listener: str
    address: str
    group: str
    port: int = PORT

    def settings(self, **changes: Any) -> dict[str, Any]:
        return {"arn": self.listener, "hosts": [HOST], "priority": 100, **changes}

    def ask(self, path: str = "/version", host: str = HOST, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
        connection.request(
            "GET", path, headers={"Host": host, **{key.replace("_", "-"): headers[key] for key in headers}}
        )
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    def rules(self) -> dict[str, Any]:
        found = self.project.aws("elbv2").describe_rules(ListenerArn=self.listener)["Rules"]
        return {each["Priority"]: each for each in found}


@pytest.fixture(scope="module")
def shared(project: Project) -> Shared:
    ec2, elb = project.aws("ec2"), project.aws("elbv2")
    vpc = ec2.create_vpc(CidrBlock="172.30.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    public = []
    for number in range(4):
        zone = f"us-east-1{'ab'[number % 2]}"
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"172.30.{number}.0/24", AvailabilityZone=zone)["Subnet"]
        if number < 2:
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet["SubnetId"])
            public.append(subnet["SubnetId"])
    group = ec2.create_security_group(GroupName="shared", Description="shared", VpcId=vpc)["GroupId"]
    made = elb.create_load_balancer(Name="shared", Subnets=public, SecurityGroups=[group])["LoadBalancers"][0]
    balancer = made["LoadBalancerArn"]
    protected = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    elb.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=protected)
    nothing = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"}}
    listener = elb.create_listener(LoadBalancerArn=balancer, Port=PORT, Protocol="HTTP", DefaultActions=[nothing])
    arn = listener["Listeners"][0]["ListenerArn"]
    other = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "other"}}
    elb.create_rule(
        ListenerArn=arn,
        Priority=10,
        Conditions=[{"Field": "host-header", "Values": ["other.example.com"]}],
        Actions=[other],
        Tags=[{"Key": "Name", "Value": "other-team"}],
    )
    found = Shared(project, vpc, balancer, arn, made["DNSName"], group)
    project.configure(
        vpc={"id": vpc},
        nat="none",
        listener=found.settings(),
        listener_port=None,
        preview_cidrs=NEAR,
        min_size=1,
        desired_capacity=1,
        max_size=2,
        smoke_tests=SMOKE,
        ami=project.image("1"),
    )
    return found


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"priority": 8},
            "bluegreen:listener.priority: 10 is taken by other-team (host-header other.example.com; arn:",
        ),
        ({"arn": "gone"}, "bluegreen:listener.arn: there is no listener arn:"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_made(shared: Shared, changes: dict[str, Any], fault: str) -> None:
    if "arn" in changes:
        changes = {"arn": shared.listener[:-4] + "0000"}
    refused = shared.project.up(listener=shared.settings(**changes))
    planned = shared.project.bluegreen("plan", shared.project.stack)
    shared.project.configure(listener=shared.settings())
    assert refused.code != 0
    assert fault in refused.output
    assert refused.has_no_traceback, refused.output
    assert not refused.writes
    assert f"refused: {fault}" in planned.output


def test_a_service_comes_to_a_listener_of_somebody_elses(shared: Shared) -> None:
    project = shared.project
    first = project.up()
    assert first.code == 0, first.output
    assert not first.done("create")["create", "LoadBalancer"]
    assert set(shared.rules()) == {"10", "100", "101", "102", "default"}
    assert shared.ask()[1].count(project.release) == 1
    assert shared.ask(host="other.example.com") == (200, "other")
    assert shared.ask(host="nobody.example.com")[0] == 404
    assert project.outputs["url"] == f"http://{HOST}:{PORT}"
    assert project.outputs["previewHeader"] == "X-Bluegreen-Preview: web"
    again = project.up()
    assert (again.changes, again.writes) == ({}, [])
    planned = project.bluegreen("plan", project.stack)
    assert planned.code == 0, planned.output
    assert "load balancer" not in planned.output, "it is others' to pay"


def test_a_canary_is_proven_by_the_header_and_shifted_on_the_rule(shared: Shared) -> None:
    project = shared.project
    old = project.release
    project.configure(strategy="canary", steps=[{"weight": 50}], promotion="manual")
    changed = project.bluegreen("deploy", project.stack, "--ami", project.image("2"))
    assert changed.code == 0, changed.output
    assert "smoke tests passed: /version 1 times" in changed.output
    (forward,) = [action["ForwardConfig"] for action in shared.rules()["102"]["Actions"]]
    assert sorted(group["Weight"] for group in forward["TargetGroups"]) == [50, 50]
    status = project.bluegreen("status", project.stack)
    assert status.code == 0, status.output
    seen = {shared.ask()[1] for _ in range(40)}
    assert len(seen) == 2
    preview = shared.ask(X_Bluegreen_Preview="web")
    assert old not in preview[1]
    promoted = project.bluegreen("promote", project.stack)
    assert promoted.code == 0, promoted.output
    assert "attest: seen " in promoted.output
    assert "takes no traffic" in promoted.output
    assert len(project.groups()) == 1
    assert project.release != old
    assert {shared.ask()[1] for _ in range(10)} == {preview[1]}


def test_who_may_not_see_the_preview_gets_no_release_at_all(shared: Shared) -> None:
    project = shared.project
    before = project.outputs
    refused = project.up(
        ami=project.image("3"), preview_cidrs=["198.51.100.0/24"], progress_deadline_seconds=3, strategy=None
    )
    assert refused.code != 0
    assert "status 403 instead of 200" in refused.output
    assert "The preview of web is open to 198.51.100.0/24 alone (previewCidrs)." in refused.output
    assert before["activeRelease"]["version"] in shared.ask()[1]
    assert shared.ask(X_Bluegreen_Preview="web")[0] == 403


def test_hosts_paths_and_priority_change_in_place_and_a_rollback_goes_back(shared: Shared) -> None:
    project = shared.project
    paths = ["/version", "/he*"]
    moved = project.up(
        ami=project.image("2"),
        preview_cidrs=NEAR,
        progress_deadline_seconds=60,
        listener=shared.settings(priority=40, paths=paths),
    )
    assert moved.code == 0, moved.output
    assert set(shared.rules()) == {"10", "40", "41", "42", "default"}
    assert shared.ask("/other")[0] == 404
    assert project.release in shared.ask()[1]
    back = project.bluegreen("rollback", project.stack)
    assert back.code == 0, back.output
    assert project.release in shared.ask()[1]
    raised = project.up(listener=shared.settings(priority=200))
    assert raised.code == 0, raised.output
    assert project.release in shared.ask()[1]


def test_a_release_is_not_proven_while_its_preview_comes_too_late(shared: Shared) -> None:
    project = shared.project
    before = project.release
    refused = project.up(listener=shared.settings(priority=300), ami=project.image("3"))
    assert refused.code != 0
    assert "its preview rule comes after the one that users meet" in refused.output
    assert before in shared.ask()[1]
    project.configure(listener=shared.settings(priority=200))
    gone = project.up(ami=project.outputs["activeRelease"]["image"])
    assert gone.code == 0, gone.output


def test_names_lead_there_and_the_way_out_is_opened_where_nobody_else_does(shared: Shared) -> None:
    project, ec2 = shared.project, shared.project.aws("ec2")

    def ways_out() -> list[str]:
        filters = [{"Name": "group-id", "Values": [shared.group]}]
        rules = ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return [each.get("Description", "") for each in rules if each["IsEgress"]]

    route53 = project.aws("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]

    def records() -> set[str]:
        found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return {each["Type"] for each in found if each["Name"].rstrip(".") == HOST}

    everywhere = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    assert ways_out() == [""]
    ec2.revoke_security_group_egress(GroupId=shared.group, IpPermissions=everywhere)
    project.aws("elbv2").set_ip_address_type(LoadBalancerArn=shared.balancer, IpAddressType="dualstack")
    opened = project.up(dns={"zone": "example.com", "names": [HOST]})
    assert opened.code == 0, opened.output
    assert ways_out() == ["To the machines"]
    assert records() == {"A", "AAAA"}
    again = project.up()
    assert (again.changes, again.writes) == ({}, [])
    ec2.authorize_security_group_egress(GroupId=shared.group, IpPermissions=everywhere)
    closed = project.up(dns=None)
    assert closed.code == 0, closed.output
    assert ways_out() == [""]
    assert records() == set()


def test_a_service_that_runs_can_not_leave_its_load_balancer(shared: Shared) -> None:
    refused = shared.project.up(listener=None)
    shared.project.configure(listener=shared.settings(priority=200))
    assert refused.code != 0
    assert f"bluegreen:listener: is unset, and the stack runs behind {shared.balancer}" in refused.output
    assert not refused.writes


def test_a_service_moves_to_another_listener_of_the_same_load_balancer(shared: Shared) -> None:
    project, nothing = shared.project, {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    made = project.aws("elbv2").create_listener(
        LoadBalancerArn=shared.balancer, Port=8081, Protocol="HTTP", DefaultActions=[nothing]
    )
    old = project.release
    second = replace(shared, listener=made["Listeners"][0]["ListenerArn"], port=8081)
    moved = project.up(listener=second.settings(priority=1), ami=project.image("3"))
    assert moved.code == 0, moved.output
    assert "smoke tests passed" in moved.output
    assert set(shared.rules()) == {"10", "default"}
    assert set(second.rules()) == {"1", "2", "3", "default"}
    assert project.release != old
    assert project.release in second.ask()[1]
    assert project.outputs["url"] == f"http://{HOST}:8081"


def test_a_destroy_leaves_what_is_others_and_needs_no_listener(shared: Shared) -> None:
    project, elb = shared.project, shared.project.aws("elbv2")
    gone = project.bluegreen("destroy", project.stack, "--yes")
    assert gone.code == 0, gone.output
    assert project.resources == []
    assert set(shared.rules()) == {"10", "default"}
    eventually(lambda: shared.ask(host="other.example.com") == (200, "other"))
    assert elb.describe_load_balancers(LoadBalancerArns=[shared.balancer])["LoadBalancers"]
