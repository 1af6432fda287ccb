"""All options of the architecture in one stack: what is right alone may be wrong together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.rollout

DOMAIN = "shop.example.com"
ACCOUNT = "123456789012"
LOGS_OF_BALANCERS = "127311923021"


def logs(project: Project) -> str:
    s3 = project.aws("s3")
    s3.create_bucket(Bucket="logs")
    s3.put_bucket_policy(
        Bucket="logs",
        Policy=json.dumps(
            {
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{LOGS_OF_BALANCERS}:root"},
                    "Action": "s3:PutObject",
                    "Resource": "arn:aws:s3:::logs/*",
                }
            }
        ),
    )
    return "logs"


def test_all_options_together_are_made_changed_and_taken_away(project: Project) -> None:
    project.aws("route53").create_hosted_zone(Name="example.com", CallerReference="1")
    project.aws("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    acl = project.aws("wafv2").create_web_acl(
        Name="web",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "web"},
    )["Summary"]["ARN"]
    topic = project.aws("sns").create_topic(Name="alarms")["TopicArn"]
    everything: dict[str, Any] = {
        "zones": 3,
        "nat": "perZone",
        "endpoints": ["management"],
        "flow_logs": {"days": 30},
        "ipv6": True,
        "listener_port": 8443,
        "tls": {"domain": DOMAIN, "zone": "example.com", "redirectPort": 8080},
        "dns": {"zone": "example.com", "names": [DOMAIN]},
        "access_logs": {"bucket": logs(project), "prefix": "web"},
        "web_acl": acl,
        "idle_timeout_seconds": 120,
        "min_size": 1,
        "desired_capacity": 1,
        "volumes": [{"device": "/dev/sdf", "sizeGb": 10}],
        "instance_role": {"sessions": True, "metrics": "web", "artifacts": True, "backups": True, "parameters": True},
        "mixed_instances": {"types": ["t3.medium"], "onDemandBase": 1, "onDemandPercent": 50},
        "instance_maintenance": {"minHealthyPercentage": 100, "maxHealthyPercentage": 150},
        "scaling": {
            "cpuPercent": 50,
            "requestsPerTarget": 1000,
            "schedules": [{"name": "morning", "recurrence": "0 8 * * *", "minSize": 2}],
        },
        "alarms": {"capacityMinutes": 10, "certificateDays": 20},
        "alarm_topic": topic,
        "dashboard": True,
        "encryption": {"key": "own", "keepOnDestroy": False},
        "artifacts": {"oldVersionDays": 30, "keepOnDestroy": False},
        "backups": {"days": 35, "keepOnDestroy": False, "uploaders": [f"arn:aws:iam::{ACCOUNT}:role/backup"]},
        "group_stickiness_seconds": 2,
        "target_stickiness_seconds": 2,
    }
    made = project.up(ami=project.image("1"), **everything)
    assert made.code == 0, made.output
    first = project.release
    unchanged = project.up()
    assert unchanged.code == 0, unchanged.output
    assert not unchanged.writes
    image = project.image("2")
    planned = project.bluegreen("plan", project.stack, "--ami", image)
    assert planned.code == 0, planned.output
    changed = project.up(ami=image)
    assert changed.code == 0, changed.output
    assert f"; {changed.changes['create']} to create, {changed.changes['update']} to update" in planned.output
    assert changed.changes["delete"] == changed.changes["create"], "a server group and all that hangs on it"
    assert project.release != first
    gone = project.pulumi("destroy", "--yes", "--run-program")
    assert gone.code == 0, gone.output
    assert not project.groups()
