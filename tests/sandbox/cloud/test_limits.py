"""Sizes: what is too long, too many or too much is refused."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.world import Aws

EC2 = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
ELB = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference"
QUOTAS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"
TAGS = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html"
SCALING = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference"


@pytest.mark.documented("a load balancer's name has 32 characters at most", f"{ELB}/API_CreateLoadBalancer.html")
@pytest.mark.parametrize("name", ["x" * 33, "internal-x", "a_b", "-a", "a-"])
def test_names_of_load_balancers(aws: Aws, name: str) -> None:
    with pytest.raises(ClientError, match=f"The load balancer name '{name}' "):
        aws.elb.create_load_balancer(Name=name, Subnets=aws.subnets)


@pytest.mark.documented("a target group's name has 32 characters at most", f"{ELB}/API_CreateTargetGroup.html")
@pytest.mark.parametrize("name", ["x" * 33, "a_b", "-a", "a-"])
def test_names_of_target_groups(aws: Aws, name: str) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        aws.target_group(Name=name)


@pytest.mark.documented("a launch template's name has 3 to 128 characters", f"{EC2}/API_CreateLaunchTemplate.html")
@pytest.mark.parametrize("name", ["ab", "x" * 129, "a b c"])
def test_names_of_launch_templates(aws: Aws, name: str) -> None:
    with pytest.raises(ClientError, match="must be between 3 and 128 characters"):
        aws.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"ImageId": aws.image()})


@pytest.mark.documented(
    "a group's name has 255 characters at most, and no colon", f"{SCALING}/API_CreateAutoScalingGroup.html"
)
@pytest.mark.parametrize("name", ["x" * 256, "a:b"])
def test_names_of_groups(aws: Aws, name: str) -> None:
    with pytest.raises(ClientError, match="at 'autoScalingGroupName' failed to satisfy constraint"):
        aws.scaling_group(aws.template(aws.image()), 0, AutoScalingGroupName=name)


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        pytest.param(
            {"Key": "aws:x", "Value": "v"},
            "reserved for internal use",
            marks=pytest.mark.documented("tags that begin with aws: are AWS's", TAGS),
        ),
        pytest.param(
            {"Key": "k" * 129, "Value": "v"},
            "maximum length of 128",
            marks=pytest.mark.documented("a tag's key has 128 characters at most", TAGS),
        ),
        pytest.param(
            {"Key": "k", "Value": "v" * 257},
            "maximum length of 256",
            marks=pytest.mark.documented("a tag's value has 256 characters at most", TAGS),
        ),
    ],
)
def test_sizes_of_tags(aws: Aws, tag: dict[str, str], why: str) -> None:
    with pytest.raises(ClientError, match=why):
        aws.ec2.create_tags(Resources=[aws.vpc], Tags=[tag])


@pytest.mark.documented("a resource has 50 tags at most", f"{ELB}/API_AddTags.html")
def test_a_target_group_has_50_tags_at_most(aws: Aws) -> None:
    group = aws.target_group()
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
    with pytest.raises(ClientError, match="TooManyTags"):
        aws.elb.add_tags(ResourceArns=[group], Tags=tags)
    aws.elb.add_tags(ResourceArns=[group], Tags=tags[:50])
    aws.elb.add_tags(ResourceArns=[group], Tags=[{"Key": "k0", "Value": "other"}])
    with pytest.raises(ClientError, match="TooManyTags"):
        aws.elb.add_tags(ResourceArns=[group], Tags=tags[50:])


@pytest.mark.documented("an instance or another resource of EC2's has 50 tags at most", TAGS)
def test_a_network_has_50_tags_at_most(aws: Aws) -> None:
    with pytest.raises(ClientError, match="TagLimitExceeded"):
        aws.ec2.create_tags(Resources=[aws.vpc], Tags=[{"Key": f"k{number}", "Value": "v"} for number in range(51)])


@pytest.mark.documented("an action forwards to five target groups at most", QUOTAS)
def test_an_action_has_five_target_groups_at_most(aws: Aws) -> None:
    groups = [aws.target_group() for _ in range(6)]
    actions = [
        {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": it, "Weight": 1} for it in some]}}
        for some in (groups[:5], groups)
    ]
    listener = aws.listener(aws.balancer(), actions[0])
    with pytest.raises(ClientError, match="TooManyTargetGroups"):
        aws.elb.modify_listener(ListenerArn=listener, DefaultActions=[actions[1]])


@pytest.mark.documented("a weight is at most 999", f"{ELB}/API_TargetGroupTuple.html")
def test_a_weight_is_at_most_999(aws: Aws) -> None:
    group = aws.target_group()
    listener = aws.listener(aws.balancer(), group)
    config = {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1000}]}
    with pytest.raises(ClientError, match="Member must have value less than or equal to 999"):
        aws.elb.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "ForwardConfig": config}])


@pytest.mark.documented("a rule's priority is at most 50,000", f"{ELB}/API_CreateRule.html")
def test_a_priority_is_at_most_50000(aws: Aws) -> None:
    group = aws.target_group()
    with pytest.raises(ClientError, match="at 'priority' failed to satisfy constraint"):
        aws.elb.create_rule(
            ListenerArn=aws.listener(aws.balancer(), group),
            Priority=50_001,
            Conditions=[{"Field": "path-pattern", "Values": ["/x"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": group}],
        )


@pytest.mark.documented("thresholds of health checks are from 2 to 10", f"{ELB}/API_ModifyTargetGroup.html")
@pytest.mark.parametrize("count", [1, 11])
def test_thresholds_are_from_2_to_10(aws: Aws, count: int) -> None:
    with pytest.raises(ClientError, match="at 'healthyThresholdCount' failed to satisfy constraint"):
        aws.target_group(HealthyThresholdCount=count)
    with pytest.raises(ClientError, match="at 'unhealthyThresholdCount' failed to satisfy constraint"):
        aws.elb.modify_target_group(TargetGroupArn=aws.target_group(), UnhealthyThresholdCount=count)
