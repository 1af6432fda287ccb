"""HTTPS in a config, and the certificates that are good for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.observation import Certificate
from bluegreen.model.settings import Settings
from bluegreen.model.tls import Tls, covers, judge_certificate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
ISSUED = Certificate(arn=ARN, status="ISSUED", names=("shop.example.com",), not_after=NOW + timedelta(days=1))
TLS = {"domain": "shop.example.com", "certificate": ARN}


def parsed(**config: Any) -> Settings:
    values = {key: json.dumps(it) if isinstance(it, dict) else it for key, it in config.items()}
    return Settings.parse({"ami": "ami-00000001", **values})


def faults(**config: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        parsed(**config)
    return str(caught.value)


def wrong(found: Certificate | None = ISSUED, *, region: str = "eu-central-1", account: str = "", **tls: str) -> str:
    return judge_certificate(Tls.model_validate({**TLS, **tls}), found, region=region, account=account, now=NOW)


def test_https_has_a_port_of_its_own() -> None:
    assert parsed().production_port == 80
    assert parsed(tls=TLS).production_port == 443
    assert parsed(tls=TLS, listenerPort="8443").production_port == 8443
    assert (parsed(tls={}).tls, parsed(tls=TLS).domain) == (None, "shop.example.com")


@pytest.mark.parametrize(
    ("tls", "fault"),
    [
        ({"certificate": ARN}, "bluegreen:tls.domain: is missing"),
        ({"domain": "shop.example.com"}, "bluegreen:tls: needs certificate, the ARN of one, or zone"),
        ({**TLS, "zone": "example.com"}, "bluegreen:tls: has both certificate and zone"),
        ({**TLS, "domain": "*.example.com"}, "bluegreen:tls.domain: '*.example.com' is not the whole name of a host"),
        ({**TLS, "domain": "shop"}, "bluegreen:tls.domain: 'shop' is not the whole name"),
        ({**TLS, "certificate": "abc"}, "bluegreen:tls.certificate: 'abc' is not the ARN of a certificate in ACM"),
        (
            {**TLS, "certificate": "arn:aws:iam::123456789012:server-certificate/web"},
            "is not the ARN of a certificate in ACM",
        ),
        ({"domain": "shop.example.com", "zone": "example"}, "bluegreen:tls.zone: 'example' is not the whole name"),
        ({**TLS, "redirectPort": 443}, "bluegreen:tls.redirectPort: 443 is listenerPort too"),
        ({**TLS, "redirectPort": 9000}, "bluegreen:tls.redirectPort: 9000 is previewPort too"),
        ({**TLS, "redirectPort": 70000}, "bluegreen:tls.redirectPort: 70000"),
        ({**TLS, "domian": "a.b"}, "bluegreen:tls.domian: unknown key; did you mean domain?"),
    ],
)
def test_a_config_that_makes_no_https(tls: dict[str, Any], fault: str) -> None:
    assert fault in faults(tls=tls)


def test_a_preview_port_may_not_be_that_of_https() -> None:
    assert "bluegreen:previewPort: 443 is listenerPort too" in faults(tls=TLS, previewPort="443")


def test_a_certificate_that_is_issued_for_the_domain_is_good() -> None:
    assert wrong() == ""
    assert wrong(Certificate(arn=ARN, status="ISSUED", names=("a.test", "*.example.com"))) == ""


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, f"there is no certificate {ARN}"),
        (Certificate(arn=ARN, status="PENDING_VALIDATION", names=("shop.example.com",)), "it is PENDING_VALIDATION"),
        (Certificate(arn=ARN, status="ISSUED", names=("a.test", "b.test")), "is for a.test, b.test, not for shop."),
        (Certificate(arn=ARN, status="ISSUED", names=("shop.example.com",), not_after=NOW), "expired on 2026-01-01"),
    ],
)
def test_a_certificate_that_is_no_good(found: Certificate | None, reason: str) -> None:
    assert reason in wrong(found)


def test_a_certificate_of_another_place_is_no_good() -> None:
    assert "is in eu-central-1, and a load balancer in us-east-1 takes one from there" in wrong(region="us-east-1")
    assert "is of the account 123456789012, and this stack's is 2" in wrong(None, account="2")


@pytest.mark.parametrize(
    ("name", "is_covered"),
    [("shop.example.com", True), ("a.shop.example.com", False), ("example.com", False), ("b.example.com", True)],
)
def test_a_wildcard_is_for_one_label(name: str, is_covered: bool) -> None:
    assert covers(Certificate(arn=ARN, status="ISSUED", names=("*.Example.com",)), name) is is_covered
