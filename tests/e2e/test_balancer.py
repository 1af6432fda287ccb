"""The load balancer's options in one stack: turned on, there while a release is changed, turned off."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest

from sandbox.host import TRUSTED
from sandbox.load import Load
from tests.e2e.project import Project, eventually

pytestmark = pytest.mark.rollout

DOMAIN = "shop.example.com"
HTTP, HTTPS = 8080, 8443
TLS = {"domain": DOMAIN, "zone": "example.com", "redirectPort": HTTP}
DNS = {"zone": "example.com", "names": [DOMAIN]}
SMOKE = [{"path": "/version", "timesInARow": 1}]


@pytest.fixture(scope="module")
def served(project: Project) -> Project:
    """Release 1 takes the traffic, over HTTP."""
    project.aws("route53").create_hosted_zone(Name="example.com", CallerReference="1")
    first = project.up(ami=project.image("1"), min_size=1, desired_capacity=1, smoke_tests=SMOKE)
    assert first.code == 0, first.output
    return project


def address(project: Project) -> str:
    (balancer,) = project.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    return str(balancer["DNSName"])


def ask(project: Project, port: int = HTTPS) -> dict[str, str]:
    """What the service answers to users whose DNS leads them here."""
    context = ssl.create_default_context(cafile=str(project.sandbox.dir / TRUSTED))
    domain = urlsplit(project.outputs["url"]).hostname or ""
    connection = http.client.HTTPSConnection(domain, port, timeout=10)
    raw = socket.create_connection((address(project), port), timeout=10)
    connection.sock = context.wrap_socket(raw, server_hostname=domain)
    connection.request("GET", "/version")
    found: dict[str, str] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def listeners(project: Project) -> dict[int, Any]:
    elb = project.aws("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    found = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    return {each["Port"]: each for each in found}


def records(project: Project) -> set[tuple[str, str]]:
    route53 = project.aws("route53")
    (zone,) = route53.list_hosted_zones()["HostedZones"]
    found = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    return {(each["Name"].rstrip("."), each["Type"]) for each in found} - {
        ("example.com", "NS"),
        ("example.com", "SOA"),
    }


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"tls": {**TLS, "zone": "example.org"}}, "bluegreen:tls.zone: there is no hosted zone example.org"),
        ({"tls": {**TLS, "policy": "ELBSecurityPolicy-2099"}}, "has no TLS policy ELBSecurityPolicy-2099"),
        ({"dns": {**DNS, "names": ["shop.example.org"]}}, "shop.example.org is not in the hosted zone example.com"),
        ({"access_logs": {"bucket": "no-logs"}}, "bluegreen:accessLogs.bucket: there is no bucket no-logs"),
        ({"internal": True}, "bluegreen:internal: the stack runs behind a load balancer that is public"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_changed(
    served: Project, settings: dict[str, Any], fault: str
) -> None:
    before = served.outputs
    refused = served.up(listener_port=HTTPS, **settings)
    served.configure(listener_port=HTTP, **dict.fromkeys(settings))
    assert refused.code != 0
    assert fault in refused.output
    assert refused.has_no_traceback, refused.output
    assert not refused.writes
    assert served.outputs == before


def test_access_logs_and_a_web_acl_come_and_go(served: Project) -> None:
    waf, elb = served.aws("wafv2"), served.aws("elbv2")
    served.aws("s3").create_bucket(Bucket="my-access")
    visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "web"}
    acls = [
        waf.create_web_acl(Name=name, Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visibility)
        for name in ("one", "other")
    ]
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]

    def acl() -> str:
        return str(waf.get_web_acl_for_resource(ResourceArn=arn).get("WebACL", {}).get("Name", ""))

    def attributes() -> dict[str, str]:
        found = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        return {each["Key"]: each["Value"] for each in found}

    on = served.up(access_logs={"bucket": "my-access"}, web_acl=acls[0]["Summary"]["ARN"], idle_timeout_seconds=120)
    assert on.code == 0, on.output
    assert (acl(), attributes()["access_logs.s3.bucket"]) == ("one", "my-access")
    assert attributes()["idle_timeout.timeout_seconds"] == "120"
    assert attributes()["routing.http.desync_mitigation_mode"] == "strictest"
    changed = served.up(web_acl=acls[1]["Summary"]["ARN"])
    assert changed.code == 0, changed.output
    assert acl() == "other"
    off = served.up(access_logs=None, web_acl=None, idle_timeout_seconds=None)
    assert off.code == 0, off.output
    assert (acl(), attributes()["access_logs.s3.enabled"]) == ("", "false")


def test_https_is_turned_on_with_a_certificate_that_dns_validates_and_no_request_fails(served: Project) -> None:
    with Load(served.outputs["url"], per_second=100) as load:
        eventually(lambda: load.answers)
        changed = served.up(tls=TLS, dns=DNS, listener_port=HTTPS)
    assert changed.code == 0, changed.output
    assert not changed.done("create-replacement")[("create-replacement", "Group")]
    assert {each.fault.partition(":")[0] for each in load.failures} == {"status 301"}, "served, or shown the way"
    assert ask(served)["release"] == served.release
    assert ask(served, 9000)["release"] == served.release
    assert served.outputs["url"] == f"https://{DOMAIN}:{HTTPS}"
    assert served.outputs["address"] == address(served)
    redirect = listeners(served)[HTTP]["DefaultActions"][0]["RedirectConfig"]
    assert (redirect["Protocol"], redirect["Port"], redirect["StatusCode"]) == ("HTTPS", str(HTTPS), "HTTP_301")
    assert (DOMAIN, "A") in records(served)
    again = served.up()
    assert (again.changes, again.writes) == ({}, [])


def test_a_release_is_proven_and_watched_over_https(served: Project) -> None:
    old = served.release
    served.configure(strategy="canary", steps=[{"weight": 50}])
    changed = served.bluegreen("deploy", served.stack, "--ami", served.image("2"))
    assert changed.code == 0, changed.output
    assert "smoke tests passed: /version 1 times" in changed.output
    assert changed.output.count("attest: seen ") == 2, "of the shift, and of the cutover"
    assert ask(served)["release"] == served.release != old
    status = served.bluegreen("status", served.stack)
    assert status.code == 0, status.output
    assert f"https://{DOMAIN}:{HTTPS}" in status.output


def test_another_domain_is_another_certificate_on_the_same_listeners(served: Project) -> None:
    before = {port: each["ListenerArn"] for port, each in listeners(served).items()}
    tls, dns = {**TLS, "domain": "www.example.com"}, {**DNS, "names": ["www.example.com"]}
    changed = served.up(tls=tls, dns=dns)
    assert changed.code == 0, changed.output
    assert ask(served)["release"] == ask(served, 9000)["release"] == served.release
    assert {port: each["ListenerArn"] for port, each in listeners(served).items()} == before
    (certificate,) = served.aws("acm").list_certificates()["CertificateSummaryList"]
    assert certificate["DomainName"] == "www.example.com"
    assert (DOMAIN, "A") not in records(served)


def test_a_certificate_that_nobody_trusts_lets_no_release_through(
    served: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = served.outputs
    monkeypatch.setattr(type(served.sandbox), "env", {**served.sandbox.env, "SSL_CERT_FILE": "/dev/null"})
    refused = served.up(ami=served.image("3"), progress_deadline_seconds=3)
    monkeypatch.undo()
    assert refused.code != 0
    assert "can't be trusted: " in refused.output
    assert ask(served)["release"] == before["activeRelease"]["version"]
    served.configure(progress_deadline_seconds=60)
    back = served.up(ami=served.image("2"))
    assert back.code == 0, back.output


def test_https_is_turned_off_together_with_a_change_of_release(served: Project) -> None:
    changed = served.up(tls=None, dns=None, listener_port=HTTP, ami=served.image("1"))
    assert changed.code == 0, changed.output
    assert served.ask()["release"] == served.release
    assert {port: each["Protocol"] for port, each in listeners(served).items()} == {HTTP: "HTTP", 9000: "HTTP"}
    assert records(served) == set()
    assert not served.aws("acm").list_certificates()["CertificateSummaryList"]


def test_a_stack_whose_zone_is_gone_can_be_destroyed(served: Project) -> None:
    served.configure(tls={**TLS, "zone": "example.org"}, listener_port=HTTPS)
    destroyed = served.pulumi("destroy", "--yes", "--skip-preview", "--stack", served.stack)
    assert destroyed.code == 0, destroyed.output
    assert not served.groups()
