"""What may not be asked, and what AWS refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bluegreen.errors import AwsError, NotPermitted
from tests.aws.world import WEB, World


@pytest.mark.parametrize(
    ("service", "code", "ask"),
    [
        ("ec2", "UnauthorizedOperation", lambda observer: observer.has_key_pair("ops")),
        ("ec2", "UnauthorizedOperation", lambda observer: observer.on_demand_machines()),
        ("iam", "AccessDenied", lambda observer: observer.has_instance_profile("web")),
        ("service-quotas", "AccessDeniedException", lambda observer: observer.vcpu_quota("L-1216C47A")),
    ],
)
def test_what_may_not_be_asked_is_neither_there_nor_missing(world: World, service: str, code: str, ask: Any) -> None:
    def refuse(model: Any, **_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, model.name)

    events = world.session.client(service).meta.events
    events.register("before-call", refuse)
    try:
        with pytest.raises(NotPermitted, match=code):
            ask(world.observer)
    finally:
        events.unregister("before-call", refuse)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredToken", "Renew the credentials"),
        ("InvalidClientTokenId", "Renew the credentials"),
        ("AccessDenied", "Allow this caller DescribeAutoScalingGroups"),
        ("UnauthorizedOperation", "Allow this caller"),
    ],
)
def test_refusals_of_aws_say_what_to_do(world: World, code: str, advice: str) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeAutoScalingGroups")

    events = world.session.client("autoscaling").meta.events
    events.register("before-call", refuse)
    try:
        with pytest.raises(AwsError, match=code) as caught:
            world.observer.groups(WEB)
    finally:
        events.unregister("before-call", refuse)
    assert advice in caught.value.next_step


@pytest.mark.parametrize(
    ("service", "ask"),
    [
        ("cloudwatch", lambda observer: observer.alarms(["checkout"])),
        ("cloudwatch", lambda observer: observer.alarms_of("web-bbbbbbbb", "tg", "listener")),
        ("cloudwatch", lambda observer: observer.traffic("a:b/c/d/e/f", "tg", datetime(2026, 1, 1, tzinfo=UTC))),
        ("ec2", lambda observer: observer.console_output("i-1")),
    ],
)
def test_alarms_metrics_and_consoles_that_may_not_be_read_are_an_error_and_not_none(
    world: World, service: str, ask: Any
) -> None:
    def refuse(model: Any, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, model.name)

    events = world.session.client(service).meta.events
    events.register("before-call", refuse)
    try:
        with pytest.raises(NotPermitted, match="AccessDenied"):
            ask(world.observer)
    finally:
        events.unregister("before-call", refuse)
