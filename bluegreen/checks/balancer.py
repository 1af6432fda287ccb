"""Whether what the settings of a load balancer name is there and fits, asked before anything is declared.

The rules are in `bluegreen.model.tls` and `bluegreen.model.dns`. No Pulumi here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from bluegreen.errors import Fault, NotUsable
from bluegreen.model.dns import Dns, Zones, is_in_zone, pick_zone
from bluegreen.model.observation import Certificate, HostedZone
from bluegreen.model.settings import NAMESPACE, Settings
from bluegreen.model.tls import Tls, covers, judge_certificate


class Sight(Protocol):
    """What the check asks AWS; `bluegreen.aws.observe.Observer` answers."""

    @property
    def region(self) -> str: ...
    def account(self) -> str: ...
    def certificate(self, arn: str) -> Certificate | None: ...
    def has_tls_policy(self, name: str) -> bool: ...
    def hosted_zones(self, zone: str) -> tuple[HostedZone, ...]: ...
    def bucket_region(self, bucket: str) -> str | None: ...
    def has_web_acl(self, arn: str) -> bool: ...


def check_balancer(
    sight: Sight, settings: Settings, now: Callable[[], datetime], *, is_internal: bool | None = None
) -> Zones:
    """The hosted zones that the settings mean. Asks nothing where they name nothing. Blocks. `is_internal`: what the
    load balancer is that names lead to, if not what the settings make of it.

    Raises NotUsable with all that is wrong, AwsError.
    """
    faults: list[Fault] = []
    zones = Zones()
    certificate: Certificate | None = None
    if tls := settings.tls:
        if not sight.has_tls_policy(tls.policy):
            faults.append(_fault("tls.policy", f"{sight.region} has no TLS policy {tls.policy}"))
        if tls.certificate:
            certificate, wrong = _certificate(sight, tls, now())
            faults += [_fault("tls.certificate", wrong)] if wrong else []
        else:
            found = _zone(sight, "tls.zone", tls.zone, (tls.domain,), faults, is_private=False, needs_public=True)
            zones = replace(zones, certificate=found)
    if dns := settings.dns:
        found = _zone(
            sight,
            "dns.zone",
            dns.zone,
            dns.names,
            faults,
            is_private=settings.internal if is_internal is None else is_internal,
        )
        zones = replace(zones, names=found)
        faults += _uncovered(dns, certificate)
    if settings.access_logs and (wrong := _bucket(sight, settings.access_logs.bucket)):
        faults.append(_fault("accessLogs.bucket", wrong))
    if settings.web_acl and (wrong := _web_acl(sight, settings.web_acl)):
        faults.append(_fault("webAcl", wrong))
    if faults:
        raise NotUsable(faults)
    return zones


def _certificate(sight: Sight, tls: Tls, now: datetime) -> tuple[Certificate | None, str]:
    region = sight.region
    found = sight.certificate(tls.certificate) if tls.certificate_region == region else None
    account = sight.account() if found is None and tls.certificate_region == region else ""
    return found, judge_certificate(tls, found, region=region, account=account, now=now)


def _zone(
    sight: Sight,
    path: str,
    zone: str,
    names: tuple[str, ...],
    faults: list[Fault],
    *,
    is_private: bool,
    needs_public: bool = False,
) -> str:
    """The id of a hosted zone, empty where something is wrong with it."""
    try:
        found = pick_zone(zone, sight.hosted_zones(zone), is_private=is_private, needs_public=needs_public)
    except LookupError as error:
        faults.append(_fault(path, str(error)))
        return ""
    outside = [name for name in names if not is_in_zone(name, found.name)]
    faults += [_fault(path, f"{name} is not in the hosted zone {found.name}") for name in outside]
    return found.id


def _uncovered(dns: Dns, certificate: Certificate | None) -> list[Fault]:
    """Names whose users would be warned of the certificate. Of one that is to be issued the settings know."""
    names = [name for name in dns.names if certificate and not covers(certificate, name)]
    return [_fault("dns.names", f"the certificate is not for {name}") for name in names]


def _bucket(sight: Sight, bucket: str) -> str:
    """What is wrong with a bucket for access logs. Whether its policy lets them in, AWS tries itself."""
    region = sight.bucket_region(bucket)
    if region is None:
        return f"there is no bucket {bucket}"
    if region and region != sight.region:
        return f"the bucket {bucket} is in {region}, and access logs go to one in {sight.region}"
    return ""


def _web_acl(sight: Sight, arn: str) -> str:
    region = arn.split(":")[3]
    if region != sight.region:
        return f"{arn} is in {region}, and the load balancer in {sight.region}"
    return "" if sight.has_web_acl(arn) else f"there is no web ACL {arn}"


def _fault(path: str, message: str) -> Fault:
    return Fault(f"{NAMESPACE}:{path}", message)
