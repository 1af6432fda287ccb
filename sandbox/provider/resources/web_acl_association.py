"""Which web ACL of AWS WAF stands before a load balancer."""

from __future__ import annotations

from typing import Final

from sandbox.provider.aws import MINUTE, Aws, OperationFailed, absent, doing
from sandbox.provider.table import ResourceType, arn
from sandbox.provider.wire import Props

_GONE: Final = "WAFNonexistentItemException"


def _create(aws: Aws, news: Props) -> str:
    acl, resource = news["webAclArn"], news["resourceArn"]
    what = f"WAFv2 WebACL Association ({acl},{resource})"
    with doing(aws.wafv2, f"creating {what}"):
        call = lambda: aws.wafv2.associate_web_acl(WebACLArn=acl, ResourceArn=resource)  # noqa: E731
        aws.retry(f"{what} create", ("WAFUnavailableEntityException",), call, timeout=aws.timeout(10 * MINUTE))
    return f"{acl},{resource}"


def _read(aws: Aws, identifier: str, known: Props) -> Props | None:
    acl, _, resource = identifier.partition(",")
    with doing(aws.wafv2, f"reading WAFv2 WebACL Association ({identifier})"), absent(_GONE):
        found = aws.wafv2.get_web_acl_for_resource(ResourceArn=resource).get("WebACL")
        return {"webAclArn": acl, "resourceArn": resource} if found and found["ARN"] == acl else None
    return None


def _delete(aws: Aws, identifier: str, olds: Props) -> None:
    _, _, resource = identifier.partition(",")
    with doing(aws.wafv2, f"deleting WAFv2 WebACL Association ({identifier})"), absent(_GONE):
        aws.wafv2.disassociate_web_acl(ResourceArn=resource)


def _locate(aws: Aws, given: str) -> tuple[str, Props]:
    if given.count(",") != 1:
        raise OperationFailed(f"unexpected format of ID ({given}), expected WEB-ACL-ARN,RESOURCE-ARN")
    return given, {}


ASSOCIATION = ResourceType(
    token="aws:wafv2/webAclAssociation:WebAclAssociation",
    properties={
        "resourceArn": arn(required=True, replaces=True),
        "webAclArn": arn(required=True, replaces=True),
    },
    create=_create,
    read=_read,
    delete=_delete,
    locate=_locate,
)
