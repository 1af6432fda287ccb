"""Listeners with TLS and redirects, their rules and their certificates."""

from __future__ import annotations

from typing import Any

import boto3
import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.provider.wire import Props
from tests.sandbox.provider.driver import LISTENER, LISTENER_CERTIFICATE, LISTENER_RULE, Resource, Stack, certificate

_LISTENER = "https://github.com/hashicorp/terraform-provider-aws/blob/main/website/docs/r/lb_listener.html.markdown"
_RULE = "https://github.com/hashicorp/terraform-provider-aws/blob/main/website/docs/r/lb_listener_rule.html.markdown"
_CERTIFICATE = (
    "https://github.com/hashicorp/terraform-provider-aws/blob/main/website/docs/r/lb_listener_certificate.html.markdown"
)
_CODE = "https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/elbv2/listener.go"
_RULE_CODE = "https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/elbv2/listener_rule.go"

ABSENT = "arn:aws:acm:us-east-1:123456789012:certificate/nobody"
NOTHING = {"type": "fixed-response", "fixedResponse": {"contentType": "text/plain", "statusCode": "404"}}


def given(resource: Resource) -> Props:
    return {name: value for name, value in resource.inputs.items() if name not in resource.inputs["__defaults"]}


def live(resource: Resource) -> Any:
    return boto3.client("elbv2").describe_listeners(ListenerArns=[resource.identifier])["Listeners"][0]


def live_rule(resource: Resource) -> Any:
    return boto3.client("elbv2").describe_rules(RuleArns=[resource.identifier])["Rules"][0]


class TestListener:
    @pytest.mark.documented("sslPolicy of an HTTPS listener: ELBSecurityPolicy-2016-08, unless given", _LISTENER)
    def test_an_https_listener_has_a_policy(self, network: Stack) -> None:
        listener = network.secure_listener(network.load_balancer())
        assert listener.state["sslPolicy"] == "ELBSecurityPolicy-2016-08"
        assert listener.state["certificateArn"] == live(listener)["Certificates"][0]["CertificateArn"]
        changed = network.driver.update(
            listener, **given(listener) | {"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}
        )
        assert changed.state["sslPolicy"] == live(listener)["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"

    def test_an_http_listener_has_neither_policy_nor_certificate(self, network: Stack) -> None:
        listener = network.listener(network.load_balancer(), network.target_group())
        assert not {"sslPolicy", "certificateArn"} & listener.state.keys()

    @pytest.mark.documented("protocol, certificate and policy of a listener are changed in place", _CODE)
    def test_a_listener_moves_to_https_in_place(self, network: Stack) -> None:
        listener = network.listener(network.load_balancer(), network.target_group())
        news = given(listener) | {"protocol": "HTTPS", "port": 443, "certificateArn": certificate("shop.example")}
        assert not network.driver.diff(listener, **news).replaces
        changed = network.driver.update(listener, **news)
        assert (live(listener)["Protocol"], live(listener)["Port"]) == ("HTTPS", 443)
        assert changed.state["certificateArn"] == news["certificateArn"]
        assert network.driver.diff(changed, **news).changes == provider_pb2.DiffResponse.DIFF_NONE

    def test_a_certificate_that_does_not_exist_fails_the_change(self, network: Stack) -> None:
        listener = network.secure_listener(network.load_balancer())
        with pytest.raises(grpc.RpcError, match=r"modifying ELBv2 Listener .* CertificateNotFound"):
            network.driver.update(listener, **given(listener) | {"certificateArn": ABSENT})

    @pytest.mark.documented("a redirect keeps host, path, port, protocol and query, unless given", _LISTENER)
    def test_a_redirect_gets_its_defaults(self, network: Stack) -> None:
        redirect = {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"}
        listener = network.driver.create(
            LISTENER,
            "web",
            loadBalancerArn=network.load_balancer().identifier,
            port=80,
            defaultActions=[{"type": "redirect", "redirect": redirect}],
        )
        kept = {"host": "#{host}", "path": "/#{path}", "query": "#{query}"}
        assert listener.state["defaultActions"] == [{"type": "redirect", "order": 1, "redirect": redirect | kept}]
        asked = live(listener)["DefaultActions"][0]["RedirectConfig"]
        assert (asked["Protocol"], asked["Port"], asked["Host"]) == ("HTTPS", "443", "#{host}")

    @pytest.mark.parametrize(
        ("action", "reason"),
        [
            pytest.param(
                {"type": "redirect"},
                'Attribute "defaultActions[0].redirect" must be specified when "defaultActions[0].type" is "redirect".',
                marks=pytest.mark.documented("an action without what its type needs is an error", _CODE),
            ),
            ({"type": "forward"}, 'Either "defaultActions[0].targetGroupArn" or "defaultActions[0].forward" must be'),
            ({"type": "fixed-response", "redirect": {"statusCode": "HTTP_301"}}, '"defaultActions[0].fixedResponse"'),
            ({"type": "redirect", "redirect": {"statusCode": "HTTP_308"}}, "to be one of"),
            ({"type": "redirect", "redirect": {"statusCode": "HTTP_301", "protocol": "FTP"}}, "to be one of"),
        ],
    )
    def test_an_action_says_what_its_type_needs(self, network: Stack, action: Props, reason: str) -> None:
        balancer = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/a/0123456789abcdef"
        news = {"loadBalancerArn": balancer, "port": 80, "defaultActions": [action]}
        (found,) = network.driver.failures(LISTENER, news).values()
        assert reason in found


@pytest.fixture
def listener(network: Stack) -> Resource:
    return network.secure_listener(network.load_balancer())


class TestRule:
    @pytest.mark.documented("a rule without a priority comes behind all others", _RULE)
    def test_a_rule_without_a_priority_comes_last(self, network: Stack, listener: Resource) -> None:
        group = network.target_group()
        assert network.rule(listener, group, "first").state["priority"] == 1
        assert network.rule(listener, group, "second", priority=40).state["priority"] == 40
        assert network.rule(listener, group, "third").state["priority"] == 41

    @pytest.mark.documented("priority, actions and conditions of a rule are changed in place", _RULE_CODE)
    def test_a_rule_is_changed_in_place(self, network: Stack, listener: Resource, calls: list[str]) -> None:
        rule = network.rule(listener, network.target_group())
        news = given(rule) | {
            "priority": 7,
            "actions": [NOTHING],
            "conditions": [
                {"queryStrings": [{"key": "version", "value": "2"}, {"value": "beta"}]},
                {"httpHeader": {"httpHeaderName": "X-Canary", "values": ["yes"]}},
                {"httpRequestMethod": {"values": ["GET", "HEAD"]}},
                {"sourceIp": {"values": ["10.0.0.0/8"]}},
            ],
        }
        answer = network.driver.diff(rule, **news)
        assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
        assert not answer.replaces
        calls.clear()
        changed = network.driver.update(rule, **news)
        assert calls == ["SetRulePriorities", "ModifyRule", "DescribeRules"]
        known = live_rule(rule)
        assert (int(known["Priority"]), known["Actions"][0]["Type"]) == (7, "fixed-response")
        assert [it["Field"] for it in known["Conditions"]] == [
            "query-string",
            "http-header",
            "http-request-method",
            "source-ip",
        ]
        assert network.driver.diff(changed, **news).changes == provider_pb2.DiffResponse.DIFF_NONE

    @pytest.mark.documented("another listener for a rule replaces it", _RULE_CODE)
    def test_another_listener_replaces_a_rule(self, network: Stack, listener: Resource) -> None:
        rule = network.rule(listener, network.target_group())
        assert rule.state["listenerArn"] == listener.identifier
        other = listener.identifier[:-1] + "x"
        assert list(network.driver.diff(rule, **given(rule) | {"listenerArn": other}).replaces) == ["listenerArn"]

    def test_a_priority_that_is_taken_fails_the_create(self, network: Stack, listener: Resource) -> None:
        group = network.target_group()
        network.rule(listener, group, priority=5)
        with pytest.raises(grpc.RpcError, match=r"creating ELBv2 Listener Rule: .* PriorityInUse"):
            network.rule(listener, group, "other", priority=5)

    @pytest.mark.parametrize(
        ("change", "path", "reason"),
        [
            pytest.param(
                {"priority": 50_001},
                "priority",
                '"priority" must be in the range 1-50000 for normal rule or 99999 for the default rule',
                marks=pytest.mark.documented("a priority is from 1 to 50000", _RULE_CODE),
            ),
            pytest.param(
                {"conditions": [{"hostHeader": {"values": ["a.example"]}, "sourceIp": {"values": ["10.0.0.0/8"]}}]},
                "conditions[0]",
                "Only one of host_header, http_header",
                marks=pytest.mark.documented("a condition says one thing", _RULE_CODE),
            ),
            ({"conditions": [{}]}, "conditions[0]", "One of host_header, http_header"),
            ({"actions": [{"type": "redirect"}]}, "actions[0]", '"actions[0].redirect" must be specified'),
            ({"transforms": []}, "transforms", "that the sandbox doesn't support"),
            (
                {"conditions": [{"hostHeader": {"regexValues": ["a"]}}]},
                "conditions[0].hostHeader.regexValues",
                "that the sandbox doesn't support",
            ),
        ],
    )
    def test_a_fault_names_its_path_and_its_reason(self, network: Stack, change: Props, path: str, reason: str) -> None:
        arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/a/0123456789abcdef/0123456789abcdef"
        good = {"listenerArn": arn, "actions": [NOTHING], "conditions": [{"pathPattern": {"values": ["/*"]}}]}
        assert network.driver.failures(LISTENER_RULE, good) == {}
        assert reason in network.driver.failures(LISTENER_RULE, good | change)[path]


class TestCertificate:
    @pytest.mark.documented("the id of a listener's certificate: both ARNs, with a _ between them", _CERTIFICATE)
    def test_a_certificate_is_added_and_taken_away(self, network: Stack, listener: Resource) -> None:
        arn = certificate("api.example")
        added = network.driver.create(LISTENER_CERTIFICATE, "api", listenerArn=listener.identifier, certificateArn=arn)
        assert added.identifier == f"{listener.identifier}_{arn}"
        elb = boto3.client("elbv2")
        known = elb.describe_listener_certificates(ListenerArn=listener.identifier)["Certificates"]
        assert [it["CertificateArn"] for it in known if not it["IsDefault"]] == [arn]
        network.driver.delete(added)
        assert network.driver.read(added) is None

    def test_the_default_certificate_is_none_of_these(self, network: Stack, listener: Resource) -> None:
        added = network.driver.create(
            LISTENER_CERTIFICATE, "api", listenerArn=listener.identifier, certificateArn=certificate("api.example")
        )
        default = Resource(
            added.token, "web", f"{listener.identifier}_{listener.state['certificateArn']}", added.inputs, added.state
        )
        assert network.driver.read(default) is None
