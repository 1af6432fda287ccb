"""Egress-only internet gateways: IPv6 on the way out, and nothing that comes in by itself."""

from __future__ import annotations

from sandbox.provider.aws import Aws, absent, doing, first
from sandbox.provider.resources.ec2 import describe, retag
from sandbox.provider.table import TAGS, ResourceType, text
from sandbox.provider.wire import Props


def _create(aws: Aws, news: Props) -> str:
    with doing(aws.ec2, "creating EC2 Egress-only Internet Gateway"):
        made = aws.ec2.create_egress_only_internet_gateway(
            VpcId=news["vpcId"], TagSpecifications=aws.tag_specifications("egress-only-internet-gateway", news)
        )
    return str(made["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"])


def _read(aws: Aws, gateway: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading EC2 Egress-only Internet Gateway ({gateway})"):
        ask = aws.ec2.describe_egress_only_internet_gateways
        found = first(describe(ask, "InvalidGatewayID.NotFound", EgressOnlyInternetGatewayIds=[gateway]))
    if found is None:
        return None
    attachment = first(found.get("Attachments", []))
    return {"vpcId": attachment and attachment["VpcId"], **aws.tag_state(found.get("Tags", []))}


def _delete(aws: Aws, gateway: str, olds: Props) -> None:
    what = f"deleting EC2 Egress-only Internet Gateway ({gateway})"
    with doing(aws.ec2, what), absent("InvalidGatewayID.NotFound"):
        aws.ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=gateway)


EGRESS_ONLY_GATEWAY = ResourceType(
    token="aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway",
    properties={"vpcId": text(required=True, replaces=True), **TAGS},
    create=_create,
    read=_read,
    delete=_delete,
    retag=retag,
)
