"""How ACM issues a certificate: once DNS says whose the domain is, signed by an authority.

The caller holds `Cloud.lock`. Source: "DNS validation" in the ACM User Guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.acm.models import AWSCertificateManagerBackend, CertBundle
from moto.route53.models import route53_backends

from sandbox.cloud.authority import Authority
from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("self-signed-certificates", "signs a certificate that it issues with its own key, under the name of another"),
    Gap("issued-unseen", "issues a certificate after a minute, whatever DNS says"),
)


def fill(cloud: Cloud) -> None:
    _requests(cloud.authority)
    _validation()


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
