"""A certificate authority for ACM: certificates that are validated by DNS are issued by it.

moto 5.2.5 lets each certificate sign itself, and issues it after a minute whatever DNS says. The caller holds
`Cloud.lock`. Source: "DNS validation" in the ACM User Guide.
"""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.acm.models import AWSCertificateManagerBackend, CertBundle
from moto.route53.exceptions import ResourceRecordAlreadyExists
from moto.route53.models import FakeZone, Route53Backend, route53_backends

from sandbox.cloud.moto_gaps.gap import replace
from sandbox.host import TRUSTED

_YEAR = datetime.timedelta(days=395)  # as long as ACM's are good for


class Authority:
    """New with every sandbox. Its certificate is the first in the file `TRUSTED`, before the computer's own."""

    def __init__(self, directory: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bluegreen sandbox")])
        made = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        known = ssl.get_default_verify_paths().cafile
        others = Path(known).read_text(encoding="utf-8") if known else ""
        (directory / TRUSTED).write_text(f"{_pem(made)}{others}", encoding="utf-8")

    def issue(self, *names: str) -> tuple[str, str]:
        """Certificate and key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = (
            _builder(subject, self._name, key.public_key())
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _pem(made), secret.decode()


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _YEAR)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def fill(authority: Authority) -> None:
    _requests(authority)
    _validation()
    _records()


def _requests(authority: Authority) -> None:
    request = AWSCertificateManagerBackend.request_certificate

    @replace(AWSCertificateManagerBackend, "request_certificate")
    def request_certificate(
        self: AWSCertificateManagerBackend, domain_name: str, token: str, others: list[str] | None, *more: Any
    ) -> str:
        before = set(self._certificates)
        arn: str = request(self, domain_name, token, others, *more)  # type: ignore[arg-type]
        if arn not in before and (bundle := self._certificates[arn]).type == "AMAZON_ISSUED":
            certificate, key = authority.issue(*dict.fromkeys([domain_name, *(others or [])]))
            made = CertBundle(
                self.account_id,
                certificate.encode(),
                key.encode(),
                region=self.region_name,
                arn=arn,
                cert_type=bundle.type,
                cert_status=bundle.status,
                cert_options=bundle.cert_options,
            )
            made.tags = bundle.tags
            self._certificates[arn] = made
        return arn


def _validation() -> None:
    check = CertBundle.check

    @replace(CertBundle, "check")
    def issue(self: CertBundle) -> None:
        if self.type != "AMAZON_ISSUED" or self.status != "PENDING_VALIDATION":
            check(self)
        elif all(_stands(each["ResourceRecord"]) for each in _options(self)):
            self.status = "ISSUED"


def _options(bundle: CertBundle) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bundle.describe()["Certificate"]["DomainValidationOptions"]
    return found


def _stands(wanted: dict[str, str]) -> bool:
    """Whether a public zone has this record."""
    return any(
        (record.name, record.type) == (wanted["Name"], wanted["Type"])
        and [value.rstrip(".") for value in record.records] == [wanted["Value"].rstrip(".")]
        for account in route53_backends.values()
        for backend in account.values()
        for zone in backend.zones.values()
        if not zone.private_zone
        for record in zone.rrsets
    )


def _records() -> None:
    """moto takes a record that comes back for one that is still there, and a second one of its name for another."""
    change = Route53Backend.change_resource_record_sets

    @replace(Route53Backend, "change_resource_record_sets")
    def change_resource_record_sets(self: Route53Backend, zoneid: str, changes: list[dict[str, Any]]) -> None:
        zone = self.get_hosted_zone(zoneid)
        for each in changes:
            if each["Action"] != "CREATE":
                continue
            wanted = each["ResourceRecordSet"]
            if _has(zone, wanted):
                raise ResourceRecordAlreadyExists(name=wanted["Name"], _type=wanted["Type"])
            while each in zone.rr_changes:
                zone.rr_changes.remove(each)
        change(self, zoneid, changes)


def _has(zone: FakeZone, wanted: dict[str, Any]) -> bool:
    name, kind = wanted["Name"].rstrip("."), wanted["Type"]
    return any((record.name.rstrip("."), record.type) == (name, kind) for record in zone.rrsets)
