"""What users reach a service by: certificates, hosted zones, and what guards it."""

from __future__ import annotations

from botocore.exceptions import ClientError

from bluegreen.aws.observe.asking import Asking
from bluegreen.aws.session import in_our_words, is_fault
from bluegreen.model.dns import is_zone_id
from bluegreen.model.observation import (
    Certificate,
    HostedZone,
)


class Domains(Asking):
    """Questions about domains."""

    @in_our_words
    def certificate(self, arn: str) -> Certificate | None:
        """A certificate of ACM; None where this region and account have none of that ARN. One call."""
        try:
            found = self._session.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
        except ClientError as error:
            if is_fault(error, "ResourceNotFoundException", "InvalidArnException"):
                return None
            raise
        return Certificate(
            arn=arn,
            status=found["Status"],
            names=tuple(dict.fromkeys([found["DomainName"], *found.get("SubjectAlternativeNames", [])])),
            not_after=found.get("NotAfter"),
        )

    @in_our_words
    def has_tls_policy(self, name: str) -> bool:
        """Whether load balancers of the region have a security policy of that name. One call."""
        try:
            answer = self._session.client("elbv2").describe_ssl_policies(Names=[name])
        except ClientError as error:
            if is_fault(error, "SSLPolicyNotFound"):
                return False
            raise
        return any(each["Name"] == name for each in answer["SslPolicies"])

    @in_our_words
    def hosted_zones(self, zone: str) -> tuple[HostedZone, ...]:
        """The account's hosted zones of that id, or of that name: it may have several. One call."""
        route53 = self._session.client("route53")
        if is_zone_id(zone):
            try:
                found = [route53.get_hosted_zone(Id=zone)["HostedZone"]]
            except ClientError as error:
                if is_fault(error, "NoSuchHostedZone"):
                    return ()
                raise
        else:
            found = route53.list_hosted_zones_by_name(DNSName=zone)["HostedZones"]  # from there on, in order
        return tuple(
            HostedZone(
                id=each["Id"].removeprefix("/hostedzone/"),
                name=each["Name"].rstrip("."),
                is_private=each["Config"]["PrivateZone"],
            )
            for each in found
            if is_zone_id(zone) or each["Name"].rstrip(".") == zone
        )

    @in_our_words
    def has_web_acl(self, arn: str) -> bool:
        """Whether the region has this web ACL. One call."""
        _, _, name, identifier = arn.rpartition(":")[2].split("/")
        try:
            self._session.client("wafv2").get_web_acl(Name=name, Scope="REGIONAL", Id=identifier)
        except ClientError as error:
            if is_fault(error, "WAFNonexistentItemException"):
                return False
            raise
        return True
