"""What is read of certificates, hosted zones and web ACLs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bluegreen.model.observation import (
    Certificate,
    HostedZone,
)
from bluegreen.model.tags import Purpose
from bluegreen.model.tls import RECOMMENDED_POLICY
from tests.aws.world import World, tags_of
from tests.sandbox.cloud.keys import KeyPair


def import_certificate(world: World, *names: str) -> str:
    pair = KeyPair.signed_by_itself(*names)
    made = world.session.client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)
    world.calls.clear()
    return str(made["CertificateArn"])


def test_an_entrance_with_https_says_so_and_is_known_by_the_domain_in_its_certificate(world: World) -> None:
    world.session.client("elbv2").create_listener(
        LoadBalancerArn=world.balancer,
        Port=8443,
        Protocol="HTTPS",
        Certificates=[{"CertificateArn": import_certificate(world, "shop.example")}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": world.new}],
        Tags=tags_of("production"),
    )
    found = world.observer.entrance(world.new, Purpose.PRODUCTION)
    assert found, "of two production listeners, the one that names the target group"
    assert (found.url.partition("//")[0], found.url.rpartition(":")[2], found.address) == ("https:", "8443", "")
    known = found.known_as("shop.example")
    assert known.url == "https://shop.example:8443"
    assert known.address == found.url.removeprefix("https://").removesuffix(":8443")
    other = world.observer.entrance(world.old, Purpose.PRODUCTION)
    assert other
    assert other.listener == world.production
    assert other.known_as("shop.example") == other, "HTTP proves nobody's name"


def test_a_certificate_is_read_with_its_names_and_its_end(world: World) -> None:
    arn = import_certificate(world, "shop.example", "*.shop.example")
    found = world.observer.certificate(arn)
    assert found
    assert replace(found, not_after=None) == Certificate(
        arn=arn, status="ISSUED", names=("shop.example", "*.shop.example")
    )
    assert found.not_after
    assert found.not_after > datetime.now(UTC)
    assert world.observer.certificate(f"{arn}0") is None
    assert world.calls == ["DescribeCertificate"] * 2
    assert world.observer.account() == "123456789012"


def test_a_tls_policy_is_known_by_its_name(world: World) -> None:
    assert world.observer.has_tls_policy(RECOMMENDED_POLICY)
    assert not world.observer.has_tls_policy("ELBSecurityPolicy-2099")
    assert world.calls == ["DescribeSSLPolicies"] * 2


def test_hosted_zones_are_found_by_name_and_by_id(world: World) -> None:
    route53 = world.session.client("route53")
    made = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"].rpartition("/")[2]
    route53.create_hosted_zone(Name="example.org", CallerReference="2")
    world.calls.clear()
    public = (HostedZone(id=made, name="example.com"),)
    assert world.observer.hosted_zones("example.com") == world.observer.hosted_zones(made) == public
    assert world.observer.hosted_zones("example.net") == world.observer.hosted_zones("ZNOTTHERE") == ()
    assert world.calls == ["ListHostedZonesByName", "GetHostedZone"] * 2


def test_a_web_acl_is_known_by_its_arn(world: World) -> None:
    visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "web"}
    made = world.session.client("wafv2").create_web_acl(
        Name="web", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visibility
    )
    world.calls.clear()
    assert world.observer.has_web_acl(made["Summary"]["ARN"])
    assert not world.observer.has_web_acl(made["Summary"]["ARN"] + "0")
    assert world.calls == ["GetWebACL"] * 2
