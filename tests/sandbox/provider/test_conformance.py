"""What the real provider does with each type: replacements, waits, deletes, imports and the words of its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
import grpc
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from sandbox.provider.resources import TYPES
from sandbox.provider.wire import UNKNOWN, Props
from tests.sandbox.provider.driver import (
    ASSOCIATION,
    EGRESS_RULE,
    EIP,
    GROUP,
    INGRESS_RULE,
    LAUNCH_TEMPLATE,
    LOAD_BALANCER,
    METRIC_ALARM,
    NAT_GATEWAY,
    OIDC_PROVIDER,
    PARAMETER,
    POLICY,
    ROUTE,
    ROUTE_TABLE,
    SCHEDULE,
    SECURITY_GROUP,
    SUBNET,
    TARGET_GROUP,
    VALIDATION,
    VOLUME_ATTACHMENT,
    VPC,
    Driver,
    Resource,
    Stack,
)

TERRAFORM: Final = "https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/"
GROUPS: Final = f"{TERRAFORM}autoscaling/group.go"
TEMPLATES: Final = f"{TERRAFORM}ec2/ec2_launch_template.go"
TARGET_GROUPS: Final = f"{TERRAFORM}elbv2/target_group.go"
documented = pytest.mark.documented


def given(resource: Resource) -> Props:
    return {name: value for name, value in resource.inputs.items() if name not in resource.inputs["__defaults"]}


class Api:
    """Answers of AWS's, in place of moto's: by operation, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.asked: dict[str, Any] = {}  # by operation, of the last call
        self._answers: dict[str, list[Any]] = {}
        original = BaseClient._make_api_call

        def answer(client: Any, operation: str, parameters: Any) -> Any:
            self.calls.append(operation)
            self.asked[operation] = parameters
            waiting = self._answers.get(operation)
            if not waiting:
                return original(client, operation, parameters)
            following = waiting.pop(0) if len(waiting) > 1 or waiting[0] is None else waiting[0]
            if following is None:
                return original(client, operation, parameters)
            if isinstance(following, str):
                code, _, message = following.partition(": ")
                said = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
                raise ClientError(said, operation)  # type: ignore[arg-type]
            return following

        monkeypatch.setattr(BaseClient, "_make_api_call", answer)

    def answers(self, operation: str, *answers: Any) -> None:
        """An error as `Code: message`, an answer, None for moto's own; the last one for ever."""
        self._answers[operation] = list(answers)

    @property
    def writes(self) -> list[str]:
        return [name for name in self.calls if not name.startswith(("Describe", "Get", "List"))]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    return Api(monkeypatch)


def refused(act: Callable[[], Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        act()
    return str(caught.value.details())


def _named(network: Stack, name: str) -> Resource:
    settings = {"port": 8080, "protocol": "HTTP", "vpcId": network.vpc.identifier}
    return network.driver.create(TARGET_GROUP, "web", name=name, **settings)


class TestReplacement:
    BRIDGE = "https://github.com/pulumi/pulumi-terraform/pull/465"

    @documented("what has a name of the program's own is deleted before it is replaced", BRIDGE)
    def test_the_old_one_goes_first_where_both_would_have_the_name(self, network: Stack) -> None:
        group = _named(network, "fixed")
        assert network.driver.diff(group, **given(group) | {"port": 9090}).deleteBeforeReplace
        assert not network.driver.diff(group, **given(group) | {"deregistrationDelay": 9}).deleteBeforeReplace

    @documented("what has an automatic name is replaced before it is deleted", BRIDGE)
    def test_the_new_one_comes_first_where_names_are_automatic(self, network: Stack) -> None:
        group = network.target_group()
        changed = network.driver.diff(group, **given(group) | {"port": 9090})
        assert (list(changed.replaces), changed.deleteBeforeReplace) == (["port"], False)

    @documented("a VPC's tenancy changes in place only from dedicated to default", f"{TERRAFORM}ec2/vpc_.go")
    @pytest.mark.parametrize(
        ("old", "new", "replaces"),
        [("default", "dedicated", True), ("dedicated", "default", False), ("dedicated", UNKNOWN, True)],
    )
    def test_tenancy(self, driver: Driver, old: str, new: Any, replaces: bool) -> None:
        vpc = driver.create(VPC, "net", cidrBlock="10.0.0.0/16", instanceTenancy=old)
        changed = driver.diff(vpc, cidrBlock="10.0.0.0/16", instanceTenancy=new)
        assert (list(changed.diffs), bool(changed.replaces)) == (["instanceTenancy"], replaces)

    RULES = f"{TERRAFORM}ec2/vpc_security_group_ingress_rule.go"

    @documented("a rule's source changes in place unless it becomes one of another kind", RULES)
    def test_a_rule_s_source(self, network: Stack) -> None:
        rest = {"securityGroupId": network.group.identifier, "ipProtocol": "tcp", "fromPort": 80, "toPort": 80}
        rule = network.driver.create(INGRESS_RULE, "in", cidrIpv4="10.0.0.0/8", **rest)
        assert not network.driver.diff(rule, cidrIpv4="10.1.0.0/16", **rest).replaces
        other = network.driver.diff(rule, referencedSecurityGroupId="sg-1", **rest)
        assert sorted(other.replaces) == ["cidrIpv4", "referencedSecurityGroupId"]

    @documented("a protocol's number is the same as its name", RULES)
    def test_a_protocol_s_number_is_no_change(self, network: Stack) -> None:
        rest = {"securityGroupId": network.group.identifier, "fromPort": 80, "toPort": 80, "cidrIpv4": "10.0.0.0/8"}
        rule = network.driver.create(INGRESS_RULE, "in", ipProtocol="tcp", **rest)
        assert not network.driver.diff(rule, ipProtocol="6", **rest).diffs

    @documented(
        "cross-zone balancing of an application load balancer can't be changed", f"{TERRAFORM}elbv2/load_balancer.go"
    )
    def test_cross_zone_balancing_is_taken_and_means_nothing(self, network: Stack) -> None:
        balancer = network.load_balancer()
        assert not network.driver.diff(balancer, **given(balancer) | {"enableCrossZoneLoadBalancing": True}).diffs

    @documented("a maintenance policy of -1, where there is none, is no change", GROUPS)
    def test_taking_away_no_maintenance_policy(self, network: Stack) -> None:
        group = network.driver.create(GROUP, "web", **network.group_inputs(network.launch_template()))
        none = {"minHealthyPercentage": -1, "maxHealthyPercentage": -1}
        assert not network.driver.diff(group, **given(group) | {"instanceMaintenancePolicy": none}).diffs


class TestExistingNames:
    @documented("a target group of that name, whosever it is, is an error", TARGET_GROUPS)
    def test_a_target_group_s(self, network: Stack) -> None:
        _named(network, "mine")
        said = refused(lambda: _named(network, "mine"))
        assert said == "1 error occurred:\n\t* ELBv2 Target Group (mine) already exists\n\n"

    @documented("a load balancer of that name, whosever it is, is an error", f"{TERRAFORM}elbv2/load_balancer.go")
    def test_a_load_balancer_s(self, network: Stack) -> None:
        mine = {"name": "mine", "subnets": network.subnet_ids}
        network.driver.create(LOAD_BALANCER, "web", **mine)
        said = refused(lambda: network.driver.create(LOAD_BALANCER, "web", **mine))
        assert said == "1 error occurred:\n\t* ELBv2 Load Balancer (mine) already exists\n\n"


class TestLaunchTemplate:
    @documented("with updateDefaultVersion the default follows at each update, whatever changes", TEMPLATES)
    def test_the_default_version_follows(self, network: Stack) -> None:
        template = network.launch_template(updateDefaultVersion=True)
        later = network.driver.update(template, **given(template) | {"instanceType": "t3.large"})
        assert (later.state["latestVersion"], later.state["defaultVersion"]) == (2, 2)
        boto3.client("ec2").modify_launch_template(LaunchTemplateId=template.identifier, DefaultVersion="1")
        tagged = network.driver.update(later, **given(later) | {"tags": {"a": "b"}})
        assert (tagged.state["latestVersion"], tagged.state["defaultVersion"]) == (2, 2)

    @documented("defaultVersion alone moves the default and makes no version", TEMPLATES)
    def test_the_default_version_can_be_named(self, network: Stack) -> None:
        template = network.launch_template()
        second = network.driver.update(template, **given(template) | {"instanceType": "t3.large"})
        named = network.driver.update(second, **given(second) | {"defaultVersion": 2})
        assert (named.state["latestVersion"], named.state["defaultVersion"]) == (2, 2)

    @documented("a preview can't know the versions unless nothing but names and descriptions change", TEMPLATES)
    @pytest.mark.parametrize(
        ("change", "unknown"),
        [
            ({"imageId": "ami-2"}, {"latestVersion"}),
            ({"imageId": "ami-2", "updateDefaultVersion": True}, {"latestVersion", "defaultVersion"}),
            ({"tags": {"a": "b"}}, {"latestVersion"}),
            ({"description": "another"}, set()),
            ({"updateDefaultVersion": True}, {"defaultVersion"}),
        ],
    )
    def test_versions_in_a_preview(self, network: Stack, change: Props, unknown: set[str]) -> None:
        template = network.launch_template()
        planned = network.driver.preview_update(template, **given(template) | change)
        assert {name for name in ("latestVersion", "defaultVersion") if planned[name] is UNKNOWN} == unknown


def instances(*states: str) -> dict[str, Any]:
    return {
        "AutoScalingGroups": [
            {
                "AutoScalingGroupName": "web",
                "AutoScalingGroupARN": "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1",
                "AvailabilityZones": ["us-east-1a"],
                "MinSize": 1,
                "MaxSize": 3,
                "DesiredCapacity": 2,
                "TargetGroupARNs": ["arn:one"],
                "Instances": [
                    {"InstanceId": f"i-{index}", "LifecycleState": state, "HealthStatus": "Healthy"}
                    for index, state in enumerate(states)
                ],
            }
        ]
    }


def health(**states: str) -> dict[str, Any]:
    lines = [
        {"Target": {"Id": name.replace("_", "-")}, "TargetHealth": {"State": state}} for name, state in states.items()
    ]
    return {"TargetHealthDescriptions": lines}


class TestCapacity:
    """What a group waits for; the group itself is what the test says."""

    @pytest.fixture(autouse=True)
    def only_said(self, api: Api) -> None:
        for operation in (
            "CreateAutoScalingGroup",
            "UpdateAutoScalingGroup",
            "CreateOrUpdateTags",
            "SuspendProcesses",
            "EnableMetricsCollection",
        ):
            api.answers(operation, {})
        api.answers("DescribeScalingActivities", {"Activities": []})

    def make(self, network: Stack, **more: Any) -> Resource:
        inputs = network.group_inputs(network.launch_template(), waitForCapacityTimeout="200ms")
        return network.driver.create(GROUP, "web", name="web", **{**inputs, "targetGroupArns": ["arn:one"], **more})

    @documented("a new group waits for its desired instances, in service and healthy, or more", GROUPS)
    def test_it_waits_for_instances_in_service(self, network: Stack, api: Api) -> None:
        api.answers("DescribeTargetHealth", health())
        api.answers("DescribeAutoScalingGroups", instances("Pending", "InService"), instances(*["InService"] * 3))
        assert self.make(network).identifier == "web"
        api.answers("DescribeAutoScalingGroups", instances("Pending", "InService"))
        said = refused(lambda: self.make(network))
        assert (
            "waiting for Auto Scaling Group (web) capacity satisfied: timeout while waiting for state to become 'ok' "
            "(last state: 'want at least 2 healthy instance(s) in Auto Scaling Group, have 1', timeout: 0s)" in said
        )

    @documented("minElbCapacity counts what the load balancer has nothing against, registered or not", GROUPS)
    def test_an_unregistered_target_counts_as_healthy(self, network: Stack, api: Api) -> None:
        api.answers("DescribeAutoScalingGroups", instances("InService", "InService"))
        api.answers("DescribeTargetHealth", health(i_0="healthy"))
        self.make(network, minElbCapacity=2)
        api.answers("DescribeTargetHealth", health(i_0="healthy", i_1="initial"))
        said = refused(lambda: self.make(network, minElbCapacity=2))
        assert "want at least 2 healthy instance(s) registered to Load Balancer, have 1" in said

    @documented("an instance with a weight counts for as much in the wait for capacity", GROUPS)
    def test_weights_count(self, network: Stack, api: Api) -> None:
        heavy = instances("InService")
        heavy["AutoScalingGroups"][0]["Instances"][0]["WeightedCapacity"] = "2"
        api.answers("DescribeAutoScalingGroups", heavy)
        api.answers("DescribeTargetHealth", health())
        self.make(network, minElbCapacity=2)

    @documented("a new group takes waitForElbCapacity for a minimum, and before minElbCapacity", GROUPS)
    def test_a_new_group_may_have_more(self, network: Stack, api: Api) -> None:
        api.answers("DescribeAutoScalingGroups", instances("InService", "InService"))
        api.answers("DescribeTargetHealth", health())
        self.make(network, waitForElbCapacity=1, minElbCapacity=9)

    @documented("a change of the size waits for exactly so many, in service and at the load balancer", GROUPS)
    def test_an_update_wants_exactly_so_many(self, network: Stack, api: Api) -> None:
        api.answers("DescribeTargetHealth", health())
        api.answers("DescribeAutoScalingGroups", instances(*["InService"] * 3))
        group = self.make(network, desiredCapacity=3)
        said = refused(lambda: network.driver.update(group, **given(group) | {"desiredCapacity": 2, "minSize": 2}))
        assert "want exactly 2 healthy instance(s) in Auto Scaling Group, have 3" in said
        api.answers("DescribeTargetHealth", health(i_0="unhealthy"))
        asked = {"minSize": 2, "waitForElbCapacity": 3}
        assert "want exactly 3 healthy instance(s) registered to Load Balancer, have 2" in refused(
            lambda: network.driver.update(group, **given(group) | asked)
        )

    @documented("a change of anything but the size waits for nothing", GROUPS)
    def test_other_updates_do_not_wait(self, network: Stack, api: Api) -> None:
        api.answers("DescribeTargetHealth", health())
        api.answers("DescribeAutoScalingGroups", instances("InService", "InService"))
        group = self.make(network)
        api.calls.clear()
        network.driver.update(group, **given(group) | {"healthCheckGracePeriod": 60, "minElbCapacity": 5})
        assert "DescribeTargetHealth" not in api.calls

    @documented("a scaling activity that fails meanwhile ends the wait, unless it is to be ignored", GROUPS)
    def test_a_failed_activity_ends_the_wait(self, network: Stack, api: Api) -> None:
        def activity(begun: timedelta) -> dict[str, Any]:
            told = {"ActivityId": "a-1", "StatusCode": "Failed", "StatusMessage": "No capacity.", "Progress": 100}
            return {"Activities": [told | {"StartTime": datetime.now(UTC) + begun}]}

        api.answers("DescribeAutoScalingGroups", instances("Pending", "Pending"))
        api.answers("DescribeTargetHealth", health())
        api.answers("DescribeScalingActivities", activity(timedelta(minutes=1)))
        assert refused(lambda: self.make(network)) == (
            "1 error occurred:\n\t* waiting for Auto Scaling Group (web) capacity satisfied: "
            "scaling activity (a-1): Failed: No capacity.\n\n"
        )
        assert "want at least 2" in refused(lambda: self.make(network, ignoreFailedScalingActivities=True))
        api.answers("DescribeScalingActivities", activity(-timedelta(minutes=1)))
        assert "want at least 2" in refused(lambda: self.make(network)), "an earlier failure is no news"

    @documented("processes are suspended and metrics enabled when the capacity is there", GROUPS)
    def test_the_order_of_a_create(self, network: Stack, api: Api) -> None:
        api.answers("DescribeTargetHealth", health())
        api.answers("DescribeAutoScalingGroups", instances("InService", "InService"))
        self.make(network, suspendedProcesses=["AZRebalance"], enabledMetrics=["GroupMaxSize"])
        order = [name for name in api.calls if name in ("DescribeTargetHealth", *api.writes)]
        assert order[-4:] == [
            "CreateAutoScalingGroup",
            "DescribeTargetHealth",
            "SuspendProcesses",
            "EnableMetricsCollection",
        ]


class TestGroup:
    """What else becomes of a group."""

    def make(self, network: Stack, **more: Any) -> Resource:
        return network.driver.create(GROUP, "web", **network.group_inputs(network.launch_template(), **more))

    @documented("arguments that the program drops are set back", GROUPS)
    def test_what_the_program_drops_is_set_back(self, network: Stack, api: Api) -> None:
        dropped = {"capacityRebalance": True, "terminationPolicies": ["OldestInstance"]}
        group = self.make(network, **dropped)
        kept = {name: value for name, value in given(group).items() if name not in dropped}
        network.driver.update(group, **kept)
        del api.asked["UpdateAutoScalingGroup"]["AutoScalingGroupName"]
        assert api.asked["UpdateAutoScalingGroup"] == {
            "CapacityRebalance": False,
            "TerminationPolicies": ["Default"],
        }

    @documented("termination policies that nobody named are not in the state", GROUPS)
    def test_the_default_termination_policy_is_not_in_the_state(self, network: Stack) -> None:
        assert "terminationPolicies" not in self.make(network).state

    @documented("metrics that come are enabled, those that go disabled", GROUPS)
    def test_metrics_change(self, network: Stack, api: Api) -> None:
        group = self.make(network, enabledMetrics=["GroupMinSize", "GroupMaxSize"])
        api.answers("DisableMetricsCollection", {})  # moto has no such operation
        api.calls.clear()
        network.driver.update(group, **given(group) | {"enabledMetrics": ["GroupMaxSize", "GroupTotalInstances"]})
        assert api.writes == ["DisableMetricsCollection", "EnableMetricsCollection"]

    @documented("target groups are exchanged ten at a time, and each ten waited for", GROUPS)
    def test_target_groups_are_exchanged_in_tens(self, network: Stack, api: Api) -> None:
        group = self.make(network)
        arns = [f"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t{n}/1" for n in range(12)]
        api.answers("AttachLoadBalancerTargetGroups", {})
        adding = {"LoadBalancerTargetGroups": [{"State": "Adding"}]}
        api.answers("DescribeLoadBalancerTargetGroups", adding, {"LoadBalancerTargetGroups": [{"State": "Added"}]})
        api.calls.clear()
        network.driver.update(group, **given(group) | {"targetGroupArns": arns})
        attached = [name for name in api.calls if "TargetGroups" in name]
        assert attached == [
            "AttachLoadBalancerTargetGroups",
            "DescribeLoadBalancerTargetGroups",
            "DescribeLoadBalancerTargetGroups",
            "AttachLoadBalancerTargetGroups",
            "DescribeLoadBalancerTargetGroups",
        ]

    @documented("a group is set to 0, its instances' protection lifted, waited for, deleted, and waited for", GROUPS)
    def test_a_group_drains_before_it_goes(self, network: Stack, api: Api) -> None:
        group = self.make(network)
        protected = instances("InService", "InService")
        for each in protected["AutoScalingGroups"][0]["Instances"]:
            each["ProtectedFromScaleIn"] = True
        gone = {"AutoScalingGroups": []}
        api.answers("SetInstanceProtection", {})
        api.answers("DescribeAutoScalingGroups", protected, instances("Terminating"), instances(), instances(), gone)
        api.calls.clear()
        network.driver.delete(group)
        assert api.writes == ["UpdateAutoScalingGroup", "SetInstanceProtection", "DeleteAutoScalingGroup"]
        assert api.calls.count("DescribeAutoScalingGroups") == 5

    @documented("a delete in the midst of a scaling activity is tried again", GROUPS)
    def test_a_delete_is_tried_again(self, network: Stack, api: Api) -> None:
        group = self.make(network, forceDelete=True)
        api.answers("DeleteAutoScalingGroup", "ResourceInUse: wait", "ScalingActivityInProgress: wait", None)
        network.driver.delete(group)
        assert api.calls.count("DeleteAutoScalingGroup") == 3

    @documented("a group that does not drain in time is told with what is left of it", GROUPS)
    def test_a_group_that_does_not_drain(self, network: Stack, api: Api) -> None:
        group = self.make(network)
        api.answers("DescribeAutoScalingGroups", instances("InService"))
        said = refused(lambda: network.driver.delete(group, timeout=0.2))
        assert said.startswith(f"deleting {group.urn}: 1 error occurred:\n\t* waiting for Auto Scaling Group (")
        assert "drain: timeout while waiting for state to become '0' (last state: '1'" in said
        assert "DeleteAutoScalingGroup" not in api.calls


class TestWarmPool:
    """What becomes of a group's warm pool."""

    CONFIGURATION: Final = {"PoolState": "Stopped", "MinSize": 2}

    def make(self, network: Stack, **more: Any) -> Resource:
        return network.driver.create(GROUP, "web", **network.group_inputs(network.launch_template(), **more))

    @documented("a warm pool is put in place when the group is made, and only its change is put again", GROUPS)
    def test_a_pool_changes_in_place(self, network: Stack, api: Api) -> None:
        group = self.make(network, warmPool={"minSize": 1, "instanceReusePolicy": {"reuseOnScaleIn": True}})
        assert api.asked["PutWarmPool"] == {
            "AutoScalingGroupName": group.identifier,
            "MaxGroupPreparedCapacity": -1,
            "MinSize": 1,
            "PoolState": "Stopped",
            "InstanceReusePolicy": {"ReuseOnScaleIn": True},
        }
        api.calls.clear()
        changed = given(group) | {"warmPool": {"minSize": 2, "poolState": "Running"}}
        assert list(network.driver.diff(group, **changed).replaces) == []
        network.driver.update(group, **changed)
        assert api.writes == ["PutWarmPool"]
        api.calls.clear()
        network.driver.update(group, **given(group) | {"maxSize": 4})
        assert api.writes == ["UpdateAutoScalingGroup"]

    @documented(
        "a warm pool's smallest size of 0 is not sent",
        "https://github.com/hashicorp/terraform-provider-aws/issues/44732",
    )
    def test_a_size_of_none_is_not_sent(self, network: Stack, api: Api) -> None:
        group = self.make(network, warmPool={"minSize": 1})
        network.driver.update(group, **given(group) | {"warmPool": {"minSize": 0, "maxGroupPreparedCapacity": 0}})
        assert "MinSize" not in api.asked["PutWarmPool"]
        assert api.asked["PutWarmPool"]["MaxGroupPreparedCapacity"] == 0

    @documented("a warm pool without its settings is read back with the defaults", GROUPS)
    def test_what_aws_leaves_out_is_the_default(self, network: Stack, api: Api) -> None:
        group = self.make(network, warmPool={"minSize": 2})
        found = instances("InService")
        found["AutoScalingGroups"][0]["WarmPoolConfiguration"] = self.CONFIGURATION
        api.answers("DescribeAutoScalingGroups", found)
        live = network.driver.read(group)
        assert live is not None
        assert live.state["warmPool"] == {"poolState": "Stopped", "minSize": 2, "maxGroupPreparedCapacity": -1}

    @documented("a warm pool that goes is emptied, then deleted and waited for; by force it is deleted at once", GROUPS)
    @pytest.mark.parametrize("force", [False, True])
    def test_a_pool_goes(self, network: Stack, api: Api, force: bool) -> None:
        group = self.make(network, warmPool={}, forceDeleteWarmPool=force)
        full = {"WarmPoolConfiguration": self.CONFIGURATION, "Instances": [{"InstanceId": "i-1"}]}
        empty, gone = full | {"Instances": []}, {"Instances": []}
        ending = empty | {"WarmPoolConfiguration": self.CONFIGURATION | {"Status": "PendingDelete"}}
        api.answers("DescribeWarmPool", *([] if force else [full, empty]), ending, gone)
        api.calls.clear()
        without = {name: value for name, value in given(group).items() if name != "warmPool"}
        network.driver.update(group, **without)
        emptied = [] if force else ["PutWarmPool"]
        assert [name for name in api.calls if "WarmPool" in name] == [
            *emptied,
            *["DescribeWarmPool"] * 2 * len(emptied),
            "DeleteWarmPool",
            *["DescribeWarmPool"] * 2,
        ]
        assert api.asked["DeleteWarmPool"]["ForceDelete"] is force

    @documented("a warm pool goes before the machines of its group", GROUPS)
    def test_a_pool_goes_before_its_group(self, network: Stack, api: Api) -> None:
        group = self.make(network, warmPool={}, forceDeleteWarmPool=True)
        found = instances("InService")
        found["AutoScalingGroups"][0]["WarmPoolConfiguration"] = self.CONFIGURATION
        gone: dict[str, Any] = {"AutoScalingGroups": []}
        api.answers("DescribeAutoScalingGroups", found, instances(), instances(), gone)
        api.calls.clear()
        network.driver.delete(group)
        assert api.writes == ["DeleteWarmPool", "UpdateAutoScalingGroup", "DeleteAutoScalingGroup"]

    @documented("a warm pool that is gone already counts as deleted", GROUPS)
    def test_a_pool_that_is_gone_is_no_obstacle(self, network: Stack, api: Api) -> None:
        group = self.make(network, warmPool={}, forceDeleteWarmPool=True)
        api.answers("DeleteWarmPool", "ValidationError: No warm pool found for web")
        network.driver.update(group, **{name: it for name, it in given(group).items() if name != "warmPool"})


class TestDelete:
    @documented("a security group in use is tried again", f"{TERRAFORM}ec2/vpc_security_group.go")
    @pytest.mark.parametrize("code", ["DependencyViolation", "InvalidGroup.InUse"])
    def test_a_security_group_in_use(self, network: Stack, api: Api, code: str) -> None:
        api.answers("DeleteSecurityGroup", f"{code}: has a dependent object", None)
        network.driver.delete(network.group)
        assert network.driver.read(network.group) is None

    @documented("a target group is tried again only while a listener or a rule has it", TARGET_GROUPS)
    def test_a_target_group_in_use_by_something_else(self, network: Stack, api: Api) -> None:
        group = network.target_group()
        in_use = f"ResourceInUse: Target group '{group.identifier}' is currently in use by"
        api.answers("DeleteTargetGroup", f"{in_use} a listener or a rule", f"{in_use} a service")
        assert "in use by a service" in refused(lambda: network.driver.delete(group))
        assert api.calls.count("DeleteTargetGroup") == 2

    @documented(
        "a route table is taken off its subnets first, whoever put it there", f"{TERRAFORM}ec2/vpc_route_table.go"
    )
    def test_a_route_table_in_use(self, network: Stack) -> None:
        table = network.driver.create(ROUTE_TABLE, "t", vpcId=network.vpc.identifier)
        boto3.client("ec2").associate_route_table(RouteTableId=table.identifier, SubnetId=network.subnet_ids[0])
        network.driver.delete(table)
        assert network.driver.read(table) is None

    @documented("an address is taken off what has it, and released once", f"{TERRAFORM}ec2/ec2_eip.go")
    def test_an_address_in_use(self, driver: Driver, api: Api) -> None:
        address = driver.create(EIP, "nat", domain="vpc")
        used = Resource(
            EIP, "nat", address.identifier, address.inputs, {**address.state, "associationId": "eipassoc-1"}
        )
        api.answers("DisassociateAddress", "InvalidAssociationID.NotFound: gone")
        api.answers("ReleaseAddress", "InvalidIPAddress.InUse: in use")
        assert "deleting EC2 EIP" in refused(lambda: driver.delete(used))
        assert api.calls[-2:] == ["DisassociateAddress", "ReleaseAddress"]

    @documented("a NAT gateway is waited for until it is gone", f"{TERRAFORM}ec2/vpc_nat_gateway.go")
    def test_a_nat_gateway_is_waited_for(self, network: Stack, api: Api) -> None:
        gateway = network.driver.create(NAT_GATEWAY, "nat", connectivityType="private", subnetId=network.subnet_ids[0])
        states = [{"NatGateways": [{"State": state}]} for state in ("deleting", "deleting", "deleted")]
        api.answers("DeleteNatGateway", {})
        api.answers("DescribeNatGateways", *states)
        api.calls.clear()
        network.driver.delete(gateway)
        assert api.calls.count("DescribeNatGateways") == 3


def _id_to_import(resource: Resource) -> str:
    state = resource.state
    match resource.token:
        case t if t == ROUTE:
            return f"{state['routeTableId']}_{state['destinationCidrBlock']}"
        case t if t == ASSOCIATION:
            return f"{state['subnetId']}/{state['routeTableId']}"
        case t if t == POLICY:
            return f"{state['autoscalingGroupName']}/{state['name']}"
        case t if t == SCHEDULE:
            return f"{state['autoscalingGroupName']}/{resource.identifier}"
        case t if t == VOLUME_ATTACHMENT:
            return f"{state['deviceName']}:{state['volumeId']}:{state['instanceId']}"
    return resource.identifier


IMPORTS: Final = {
    ROUTE: ("ROUTETABLEID_DESTINATION", f"{TERRAFORM}ec2/vpc_route.go"),
    ASSOCIATION: ("SUBNETID/ROUTETABLEID", f"{TERRAFORM}ec2/vpc_route_table_association.go"),
    POLICY: ("GROUP/POLICY", f"{TERRAFORM}autoscaling/policy.go"),
    SCHEDULE: ("GROUP/ACTION", f"{TERRAFORM}autoscaling/schedule.go"),
    VOLUME_ATTACHMENT: ("DEVICE:VOLUME:INSTANCE", f"{TERRAFORM}ec2/ebs_volume_attachment.go"),
}


class TestImport:
    def test_every_type_is_imported_by_its_documented_id(self, network: Stack) -> None:
        for made in network.everything():
            if made.token == VALIDATION:  # can't be imported
                continue
            found = network.driver.read(Resource(made.token, made.name, _id_to_import(made), {}, {}))
            assert found is not None, made.token
            assert found.identifier == made.identifier, made.token
            given = {key: value for key, value in found.inputs.items() if key != "__defaults"}
            if made.token == OIDC_PROVIDER:  # AWS tells it without, and takes it with
                given["url"] = f"https://{given['url']}"
            unchanged = network.driver.diff(found, **given)
            assert not unchanged.replaces, (made.token, unchanged.replaces)

    @pytest.mark.parametrize(
        ("token", "form"),
        [
            pytest.param(token, form, id=token, marks=documented(f"imported by {form}", source))
            for token, (form, source) in IMPORTS.items()
        ],
    )
    def test_an_id_of_another_form_is_refused(self, driver: Driver, token: str, form: str) -> None:
        said = refused(lambda: driver.read(Resource(token, "it", "nonsense", {}, {})))
        assert "ormat" in said

    def test_what_is_gone_is_told_as_gone(self, network: Stack) -> None:
        gone = {
            GROUP: "gone",
            LAUNCH_TEMPLATE: "lt-0123456789abcdef0",
            VPC: "vpc-0123456789abcdef0",
            PARAMETER: "/gone",
        }
        for token, identifier in gone.items():
            assert network.driver.read(Resource(token, "it", identifier, {}, {})) is None


def _networks() -> Iterator[Any]:
    """operation that fails -> what is being done; for all types"""
    vpc = {"vpcId": "vpc-1"}
    rule = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "cidrIpv4": "0.0.0.0/0"}
    route = {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}
    tracking = {"targetValue": 1, "predefinedMetricSpecification": {"predefinedMetricType": "ASGAverageCPUUtilization"}}
    policy = {"policyType": "TargetTrackingScaling", "targetTrackingConfiguration": tracking}
    alarm = {"comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 1, "threshold": 1}
    group = {"minSize": 1, "maxSize": 1, "vpcZoneIdentifiers": ["subnet-1"], "launchTemplate": {"id": "lt-1"}}
    for token, operation, inputs, words, path in (
        (VPC, "CreateVpc", {"cidrBlock": "10.0.0.0/16"}, "creating EC2 VPC", "ec2/vpc_.go"),
        (SUBNET, "CreateSubnet", {**vpc, "cidrBlock": "10.0.0.0/24"}, "creating EC2 Subnet", "ec2/vpc_subnet.go"),
        (EIP, "AllocateAddress", {}, "creating EC2 EIP", "ec2/ec2_eip.go"),
        (NAT_GATEWAY, "CreateNatGateway", {"subnetId": "s"}, "creating EC2 NAT Gateway", "ec2/vpc_nat_gateway.go"),
        (ROUTE_TABLE, "CreateRouteTable", vpc, "creating Route Table", "ec2/vpc_route_table.go"),
        (
            ROUTE,
            "CreateRoute",
            route,
            "creating Route in Route Table (rtb-1) with destination (0.0.0.0/0)",
            "ec2/vpc_route.go",
        ),
        (
            ASSOCIATION,
            "AssociateRouteTable",
            {"routeTableId": "rtb-1", "subnetId": "subnet-1"},
            "creating Route Table (rtb-1) Association",
            "ec2/vpc_route_table_association.go",
        ),
        (SECURITY_GROUP, "CreateSecurityGroup", vpc, "creating Security Group (it-", "ec2/vpc_security_group.go"),
        (
            INGRESS_RULE,
            "AuthorizeSecurityGroupIngress",
            rule,
            "creating VPC Security Group Rule",
            "ec2/vpc_security_group_ingress_rule.go",
        ),
        (
            EGRESS_RULE,
            "AuthorizeSecurityGroupEgress",
            rule,
            "creating VPC Security Group Rule",
            "ec2/vpc_security_group_egress_rule.go",
        ),
        (
            LOAD_BALANCER,
            "CreateLoadBalancer",
            {"subnets": ["subnet-1"]},
            "creating ELBv2 application Load Balancer (it-",
            "elbv2/load_balancer.go",
        ),
        (
            TARGET_GROUP,
            "CreateTargetGroup",
            {**vpc, "port": 80, "protocol": "HTTP"},
            "creating ELBv2 Target Group (it-",
            "elbv2/target_group.go",
        ),
        (LAUNCH_TEMPLATE, "CreateLaunchTemplate", {}, "creating EC2 Launch Template", "ec2/ec2_launch_template.go"),
        (GROUP, "CreateAutoScalingGroup", group, "creating Auto Scaling Group (it-", "autoscaling/group.go"),
        (
            POLICY,
            "PutScalingPolicy",
            {"autoscalingGroupName": "web", **policy},
            "creating Auto Scaling Policy (it-",
            "autoscaling/policy.go",
        ),
        (METRIC_ALARM, "PutMetricAlarm", alarm, "creating CloudWatch Metric Alarm (it-", "cloudwatch/metric_alarm.go"),
        (
            PARAMETER,
            "PutParameter",
            {"type": "String", "insecureValue": "1"},
            "creating SSM Parameter (it-",
            "ssm/parameter.go",
        ),
    ):
        said = documented(f"{operation} that fails is told with what was being done", TERRAFORM + path)
        yield pytest.param(token, operation, inputs, words, id=operation, marks=said)


class TestErrors:
    @pytest.mark.parametrize(("token", "operation", "inputs", "words"), _networks())
    def test_a_create_that_fails(
        self, driver: Driver, api: Api, token: str, operation: str, inputs: Props, words: str
    ) -> None:
        api.answers(operation, "NoSuchLuck: not today")
        said = refused(lambda: driver.create(token, "it", **inputs))
        assert said.startswith(f"1 error occurred:\n\t* {words}")
        assert (
            f": {operation}, https response error StatusCode: 400, RequestID: , api error NoSuchLuck: not today" in said
        )

    @documented(
        "errors come as a list, and those of a delete with the resource's URN before them",
        "https://github.com/pulumi/pulumi-awsx/issues/905",
    )
    def test_a_delete_that_fails(self, network: Stack, api: Api) -> None:
        api.answers("DeleteVpc", "UnauthorizedOperation: no")
        said = refused(lambda: network.driver.delete(network.vpc))
        assert said.startswith(
            f"deleting {network.vpc.urn}: 1 error occurred:\n\t* deleting EC2 VPC ({network.vpc.identifier}): "
            "operation error EC2: DeleteVpc, https response error StatusCode: 400, "
        )

    def test_an_update_that_fails(self, network: Stack, api: Api) -> None:
        balancer = network.load_balancer()
        api.answers("SetSubnets", "InvalidSubnet: no")
        less = given(balancer) | {"subnets": network.subnet_ids[:1], "idleTimeout": 10}
        said = refused(lambda: network.driver.update(balancer, **less))
        setting = f"setting ELBv2 Load Balancer ({balancer.identifier}) subnets: operation error"
        assert said.startswith(f"updating {balancer.urn}: 1 error occurred:\n\t* {setting}")
        assert api.writes[-2:] == ["ModifyLoadBalancerAttributes", "SetSubnets"]

    def test_a_parameter_s_description_can_be_taken_away(self, network: Stack) -> None:
        parameter = network.parameter(description="image")
        bare = {name: value for name, value in given(parameter).items() if name != "description"}
        assert not network.driver.update(parameter, **bare).state.get("description")


def test_every_refused_argument_is_refused_before_anything_is_asked(driver: Driver, api: Api) -> None:
    for token, kind in TYPES.items():
        found = driver.failures(token, dict.fromkeys(kind.refused, "x"))
        assert kind.refused <= set(found), token
        for name in kind.refused:
            assert f"{name} of {token} is an argument of the AWS provider" in found[name]
    assert api.calls == []
