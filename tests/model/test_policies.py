"""Each policy finds what was planted for it, finds nothing in what is right, and is the only one that does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bluegreen.model.policies import (
    BUCKET,
    BUCKET_ENCRYPTION,
    BUCKET_POLICY,
    BUCKET_VERSIONING,
    DEFAULT_SECURITY_GROUP,
    EBS_VOLUME,
    FLOW_LOG,
    GROUP,
    INGRESS_RULE,
    INSTANCE,
    KEY,
    LAUNCH_CONFIGURATION,
    LAUNCH_TEMPLATE,
    LISTENER,
    LOAD_BALANCER,
    POLICIES,
    PUBLIC_ACCESS_BLOCK,
    ROLE,
    RULE,
    SECURITY_GROUP,
    SUBNET,
    VPC,
    Resource,
    violations,
)

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ROLE_ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
EVERYTHING = json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


def of(type_: str, **properties: Any) -> Resource:
    return Resource(type=type_, name="it", properties=properties)


def document(effect: str = "Allow", **statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, **statement}]})


def uses(resource: Resource, property_: str, owner: Resource) -> Resource:
    """As in a preview: the owner's id is not known yet."""
    return replace(resource, unknown=frozenset((property_,)), depends_on=frozenset((owner.key,)))


METADATA = {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1}
VOLUME = [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}]
TEMPLATE = of(LAUNCH_TEMPLATE, metadataOptions=METADATA, blockDeviceMappings=VOLUME)
MACHINE = of(INSTANCE, metadataOptions=METADATA, rootBlockDevice={"encrypted": True})
DATA = of(EBS_VOLUME, encrypted=True)
NETWORK = of(VPC, cidrBlock="10.0.0.0/16")
CLOSED = uses(of(DEFAULT_SECURITY_GROUP), "vpcId", NETWORK)
LOGGED = uses(of(FLOW_LOG, trafficType="ALL"), "vpcId", NETWORK)
LOCAL = of(SUBNET, mapPublicIpOnLaunch=False)
MACHINES = of(GROUP, targetGroupArns=["arn"], healthCheckType="ELB")
BALANCER = of(
    LOAD_BALANCER,
    loadBalancerType="application",
    dropInvalidHeaderFields=True,
    desyncMitigationMode="strictest",
    accessLogs={"bucket": "logs", "enabled": True},
    enableDeletionProtection=True,
)
SECURE = of(LISTENER, protocol="HTTPS", sslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-2021-06")
REDIRECT = of(LISTENER, protocol="HTTP", defaultActions=[{"type": "redirect", "redirect": {"protocol": "HTTPS"}}])
WEB = of(INGRESS_RULE, ipProtocol="tcp", fromPort=443, toPort=443, cidrIpv4="0.0.0.0/0")
STORE = of(BUCKET, bucket="store")
ALL_BLOCKS = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
BLOCK = uses(of(PUBLIC_ACCESS_BLOCK, **ALL_BLOCKS), "bucket", STORE)
PLAIN = {"Bool": {"aws:SecureTransport": "false"}}
TLS_ONLY = uses(
    of(BUCKET_POLICY, policy=document("Deny", Action="s3:*", Resource="*", Condition=PLAIN)), "bucket", STORE
)
VERSIONS = uses(of(BUCKET_VERSIONING, versioningConfiguration={"status": "Enabled"}), "bucket", STORE)
SEAL = [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]
ENCRYPTION = uses(of(BUCKET_ENCRYPTION, rules=SEAL), "bucket", STORE)
GROUP_OF_WEB = of(SECURITY_GROUP, description="Web")
ROUTER = replace(MACHINE, properties={**MACHINE.properties, "associatePublicIpAddress": True, "sourceDestCheck": False})
ASSUMED = of(ROLE, managedPolicyArns=["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"])
ATTACHED = of(ROLE_ATTACHMENT, policyArn="arn:aws:iam::123456789012:policy/mine")
OLD_TEMPLATE = of(LAUNCH_CONFIGURATION, metadataOptions=METADATA, rootBlockDevice={"encrypted": True})
SEALED = of(KEY, enableKeyRotation=True)
READER = of(ROLE_POLICY, policy=document(Action=["s3:GetObject"], Resource=["arn:aws:s3:::store/*"]))

RIGHT = (
    *(TEMPLATE, MACHINE, DATA, NETWORK, CLOSED, LOGGED, LOCAL, MACHINES, BALANCER, SECURE, REDIRECT, WEB),
    *(STORE, BLOCK, TLS_ONLY, VERSIONS, ENCRYPTION, SEALED, READER),
    *(GROUP_OF_WEB, ROUTER, ASSUMED, ATTACHED, OLD_TEMPLATE),
)


def but(resource: Resource, **changes: Any) -> tuple[Resource, Resource]:
    """What is in RIGHT, and the same with a fault in it."""
    return resource, replace(resource, properties={**resource.properties, **changes})


PLANTED: list[tuple[str, tuple[Resource, Resource | None]]] = [
    ("CKV_AWS_79", but(TEMPLATE, metadataOptions={**METADATA, "httpTokens": "optional"})),
    ("CKV_AWS_79", but(TEMPLATE, metadataOptions={})),
    ("CKV_AWS_79", but(MACHINE, metadataOptions=None)),
    ("CKV_AWS_341", but(TEMPLATE, metadataOptions={**METADATA, "httpPutResponseHopLimit": 2})),
    ("CKV_AWS_341", but(MACHINE, metadataOptions={**METADATA, "httpPutResponseHopLimit": 64})),
    ("CKV_AWS_88", but(TEMPLATE, networkInterfaces=[{"associatePublicIpAddress": "true"}])),
    ("CKV_AWS_88", but(TEMPLATE, networkInterfaces=[{}, {"associatePublicIpAddress": "true"}])),
    ("CKV_AWS_88", but(MACHINE, associatePublicIpAddress=True)),
    ("CKV_AWS_88", but(ROUTER, sourceDestCheck=True)),
    ("CKV_AWS_88", but(OLD_TEMPLATE, associatePublicIpAddress=True)),
    ("CKV_AWS_88", but(LOCAL, mapPublicIpOnLaunch=True)),
    ("CKV_AWS_8", but(TEMPLATE, blockDeviceMappings=[])),
    ("CKV_AWS_8", but(TEMPLATE, blockDeviceMappings=[*VOLUME, {"ebs": {"encrypted": "false"}}])),
    ("CKV_AWS_8", but(MACHINE, rootBlockDevice={})),
    ("CKV_AWS_8", but(MACHINE, ebsBlockDevices=[{"deviceName": "/dev/sdf", "encrypted": False}])),
    ("CKV_AWS_8", but(OLD_TEMPLATE, rootBlockDevice=None)),
    ("CKV_AWS_79", but(OLD_TEMPLATE, metadataOptions=None)),
    ("CKV_AWS_3", but(DATA, encrypted=False)),
    ("CKV2_AWS_15", but(MACHINES, healthCheckType="EC2")),
    ("CKV2_AWS_15", but(MACHINES, healthCheckType=None)),
    ("BLUEGREEN_1", but(GROUP_OF_WEB, ingress=[{"protocol": "tcp", "fromPort": 443, "toPort": 443, "self": True}])),
    ("BLUEGREEN_1", but(GROUP_OF_WEB, egress=[{"protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}])),
    ("CKV_AWS_24", but(WEB, fromPort=22, toPort=22)),
    ("CKV_AWS_24", but(WEB, fromPort=20, toPort=25, cidrIpv4=None, cidrIpv6="::/0")),
    ("CKV_AWS_25", but(WEB, fromPort=3389, toPort=3389)),
    ("CKV2_AWS_12", (CLOSED, None)),
    ("CKV2_AWS_12", but(CLOSED, ingress=[{"protocol": "-1", "self": True}])),
    ("CKV2_AWS_12", but(CLOSED, egress=[{"protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}])),
    ("CKV2_AWS_11", (LOGGED, None)),
    ("CKV2_AWS_11", but(LOGGED, trafficType="REJECT")),
    ("CKV_AWS_131", but(BALANCER, dropInvalidHeaderFields=False)),
    ("CKV_AWS_328", but(BALANCER, desyncMitigationMode="monitor")),
    ("CKV_AWS_328", but(BALANCER, desyncMitigationMode=None)),
    ("CKV_AWS_91", but(BALANCER, accessLogs=None)),
    ("CKV_AWS_91", but(BALANCER, accessLogs={"bucket": "logs", "enabled": False})),
    ("CKV_AWS_150", but(BALANCER, enableDeletionProtection=False)),
    ("CKV2_AWS_20", but(REDIRECT, defaultActions=[{"type": "forward", "targetGroupArn": "arn"}])),
    ("CKV2_AWS_20", but(REDIRECT, defaultActions=[{"type": "redirect", "redirect": {"protocol": "HTTP"}}])),
    ("CKV_AWS_103", but(SECURE, sslPolicy=None)),
    ("CKV_AWS_103", but(SECURE, sslPolicy="ELBSecurityPolicy-2016-08")),
    ("CKV_AWS_103", but(SECURE, sslPolicy="ELBSecurityPolicy-TLS13-1-0-2021-06")),
    ("CKV_AWS_53", but(BLOCK, blockPublicAcls=False)),
    ("CKV_AWS_54", but(BLOCK, blockPublicPolicy=False)),
    ("CKV_AWS_55", but(BLOCK, ignorePublicAcls=False)),
    ("CKV_AWS_56", but(BLOCK, restrictPublicBuckets=False)),
    ("CKV_AWS_19", (ENCRYPTION, None)),
    ("CKV_AWS_19", but(ENCRYPTION, rules=[])),
    ("CKV_AWS_379", (TLS_ONLY, None)),
    ("CKV_AWS_379", but(TLS_ONLY, policy=document("Deny", Action="s3:PutObject", Resource="*"))),
    ("CKV_AWS_21", (VERSIONS, None)),
    ("CKV_AWS_21", but(VERSIONS, versioningConfiguration={"status": "Suspended"})),
    ("CKV_AWS_7", but(SEALED, enableKeyRotation=None)),
    ("CKV_AWS_62", but(READER, policy=document(Action="*", Resource=["*"], NotResource=[]))),
    ("CKV_AWS_62", but(READER, policy=EVERYTHING)),
    ("CKV_AWS_62", but(ASSUMED, inlinePolicies=[{"name": "all", "policy": EVERYTHING}])),
    ("CKV_AWS_274", but(ASSUMED, managedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"])),
    ("CKV_AWS_274", but(ATTACHED, policyArn="arn:aws-cn:iam::aws:policy/AdministratorAccess")),
    ("CKV_AWS_286", but(READER, policy=document(Action=["ec2:RunInstances", "iam:PassRole"], Resource="*"))),
]


def with_(right: Resource, planted: Resource | None) -> list[Resource]:
    others = [each for each in RIGHT if each is not right]
    return [*others, planted] if planted else others


def test_what_is_right_breaks_no_policy() -> None:
    assert violations(RIGHT) == []


@pytest.mark.parametrize(("policy", "plant"), PLANTED)
def test_what_is_planted_is_found_and_nothing_else(policy: str, plant: tuple[Resource, Resource | None]) -> None:
    found = {each.policy for each in violations(with_(*plant))}
    assert found - {policy} <= ({"CKV_AWS_286"} if policy == "CKV_AWS_62" else set())
    assert policy in found


def test_every_policy_has_something_planted_for_it() -> None:
    assert {policy for policy, _ in PLANTED} == {policy.id for policy in POLICIES}


ONE_BY_ONE = {policy.id: policy for policy in POLICIES if not policy.needs_all}


@pytest.mark.parametrize(("policy", "planted"), [(id_, plant[1]) for id_, plant in PLANTED if id_ in ONE_BY_ONE])
def test_what_is_judged_one_by_one_is_found_alone(policy: str, planted: Resource) -> None:
    assert ONE_BY_ONE[policy].violations([planted])


def test_all_traffic_opens_every_admin_port() -> None:
    everything = of(INGRESS_RULE, ipProtocol="-1", cidrIpv4="0.0.0.0/0")
    inline = of(SECURITY_GROUP, ingress=[{"protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}])
    legacy = of(RULE, type="ingress", protocol="-1", fromPort=0, toPort=0, cidrBlocks=["10.0.0.0/8", "0.0.0.0/0"])
    for each in (everything, inline, legacy):
        assert {found.policy for found in violations([each])} - {"BLUEGREEN_1"} == {"CKV_AWS_24", "CKV_AWS_25"}


def test_what_goes_out_opens_nothing() -> None:
    assert violations([of(RULE, type="egress", protocol="-1", fromPort=0, toPort=0, cidrBlocks=["0.0.0.0/0"])]) == []


@pytest.mark.parametrize(
    ("old", "new", "policy"),
    [
        ("aws:s3/bucketV2:BucketV2", BUCKET, "CKV_AWS_53"),
        ("aws:alb/listener:Listener", LISTENER, "CKV2_AWS_20"),
        ("aws:alb/loadBalancer:LoadBalancer", LOAD_BALANCER, "CKV_AWS_131"),
    ],
)
def test_a_type_is_known_by_its_older_name_too(old: str, new: str, policy: str) -> None:
    planted = Resource(type=old, name="it", properties={"protocol": "HTTP"})
    found = [each.policy for each in violations([planted])]
    assert policy in found
    assert found == [each.policy for each in violations([replace(planted, type=new)])]


def test_a_port_that_is_open_to_named_networks_is_no_violation() -> None:
    assert violations([of(INGRESS_RULE, ipProtocol="tcp", fromPort=22, toPort=22, cidrIpv4="203.0.113.7/32")]) == []


def test_what_is_not_known_yet_breaks_nothing() -> None:
    listener = replace(SECURE, properties={"protocol": "HTTPS"}, unknown=frozenset(("sslPolicy",)))
    policy = replace(TLS_ONLY, properties={}, unknown=frozenset(("policy", "bucket")))
    assert violations([listener, STORE, BLOCK, VERSIONS, ENCRYPTION, policy]) == []


def test_each_vpc_needs_a_closed_group_of_its_own() -> None:
    other = replace(NETWORK, name="other")
    found = [(each.policy, each.resource.name) for each in violations([*RIGHT, other])]
    assert found == [("CKV2_AWS_12", "other"), ("CKV2_AWS_11", "other")]


def test_a_stack_is_exempt_only_from_what_it_names() -> None:
    _, planted = but(BALANCER, accessLogs=None, enableDeletionProtection=False)
    found = violations(with_(BALANCER, planted), {"CKV_AWS_91": "no bucket yet"})
    assert [each.policy for each in found] == ["CKV_AWS_150"]


def test_a_violation_says_what_where_and_what_to_do() -> None:
    _, planted = but(BALANCER, accessLogs=None)
    (found,) = violations(with_(BALANCER, planted))
    assert str(found) == "CKV_AWS_91: it (aws:lb/loadBalancer:LoadBalancer): set accessLogs"


def test_the_page_of_policies_lists_all_in_their_order() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(("| CKV", "| BLUEGREEN"))]
    assert rows == [f"| {policy.id} | {policy.title} |" for policy in POLICIES]
