"""Rules, weights and redirects, without any socket."""

from __future__ import annotations

import pytest

from sandbox.cloud.routing import Condition, FixedResponse, Forward, Listener, Redirect, Request, Rule, Table


def request(**changes: object) -> Request:
    facts = {"method": "GET", "host": "shop.example:8080", "path": "/a/b", "query": "x=1&y=2", "source": "127.0.0.1"}
    return Request(**{**facts, "headers": (("accept", "text/html"),), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition("host-header", ("SHOP.*",)), True),
        (Condition("host-header", ("example",)), False),
        (Condition("path-pattern", ("/a/*",)), True),
        (Condition("path-pattern", ("/A/*",)), False),
        (Condition("path-pattern", ("/a/?",)), True),
        (Condition("path-pattern", ("/x", "/a/b")), True),
        (Condition("http-header", ("text/*",), header="Accept"), True),
        (Condition("http-header", ("text/*",), header="X-Other"), False),
        (Condition("http-request-method", ("GET", "HEAD")), True),
        (Condition("http-request-method", ("POST",)), False),
        (Condition("query-string", pairs=(("x", "1"),)), True),
        (Condition("query-string", pairs=((None, "2"),)), True),
        (Condition("query-string", pairs=(("x", "2"),)), False),
        (Condition("source-ip", ("10.0.0.0/8", "127.0.0.0/8")), True),
        (Condition("source-ip", ("10.0.0.0/8",)), False),
        (Condition("of-tomorrow", ("*",)), False),
    ],
)
@pytest.mark.documented(
    "conditions by host, path, header, method, query and source, with wildcards",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html",
)
def test_a_condition_holds_as_aws_says(condition: Condition, holds: bool) -> None:
    assert condition.holds(request()) is holds


@pytest.mark.documented(
    "all conditions of a rule must hold",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html",
)
def test_all_conditions_of_a_rule_must_hold() -> None:
    rule = Rule((Condition("path-pattern", ("/a/*",)), Condition("http-request-method", ("POST",))), FixedResponse(200))
    listener = Listener("arn", "127.0.0.1", 80, FixedResponse(404), (rule,))
    assert listener.action_for(request()) == FixedResponse(404)
    assert listener.action_for(request(method="POST")) == FixedResponse(200)


def test_no_group_is_chosen_without_a_weight() -> None:
    assert Forward(()).choose(0.5) is None
    assert Forward((("a", 0),)).choose(0.5) is None
    assert Forward((("a", 0), ("b", 0))).choose(0.5) is None
    assert {Forward((("a", 0), ("b", 5))).choose(point / 50) for point in range(50)} == {"b"}


@pytest.mark.parametrize(
    ("redirect", "location"),
    [
        (Redirect(301, protocol="HTTPS", port="443"), "https://shop.example/a/b?x=1&y=2"),
        (Redirect(302, path="/new/#{path}", query=""), "http://shop.example:8080/new/a/b"),
        (Redirect(302, host="www.#{host}"), "http://www.shop.example:8080/a/b?x=1&y=2"),
    ],
)
@pytest.mark.documented(
    "a redirect keeps what it does not name",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html",
)
def test_a_redirect_fills_in_its_placeholders(redirect: Redirect, location: str) -> None:
    assert redirect.location(request(), port=8080, protocol="http") == location


def test_a_group_is_used_if_any_listener_names_it_in_its_default_action_or_a_rule() -> None:
    rule = Rule((), Forward((("in-a-rule", 1),)))
    listener = Listener("arn", "127.0.0.1", 80, Forward((("default", 1), ("weightless", 0))), (rule,))
    assert Table((listener,)).used_arns == {"default", "weightless", "in-a-rule"}
