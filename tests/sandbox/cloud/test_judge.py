"""Who has a role in the sandbox may do what its policies allow, and is refused in the words of each service."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.host import Sandbox
from sandbox.roles import Roles

TAGS = [{"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "web"}]}]
OURS = {"StringEquals": {"aws:RequestTag/team": "web"}}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"},
        {"Effect": "Allow", "Action": ["ec2:CreateVpc", "ec2:CreateTags"], "Resource": "*", "Condition": OURS},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::store/web/*"},
    ],
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.start(boot_seconds=0.2) as made:
        yield made


@pytest.fixture(scope="module")
def session(sandbox: Sandbox) -> boto3.Session:
    given = Roles.make(sandbox, {"web": [POLICY]}).environment("web")
    return boto3.Session(
        given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], given["AWS_SESSION_TOKEN"], region_name="us-east-1"
    )


def client(sandbox: Sandbox, service: str, session: boto3.Session | None = None) -> Any:
    administrator = boto3.Session("sandbox", "sandbox", region_name="us-east-1")
    return (session or administrator).client(service, endpoint_url=sandbox.endpoint)


def test_what_a_policy_allows_can_be_done_and_nothing_else(sandbox: Sandbox, session: boto3.Session) -> None:
    ec2 = client(sandbox, "ec2", session)
    made = ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=TAGS)["Vpc"]["VpcId"]
    with pytest.raises(ClientError, match=r"UnauthorizedOperation.*ec2:CreateVpc on resource: arn:.*:vpc/\*"):
        ec2.create_vpc(CidrBlock="10.8.0.0/16")
    with pytest.raises(ClientError, match=f"ec2:DeleteVpc on resource: arn:.*:vpc/{made}"):
        ec2.delete_vpc(VpcId=made)
    assert made in [each["VpcId"] for each in client(sandbox, "ec2").describe_vpcs()["Vpcs"]]
    client(sandbox, "ec2").delete_vpc(VpcId=made)


@pytest.mark.parametrize(
    ("service", "operation", "given", "code", "right"),
    [
        ("elbv2", "describe_load_balancers", {}, "AccessDenied", "elasticloadbalancing:DescribeLoadBalancers"),
        ("autoscaling", "describe_auto_scaling_groups", {}, "AccessDenied", "autoscaling:DescribeAutoScalingGroups"),
        ("dynamodb", "describe_table", {"TableName": "own"}, "AccessDeniedException", "dynamodb:DescribeTable"),
        ("ssm", "get_parameter", {"Name": "/a/b"}, "AccessDeniedException", "ssm:GetParameter"),
        ("cloudwatch", "describe_alarms", {}, "AccessDeniedException", "cloudwatch:DescribeAlarms"),
        ("route53", "get_hosted_zone", {"Id": "Z1"}, "AccessDenied", "route53:GetHostedZone"),
        ("s3", "get_object", {"Bucket": "store", "Key": "mail/a"}, "AccessDenied", "s3:GetObject"),
        ("iam", "get_role", {"RoleName": "web"}, "AccessDenied", "iam:GetRole"),
    ],
)
def test_each_service_refuses_in_its_own_words(
    sandbox: Sandbox, session: boto3.Session, service: str, operation: str, given: Any, code: str, right: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(client(sandbox, service, session), operation)(**given)
    error = refused.value.response["Error"]
    assert error["Code"] == code
    assert error["Message"].startswith("User: arn:aws:sts::123456789012:assumed-role/web/")
    assert f"is not authorized to perform: {right} on resource: " in error["Message"]
    assert f"because no identity-based policy allows the {right} action" in error["Message"]


def test_a_signed_url_is_worth_what_its_signer_may(sandbox: Sandbox, session: boto3.Session) -> None:
    owner, s3 = client(sandbox, "s3"), client(sandbox, "s3", session)
    owner.create_bucket(Bucket="store")
    for key in ("web/a", "mail/a"):
        owner.put_object(Bucket="store", Key=key, Body=b"kept")

    def fetch(key: str) -> bytes:
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "store", "Key": key})
        return bytes(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).read())

    assert fetch("web/a") == b"kept"
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch("mail/a")
    assert refused.value.code == 403


def test_a_role_that_nobody_has_made_may_do_everything(sandbox: Sandbox) -> None:
    arn = "arn:aws:iam::210987654321:role/elsewhere"
    made = client(sandbox, "sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    theirs = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], region_name="us-east-1")
    client(sandbox, "ec2", theirs).create_vpc(CidrBlock="10.7.0.0/16")


def test_what_was_asked_is_kept(sandbox: Sandbox, session: boto3.Session) -> None:
    client(sandbox, "ec2", session).describe_subnets()
    last = json.loads((sandbox.dir / "iam.jsonl").read_text().splitlines()[-1])
    assert (last["role"], last["action"], last["resource"], last["isAllowed"]) == (
        "web",
        "ec2:DescribeSubnets",
        "*",
        True,
    )
