"""Certificates that are validated by DNS, records, and web ACLs before load balancers."""

from __future__ import annotations

from typing import Any

import boto3
import grpc
import pytest
from moto import settings
from pulumi.runtime.proto import provider_pb2

from sandbox.provider.wire import Props, encode
from tests.sandbox.provider.driver import (
    RECORD,
    VALIDATION,
    WEB_ACL_ASSOCIATION,
    Resource,
    Stack,
    certificate,
    hosted_zone,
    web_acl,
)

_CODE = "https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service"
_CERTIFICATE = f"{_CODE}/acm/certificate.go"
_VALIDATION = f"{_CODE}/acm/certificate_validation.go"
_RECORD = f"{_CODE}/route53/record.go"
_BALANCER = f"{_CODE}/elbv2/load_balancer.go"


def given(resource: Resource) -> Props:
    return {name: value for name, value in resource.inputs.items() if name not in resource.inputs["__defaults"]}


def records(zone: str) -> dict[tuple[str, str], Any]:
    found = boto3.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return {(each["Name"], each["Type"]): each for each in found}


class TestCertificate:
    @pytest.mark.documented(
        "a certificate is there before it is issued, with the record that validates it", _CERTIFICATE
    )
    def test_a_new_one_says_which_record_validates_it(self, network: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "ACM_VALIDATION_WAIT", 60)
        made = network.certificate()
        assert made.state["status"] == "PENDING_VALIDATION"
        (option,) = made.state["domainValidationOptions"]
        assert (option["domainName"], option["resourceRecordType"]) == ("shop.example", "CNAME")
        assert option["resourceRecordName"].endswith(".shop.example.")

    @pytest.mark.documented("another domain takes another certificate", _CERTIFICATE)
    def test_another_domain_is_another_certificate(self, network: Stack) -> None:
        made = network.certificate()
        changed = network.driver.diff(made, **given(made) | {"domainName": "www.shop.example"})
        assert list(changed.replaces) == ["domainName"]

    @pytest.mark.documented("a validation waits until the certificate is issued, and fails at its timeout", _VALIDATION)
    def test_a_validation_waits(self, network: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "ACM_VALIDATION_WAIT", 60)
        made = network.certificate()
        inputs = network.driver.checked(VALIDATION, "web", {"certificateArn": made.identifier})
        urn = f"urn:pulumi:dev::project::{VALIDATION}::web"
        with pytest.raises(grpc.RpcError, match="last state: 'PENDING_VALIDATION'"):
            network.driver.stub.Create(provider_pb2.CreateRequest(urn=urn, properties=encode(inputs), timeout=0.2))
        monkeypatch.setattr(settings, "ACM_VALIDATION_WAIT", 0)
        assert network.driver.create(VALIDATION, "web", certificateArn=made.identifier).identifier

    @pytest.mark.documented("a validation that is given other records than the certificate's fails", _VALIDATION)
    def test_a_validation_minds_the_records(self, network: Stack) -> None:
        made = network.certificate()
        with pytest.raises(grpc.RpcError, match=r"missing shop\.example DNS validation record: _d"):
            network.driver.create(
                VALIDATION, "web", certificateArn=made.identifier, validationRecordFqdns=["other.shop.example"]
            )

    @pytest.mark.documented("a certificate that was imported needs no validation: an error", _VALIDATION)
    def test_an_imported_one_is_not_validated(self, network: Stack) -> None:
        with pytest.raises(grpc.RpcError, match="has type IMPORTED, no validation necessary"):
            network.driver.create(VALIDATION, "web", certificateArn=certificate("shop.example"))


class TestRecord:
    @pytest.mark.documented("a record that somebody else has made is not overwritten", _RECORD)
    def test_a_record_that_is_there_is_an_error(self, network: Stack) -> None:
        zone = hosted_zone("shop.example")
        network.record(zone)
        with pytest.raises(grpc.RpcError, match=r"InvalidChangeBatch.*already exists"):
            network.record(zone)

    @pytest.mark.documented(
        "values and TTL of a record are changed in place, another name takes another record", _RECORD
    )
    def test_a_record_is_changed_in_place(self, network: Stack) -> None:
        zone = hosted_zone("shop.example")
        made = network.record(zone)
        changed = network.driver.update(made, **given(made) | {"records": ["other.example"], "ttl": 30})
        (value,) = records(zone)["www.shop.example.", "CNAME"]["ResourceRecords"]
        assert (value["Value"], changed.state["ttl"]) == ("other.example", 30)
        assert list(network.driver.diff(changed, **given(changed) | {"name": "w3.shop.example"}).replaces) == ["name"]

    def test_a_record_becomes_one_of_another_type(self, network: Stack) -> None:
        zone = hosted_zone("shop.example")
        made = network.record(zone)
        network.driver.update(made, **given(made) | {"type": "A", "records": ["192.0.2.1"]})
        assert ("www.shop.example.", "CNAME") not in records(zone)
        assert ("www.shop.example.", "A") in records(zone)

    @pytest.mark.documented("the period at the end of a record's name means nothing", _RECORD)
    def test_a_period_at_the_end_is_no_change(self, network: Stack) -> None:
        made = network.record(hosted_zone("shop.example"))
        changed = network.driver.diff(made, **given(made) | {"name": "www.shop.example."})
        assert changed.changes == provider_pb2.DiffResponse.DIFF_NONE

    def test_a_record_is_deleted_with_what_it_says_now(self, network: Stack) -> None:
        zone = hosted_zone("shop.example")
        made = network.record(zone)
        network.driver.delete(made)
        network.driver.delete(made)
        assert set(records(zone)) == {("shop.example.", "NS"), ("shop.example.", "SOA")}

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"records": None, "ttl": None}, "one of `aliases,records` must be specified"),
            ({"ttl": None}, "ttl is needed with records"),
            ({"type": "LOC"}, "to be one of"),
            ({"setIdentifier": "a"}, "that the sandbox doesn't support"),
        ],
    )
    def test_what_makes_no_record(self, network: Stack, change: Props, reason: str) -> None:
        news = {"zoneId": "Z1", "name": "www", "type": "A", "ttl": 60, "records": ["192.0.2.1"], **change}
        news = {name: value for name, value in news.items() if value is not None}
        assert reason in " ".join(network.driver.failures(RECORD, news).values())


class TestLoadBalancer:
    @pytest.mark.documented("access logs are turned on, moved and turned off in place", _BALANCER)
    def test_access_logs_come_and_go(self, network: Stack) -> None:
        balancer = network.load_balancer(accessLogs={"bucket": "logs", "prefix": "web", "enabled": True})
        assert _logs(balancer) == {"enabled": "true", "bucket": "logs", "prefix": "web"}
        moved = network.driver.update(balancer, **given(balancer) | {"accessLogs": {"bucket": "l2", "enabled": True}})
        assert _logs(moved) == {"enabled": "true", "bucket": "l2", "prefix": ""}
        again = network.driver.diff(moved, **given(moved))
        assert again.changes == provider_pb2.DiffResponse.DIFF_NONE
        off = network.driver.update(moved, **{key: it for key, it in given(moved).items() if key != "accessLogs"})
        assert _logs(off)["enabled"] == "false"

    def test_a_web_acl_stands_before_a_load_balancer(self, network: Stack) -> None:
        balancer, waf = network.load_balancer(), boto3.client("wafv2")
        made = network.driver.create(
            WEB_ACL_ASSOCIATION, "web", webAclArn=web_acl("one"), resourceArn=balancer.identifier
        )
        assert waf.get_web_acl_for_resource(ResourceArn=balancer.identifier)["WebACL"]["Name"] == "one"
        network.driver.delete(made)
        assert "WebACL" not in waf.get_web_acl_for_resource(ResourceArn=balancer.identifier)
        assert network.driver.read(made) is None


def _logs(balancer: Resource) -> dict[str, str]:
    found = boto3.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=balancer.identifier)["Attributes"]
    prefix = "access_logs.s3."
    return {each["Key"].removeprefix(prefix): each["Value"] for each in found if each["Key"].startswith(prefix)}
