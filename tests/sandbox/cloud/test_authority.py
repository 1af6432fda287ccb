"""Certificates that ACM issues once DNS says so, and the records of Route 53 that say it."""

from __future__ import annotations

import http.client
import itertools
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.host import TRUSTED
from tests.sandbox.cloud.site import Site
from tests.sandbox.cloud.world import eventually

_DNS = "https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html"
_CHANGE = "https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"
PORT = 8443
_numbers = itertools.count(1)


@dataclass
class Domain:
    """A domain with a zone, and the certificate that is asked for it."""

    acm: Any
    route53: Any
    name: str = field(default_factory=lambda: f"shop{next(_numbers)}.example")

    def zone(self, **more: Any) -> str:
        made = self.route53.create_hosted_zone(Name=self.name, CallerReference=self.name, **more)
        return str(made["HostedZone"]["Id"])

    def certificate(self) -> str:
        made = self.acm.request_certificate(DomainName=f"www.{self.name}", ValidationMethod="DNS")
        return str(made["CertificateArn"])

    def status(self, arn: str) -> str:
        return str(self.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"])

    def record(self, arn: str) -> dict[str, Any]:
        (option,) = self.acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"]
        wanted = option["ResourceRecord"]
        return {
            "Name": wanted["Name"],
            "Type": wanted["Type"],
            "TTL": 60,
            "ResourceRecords": [{"Value": wanted["Value"]}],
        }

    def change(self, zone: str, action: str, record: dict[str, Any]) -> None:
        change = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        self.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)

    def issued(self) -> str:
        arn = self.certificate()
        self.change(self.zone(), "CREATE", self.record(arn))
        return arn


@pytest.fixture
def domain(client: Callable[[str], Any]) -> Domain:
    return Domain(client("acm"), client("route53"))


@pytest.mark.documented("a certificate is issued once its record stands in the domain's public zone", _DNS)
def test_a_certificate_is_issued_once_its_record_stands(domain: Domain) -> None:
    arn, zone = domain.certificate(), domain.zone()
    assert domain.status(arn) == "PENDING_VALIDATION"
    wrong = {**domain.record(arn), "ResourceRecords": [{"Value": "elsewhere.example"}]}
    domain.change(zone, "CREATE", wrong)
    assert domain.status(arn) == "PENDING_VALIDATION"
    domain.change(zone, "UPSERT", domain.record(arn))
    assert domain.status(arn) == "ISSUED"


def test_a_private_zone_shows_nobody_whose_a_domain_is(domain: Domain) -> None:
    arn = domain.certificate()
    vpc = {"VPCRegion": "us-east-1", "VPCId": "vpc-0123456789abcdef0"}
    zone = domain.zone(VPC=vpc, HostedZoneConfig={"PrivateZone": True})
    domain.change(zone, "CREATE", domain.record(arn))
    assert domain.status(arn) == "PENDING_VALIDATION"


def test_a_load_balancer_can_not_have_a_certificate_that_is_not_issued(site: Site, domain: Domain) -> None:
    group, _ = site.group("a")
    with pytest.raises(ClientError, match="UnsupportedCertificate"):
        secure(site, group, domain.certificate())


def test_who_trusts_the_sandbox_trusts_what_it_has_issued(site: Site, domain: Domain) -> None:
    group, _ = site.group("a")
    secure(site, group, domain.issued())
    eventually(lambda: site.aws.states(group) == ["healthy"])
    context = ssl.create_default_context(cafile=str(site.aws.sandbox.dir / TRUSTED))
    connection = http.client.HTTPSConnection(site.address, PORT, timeout=10)
    connection.connect = lambda: None  # type: ignore[method-assign]
    plain = http.client.HTTPConnection(site.address, PORT, timeout=10)
    plain.connect()
    connection.sock = context.wrap_socket(plain.sock, server_hostname=f"www.{domain.name}")
    connection.request("GET", "/who")
    assert connection.getresponse().read() == b"a"
    connection.close()


def test_the_programs_of_a_sandbox_trust_it_and_whom_this_computer_trusts(site: Site) -> None:
    file = site.aws.sandbox.env["SSL_CERT_FILE"]
    ours = ssl.create_default_context(cafile=file).get_ca_certs()
    system = ssl.get_default_verify_paths().cafile
    theirs = ssl.create_default_context(cafile=system).get_ca_certs() if system else []
    assert len(ours) == len(theirs) + 1


@pytest.mark.documented("a record that is there can't be created, one that is gone can come back", _CHANGE)
def test_a_record_is_created_once_and_can_come_back(domain: Domain) -> None:
    zone = domain.zone()
    record = {"Name": f"a.{domain.name}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    domain.change(zone, "CREATE", {**record, "Name": f"b.{domain.name}"})
    domain.change(zone, "CREATE", record)
    with pytest.raises(ClientError, match="already exists"):
        domain.change(zone, "CREATE", {**record, "TTL": 30})
    domain.change(zone, "DELETE", record)
    domain.change(zone, "CREATE", record)


def secure(site: Site, group: str, certificate: str) -> None:
    site.aws.elb.create_listener(
        LoadBalancerArn=site.balancer,
        Protocol="HTTPS",
        Port=PORT,
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
