"""What Network Load Balancers report to CloudWatch. A minute of CloudWatch's lasts a second here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.cloud.flow_meter import FlowMeter
from tests.sandbox.cloud.network_site import Flows
from tests.sandbox.cloud.world import eventually

NAMESPACE = "AWS/NetworkELB"
METRICS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-cloudwatch-metrics.html"


class Watched:
    def __init__(self, flows: Flows, cloudwatch: Any) -> None:
        self.flows = flows
        self.cloudwatch = cloudwatch
        self.group, (self.target,) = flows.serve("a")
        self.of_balancer = {"LoadBalancer": flows.balancer.partition(":loadbalancer/")[2]}
        self.of_group = self.of_balancer | {"TargetGroup": self.group.rpartition(":")[2]}
        self.began = datetime.now(UTC)

    def asked(self, name: str, dimensions: dict[str, str]) -> dict[str, Any]:
        named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        return {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": named}

    def values(self, name: str, stat: str, dimensions: dict[str, str] | None = None) -> list[float]:
        """Of each period since the test began, the newest first."""
        metric = self.asked(name, dimensions or self.of_balancer)
        answer = self.cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "it", "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}}],
            StartTime=self.began - timedelta(seconds=1),
            EndTime=datetime.now(UTC) + timedelta(seconds=1),
        )
        return list(answer["MetricDataResults"][0]["Values"])

    def total(self, name: str) -> float:
        return sum(self.values(name, "Sum"))


@pytest.fixture
def watched(flows: Flows, cloudwatch: Any) -> Watched:
    return Watched(flows, cloudwatch)


@pytest.mark.documented("flows and bytes are counted by load balancer, and not by target group", METRICS)
def test_flows_and_bytes_are_counted(watched: Watched) -> None:
    assert watched.of_balancer["LoadBalancer"].startswith("net/")
    kept, left = watched.flows.connect(), watched.flows.connect()
    assert kept.says(b"x" * 1000) == b"x" * 1000
    left.sock.close()
    eventually(lambda: watched.total("NewFlowCount") == 2)
    assert watched.total("ProcessedBytes") == 2 * 1000 + 2 * len(b"a\n")
    eventually(lambda: watched.values("ActiveFlowCount", "Maximum")[0] == 1)
    kept.sock.close()
    eventually(lambda: watched.values("ActiveFlowCount", "Maximum")[0] == 0)
    assert watched.values("NewFlowCount", "Sum", watched.of_group) == []


@pytest.mark.documented("the counts of a Network Load Balancer are reported when they are 0, too", METRICS)
def test_what_did_not_happen_is_reported_as_0(watched: Watched) -> None:
    eventually(lambda: watched.values("NewFlowCount", "Sum")[:1] == [0.0])
    found = watched.cloudwatch.list_metrics(Namespace=NAMESPACE, Dimensions=_listed(watched.of_balancer))["Metrics"]
    assert {it["MetricName"] for it in found if len(it["Dimensions"]) == 1} == {
        "ActiveFlowCount",
        "NewFlowCount",
        "ProcessedBytes",
        "TCP_Client_Reset_Count",
        "TCP_Target_Reset_Count",
        "TCP_ELB_Reset_Count",
    }
    assert {it["MetricName"] for it in found if len(it["Dimensions"]) == 2} == {
        "HealthyHostCount",
        "UnHealthyHostCount",
    }


def _listed(dimensions: dict[str, str]) -> list[dict[str, str]]:
    return [{"Name": key, "Value": value} for key, value in dimensions.items()]


@pytest.mark.documented("resets are counted by who sent them: client, target, load balancer", METRICS)
def test_resets_are_counted_by_who_sent_them(watched: Watched) -> None:
    watched.flows.connect().sock.sendall(b"reset\n")
    eventually(lambda: watched.total("TCP_Target_Reset_Count") == 1)
    watched.flows.connect().reset()
    eventually(lambda: watched.total("TCP_Client_Reset_Count") == 1)
    watched.flows.set(watched.group, "deregistration_delay.connection_termination.enabled", "true")
    client = watched.flows.connect()
    watched.flows.deregister(watched.group, watched.target)
    assert client.is_reset()
    eventually(lambda: watched.total("TCP_ELB_Reset_Count") == 1)
    assert [watched.total(f"TCP_{who}_Reset_Count") for who in ("Client", "Target", "ELB")] == [1, 1, 1]


@pytest.mark.documented("hosts are counted by target group in a load balancer", METRICS)
def test_an_alarm_on_unhealthy_hosts_goes_off(watched: Watched) -> None:
    watched.cloudwatch.put_metric_alarm(
        AlarmName="unhealthy-behind-tcp",
        **watched.asked("UnHealthyHostCount", watched.of_group),
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )

    def state() -> str:
        found = watched.cloudwatch.describe_alarms(AlarmNames=["unhealthy-behind-tcp"])["MetricAlarms"]
        return str(found[0]["StateValue"])

    eventually(lambda: state() == "OK")
    watched.flows.aws.sandbox.ask("PUT", "faults", {"targetGroup": watched.group, "failsHealthChecks": True})
    eventually(lambda: state() == "ALARM")
    watched.cloudwatch.delete_alarms(AlarmNames=["unhealthy-behind-tcp"])


def test_a_fault_of_a_group_resets_its_connections(watched: Watched) -> None:
    watched.flows.aws.sandbox.ask("PUT", "faults", {"targetGroup": watched.group, "errorRate": 1})
    with pytest.raises(ConnectionResetError):
        watched.flows.connect()
    eventually(lambda: watched.total("TCP_Target_Reset_Count") == 1)


def test_what_is_under_way_is_counted_in_the_next_period_too() -> None:
    meter = FlowMeter("arn")
    meter.begun()
    meter.look()
    first = {name: samples for name, _, samples in meter.close()}
    meter.look()
    second = {name: samples for name, _, samples in meter.close()}
    assert [it["ActiveFlowCount"].statistic("Maximum") for it in (first, second)] == [1, 1]
    assert [it["NewFlowCount"].statistic("Sum") for it in (first, second)] == [1, 0]
