"""HTTPS as the program declares it: listeners, certificates, the redirect, and what is refused beforehand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen.model.observation import HostedZone
from tests.components.conftest import ARN, TLS, FakeHooks, FakeObserver


def listener(declared: Any, name: str) -> dict[str, Any]:
    return dict(declared.one("Listener", name))


def test_with_a_zone_a_certificate_is_requested_shown_to_be_ours_and_waited_for(declare: Any) -> None:
    declared = declare(tls=json.dumps(TLS))
    certificate = declared.one("Certificate")
    assert (certificate["domainName"], certificate["validationMethod"]) == ("shop.example.com", "DNS")
    record = declared.one("Record", "web-certificate")
    assert (record["zoneId"], record["name"], record["type"]) == ("Z1", "_d9.shop.example.com.", "CNAME")
    assert record["records"] == ["_c9.acm-validations.aws."]
    assert declared.one("CertificateValidation")["certificateArn"] == "arn:Certificate:web"
    dependencies = declared.requests["Listener web-preview"].dependencies
    assert any(urn.endswith("CertificateValidation::web") for urn in dependencies)


def test_a_certificate_that_is_there_is_used_and_none_is_requested(declare: Any) -> None:
    declared = declare(tls=json.dumps({"domain": "shop.example.com", "certificate": ARN}))
    assert not declared.of("Certificate")
    assert not declared.of("Record")
    assert listener(declared, "web-preview")["certificateArn"] == ARN


def test_both_listeners_speak_https_and_a_third_shows_the_way(declare: Any) -> None:
    declared = declare(tls=json.dumps({"domain": "shop.example.com", "certificate": ARN}))
    for name, port, purpose in (("web-production-tls", 443, "production"), ("web-preview", 9000, "preview")):
        found = listener(declared, name)
        assert (found["port"], found["protocol"], found["certificateArn"]) == (port, "HTTPS", ARN)
        assert found["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
        assert found["tags"]["bluegreen:listener"] == purpose
    redirect = listener(declared, "web-production")
    assert (redirect["port"], redirect["protocol"]) == (80, "HTTP")
    (action,) = redirect["defaultActions"]
    assert action == {
        "type": "redirect",
        "redirect": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"},
    }
    assert redirect["tags"]["bluegreen:listener"] == "redirect"


def test_the_redirect_comes_once_https_answers_and_is_no_gate_of_its_own(declare: Any) -> None:
    declared = declare(tls=json.dumps(TLS))
    dependencies = declared.requests["Listener web-production"].dependencies
    assert any(urn.endswith("Listener::web-production-tls") for urn in dependencies)
    assert declared.bound["Listener web-production-tls"] == "cutover,gate"
    assert "Listener web-production" not in declared.bound


def test_each_port_is_let_in(declare: Any) -> None:
    declared = declare(tls=json.dumps({**TLS, "redirectPort": 8080}), listenerPort="8443")
    opened = {each.name: each.inputs["fromPort"] for each in declared.of("SecurityGroupIngressRule")}
    assert (opened["web-production-tls"], opened["web-production"]) == (8443, 8080)


def test_without_a_redirect_port_there_is_no_redirect(declare: Any) -> None:
    declared = declare(tls=json.dumps({**TLS, "redirectPort": 0}))
    assert {each.name for each in declared.of("Listener")} == {"web-production-tls", "web-preview"}
    assert "web-production" not in {each.name for each in declared.of("SecurityGroupIngressRule")}


def test_the_preview_listener_goes_before_it_changes_its_protocol(declare: Any) -> None:
    request = declare().requests["Listener web-preview"]
    assert (list(request.replaceOnChanges), request.deleteBeforeReplace) == (["protocol"], True)
    assert not declare().requests["Listener web-production"].deleteBeforeReplace


@pytest.mark.parametrize(
    ("config", "url", "preview"),
    [
        ({}, "https://shop.example.com", "https://shop.example.com:9000"),
        ({"listenerPort": "8443"}, "https://shop.example.com:8443", "https://shop.example.com:9000"),
    ],
)
def test_urls_are_of_the_domain_and_the_outputs_say_where_it_must_lead(
    declare: Any, config: dict[str, str], url: str, preview: str
) -> None:
    outputs = declare(tls=json.dumps(TLS), **config).outputs
    assert (outputs["url"], outputs["previewUrl"]) == (url, preview)
    assert outputs["address"] == "web.elb.test"
    assert "address" not in declare().outputs


@pytest.mark.parametrize(
    ("tls", "fault"),
    [
        ({**TLS, "zone": "example.org"}, "bluegreen:tls.zone: there is no hosted zone example.org"),
        ({**TLS, "zone": "ZNOTTHERE"}, "bluegreen:tls.zone: there is no hosted zone ZNOTTHERE"),
        ({**TLS, "domain": "shop.example.net"}, "bluegreen:tls.zone: shop.example.net is not in the hosted zone"),
        ({**TLS, "policy": "ELBSecurityPolicy-2099"}, "bluegreen:tls.policy: us-east-1 has no TLS policy"),
        ({"domain": "a.example.com", "certificate": ARN + "2"}, "bluegreen:tls.certificate: there is no certificate"),
        ({"domain": "example.com", "certificate": ARN}, "is for *.example.com, not for example.com"),
        (
            {"domain": "a.example.com", "certificate": ARN.replace("us-east-1", "eu-west-1")},
            "is in eu-west-1, and a load balancer in us-east-1",
        ),
        (
            {"domain": "a.example.com", "certificate": ARN.replace("123456789012", "210987654321") + "2"},
            "is of the account 210987654321, and this stack's is 123456789012",
        ),
    ],
)
def test_what_aws_has_not_is_refused_before_anything_else_is_declared(
    declare: Any, tls: dict[str, str], fault: str
) -> None:
    declared = declare(tls=json.dumps(tls))
    assert [each.typ for each in declared.resources] == ["aws:ec2/launchTemplate:LaunchTemplate"]
    assert declared.bound == {"LaunchTemplate image": "image"}, "an update stops there, and a destroy goes on"
    (refused,) = FakeHooks.refused
    assert fault in refused


def test_a_private_zone_validates_no_certificate(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    private = HostedZone(id="Z2", name="example.com", is_private=True)
    monkeypatch.setattr(FakeObserver, "hosted", (private,))
    declare(tls=json.dumps(TLS))
    assert "the hosted zone example.com is private" in FakeHooks.refused[0]
    monkeypatch.setattr(FakeObserver, "hosted", (private, HostedZone(id="Z1", name="example.com")))
    assert declare(tls=json.dumps(TLS)).one("Record", "web-certificate")["zoneId"] == "Z1"


def test_names_lead_to_the_load_balancer(declare: Any) -> None:
    dns = {"zone": "example.com", "names": ["shop.example.com", "www.example.com"]}
    declared = declare(dns=json.dumps(dns), tls=json.dumps({"domain": "shop.example.com", "certificate": ARN}))
    for name in dns["names"]:
        record = declared.one("Record", f"web-{name}")
        assert (record["zoneId"], record["name"], record["type"]) == ("Z1", name, "A")
        (alias,) = record["aliases"]
        assert (alias["name"], alias["zoneId"]) == ("web.elb.test", "ZELB")
        assert "allowOverwrite" not in record, "another's record is not taken over"


def test_without_https_the_first_name_is_the_url_s(declare: Any) -> None:
    outputs = declare(dns=json.dumps({"zone": "Z1", "names": ["shop.example.com"]})).outputs
    assert (outputs["url"], outputs["address"]) == ("http://shop.example.com", "web.elb.test")


@pytest.mark.parametrize(
    ("dns", "fault"),
    [
        ({"zone": "example.org", "names": ["a.example.org"]}, "there is no hosted zone example.org"),
        ({"zone": "Z1", "names": ["a.example.org"]}, "bluegreen:dns.zone: a.example.org is not in the hosted zone"),
        ({"zone": "Z1", "names": ["a.b.example.com"]}, "bluegreen:dns.names: the certificate is not for a.b."),
    ],
)
def test_names_that_can_not_lead_here_are_refused(declare: Any, dns: dict[str, Any], fault: str) -> None:
    declared = declare(dns=json.dumps(dns), tls=json.dumps({"domain": "shop.example.com", "certificate": ARN}))
    assert [each.typ for each in declared.resources] == ["aws:ec2/launchTemplate:LaunchTemplate"]
    assert fault in FakeHooks.refused[0]
