"""Security groups and their rules. Rules are resources of their own; inline ones are refused."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, absent, doing, first, without_none
from sandbox.provider.resources.ec2 import cidr_fault, delete, describe, retag, where
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    boolean,
    exactly_one_of,
    integer,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props

_ANYWHERE: Final = {
    "IPv4": {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    "IPv6": {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
}


def _create_group(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, f"creating Security Group ({news['name']})"):
        made = aws.ec2.create_security_group(
            **without_none(GroupName=news["name"], Description=news["description"], VpcId=news.get("vpcId")),
            TagSpecifications=aws.tag_specifications("security-group", news),
        )
    return str(made["GroupId"])


def _revoke_default_egress(aws: Aws, group: str, news: Props) -> None:
    """AWS lets a new group reach everywhere, by IPv6 too where the VPC has that; as the real provider does, only what
    the program says is left open."""
    for kind, anywhere in _ANYWHERE.items():
        with (
            doing(aws.ec2, f"revoking default {kind} egress rule for Security Group ({group})"),
            absent("InvalidPermission.NotFound"),
        ):
            aws.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[anywhere])


def _read_group(aws: Aws, group: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading Security Group ({group})"):
        found = first(describe(aws.ec2.describe_security_groups, "InvalidGroup.NotFound", GroupIds=[group]))
    if found is None:
        return None
    return {
        "arn": aws.arn("ec2", found["OwnerId"], f"security-group/{group}"),
        "ownerId": found["OwnerId"],
        "name": found["GroupName"],
        "description": found["Description"],
        "vpcId": found["VpcId"],
        **aws.tag_state(found.get("Tags", [])),
    }


def _delete_group(aws: Aws, group: str, olds: Props) -> None:
    call = partial(aws.ec2.delete_security_group, GroupId=group)
    delete(
        aws, f"Security Group ({group})", call, "InvalidGroup.NotFound", "InvalidGroupId.NotFound", timeout=15 * MINUTE
    )


SECURITY_GROUP = ResourceType(
    token="aws:ec2/securityGroup:SecurityGroup",
    properties={
        "name": text(
            computed=True,
            replaces=True,
            pattern=re.compile(r"(?!sg-).{1,255}", re.DOTALL),
            pattern_reason="must be 1 to 255 characters and cannot begin with sg-",
        ),
        "description": text(
            default="Managed by Pulumi",
            replaces=True,
            pattern=re.compile(r"[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]{1,255}"),
            pattern_reason=r"doesn't comply with restrictions (^[0-9A-Za-z_ .:/()#,@\[\]+=&;\{\}!\$\*-]*$)",
        ),
        "vpcId": text(computed=True, replaces=True),
        "revokeRulesOnDelete": boolean(default=False, only=(False,)),
        "arn": output(),
        "ownerId": output(),
        **TAGS,
    },
    refused=names("egress ingress namePrefix"),
    name_limit=255,
    create=_create_group,
    settle=_revoke_default_egress,
    read=_read_group,
    delete=_delete_group,
    retag=retag,
)


def _adopt_default_group(aws: Aws, news: Props) -> str:
    """Every VPC comes with one. It is taken over as it is, and none of its rules stays that the program doesn't say."""
    with doing(aws.ec2, "reading Default Security Group"):
        mine = where("group-name", "default") + where("vpc-id", news["vpcId"])
        (found,) = aws.ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
    return str(found["GroupId"])


def _close_default_group(aws: Aws, group: str, news: Props) -> None:
    with doing(aws.ec2, f"reading Default Security Group ({group})"):
        (found,) = aws.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    with doing(aws.ec2, f"revoking rules of Default Security Group ({group})"):
        if rules := found.get("IpPermissions"):
            aws.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules)
        if rules := found.get("IpPermissionsEgress"):
            aws.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=rules)
    had = {tag["Key"] for tag in found.get("Tags", [])}
    retag(aws, group, news.get("tags", {}), sorted(had - set(news.get("tags", {}))))


def _leave_default_group(aws: Aws, group: str, olds: Props) -> None:
    """It goes with its VPC, and until then it stays closed."""


DEFAULT_GROUP = ResourceType(
    token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    properties={
        "vpcId": text(required=True, replaces=True),
        "revokeRulesOnDelete": boolean(default=False, only=(False,)),
        "arn": output(),
        "description": output(),
        "name": output(),
        "ownerId": output(),
        **TAGS,
    },
    refused=names("egress ingress"),
    create=_adopt_default_group,
    settle=_close_default_group,
    read=_read_group,
    delete=_leave_default_group,
    retag=retag,
)


_SOURCES: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def _permission(news: Props) -> dict[str, Any]:
    """A rule as AuthorizeSecurityGroup* takes it."""
    described = without_none(Description=news.get("description"))
    permission = without_none(IpProtocol=news["ipProtocol"], FromPort=news.get("fromPort"), ToPort=news.get("toPort"))
    if "cidrIpv4" in news:
        permission["IpRanges"] = [{"CidrIp": news["cidrIpv4"], **described}]
    elif "cidrIpv6" in news:
        permission["Ipv6Ranges"] = [{"CidrIpv6": news["cidrIpv6"], **described}]
    elif "prefixListId" in news:
        permission["PrefixListIds"] = [{"PrefixListId": news["prefixListId"], **described}]
    else:
        permission["UserIdGroupPairs"] = [{"GroupId": news["referencedSecurityGroupId"], **described}]
    return permission


def _create_rule(direction: str, aws: Aws, news: Props) -> str:
    authorize = {
        "ingress": aws.ec2.authorize_security_group_ingress,
        "egress": aws.ec2.authorize_security_group_egress,
    }[direction]
    with doing(aws.ec2, "creating VPC Security Group Rule"):
        made = authorize(
            GroupId=news["securityGroupId"],
            IpPermissions=[_permission(news)],
            TagSpecifications=aws.tag_specifications("security-group-rule", news),
        )
    return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])


def _read_rule(aws: Aws, rule: str, known: Props) -> Props | None:
    missing = ("InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound")
    with doing(aws.ec2, f"reading VPC Security Group Rule ({rule})"):
        found = first(describe(aws.ec2.describe_security_group_rules, *missing, SecurityGroupRuleIds=[rule]))
    if found is None:
        return None
    # For "all protocols" AWS answers with ports of -1 that nobody gave.
    ports = {"fromPort": found.get("FromPort"), "toPort": found.get("ToPort")}
    owner = found.get("GroupOwnerId") or aws.clients.account()
    return {
        "arn": aws.arn("ec2", owner, f"security-group-rule/{rule}"),
        "securityGroupRuleId": rule,
        "securityGroupId": found["GroupId"],
        "ipProtocol": found["IpProtocol"],
        "description": found.get("Description") or None,
        "cidrIpv4": found.get("CidrIpv4"),
        "cidrIpv6": found.get("CidrIpv6"),
        "prefixListId": found.get("PrefixListId"),
        "referencedSecurityGroupId": found.get("ReferencedGroupInfo", {}).get("GroupId"),
        **{name: port for name, port in ports.items() if port != -1 or name in known},
        **aws.tag_state(found.get("Tags", [])),
    }


def _update_rule(aws: Aws, rule: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if not changed - {"tags"}:
        return
    asked = without_none(
        IpProtocol=news["ipProtocol"],
        FromPort=news.get("fromPort", -1),
        ToPort=news.get("toPort", -1),
        CidrIpv4=news.get("cidrIpv4"),
        CidrIpv6=news.get("cidrIpv6"),
        PrefixListId=news.get("prefixListId"),
        ReferencedGroupId=news.get("referencedSecurityGroupId"),
        Description=news.get("description"),
    )
    with doing(aws.ec2, f"updating VPC Security Group Rule ({rule})"):
        aws.ec2.modify_security_group_rules(
            GroupId=news["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": rule, "SecurityGroupRule": asked}],
        )


def _delete_rule(direction: str, aws: Aws, rule: str, olds: Props) -> None:
    revoke = {"ingress": aws.ec2.revoke_security_group_ingress, "egress": aws.ec2.revoke_security_group_egress}[
        direction
    ]
    with (
        doing(aws.ec2, f"deleting VPC Security Group Rule ({rule})"),
        absent("InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound", "InvalidPermission.NotFound"),
    ):
        revoke(GroupId=olds["securityGroupId"], SecurityGroupRuleIds=[rule])


# what EC2 answers with, by what it may be given
_PROTOCOLS: Final = {"all": "-1", "1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}


def _is_one_protocol(old: Any, new: Any) -> bool:
    first, second = (_PROTOCOLS.get(str(each).lower(), str(each).lower()) for each in (old, new))
    return first == second


def _source_replaces(state: Props, inputs: Props) -> frozenset[str]:
    """A rule's source may change, but not into one of another kind."""
    before, after = (frozenset(name for name in _SOURCES if name in side) for side in (state, inputs))
    return frozenset() if before == after else before | after


def _rule_type(token: str, direction: str) -> ResourceType:
    return ResourceType(
        token=token,
        properties={
            "securityGroupId": text(required=True, replaces=True),
            "ipProtocol": text(required=True, suppresses=_is_one_protocol),
            "fromPort": integer(at_least=-1, at_most=65535),
            "toPort": integer(at_least=-1, at_most=65535),
            "cidrIpv4": text(refuses=cidr_fault),
            "cidrIpv6": text(refuses=partial(cidr_fault, version=6)),
            "prefixListId": text(),
            "referencedSecurityGroupId": text(),
            "description": text(),
            "arn": output(),
            "securityGroupRuleId": output(),
            **TAGS,
        },
        rules=(exactly_one_of(*_SOURCES),),
        create=partial(_create_rule, direction),
        read=_read_rule,
        update=_update_rule,
        delete=partial(_delete_rule, direction),
        retag=retag,
        also_replaces=_source_replaces,
    )


INGRESS_RULE = _rule_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ingress")
EGRESS_RULE = _rule_type("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "egress")
