"""Access logs and the web ACL, as the program declares them, and what is refused beforehand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bluegreen.errors import SettingsError
from bluegreen.model.settings import Settings
from tests.components.conftest import FakeHooks

ACL = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/web/known"


@pytest.mark.parametrize("bucket", ["my-logs", "their-logs"])
def test_access_logs_go_to_a_bucket_in_the_region(declare: Any, bucket: str) -> None:
    logs = declare(accessLogs=json.dumps({"bucket": bucket, "prefix": "shop"})).one("LoadBalancer")["accessLogs"]
    assert logs == {"bucket": bucket, "prefix": "shop", "enabled": True}
    assert "accessLogs" not in declare().one("LoadBalancer")


def test_nobody_gets_past_the_web_acl(declare: Any) -> None:
    declared = declare(webAcl=ACL)
    association = declared.one("WebAclAssociation")
    assert (association["webAclArn"], association["resourceArn"]) == (ACL, "arn:LoadBalancer:web")
    for purpose in ("production", "preview"):
        dependencies = declared.requests[f"Listener web-{purpose}"].dependencies
        assert any(urn.endswith("WebAclAssociation::web") for urn in dependencies)


def test_another_web_acl_comes_after_the_first_has_gone(declare: Any) -> None:
    """Where it came before, the end of the first association would leave the load balancer with none."""
    assert declare(webAcl=ACL).requests["WebAclAssociation web"].deleteBeforeReplace


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"accessLogs": json.dumps({"bucket": "no-logs"})}, "bluegreen:accessLogs.bucket: there is no bucket no-logs"),
        ({"accessLogs": json.dumps({"bucket": "far-logs"})}, "the bucket far-logs is in eu-west-1, and access logs go"),
        ({"webAcl": ACL + "0"}, "bluegreen:webAcl: there is no web ACL"),
        ({"webAcl": ACL.replace("us-east-1", "eu-west-1")}, "is in eu-west-1, and the load balancer in us-east-1"),
    ],
)
def test_what_aws_has_not_is_refused(declare: Any, config: dict[str, str], fault: str) -> None:
    declared = declare(**config)
    assert [each.typ for each in declared.resources] == ["aws:ec2/launchTemplate:LaunchTemplate"]
    assert fault in FakeHooks.refused[0]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"accessLogs": {"prefix": "a"}}, "bluegreen:accessLogs.bucket: is missing"),
        ({"accessLogs": {"bucket": "My_Logs"}}, "bluegreen:accessLogs.bucket: 'My_Logs' is not the name of a bucket"),
        ({"accessLogs": {"bucket": "my-logs", "prefix": "/a"}}, "bluegreen:accessLogs.prefix: '/a' should have no /"),
        ({"accessLogs": {"bucket": "my-logs", "prefix": "AWSLogs"}}, "bluegreen:accessLogs.prefix"),
        ({"webAcl": "web"}, "bluegreen:webAcl: 'web' is not the ARN of a regional web ACL"),
        ({"webAcl": ACL.replace("regional", "global")}, "is not the ARN of a regional web ACL"),
    ],
)
def test_settings_that_can_not_be(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ami": "ami-00000001", **config})
    assert fault in str(caught.value)


DNS = json.dumps({"zone": "Z1", "names": ["shop.example.com"]})


def test_with_ipv6_the_load_balancer_and_its_names_have_both_kinds_of_address(declare: Any) -> None:
    declared = declare(ipv6="true", dns=DNS)
    assert declared.one("LoadBalancer")["ipAddressType"] == "dualstack"
    records = {each.inputs["type"]: each for each in declared.of("Record")}
    assert set(records) == {"A", "AAAA"}
    assert records["A"].inputs["aliases"] == records["AAAA"].inputs["aliases"]
    assert records["A"].name == "web-shop.example.com", "that of a stack that runs stays"


@pytest.mark.parametrize("config", [{}, {"ipv6": "true", "internal": "true"}])
def test_a_load_balancer_that_has_ipv4_alone_is_left_with_that(declare: Any, config: dict[str, str]) -> None:
    declared = declare(dns=DNS, **config)
    assert "ipAddressType" not in declared.one("LoadBalancer")
    assert [each.inputs["type"] for each in declared.of("Record")] == ["A"]
