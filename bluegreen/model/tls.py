"""HTTPS: what a config says of it, and whether the certificate that it names is good for it. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from bluegreen.model.dns import HostName, ZoneText
from bluegreen.model.observation import Certificate
from bluegreen.model.schema import ConfigModel, refusal

RECOMMENDED_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
"""TLS 1.3 and 1.2, as AWS recommends (Application Load Balancers guide, "Security policies")."""

ISSUED = "ISSUED"


def _certificate(value: str) -> str:
    if value and not re.fullmatch(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[\w-]+", value, re.ASCII):
        raise refusal(
            f"{value!r} is not the ARN of a certificate in ACM; one looks like "
            "arn:aws:acm:eu-central-1:123456789012:certificate/..."
        )
    return value


class Tls(ConfigModel):
    """`domain`: the name by which users reach the service, in the certificate. `certificate`: the ARN of one that is
    there; without it one is issued, once a record in the hosted `zone` (name or id) has shown whose the domain is.
    `redirect_port`: where HTTP is answered with the way to HTTPS; 0 for nowhere."""

    domain: HostName
    certificate: Annotated[str, AfterValidator(_certificate)] = ""
    zone: ZoneText = ""
    policy: str = RECOMMENDED_POLICY
    redirect_port: int = Field(80, ge=0, le=65535)

    @model_validator(mode="after")
    def _one_certificate(self) -> Tls:
        if self.certificate and self.zone:
            raise refusal("has both certificate and zone; a certificate that is there needs no zone to be issued")
        if not self.certificate and not self.zone:
            raise refusal(
                "needs certificate, the ARN of one, or zone, the hosted zone (Route 53) in which one is validated"
            )
        return self

    @property
    def certificate_region(self) -> str:
        return self.certificate.split(":")[3] if self.certificate else ""

    @property
    def certificate_account(self) -> str:
        return self.certificate.split(":")[4] if self.certificate else ""


def judge_certificate(tls: Tls, found: Certificate | None, *, region: str, account: str, now: datetime) -> str:
    """What is wrong with the certificate that `tls` names; empty where nothing is.

    `found`: as ACM describes it, None where the region has none of that ARN. `account`: the caller's, empty where
    nobody had to ask for it.
    """
    if tls.certificate_region != region:
        return (
            f"{tls.certificate} is in {tls.certificate_region}, and a load balancer in {region} takes one from there "
            "alone: request or import it there"
        )
    if account and tls.certificate_account != account:
        return f"{tls.certificate} is of the account {tls.certificate_account}, and this stack's is {account}"
    if found is None:
        return f"there is no certificate {tls.certificate}"
    if found.not_after and found.not_after <= now:
        return f"{tls.certificate} has expired on {found.not_after:%Y-%m-%d}"
    if found.status != ISSUED:
        return f"{tls.certificate} is not issued: it is {found.status}"
    if not covers(found, tls.domain):
        return f"{tls.certificate} is for {', '.join(found.names)}, not for {tls.domain}"
    return ""


def covers(certificate: Certificate, name: str) -> bool:
    """Whether a certificate is good for a name. `*.example.com` is for one label, and not for example.com."""
    wildcard = f"*.{name.partition('.')[2]}"
    return any(each.lower() in (name, wildcard) for each in certificate.names)
