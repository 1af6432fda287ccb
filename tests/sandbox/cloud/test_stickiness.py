"""Clients that stick to their target group, or to their target."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud import stickiness
from tests.sandbox.cloud.backend import PORT
from tests.sandbox.cloud.site import Site, weighted
from tests.sandbox.cloud.world import eventually

HOUR = 3600


class Visitor:
    """A client with a cookie jar that forgets nothing, not even what is over."""

    def __init__(self, site: Site, *, without: tuple[str, ...] = ()) -> None:
        self.site = site
        self.without = without
        self.cookies: dict[str, str] = {}
        self.set: list[str] = []
        self.status = 0

    def ask(self, path: str = "/who") -> str:
        connection = self.site.connect()
        connection.request("GET", path, headers={"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())})
        answer = connection.getresponse()
        self.status = answer.status
        self.set = answer.headers.get_all("Set-Cookie") or []
        for line in self.set:
            for name, morsel in SimpleCookie(line).items():
                if name not in self.without:
                    self.cookies[name] = morsel.value
        body = answer.read().decode()
        connection.close()
        return body


def stick_to_targets(site: Site, group: str, seconds: int | None = None, **more: str) -> None:
    attributes = {"stickiness.enabled": "true", "stickiness.type": "lb_cookie"} | more
    if seconds is not None:
        attributes["stickiness.lb_cookie.duration_seconds"] = str(seconds)
    site.aws.elb.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": key, "Value": value} for key, value in attributes.items()]
    )


def two_groups(site: Site) -> tuple[str, str]:
    """Blue and green, both behind the listener, blue with all of the weight."""
    blue, _ = site.serve("blue")
    green, _ = site.group("green")
    site.forward(**{blue: 1, green: 0})
    eventually(lambda: site.aws.states(green) == ["healthy"])
    return blue, green


def test_nobody_gets_a_cookie_without_stickiness(site: Site) -> None:
    two_groups(site)
    visitor = Visitor(site)
    assert visitor.ask() == "blue"
    assert visitor.set == []


@pytest.mark.documented(
    "a client stays in its target group by AWSALBTG, whatever the weights",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html",
)
def test_a_client_stays_in_its_group_whatever_the_weights(site: Site) -> None:
    blue, green = two_groups(site)
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 0})
    visitor = Visitor(site)
    assert visitor.ask() == "blue"
    plain, twin = visitor.set
    value = visitor.cookies["AWSALBTG"]
    assert plain.startswith(f"AWSALBTG={value}; Expires=")
    assert plain.endswith(" GMT; Path=/")
    assert twin == plain.replace("AWSALBTG=", "AWSALBTGCORS=") + "; SameSite=None"
    site.forward(sticky_seconds=HOUR, **{blue: 0, green: 100})
    assert {visitor.ask() for _ in range(10)} == {"blue"}
    assert {Visitor(site).ask() for _ in range(10)} == {"green"}


@pytest.mark.documented(
    "the time of a cookie begins anew with each request",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html",
)
def test_every_answer_sets_the_cookie_anew(site: Site) -> None:
    blue, green = two_groups(site)
    site.forward(sticky_seconds=2, **{blue: 1, green: 0})
    visitor = Visitor(site)
    visitor.ask()
    site.forward(sticky_seconds=2, **{blue: 0, green: 1})
    for _ in range(3):
        time.sleep(0.8)
        assert visitor.ask() == "blue"


@pytest.mark.documented(
    "a cookie with CORS in its name goes with each, SameSite=None",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html",
)
def test_the_twin_of_a_cookie_is_as_good(site: Site) -> None:
    blue, green = two_groups(site)
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 0})
    visitor = Visitor(site, without=("AWSALBTG",))
    visitor.ask()
    site.forward(sticky_seconds=HOUR, **{blue: 0, green: 1})
    assert visitor.ask() == "blue"


def test_a_client_moves_when_its_group_is_no_longer_named(site: Site) -> None:
    blue, green = two_groups(site)
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 0})
    visitor = Visitor(site)
    assert visitor.ask() == "blue"
    site.forward(sticky_seconds=HOUR, **{green: 1})
    assert visitor.ask() == "green"
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 0})
    assert visitor.ask() == "green"


def test_a_client_of_a_group_without_targets_gets_503_and_no_other_group(site: Site) -> None:
    blue, green = two_groups(site)
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 0})
    visitor = Visitor(site)
    visitor.ask()
    site.forward(sticky_seconds=HOUR, **{blue: 0, green: 1})
    for backend in site.backends[:1]:
        site.aws.elb.deregister_targets(TargetGroupArn=blue, Targets=[{"Id": backend.address, "Port": PORT}])
    visitor.ask()
    assert visitor.status == 503
    assert Visitor(site).ask() == "green"


def test_a_client_whose_time_is_over_is_chosen_for_anew(site: Site) -> None:
    blue, green = two_groups(site)
    site.forward(sticky_seconds=1, **{blue: 1, green: 0})
    visitor = Visitor(site)
    assert visitor.ask() == "blue"
    site.forward(sticky_seconds=HOUR, **{blue: 0, green: 1})
    time.sleep(1.1)
    assert visitor.ask() == "green"
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 0})
    assert visitor.ask() == "green"


@pytest.mark.parametrize("value", ["", "x", "====", "AAAA", "not base 64", 3 * "QUJDREVGR0hJSktM"])
@pytest.mark.documented(
    "a cookie that cannot be decoded counts for nothing",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html",
)
def test_a_cookie_that_nobody_can_read_counts_for_nothing(site: Site, value: str) -> None:
    blue, green = two_groups(site)
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 0})
    visitor = Visitor(site)
    visitor.cookies = {"AWSALBTG": value, "other": "b"}
    assert visitor.ask() == "blue"
    assert len(visitor.set) == 2


@pytest.mark.documented(
    "a client stays with its target by AWSALB, until that is deregistered",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html",
)
def test_a_client_stays_with_its_target_until_that_drains(site: Site) -> None:
    arn, _ = site.serve("a", "b", "c")
    stick_to_targets(site, arn, HOUR)
    site.aws.drain_seconds(arn, 30)
    visitor = Visitor(site)
    mine = visitor.ask()
    assert [line.partition("=")[0] for line in visitor.set] == ["AWSALB", "AWSALBCORS"]
    assert {visitor.ask() for _ in range(9)} == {mine}
    assert {Visitor(site).ask() for _ in range(9)} == {"a", "b", "c"}
    address = next(it.address for it in site.backends if it.name == mine)
    site.aws.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": address, "Port": PORT}])
    others = {visitor.ask() for _ in range(9)}
    assert len(others) == 1
    assert others != {mine}


@pytest.mark.documented(
    "a client of an unhealthy target is given another, for good",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html",
)
def test_a_client_leaves_a_target_that_is_unhealthy_for_good(site: Site) -> None:
    arn, backends = site.serve("a", "b")
    stick_to_targets(site, arn)
    visitor = Visitor(site)
    mine = visitor.ask()
    (backend,) = (it for it in backends if it.name == mine)
    backend.is_healthy = False
    other = eventually(lambda: (found := visitor.ask()) != mine and found)
    backend.is_healthy = True
    eventually(lambda: site.aws.states(arn) == ["healthy", "healthy"])
    assert {visitor.ask() for _ in range(6)} == {other}


@pytest.mark.documented(
    "stickiness to groups and to targets together",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/sticky-sessions.html",
)
def test_a_target_of_a_sticky_group_is_kept_too(site: Site) -> None:
    blue, _ = site.serve("blue-1", "blue-2")
    green, _ = site.group("green-1", "green-2")
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 1})
    stick_to_targets(site, blue, HOUR)
    stick_to_targets(site, green, HOUR)
    eventually(lambda: site.aws.states(green) == ["healthy", "healthy"])
    visitor = Visitor(site)
    mine = visitor.ask()
    assert sorted(visitor.cookies) == ["AWSALB", "AWSALBCORS", "AWSALBTG", "AWSALBTGCORS"]
    assert {visitor.ask() for _ in range(12)} == {mine}


def test_an_answer_that_a_fault_makes_is_as_sticky_as_the_targets(site: Site) -> None:
    arn, _ = site.serve("a")
    stick_to_targets(site, arn)
    site.aws.sandbox.ask("PUT", "faults", {"targetGroup": arn, "errorRate": 1})
    visitor = Visitor(site)
    visitor.ask()
    assert (visitor.status, len(visitor.set)) == (500, 2)


def requests_of_an_action(site: Site, rule: str) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """Every call that sets an action."""
    elb = site.aws.elb
    condition = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/x"]}}
    return {
        "CreateListener": lambda action: site.aws.listener(site.balancer, action, port=9000),
        "ModifyListener": lambda action: elb.modify_listener(ListenerArn=site.listener, DefaultActions=[action]),
        "CreateRule": lambda action: elb.create_rule(
            ListenerArn=site.listener, Priority=9, Conditions=[condition], Actions=[action]
        ),
        "ModifyRule": lambda action: elb.modify_rule(RuleArn=rule, Actions=[action]),
    }


def a_rule(site: Site, group: str) -> str:
    made = site.aws.elb.create_rule(
        ListenerArn=site.listener,
        Priority=5,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/y"]}}],
        Actions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    return str(made["Rules"][0]["RuleArn"])


@pytest.mark.parametrize("call", ["CreateListener", "ModifyListener", "CreateRule", "ModifyRule"])
def test_sticky_targets_in_one_of_several_groups_need_sticky_groups(site: Site, call: str) -> None:
    blue, _ = site.serve("blue")
    green, _ = site.group("green")
    stick_to_targets(site, green)
    set_action = requests_of_an_action(site, a_rule(site, blue))[call]
    with pytest.raises(ClientError, match="You must enable target group stickiness on the rule") as refused:
        set_action(weighted(**{blue: 1, green: 0}))
    assert refused.value.response["Error"]["Code"] == "InvalidLoadBalancerAction"
    assert Visitor(site).ask() == "blue"
    set_action(weighted(**{green: 1}))
    if call.startswith("Modify"):
        set_action(weighted(sticky_seconds=HOUR, **{blue: 1, green: 0}))


def test_targets_do_not_get_sticky_behind_a_rule_whose_groups_are_not(site: Site) -> None:
    blue, green = two_groups(site)
    with pytest.raises(ClientError, match="You must enable group stickiness before enabling target stickiness"):
        stick_to_targets(site, green)
    attributes = site.aws.elb.describe_target_group_attributes(TargetGroupArn=green)["Attributes"]
    assert {"Key": "stickiness.enabled", "Value": "false"} in attributes
    site.forward(sticky_seconds=HOUR, **{blue: 1, green: 0})
    stick_to_targets(site, green)


def test_stickiness_without_a_duration_is_refused(site: Site) -> None:
    blue, green = two_groups(site)
    with pytest.raises(ClientError, match="stickiness duration must be between 1 and 604800 seconds"):
        site.forward(sticky_seconds=0, **{blue: 1, green: 0})


def test_stickiness_by_an_applications_cookie_is_refused_in_words(site: Site) -> None:
    arn, _ = site.group()
    more = {"stickiness.type": "app_cookie", "stickiness.app_cookie.cookie_name": "session"}
    with pytest.raises(ClientError, match="no stickiness by an application's cookie"):
        stick_to_targets(site, arn, **more)


def test_a_cookie_is_for_its_destination_only() -> None:
    line = stickiness.set_cookies(stickiness.GROUP, "a", HOUR).split(b";")[0].removeprefix(b"Set-Cookie: ")
    fields = [(b"cookie", b"x=1; " + line)]
    assert stickiness.known(fields, stickiness.GROUP, ("b", "a")) == "a"
    assert stickiness.known(fields, stickiness.GROUP, ("b",)) is None
    assert stickiness.known(fields, stickiness.TARGET, ("a",)) is None
