"""Instance metadata: what a machine may know of itself, at the address that it is told."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.sandbox.cloud.world import Aws, eventually

GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"
SERVICE = f"{GUIDE}/instance-metadata-v2-how-it-works.html"
CATEGORIES = f"{GUIDE}/ec2-instance-metadata.html"


def imds(aws: Aws, instance: str, path: str, *, method: str = "GET", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{aws.sandbox.endpoint}/_imds/{instance}/latest/{path}",
        method=method,
        headers={f"X-aws-ec2-metadata-{key.replace('_', '-')}": value for key, value in headers.items()},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as fault:
        return fault.code, ""


def run_instance(aws: Aws, **options: Any) -> str:
    template = aws.template(aws.image(), **options.pop("template", {}))
    given = {"LaunchTemplate": {"LaunchTemplateId": template}, "MinCount": 1, "MaxCount": 1, "SubnetId": aws.subnets[0]}
    return str(aws.ec2.run_instances(**given | options)["Instances"][0]["InstanceId"])


def token_of(aws: Aws, instance: str) -> str:
    status, token = imds(aws, instance, "api/token", method="PUT", token_ttl_seconds="60")
    assert status == 200
    return token


@pytest.mark.documented("a token is asked for with PUT and its time to live, and sent with each request", SERVICE)
def test_metadata_wants_a_token_and_tells_a_machine_about_itself(aws: Aws) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "a/b", "Value": "c"}]}]
    instance = run_instance(aws, TagSpecifications=tags, UserData="#!/bin/sh\necho hi\n")
    assert imds(aws, instance, "meta-data/instance-id")[0] == 401
    assert imds(aws, instance, "api/token", method="PUT")[0] == 400
    status, token = imds(aws, instance, "api/token", method="PUT", token_ttl_seconds="60")
    assert status == 200
    assert imds(aws, instance, "meta-data/instance-id", token=token) == (200, instance)
    assert imds(aws, instance, "meta-data/placement/availability-zone", token=token) == (200, "us-east-1a")
    assert imds(aws, instance, "meta-data/local-ipv4", token=token)[1].startswith("10.0.0.")
    assert imds(aws, instance, "meta-data/tags/instance/a/b", token=token) == (200, "c")
    assert "a/b" in imds(aws, instance, "meta-data/tags/instance", token=token)[1].split("\n")
    assert {"ami-id", "placement/"} <= set(imds(aws, instance, "meta-data/", token=token)[1].split("\n"))
    assert imds(aws, instance, "user-data", token=token) == (200, "#!/bin/sh\necho hi\n")
    document = json.loads(imds(aws, instance, "dynamic/instance-identity/document", token=token)[1])
    assert document["instanceId"] == instance
    assert imds(aws, instance, "meta-data/nothing", token=token)[0] == 404
    assert imds(aws, "i-00000000", "meta-data/instance-id", token=token)[0] == 404
    other = run_instance(aws)
    assert imds(aws, other, "meta-data/instance-id", token=token)[0] == 401
    aws.ec2.terminate_instances(InstanceIds=[instance, other])


@pytest.mark.documented(
    "tags are shown only if the instance's metadata options say so", f"{GUIDE}/work-with-tags-in-IMDS.html"
)
def test_tags_stay_hidden_unless_the_instance_shows_them(aws: Aws) -> None:
    template = aws.template(aws.image(), MetadataOptions={"HttpTokens": "required"})
    made = aws.ec2.run_instances(LaunchTemplate={"LaunchTemplateId": template}, MinCount=1, MaxCount=1)
    instance = made["Instances"][0]["InstanceId"]
    _, token = imds(aws, instance, "api/token", method="PUT", token_ttl_seconds="60")
    assert imds(aws, instance, "meta-data/tags/instance", token=token)[0] == 404
    aws.ec2.terminate_instances(InstanceIds=[instance])


@pytest.mark.documented(
    "a token comes with its time to live, which the SDKs of Go and Rust rely on",
    "https://github.com/aws/amazon-ec2-metadata-mock/pull/50",
)
def test_a_token_says_how_long_it_lives(aws: Aws) -> None:
    instance = run_instance(aws)
    request = urllib.request.Request(
        f"{aws.sandbox.endpoint}/_imds/{instance}/latest/api/token",
        method="PUT",
        headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"] == "60"
    aws.ec2.terminate_instances(InstanceIds=[instance])


@pytest.mark.documented("a token lives from one second to six hours", SERVICE)
@pytest.mark.parametrize(("seconds", "status"), [("0", 400), ("1", 200), ("21600", 200), ("21601", 400), ("ten", 400)])
def test_a_token_s_time_is_limited(aws: Aws, seconds: str, status: int) -> None:
    instance = run_instance(aws)
    assert imds(aws, instance, "api/token", method="PUT", token_ttl_seconds=seconds)[0] == status
    aws.ec2.terminate_instances(InstanceIds=[instance])


@pytest.mark.documented(
    "where tokens are optional a request may come without one", f"{GUIDE}/configuring-instance-metadata-options.html"
)
def test_tokens_may_be_optional(aws: Aws) -> None:
    instance = run_instance(aws, template={"MetadataOptions": {"HttpTokens": "optional"}})
    assert imds(aws, instance, "meta-data/instance-id") == (200, instance)
    assert imds(aws, instance, "meta-data/instance-id", token="stale")[0] == 401
    aws.ec2.terminate_instances(InstanceIds=[instance])


@pytest.mark.documented(
    "a role's credentials are there, and are those of the role", f"{GUIDE}/instance-metadata-security-credentials.html"
)
def test_a_machine_acts_as_the_role_of_its_instance_profile(aws: Aws, client: Callable[[str], Any]) -> None:
    iam = client("iam")
    iam.create_role(RoleName="web-role", AssumeRolePolicyDocument="{}")
    arn = iam.create_instance_profile(InstanceProfileName="web-profile")["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName="web-profile", RoleName="web-role")
    instance = run_instance(aws, template={"IamInstanceProfile": {"Arn": arn}})
    token = token_of(aws, instance)
    assert imds(aws, instance, "meta-data/iam/security-credentials/", token=token) == (200, "web-role")
    found = json.loads(imds(aws, instance, "meta-data/iam/security-credentials/web-role", token=token)[1])
    assert found.keys() == {"Code", "LastUpdated", "Type", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert json.loads(imds(aws, instance, "meta-data/iam/info", token=token)[1])["InstanceProfileArn"] == arn
    again = json.loads(imds(aws, instance, "meta-data/iam/security-credentials/web-role", token=token)[1])
    assert again == found  # not new ones for each request
    who = boto3.client(
        "sts",
        endpoint_url=aws.sandbox.endpoint,
        region_name=aws.region,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["Token"],
    ).get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::123456789012:assumed-role/web-role/{instance}"
    aws.ec2.terminate_instances(InstanceIds=[instance])


@pytest.mark.documented(
    "an instance of a group is told what it is to become",
    "https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html",
)
def test_an_instance_of_a_group_is_told_what_becomes_of_it(aws: Aws) -> None:
    name = aws.scaling_group(aws.template(aws.image()), 1)
    (instance,) = eventually(lambda: aws.instances(name, "InService"))
    token, path = token_of(aws, instance), "meta-data/autoscaling/target-lifecycle-state"
    assert imds(aws, instance, path, token=token) == (200, "InService")
    hook = {"LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
    aws.autoscaling.put_lifecycle_hook(AutoScalingGroupName=name, **hook)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=0)
    eventually(lambda: aws.instances(name, "Terminating:Wait"))
    assert imds(aws, instance, path, token=token) == (200, "Terminated")


@pytest.mark.documented("the facts of an instance are by category", CATEGORIES)
@pytest.mark.parametrize(
    ("path", "expected"),
    [("services/partition", "aws"), ("instance-life-cycle", "on-demand"), ("instance-type", "t3.small")],
)
def test_facts_are_by_category(aws: Aws, path: str, expected: str) -> None:
    instance = run_instance(aws)
    assert imds(aws, instance, f"meta-data/{path}", token=token_of(aws, instance)) == (200, expected)
    aws.ec2.terminate_instances(InstanceIds=[instance])
