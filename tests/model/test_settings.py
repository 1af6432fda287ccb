"""The stack's config: what is taken, what is refused, and that all faults come at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bluegreen.errors import SettingsError
from bluegreen.model.nat import Nat
from bluegreen.model.settings import HealthCheck, Settings

PROJECT = Path(__file__).parents[2]
AMI = "ami-0123456789abcdef0"


def faults(**config: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"ami": AMI, **config})
    return {fault.path.removeprefix("bluegreen:"): fault.message for fault in caught.value.faults}


def schema() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]


def test_numbers_come_as_text_and_objects_as_json() -> None:
    settings = Settings.parse(
        {
            "ami": AMI,
            "minSize": "3",
            "healthCheck": '{"path": "/up", "matcher": 204}',
            "previewCidrs": '["10.1.0.0/16"]',
            "nat": "perZone",
        }
    )
    assert settings.min_size == 3
    assert settings.health_check.path == "/up"
    assert settings.health_check.matcher == "204"
    assert settings.health_check.interval_seconds == 5, "keys that are left out keep their default"
    assert settings.preview_sources == ("10.1.0.0/16",)
    assert settings.nat is Nat.PER_ZONE


def test_only_ami_has_no_default() -> None:
    assert Settings.parse({}).ami is None
    assert [key for key, entry in schema().items() if "default" not in entry] == ["ami"]


def test_settings_without_an_image_have_no_release() -> None:
    with pytest.raises(SettingsError, match="bluegreen:ami: is unset"):
        _ = Settings.parse({}).image


def test_the_schema_in_pulumi_yaml_says_the_same_as_the_settings() -> None:
    assert list(schema()) == [field.alias or name for name, field in Settings.model_fields.items()]
    defaults = {key: entry["default"] for key, entry in schema().items() if "default" in entry}
    assert Settings.parse(defaults) == Settings.parse({})


@pytest.mark.parametrize("key", schema())
def test_every_key_is_described_and_typed(key: str) -> None:
    assert schema()[key]["description"].endswith(".")
    assert schema()[key]["type"] in {"string", "integer", "boolean", "array", "object"}


def test_defaults_are_good_by_themselves_in_the_form_that_the_engine_hands_over() -> None:
    as_text = {
        key: entry["default"] if isinstance(entry["default"], str) else json.dumps(entry["default"])
        for key, entry in schema().items()
        if "default" in entry
    }
    assert Settings.parse({"ami": AMI, **as_text}) == Settings.parse({"ami": AMI})


@pytest.mark.parametrize("stack_file", sorted((PROJECT / "stacks").glob("Pulumi.*.yaml")), ids=lambda file: file.name)
def test_every_stack_file_parses(stack_file: Path) -> None:
    config = yaml.safe_load(stack_file.read_text())["config"]
    Settings.parse({key.removeprefix("bluegreen:"): value for key, value in config.items() if "bluegreen:" in key})


@pytest.mark.parametrize("ami", ["ami-1234abcd", "ami-0123456789abcdef0"])
def test_both_lengths_of_image_ids_are_taken(ami: str) -> None:
    assert Settings.parse({"ami": ami}).image == ami


@pytest.mark.parametrize("ami", ["1234abcd", "ami-", "ami-1234ABCD", "ami-1234abcd ", "ami-0123456789abcdef0a"])
def test_a_malformed_image_id_is_refused_when_the_image_is_asked_for(ami: str) -> None:
    settings = Settings.parse({"ami": ami})
    with pytest.raises(SettingsError, match="is not the id of an AMI"):
        _ = settings.image


@pytest.mark.parametrize("service", ["web", "w", "web-2", "a23456789012345", "Api"])
def test_service_names_that_fit(service: str) -> None:
    assert Settings.parse({"ami": AMI, "service": service}).service == service


@pytest.mark.parametrize("service", ["a234567890123456", "-web", "web-", "we_b", "we b", "wéb", "internal-x"])
def test_service_names_that_aws_would_refuse(service: str) -> None:
    assert "service" in faults(service=service)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("minSize", "-1"),
        ("minSize", "two"),
        ("maxSize", "0"),
        ("desiredCapacity", "0"),
        ("port", "0"),
        ("port", "65536"),
        ("listenerPort", "http"),
        ("previewPort", "70000"),
        ("idleTimeoutSeconds", "-1"),
        ("idleTimeoutSeconds", "4001"),
        ("internal", "maybe"),
        ("zones", "1"),
        ("zones", "7"),
        ("nat", "two"),
        ("drainSeconds", "3601"),
        ("drainSeconds", "-1"),
        ("progressDeadlineSeconds", "0"),
        ("instanceType", "small"),
        ("rootDevice", "xvda"),
        ("vpcCidr", "10.0.0.0"),
        ("vpcCidr", "10.0.0.1/16"),
        ("vpcCidr", "10.0.0.0/33"),
        ("vpcCidr", "10.0.0.0/8"),
        ("vpcCidr", "10.0.0.0/28"),
        ("vpcCidr", "fd00::/56"),
        ("previewCidrs", "10.0.0.0/8"),
        ("previewCidrs", '{"a": 1}'),
        ("healthCheck", "{"),
        ("healthCheck", "[]"),
        ("tags", "[1]"),
        ("tags", "{"),
        ("userData", "x" * 16385),
    ],
)
def test_values_out_of_range_or_of_another_type_are_refused_by_path(key: str, value: str) -> None:
    assert any(path == key or path.startswith(f"{key}.") for path in faults(**{key: value}))


@pytest.mark.parametrize(
    ("check", "path"),
    [
        ({"path": "health"}, "healthCheck.path"),
        ({"path": "/he alth"}, "healthCheck.path"),
        ({"intervalSeconds": 4}, "healthCheck.intervalSeconds"),
        ({"intervalSeconds": 301}, "healthCheck.intervalSeconds"),
        ({"timeoutSeconds": 1}, "healthCheck.timeoutSeconds"),
        ({"timeoutSeconds": 5}, "healthCheck"),
        ({"healthyThreshold": 1}, "healthCheck.healthyThreshold"),
        ({"unhealthyThreshold": 11}, "healthCheck.unhealthyThreshold"),
        ({"matcher": "600"}, "healthCheck.matcher"),
        ({"matcher": "299-200"}, "healthCheck.matcher"),
        ({"matcher": "ok"}, "healthCheck.matcher"),
        ({"port": 1}, "healthCheck.port"),
    ],
)
def test_faults_of_the_health_check_have_their_own_path(check: dict[str, Any], path: str) -> None:
    assert path in faults(healthCheck=json.dumps(check))


@pytest.mark.parametrize("matcher", ["200", "200,204", "200-299", "200-204,301"])
def test_matchers_that_a_load_balancer_takes(matcher: str) -> None:
    assert Settings.parse({"ami": AMI, "healthCheck": {"matcher": matcher}}).health_check.matcher == matcher


def test_nothing_is_asked_of_a_candidate_by_default_but_its_release_is_known() -> None:
    settings = Settings.parse({"ami": AMI})
    assert settings.smoke_tests == ()
    assert settings.gate_command is None
    assert (settings.attest.path, settings.attest.json_field) == ("/version", "release")


def test_a_smoke_test_asks_for_a_200_three_times_unless_told_otherwise() -> None:
    (plain, full) = Settings.parse(
        {
            "ami": AMI,
            "smokeTests": """[{}, {"path": "/ready?deep=1", "status": [200, "204"], "body": "ok", "json": {"a.b": 1},
                                   "latencySeconds": 0.5, "timesInARow": 5, "timeoutSeconds": 2}]""",
        }
    ).smoke_tests
    assert (plain.path, plain.status, plain.times_in_a_row, plain.timeout_seconds) == ("/", "200", 3, 5)
    assert (full.path, full.status, full.json_values) == ("/ready?deep=1", "200,204", {"a.b": 1})
    assert (full.latency_seconds, full.times_in_a_row, full.timeout_seconds) == (0.5, 5, 2)


@pytest.mark.parametrize(
    ("test", "path"),
    [
        ({"path": "ready"}, "path"),
        ({"path": "/re ady"}, "path"),
        ({"path": "/é"}, "path"),
        ({"path": "/#top"}, "path"),
        ({"status": 600}, "status"),
        ({"status": "299-200"}, "status"),
        ({"status": []}, "status"),
        ({"status": True}, "status"),
        ({"body": 3}, "body"),
        ({"json": {"a..b": 1}}, "json"),
        ({"json": [1]}, "json"),
        ({"latencySeconds": 0}, "latencySeconds"),
        ({"latencySeconds": -1}, "latencySeconds"),
        ({"timesInARow": 0}, "timesInARow"),
        ({"timeoutSeconds": 0}, "timeoutSeconds"),
        ({"timeoutSeconds": 61}, "timeoutSeconds"),
        ({"latencySeconds": 6}, ""),
        ({"expect": 200}, "expect"),
    ],
)
def test_a_bad_smoke_test_is_refused_by_its_place_in_the_list(test: dict[str, Any], path: str) -> None:
    assert set(faults(smokeTests=[{"path": "/"}, test])) == {f"smokeTests[1].{path}".rstrip(".")}


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ({"command": "make smoke"}, "gateCommand.command"),
        ({"command": []}, "gateCommand.command"),
        ({"command": [""]}, "gateCommand.command"),
        ({"command": ["a\0b"]}, "gateCommand.command"),
        ({"command": ["sleep", 5]}, "gateCommand.command[1]"),
        ({"command": ["a"], "timeoutSeconds": 0}, "gateCommand.timeoutSeconds"),
        ({"command": ["a"], "shell": True}, "gateCommand.shell"),
        ({"timeoutSeconds": 5}, "gateCommand.command"),
    ],
)
def test_a_bad_gate_command_is_refused_by_path(command: dict[str, Any], path: str) -> None:
    assert set(faults(gateCommand=json.dumps(command))) == {path}


def test_a_command_is_words_and_not_a_line_for_a_shell() -> None:
    assert (
        "['make', 'smoke']: no shell reads it" in faults(gateCommand={"command": "make smoke"})["gateCommand.command"]
    )
    assert faults(gateCommand={"timeoutSeconds": 5}) == {"gateCommand.command": "is missing"}


def test_attesting_is_by_field_or_by_header_and_off_where_empty() -> None:
    assert not Settings.parse({"ami": AMI, "attest": "{}"}).attest.is_on
    assert Settings.parse({"ami": AMI, "attest": {"header": "X-Release"}}).attest.header == "X-Release"
    assert "both json and header" in faults(attest={"json": "a", "header": "b"})["attest"]
    assert "{} attests nothing" in faults(attest={"path": "/release"})["attest"]
    assert "attest.header" in faults(attest={"header": "X Release"})
    assert "attest.path" in faults(attest={"path": "release", "json": "a"})
    assert faults(attest={"jsn": "a"})["attest.jsn"] == "unknown key; did you mean json?"


@pytest.mark.parametrize("percentage", ["0", "101", "-1", "half"])
def test_a_share_of_healthy_machines_is_a_percentage(percentage: str) -> None:
    assert "minHealthyPercentage" in faults(minHealthyPercentage=percentage)


@pytest.mark.parametrize("name", ["ops", "ops team (2024)", "~", "k" * 255])
def test_names_of_key_pairs_that_ec2_takes(name: str) -> None:
    assert Settings.parse({"ami": AMI, "keyPair": name}).key_pair == name


@pytest.mark.parametrize("name", [" ops", "ops ", "schlüssel", "a\nb", "ops\n", "k" * 256])
def test_names_of_key_pairs_that_ec2_would_refuse(name: str) -> None:
    assert "is not the name of a key pair" in faults(keyPair=name)["keyPair"]


@pytest.mark.parametrize("name", ["web", "Web_1+=,.@-", "p" * 128])
def test_names_of_instance_profiles_that_iam_takes(name: str) -> None:
    assert Settings.parse({"ami": AMI, "instanceProfile": name}).instance_profile == name


@pytest.mark.parametrize("name", ["a b", "/team/web", "wéb", "web\n", "p" * 129])
def test_names_of_instance_profiles_that_iam_would_refuse(name: str) -> None:
    assert "is not the name of an instance profile" in faults(instanceProfile=name)["instanceProfile"]


@pytest.mark.parametrize(
    ("key", "arn"),
    [
        ("keyPair", "arn:aws:ec2:us-east-1:111111111111:key-pair/key-0123456789abcdef0"),
        ("instanceProfile", "arn:aws:iam::111111111111:instance-profile/web"),
    ],
)
def test_an_arn_in_place_of_a_name_is_refused_as_one(key: str, arn: str) -> None:
    assert "the name, not the ARN" in faults(**{key: arn})[key]


KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        "mrk-" + "0a" * 16,
        "alias/images",
        f"arn:aws:kms:eu-west-1:111111111111:key/{KEY}",
        "arn:aws-cn:kms:cn-north-1:111111111111:alias/team/images",
    ],
)
def test_keys_that_a_copy_of_an_image_can_be_under(key: str) -> None:
    assert Settings.parse({"ami": AMI, "imageKmsKey": key}).image_kms_key == key


@pytest.mark.parametrize("key", ["alias/aws/ebs", "images", f"arn:aws:kms:eu-west-1:111111111111:{KEY}", f"key/{KEY}"])
def test_what_is_no_key_of_a_customers_is_refused(key: str) -> None:
    assert "is not a customer managed KMS key" in faults(imageKmsKey=key)["imageKmsKey"]


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    assert faults(minSiz="1") == {"minSiz": "unknown key; did you mean minSize?"}
    assert faults(healthCheck={"pat": "/x"}) == {"healthCheck.pat": "unknown key; did you mean path?"}
    assert faults(zzzzzzz="1") == {"zzzzzzz": "unknown key"}


def test_a_minimum_above_the_maximum_is_refused() -> None:
    assert "more than maxSize (6)" in faults(minSize="7")["minSize"]


def test_preview_and_production_need_different_ports() -> None:
    assert "listenerPort too" in faults(previewPort="80")["previewPort"]


def test_preview_networks_must_not_overlap() -> None:
    assert "overlap" in faults(previewCidrs='["10.0.0.0/8", "10.1.0.0/16"]')["previewCidrs"]


def test_the_network_has_room_for_two_fleets() -> None:
    assert "side by side" in faults(vpcCidr="10.0.0.0/24", maxSize="40")["vpcCidr"]


@pytest.mark.parametrize("key", ["aws:x", "AWS:x", "bluegreen:x", "Name", "a b", "a/b", "", "_index", "k" * 129])
def test_tags_that_can_not_be_set_are_refused(key: str) -> None:
    assert "tags" in faults(tags={key: "x"})


@pytest.mark.parametrize("value", ["x#y", "a|b", "x" * 257, "a\nb"])
def test_values_of_tags_that_can_not_be_set_are_refused(value: str) -> None:
    assert "tags" in faults(tags={"team": value})


def test_an_exemption_names_a_policy_that_there_is_and_has_a_reason() -> None:
    assert (
        "there is no policy 'CKV_AWS_15'; did you mean CKV_AWS_150?"
        in faults(policyExemptions={"CKV_AWS_15": "no"})["policyExemptions"]
    )
    assert (
        "the exemption from CKV_AWS_91 needs a reason"
        in faults(policyExemptions={"CKV_AWS_91": " "})["policyExemptions"]
    )
    assert Settings.parse({"policyExemptions": {"CKV_AWS_91": "no bucket"}}).policy_exemptions


def test_more_tags_than_aws_takes_are_refused() -> None:
    assert "41 tags" in faults(tags={f"tag-{number}": "x" for number in range(41)})["tags"]


def test_all_faults_come_in_one_message_each_with_its_path() -> None:
    found = faults(
        ami="nope",
        minSize="9",
        maxSize="3",
        previewPort="80",
        vpcCidr="10.0.0.0/28",
        colour="green",
        zones="1",
        healthCheck='{"path": "x", "timeoutSeconds": "soon"}',
    )
    assert set(found) == {
        "ami",
        "colour",
        "healthCheck.path",
        "healthCheck.timeoutSeconds",
        "minSize",
        "previewPort",
        "vpcCidr",
        "zones",
    }


def test_an_unset_image_is_named_along_with_the_other_faults() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.parse({"minSize": "9"})
    assert "bluegreen:ami: is unset" in str(caught.value)
    assert "bluegreen:minSize: 9 is more than" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)


def test_settings_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.parse({}).min_size = 3  # type: ignore[misc]


# -- soak, alarms, migration, stickiness


def test_nothing_is_soaked_or_migrated_by_default_and_every_release_has_its_alarms() -> None:
    settings = Settings.parse({"ami": AMI})
    assert (settings.soak_seconds, settings.soak_alarms, settings.migration) == (0, (), None)
    assert settings.auto_rollback
    alarms = settings.alarms
    assert (alarms.error_percent, alarms.latency_seconds, alarms.unhealthy_hosts) == (5, 2, 1)


def test_limits_of_alarms_that_are_left_out_keep_their_default_and_zero_is_a_limit() -> None:
    alarms = Settings.parse({"ami": AMI, "alarms": '{"latencySeconds": 0, "errorPercent": 0.5}'}).alarms
    assert (alarms.error_percent, alarms.latency_seconds, alarms.unhealthy_hosts) == (0.5, 0, 1)


@pytest.mark.parametrize(
    ("alarms", "path"),
    [
        ({"errorPercent": 101}, "alarms.errorPercent"),
        ({"errorPercent": -1}, "alarms.errorPercent"),
        ({"errorPercent": "NaN"}, "alarms.errorPercent"),
        ({"latencySeconds": -0.1}, "alarms.latencySeconds"),
        ({"latencySeconds": "Infinity"}, "alarms.latencySeconds"),
        ({"unhealthyHosts": -1}, "alarms.unhealthyHosts"),
        ({"unhealthyHosts": 0.5}, "alarms.unhealthyHosts"),
        ({"unhealthyHost": 1}, "alarms.unhealthyHost"),
    ],
)
def test_a_bad_limit_of_an_alarm_is_refused_by_path(alarms: dict[str, Any], path: str) -> None:
    assert set(faults(alarms=json.dumps(alarms))) == {path}


@pytest.mark.parametrize("seconds", ["-1", "86401", "long", "1.5"])
def test_a_soak_is_whole_seconds_up_to_a_day(seconds: str) -> None:
    assert set(faults(soakSeconds=seconds)) == {"soakSeconds"}
    assert Settings.parse({"ami": AMI, "soakSeconds": "86400"}).soak_seconds == 86400


@pytest.mark.parametrize("name", ["checkout", "Checkout: 5xx (prod)", "a" * 255, "~", "web/5xx"])
def test_names_of_alarms_that_cloudwatch_takes(name: str) -> None:
    assert Settings.parse({"ami": AMI, "soakAlarms": json.dumps([name])}).soak_alarms == (name,)


@pytest.mark.parametrize("name", ["", " checkout", "a" * 256, "a\nb", "größe"])
def test_names_of_alarms_that_cloudwatch_would_refuse(name: str) -> None:
    found = faults(soakAlarms=json.dumps(["good", name]))
    assert set(found) == {"soakAlarms[1]"}
    assert "is not the name of an alarm" in found["soakAlarms[1]"]


def test_an_alarm_that_is_named_twice_is_refused_with_its_name() -> None:
    found = faults(soakAlarms='["a", "b", "a", "c", "c"]')
    assert found == {"soakAlarms": "names a, c twice"}


def test_no_more_alarms_are_taken_than_one_question_holds() -> None:
    names = [f"alarm-{number}" for number in range(101)]
    assert "101 names" in faults(soakAlarms=json.dumps(names))["soakAlarms"]
    assert len(Settings.parse({"ami": AMI, "soakAlarms": json.dumps(names[:100])}).soak_alarms) == 100


@pytest.mark.parametrize("names", ["checkout", '{"a": 1}', "[1]", "["])
def test_alarms_are_a_list_of_names(names: str) -> None:
    assert any(path.startswith("soakAlarms") for path in faults(soakAlarms=names))


def test_a_migration_is_a_command_and_its_faults_are_told_as_its_own() -> None:
    migration = Settings.parse({"ami": AMI, "migration": '{"command": ["./migrate", "up"]}'}).migration
    assert migration is not None
    assert (migration.command, migration.timeout_seconds) == (("./migrate", "up"), 300)
    assert Settings.parse({"ami": AMI, "migration": "{}"}).migration is None
    assert set(faults(migration={"command": "./migrate up"})) == {"migration.command"}
    assert set(faults(migration={"timeoutSeconds": 5})) == {"migration.command"}
    assert faults(migration={"comand": ["a"]})["migration.comand"] == "unknown key; did you mean command?"


def test_target_stickiness_needs_group_stickiness() -> None:
    found = faults(targetStickinessSeconds="60")
    assert set(found) == {"targetStickinessSeconds"}
    assert "needs groupStickinessSeconds too" in found["targetStickinessSeconds"]
    both = Settings.parse({"ami": AMI, "targetStickinessSeconds": "60", "groupStickinessSeconds": "300"})
    assert (both.target_stickiness_seconds, both.group_stickiness_seconds) == (60, 300)
    assert Settings.parse({"ami": AMI, "groupStickinessSeconds": "300"}).group_stickiness_seconds == 300


@pytest.mark.parametrize("key", ["groupStickinessSeconds", "targetStickinessSeconds"])
@pytest.mark.parametrize("value", ["-1", "604801", "a day"])
def test_stickiness_lasts_seven_days_at_most(key: str, value: str) -> None:
    assert set(faults(**{"groupStickinessSeconds": "60", "targetStickinessSeconds": "60", key: value})) == {key}


@pytest.mark.parametrize("value", ["yes please", "2", "[]"])
def test_whether_to_roll_back_is_true_or_false(value: str) -> None:
    assert set(faults(autoRollback=value)) == {"autoRollback"}
    assert not Settings.parse({"ami": AMI, "autoRollback": "false"}).auto_rollback


def test_a_program_makes_settings_by_their_python_names() -> None:
    made = Settings(ami=AMI, min_size=3, health_check=HealthCheck(path="/ready", interval_seconds=10))
    parsed = Settings.parse({"ami": AMI, "minSize": 3, "healthCheck": {"path": "/ready", "intervalSeconds": 10}})
    assert made == parsed


@pytest.mark.parametrize("config", [{"min_size": 3}, {"healthCheck": {"interval_seconds": 10}}])
def test_a_config_has_no_python_names(config: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="unknown key"):
        Settings.parse({"ami": AMI, **config})


def test_settings_that_a_program_made_are_checked_between_themselves_too() -> None:
    with pytest.raises(SettingsError, match="minSize: 7 is more than maxSize"):
        Settings(ami=AMI, min_size=7).checked()


def test_another_service_has_the_same_settings_but_for_its_changes_and_no_fleet_of_the_first() -> None:
    first = Settings.parse({"ami": AMI, "port": 8081, "tags": {"team": "a"}, "fleet": {"serial": 4}})
    other = first.for_service("office", min_size=1)
    assert other == Settings(ami=AMI, port=8081, tags={"team": "a"}, service="office", min_size=1)
    with pytest.raises(ValidationError):
        first.for_service("a name that can't be")


@pytest.mark.parametrize("key", ["userData", "userDataTemplate"])
def test_what_every_machine_shows_may_not_be_a_secret(key: str) -> None:
    with pytest.raises(SettingsError, match=f"bluegreen:{key}: is a secret, .*instanceRole.* without --secret"):
        Settings.parse({"ami": AMI, key: "#!/bin/sh"}, [key])
    assert Settings.parse({"ami": AMI, key: "#!/bin/sh"}, ["tags"])


def test_a_secret_that_is_unset_is_no_fault() -> None:
    assert Settings.parse({"ami": AMI, "userData": ""}, ["userData"]).user_data == ""
