"""What is read of a Network Load Balancer, which has no rules and counts connections alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import Stubber
from moto.elbv2.models import elbv2_backends

from bluegreen.model.observation import Traffic
from bluegreen.model.tags import Purpose
from tests.aws.world import WEB, World, tags_of

SINCE = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def as_aws_names_it(balancer: str) -> str:
    """moto gives it the ARN of an Application Load Balancer."""
    backend = elbv2_backends["123456789012"]["us-east-1"]
    found = backend.load_balancers.pop(balancer)
    found.arn = balancer.replace(":loadbalancer/app/", ":loadbalancer/net/")
    backend.load_balancers[found.arn] = found
    return str(found.arn)


@pytest.fixture
def network(world: World) -> World:
    """The same behind a Network Load Balancer, whose production listener is of TCP and its preview listener of TLS."""
    elbv2 = world.session.client("elbv2")
    (public,) = world.session.client("ec2").describe_subnets(SubnetIds=[world.subnet])["Subnets"]
    made = elbv2.create_load_balancer(Name="web", Type="network", Subnets=[world.subnet])["LoadBalancers"][0]
    made["LoadBalancerArn"] = as_aws_names_it(made["LoadBalancerArn"])
    old, new = (
        elbv2.create_target_group(Name=name, Protocol="TCP", Port=80, VpcId=public["VpcId"])["TargetGroups"][0]
        for name in ("old-tcp", "new-tcp")
    )

    def listen(port: int, target_group: str, purpose: str, **options: Any) -> str:
        listener = elbv2.create_listener(
            LoadBalancerArn=made["LoadBalancerArn"],
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": target_group}],
            Tags=tags_of(purpose),
            **options,
        )
        return str(listener["Listeners"][0]["ListenerArn"])

    certificate = world.session.client("acm").request_certificate(DomainName="shop.example.com")["CertificateArn"]
    tls = {"Protocol": "TLS", "Certificates": [{"CertificateArn": certificate}]}
    found = replace(
        world,
        balancer=made["LoadBalancerArn"],
        old=old["TargetGroupArn"],
        new=new["TargetGroupArn"],
        production=listen(80, old["TargetGroupArn"], "production", Protocol="TCP"),
        preview=listen(9000, new["TargetGroupArn"], "preview", **tls),
    )
    world.calls.clear()
    return found


def test_its_kind_is_known_by_its_target_groups(network: World) -> None:
    found = network.observer.balancer_of([network.old])
    assert found
    assert (found.kind, found.arn_suffix) == ("network", network.balancer.partition(":loadbalancer/")[2])


def test_weights_are_those_of_its_listener_and_no_rules_are_asked_for(network: World) -> None:
    network.forward(network.production, {network.old: 90, network.new: 10})
    assert network.observer.default_weights(network.production) == {network.old: 90, network.new: 10}
    seen = {each.port: each for each in network.observer.listeners_of([network.old])}
    assert (seen[80].purpose, seen[80].weights) == (Purpose.PRODUCTION, {network.old: 90, network.new: 10})
    assert (seen[9000].purpose, seen[9000].weights) == (Purpose.PREVIEW, {network.new: 1})
    assert "DescribeRules" not in network.calls


def test_who_asks_by_a_url_asks_by_http(network: World) -> None:
    production = network.observer.entrance(network.old, Purpose.PRODUCTION)
    preview = network.observer.entrance(network.new, Purpose.PREVIEW)
    assert production
    assert preview
    assert production.url.startswith("http://")
    assert production.url.endswith(":80")
    assert preview.url.startswith("https://")
    assert preview.known_as("shop.example.com").url == "https://shop.example.com:9000"


def test_the_groups_that_share_its_traffic_are_told(network: World) -> None:
    network.make_group("web-old", network.old)
    network.forward(network.production, {network.old: 3, network.new: 1})
    (group,) = network.observer.groups(WEB)
    assert network.observer.shares([replace(group, release="4d197941")]) == {"4d197941": 75, network.new: 25}


def asked_of(network: World, question: Any, **series: dict[int, float]) -> tuple[Any, list[dict[str, Any]]]:
    """The answer to a question, and what CloudWatch was asked. Keys of series: seconds after SINCE."""
    asked: list[dict[str, Any]] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.extend(each["MetricStat"] for each in params["MetricDataQueries"])

    client = network.session.client("cloudwatch")
    results = [
        {
            "Id": name,
            "Timestamps": [SINCE + timedelta(seconds=at) for at in values],
            "Values": list(values.values()),
            "StatusCode": "Complete",
        }
        for name, values in series.items()
    ]
    client.meta.events.register("provide-client-params.cloudwatch.GetMetricData", note)
    try:
        with Stubber(client) as stub:
            stub.add_response("get_metric_data", {"MetricDataResults": results})
            return question(), asked
    finally:
        client.meta.events.unregister("provide-client-params.cloudwatch.GetMetricData", note)


def test_new_connections_of_the_whole_stand_for_requests(network: World) -> None:
    traffic, asked = asked_of(
        network,
        lambda: network.observer.traffic(network.production, network.new, SINCE),
        requests={-30: 50, 30: 4, 90: 3},
        hosts={30: 2, 90: 2},
    )
    assert traffic == Traffic(periods=2, requests=7)
    flows, hosts = asked
    assert {each["Metric"]["Namespace"] for each in asked} == {"AWS/NetworkELB"}
    assert (flows["Metric"]["MetricName"], [each["Name"] for each in flows["Metric"]["Dimensions"]]) == (
        "NewFlowCount",
        ["LoadBalancer"],
    )
    assert hosts["Metric"]["MetricName"] == "HealthyHostCount"
    assert hosts["Metric"]["Dimensions"][1]["Value"].startswith("targetgroup/new-tcp/")


@pytest.mark.parametrize(
    ("flows", "had_none"),
    [
        ({}, False),  # no data is no proof
        ({30: 1}, False),
        ({30: 3, 90: 0}, True),
        ({-30: 0}, False),  # that period began before
        ({-30: 0, 30: 2}, False),
        ({0: 0}, True),
    ],
)
def test_a_whole_period_without_connections_has_to_be_reported(
    network: World, flows: dict[int, float], had_none: bool
) -> None:
    found, (asked,) = asked_of(
        network, lambda: network.observer.had_no_connections(network.production, SINCE), flows=flows
    )
    assert found is had_none
    assert (asked["Metric"]["MetricName"], asked["Stat"]) == ("ActiveFlowCount", "Maximum")
    assert [each["Name"] for each in asked["Metric"]["Dimensions"]] == ["LoadBalancer"]
