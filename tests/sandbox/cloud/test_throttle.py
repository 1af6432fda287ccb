"""Rates: calls are throttled on request, as each API says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.host import Sandbox
from tests.sandbox.cloud.world import Aws

EC2 = "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html"
DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html"
SCALING = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html"


@pytest.mark.parametrize(
    ("service", "action", "call", "code", "status"),
    [
        pytest.param(
            "ec2",
            "DescribeVpcs",
            "describe_vpcs",
            "RequestLimitExceeded",
            503,
            marks=pytest.mark.documented("EC2 throttles with RequestLimitExceeded", EC2),
        ),
        pytest.param(
            "autoscaling",
            "DescribePolicies",
            "describe_policies",
            "Throttling",
            400,
            marks=pytest.mark.documented("Auto Scaling throttles with 400", SCALING),
        ),
        ("elbv2", "DescribeRules", "describe_rules", "Throttling", 400),
        pytest.param(
            "dynamodb",
            "ListTables",
            "list_tables",
            "ThrottlingException",
            400,
            marks=pytest.mark.documented("DynamoDB throttles with ThrottlingException", DYNAMODB),
        ),
    ],
)
def test_the_next_calls_of_an_action_are_throttled(
    sandbox: Sandbox, client: Callable[[str], Any], service: str, action: str, call: str, code: str, status: int
) -> None:
    sandbox.ask("PUT", "throttle", {"action": action, "calls": 1})
    with pytest.raises(ClientError) as refused:
        getattr(client(service), call)()
    response = refused.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert code not in answer(getattr(client(service), call))


def answer(call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except ClientError as fault:
        return str(fault)


def test_a_client_that_retries_gets_through(aws: Aws) -> None:
    patient = boto3.client(
        "ec2",
        endpoint_url=aws.sandbox.endpoint,
        region_name="us-east-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
        config=Config(retries={"mode": "standard", "max_attempts": 3}),
    )
    aws.sandbox.ask("PUT", "throttle", {"action": "DescribeVpcs", "calls": 1})
    assert patient.describe_vpcs(VpcIds=[aws.vpc])["Vpcs"]
