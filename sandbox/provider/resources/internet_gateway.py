"""Internet gateways, attached to their VPC."""

from __future__ import annotations

from functools import partial

from sandbox.provider.aws import MINUTE, Aws, absent, doing, first
from sandbox.provider.resources.ec2 import delete, describe, retag
from sandbox.provider.table import (
    TAGS,
    ResourceType,
    output,
    text,
)
from sandbox.provider.wire import Props


def _create_internet_gateway(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating EC2 Internet Gateway"):
        tags = aws.tag_specifications("internet-gateway", news)
        made = aws.ec2.create_internet_gateway(TagSpecifications=tags)
    return str(made["InternetGateway"]["InternetGatewayId"])


def _settle_internet_gateway(aws: Aws, gateway: str, news: Props) -> None:
    _attach(aws, "creating EC2 Internet Gateway", gateway, news)


def _attach(aws: Aws, what: str, gateway: str, news: Props) -> None:
    if vpc := news.get("vpcId"):
        with doing(aws.ec2, f"{what}: attaching EC2 Internet Gateway ({gateway}) to VPC ({vpc})"):
            aws.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)


def _detach(aws: Aws, doing_what: str, gateway: str, olds: Props) -> None:
    vpc = olds.get("vpcId")
    if not vpc:
        return
    what = f"EC2 Internet Gateway ({gateway}) from VPC ({vpc})"
    call = partial(aws.ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc)
    with (
        doing(aws.ec2, f"{doing_what}: detaching {what}"),
        absent("Gateway.NotAttached", "InvalidInternetGatewayID.NotFound", "InvalidVpcID.NotFound"),
    ):
        # Addresses in the VPC that are on their way out still use it.
        aws.retry(f"detach of {what}", ("DependencyViolation",), call, timeout=aws.timeout(20 * MINUTE))


def _read_internet_gateway(aws: Aws, gateway: str, known: Props) -> Props | None:
    missing = "InvalidInternetGatewayID.NotFound"
    with doing(aws.ec2, f"reading EC2 Internet Gateway ({gateway})"):
        found = first(describe(aws.ec2.describe_internet_gateways, missing, InternetGatewayIds=[gateway]))
    if found is None:
        return None
    attachment = first(found.get("Attachments", []))
    return {
        "arn": aws.arn("ec2", found["OwnerId"], f"internet-gateway/{gateway}"),
        "ownerId": found["OwnerId"],
        "vpcId": attachment and attachment["VpcId"],
        **aws.tag_state(found.get("Tags", [])),
    }


def _update_internet_gateway(aws: Aws, gateway: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    what = f"updating EC2 Internet Gateway ({gateway})"
    if "vpcId" in changed:
        _detach(aws, what, gateway, olds)
        _attach(aws, what, gateway, news)


def _delete_internet_gateway(aws: Aws, gateway: str, olds: Props) -> None:
    _detach(aws, f"deleting EC2 Internet Gateway ({gateway})", gateway, olds)
    call = partial(aws.ec2.delete_internet_gateway, InternetGatewayId=gateway)
    delete(aws, f"EC2 Internet Gateway ({gateway})", call, "InvalidInternetGatewayID.NotFound", timeout=20 * MINUTE)


INTERNET_GATEWAY = ResourceType(
    token="aws:ec2/internetGateway:InternetGateway",
    properties={"vpcId": text(computed=True), "arn": output(), "ownerId": output(), **TAGS},
    create=_create_internet_gateway,
    settle=_settle_internet_gateway,
    read=_read_internet_gateway,
    update=_update_internet_gateway,
    delete=_delete_internet_gateway,
    retag=retag,
)
