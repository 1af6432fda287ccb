"""What IAM is asked when a call comes, as AWS's Service Authorization Reference and its guides have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.iam.policy import Question
from sandbox.iam.questions import Call, Launch, UnknownCall, questions

EC2 = "arn:aws:ec2:us-east-1:111122223333:"
ROLE = "arn:aws:iam::111122223333:role/web-machines-1"
TAGS = [{"Key": "team", "Value": "web"}]


@dataclass
class World:
    tagged: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    launching: Launch = field(default_factory=Launch)

    def tags(self, arn: str) -> Mapping[str, str]:
        return self.tagged.get(arn, {})

    def part_of(self, identifier: str) -> list[str]:
        return [f"{EC2}route-table/rtb-0123456789abcdef0"] if identifier.startswith("rtbassoc-") else []

    def launch(self, template: Mapping[str, Any]) -> Launch:
        return self.launching


def asked(service: str, operation: str, world: World | None = None, **parameters: Any) -> list[Question]:
    call = Call(service=service, operation=operation, parameters=parameters, region="us-east-1", account="111122223333")
    return list(questions(call, world or World()))


def pairs(found: list[Question]) -> set[tuple[str, str]]:
    return {(each.action, each.resource) for each in found}


def test_what_is_about_no_resource_is_about_all() -> None:
    assert pairs(asked("ec2", "DescribeVpcs", VpcIds=["vpc-0123456789abcdef0"])) == {("ec2:DescribeVpcs", "*")}


def test_every_resource_that_a_call_touches_is_asked_for() -> None:
    found = asked("ec2", "CreateSubnet", VpcId="vpc-0123456789abcdef0", CidrBlock="10.0.0.0/24")
    assert pairs(found) == {
        ("ec2:CreateSubnet", f"{EC2}vpc/vpc-0123456789abcdef0"),
        ("ec2:CreateSubnet", f"{EC2}subnet/*"),
    }


@pytest.mark.documented(
    "tags set on creation need the right to tag, with the action as a key",
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html",
)
def test_tags_on_creation_are_asked_for() -> None:
    found = asked("ec2", "CreateVpc", TagSpecifications=[{"ResourceType": "vpc", "Tags": TAGS}])
    tagging = next(each for each in found if each.action == "ec2:CreateTags")
    assert tagging.resource == f"{EC2}vpc/*"
    assert tagging.context["ec2:CreateAction"] == ("CreateVpc",)
    assert tagging.context["aws:RequestTag/team"] == ("web",)


@pytest.mark.documented(
    "load balancers, target groups and listeners that are tagged on creation need AddTags",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/tagging-resources-during-creation.html",
)
def test_so_are_those_of_load_balancing() -> None:
    balancer = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/web/0123456789abcdef"
    found = asked("elasticloadbalancing", "CreateListener", LoadBalancerArn=balancer, Port=80, Tags=TAGS)
    assert pairs(found) == {
        ("elasticloadbalancing:CreateListener", balancer),
        ("elasticloadbalancing:AddTags", balancer.replace("loadbalancer", "listener") + "/*"),
    }
    assert found[1].context["elasticloadbalancing:CreateAction"] == ("CreateListener",)


@pytest.mark.parametrize(
    ("operation", "of", "parameters", "resource"),
    [
        ("CreateLoadBalancer", "", {"Name": "web", "Type": "network"}, "loadbalancer/net/web/*"),
        ("CreateLoadBalancer", "", {"Name": "web", "Type": "application"}, "loadbalancer/app/web/*"),
        ("SetSecurityGroups", "LoadBalancerArn", {}, "loadbalancer/net/web/0123456789abcdef"),
        ("ModifyListener", "ListenerArn", {}, "listener/net/web/0123456789abcdef/0123456789abcdef"),
        ("ModifyListenerAttributes", "ListenerArn", {}, "listener/net/web/0123456789abcdef/0123456789abcdef"),
    ],
)
def test_network_load_balancers_are_asked_for_by_their_own_names(
    operation: str, of: str, parameters: dict[str, str], resource: str
) -> None:
    arn = f"arn:aws:elasticloadbalancing:us-east-1:111122223333:{resource}"
    found = asked("elasticloadbalancing", operation, **parameters | ({of: arn} if of else {}))
    assert (f"elasticloadbalancing:{operation}", arn) in pairs(found)


def test_tags_of_a_resource_are_keys_where_aws_knows_them() -> None:
    group = "arn:aws:autoscaling:us-east-1:111122223333:autoScalingGroup:*:autoScalingGroupName/web"
    world = World(tagged={group: {"team": "web"}, ROLE: {"team": "web"}})
    (found,) = asked("autoscaling", "DeleteAutoScalingGroup", world, AutoScalingGroupName="web")
    assert (found.resource, found.context["aws:ResourceTag/team"]) == (group, ("web",))
    passed = asked("iam", "AddRoleToInstanceProfile", world, InstanceProfileName="web", RoleName="web-machines-1")
    assert "aws:ResourceTag/team" not in next(each for each in passed if each.action == "iam:PassRole").context


@pytest.mark.documented(
    "a group with a launch template needs RunInstances, CreateTags and PassRole of who makes it",
    "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-api-permissions.html",
)
def test_a_group_needs_what_its_launches_need() -> None:
    data = {"ImageId": "ami-0123456789abcdef0", "TagSpecifications": [{"ResourceType": "volume", "Tags": TAGS}]}
    found = asked(
        "autoscaling",
        "CreateAutoScalingGroup",
        World(launching=Launch(parameters=data, profile_role=ROLE)),
        AutoScalingGroupName="web",
        LaunchTemplate={"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "1"},
        VPCZoneIdentifier="subnet-0123456789abcdef0",
    )
    launch = {each.resource for each in found if each.action == "ec2:RunInstances"}
    assert launch == {
        "arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0",
        *(f"{EC2}{kind}/*" for kind in ("instance", "network-interface", "volume", "security-group")),
        f"{EC2}subnet/subnet-0123456789abcdef0",
        f"{EC2}launch-template/lt-0123456789abcdef0",
    }
    assert ("ec2:CreateTags", f"{EC2}volume/*") in pairs(found)
    passed = next(each for each in found if each.action == "iam:PassRole")
    assert (passed.resource, passed.context["iam:PassedToService"]) == (ROLE, ("ec2.amazonaws.com",))
    linked = next(each for each in found if each.action == "iam:CreateServiceLinkedRole")
    assert linked.context["iam:AWSServiceName"] == ("autoscaling.amazonaws.com",)


@pytest.mark.documented(
    "a role that is passed needs PassRole, with the service as a key",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
)
def test_roles_in_parameters_are_passed() -> None:
    found = asked("ec2", "CreateFlowLogs", ResourceIds=["vpc-0123456789abcdef0"], DeliverLogsPermissionArn=ROLE)
    passed = next(each for each in found if each.action == "iam:PassRole")
    assert passed.context["iam:PassedToService"] == ("vpc-flow-logs.amazonaws.com",)


def test_an_association_leads_to_what_it_joins() -> None:
    found = asked("ec2", "DisassociateRouteTable", AssociationId="rtbassoc-0123456789abcdef0")
    assert ("ec2:DisassociateRouteTable", f"{EC2}route-table/rtb-0123456789abcdef0") in pairs(found)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("HeadObject", ("s3:GetObject", "arn:aws:s3:::b/k")),
        ("HeadBucket", ("s3:ListBucket", "arn:aws:s3:::b")),
        ("PutBucketEncryption", ("s3:PutEncryptionConfiguration", "arn:aws:s3:::b")),
    ],
)
def test_s3_calls_are_named_otherwise_than_their_rights(operation: str, expected: tuple[str, str]) -> None:
    key = {"Key": "k"} if operation == "HeadObject" else {}
    assert pairs(asked("s3", operation, Bucket="b", **key)) == {expected}


def test_who_one_is_may_be_asked_by_everybody() -> None:
    assert asked("sts", "GetCallerIdentity") == []


def test_a_call_that_the_reference_lacks_is_an_error() -> None:
    with pytest.raises(UnknownCall, match="ec2:MakeCoffee"):
        asked("ec2", "MakeCoffee")
