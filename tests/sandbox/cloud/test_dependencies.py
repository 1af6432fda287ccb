"""Order: what a request may name, and what can't go while something hangs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.world import Aws, eventually

EC2 = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
ELB = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference"
SCALING = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference"
NOWHERE = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
NO_LISTENER = f"{NOWHERE}:listener/app/l/0/0"


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def code(call: Callable[..., Any], **arguments: Any) -> str:
    return refusal(call, **arguments)[0]


def forward(group: str) -> list[dict[str, Any]]:
    return [{"Type": "forward", "TargetGroupArn": group}]


def rule(aws: Aws, listener: str, group: str, priority: int = 1) -> str:
    conditions = [{"Field": "path-pattern", "Values": ["/x"]}]
    made = aws.elb.create_rule(ListenerArn=listener, Priority=priority, Conditions=conditions, Actions=forward(group))
    return str(made["Rules"][0]["RuleArn"])


@pytest.mark.documented(
    "a target group that a listener or a rule names is not deleted", f"{ELB}/API_DeleteTargetGroup.html"
)
def test_a_target_group_in_use_stays(aws: Aws) -> None:
    first, second = aws.target_group(), aws.target_group()
    listener = aws.listener(aws.balancer(), first)
    made = rule(aws, listener, second)
    for group in (first, second):
        assert refusal(aws.elb.delete_target_group, TargetGroupArn=group) == (
            "ResourceInUse",
            f"The target group '{group}' is currently in use by a listener or a rule",
        )
    aws.elb.delete_rule(RuleArn=made)
    aws.elb.delete_target_group(TargetGroupArn=second)


@pytest.mark.documented("a target group belongs to one load balancer", f"{ELB}/API_ModifyListener.html")
def test_a_target_group_of_another_load_balancer_is_refused(aws: Aws) -> None:
    theirs, ours = aws.target_group(), aws.target_group()
    aws.listener(aws.balancer(), theirs)
    balancer = aws.balancer()
    listener = aws.listener(balancer, ours)
    made = rule(aws, listener, ours)
    limit = "TargetGroupAssociationLimit"
    assert refusal(aws.elb.modify_listener, ListenerArn=listener, DefaultActions=forward(theirs)) == (
        limit,
        f"The following target groups cannot be associated with more than one load balancer: {theirs}",
    )
    new = {"LoadBalancerArn": balancer, "Protocol": "HTTP", "Port": 81, "DefaultActions": forward(theirs)}
    assert code(aws.elb.create_listener, **new) == limit
    assert code(aws.elb.modify_rule, RuleArn=made, Actions=forward(theirs)) == limit
    assert code(lambda: rule(aws, listener, theirs, 2)) == limit
    aws.elb.modify_listener(ListenerArn=listener, DefaultActions=forward(ours))  # its own is no other's


@pytest.mark.documented("a listener's port is its own", f"{ELB}/API_CreateListener.html")
def test_a_second_listener_of_a_port_is_refused(aws: Aws) -> None:
    balancer, group = aws.balancer(), aws.target_group()
    aws.listener(balancer, group)
    assert code(lambda: aws.listener(balancer, group)) == "DuplicateListener"


@pytest.mark.documented("a rule's priority is its own", f"{ELB}/API_CreateRule.html")
def test_a_second_rule_of_a_priority_is_refused(aws: Aws) -> None:
    group = aws.target_group()
    listener = aws.listener(aws.balancer(), group)
    rule(aws, listener, group)
    assert code(lambda: rule(aws, listener, group)) == "PriorityInUse"


def missing(action: str, call: str, expected: str, **named: Any) -> Any:
    mark = pytest.mark.documented(f"{action} of what is not there: {expected}", f"{ELB}/API_{action}.html")
    return pytest.param(call, named, expected, marks=mark)


@pytest.mark.parametrize(
    ("call", "named", "expected"),
    [
        missing("DescribeListeners", "describe_listeners", "ListenerNotFound", ListenerArns=[NO_LISTENER]),
        missing("DeleteListener", "delete_listener", "ListenerNotFound", ListenerArn=NO_LISTENER),
        missing("DescribeRules", "describe_rules", "ListenerNotFound", ListenerArn=NO_LISTENER),
        missing("DeleteRule", "delete_rule", "RuleNotFound", RuleArn=f"{NOWHERE}:listener-rule/app/l/0/0/0"),
        missing(
            "DescribeLoadBalancers",
            "describe_load_balancers",
            "LoadBalancerNotFound",
            LoadBalancerArns=[f"{NOWHERE}:loadbalancer/app/l/0"],
        ),
        missing(
            "DescribeTargetHealth",
            "describe_target_health",
            "TargetGroupNotFound",
            TargetGroupArn=f"{NOWHERE}:targetgroup/t/0",
        ),
    ],
)
def test_what_is_not_there_is_called_by_its_name(aws: Aws, call: str, named: dict[str, Any], expected: str) -> None:
    assert code(getattr(aws.elb, call), **named) == expected


def test_a_listener_is_not_moved_to_a_target_group_that_is_not_there(aws: Aws) -> None:
    listener = aws.listener(aws.balancer(), aws.target_group())
    nowhere = forward(f"{NOWHERE}:targetgroup/t/0")
    assert code(aws.elb.modify_listener, ListenerArn=listener, DefaultActions=nowhere) == "TargetGroupNotFound"


@pytest.mark.documented("a target has to be an instance that runs", f"{ELB}/API_RegisterTargets.html")
def test_an_instance_that_is_not_there_is_no_target(aws: Aws) -> None:
    found = refusal(aws.elb.register_targets, TargetGroupArn=aws.target_group(), Targets=[{"Id": "i-0123"}])
    assert found == (
        "InvalidTarget",
        "The following targets are not in a running state and cannot be registered: 'i-0123'",
    )


@pytest.mark.documented("an Application Load Balancer is in two zones", f"{ELB}/API_CreateLoadBalancer.html")
def test_a_load_balancer_in_one_zone_is_refused(aws: Aws) -> None:
    found = refusal(aws.elb.create_load_balancer, Name="one", Subnets=aws.subnets[:1])
    assert found == ("ValidationError", "At least two subnets in two different Availability Zones must be specified")


@pytest.mark.documented("a subnet that is in use is not deleted", f"{EC2}/API_DeleteSubnet.html")
def test_a_subnet_in_use_stays(aws: Aws) -> None:
    balancer = aws.balancer()
    assert refusal(aws.ec2.delete_subnet, SubnetId=aws.subnets[0]) == (
        "DependencyViolation",
        f"The subnet '{aws.subnets[0]}' has dependencies and cannot be deleted.",
    )
    aws.elb.delete_load_balancer(LoadBalancerArn=balancer)
    aws.ec2.delete_subnet(SubnetId=aws.subnets[0])


@pytest.mark.documented(
    "an instance is in its subnet and its security groups until it is terminated", f"{EC2}/API_DeleteSecurityGroup.html"
)
def test_an_instance_holds_its_subnet_and_its_security_group(aws: Aws) -> None:
    group = aws.ec2.create_security_group(GroupName="held", Description="d", VpcId=aws.vpc)["GroupId"]
    other = aws.ec2.create_security_group(GroupName="other", Description="d", VpcId=aws.vpc)["GroupId"]
    source = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": group}]}
    aws.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[source])
    subnet = aws.subnets[1]
    given = {"ImageId": aws.image(), "InstanceType": "t3.small", "SubnetId": subnet, "SecurityGroupIds": [group]}
    made = aws.ec2.run_instances(**given, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    held = ("DependencyViolation", f"resource {group} has a dependent object")
    assert code(aws.ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    assert refusal(aws.ec2.delete_security_group, GroupId=group) == held
    aws.ec2.terminate_instances(InstanceIds=[made])
    assert code(aws.ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"  # it is on its way out
    eventually(lambda: made not in aws.machines())
    assert refusal(aws.ec2.delete_security_group, GroupId=group) == held  # by the other's rule
    aws.ec2.delete_security_group(GroupId=other)
    aws.ec2.delete_security_group(GroupId=group)
    aws.ec2.delete_subnet(SubnetId=subnet)


@pytest.mark.documented(
    "an internet gateway stays while the network has public addresses", f"{EC2}/API_DetachInternetGateway.html"
)
def test_an_internet_gateway_stays_while_a_load_balancer_faces_the_internet(aws: Aws) -> None:
    gateway = aws.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    pair = {"InternetGatewayId": gateway, "VpcId": aws.vpc}
    aws.ec2.attach_internet_gateway(**pair)
    balancer = aws.balancer()
    assert code(aws.ec2.delete_internet_gateway, InternetGatewayId=gateway) == "DependencyViolation"
    found = refusal(aws.ec2.detach_internet_gateway, **pair)
    assert found == (
        "DependencyViolation",
        f"Network {aws.vpc} has some mapped public address(es). Please unmap those public address(es) before detaching "
        "the gateway.",
    )
    aws.elb.delete_load_balancer(LoadBalancerArn=balancer)
    aws.ec2.detach_internet_gateway(**pair)


@pytest.mark.documented("a network with subnets is not deleted", f"{EC2}/API_DeleteVpc.html")
def test_a_network_with_subnets_stays(aws: Aws) -> None:
    assert code(aws.ec2.delete_vpc, VpcId=aws.vpc) == "DependencyViolation"


@pytest.mark.documented(
    "a launch template in use can be deleted, and instances go on", f"{EC2}/API_DeleteLaunchTemplate.html"
)
def test_a_launch_template_goes_whoever_uses_it(aws: Aws) -> None:
    template = aws.template(aws.image())
    name = aws.scaling_group(template, 1)
    eventually(lambda: aws.instances(name, "InService"))
    aws.ec2.delete_launch_template(LaunchTemplateId=template)
    assert code(aws.ec2.delete_launch_template, LaunchTemplateId=template) == "InvalidLaunchTemplateId.NotFound"
    assert len(aws.instances(name, "InService")) == 1


@pytest.mark.documented("an image in use can be deregistered, and instances go on", f"{EC2}/API_DeregisterImage.html")
def test_an_image_goes_whoever_uses_it(aws: Aws) -> None:
    image = aws.image()
    name = aws.scaling_group(aws.template(image), 1)
    eventually(lambda: aws.instances(name, "InService"))
    aws.ec2.deregister_image(ImageId=image)
    assert len(aws.instances(name, "InService")) == 1


@pytest.mark.documented("a scaling policy is of a group that is there", f"{SCALING}/API_PutScalingPolicy.html")
def test_a_policy_of_no_group_is_refused(aws: Aws) -> None:
    metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50}
    given = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration": metric}
    assert code(aws.autoscaling.put_scaling_policy, AutoScalingGroupName="nobody", **given) == "ValidationError"
