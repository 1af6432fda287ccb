"""The world that every question is asked of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from bluegreen.aws.session import Session, SessionSettings
from tests.aws.world import World, tags_of


@pytest.fixture(scope="module")
def recorded_session() -> Iterator[tuple[Session, list[str]]]:
    """Clients take long to make, so all tests share them; `mock_aws` gives each test an account of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        session = Session(SessionSettings(region="us-east-1"))
        calls: list[str] = []
        for service in (
            *("ec2", "elbv2", "autoscaling", "cloudwatch", "iam", "service-quotas"),
            *("acm", "route53", "sts", "wafv2", "s3", "kms"),
        ):
            events = session.client(service).meta.events
            events.register("before-call", lambda model, **_: calls.append(model.name))
        yield session, calls


@pytest.fixture
def world(recorded_session: tuple[Session, list[str]]) -> Iterator[World]:
    session, calls = recorded_session
    with mock_aws():
        ec2, elbv2 = session.client("ec2"), session.client("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")
            for number, zone in enumerate("ab")
        ]
        subnet_ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
        balancer = elbv2.create_load_balancer(Name="web", Subnets=subnet_ids)["LoadBalancers"][0]["LoadBalancerArn"]
        old, new = (
            elbv2.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0][
                "TargetGroupArn"
            ]
            for name in ("old", "new")
        )

        def listen(port: int, target_group: str, tags: list[dict[str, str]]) -> str:
            made: dict[str, Any] = elbv2.create_listener(
                LoadBalancerArn=balancer,
                Port=port,
                Protocol="HTTP",
                DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
                Tags=tags,
            )
            return str(made["Listeners"][0]["ListenerArn"])

        production = listen(80, old, tags_of("production"))
        preview = listen(9000, new, tags_of("preview"))
        calls.clear()
        yield World(session, calls, balancer, old, new, production, preview, subnet_ids[0])
