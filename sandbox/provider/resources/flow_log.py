"""Flow logs of VPCs, to CloudWatch Logs or to a bucket."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, OperationFailed, absent, doing, first, without_none
from sandbox.provider.resources.ec2 import describe, retag
from sandbox.provider.table import TAGS, ResourceType, arn, integer, names, output, text
from sandbox.provider.wire import Props

_GONE: Final = "InvalidFlowLogId.NotFound"


def _create(aws: Aws, news: Props) -> str:
    vpc = news["vpcId"]
    what = f"creating Flow Log ({vpc})"
    call = partial(
        aws.ec2.create_flow_logs,
        ResourceType="VPC",
        ResourceIds=[vpc],
        LogDestinationType=news["logDestinationType"],
        MaxAggregationInterval=news["maxAggregationInterval"],
        **without_none(
            TrafficType=news.get("trafficType"),
            LogDestination=news.get("logDestination"),
            DeliverLogsPermissionArn=news.get("iamRoleArn"),
            LogFormat=news.get("logFormat"),
        ),
        TagSpecifications=aws.tag_specifications("vpc-flow-log", news),
    )
    with doing(aws.ec2, what):
        # A role made a moment ago may not be known to EC2 yet.
        made = aws.retry(
            what, ("InvalidParameter",), call, timeout=2 * MINUTE, saying="Unable to assume given IAM role"
        )
    if failed := first(made.get("Unsuccessful", [])):
        error = failed["Error"]
        raise OperationFailed(f"{what}: {failed['ResourceId']}: {error['Code']}: {error['Message']}")
    return str(made["FlowLogIds"][0])


def _flow_log(aws: Aws, log: str) -> Any:
    return first(describe(aws.ec2.describe_flow_logs, _GONE, FlowLogIds=[log]))


def _read(aws: Aws, log: str, known: Props) -> Props | None:
    with doing(aws.ec2, f"reading Flow Log ({log})"):
        found = _flow_log(aws, log)
        account = known["arn"].split(":")[4] if "arn" in known else aws.clients.account()
    if found is None:
        return None
    return {
        "arn": aws.arn("ec2", account, f"vpc-flow-log/{log}"),
        "vpcId": found["ResourceId"],
        "iamRoleArn": found.get("DeliverLogsPermissionArn"),
        "logDestination": found.get("LogDestination"),
        "logDestinationType": found["LogDestinationType"],
        "logFormat": found.get("LogFormat"),
        "maxAggregationInterval": found["MaxAggregationInterval"],
        "trafficType": found.get("TrafficType"),
        **aws.tag_state(found.get("Tags", [])),
    }


def _delete(aws: Aws, log: str, olds: Props) -> None:
    with doing(aws.ec2, f"deleting Flow Log ({log})"), absent(_GONE):
        aws.ec2.delete_flow_logs(FlowLogIds=[log])


FLOW_LOG = ResourceType(
    token="aws:ec2/flowLog:FlowLog",
    properties={
        "vpcId": text(required=True, replaces=True),
        "iamRoleArn": arn(replaces=True),
        "logDestination": arn(computed=True, replaces=True),
        "logDestinationType": text(
            default="cloud-watch-logs",
            replaces=True,
            choices=("cloud-watch-logs", "kinesis-data-firehose", "s3"),
            only=("cloud-watch-logs", "s3"),
        ),
        "logFormat": text(computed=True, replaces=True),
        "maxAggregationInterval": integer(default=600, replaces=True, choices=(60, 600)),
        "trafficType": text(replaces=True, choices=("ACCEPT", "ALL", "REJECT")),
        "arn": output(),
        **TAGS,
    },
    refused=names(
        "deliverCrossAccountRole destinationOptions eniId regionalNatGatewayId subnetId tagFieldSpecifications "
        "transitGatewayAttachmentId transitGatewayId"
    ),
    create=_create,
    read=_read,
    delete=_delete,
    retag=retag,
)
