"""What IAM is asked when a call comes: actions, resources and the keys of conditions.

AWS asks for more than the call's own action: for tags set on creation, for roles that are passed, for what an Auto
Scaling group will launch in the caller's name. Sources are beside each table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from bluegreen.errors import BluegreenError
from sandbox.iam import reference
from sandbox.iam.policy import Question

ACTIONS = {
    "s3:HeadObject": "GetObject",
    "s3:HeadBucket": "ListBucket",
    "s3:ListObjects": "ListBucket",
    "s3:ListObjectsV2": "ListBucket",
    "s3:ListBuckets": "ListAllMyBuckets",
    "s3:CopyObject": "PutObject",
    "s3:DeleteObjects": "DeleteObject",
    "s3:GetBucketEncryption": "GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "PutEncryptionConfiguration",
    "s3:DeleteBucketEncryption": "PutEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "s3:PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "s3:DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "s3:GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "s3:PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "s3:DeleteBucketLifecycle": "PutLifecycleConfiguration",
}
"""Of calls that are named otherwise than the action ("Required permissions for Amazon S3 API operations")."""

TAGGING_ON_CREATION = {
    "autoscaling:CreateAutoScalingGroup": "CreateOrUpdateTags",
    "cloudwatch:PutDashboard": "TagResource",
    "cloudwatch:PutMetricAlarm": "TagResource",
    "acm:RequestCertificate": "AddTagsToCertificate",
    "dynamodb:CreateTable": "TagResource",
    "iam:CreateInstanceProfile": "TagInstanceProfile",
    "iam:CreateOpenIDConnectProvider": "TagOpenIDConnectProvider",
    "iam:CreatePolicy": "TagPolicy",
    "iam:CreateRole": "TagRole",
    "kms:CreateKey": "TagResource",
    "logs:CreateLogGroup": "TagResource",
    "sns:CreateTopic": "TagResource",
    "ssm:PutParameter": "AddTagsToResource",
}
"""The right that tags in the call need beside it, as each service's page on tagging says."""

SERVICE_LINKED = {
    "autoscaling:CreateAutoScalingGroup": ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling"),
    "elasticloadbalancing:CreateLoadBalancer": (
        "elasticloadbalancing.amazonaws.com",
        "AWSServiceRoleForElasticLoadBalancing",
    ),
}
"""Of the first call of an account: the role that the service gives itself ("Service-linked roles" of each guide)."""

_SERVICE_LINKED_PATHS = {role: f"aws-service-role/{service}" for service, role in SERVICE_LINKED.values()}

PASSED = {
    "autoscaling:PutLifecycleHook": ("RoleARN", "autoscaling.amazonaws.com"),
    "ec2:CreateFlowLogs": ("DeliverLogsPermissionArn", "vpc-flow-logs.amazonaws.com"),
    "iam:AddRoleToInstanceProfile": ("RoleName", "ec2.amazonaws.com"),
}
"""Roles in a parameter, and whom they are passed to ("Grant a user permissions to pass a role to an AWS service")."""

OF_EVERYBODY = ("sts:GetCallerIdentity",)
"""No policy is asked ("No permissions are required to perform this operation" in the STS API reference)."""

LAUNCHING = ("autoscaling:CreateAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup")
"""With a launch template they need what RunInstances needs (EC2 Auto Scaling User Guide, "API permissions")."""

_EC2_TYPES = {
    "ami": "image",
    "eipalloc": "elastic-ip",
    "eigw": "egress-only-internet-gateway",
    "eni": "network-interface",
    "fl": "vpc-flow-log",
    "i": "instance",
    "igw": "internet-gateway",
    "key": "key-pair",
    "lt": "launch-template",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
_EC2_ID = re.compile(r"([a-z]+)-[0-9a-f]{8,17}")
_OF_NO_ACCOUNT = ("image", "snapshot")  # in ARNs
_NAMES = {
    "autoscaling:AutoScalingGroupName": "autoScalingGroup:*:autoScalingGroupName/{}",
    "autoscaling:AutoScalingGroupNames": "autoScalingGroup:*:autoScalingGroupName/{}",
    "cloudwatch:AlarmName": "alarm:{}",
    "cloudwatch:AlarmNames": "alarm:{}",
    "cloudwatch:DashboardName": "dashboard/{}",
    "cloudwatch:DashboardNames": "dashboard/{}",
    "dynamodb:TableName": "table/{}",
    "ec2:KeyName": "key-pair/{}",
    "iam:InstanceProfileName": "instance-profile/{}",
    "iam:RoleName": "role/{}",
    "kms:AliasName": "{}",
    "kms:KeyId": "key/{}",
    "kms:TargetKeyId": "key/{}",
    "logs:logGroupName": "log-group:{}",
    "ssm:Name": "parameter/{}",
    "ssm:Names": "parameter/{}",
    "ssm:ResourceId": "parameter/{}",
}
_GLOBAL = ("iam", "route53", "cloudfront")
_OWN_GROUPS = {"CreateLoadBalancer": "loadbalancer/{kind}/{name}/*", "CreateTargetGroup": "targetgroup/{name}/*"}


class UnknownCall(BluegreenError):
    """A call whose rights the sandbox can't tell."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """`operation` and `parameters` as botocore's models have them; `service` as IAM calls it."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    region: str
    account: str

    def arn(self, resource: str, service: str = "") -> str:
        service = service or self.service
        region = "" if service in _GLOBAL or resource.startswith("dashboard/") else self.region
        account = "" if service == "ec2" and resource.startswith(_OF_NO_ACCOUNT) else self.account
        return f"arn:aws:{service}:{region}:{account}:{resource}"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a launch template launches. `profile_role`: of its instance profile."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    profile_role: str = ""


class World(Protocol):
    def tags(self, arn: str) -> Mapping[str, str]:
        """Of a resource that is there; empty otherwise."""

    def part_of(self, identifier: str) -> Sequence[str]:
        """ARNs of what an association or rule of EC2's, named by its id, is about."""

    def launch(self, template: Mapping[str, Any]) -> Launch:
        """Of a launch template, named as in a request; or what a request of RunInstances says itself."""


def questions(call: Call, world: World) -> tuple[Question, ...]:
    """All that has to be allowed. Raises UnknownCall."""
    found: list[Question] = []
    found.extend(each for each in _questions(call, world) if each not in found)
    return tuple(found)


def _questions(call: Call, world: World) -> Iterator[Question]:
    known = _action(call)
    if str(known) in OF_EVERYBODY:
        return
    found = {key: values for key, values in call.parameters.items() if values not in (None, "", [], {})}
    call = replace(call, parameters=found)
    tags = _tags_by_type(call)
    resources = list(_resources(call, known, world))
    for resource in resources:
        yield _question(known, resource, _request_tags(call, resource, tags), call, world)
    yield from _tagging(call, known, resources, tags, world)
    if linked := SERVICE_LINKED.get(str(known)):
        yield _of(
            call,
            "iam:CreateServiceLinkedRole",
            call.arn(f"role/aws-service-role/{linked[0]}/{linked[1]}", "iam"),
            {"iam:AWSServiceName": linked[0]},
        )
    if passed := PASSED.get(str(known)):
        name, service = passed
        if role := str(found.get(name, "")):
            arn = role if role.startswith("arn:") else call.arn(f"role/{role}", "iam")
            yield _passing(call, arn, service)
    if str(known) in LAUNCHING:
        for template in _templates(found):
            launch = world.launch(template)
            subnets = [each for each in str(found.get("VPCZoneIdentifier", "")).split(",") if each]
            parameters = {**launch.parameters, "Subnets": subnets, "LaunchTemplate": template}
            run = replace(call, service="ec2", operation="RunInstances", parameters=parameters)
            yield from _questions(run, world)
    elif str(known) == "ec2:RunInstances":
        launch = world.launch(found)
        if launch.profile_role:
            yield _passing(call, launch.profile_role, "ec2.amazonaws.com")


def _action(call: Call) -> reference.Action:
    written = f"{call.service}:{call.operation}"
    known = reference.action(call.service, ACTIONS.get(written, call.operation))
    if known is None:
        raise UnknownCall(f"AWS's reference has no action {written}", "Teach it to sandbox/iam/questions.py.")
    return known


def _templates(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "LaunchTemplate" in found:
        yield found["LaunchTemplate"]
    mixed = found.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    if "LaunchTemplateSpecification" in mixed:
        yield mixed["LaunchTemplateSpecification"]
    for each in mixed.get("Overrides", []):
        if "LaunchTemplateSpecification" in each:
            yield each["LaunchTemplateSpecification"]


def _passing(call: Call, role: str, service: str) -> Question:
    return _of(call, "iam:PassRole", role, {"iam:PassedToService": service})


def _of(call: Call, action: str, resource: str, keys: Mapping[str, str]) -> Question:
    context = {"aws:RequestedRegion": (call.region,), **{key: (value,) for key, value in keys.items()}}
    return Question(action=action, resource=resource, context=context)


# -- resources


def _resources(call: Call, known: reference.Action, world: World) -> Iterator[str]:
    """Those that the call names, and `TYPE/*` for what it makes; `*` where the action is about none."""
    named = list(dict.fromkeys(_named(call, call.parameters, world)))
    if str(known) == "ec2:RunInstances":
        yield from _launched(call, named)
        return
    taken: set[str] = set()
    for kind in known.types:
        taken |= {arn for arn in named if kind.matches(arn)}
    # Of EC2 every required type is asked for; other services list the kinds of one resource.
    missing = [kind for kind in known.types if kind.is_required and not any(map(kind.matches, taken))]
    if known.service == "ec2":
        taken |= {_made(kind, call) for kind in missing}
    elif not taken and not any(arn.split(":")[2] == known.service for arn in named):
        taken = {_made(kind, call) for kind in missing[:1]}
    # What is tagged can be of more types than the reference lists for tagging.
    if known.types and not taken:
        taken = {arn for arn in named if arn.split(":")[2] == known.service}
    yield from sorted(taken) or [_own(call) or "*"]


def _own(call: Call) -> str:
    pattern = _OWN_GROUPS.get(call.operation)
    kind = "net" if call.parameters.get("Type") == "network" else "app"
    return call.arn(pattern.format(kind=kind, name=call.parameters["Name"])) if pattern else ""


def _made(kind: reference.ResourceType, call: Call) -> str:
    if own := _own(call):
        return own
    prefix, _, name = kind.arn.rpartition("/") if "/" in kind.arn else kind.arn.rpartition(":")
    separator = kind.arn[len(prefix)] if name else ""
    partial = f"{prefix}{separator}*".replace("${Partition}", "aws").replace("${Region}", call.region)
    return re.sub(r"\$\{\w+\}", "*", partial.replace("${Account}", call.account))


def _launched(call: Call, named: Sequence[str]) -> Iterator[str]:
    """What a launch touches: what it names, and the machine with its interface and volumes. A volume's key is KMS's
    matter: Auto Scaling uses it by a grant."""
    named = [each for each in named if each.split(":")[2] == "ec2"]
    yield from named
    kinds = [each.split(":", 5)[5].split("/")[0] for each in named]
    for kind in ("instance", "network-interface", "volume", "security-group", "subnet"):
        if kind not in kinds:
            yield call.arn(f"{kind}/*")


def _named(call: Call, found: Any, world: World, name: str = "") -> Iterator[str]:
    if isinstance(found, Mapping):
        if call.service == "autoscaling" and name == "" and call.operation in ("CreateOrUpdateTags", "DeleteTags"):
            for each in found.get("Tags", []):
                yield from _from_text(call, each.get("ResourceId", ""), "AutoScalingGroupName")
        for key, value in found.items():
            if key not in ("Tags", "TagSpecifications", "Filters", "LaunchTemplateData", "AlarmActions", "OKActions"):
                yield from _named(call, value, world, key)
        yield from _s3(call, found)
    elif isinstance(found, Sequence) and not isinstance(found, str | bytes):
        for each in found:
            yield from _named(call, each, world, name)
    elif isinstance(found, str):
        yield from _from_text(call, found, name)
        if call.service == "ec2":
            yield from world.part_of(found)


def _from_text(call: Call, text: str, name: str) -> Iterator[str]:
    if text.startswith("arn:"):
        yield text
    elif call.service == "ssm" and text.startswith("/aws/"):
        yield f"arn:aws:ssm:{call.region}::parameter{text}"
    elif call.service == "iam" and name == "RoleName" and text in _SERVICE_LINKED_PATHS:
        yield call.arn(f"role/{_SERVICE_LINKED_PATHS[text]}/{text}")
    elif pattern := _NAMES.get(f"{call.service}:{name}"):
        yield call.arn(pattern.format(text.lstrip("/")))
    elif call.service == "route53" and name in ("HostedZoneId", "Id"):
        kind = "change" if call.operation == "GetChange" else "hostedzone"
        yield f"arn:aws:route53:::{kind}/{text.rpartition('/')[2]}"
    elif call.service == "ec2" and (match := _EC2_ID.fullmatch(text)) and match[1] in _EC2_TYPES:
        yield call.arn(f"{_EC2_TYPES[match[1]]}/{text}")


def _s3(call: Call, found: Mapping[str, Any]) -> Iterator[str]:
    if call.service == "s3" and "Bucket" in found:
        yield f"arn:aws:s3:::{found['Bucket']}" + (f"/{found['Key']}" if "Key" in found else "")


# -- keys of conditions


def _question(
    known: reference.Action, resource: str, requested: Mapping[str, str], call: Call, world: World
) -> Question:
    context: dict[str, tuple[str, ...]] = {}
    for key, value in world.tags(resource).items():
        context[f"aws:ResourceTag/{key}"] = (value,)
    for key, value in requested.items():
        context[f"aws:RequestTag/{key}"] = (value,)
    if requested:
        context["aws:TagKeys"] = tuple(requested)
    if known.service == "ec2" and (template := call.parameters.get("LaunchTemplate")):
        identifier = template.get("LaunchTemplateId", "*")
        context["ec2:LaunchTemplate"] = (call.arn(f"launch-template/{identifier}", "ec2"),)
    if known.service == "route53" and (batch := call.parameters.get("ChangeBatch")):
        records = [each["ResourceRecordSet"] for each in batch["Changes"]]
        context["route53:ChangeResourceRecordSetsRecordTypes"] = tuple(sorted({each["Type"] for each in records}))
    if known.service == "kms" and (grantee := call.parameters.get("GranteePrincipal")):
        context["kms:GranteePrincipal"] = (grantee,)
    context = {key: values for key, values in context.items() if known.knows(key, resource)}
    context["aws:RequestedRegion"] = (call.region,)
    return Question(action=str(known), resource=resource, context=context)


def _tags_by_type(call: Call) -> dict[str, dict[str, str]]:
    """Tags in the request by EC2's resource type; of other services all are under no type."""
    found = call.parameters
    if call.service == "ec2":
        by_type = {each["ResourceType"]: _pairs(each.get("Tags", [])) for each in found.get("TagSpecifications", [])}
        return {**by_type, "": _pairs(found["Tags"])} if "Tags" in found else by_type
    tags = found.get("Tags", found.get("tags", {}))
    return {"": dict(tags) if isinstance(tags, Mapping) else _pairs(tags)}


def _pairs(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """KMS writes TagKey and TagValue."""
    given = [each for each in tags if isinstance(each, Mapping)]
    return {each.get("Key", each.get("TagKey", "")): each.get("Value", each.get("TagValue", "")) for each in given}


def _request_tags(call: Call, resource: str, tags: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    kind = resource.split(":", 5)[5].split("/")[0] if call.service == "ec2" and resource != "*" else ""
    return tags.get(kind, tags.get("", {}))


def _tagging(
    call: Call, known: reference.Action, resources: Sequence[str], tags: Mapping[str, Mapping[str, str]], world: World
) -> Iterator[Question]:
    """The right to tag what is being made, which each service asks for beside that to make it."""
    if call.service == "ec2" and known.name not in ("CreateTags", "DeleteTags"):
        for kind, given in tags.items():
            if kind:
                context: dict[str, tuple[str, ...]] = {
                    **{f"aws:RequestTag/{key}": (value,) for key, value in given.items()},
                    "aws:TagKeys": tuple(given),
                    "ec2:CreateAction": (known.name,),
                    "aws:RequestedRegion": (call.region,),
                }
                yield Question(action="ec2:CreateTags", resource=call.arn(f"{kind}/*"), context=context)
        return
    name = TAGGING_ON_CREATION.get(str(known))
    if call.service == "elasticloadbalancing" and known.name.startswith("Create"):
        name = "AddTags"
    tagging = reference.action(call.service, name) if name else None
    given = tags.get("", {})
    if tagging is None or not given:
        return
    for resource in [_child(call, each) for each in resources]:
        asked = _question(tagging, resource, given, call, world)
        action = {"elasticloadbalancing:CreateAction": (known.name,)} if name == "AddTags" else {}
        yield replace(asked, context={**asked.context, **action})


def _child(call: Call, resource: str) -> str:
    """What a call makes below the resource that it names: listeners of a load balancer, rules of a listener."""
    match call.operation:
        case "CreateListener":
            return resource.replace(":loadbalancer/", ":listener/") + "/*"
        case "CreateRule":
            return resource.replace(":listener/", ":listener-rule/") + "/*"
        case _:
            return resource
