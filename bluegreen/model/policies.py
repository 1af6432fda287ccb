"""What a stack must declare to be safe, as plain functions over its resources; `policies/` hands them to Pulumi.

Each policy has the id by which Checkov and Prowler users know it (https://www.checkov.io/5.Policy%20Index/pulumi.html).
A resource is judged as it is declared: what is not known yet in a preview breaks no policy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluegreen.model.addresses import ANYWHERE, ANYWHERE_IPV6

EVERYBODY = (ANYWHERE, ANYWHERE_IPV6)
ADMIN_PORTS = {"CKV_AWS_24": 22, "CKV_AWS_25": 3389}
TLS_1_2_OR_LATER = ("ELBSecurityPolicy-TLS13-1-2", "ELBSecurityPolicy-TLS13-1-3", "ELBSecurityPolicy-FS-1-2")
"""How the names of the policies begin that take no version before TLS 1.2 (ELB User Guide, "Security policies for your
Application Load Balancer")."""

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
DEFAULT_SECURITY_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
INSTANCE = "aws:ec2/instance:Instance"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
LAUNCH_CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
MACHINES = (INSTANCE, LAUNCH_TEMPLATE, LAUNCH_CONFIGURATION)
EBS_VOLUME = "aws:ebs/volume:Volume"
GROUP = "aws:autoscaling/group:Group"
LOAD_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
BUCKET = "aws:s3/bucket:Bucket"
PUBLIC_ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
BUCKET_VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
BUCKET_ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
KEY = "aws:kms/key:Key"
ROLE = "aws:iam/role:Role"
IAM_DOCUMENTS = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
)
IAM_ATTACHMENTS = (
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
)
EVERYTHING = ":iam::aws:policy/AdministratorAccess"
"""How the ARN ends of AWS's policy that allows everything."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What a program declares. `properties`: inputs as the provider gets them; a key whose value is not known yet is
    left out and in `unknown`. `depends_on`: the names of the resources whose outputs its properties use."""

    type: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    depends_on: frozenset[tuple[str, str]] = frozenset()
    """Type and name of each."""

    def __getitem__(self, path: str) -> Any:
        """The property at a dotted path; the first of a list. None where it is not there."""
        value: Any = self.properties
        for key in path.split("."):
            if isinstance(value, Sequence) and not isinstance(value, str):
                value = value[0] if value else None
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def key(self) -> tuple[str, str]:
        return self.type, self.name

    @property
    def kind(self) -> str:
        """Its type by the name that is current: the provider has older ones for the same, such as
        `aws:s3/bucketV2:BucketV2` and `aws:alb/listener:Listener`."""
        if self.type.startswith("aws:s3/"):
            return self.type.replace("V2", "")
        return self.type.replace("aws:alb/", "aws:lb/", 1)


@dataclass(frozen=True)
class Violation:
    """What is wrong with a resource, and how to set it right."""

    policy: str
    resource: Resource
    message: str

    def __str__(self) -> str:
        return f"{self.policy}: {self.resource.name} ({self.resource.type}): {self.message}"


Resources = Sequence[Resource]
Check = Callable[[Resources], Iterator[tuple[Resource, str]]]


@dataclass(frozen=True)
class Policy:
    """One rule. `id`: Checkov's, where it has one. `check` yields the resources that break it, each with what to do.

    `needs_all`: a resource is right or wrong by what others there are.
    """

    id: str
    title: str
    check: Check
    needs_all: bool = False

    def violations(self, resources: Resources) -> list[Violation]:
        return [Violation(self.id, resource, message) for resource, message in self.check(resources)]


def violations(resources: Resources, exemptions: Mapping[str, str] | None = None) -> list[Violation]:
    """All, but for those of policies that a stack is exempt from (id to reason)."""
    exempt = exemptions or {}
    return [each for policy in POLICIES if policy.id not in exempt for each in policy.violations(resources)]


def _each(types: Sequence[str], is_wrong: Callable[[Resource], bool], message: str) -> Check:
    def check(resources: Resources) -> Iterator[tuple[Resource, str]]:
        yield from ((each, message) for each in resources if each.kind in types and is_wrong(each))

    return check


def _both(*checks: Check) -> Check:
    def check(resources: Resources) -> Iterator[tuple[Resource, str]]:
        for each in checks:
            yield from each(resources)

    return check


def _without(owner: str, part: str, property_: str, is_right: Callable[[Resource], bool], message: str) -> Check:
    """Resources of type `owner` which no right resource of type `part` names in its property."""

    def check(resources: Resources) -> Iterator[tuple[Resource, str]]:
        owners = [each for each in resources if each.kind == owner]
        parts = [each for each in resources if each.kind == part and is_right(each)]
        for each in owners:
            if not any(_names(other, property_, each) for other in parts):
                yield each, message

    return check


def _names(part: Resource, property_: str, owner: Resource) -> bool:
    known = part.properties.get(property_)
    return owner.key in part.depends_on or (known is not None and known == owner.properties.get("id"))


def _is(value: object, *wanted: object) -> bool:
    """The provider's booleans may be text."""
    return (str(value).lower() if isinstance(value, bool | str) else value) in wanted


def _tokens_are_optional(resource: Resource) -> bool:
    disabled = _is(resource["metadataOptions.httpEndpoint"], "disabled")
    return not disabled and resource["metadataOptions.httpTokens"] != "required"


def _hops(resource: Resource) -> bool:
    return (resource["metadataOptions.httpPutResponseHopLimit"] or 1) > 1


def _has_open_volume(resource: Resource) -> bool:
    mappings = resource.properties.get("blockDeviceMappings") or ()
    volumes = [each["ebs"] for each in mappings if each.get("ebs")]
    return not volumes or any(not _is(each.get("encrypted"), "true") for each in volumes)


def _has_open_disk(resource: Resource) -> bool:
    disks = [resource.properties.get("rootBlockDevice") or {}, *(resource.properties.get("ebsBlockDevices") or ())]
    return any(not _is(each.get("encrypted"), "true") for each in disks)


def _opens(port: int) -> Check:
    def is_open(rule: Mapping[str, Any], sources: Iterator[Any]) -> bool:
        first, last = rule.get("fromPort"), rule.get("toPort")
        is_all = str(rule.get("ipProtocol", rule.get("protocol"))) == "-1"
        covers = is_all or (first is not None and last is not None and first <= port <= last)
        return covers and any(source in EVERYBODY for source in sources)

    def check(resources: Resources) -> Iterator[tuple[Resource, str]]:
        message = f"opens port {port} to everybody; use Session Manager, or name the networks that may come in"
        for each in resources:
            if each.kind == INGRESS_RULE:
                sources = iter((each["cidrIpv4"], each["cidrIpv6"]))
                if is_open(each.properties, sources):
                    yield each, message
            elif each.kind == RULE and each["type"] == "ingress":
                if is_open(each.properties, _sources(each.properties)):
                    yield each, message
            elif each.kind in (SECURITY_GROUP, DEFAULT_SECURITY_GROUP):
                for rule in each.properties.get("ingress") or ():
                    if is_open(rule, _sources(rule)):
                        yield each, message

    return check


def _sources(rule: Mapping[str, Any]) -> Iterator[Any]:
    yield from rule.get("cidrBlocks") or ()
    yield from rule.get("ipv6CidrBlocks") or ()


def _has_public_address(resource: Resource) -> bool:
    """A machine that routes for others (a NAT instance) needs one."""
    if _is(resource["sourceDestCheck"], "false"):
        return False
    asked = [resource.properties, *(resource.properties.get("networkInterfaces") or ())]
    return any(_is(each.get("associatePublicIpAddress"), "true") for each in asked)


def _has_inline_rules(resource: Resource) -> bool:
    return bool(resource["ingress"] or resource["egress"])


def _serves_plainly(resource: Resource) -> bool:
    """An HTTP listener that does something else than send users to HTTPS, or one of TCP."""
    action = resource["defaultActions.type"]
    is_way_to_https = action == "redirect" and resource["defaultActions.redirect.protocol"] == "HTTPS"
    return resource["protocol"] == "TCP" or (resource["protocol"] == "HTTP" and not is_way_to_https)


def _takes_old_tls(resource: Resource) -> bool:
    if resource["protocol"] not in ("HTTPS", "TLS") or "sslPolicy" in resource.unknown:
        return False
    return not str(resource["sslPolicy"] or "").startswith(TLS_1_2_OR_LATER)


def _is_application(resource: Resource) -> bool:
    return (resource["loadBalancerType"] or "application") == "application"


def _keeps_no_logs(resources: Resources) -> Iterator[tuple[Resource, str]]:
    """A Network Load Balancer has nothing to write down but TLS connections."""
    with_tls = {key for each in resources if each["protocol"] == "TLS" for key in each.depends_on}
    for each in resources:
        is_concerned = each.kind == LOAD_BALANCER and (_is_application(each) or each.key in with_tls)
        if is_concerned and not _is(each["accessLogs.enabled"], "true"):
            yield each, "set accessLogs"


def _ignores_the_balancer(resource: Resource) -> bool:
    has_targets = resource["targetGroupArns"] or "targetGroupArns" in resource.unknown
    return bool(has_targets) and resource["healthCheckType"] != "ELB"


def _statements(document: object) -> list[Mapping[str, Any]]:
    """Of an IAM policy document, JSON or not. Empty where it is not known."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return []
    found = document.get("Statement") if isinstance(document, Mapping) else None
    return [found] if isinstance(found, Mapping) else list(found or ())


def _documents(resource: Resource) -> list[object]:
    if resource.kind == ROLE:
        return [each.get("policy") for each in resource.properties.get("inlinePolicies") or ()]
    return [resource.properties.get("policy")] if resource.kind in IAM_DOCUMENTS else []


def _gives_everything(resource: Resource) -> bool:
    given = [resource["policyArn"], *(resource.properties.get("managedPolicyArns") or ())]
    return any(str(each).endswith(EVERYTHING) for each in given)


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value] if isinstance(value, Sequence) else []


def _allows(is_wrong: Callable[[Mapping[str, Any]], bool], message: str) -> Check:
    def check(resources: Resources) -> Iterator[tuple[Resource, str]]:
        for each in resources:
            statements = [one for document in _documents(each) for one in _statements(document)]
            if any(one.get("Effect") == "Allow" and is_wrong(one) for one in statements):
                yield each, message

    return check


def _refuses_plain_requests(resource: Resource) -> bool:
    if "policy" in resource.unknown:
        return True
    return any(
        one.get("Effect") == "Deny"
        and _is(one.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport"), "false")
        for one in _statements(resource["policy"])
    )


def _encrypts(resource: Resource) -> bool:
    found = resource["rules.applyServerSideEncryptionByDefault.sseAlgorithm"]
    return found in ("AES256", "aws:kms", "aws:kms:dsse")


def _blocks(property_: str) -> Check:
    return _without(
        BUCKET, PUBLIC_ACCESS_BLOCK, "bucket", lambda block: _is(block[property_], "true"), f"needs {property_}: true"
    )


POLICIES: tuple[Policy, ...] = (
    Policy(
        "CKV_AWS_79",
        "Machines give their metadata to session-oriented requests only (IMDSv2)",
        _each(MACHINES, _tokens_are_optional, "set metadataOptions.httpTokens to required"),
    ),
    Policy(
        "CKV_AWS_341",
        "Metadata goes no further than the machine itself",
        _each(MACHINES, _hops, "set metadataOptions.httpPutResponseHopLimit to 1"),
    ),
    Policy(
        "CKV_AWS_88",
        "Machines have no public address",
        _both(
            _each(MACHINES, _has_public_address, "launch into private subnets, without a public address"),
            _each([SUBNET], lambda it: _is(it["mapPublicIpOnLaunch"], "true"), "set mapPublicIpOnLaunch to false"),
        ),
    ),
    Policy(
        "CKV_AWS_8",
        "Volumes are encrypted",
        _both(
            _each(
                [LAUNCH_TEMPLATE], _has_open_volume, "name the root volume in blockDeviceMappings, with encrypted: true"
            ),
            _each(
                [INSTANCE, LAUNCH_CONFIGURATION],
                _has_open_disk,
                "set encrypted to true for rootBlockDevice and each of ebsBlockDevices",
            ),
        ),
    ),
    Policy(
        "CKV_AWS_3",
        "Volumes that stay are encrypted",
        _each([EBS_VOLUME], lambda it: not _is(it["encrypted"], "true"), "set encrypted to true"),
    ),
    Policy(
        "CKV2_AWS_15",
        "A group behind a load balancer goes by the load balancer's health checks",
        _each([GROUP], _ignores_the_balancer, "set healthCheckType to ELB"),
    ),
    Policy(
        "BLUEGREEN_1",
        "A security group's rules are resources of their own",
        _each(
            [SECURITY_GROUP],
            _has_inline_rules,
            "declare a SecurityGroupIngressRule or EgressRule for each: the provider takes rules away that are not "
            "among the inline ones",
        ),
    ),
    Policy("CKV_AWS_24", "Nobody comes in by SSH from everywhere", _opens(ADMIN_PORTS["CKV_AWS_24"])),
    Policy("CKV_AWS_25", "Nobody comes in by RDP from everywhere", _opens(ADMIN_PORTS["CKV_AWS_25"])),
    Policy(
        "CKV2_AWS_12",
        "The default security group of a VPC lets nothing through",
        _without(
            VPC,
            DEFAULT_SECURITY_GROUP,
            "vpcId",
            lambda group: not (group["ingress"] or group["egress"]),
            "declare its DefaultSecurityGroup without rules",
        ),
        needs_all=True,
    ),
    Policy(
        "CKV2_AWS_11",
        "A VPC keeps flow logs",
        _without(VPC, FLOW_LOG, "vpcId", lambda log: (log["trafficType"] or "ALL") == "ALL", "set flowLogs"),
        needs_all=True,
    ),
    Policy(
        "CKV_AWS_131",
        "A load balancer drops header fields that are not valid",
        _each(
            [LOAD_BALANCER],
            lambda it: _is_application(it) and not _is(it["dropInvalidHeaderFields"], "true"),
            "set dropInvalidHeaderFields to true",
        ),
    ),
    Policy(
        "CKV_AWS_328",
        "A load balancer does not pass on what could be read in two ways",
        _each(
            [LOAD_BALANCER],
            lambda it: _is_application(it) and it["desyncMitigationMode"] not in ("strictest", "defensive"),
            "set desyncMitigationMode to strictest",
        ),
    ),
    Policy(
        "CKV_AWS_91",
        "A load balancer keeps access logs",
        _keeps_no_logs,
    ),
    Policy(
        "CKV_AWS_150",
        "A load balancer is not deleted by a slip",
        _each([LOAD_BALANCER], lambda it: not _is(it["enableDeletionProtection"], "true"), "set deletionProtection"),
    ),
    Policy(
        "CKV2_AWS_20",
        "Users are served by HTTPS or TLS, and sent there from HTTP",
        _each([LISTENER], _serves_plainly, "set tls: a certificate, and of HTTP a redirect"),
    ),
    Policy(
        "CKV_AWS_103",
        "A listener takes nothing before TLS 1.2",
        _each([LISTENER], _takes_old_tls, "name a current policy: left out it is the one of 2016, which takes TLS 1.0"),
    ),
    Policy("CKV_AWS_53", "A bucket blocks public access lists", _blocks("blockPublicAcls"), needs_all=True),
    Policy("CKV_AWS_54", "A bucket blocks public policies", _blocks("blockPublicPolicy"), needs_all=True),
    Policy("CKV_AWS_55", "A bucket ignores public access lists", _blocks("ignorePublicAcls"), needs_all=True),
    Policy("CKV_AWS_56", "A bucket restricts public access", _blocks("restrictPublicBuckets"), needs_all=True),
    Policy(
        "CKV_AWS_19",
        "A bucket encrypts what it keeps",
        _without(
            BUCKET,
            BUCKET_ENCRYPTION,
            "bucket",
            _encrypts,
            "needs a BucketServerSideEncryptionConfiguration with aws:kms or AES256",
        ),
        needs_all=True,
    ),
    Policy(
        "CKV_AWS_379",
        "A bucket takes requests by TLS only",
        _without(
            BUCKET,
            BUCKET_POLICY,
            "bucket",
            _refuses_plain_requests,
            "needs a BucketPolicy that denies what has aws:SecureTransport false",
        ),
        needs_all=True,
    ),
    Policy(
        "CKV_AWS_21",
        "A bucket keeps what is overwritten",
        _without(
            BUCKET,
            BUCKET_VERSIONING,
            "bucket",
            lambda it: it["versioningConfiguration.status"] == "Enabled",
            "needs a BucketVersioning with status: Enabled",
        ),
        needs_all=True,
    ),
    Policy(
        "CKV_AWS_7",
        "A KMS key rotates",
        _each([KEY], lambda it: not _is(it["enableKeyRotation"], "true"), "set enableKeyRotation to true"),
    ),
    Policy(
        "CKV_AWS_62",
        "No role may do everything",
        _allows(
            lambda one: "*" in _texts(one.get("Action")) and "*" in _texts(one.get("Resource")),
            "name the actions and the resources that it needs",
        ),
    ),
    Policy(
        "CKV_AWS_274",
        "Nobody has AWS's policy that allows everything",
        _each(
            (ROLE, *IAM_ATTACHMENTS), _gives_everything, "attach a policy of what is needed, not AdministratorAccess"
        ),
    ),
    Policy(
        "CKV_AWS_286",
        "A role passes on only roles that are named",
        _allows(
            lambda one: (
                "*" in _texts(one.get("Resource"))
                and any(action.lower() in ("*", "iam:*", "iam:passrole") for action in _texts(one.get("Action")))
            ),
            "name the roles that iam:PassRole may pass",
        ),
    ),
)
