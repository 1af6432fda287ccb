"""What a stack costs: nothing that runs is left out, and nothing without a price is passed over in silence."""

from __future__ import annotations

import pytest

from bluegreen.model import prices
from bluegreen.model.cost import Cost, cost_of
from bluegreen.model.settings import Settings


def cost(machines: dict[str, int] | None = None, groups: int = 1, **config: object) -> Cost:
    settings = Settings.parse({"ami": "ami-00000001", **config})
    return cost_of(settings, {"t3.small": 2} if machines is None else machines, groups)


def count(found: Cost, what: str) -> int:
    return sum(line.count for line in found.lines if line.what == what)


@pytest.mark.parametrize(
    ("instance_type", "dollars"),
    [
        ("t3.nano", 0.0052),
        ("t3.small", 0.0208),
        ("t4g.medium", 0.0336),
        ("m5.large", 0.096),
        ("c6g.xlarge", 0.136),
        ("r6i.4xlarge", 1.008),
        ("m7a.48xlarge", 11.12832),
        ("c7g.medium", 0.0363),
    ],
)
def test_a_machine_costs_what_the_price_list_says(instance_type: str, dollars: float) -> None:
    assert prices.machine(instance_type) == pytest.approx(dollars, rel=0.002)


@pytest.mark.parametrize("instance_type", ["p5.48xlarge", "m5.metal", "t3", "t3.huge", "mac1.metal"])
def test_a_machine_that_the_table_lacks_has_no_price(instance_type: str) -> None:
    assert prices.machine(instance_type) is None


def test_a_machine_without_a_price_is_named() -> None:
    found = cost({"p5.48xlarge": 2, "t3.small": 1})
    assert found.unpriced == ("p5.48xlarge",)
    assert found.hourly == pytest.approx(cost({"t3.small": 1}).hourly)


def test_twice_the_machines_cost_twice_as_much() -> None:
    one, two = cost({"m5.large": 3}), cost({"m5.large": 6})
    assert two.hourly - one.hourly == pytest.approx(3 * 0.096)


def test_a_nat_instance_is_paid_for_as_a_machine_and_so_is_its_address() -> None:
    found = cost(nat="instance", natInstance={"type": "t4g.nano"})
    assert (count(found, "t4g.nano for NAT"), count(found, "public address")) == (1, 3)
    assert found.hourly - cost(nat="none").hourly == pytest.approx(0.0042 + 0.005)


def test_consul_servers_are_paid_for_as_machines() -> None:
    found = cost(consul={"image": "ami-00000001", "servers": 5, "instanceType": "t3.nano"})
    assert count(found, "t3.nano for Consul") == 5
    assert found.hourly - cost().hourly == pytest.approx(5 * 0.0052)


def test_a_server_more_is_paid_for_while_it_is_there() -> None:
    settings = Settings.parse({"ami": "ami-00000001", "consul": {"image": "ami-00000001"}})
    one, more = cost_of(settings, {}, 1), cost_of(settings, {}, 1, consul_servers=4)
    assert (count(one, "t3.small for Consul"), count(more, "t3.small for Consul")) == (3, 4)


def test_an_endpoint_is_paid_for_in_each_zone() -> None:
    assert count(cost(endpoints=["management", "logs"], zones=3), "interface endpoint") == 12


def test_in_an_existing_vpc_a_way_out_is_somebody_else_s() -> None:
    assert count(cost(vpc={"id": "vpc-00000001"}, nat="single"), "NAT gateway") == 0


@pytest.mark.parametrize(("nat", "gateways"), [("none", 0), ("single", 1), ("perZone", 3)])
def test_each_gateway_is_paid_for_and_so_is_its_address(nat: str, gateways: int) -> None:
    found = cost(nat=nat, zones=3)
    assert count(found, "NAT gateway") == gateways
    assert count(found, "public address") == 3 + gateways


def test_an_internal_load_balancer_pays_for_no_public_address() -> None:
    assert count(cost(nat="single", zones=3, internal=True), "public address") == 1


def test_the_alarms_of_every_group_are_paid_for() -> None:
    assert count(cost(groups=2), "alarm metric") == 2 * count(cost(groups=1), "alarm metric") > 0
    assert count(cost(alarms={"errorPercent": 0, "latencySeconds": 0, "unhealthyHosts": 0}), "alarm metric") == 0


def test_the_alarm_on_a_certificate_is_paid_for_once() -> None:
    tls = {"domain": "shop.example.com", "zone": "example.com"}
    without, with_it = cost(groups=2, tls=tls, alarms={"certificateDays": 0}), cost(groups=2, tls=tls)
    assert count(with_it, "alarm metric") == count(without, "alarm metric") + 1


@pytest.mark.parametrize(
    ("volume", "dollars_a_month"),
    [
        ({"sizeGb": 100}, 8.0),
        ({"sizeGb": 100, "iops": 4000, "throughput": 225}, 8.0 + 5.0 + 4.0),
        ({"sizeGb": 100, "type": "io2", "iops": 1000}, 12.5 + 65.0),
        ({"sizeGb": 1000, "type": "st1"}, 45.0),
    ],
)
def test_each_machine_s_volumes_are_paid_for(volume: dict[str, object], dollars_a_month: float) -> None:
    found = cost({"t3.small": 3}, volumes=[{"device": "/dev/sdf", **volume}])
    more = found.hourly - cost({"t3.small": 3}).hourly
    assert more * prices.HOURS_OF_A_MONTH == pytest.approx(3 * dollars_a_month)


def test_a_dashboard_and_the_alarms_of_steps_are_paid_for() -> None:
    step = {"name": "queue", "namespace": "Shop", "metric": "Waiting", "above": 1, "changes": [{"by": 1}]}
    more = cost(dashboard=True, scaling={"steps": [step]}, alarms={"capacityMinutes": 5}).hourly - cost().hourly
    assert more * prices.HOURS_OF_A_MONTH == pytest.approx(3.0 + 2 * 0.1)


def test_a_key_of_the_stack_s_own_is_paid_for_and_one_that_is_there_is_somebody_else_s() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    own, other = cost(encryption={"key": "own"}), cost(encryption={"key": key})
    assert (own.hourly - cost().hourly) * prices.HOURS_OF_A_MONTH == pytest.approx(1.0)
    assert other.hourly == cost().hourly


def test_a_record_says_whose_prices_they_are_and_of_when() -> None:
    record = cost().as_record()
    assert (record["region"], record["as_of"]) == (prices.REGION, prices.AS_OF.isoformat())
    assert record["monthly"] == pytest.approx(730 * cost().hourly, abs=0.01)
    assert sum(line["count"] * line["each"] for line in record["lines"]) == pytest.approx(record["hourly"], abs=1e-4)


def test_a_load_balancer_that_is_there_already_is_others_to_pay() -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shared/1/2"
    listener = {"arn": arn, "hosts": ["shop.example.com"], "priority": 1}
    found = cost(vpc={"id": "vpc-00000001"}, listener=listener)
    assert (count(found, "load balancer"), count(found, "public address")) == (0, 0)
    assert count(found, "alarm metric") == count(cost(), "alarm metric") - 2
