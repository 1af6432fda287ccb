"""The provider's tables, property by property, against what the real provider's schema says (`facts.json`).

Every difference is one of `DIFFERENCES`, with the reason; one that is none any more has to leave that list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.provider.resources import TYPES
from sandbox.provider.table import Kind, Property, ResourceType

FACTS: Final = json.loads((Path(__file__).parent / "facts.json").read_text())
SOURCE: Final = FACTS["source"]
RECORDED: Final[dict[str, dict[str, Any]]] = FACTS["types"]
ELSEWHERE: Final = (
    "aws:lb/listener"  # listeners and what hangs on them are held to their documentation by their own tests
)

REFUSES_OTHERS = "the real provider's other arguments in its place are refused"
AS_AWS_HAS_IT = "the real provider leaves the check to AWS"
DIFFERENCES: Final[dict[tuple[str, str, str], str]] = (
    {
        ("aws:ec2/vpc:Vpc", "cidrBlock", "required"): REFUSES_OTHERS,
        ("aws:ec2/subnet:Subnet", "cidrBlock", "required"): REFUSES_OTHERS,
        ("aws:ec2/vpc:Vpc", "ipv6CidrBlock", "output"): "as an argument it is refused",
        ("aws:ec2/flowLog:FlowLog", "vpcId", "required"): REFUSES_OTHERS,
        ("aws:ec2/instance:Instance", "ami", "required"): REFUSES_OTHERS,
        ("aws:ec2/instance:Instance", "instanceType", "required"): REFUSES_OTHERS,
        ("aws:ebs/volume:Volume", "size", "required"): REFUSES_OTHERS,
        ("aws:ec2/networkInterface:NetworkInterface", "privateIp", "output"): "as an argument it is refused",
        ("aws:ec2/routeTableAssociation:RouteTableAssociation", "subnetId", "required"): REFUSES_OTHERS,
        (
            "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
            "vpcId",
            "required",
        ): "without it, it would be that of EC2-Classic",
        ("aws:ec2/vpcEndpoint:VpcEndpoint", "serviceName", "required"): REFUSES_OTHERS,
        ("aws:lb/loadBalancer:LoadBalancer", "subnets", "required"): REFUSES_OTHERS,
        ("aws:lb/loadBalancer:LoadBalancer", "clientKeepAlive", "range"): AS_AWS_HAS_IT,
        ("aws:lb/loadBalancer:LoadBalancer", "idleTimeout", "range"): AS_AWS_HAS_IT,
        (
            "aws:lb/targetGroup:TargetGroup",
            "port",
            "required",
        ): "of all types of targets only a Lambda function has none",
        (
            "aws:lb/targetGroup:TargetGroup",
            "protocol",
            "required",
        ): "of all types of targets only a Lambda function has none",
        (
            "aws:lb/targetGroup:TargetGroup",
            "vpcId",
            "required",
        ): "of all types of targets only a Lambda function has none",
        ("aws:lb/targetGroup:TargetGroup", "protocol", "values"): "from AWS' own list, which has grown",
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            "name",
            "name",
        ): "EC2 allows 128; the real provider tries more and fails",
        ("aws:ec2/launchTemplate:LaunchTemplate", "ebsOptimized", "values"): "a boolean that may be absent, as a text",
        ("aws:autoscaling/group:Group", "vpcZoneIdentifiers", "required"): REFUSES_OTHERS,
        ("aws:autoscaling/group:Group", "availabilityZones", "output"): "as an argument it is refused",
        (
            "aws:autoscaling/group:Group",
            "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateId",
            "required",
        ): REFUSES_OTHERS,
        (
            "aws:autoscaling/group:Group",
            "mixedInstancesPolicy.launchTemplate.overrides.instanceType",
            "required",
        ): REFUSES_OTHERS,
        ("aws:autoscaling/group:Group", "minSize", "range"): AS_AWS_HAS_IT,
        ("aws:autoscaling/group:Group", "maxSize", "range"): AS_AWS_HAS_IT,
        ("aws:autoscaling/group:Group", "desiredCapacity", "range"): AS_AWS_HAS_IT,
        (
            "aws:autoscaling/policy:Policy",
            "policyType",
            "required",
        ): "left out it would be SimpleScaling, which is refused",
        (
            "aws:autoscaling/policy:Policy",
            "policyType",
            "default",
        ): "left out it would be SimpleScaling, which is refused",
        ("aws:autoscaling/schedule:Schedule", "recurrence", "required"): "actions at one time are refused",
        ("aws:ssm/parameter:Parameter", "insecureValue", "required"): REFUSES_OTHERS,
        ("aws:s3/bucket:Bucket", "bucket", "required"): "left out it would be made up, and no name of Pulumi's",
        (
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "rules.applyServerSideEncryptionByDefault",
            "required",
        ): "a rule without it says nothing",
        ("aws:acm/certificate:Certificate", "domainName", "required"): REFUSES_OTHERS,
        ("aws:acm/certificate:Certificate", "validationMethod", "required"): REFUSES_OTHERS,
        ("aws:ssm/parameter:Parameter", "arn", "output"): "as an argument it is refused",
        ("aws:kms/alias:Alias", "name", "required"): "left out it would be made up",
    }
    | {
        ("aws:autoscaling/policy:Policy", f"targetTrackingConfiguration.{path}", facet): reason
        for path, facet, reason in (
            ("predefinedMetricSpecification.predefinedMetricType", "values", AS_AWS_HAS_IT),
            ("customizedMetricSpecification.metricName", "required", REFUSES_OTHERS),
            ("customizedMetricSpecification.namespace", "required", REFUSES_OTHERS),
            ("customizedMetricSpecification.statistic", "required", REFUSES_OTHERS),
            ("customizedMetricSpecification.statistic", "values", AS_AWS_HAS_IT),
            ("customizedMetricSpecification.period", "values", AS_AWS_HAS_IT),
        )
    }
    | {
        ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", path, "required"): REFUSES_OTHERS
        for path in (
            "rules",
            "rules.filter",
            "rules.filter.prefix",
            "rules.expiration.days",
            "rules.abortIncompleteMultipartUpload.daysAfterInitiation",
        )
    }
    | {
        ("aws:ec2/launchTemplate:LaunchTemplate", f"blockDeviceMappings.ebs.{name}", "values"): "as `ebsOptimized`"
        for name in ("deleteOnTermination", "encrypted")
    }
)


def _fields(spec: Property) -> Mapping[str, Property]:
    inner = spec.items if spec.kind in (Kind.LIST, Kind.SET) else spec
    return inner.fields if inner is not None else {}


def _paths(table: Mapping[str, Property], facts: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each property of the table, or of the facts, with both."""
    for name in dict.fromkeys([*table, *facts]):
        spec, fact = table.get(name), facts.get(name)
        yield f"{path}{name}", spec, fact
        if spec is not None and fact is not None:
            yield from _paths(_fields(spec), fact.get("of", {}), f"{path}{name}.")


def _of_table(kind: ResourceType, path: str, spec: Property) -> dict[str, Any]:
    return {
        "output": spec.output,
        "required": spec.required and not _is_named(kind, path),
        "computed": spec.computed and not spec.output and not _is_named(kind, path),
        "default": spec.default,
        "values": set(map(str, spec.choices)),
        "range": (spec.at_least, spec.at_most, *spec.besides),
        "conflicts": set(spec.conflicts_with),
        "name": kind.name_limit if path == "name" else None,
    }


def _of_fact(kind: ResourceType, path: str, fact: Mapping[str, Any], name: int | None) -> dict[str, Any]:
    is_named = _is_named(kind, path)
    return {
        "output": fact.get("output", False),
        "required": fact.get("required", False) and not is_named,
        "computed": fact.get("computed", False) and not is_named,
        "default": fact.get("default"),
        "values": set(fact.get("values", ())),
        "range": (*fact.get("range", (None, None)), *fact.get("besides", ())),
        "conflicts": {other for other in fact.get("conflicts", ()) if not _is_refused(kind, path, other)},
        "name": name if path == "name" else None,
    }


def _is_named(kind: ResourceType, path: str) -> bool:
    """Pulumi makes up a name, whether Terraform would ask for one or make one up itself."""
    return path == "name" and kind.name_limit is not None


def _is_refused(kind: ResourceType, path: str, other: str) -> bool:
    parent: Any = kind
    fields: Mapping[str, Property] = kind.properties
    for step in path.split(".")[:-1]:
        spec = fields[step]
        parent = spec.items if spec.kind in (Kind.LIST, Kind.SET) else spec
        fields = parent.fields
    return other in parent.refused


KINDS = [kind for token, kind in TYPES.items() if not token.startswith(ELSEWHERE)]


def _rows() -> Iterator[Any]:
    for kind in KINDS:
        recorded = RECORDED[kind.token]
        for path, spec, fact in _paths(kind.properties, recorded["properties"]):
            said = _documented(kind, "what is required, computed, of which values and in conflict, and the defaults")
            yield pytest.param(kind, path, spec, fact, id=f"{kind.token.rpartition(':')[2]}.{path}", marks=said)


def _documented(kind: ResourceType, what: str) -> pytest.MarkDecorator:
    recorded = RECORDED[kind.token]
    return pytest.mark.documented(f"{recorded['terraform']}: {what}", f"{SOURCE}/blob/main/{recorded['path']}")


@pytest.mark.parametrize(("kind", "path", "spec", "fact"), list(_rows()))
def test_a_property_is_what_the_real_provider_says(
    kind: ResourceType, path: str, spec: Property | None, fact: dict[str, Any] | None
) -> None:
    assert spec is not None, "recorded, but not in the table"
    assert fact is not None, "not recorded in facts.json"
    ours = _of_table(kind, path, spec)
    theirs = _of_fact(kind, path, fact, RECORDED[kind.token].get("name"))
    expected = {facet for token, known, facet in DIFFERENCES if (token, known) == (kind.token, path)}
    differing = {facet for facet in ours if ours[facet] != theirs[facet]}
    if expected & {"required", "output"}:
        differing -= {"computed", "conflicts"}  # what must be given, or can't be, raises neither question
    assert differing == expected, (ours, theirs)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, id=kind.token, marks=_documented(kind, "which changes take a replacement")) for kind in KINDS],
)
def test_what_replaces_is_what_the_real_provider_replaces(kind: ResourceType) -> None:
    """Where it depends on the values, `also_replaces` decides, and tests of its own say how."""
    facts = RECORDED[kind.token]["properties"]
    always = {name for name, fact in facts.items() if fact.get("replaces") and "unless" not in fact}
    sometimes = {name for name, fact in facts.items() if "unless" in fact}
    assert {name for name, spec in kind.properties.items() if spec.replaces} == always
    old, new = (dict.fromkeys(sometimes, side) for side in ("a", "b"))
    assert kind.also_replaces({}, new) == kind.also_replaces(old, {}) == sometimes


def test_every_type_is_recorded_and_every_difference_is_of_one() -> None:
    assert {kind.token for kind in KINDS} == set(RECORDED)
    assert {token for token, _, _ in DIFFERENCES} <= set(RECORDED)
