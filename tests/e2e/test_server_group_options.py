"""What a server group may have beyond an image: made, changed in place, taken away again."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.e2e.project import Project, eventually

pytestmark = pytest.mark.rollout

TOPIC = "arn:aws:sns:us-east-1:123456789012:ops"
STEP = {"name": "queue", "namespace": "Shop", "metric": "Waiting", "above": 100, "changes": [{"by": 1}]}
MORNING = {"name": "morning", "recurrence": "0 8 * * mon-fri", "zone": "Europe/Berlin", "minSize": 3}
HOOK = {"name": "warm", "transition": "launching", "heartbeatSeconds": 50}
OF_THE_RELEASE: dict[str, Any] = {
    "instance_role": {"parameters": True, "sessions": True},
    "volumes": [{"device": "/dev/xvda", "sizeGb": 20}, {"device": "/dev/sdf", "sizeGb": 10}],
    "user_data_template": "{{service}} {{release}}",
    "instance_maintenance": {"minHealthyPercentage": 90, "maxHealthyPercentage": 120},
    "lifecycle_hooks": [HOOK],
}
IN_PLACE: dict[str, Any] = {
    "scaling": {"cpuPercent": 50, "requestsPerTarget": 600, "steps": [STEP], "schedules": [MORNING]},
    "alarms": {"capacityMinutes": 3},
    "alarm_topic": TOPIC,
    "dashboard": True,
}


def complete_launches(project: Project, name: str) -> bool:
    """Speak for every machine of the release that waits for it; whether all of them are in service."""
    group = next((each for key, each in project.groups().items() if key.startswith(name)), None)
    for instance in group["Instances"] if group else []:
        if instance["LifecycleState"] == "Pending:Wait":
            project.aws("autoscaling").complete_lifecycle_action(
                AutoScalingGroupName=group["AutoScalingGroupName"],
                LifecycleHookName="warm",
                LifecycleActionResult="CONTINUE",
                InstanceId=instance["InstanceId"],
            )
    states = [each["LifecycleState"] for each in group["Instances"]] if group else []
    return len(states) >= 2 and set(states) == {"InService"}


class TestOptions:
    def test_a_first_group_has_none_of_them(self, project: Project) -> None:
        first = project.up(ami=project.image("1"))
        assert first.code == 0, first.output
        assert not {"Role", "Dashboard", "Schedule"} & {each["type"].rpartition(":")[2] for each in project.resources}

    def test_a_running_group_takes_scaling_and_alarms_in_place(self, project: Project) -> None:
        before, groups = project.release, set(project.groups())
        changed = project.up(**IN_PLACE)
        assert changed.code == 0, changed.output
        assert (project.release, set(project.groups())) == (before, groups)
        name = f"web-{before}"
        autoscaling, cloudwatch = project.aws("autoscaling"), project.aws("cloudwatch")
        policies = {each["PolicyName"] for each in autoscaling.describe_policies()["ScalingPolicies"]}
        assert policies == {name, f"{name}-requests", f"{name}-queue"}
        (action,) = autoscaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"]
        assert (action["ScheduledActionName"], action["MinSize"]) == (f"{name}-morning", 3)
        alarms = cloudwatch.describe_alarms()["MetricAlarms"]
        of_step = [each for each in alarms if each["AlarmName"].startswith("scaling-")]
        assert [each["AlarmActions"][0].rpartition("policyName/")[2] for each in of_step] == [f"{name}-queue"]
        assert all(each["OKActions"] == [TOPIC] for each in alarms if each not in of_step)
        body = json.loads(cloudwatch.get_dashboard(DashboardName="bluegreen-sandbox-web")["DashboardBody"])
        assert before in body["widgets"][0]["properties"]["metrics"][0][-1]["label"]
        capacity = next(each for each in alarms if "-capacity-" in each["AlarmName"])
        eventually(
            lambda: (
                cloudwatch.describe_alarms(AlarmNames=[capacity["AlarmName"]])["MetricAlarms"][0]["StateValue"] == "OK"
            )
        )

    def test_nothing_changes_where_nothing_was_changed(self, project: Project) -> None:
        again = project.pulumi("up", "--skip-preview", "--stack", project.stack)
        assert again.code == 0, again.output
        assert again.changes == {}
        assert not again.writes

    def test_what_machines_are_launched_with_is_another_release(self, project: Project) -> None:
        before = project.release
        begun = project.begin_up(**OF_THE_RELEASE)
        versions = lambda: {name.split("-")[1] for name in project.groups()} - {before}  # noqa: E731
        (version,) = eventually(versions)
        eventually(lambda: complete_launches(project, f"web-{version}"))
        changed = begun.finish()
        assert changed.code == 0, changed.output
        assert project.release == version
        (group,) = project.groups().values()
        assert group["InstanceMaintenancePolicy"] == {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 120}
        ec2 = project.aws("ec2")
        (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
        (found,) = ec2.describe_launch_template_versions(LaunchTemplateId=template["LaunchTemplateId"])[
            "LaunchTemplateVersions"
        ]
        data = found["LaunchTemplateData"]
        assert base64.b64decode(data["UserData"]).decode() == f"web {version}"
        assert [each["Ebs"]["VolumeSize"] for each in data["BlockDeviceMappings"]] == [20, 10]
        profile = project.aws("iam").get_instance_profile(InstanceProfileName=data["IamInstanceProfile"]["Name"])
        (role,) = profile["InstanceProfile"]["Roles"]
        (policy,) = project.aws("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        document = project.aws("iam").get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
        assert [each["Sid"] for each in document["Statement"]] == ["Parameters", "Sessions"]

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"alarm_topic": TOPIC.replace("us-east-1", "eu-west-1")}, "is in eu-west-1"),
            ({"instance_role": {"sesions": True}}, "did you mean sessions?"),
            ({"scaling": {"schedules": [MORNING | {"minSize": 9}]}}, "within minSize and maxSize"),
            ({"user_data_template": "{{relase}}"}, "did you mean release?"),
        ],
        ids=lambda it: next(iter(it)) if isinstance(it, dict) else "",
    )
    def test_what_can_not_be_is_refused_before_anything_changes(
        self, project: Project, settings: dict[str, Any], said: str
    ) -> None:
        refused = project.up(**settings)
        project.configure(**{name: {**OF_THE_RELEASE, **IN_PLACE}[name] for name in settings})
        assert refused.code != 0
        assert said in refused.output
        assert not refused.writes
        assert refused.has_no_traceback, refused.output

    def test_all_of_it_can_be_taken_away(self, project: Project) -> None:
        gone = project.up(**dict.fromkeys([*OF_THE_RELEASE, *IN_PLACE]))
        assert gone.code == 0, gone.output
        roles = [each["RoleName"] for each in project.aws("iam").list_roles()["Roles"]]
        assert roles == ["AWSServiceRoleForAutoScaling"]
        assert not project.aws("cloudwatch").list_dashboards()["DashboardEntries"]
        assert not project.aws("autoscaling").describe_scheduled_actions()["ScheduledUpdateGroupActions"]
        (policy,) = project.aws("autoscaling").describe_policies()["ScalingPolicies"]
        assert policy["PolicyName"] == f"web-{project.release}"
        assert all(not each["OKActions"] for each in project.aws("cloudwatch").describe_alarms()["MetricAlarms"])
