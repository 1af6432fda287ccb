"""What the program declares: types, names, wiring and order."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from bluegreen.components import Balancer, BalancerArgs, Network, NetworkArgs, Service, ServiceArgs, Stack
from bluegreen.model.mixed_instances import MixedInstances
from bluegreen.model.observation import Group, LivePool
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from tests.components.conftest import AMI, ARN, Aws, Declared, FakeHooks, FakeObserver


def test_a_server_group_is_named_by_the_version_of_its_release(declare: Any) -> None:
    declared = declare()
    version = declared.outputs["activeRelease"]["version"]
    for kind in ("TargetGroup", "LaunchTemplate", "Group", "Policy"):
        assert [each.name for each in declared.of(kind)] == [f"web-{version}"]
    alarms = {each.name for each in declared.of("MetricAlarm")}
    assert alarms == {f"web-{version}-{name}" for name in ("errors", "balancer", "latency", "unhealthy")}


def test_another_image_is_a_new_set_of_names_and_leaves_all_others_alone(declare: Any) -> None:
    one, other = declare(), declare(ami="ami-0123456789abcdef1")
    names = [{(each.typ, each.name) for each in declared.resources} for declared in (one, other)]
    kinds = {typ.rsplit(":", 1)[-1] for typ, _ in names[0] ^ names[1]}
    assert kinds == {"ServerGroup", "TargetGroup", "LaunchTemplate", "Group", "Policy", "MetricAlarm"}


@pytest.mark.parametrize("last", ["Policy", "MetricAlarm"])
def test_what_hangs_on_the_order_is_registered_in_the_order(declare: Any, last: str) -> None:
    declared = declare()
    order = [
        declared.position("LaunchTemplate"),
        declared.position("TargetGroup"),
        declared.position("Listener", "web-preview"),
        declared.position("Group"),
        declared.position("Listener", "web-production"),
        declared.position(last),
    ]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("LaunchTemplate web-{v}", "routeTableAssociation:RouteTableAssociation::web-public-1"),
        ("TargetGroup web-{v}", "launchTemplate:LaunchTemplate::web-{v}"),
        ("Listener web-preview", "targetGroup:TargetGroup::web-{v}"),
        ("Group web-{v}", "listener:Listener::web-preview"),
        ("Group web-{v}", "securityGroupIngressRule:SecurityGroupIngressRule::web-machines-8080"),
        ("Group web-{v}", "securityGroupEgressRule:SecurityGroupEgressRule::web-balancer-8080"),
        ("Listener web-production", "group:Group::web-{v}"),
        ("Policy web-{v}", "listener:Listener::web-production"),
        ("MetricAlarm web-{v}-errors", "listener:Listener::web-production"),
        ("MetricAlarm web-{v}-errors", "group:Group::web-{v}"),
        ("Parameter web-image", "listener:Listener::web-production"),
        ("Parameter web-release", "listener:Listener::web-production"),
        ("Listener web-production", "securityGroupIngressRule:SecurityGroupIngressRule::web-production"),
        ("LoadBalancer web", "internetGateway:InternetGateway::web"),
        ("Group web-{v}", "route:Route::web-private-0"),
        ("Group web-{v}", "securityGroupEgressRule:SecurityGroupEgressRule::web-machines"),
    ],
)
def test_the_engine_is_told_of_every_step_of_the_order(declare: Any, later: str, earlier: str) -> None:
    declared = declare()
    version = declared.outputs["activeRelease"]["version"]
    dependencies = declared.requests[later.format(v=version)].dependencies
    assert any(urn.endswith(earlier.format(v=version)) for urn in dependencies)


def test_both_listeners_forward_to_the_only_group(declare: Any) -> None:
    declared = declare()
    target_group = f"arn:TargetGroup:web-{declared.outputs['activeRelease']['version']}"
    for purpose, port in (("production", 80), ("preview", 9000)):
        listener = declared.one("Listener", f"web-{purpose}")
        assert listener["port"] == port
        assert listener["defaultActions"] == [{"type": "forward", "targetGroupArn": target_group}]
        assert listener["tags"]["bluegreen:listener"] == purpose


def test_the_group_names_its_target_group_inline_and_does_not_wait_itself(declare: Any) -> None:
    declared = declare(progressDeadlineSeconds="90")
    group = declared.one("Group")
    assert group["targetGroupArns"] == [f"arn:TargetGroup:web-{declared.outputs['activeRelease']['version']}"]
    assert group["waitForCapacityTimeout"] == "0"
    assert group["healthCheckType"] == "ELB"
    assert group["healthCheckGracePeriod"] == 90, "no shorter than the gate's deadline"


def test_a_policy_stays_on_its_group_until_the_group_goes(declare: Any) -> None:
    declared = declare()
    (request,) = [each for name, each in declared.requests.items() if name.startswith("Policy ")]
    assert request.deletedWith.endswith(f"group:Group::web-{declared.outputs['activeRelease']['version']}")
    assert declared.one("Policy")["name"] == f"web-{declared.outputs['activeRelease']['version']}"


def test_desired_capacity_is_seeded_and_then_left_to_scaling(declare: Any) -> None:
    declared = declare()
    (request,) = [each for name, each in declared.requests.items() if name.startswith("Group ")]
    assert list(request.ignoreChanges) == ["desiredCapacity"]


@pytest.mark.parametrize(("live", "desired"), [(None, 2), (4, 4), (1, 2), (9, 6)])
def test_a_group_starts_at_the_live_capacity_of_the_active_one(
    declare: Any, monkeypatch: pytest.MonkeyPatch, live: int | None, desired: int
) -> None:
    if live is not None:
        monkeypatch.setattr(FakeObserver, "running", (group("web", desired=live),))
    assert declare().one("Group")["desiredCapacity"] == desired


def group(service: str, desired: int = 2) -> Group:
    return Group(name="x", release="00000000", service=service, minimum=0, maximum=9, desired=desired, target_groups=())


def test_a_service_that_runs_can_not_be_renamed(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeObserver, "running", (group("web"),))
    with pytest.raises(pulumi.RunError, match="bluegreen:service: the stack runs web"):
        declare(service="shop")


def test_a_service_that_runs_can_not_move_to_another_vpc(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeObserver, "running", (group("web"),))
    with pytest.raises(pulumi.RunError, match=r"bluegreen:vpcCidr: the stack runs in 10\.0\.0\.0/16"):
        declare(vpcCidr="10.1.0.0/16")


def test_a_service_that_runs_can_not_become_internal(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeObserver, "running", (group("web"),))
    with pytest.raises(pulumi.RunError, match="bluegreen:internal: the stack runs behind a load balancer that is pub"):
        declare(internal="true")


def test_a_load_balancer_is_public_and_hardened(declare: Any) -> None:
    declared = declare(zones="2")
    balancer = declared.one("LoadBalancer")
    assert "internal" not in balancer, "given to a load balancer that has none, it would be a difference"
    assert balancer["subnets"] == ["Subnet-web-public-0", "Subnet-web-public-1"]
    assert (balancer["desyncMitigationMode"], balancer["dropInvalidHeaderFields"]) == ("strictest", True)
    assert balancer["idleTimeout"] == 60


def test_an_internal_load_balancer_lives_in_the_private_subnets(declare: Any) -> None:
    balancer = declare(internal="true", idleTimeoutSeconds="120").one("LoadBalancer")
    assert balancer["internal"] is True
    assert balancer["subnets"] == ["Subnet-web-private-0", "Subnet-web-private-1"]
    assert balancer["idleTimeout"] == 120


@pytest.mark.parametrize("ami", ["", "nope"])
def test_without_a_usable_image_nothing_but_the_refusal_is_declared(declare: Any, ami: str) -> None:
    declared = declare(ami=ami)
    assert [each.typ for each in declared.resources] == ["aws:ec2/launchTemplate:LaunchTemplate"]
    assert declared.bound == {"LaunchTemplate image": "image"}


def test_volumes_and_interfaces_are_tagged_as_their_machines_are(declare: Any) -> None:
    specifications = declare().one("LaunchTemplate")["tagSpecifications"]
    assert {each["resourceType"] for each in specifications} == {"volume", "network-interface"}
    assert all(each["tags"]["bluegreen:service"] == "web" for each in specifications)


def test_gate_guard_and_image_check_are_bound_to_what_they_protect_and_to_nothing_else(declare: Any) -> None:
    declared = declare()
    version = declared.outputs["activeRelease"]["version"]
    assert declared.bound == {
        f"LaunchTemplate web-{version}": "image",
        "Listener web-production": "cutover,gate",
        f"Group web-{version}": "guard",
        f"Policy web-{version}": "guard",
        **{f"MetricAlarm web-{version}-{name}": "guard" for name in ("errors", "balancer", "latency", "unhealthy")},
    }


def test_the_guard_is_asked_before_an_update_of_machines_and_of_nothing_that_hangs_on_them(declare: Any) -> None:
    declared = declare()
    guarded = {name for name, each in declared.requests.items() if "guard" in each.hooks.before_update}
    assert guarded == {f"Group web-{declared.outputs['activeRelease']['version']}"}


def test_only_the_alarm_of_the_load_balancers_own_errors_is_of_all_target_groups(declare: Any) -> None:
    declared = declare()
    version = declared.outputs["activeRelease"]["version"]
    for name in ("errors", "balancer", "latency", "unhealthy"):
        queries = declared.one("MetricAlarm", f"web-{version}-{name}")["metricQueries"]
        dimensions = [query["metric"]["dimensions"] for query in queries if "metric" in query]
        assert dimensions
        for each in dimensions:
            assert each["LoadBalancer"] == "app/web/1"
            assert ("TargetGroup" in each) is (name != "balancer"), name


def test_machines_require_the_second_version_of_the_metadata_service(declare: Any) -> None:
    options = declare().one("LaunchTemplate")["metadataOptions"]
    assert options["httpTokens"] == "required"
    assert options["httpPutResponseHopLimit"] == 1
    assert options["instanceMetadataTags"] == "enabled", "a machine learns its release from its tag"


def test_the_root_volume_is_encrypted_gp3(declare: Any) -> None:
    (device,) = declare(rootDevice="/dev/sda1").one("LaunchTemplate")["blockDeviceMappings"]
    assert device["deviceName"] == "/dev/sda1"
    assert device["ebs"]["encrypted"] == "true"
    assert device["ebs"]["volumeType"] == "gp3"


def test_user_data_is_encoded_once(declare: Any) -> None:
    assert declare(userData="#!/bin/sh").one("LaunchTemplate")["userData"] == "IyEvYmluL3No"
    assert "userData" not in declare().one("LaunchTemplate")


def test_machines_have_the_key_pair_and_the_instance_profile_that_are_named(declare: Any) -> None:
    template = declare(keyPair="ops", instanceProfile="web").one("LaunchTemplate")
    assert template["keyName"] == "ops"
    assert template["iamInstanceProfile"] == {"name": "web"}


def test_machines_have_no_key_pair_and_no_role_unless_told(declare: Any) -> None:
    assert {"keyName", "iamInstanceProfile"}.isdisjoint(declare().one("LaunchTemplate"))


QUEUE = {
    "name": "queue",
    "namespace": "Shop",
    "metric": "Waiting",
    "dimensions": {"Group": "{{group}}"},
    "above": 100,
    "changes": [{"by": 1}, {"beyond": 50, "by": 3}],
}
IDLE = {"name": "idle", "namespace": "Shop", "metric": "Waiting", "below": 1, "changes": [{"by": -1}]}
MORNING = {"name": "morning", "recurrence": "0 8 * * mon-fri", "zone": "Europe/Berlin", "minSize": 4}
SCALING = {"cpuPercent": 50, "requestsPerTarget": 600, "steps": [QUEUE, IDLE], "schedules": [MORNING]}


def test_unless_told_otherwise_a_group_is_scaled_as_it_always_was(declare: Any) -> None:
    declared = declare()
    (policy,) = declared.of("Policy")
    configuration = policy.inputs["targetTrackingConfiguration"]
    assert configuration["predefinedMetricSpecification"] == {"predefinedMetricType": "ASGAverageCPUUtilization"}
    assert configuration["targetValue"] == 60
    assert policy.inputs["name"] == policy.name == f"web-{declared.outputs['activeRelease']['version']}"
    assert not declared.of("Schedule")


def test_a_group_follows_cpu_requests_and_any_metric(declare: Any) -> None:
    declared = declare(scaling=SCALING)
    name = f"web-{declared.outputs['activeRelease']['version']}"
    assert {each.name for each in declared.of("Policy")} == {name, f"{name}-requests", f"{name}-queue", f"{name}-idle"}
    tracked = declared.one("Policy", f"{name}-requests")["targetTrackingConfiguration"]
    assert tracked["predefinedMetricSpecification"] == {
        "predefinedMetricType": "ALBRequestCountPerTarget",
        "resourceLabel": "app/web/1/targetgroup/web/1",
    }
    assert tracked["targetValue"] == 600
    assert declared.one("Policy", f"{name}-queue")["stepAdjustments"] == [
        {"metricIntervalLowerBound": "0", "metricIntervalUpperBound": "50", "scalingAdjustment": 1},
        {"metricIntervalLowerBound": "50", "scalingAdjustment": 3},
    ]
    alarm = declared.one("MetricAlarm", f"scaling-{name}-queue")
    assert alarm["alarmActions"] == [f"arn:Policy:{name}-queue"]
    assert alarm["dimensions"] == {"Group": name}
    assert (alarm["comparisonOperator"], alarm["threshold"]) == ("GreaterThanOrEqualToThreshold", 100)
    action = declared.one("Schedule", f"{name}-morning")
    assert (action["minSize"], action["maxSize"], action["desiredCapacity"]) == (4, -1, -1)


def test_what_scales_a_group_attaches_once_the_traffic_is_on_it_and_is_guarded(declare: Any) -> None:
    declared = declare(scaling=SCALING)
    production = next(
        at for at, each in enumerate(declared.resources) if each.typ.endswith(":Listener") and "production" in each.name
    )
    for kind in ("Policy", "Schedule"):
        for each in declared.of(kind):
            assert declared.resources.index(each) > production
            assert declared.bound[f"{kind} {each.name}"] == "guard"
            assert declared.requests[f"{kind} {each.name}"].deletedWith
    assert all(declared.bound[f"MetricAlarm {each.name}"] == "guard" for each in declared.of("MetricAlarm"))


def test_only_the_sole_active_group_shrinks(declare: Any) -> None:
    active, candidate = (Release.from_settings(Settings(ami=ami)) for ami in (AMI, "ami-0123456789abcdef1"))
    fleet = {"serial": 1, "basis": active.version, "candidate": {"release": candidate.as_record(), "weight": 50}}
    for kept, may in ((fleet, False), ({"serial": 1}, True)):
        policies = [each.inputs for each in declare(scaling=SCALING, fleet=kept).of("Policy")]
        enabled = {each["name"].rpartition("-")[2]: each["enabled"] for each in policies if "enabled" in each}
        assert enabled == {"queue": True, "idle": may}
        tracking = [each["targetTrackingConfiguration"] for each in policies if "targetTrackingConfiguration" in each]
        assert {each["disableScaleIn"] for each in tracking} == {not may}


def test_a_standby_without_machines_gets_none_by_the_clock(declare: Any) -> None:
    old = Release.from_settings(Settings(ami="ami-0123456789abcdef1"))
    for size, schedules in (("zero", 1), ("full", 2)):
        fleet = {"serial": 1, "standbys": [{"release": old.as_record(), "size": size}]}
        assert len(declare(scaling=SCALING, fleet=fleet).of("Schedule")) == schedules


VOLUMES = [
    {"device": "/dev/xvda", "sizeGb": 50},
    {
        "device": "/dev/sdf",
        "sizeGb": 100,
        "type": "io2",
        "iops": 2000,
        "kmsKey": "arn:aws:kms:us-east-1:123456789012:key/1",
    },
]


def test_every_volume_is_encrypted_and_the_root_device_s_entry_is_its_own(declare: Any) -> None:
    root, data = declare(volumes=VOLUMES).one("LaunchTemplate")["blockDeviceMappings"]
    assert (root["deviceName"], root["ebs"]["volumeSize"], root["ebs"]["volumeType"]) == ("/dev/xvda", 50, "gp3")
    assert data["ebs"]["iops"] == 2000
    assert data["ebs"]["kmsKeyId"].endswith("key/1")
    assert {root["ebs"]["encrypted"], data["ebs"]["encrypted"]} == {"true"}


def test_user_data_from_a_template_has_the_release_in_it(declare: Any) -> None:
    template = "#!/bin/sh\necho {{ service }} {{release}} {{stack}} {{region}} {{port}} ${HOME} {{.Names}}"
    declared = declare(userDataTemplate=template)
    version = declared.outputs["activeRelease"]["version"]
    text = base64.b64decode(declared.one("LaunchTemplate")["userData"]).decode()
    assert text == f"#!/bin/sh\necho web {version} dev us-east-1 8080 ${{HOME}} {{{{.Names}}}}"


def test_a_group_has_its_hooks_from_the_start_and_time_for_their_farewell(declare: Any) -> None:
    hooks = [
        {"name": "warm", "transition": "launching", "heartbeatSeconds": 60, "defaultResult": "continue"},
        {"name": "drain", "transition": "terminating", "heartbeatSeconds": 1200},
    ]
    maintenance = {"minHealthyPercentage": 90, "maxHealthyPercentage": 110}
    declared = declare(lifecycleHooks=hooks, instanceMaintenance=maintenance)
    warm, drain = declared.one("Group")["initialLifecycleHooks"]
    assert warm == {
        "name": "warm",
        "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "heartbeatTimeout": 60,
        "defaultResult": "CONTINUE",
    }
    assert drain["defaultResult"] == "ABANDON"
    assert declared.one("Group")["instanceMaintenancePolicy"] == maintenance
    (group,) = declared.of("Group")
    timeouts = declared.requests[f"Group {group.name}"].customTimeouts
    assert (timeouts.update, timeouts.delete) == ("2120s", "2120s")


def test_a_group_keeps_machines_warm_only_where_told(declare: Any) -> None:
    assert not {"warmPool", "forceDeleteWarmPool"} & declare().one("Group").keys()
    group = declare(warmPool={"state": "running", "minimum": 1, "preparedMaximum": 5, "reuse": True}).one("Group")
    assert group["warmPool"] == {
        "poolState": "Running",
        "minSize": 1,
        "maxGroupPreparedCapacity": 5,
        "instanceReusePolicy": {"reuseOnScaleIn": True},
    }
    assert group["forceDeleteWarmPool"] is True
    assert declare(warmPool={"minimum": 1}).one("Group")["warmPool"] == {"poolState": "Stopped", "minSize": 1}


def test_what_has_no_machines_or_mixed_ones_keeps_none_warm(declare: Any) -> None:
    mixed = Settings(ami="ami-0123456789abcdef1", mixed_instances=MixedInstances(types=("t3a.small",)))
    old = Release.from_settings(Settings(ami="ami-0123456789abcdef2"))
    standbys = [
        {"release": Release.from_settings(mixed).as_record(), "size": "full"},
        {"release": old.as_record(), "size": "zero"},
    ]
    declared = declare(warmPool={"minimum": 1}, fleet={"serial": 1, "standbys": standbys})
    version = declared.outputs["activeRelease"]["version"]
    assert [each.name for each in declared.of("Group") if "warmPool" in each.inputs] == [f"web-{version}"]


def test_what_a_running_pool_would_never_hear_is_refused(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    version = declare().outputs["activeRelease"]["version"]
    live = replace(group("web"), release=version, pool=LivePool(size=0, minimum=2))
    monkeypatch.setattr(FakeObserver, "running", (live,))
    declare(warmPool={"minimum": 1})
    declare()  # taken away
    with pytest.raises(pulumi.RunError, match=r"bluegreen:warmPool\.minimum: is 0, and the pool that is there keeps 2"):
        declare(warmPool={"state": "stopped"})
    monkeypatch.setattr(FakeObserver, "running", (replace(live, release="00000000"),))
    declare(warmPool={"state": "stopped"})  # of a group that goes


TOPIC = "arn:aws:sns:us-east-1:123456789012:ops"


def test_nobody_hears_of_alarms_and_no_group_counts_its_machines_unless_told(declare: Any) -> None:
    declared = declare()
    assert all(not {"alarmActions", "okActions"} & each.inputs.keys() for each in declared.of("MetricAlarm"))
    assert "enabledMetrics" not in declared.one("Group")
    assert not declared.of("Dashboard")


def test_a_topic_hears_of_every_alarm_going_off_and_coming_back(declare: Any) -> None:
    alarms = declare(alarmTopic=TOPIC, alarms={"capacityMinutes": 5}).of("MetricAlarm")
    assert len(alarms) == 5
    assert all(each.inputs["alarmActions"] == each.inputs["okActions"] == [TOPIC] for each in alarms)


def test_a_topic_of_another_region_hears_nothing_and_is_refused(declare: Any) -> None:
    with pytest.raises(
        pulumi.RunError, match="is in eu-west-1, and alarms of us-east-1 go to topics of us-east-1 only"
    ):
        declare(alarmTopic=TOPIC.replace("us-east-1", "eu-west-1"))


def test_a_group_that_stays_at_its_most_machines_is_an_alarm(declare: Any) -> None:
    declared = declare(alarms={"capacityMinutes": 5}, maxSize="8")
    name = f"web-{declared.outputs['activeRelease']['version']}"
    assert declared.one("Group")["enabledMetrics"] == ["GroupDesiredCapacity"]
    alarm = declared.one("MetricAlarm", f"{name}-capacity")
    assert (alarm["threshold"], alarm["evaluationPeriods"], alarm["datapointsToAlarm"]) == (8, 5, 5)
    (query,) = alarm["metricQueries"]
    assert query["metric"]["dimensions"] == {"AutoScalingGroupName": name}
    assert query["metric"]["namespace"] == "AWS/AutoScaling"


def test_a_standby_without_machines_is_not_at_its_most(declare: Any) -> None:
    old = Release.from_settings(Settings(ami="ami-0123456789abcdef1"))
    fleet = {"serial": 1, "standbys": [{"release": old.as_record(), "size": "zero"}]}
    alarms = declare(alarms={"capacityMinutes": 5}, fleet=fleet).of("MetricAlarm")
    assert len([each for each in alarms if each.name.endswith("-capacity")]) == 1


def test_a_dashboard_has_a_line_for_each_release(declare: Any) -> None:
    active, candidate = (Release.from_settings(Settings(ami=ami)) for ami in (AMI, "ami-0123456789abcdef1"))
    fleet = {"serial": 1, "basis": active.version, "candidate": {"release": candidate.as_record(), "weight": 50}}
    dashboard = declare(dashboard="true", fleet=fleet).one("Dashboard")
    assert dashboard["dashboardName"] == "bluegreen-dev-web"
    requests, *_ = json.loads(dashboard["dashboardBody"])["widgets"]
    labels = [each[-1]["label"] for each in requests["properties"]["metrics"]]
    assert labels == [f"{active.version} (active)", f"{candidate.version} (candidate)"]


def test_a_certificate_that_ends_soon_is_an_alarm_that_stays(declare: Any) -> None:
    tls = {"domain": "shop.example.com", "certificate": ARN}
    alarm = declare(tls=tls, listenerPort=443, alarmTopic=TOPIC).one("MetricAlarm", "web-certificate")
    assert alarm["dimensions"] == {"CertificateArn": ARN}
    assert (alarm["comparisonOperator"], alarm["threshold"]) == ("LessThanOrEqualToThreshold", 30)
    assert alarm["treatMissingData"] == "ignore"
    assert alarm["alarmActions"] == [TOPIC]


def test_the_alarm_on_the_certificate_is_left_out_without_one_and_where_it_is_not_wanted(declare: Any) -> None:
    def alarms(**config: Any) -> list[str]:
        return [each.name for each in declare(**config).of("MetricAlarm") if each.name.endswith("-certificate")]

    tls = {"domain": "shop.example.com", "certificate": ARN}
    assert alarms() == []
    assert alarms(tls=tls, listenerPort=443) == ["web-certificate"]
    assert alarms(tls=tls, listenerPort=443, alarms={"certificateDays": 0}) == []


RIGHTS = {"parameters": True, "sessions": True}


def test_machines_get_a_role_of_their_own_with_the_rights_that_are_named(declare: Any) -> None:
    declared = declare(instanceRole=RIGHTS)
    (role,) = declared.of("Role")
    statements = json.loads(declared.one("RolePolicy")["policy"])["Statement"]
    assert [each["Sid"] for each in statements] == ["Parameters", "Sessions"]
    ours = "arn:aws:ssm:us-east-1:123456789012:parameter/bluegreen/bluegreen/dev/web"
    assert statements[0]["Resource"] == [ours, f"{ours}/*"]
    assert "ec2.amazonaws.com" in role.inputs["assumeRolePolicy"]
    assert declared.one("InstanceProfile")["role"] == role.name
    assert declared.one("LaunchTemplate")["iamInstanceProfile"] == {"name": role.name}


def test_a_profile_is_there_only_once_its_role_has_its_rights(declare: Any) -> None:
    declared = declare(instanceRole=RIGHTS)
    (policy,) = declared.of("RolePolicy")
    profile = declared.requests[f"InstanceProfile {policy.name}"]
    assert any(urn.endswith(f"RolePolicy::{policy.name}") for urn in profile.dependencies)


def test_releases_keep_the_rights_that_they_were_made_with_and_share_a_role_where_they_are_the_same(
    declare: Any,
) -> None:
    other = "ami-0123456789abcdef1"
    active = Release.from_settings(Settings.parse({"ami": AMI, "instanceRole": RIGHTS}))
    same = Release.from_settings(Settings.parse({"ami": other, "instanceRole": RIGHTS}))
    fewer = Release.from_settings(Settings.parse({"ami": other, "instanceRole": {"sessions": True}}))
    for candidate, roles in ((same, 1), (fewer, 2)):
        fleet = {"serial": 1, "basis": active.version, "candidate": {"release": candidate.as_record(), "weight": 50}}
        declared = declare(instanceRole=RIGHTS, fleet=fleet)
        assert len(declared.of("Role")) == roles
        profiles = {each.inputs["iamInstanceProfile"]["name"] for each in declared.of("LaunchTemplate")}
        assert len(profiles) == roles


def test_machines_of_several_types_and_markets(declare: Any) -> None:
    assert "mixedInstancesPolicy" not in declare().one("Group")
    mixed = {"types": ["t3a.small"], "onDemandBase": 2, "onDemandPercent": 25}
    group = declare(mixedInstances=mixed).one("Group")
    assert "launchTemplate" not in group
    policy = group["mixedInstancesPolicy"]
    assert policy["launchTemplate"]["overrides"] == [{"instanceType": "t3.small"}, {"instanceType": "t3a.small"}]
    assert policy["instancesDistribution"] == {
        "onDemandBaseCapacity": 2,
        "onDemandPercentageAboveBaseCapacity": 25,
        "spotAllocationStrategy": "price-capacity-optimized",
    }
    assert group["capacityRebalance"] is True
    assert "capacityRebalance" not in declare(mixedInstances={"types": ["t3a.small"]}).one("Group"), "nothing to lose"


def test_weights_are_of_every_type(declare: Any) -> None:
    mixed = {"types": ["t3a.large"], "weights": {"t3.small": 1, "t3a.large": 4}}
    policy = declare(mixedInstances=mixed).one("Group")["mixedInstancesPolicy"]
    assert policy["launchTemplate"]["overrides"] == [
        {"instanceType": "t3.small", "weightedCapacity": "1"},
        {"instanceType": "t3a.large", "weightedCapacity": "4"},
    ]


def test_a_group_of_weights_starts_with_as_much_as_the_active_one_has(
    declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = {f"i-{number}": "t3.small" for number in range(3)}
    live = replace(group("web", desired=3), instances=tuple(types), types=types, counts=dict.fromkeys(types, 1))
    monkeypatch.setattr(FakeObserver, "running", (live,))
    mixed = {"types": ["t3a.large"], "weights": {"t3.small": 2, "t3a.large": 4}}
    assert declare(mixedInstances=mixed, maxSize="9").one("Group")["desiredCapacity"] == 6


def test_machines_carry_service_stack_release_and_port(declare: Any) -> None:
    declared = declare(tags={"team": "a"}, port="8081")
    version = declared.outputs["activeRelease"]["version"]
    tags = {tag["key"]: tag["value"] for tag in declared.one("Group")["tags"]}
    assert tags == {
        "Name": f"web-{version}",
        "bluegreen:port": "8081",
        "bluegreen:project": "bluegreen",
        "bluegreen:release": version,
        "bluegreen:service": "web",
        "bluegreen:stack": "dev",
        "team": "a",
    }
    assert all(tag["propagateAtLaunch"] for tag in declared.one("Group")["tags"])


TAGGED = {
    "DefaultSecurityGroup",
    "Eip",
    "InternetGateway",
    "LaunchTemplate",
    "Listener",
    "LoadBalancer",
    "MetricAlarm",
    "NatGateway",
    "Parameter",
    "RouteTable",
    "SecurityGroup",
    "SecurityGroupEgressRule",
    "SecurityGroupIngressRule",
    "Subnet",
    "TargetGroup",
    "Vpc",
    "VpcEndpoint",
}


def test_every_resource_that_can_be_tagged_carries_service_and_stack(declare: Any) -> None:
    declared = declare(tags={"team": "a"})
    seen = {each.typ.rsplit(":", 1)[-1] for each in declared.resources if "tags" in each.inputs}
    assert seen == TAGGED | {"Group"}
    for each in declared.resources:
        if each.typ.rsplit(":", 1)[-1] in TAGGED:
            expected = {"bluegreen:service": "web", "bluegreen:stack": "dev", "team": "a"}
            assert expected.items() <= each.inputs["tags"].items(), each.typ
            assert each.inputs["tags"]["Name"]


def test_a_change_of_port_has_rules_of_its_own_so_that_the_old_fleet_keeps_its(declare: Any) -> None:
    names = {each.name for each in declare(port="9090").of("SecurityGroupIngressRule")}
    assert "web-machines-9090" in names
    assert "web-machines-8080" not in names


def test_the_preview_port_is_open_to_the_vpc_alone_unless_told_otherwise(declare: Any) -> None:
    def sources(declared: Declared) -> set[str]:
        rules = declared.of("SecurityGroupIngressRule")
        return {each.inputs["cidrIpv4"] for each in rules if each.inputs.get("fromPort") == 9000}

    assert sources(declare()) == {"10.0.0.0/16"}
    assert sources(declare(previewCidrs=["192.0.2.0/24", "198.51.100.0/24"])) == {"192.0.2.0/24", "198.51.100.0/24"}


@pytest.mark.parametrize(("nat", "zones", "gateways"), [("none", 2, 0), ("single", 3, 1), ("perZone", 3, 3)])
def test_nat_gateways(declare: Any, nat: str, zones: int, gateways: int) -> None:
    declared = declare(nat=nat, zones=str(zones))
    assert len(declared.of("NatGateway")) == len(declared.of("Eip")) == gateways
    routes = [each for each in declared.of("Route") if "natGatewayId" in each.inputs]
    assert len(routes) == (zones if gateways else 0)
    assert len({each.inputs["natGatewayId"] for each in routes}) == gateways


@pytest.mark.parametrize("zones", [2, 3])
def test_a_subnet_of_each_kind_in_each_zone(declare: Any, zones: int) -> None:
    declared = declare(zones=str(zones))
    for kind in ("public", "private"):
        found = {each.name: each.inputs["availabilityZone"] for each in declared.of("Subnet") if kind in each.name}
        assert found == {f"web-{kind}-{number}": f"us-east-1{'abc'[number]}" for number in range(zones)}


def test_subnets_stay_in_their_zone_whatever_zones_aws_adds(declare: Any) -> None:
    declared = declare()
    for number, kind in itertools.product(range(2), ("public", "private")):
        assert list(declared.requests[f"Subnet web-{kind}-{number}"].ignoreChanges) == ["availabilityZone"]


def test_outputs(declare: Any) -> None:
    outputs = declare(listenerPort="8080").outputs
    assert outputs["url"] == "http://web.elb.test:8080"
    assert outputs["previewUrl"] == "http://web.elb.test:9000"
    release = outputs["activeRelease"]
    assert release["image"] == AMI
    assert release["launch"]["instanceType"] == "t3.small"
    assert outputs["serverGroups"] == [
        {
            "release": release["version"],
            "image": AMI,
            "role": "active",
            "weight": 100,
            "autoScalingGroup": f"web-{release['version']}",
            "targetGroup": f"arn:TargetGroup:web-{release['version']}",
        }
    ]


def published(declared: Declared) -> dict[str, str]:
    return {each.inputs["name"]: each.inputs["insecureValue"] for each in declared.of("Parameter")}


def test_image_release_and_urls_are_published_for_other_systems(declare: Any) -> None:
    declared = declare(listenerPort="8080")
    assert published(declared) == {
        "/bluegreen/bluegreen/dev/web/image": AMI,
        "/bluegreen/bluegreen/dev/web/release": declared.outputs["activeRelease"]["version"],
        "/bluegreen/bluegreen/dev/web/url": "http://web.elb.test:8080",
        "/bluegreen/bluegreen/dev/web/preview-url": "http://web.elb.test:9000",
    }


def test_nothing_is_published_where_that_is_off(declare: Any) -> None:
    assert published(declare(publish="false")) == {}


def test_what_is_published_is_the_active_release_and_never_a_candidate(declare: Any) -> None:
    active, candidate = (Release.from_settings(Settings(ami=ami)) for ami in (AMI, "ami-0123456789abcdef1"))
    fleet = {"serial": 1, "basis": active.version, "candidate": {"release": candidate.as_record(), "weight": 50}}
    declared = declare(fleet=fleet)
    assert len(declared.of("Group")) == 2
    assert published(declared)["/bluegreen/bluegreen/dev/web/image"] == AMI
    assert published(declared)["/bluegreen/bluegreen/dev/web/release"] == active.version


@pytest.mark.parametrize("setting", ["true", "false"])
def test_the_load_balancer_is_protected_where_that_is_set(declare: Any, setting: str) -> None:
    balancer = declare(deletionProtection=setting).one("LoadBalancer")
    assert balancer["enableDeletionProtection"] is (setting == "true")


# -- a program of one's own


def two_services(stack: Stack) -> None:
    network = Network("shop", NetworkArgs.from_settings(stack.settings, stack=stack))
    for settings in (stack.settings, Settings(service="admin", ami=AMI, port=8081, publish=False)):
        balancer = Balancer(settings.service, BalancerArgs.from_settings(settings, stack=stack, network=network))
        service = Service(
            settings.service,
            ServiceArgs.from_settings(settings, stack=stack, network=network, balancer=balancer),
        )
        if settings is stack.settings:
            stack.export(service)


def test_a_program_has_several_services_in_one_network(declare: Any) -> None:
    declared = declare(two_services)
    assert {each.name for each in declared.of("Vpc")} == {"shop"}
    assert {each.name.rpartition("-")[0] for each in declared.of("Group")} == {"web", "admin"}
    assert {each.name for each in declared.of("Listener")} == {
        f"{service}-{purpose}" for service in ("web", "admin") for purpose in ("production", "preview")
    }
    assert declared.outputs["activeRelease"]["service"] == "web", "the one that it exports"
    assert {name.split("/")[4] for name in published(declared)} == {"web"}


def test_aws_is_asked_once_however_many_services_there_are(declare: Any) -> None:
    declare(two_services)
    assert FakeObserver.calls == ["groups"]


def test_a_service_that_is_new_in_a_program_beside_one_that_runs_is_no_other_name_of_it(
    declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeObserver, "running", (group("web", desired=4),))
    declared = declare(two_services)
    desired = {each.name.rpartition("-")[0]: each.inputs["desiredCapacity"] for each in declared.of("Group")}
    assert desired == {"web": 4, "admin": 2}


def test_the_serial_of_one_service_does_not_hold_back_another(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = declare(fleet={"serial": 3}).outputs["fleet"]
    monkeypatch.setattr(Aws, "last_outputs", {"fleet": fleet})
    assert declare(two_services, fleet={"serial": 3}).outputs["fleet"]["serial"] == 3
    with pytest.raises(pulumi.RunError, match="older than what runs"):
        declare(two_services, fleet={"serial": 2})


def services_behind_one_balancer(stack: Stack) -> None:
    network = Network("web", NetworkArgs.from_settings(stack.settings, stack=stack))
    balancer = Balancer("web", BalancerArgs.from_settings(stack.settings, stack=stack, network=network))
    for settings in (stack.settings, Settings(service="admin", ami=AMI)):
        args = ServiceArgs.from_settings(settings, stack=stack, network=network, balancer=balancer)
        Service(settings.service, args)


def service_of_another_name(stack: Stack) -> None:
    network = Network("web", NetworkArgs.from_settings(stack.settings, stack=stack))
    balancer = Balancer("web", BalancerArgs.from_settings(stack.settings, stack=stack, network=network))
    Service("shop", ServiceArgs.from_settings(stack.settings, stack=stack, network=network, balancer=balancer))


def service_of_another_network(stack: Stack) -> None:
    settings = Settings(ami=AMI, vpc_cidr="10.1.0.0/16")
    network = Network("web", NetworkArgs.from_settings(stack.settings, stack=stack))
    balancer = Balancer("web", BalancerArgs.from_settings(stack.settings, stack=stack, network=network))
    ServiceArgs.from_settings(settings, stack=stack, network=network, balancer=balancer)


def outputs_of_two(stack: Stack) -> None:
    two_services(stack)
    network = Network("third", NetworkArgs.from_settings(Settings(service="third", ami=AMI), stack=stack))
    settings = Settings(service="third", ami=AMI)
    balancer = Balancer("third", BalancerArgs.from_settings(settings, stack=stack, network=network))
    args = ServiceArgs.from_settings(settings, stack=stack, network=network, balancer=balancer)
    stack.export(Service("third", args))


def settings_that_do_not_fit(stack: Stack) -> None:
    stack.admit(Settings(ami=AMI, min_size=7))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (services_behind_one_balancer, "the load balancer web is the service web's, and can't be admin's too"),
        (service_of_another_name, "bluegreen:service: is web, and the service is declared as shop"),
        (
            service_of_another_network,
            r"bluegreen:vpcCidr: is 10\.1\.0\.0/16, and the network of the service web is 10\.0",
        ),
        (outputs_of_two, "the stack's outputs are of the service web already, not of third too"),
        (settings_that_do_not_fit, r"bluegreen:minSize: 7 is more than maxSize \(6\)"),
    ],
    ids=lambda it: it.__name__ if callable(it) else "",
)
def test_what_a_program_can_not_have_is_said(declare: Any, written: Callable[[Stack], None], said: str) -> None:
    with pytest.raises(pulumi.RunError, match=said):
        declare(written)


def test_a_program_whose_own_settings_have_no_image_is_refused_by_the_engine_and_can_be_destroyed(declare: Any) -> None:
    declared = declare(lambda stack: stack.admit(Settings(service="shop")) and None)
    assert [each.typ for each in declared.resources] == ["aws:ec2/launchTemplate:LaunchTemplate"]


def test_a_program_without_a_service_still_has_the_hooks_that_the_checkpoint_may_name(declare: Any) -> None:
    declare(lambda stack: None)
    assert FakeHooks.made == 1


def test_the_port_of_http_is_not_spelled_out(declare: Any) -> None:
    assert declare().outputs["url"] == "http://web.elb.test"


def test_a_checkpoint_that_is_being_written_is_read_again(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = ["failed to load checkpoint: EOF"] * 2
    monkeypatch.setattr(Aws, "torn_reads", reads)
    assert "fleet" in declare().outputs
    assert reads == []
