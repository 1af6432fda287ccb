"""The types in front of AWS's API: what a create leaves, what a change does, how a delete goes."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import boto3
import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2, status_pb2

from sandbox.provider.resources import TYPES
from sandbox.provider.wire import UNKNOWN, Props, decode, encode
from tests.sandbox.provider.driver import (
    ASSOCIATION,
    DEFAULT_SECURITY_GROUP,
    EGRESS_RULE,
    EIP,
    FLOW_LOG,
    GROUP,
    INGRESS_RULE,
    LISTENER,
    LOG_GROUP,
    MANAGED_POLICY,
    NAT_GATEWAY,
    PARAMETER,
    ROLE,
    ROUTE,
    ROUTE_TABLE,
    SECURITY_GROUP,
    TARGET_GROUP,
    VALIDATION,
    VERSIONING,
    VPC,
    VPC_ENDPOINT,
    Driver,
    Resource,
    Stack,
)

SOME, NONE = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
TERRAFORM = "https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/"
ABSENT_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/gone/0123456789abcdef"


def given(resource: Resource) -> Props:
    """The inputs as the program gave them."""
    return {name: value for name, value in resource.inputs.items() if name not in resource.inputs["__defaults"]}


def details(error: grpc.RpcError) -> Any:
    metadata = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    return failed


def test_every_type_lives_its_whole_life(network: Stack, calls: list[str]) -> None:
    made = network.everything()
    assert {resource.token for resource in made} == set(TYPES)
    for resource in made:
        outputs = {name for name, spec in TYPES[resource.token].properties.items() if spec.output}
        missing = outputs - set(resource.state) - {"associationId", "privateIp"}  # of an address in no use
        missing -= {"publicDns", "publicIp"} if resource.name == "member" else set()
        assert not missing, resource.token

    for resource in made:
        again = network.driver.read(resource)
        assert again is not None, resource.token
        if resource.token not in (EIP, TARGET_GROUP, MANAGED_POLICY):  # these learn later who uses them
            assert again.state == resource.state, resource.token
        assert again.inputs == resource.inputs, resource.token

    calls.clear()
    for resource in made:
        answer = network.driver.diff(resource, **given(resource))
        assert answer.changes == NONE, (resource.token, answer.diffs)
    assert calls == [], "neither Check nor Diff asks AWS"

    for resource in reversed(made):
        network.driver.delete(resource)
        # The default group goes with its VPC; of a validation nothing is left to be seen: the certificate stays issued.
        # A bucket that had versions is never without, only suspended.
        is_left = resource.token in (DEFAULT_SECURITY_GROUP, VALIDATION, VERSIONING)
        assert is_left or network.driver.read(resource) is None, resource.token
        network.driver.delete(resource)


def test_a_create_takes_few_calls(network: Stack, calls: list[str]) -> None:
    def count(act: Any) -> int:
        calls.clear()
        act()
        return len(calls)

    balancer, group = network.load_balancer(), network.target_group()
    assert count(lambda: network.target_group("other")) == 5  # is the name free, create, attributes, two reads
    assert count(lambda: network.listener(balancer, group)) == 2
    assert count(lambda: network.launch_template()) == 3
    template = network.driver.made[-1]
    assert count(lambda: network.driver.create(GROUP, "web", **network.group_inputs(template, group))) == 2


class TestDiff:
    @pytest.mark.parametrize(
        ("change", "path", "kind"),
        [
            ({"port": 8081}, "port", "UPDATE_REPLACE"),
            ({"name": "fixed"}, "name", "UPDATE_REPLACE"),
            ({"deregistrationDelay": 10}, "deregistrationDelay", "UPDATE"),
            ({"healthCheck": {"interval": 10, "path": "/health"}}, "healthCheck.interval", "UPDATE"),
            ({"tags": {"a": "1"}}, "tags", "ADD"),
            ({"stickiness": {"type": "lb_cookie", "enabled": True}}, "stickiness.enabled", "UPDATE"),
            ({"vpcId": UNKNOWN}, "vpcId", "UPDATE_REPLACE"),
        ],
    )
    def test_a_target_group_s_change_is_named_with_what_it_takes(
        self, network: Stack, change: Props, path: str, kind: str
    ) -> None:
        group = network.target_group()
        answer = network.driver.diff(group, **given(group) | change)
        assert answer.changes == SOME
        assert provider_pb2.PropertyDiff.Kind.Name(answer.detailedDiff[path].kind) == kind
        assert list(answer.replaces) == ([path] if kind == "UPDATE_REPLACE" else [])

    def test_the_order_of_a_set_is_no_change_and_that_of_a_list_is(self, network: Stack) -> None:
        balancer = network.load_balancer()
        turned = given(balancer) | {"subnets": network.subnet_ids[::-1]}
        assert network.driver.diff(balancer, **turned).changes == NONE
        less = given(balancer) | {"subnets": network.subnet_ids[:1]}
        assert dict(network.driver.diff(balancer, **less).detailedDiff).keys() == {"subnets[1]"}

    def test_an_ignored_property_is_no_change(self, network: Stack) -> None:
        group = network.driver.create(GROUP, "web", **network.group_inputs(network.launch_template()))
        answer = network.driver.diff(group, ("desiredCapacity",), **given(group) | {"desiredCapacity": 3})
        assert answer.changes == NONE

    def test_tags_that_somebody_took_away_are_a_change_after_a_refresh(self, network: Stack) -> None:
        boto3.client("ec2").delete_tags(Resources=[network.vpc.identifier], Tags=[{"Key": "Name"}])
        refreshed = network.driver.read(network.vpc)
        assert refreshed is not None
        assert list(network.driver.diff(refreshed, **given(network.vpc)).diffs) == ["tags"]


class TestPreview:
    def test_a_create_knows_its_inputs_and_not_what_aws_will_say(self, driver: Driver, calls: list[str]) -> None:
        planned = driver.preview_create(TARGET_GROUP, "web", port=8080, protocol="HTTP", vpcId=UNKNOWN)
        assert planned["port"] == 8080
        assert planned["deregistrationDelay"] == 300
        assert {planned[name] for name in ("id", "arn", "arnSuffix", "vpcId")} == {UNKNOWN}
        assert "__defaults" not in planned
        assert calls == []

    def test_an_update_of_a_launch_template_makes_its_version_unknown(self, network: Stack) -> None:
        template = network.launch_template()
        planned = network.driver.preview_update(template, **given(template) | {"instanceType": "t3.large"})
        assert planned["latestVersion"] is UNKNOWN
        assert planned["arn"] == template.state["arn"]
        unchanged = network.driver.preview_update(template, **given(template))
        assert unchanged["latestVersion"] == 1


class TestUpdate:
    def test_tags_change_in_place(self, network: Stack) -> None:
        updated = network.driver.update(network.vpc, **given(network.vpc) | {"tags": {"Team": "web"}})
        assert updated.state["tags"] == updated.state["tagsAll"] == {"Team": "web"}
        assert network.driver.read(updated).state == updated.state  # type: ignore[union-attr]

    def test_tags_of_a_load_balancer_change_in_place(self, network: Stack) -> None:
        group = network.target_group(tags={"a": "1", "b": "2"})
        updated = network.driver.update(group, **given(group) | {"tags": {"b": "3"}})
        assert network.driver.read(updated).state["tags"] == {"b": "3"}  # type: ignore[union-attr]

    def test_a_listener_s_traffic_moves_in_one_call(self, network: Stack, calls: list[str]) -> None:
        balancer, old, new = network.load_balancer(), network.target_group("old"), network.target_group("new")
        listener = network.listener(balancer, old)
        calls.clear()
        weights = {"targetGroups": [{"arn": old.identifier, "weight": 0}, {"arn": new.identifier, "weight": 100}]}
        moved = network.driver.update(
            listener, **given(listener) | {"defaultActions": [{"type": "forward", "forward": weights}]}
        )
        assert calls == ["ModifyListener", "DescribeListeners"]
        (action,) = boto3.client("elbv2").describe_listeners(ListenerArns=[listener.identifier])["Listeners"][0][
            "DefaultActions"
        ]
        assert {g["TargetGroupArn"]: g["Weight"] for g in action["ForwardConfig"]["TargetGroups"]} == {
            old.identifier: 0,
            new.identifier: 100,
        }
        assert network.driver.diff(moved, **given(moved)).changes == NONE

    def test_a_launch_template_gets_a_version_and_keeps_its_default(self, network: Stack) -> None:
        template = network.launch_template()
        second = network.driver.update(template, **given(template) | {"instanceType": "t3.large"})
        assert (second.state["latestVersion"], second.state["defaultVersion"]) == (2, 1)
        third = network.driver.update(second, **given(second) | {"imageId": "ami-2", "updateDefaultVersion": True})
        assert (third.state["latestVersion"], third.state["defaultVersion"]) == (3, 3)

    def test_a_group_s_live_capacity_is_left_alone_when_something_else_changes(self, network: Stack) -> None:
        group = network.driver.create(GROUP, "web", **network.group_inputs(network.launch_template()))
        scaling = boto3.client("autoscaling")
        scaling.set_desired_capacity(AutoScalingGroupName=group.identifier, DesiredCapacity=3)
        network.driver.update(group, **given(group) | {"healthCheckGracePeriod": 60})
        (live,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group.identifier])["AutoScalingGroups"]
        assert (live["DesiredCapacity"], live["HealthCheckGracePeriod"]) == (3, 60)

    def test_a_subnet_moves_to_another_route_table_and_can_still_be_freed(self, network: Stack) -> None:
        driver, vpc = network.driver, network.vpc.identifier
        one, two = (driver.create(ROUTE_TABLE, name, vpcId=vpc) for name in ("one", "two"))
        held = driver.create(ASSOCIATION, "a", routeTableId=one.identifier, subnetId=network.subnet_ids[0])
        moved = driver.update(held, routeTableId=two.identifier, subnetId=network.subnet_ids[0])
        assert driver.read(moved).state["routeTableId"] == two.identifier  # type: ignore[union-attr]
        driver.delete(moved)
        assert driver.read(moved) is None

    def test_a_rule_changes_its_port_in_place(self, network: Stack) -> None:
        rule = {"securityGroupId": network.group.identifier, "ipProtocol": "tcp", "cidrIpv4": "0.0.0.0/0"}
        made = network.driver.create(INGRESS_RULE, "in", fromPort=80, toPort=80, **rule)
        moved = network.driver.update(made, fromPort=81, toPort=81, **rule)
        assert network.driver.read(moved).state["toPort"] == 81  # type: ignore[union-attr]

    def test_an_alarm_s_threshold_changes_in_place_and_its_tags_apart_from_it(
        self, network: Stack, calls: list[str]
    ) -> None:
        alarm = network.alarm(tags={"Name": "slow"})
        calls.clear()
        higher = network.driver.update(alarm, **given(alarm) | {"threshold": 2})
        assert calls == ["PutMetricAlarm", "DescribeAlarms"]
        tagged = network.driver.update(higher, **given(higher) | {"tags": {"Team": "web"}})
        assert "PutMetricAlarm" not in calls[2:]
        live = network.driver.read(tagged)
        assert live is not None
        assert (live.state["threshold"], live.state["tags"]) == (2, {"Team": "web"})

    def test_an_alarm_on_an_expression_is_read_back_as_it_was_given(self, network: Stack) -> None:
        metric = {
            "metricName": "HTTPCode_Target_5XX_Count",
            "namespace": "AWS/ApplicationELB",
            "period": 60,
            "stat": "Sum",
            "dimensions": {"LoadBalancer": "app/web/1"},
        }
        queries = [
            {"id": "errors", "metric": metric},
            {"id": "filled", "expression": "FILL(errors, 0)", "label": "errors", "returnData": True},
        ]
        single = dict.fromkeys(("metricName", "namespace", "period", "extendedStatistic", "dimensions"))
        alarm = network.alarm("errors", **single, metricQueries=queries)
        live = network.driver.read(alarm)
        assert live is not None
        assert live.state == alarm.state
        assert [query["returnData"] for query in live.state["metricQueries"]] == [False, True]
        assert network.driver.diff(live, **given(alarm)).changes == NONE
        other = [queries[0], {**queries[1], "expression": "FILL(errors, 1)"}]
        changed = network.driver.diff(live, **given(alarm) | {"metricQueries": other})
        assert (list(changed.diffs), list(changed.replaces)) == (["metricQueries"], [])

    def test_a_parameter_s_value_changes_in_place_and_its_tags_apart_from_it(
        self, network: Stack, calls: list[str]
    ) -> None:
        parameter = network.parameter(tags={"Name": "image"})
        calls.clear()
        later = network.driver.update(parameter, **given(parameter) | {"insecureValue": "ami-2"})
        assert calls == ["PutParameter", "GetParameter", "DescribeParameters"]
        tagged = network.driver.update(later, **given(later) | {"tags": {"Team": "web"}})
        assert "PutParameter" not in calls[3:]
        live = network.driver.read(tagged)
        assert live is not None
        assert (live.state["insecureValue"], live.state["tags"]) == ("ami-2", {"Team": "web"})
        assert (parameter.state["version"], live.state["version"]) == (1, 2)

    def test_a_parameter_that_is_there_already_is_taken_over_only_where_that_is_said(self, network: Stack) -> None:
        boto3.client("ssm").put_parameter(Name="/bluegreen/shop/dev/web/image", Type="String", Value="leftover")
        with pytest.raises(grpc.RpcError, match=r"creating SSM Parameter .*ParameterAlreadyExists"):
            network.parameter(tags={"Name": "image"})
        taken = network.parameter(overwrite=True, tags={"Name": "image"})
        live = network.driver.read(taken)
        assert live is not None
        assert (live.state["insecureValue"], live.state["tags"]) == ("ami-1", {"Name": "image"})
        assert network.driver.diff(live, **given(taken)).changes == NONE

    def test_another_name_is_another_parameter(self, network: Stack) -> None:
        parameter = network.parameter()
        moved = network.driver.diff(parameter, **given(parameter) | {"name": "/bluegreen/shop/dev/web/ami"})
        assert list(moved.replaces) == ["name"]

    @pytest.mark.parametrize("name", ["/ssm/image", "aws-image", "/a b", "/a//b"])
    def test_a_parameter_s_name_is_checked_before_anything_is_made(self, driver: Driver, name: str) -> None:
        assert "name" in driver.failures(PARAMETER, {"name": name, "type": "String", "insecureValue": "1"})

    def test_a_load_balancer_is_protected_against_deletion_and_no_more(self, network: Stack) -> None:
        balancer = network.load_balancer(enableDeletionProtection=True)
        assert balancer.state["enableDeletionProtection"] is True
        bare = network.driver.update(balancer, **given(balancer) | {"enableDeletionProtection": False})
        network.driver.delete(bare)
        assert network.driver.read(bare) is None

    @pytest.mark.documented("a new security group lets nothing out", f"{TERRAFORM}ec2/vpc_security_group.go")
    def test_a_new_security_group_lets_nothing_out(self, network: Stack) -> None:
        (group,) = boto3.client("ec2").describe_security_groups(GroupIds=[network.group.identifier])["SecurityGroups"]
        assert group["IpPermissionsEgress"] == []

    def test_a_new_security_group_lets_nothing_out_by_ipv6_either(self, network: Stack) -> None:
        network.driver.update(network.vpc, **given(network.vpc) | {"assignGeneratedIpv6CidrBlock": True})
        made = network.driver.create(SECURITY_GROUP, "later", vpcId=network.vpc.identifier, description="Later")
        (group,) = boto3.client("ec2").describe_security_groups(GroupIds=[made.identifier])["SecurityGroups"]
        assert group["IpPermissionsEgress"] == []

    @pytest.mark.documented("a default security group loses its rules", f"{TERRAFORM}ec2/vpc_default_security_group.go")
    def test_a_default_security_group_loses_its_rules_for_good(self, network: Stack) -> None:
        group = network.driver.create(DEFAULT_SECURITY_GROUP, "default", vpcId=network.vpc.identifier)
        network.driver.delete(group)
        (found,) = boto3.client("ec2").describe_security_groups(GroupIds=[group.identifier])["SecurityGroups"]
        assert (found["GroupName"], found["IpPermissions"], found["IpPermissionsEgress"]) == ("default", [], [])

    def test_an_endpoint_gains_and_loses_route_tables_in_place(self, network: Stack) -> None:
        one, other = (network.driver.create(ROUTE_TABLE, name, vpcId=network.vpc.identifier) for name in "ab")
        inputs = {"vpcId": network.vpc.identifier, "serviceName": "com.amazonaws.us-east-1.s3"}
        endpoint = network.driver.create(VPC_ENDPOINT, "s3", **inputs, routeTableIds=[one.identifier])
        assert endpoint.state["prefixListId"].startswith("pl-")
        changed = network.driver.update(endpoint, **inputs, routeTableIds=[other.identifier])
        assert changed.state["routeTableIds"] == [other.identifier]
        answer = network.driver.diff(endpoint, **inputs, routeTableIds=[one.identifier], privateDnsEnabled=True)
        assert list(answer.replaces) == ["privateDnsEnabled"], "only an interface can change it"

    def test_a_route_changes_its_target_in_place_to_an_interface_and_back(self, network: Stack) -> None:
        ec2 = boto3.client("ec2")
        interface = ec2.create_network_interface(SubnetId=network.subnet_ids[0])["NetworkInterface"]
        table = network.driver.create(ROUTE_TABLE, "private", vpcId=network.vpc.identifier).identifier
        gateway = network.driver.create(NAT_GATEWAY, "nat", subnetId=network.subnet_ids[0], connectivityType="private")
        by_gateway = {"routeTableId": table, "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": gateway.identifier}
        by_interface = {
            "routeTableId": table,
            "destinationCidrBlock": "0.0.0.0/0",
            "networkInterfaceId": interface["NetworkInterfaceId"],
        }
        route = network.driver.create(ROUTE, "out", **by_gateway)
        assert not network.driver.diff(route, **by_interface).replaces
        changed = network.driver.update(route, **by_interface)
        assert changed.state["networkInterfaceId"] == interface["NetworkInterfaceId"]
        back = network.driver.update(changed, **by_gateway)
        assert back.state["natGatewayId"] == gateway.identifier

    @pytest.mark.documented(
        "a VPC's block of IPv6 is not known before it is there, nor after a change of mind",
        f"{TERRAFORM}ec2/vpc_.go",
    )
    def test_a_vpc_gains_and_loses_ipv6_in_place(self, network: Stack) -> None:
        wanted = given(network.vpc) | {"assignGeneratedIpv6CidrBlock": True}
        planned = network.driver.preview_update(network.vpc, **wanted)
        assert planned["ipv6CidrBlock"] is UNKNOWN
        changed = network.driver.update(network.vpc, **wanted)
        assert changed.state["ipv6CidrBlock"].endswith("/56")
        assert not network.driver.diff(network.vpc, **wanted).replaces
        back = network.driver.update(changed, **given(network.vpc))
        assert back.state["ipv6CidrBlock"] == ""

    @pytest.mark.documented(
        "a subnet that gives its interfaces IPv6 addresses is replaced for another block, another one is not",
        f"{TERRAFORM}ec2/vpc_subnet.go",
    )
    def test_a_subnet_s_block_of_ipv6(self, network: Stack) -> None:
        subnet = network.subnets[0]
        inputs = given(subnet) | {"ipv6CidrBlock": "2600:1f18::/64"}
        assert not network.driver.diff(subnet, **inputs).replaces
        subnet.state["assignIpv6AddressOnCreation"] = True
        assert list(network.driver.diff(subnet, **inputs).replaces) == ["ipv6CidrBlock"]

    def test_a_volume_grows_in_place(self, network: Stack) -> None:
        _, volume, _, _ = network.member(boto3.client("ec2").register_image(Name="base")["ImageId"])
        grown = network.driver.update(volume, **{**given(volume), "size": 20, "throughput": 250})
        assert (grown.state["size"], grown.state["throughput"]) == (20, 250)
        assert grown.identifier == volume.identifier

    def test_a_network_interface_keeps_its_primary_address_or_is_another(self, network: Stack) -> None:
        interface, *_ = network.member(boto3.client("ec2").register_image(Name="base")["ImageId"])
        more, other = (
            network.driver.diff(interface, **{**given(interface), "privateIps": addresses})
            for addresses in (["10.0.0.20", "10.0.0.21"], ["10.0.0.21"])
        )
        assert not more.replaces
        assert set(other.replaces) == {"privateIps"}

    def test_a_machine_that_is_to_be_detached_from_is_stopped_first(self, network: Stack, calls: list[str]) -> None:
        *_, attachment = network.member(boto3.client("ec2").register_image(Name="base")["ImageId"])
        calls.clear()
        network.driver.delete(attachment)
        writes = [call for call in calls if not call.startswith("Describe")]
        assert writes == ["StopInstances", "DetachVolume"]

    def test_a_policy_that_means_the_same_is_no_change(self, network: Stack) -> None:
        written = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = network.driver.create(ROLE, "flow", assumeRolePolicy=written)
        same = json.dumps({"Statement": [], "Version": "2012-10-17"}, indent=2)
        assert network.driver.diff(role, assumeRolePolicy=same).changes == NONE
        assert "assumeRolePolicy" in network.driver.failures(ROLE, {"assumeRolePolicy": "{"})

    def test_a_log_group_keeps_its_logs_for_a_time_that_there_is(self, driver: Driver) -> None:
        group = driver.create(LOG_GROUP, "flow", retentionInDays=14)
        changed = driver.update(group, retentionInDays=30)
        assert changed.state["retentionInDays"] == 30
        assert driver.update(changed).state["retentionInDays"] == 0
        assert "retentionInDays" in driver.failures(LOG_GROUP, {"retentionInDays": 31})

    def test_a_flow_log_to_a_bucket_that_is_not_there_is_told(self, network: Stack) -> None:
        inputs = {"vpcId": network.vpc.identifier, "trafficType": "ALL", "logDestinationType": "s3"}
        with pytest.raises(grpc.RpcError, match=r"creating Flow Log \(vpc-.*LogDestination: gone does not exist"):
            network.driver.create(FLOW_LOG, "flow", **inputs, logDestination="arn:aws:s3:::gone")


class TestDelete:
    @pytest.mark.documented("a group to be forced goes at once, with its instances", f"{TERRAFORM}autoscaling/group.go")
    def test_a_group_to_be_forced_goes_at_once(self, network: Stack, calls: list[str]) -> None:
        inputs = network.group_inputs(network.launch_template(), forceDelete=True)
        group = network.driver.create(GROUP, "web", **inputs)
        calls.clear()
        network.driver.delete(group)
        assert "UpdateAutoScalingGroup" not in calls

    @pytest.mark.documented("a target group waits until no listener names it", f"{TERRAFORM}elbv2/target_group.go")
    def test_a_target_group_waits_until_no_listener_names_it(self, network: Stack) -> None:
        balancer, group = network.load_balancer(), network.target_group()
        listener = network.listener(balancer, group)
        freed = threading.Timer(0.3, lambda: network.driver.delete(listener))
        freed.start()
        network.driver.delete(group)
        freed.join()
        assert network.driver.read(group) is None

    def test_a_target_group_in_use_says_so_when_the_time_is_over(self, network: Stack) -> None:
        balancer, group = network.load_balancer(), network.target_group()
        network.listener(balancer, group)
        with pytest.raises(grpc.RpcError, match=r"(?s)deleting ELBv2 Target Group.*DeleteTargetGroup.*ResourceInUse"):
            network.driver.delete(group, timeout=0.2)

    def test_a_vpc_in_use_names_the_dependency(self, network: Stack) -> None:
        with pytest.raises(grpc.RpcError, match=r"(?s)deleting EC2 VPC.*api error DependencyViolation"):
            network.driver.delete(network.vpc, timeout=0.2)

    def test_a_nat_gateway_is_gone_before_its_address_is_released(self, network: Stack) -> None:
        address = network.driver.create(EIP, "nat", domain="vpc")
        gateway = network.driver.create(
            NAT_GATEWAY, "nat", allocationId=address.identifier, subnetId=network.subnet_ids[0]
        )
        network.driver.delete(gateway)
        network.driver.delete(address)
        assert boto3.client("ec2").describe_addresses()["Addresses"] == []


class TestFailure:
    def test_an_error_of_aws_is_told_as_the_real_provider_tells_it(self, network: Stack) -> None:
        balancer = network.load_balancer()
        forward = {"type": "forward", "targetGroupArn": ABSENT_ARN}
        with pytest.raises(grpc.RpcError) as caught:
            network.driver.create(
                LISTENER, "web", loadBalancerArn=balancer.identifier, port=80, defaultActions=[forward]
            )
        message = caught.value.details()
        assert message.startswith(
            "1 error occurred:\n\t* "
            f"creating ELBv2 Listener ({balancer.identifier}): operation error Elastic Load Balancing v2: "
            "CreateListener, https response error StatusCode: 400, RequestID: "
        )
        assert ", TargetGroupNotFound: " in message

    def test_a_group_that_never_has_its_instances_stays_in_the_state(
        self, network: Stack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inputs = network.group_inputs(network.launch_template(), waitForCapacityTimeout="200ms", minElbCapacity=3)
        with pytest.raises(grpc.RpcError) as caught:
            network.driver.create(GROUP, "web", **inputs)
        failed = details(caught.value)
        assert "want at least 3 healthy instance(s) registered to Load Balancer, have 2" in failed.reasons[0]
        assert decode(failed.properties)["minSize"] == 1
        live = boto3.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        assert [group["AutoScalingGroupName"] for group in live] == [failed.id]

    def test_cancel_ends_a_wait(self, stub: Any) -> None:
        stub.Configure(provider_pb2.ConfigureRequest(args=encode({"region": "us-east-1"})))
        network = Stack.network(Driver(stub))
        cancel = threading.Timer(0.2, stub.Cancel, args=(Empty(),))
        cancel.start()
        start = time.monotonic()
        with pytest.raises(grpc.RpcError, match="cancelled by the engine"):
            network.driver.delete(network.vpc)  # its subnets are still there
        assert time.monotonic() - start < 10
        cancel.join()

    def test_an_unknown_type_is_named(self, driver: Driver) -> None:
        with pytest.raises(grpc.RpcError, match=r"no resource type aws:rds/instance:Instance"):
            driver.check("aws:rds/instance:Instance", "b", {})

    def test_an_unknown_function_is_named(self, driver: Driver) -> None:
        with pytest.raises(grpc.RpcError, match=r"no function aws:ec2/getAmi:getAmi"):
            driver.invoke("aws:ec2/getAmi:getAmi")

    def test_another_region_than_the_provider_s_is_refused(self, driver: Driver) -> None:
        found = driver.failures(VPC, {"cidrBlock": "10.0.0.0/16", "region": "eu-west-1"})
        assert "only the provider's region us-east-1" in found["region"]


class TestRead:
    def test_without_inputs_it_gives_those_that_an_import_needs(self, network: Stack) -> None:
        bare = Resource(VPC, "net", network.vpc.identifier, {}, {})
        found = network.driver.read(bare)
        assert found is not None
        assert found.inputs == {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True, "tags": {"Name": "net"}}

    def test_drift_shows_in_the_inputs(self, network: Stack) -> None:
        group = network.driver.create(GROUP, "web", **network.group_inputs(network.launch_template()))
        boto3.client("autoscaling").set_desired_capacity(AutoScalingGroupName=group.identifier, DesiredCapacity=3)
        found = network.driver.read(group)
        assert found is not None
        assert (found.inputs["desiredCapacity"], found.state["desiredCapacity"]) == (3, 3)

    def test_a_route_whose_table_is_gone_is_gone(self, network: Stack) -> None:
        table = network.driver.create(ROUTE_TABLE, "t", vpcId=network.vpc.identifier)
        known = {"routeTableId": table.identifier, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}
        network.driver.delete(table)
        assert network.driver.read(Resource(ROUTE, "r", "r-1", {}, known)) is None

    def test_all_protocols_have_no_ports(self, network: Stack) -> None:
        rule = {"securityGroupId": network.group.identifier, "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}
        made = network.driver.create(EGRESS_RULE, "out", **rule)
        assert not {"fromPort", "toPort"} & set(made.state)


class TestInvoke:
    def test_zones_are_sorted_and_can_be_left_out(self, driver: Driver) -> None:
        found = driver.invoke(
            "aws:index/getAvailabilityZones:getAvailabilityZones", state="available", excludeNames=["us-east-1a"]
        )
        assert found["names"] == sorted(found["names"])
        assert "us-east-1a" not in found["names"]
        assert (found["id"], len(found["zoneIds"])) == ("us-east-1", len(found["names"]))

    def test_the_region_is_known_without_asking(self, driver: Driver, calls: list[str]) -> None:
        found = driver.invoke("aws:index/getRegion:getRegion")
        assert (found["region"], found["description"]) == ("us-east-1", "US East (N. Virginia)")
        assert calls == []

    def test_the_caller_is_the_account(self, driver: Driver) -> None:
        assert driver.invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == "123456789012"


class TestConfiguration:
    def test_an_unsupported_setting_is_refused_by_name(self, stub: Any) -> None:
        news = encode({"region": "us-east-1", "defaultTags": '{"tags":{"a":"b"}}'})
        answer = stub.CheckConfig(provider_pb2.CheckRequest(news=news))
        assert [failure.property for failure in answer.failures] == ["defaultTags"]

    def test_a_role_leads_to_its_account(self, stub: Any) -> None:
        roles = json.dumps([{"roleArn": "arn:aws:iam::222222222222:role/deployer", "sessionName": "test"}])
        args = encode({"region": "us-east-1", "assumeRoles": roles})
        stub.Configure(provider_pb2.ConfigureRequest(args=args))
        asked = provider_pb2.InvokeRequest(tok="aws:index/getCallerIdentity:getCallerIdentity")
        assert decode(getattr(stub.Invoke(asked), "return"))["accountId"] == "222222222222"

    def test_a_missing_region_is_an_error_with_a_way_out(self, stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_REGION")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        with pytest.raises(grpc.RpcError, match="pulumi config set aws:region"):
            stub.Configure(provider_pb2.ConfigureRequest(args=encode({})))

    def test_another_region_replaces_the_provider(self, stub: Any) -> None:
        olds, news = encode({"region": "us-east-1"}), encode({"region": "eu-west-1"})
        answer = stub.DiffConfig(provider_pb2.DiffRequest(olds=olds, news=news))
        assert list(answer.replaces) == ["region"]

    def test_configuring_calls_nothing(self, stub: Any, calls: list[str]) -> None:
        stub.Configure(provider_pb2.ConfigureRequest(args=encode({"region": "us-east-1"})))
        assert calls == []
