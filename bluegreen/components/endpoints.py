"""The network's interface endpoints, and the one security group that they share."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from bluegreen.model.endpoints import full_name

HTTPS_PORT = 443


def make_endpoints(
    name: str,
    services: Sequence[str],
    *,
    vpc: aws.ec2.Vpc,
    cidr: str,
    subnet_ids: Sequence[pulumi.Input[str]],
    tags: Mapping[str, str],
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """An address of each service in each of the subnets, under the service's usual name. None without services."""
    if not services:
        return []
    child = pulumi.ResourceOptions(parent=parent)
    group = aws.ec2.SecurityGroup(
        name,
        description="VPC endpoints",  # changing it would replace the group
        vpc_id=vpc.id,
        tags={**tags, "Name": name},
        opts=child,
    )
    rule = aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group.id,
        description="HTTPS from the VPC",
        ip_protocol="tcp",
        from_port=HTTPS_PORT,
        to_port=HTTPS_PORT,
        cidr_ipv4=cidr,
        tags={**tags, "Name": name},
        opts=child,
    )
    made: list[pulumi.Resource] = [rule]
    for service in services:
        part = f"{name}-{service.replace('.', '-')}"
        endpoint = aws.ec2.VpcEndpoint(
            part,
            vpc_id=vpc.id,
            service_name=vpc.region.apply(functools.partial(full_name, service)),
            vpc_endpoint_type="Interface",
            subnet_ids=list(subnet_ids),
            security_group_ids=[group.id],
            private_dns_enabled=True,
            tags={**tags, "Name": part},
            opts=child,
        )
        made.append(endpoint)
    return made
