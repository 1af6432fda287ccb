"""The network's flow logs: to a log group of their own, or to a bucket that there is."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from bluegreen.model.flow_logs import FlowLogs

DELIVERY = "vpc-flow-logs.amazonaws.com"


def make_flow_logs(
    name: str, settings: FlowLogs, *, vpc: aws.ec2.Vpc, tags: Mapping[str, str], parent: pulumi.Resource
) -> None:
    """What is accepted and what is rejected, of every interface in the VPC."""
    if not settings.is_on:
        return
    child = pulumi.ResourceOptions(parent=parent)
    tags = {**tags, "Name": name}
    if settings.bucket:
        aws.ec2.FlowLog(
            name,
            vpc_id=vpc.id,
            traffic_type="ALL",
            log_destination_type="s3",
            log_destination=settings.bucket,
            tags=tags,
            opts=child,
        )
        return
    group = aws.cloudwatch.LogGroup(name, retention_in_days=settings.days, tags=tags, opts=child)
    role = aws.iam.Role(
        name,
        description="Writes the flow logs of a VPC",
        assume_role_policy=vpc.owner_id.apply(_trust),
        tags=tags,
        opts=child,
    )
    policy = aws.iam.RolePolicy(name, role=role.name, policy=group.arn.apply(_writing), opts=child)
    aws.ec2.FlowLog(
        name,
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        tags=tags,
        opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[policy])),
    )


def _trust(account: str) -> str:
    """Only for logs of this account: the service writes those of everybody (VPC User Guide, "confused deputy")."""
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Service": DELIVERY},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    )


def _writing(group: str) -> str:
    """Into this one log group; which groups there are can't be asked of one alone."""
    into = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    return _document(
        {"Effect": "Allow", "Action": into, "Resource": f"{group}:*"},
        {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"},
    )


def _document(*statements: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
