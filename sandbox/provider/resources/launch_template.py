"""Launch templates. What an instance is launched with is translated by the table itself: names and kinds, both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import Aws, absent, as_pairs, doing, first, without_none
from sandbox.provider.resources.ec2 import describe, retag
from sandbox.provider.table import (
    TAGS,
    Kind,
    Property,
    ResourceType,
    arn,
    block,
    blocks,
    boolean,
    integer,
    names,
    output,
    text,
    text_map,
    text_set,
)
from sandbox.provider.wire import Props

_FLAG: Final = ("true", "false")  # Pulumi has a text where EC2 has a boolean that may be absent
# The second is moto's answer to a delete by id (seen in 5.2.5).
_MISSING: Final = ("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException")


def _flag(**settings: Any) -> Property:
    return text(choices=_FLAG, **settings)


def _switch(**settings: Any) -> Property:
    return text(choices=("enabled", "disabled"), computed=True, **settings)


_LAUNCH_DATA: Final[Mapping[str, Property]] = {
    "imageId": text(),
    "instanceType": text(),
    "keyName": text(),
    "userData": text(),
    "ebsOptimized": _flag(),
    "disableApiStop": boolean(),
    "disableApiTermination": boolean(),
    "instanceInitiatedShutdownBehavior": text(choices=("stop", "terminate")),
    "vpcSecurityGroupIds": text_set(),
    "iamInstanceProfile": block(
        {"arn": arn(conflicts_with=("name",)), "name": text()},
    ),
    "monitoring": block({"enabled": boolean()}),
    "creditSpecification": block({"cpuCredits": text(choices=("standard", "unlimited"))}),
    "metadataOptions": block(
        {
            "httpEndpoint": _switch(),
            "httpProtocolIpv6": _switch(),
            "httpPutResponseHopLimit": integer(computed=True, at_least=1, at_most=64),
            "httpTokens": text(computed=True, choices=("optional", "required")),
            "instanceMetadataTags": _switch(),
        },
        computed=True,
    ),
    "blockDeviceMappings": blocks(
        {
            "deviceName": text(),
            "noDevice": text(),
            "virtualName": text(),
            "ebs": block(
                {
                    "deleteOnTermination": _flag(),
                    "encrypted": _flag(),
                    "iops": integer(computed=True),
                    "kmsKeyId": arn(),
                    "snapshotId": text(),
                    "throughput": integer(computed=True, at_least=125, at_most=2000),
                    "volumeSize": integer(computed=True),
                    "volumeType": text(computed=True, choices=("standard", "io1", "io2", "gp2", "sc1", "st1", "gp3")),
                },
                refused="volumeInitializationRate",
            ),
        }
    ),
    "tagSpecifications": blocks({"resourceType": text(), "tags": text_map()}),
}

# EC2's name, where it isn't Pulumi's with a capital
_NAMES: Final = {"vpcSecurityGroupIds": "SecurityGroupIds"}


def _name(name: str) -> str:
    return _NAMES.get(name, name[0].upper() + name[1:])


def _to_ec2(spec: Property, value: Any) -> Any:
    match spec.kind:
        case Kind.OBJECT:
            return _members_to_ec2(spec.fields, value)
        case Kind.LIST | Kind.SET:
            assert spec.items is not None
            return [_to_ec2(spec.items, item) for item in value]
        case Kind.MAP:
            return as_pairs(value)
        case _:
            return value == "true" if spec.choices == _FLAG else value


def _members_to_ec2(table: Mapping[str, Property], values: Props) -> dict[str, Any]:
    return {_name(name): _to_ec2(table[name], value) for name, value in values.items() if name in table}


def _from_ec2(spec: Property, value: Any) -> Any:
    match spec.kind:
        case Kind.OBJECT:
            return _members_from_ec2(spec.fields, value)
        case Kind.LIST | Kind.SET:
            assert spec.items is not None
            return [_from_ec2(spec.items, item) for item in value]
        case Kind.MAP:
            return {pair["Key"]: pair["Value"] for pair in value}
        case _:
            return str(value).lower() if spec.choices == _FLAG else value


def _members_from_ec2(table: Mapping[str, Property], described: Mapping[str, Any]) -> Props:
    asked = {name: _name(name) for name in table}
    return {name: _from_ec2(table[name], described[key]) for name, key in asked.items() if key in described}


def _create(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, f"creating EC2 Launch Template ({news['name']})"):
        made = aws.ec2.create_launch_template(
            **without_none(LaunchTemplateName=news["name"], VersionDescription=news.get("description")),
            LaunchTemplateData=_members_to_ec2(_LAUNCH_DATA, news),
            TagSpecifications=aws.tag_specifications("launch-template", news),
        )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def _read(aws: Aws, template: str, known: Props) -> Props | None:
    ec2 = aws.ec2
    with doing(ec2, f"reading EC2 Launch Template ({template})"):
        found = first(describe(ec2.describe_launch_templates, *_MISSING, LaunchTemplateIds=[template]))
        if found is None:
            return None
        latest = str(found["LatestVersionNumber"])
        version = first(describe(ec2.describe_launch_template_versions, LaunchTemplateId=template, Versions=[latest]))
    data = _members_from_ec2(_LAUNCH_DATA, version["LaunchTemplateData"])
    account = found["CreatedBy"].split(":")[4]
    return {
        **dict.fromkeys(_LAUNCH_DATA),
        **data,
        "arn": aws.arn("ec2", account, f"launch-template/{template}"),
        "name": found["LaunchTemplateName"],
        "description": version.get("VersionDescription") or None,
        "defaultVersion": found["DefaultVersionNumber"],
        "latestVersion": found["LatestVersionNumber"],
        **aws.tag_state(found.get("Tags", [])),
    }


def _update(aws: Aws, template: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    """Templates don't change: an update is a new version, made from the whole of the inputs."""
    default = olds["latestVersion"] if news.get("updateDefaultVersion") else None
    if "defaultVersion" in changed:
        default = news.get("defaultVersion")
    if changed & {*_LAUNCH_DATA, "description"}:
        with doing(aws.ec2, f"creating EC2 Launch Template ({template}) Version"):
            made = aws.ec2.create_launch_template_version(
                LaunchTemplateId=template,
                **without_none(VersionDescription=news.get("description")),
                LaunchTemplateData=_members_to_ec2(_LAUNCH_DATA, news),
            )
        if news.get("updateDefaultVersion"):
            default = made["LaunchTemplateVersion"]["VersionNumber"]
    if default is not None:
        with doing(aws.ec2, f"updating EC2 Launch Template ({template})"):
            aws.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=str(default))


def _delete(aws: Aws, template: str, olds: Props) -> None:
    with doing(aws.ec2, f"deleting EC2 Launch Template ({template})"), absent(*_MISSING):
        aws.ec2.delete_launch_template(LaunchTemplateId=template)


def _recomputed(changed: frozenset[str], news: Props) -> frozenset[str]:
    """A new description alone makes a new version too, but the real provider doesn't say so beforehand."""
    unknown = set()
    if changed - {"name", "description", "defaultVersion", "updateDefaultVersion"}:
        unknown.add("latestVersion")
    if changed - {"name", "description"} and news.get("updateDefaultVersion"):
        unknown.add("defaultVersion")
    return frozenset(unknown)


LAUNCH_TEMPLATE = ResourceType(
    token="aws:ec2/launchTemplate:LaunchTemplate",
    properties={
        **_LAUNCH_DATA,
        "name": text(
            computed=True,
            replaces=True,
            pattern=re.compile(r"[0-9A-Za-z().\-/_]{3,128}"),
            pattern_reason="must be 3 to 128 letters, digits or ( ) . - / _",
        ),
        "description": text(
            pattern=re.compile(r".{0,255}", re.DOTALL), pattern_reason="cannot be longer than 255 characters"
        ),
        "defaultVersion": integer(computed=True, at_least=1, conflicts_with=("updateDefaultVersion",)),
        "updateDefaultVersion": boolean(conflicts_with=("defaultVersion",)),
        "arn": output(),
        "latestVersion": output(Kind.INTEGER),
        **TAGS,
    },
    refused=names(
        "capacityReservationSpecification cpuOptions enclaveOptions hibernationOptions instanceMarketOptions "
        "instanceRequirements kernelId licenseSpecifications maintenanceOptions namePrefix networkInterfaces "
        "networkPerformanceOptions placement privateDnsNameOptions ramDiskId secondaryInterfaces "
        "securityGroupNames"
    ),
    name_limit=128,
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    retag=retag,
    recomputes=_recomputed,
)
