"""The machine that routes for the private subnets in place of a NAT gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from bluegreen.model.addresses import ANYWHERE
from bluegreen.model.nat_instance import NatInstance, routing_script


def make_nat_instance(
    name: str,
    settings: NatInstance,
    *,
    vpc_id: pulumi.Input[str],
    cidr: str,
    subnet_id: pulumi.Input[str],
    tags: Mapping[str, str],
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> aws.ec2.Instance:
    """One machine, in a public subnet; when it ends, there is no way out until the next `up` makes another.

    It has no key pair and no role. `after`: the subnet's way to the internet, which it needs when it boots.
    """
    child = pulumi.ResourceOptions(parent=parent)
    tags = {**tags, "Name": name}
    group = aws.ec2.SecurityGroup(
        name,
        description="NAT instance",  # changing it would replace the group
        vpc_id=vpc_id,
        tags=tags,
        opts=child,
    )
    rule = aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group.id,
        description="From the VPC",
        ip_protocol="-1",
        cidr_ipv4=cidr,
        tags=tags,
        opts=child,
    )
    way_out = aws.vpc.SecurityGroupEgressRule(
        name,
        security_group_id=group.id,
        description="Anywhere",
        ip_protocol="-1",
        cidr_ipv4=ANYWHERE,
        tags=tags,
        opts=child,
    )
    image: pulumi.Input[str] = settings.image
    if not settings.image:
        found = aws.ssm.get_parameter_output(
            name=settings.image_parameter, opts=pulumi.InvokeOutputOptions(parent=parent)
        )
        image = found.value
    return aws.ec2.Instance(
        name,
        ami=image,
        instance_type=settings.type,
        subnet_id=subnet_id,
        vpc_security_group_ids=[group.id],
        associate_public_ip_address=True,
        source_dest_check=False,
        user_data=routing_script(cidr),
        user_data_replace_on_change=True,
        metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(encrypted=True, volume_type="gp3"),
        tags=tags,
        opts=pulumi.ResourceOptions.merge(
            child,
            pulumi.ResourceOptions(
                depends_on=[*after, rule, way_out],
                # A newer image of the day must not cut everybody off.
                ignore_changes=[] if settings.image else ["ami"],
            ),
        ),
    )
