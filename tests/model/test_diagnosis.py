"""The doctor's findings: what is missing is told from what one can do without, each with the command that mends it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen.model.diagnosis import (
    NOT_THERE,
    Answer,
    Caller,
    Facts,
    Finding,
    Platform,
    Region,
    StackFacts,
    State,
    Table,
    Trouble,
    examine,
    is_fit,
)
from bluegreen.model.launchable import Finding as LaunchFinding
from bluegreen.model.launchable import Standing, Subject

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HANGS = Answer(path="/bin/x", code=None)


def said(text: str, code: int = 0, errors: str = "") -> Answer:
    return Answer(path="/bin/x", code=code, output=text, errors=errors)


def whoami(url: str) -> Answer:
    return said(json.dumps({"user": "ann", "url": url}))


def listed(*names: str, **more: Any) -> Answer:
    return said(json.dumps([{"name": name, **more} for name in names]))


WELL = Facts(
    platform=Platform.APT,
    python=(3, 11, 7),
    oldest_pulumi=(3, 230, 0),
    oldest_packer=(1, 6, 6),
    packer_with_plugins=(1, 7, 0),
    now=NOW,
    version=said("v3.272.0"),
    whoami=whoami("s3://state"),
    stacks=listed("dev", resourceCount=40),
    packer=said("Packer v1.15.0"),
    packer_plugins=said("/home/ann/.packer.d/github.com/hashicorp/amazon/packer-plugin-amazon_v1.3.9"),
    ansible=said("ansible-playbook [core 2.19.14]"),
    caller=Caller(account="111111111111", arn="arn:aws:iam::111111111111:user/ann"),
    region=Region(name="eu-west-1", source="`aws:region` in the config"),
)
QUOTA = LaunchFinding(Subject.QUOTA, Standing.OK, "12 x t3.small need 24 vCPUs, and 0 of 64 are in use")
STACK = StackFacts(
    name="dev",
    ledger=Table(name="ledger", status="ACTIVE", is_encrypted=True, has_recovery=True),
    quota=QUOTA,
)


def of(subject: str, facts: Facts) -> Finding:
    return next(finding for finding in examine(facts) if finding.subject.split()[0] == subject.split()[0])


def having(**values: Any) -> Facts:
    return replace(WELL, **values)


def with_stack(facts: Facts = WELL, **values: Any) -> Facts:
    return replace(facts, stack=replace(STACK, **values))


def test_where_all_is_well_everything_is_ok() -> None:
    findings = examine(with_stack())
    assert {finding.state for finding in findings} == {State.OK}
    assert all(finding.next_step == "" for finding in findings)
    assert is_fit(findings)
    assert [finding.subject for finding in findings] == [
        "python",
        "pulumi",
        "packer",
        "packer's amazon plugin",
        "ansible",
        "credentials",
        "region",
        "backend",
        "config",
        "stack dev",
        "ledger",
        "quota",
    ]


def test_without_a_stack_nothing_is_said_of_one() -> None:
    assert not {"config", "ledger", "quota"} & {finding.subject for finding in examine(WELL)}


@pytest.mark.parametrize(
    ("subject", "facts"),
    [
        ("python", having(python=(3, 10, 1))),
        ("pulumi", having(version=NOT_THERE)),
        ("pulumi", having(version=HANGS)),
        ("pulumi", having(version=said("v3.229.9"))),
        ("pulumi", having(version=said("", 127, "cannot execute"))),
        ("packer", having(packer=NOT_THERE)),
        ("packer", having(packer=said("Packer v1.6.5"))),
        ("packer", having(packer=said("usage: packer dictionary"))),
        ("session-manager-plugin", having(wants_session_manager=True)),
        ("session-manager-plugin", having(wants_session_manager=True, session_manager=said("1.2.763.0"))),
        ("credentials", having(caller=Trouble("none"))),
        ("credentials", having(caller=Caller(account="1", arn="a", ends=NOW))),
        ("region", having(region=Trouble("none"))),
        ("backend", having(whoami=HANGS)),
        ("backend", having(whoami=said("", 255, "error: PULUMI_ACCESS_TOKEN must be set"))),
        ("config", with_stack(config=Trouble("has 1 fault", "Mend it."))),
        ("stack", with_stack(having(stacks=listed("qa")))),
        ("ledger", with_stack(ledger=Trouble("there is no table", "`bluegreen init dev`"))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_comes_with_the_command_that_gets_it(subject: str, facts: Facts) -> None:
    finding = of(subject, facts)
    assert finding.state is State.MISSING
    assert finding.next_step
    assert not is_fit(examine(facts))


@pytest.mark.parametrize(
    ("subject", "facts"),
    [
        ("packer's", having(packer_plugins=said(""))),
        ("ansible", having(ansible=NOT_THERE)),
        ("backend", having(whoami=NOT_THERE)),
        ("credentials", having(caller=Caller(account="1", arn="a", ends=NOW + timedelta(minutes=59)))),
        ("stack", with_stack(having(stacks=HANGS))),
        ("stack", with_stack(locks=("ann@laptop (pid 7, since then)",))),
        ("stack", with_stack(having(stacks=listed("dev", updateInProgress=True)))),
        ("ledger", with_stack(ledger="runs/dev/ledger.jsonl")),
        ("ledger", with_stack(ledger=Table(name="t", status="CREATING", is_encrypted=True, has_recovery=True))),
        ("ledger", with_stack(ledger=Table(name="t", status="ACTIVE", is_encrypted=False, has_recovery=True))),
        ("ledger", with_stack(ledger=Table(name="t", status="ACTIVE", is_encrypted=True, has_recovery=False))),
        ("quota", with_stack(quota=replace(QUOTA, state=Standing.BROKEN))),
        ("quota", with_stack(quota=replace(QUOTA, state=Standing.UNKNOWN))),
        ("quota", with_stack(quota=Trouble("AWS refused"))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_one_can_do_without_is_a_warning(subject: str, facts: Facts) -> None:
    assert of(subject, facts).state is State.WARNING
    assert is_fit(examine(facts))


@pytest.mark.parametrize(
    ("platform", "command"),
    [
        (Platform.APT, "`sudo apt install packer`"),
        (Platform.BREW, "`brew install hashicorp/tap/packer`"),
        (Platform.OTHER, "see https://developer.hashicorp.com/packer/install"),
    ],
)
def test_the_command_is_that_of_the_platform(platform: Platform, command: str) -> None:
    assert of("packer", having(packer=NOT_THERE, platform=platform)).next_step == command


def test_a_program_that_only_shares_packers_name_is_told() -> None:
    finding = of("packer", having(packer=said("usage: packer dictionary")))
    assert "is not HashiCorp's Packer" in finding.detail
    assert "first on PATH" in finding.next_step


def test_an_old_packer_needs_no_plugin() -> None:
    findings = examine(having(packer=said("Packer v1.6.6"), packer_plugins=said("", 1)))
    assert "packer's amazon plugin" not in {finding.subject for finding in findings}


def test_nobody_needs_the_session_manager_plugin_who_does_not_use_it() -> None:
    assert "session-manager-plugin" not in {finding.subject for finding in examine(WELL)}


def test_a_program_that_hangs_is_told_with_its_place() -> None:
    assert "/bin/x hangs" in of("pulumi", having(version=HANGS)).detail


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("file://~", "files of this machine"),
        ("s3://state", "S3"),
        ("gs://state", "Google Cloud Storage"),
        ("https://app.pulumi.com/ann", "Pulumi Cloud"),
    ],
)
def test_the_kind_of_backend_is_told(url: str, kind: str) -> None:
    finding = of("backend", having(whoami=whoami(url)))
    assert finding.detail == f"{kind}: {url} as ann, from `pulumi login`"


def test_a_backend_of_the_environment_is_told_as_such() -> None:
    facts = having(whoami=said("", 255, "error: no such bucket"), backend_variable="s3://nope")
    assert of("backend", facts).detail == "s3://nope: error: no such bucket"


def test_who_the_credentials_are_and_until_when_is_told() -> None:
    ends = NOW + timedelta(hours=3)
    finding = of("credentials", having(caller=Caller(account="111111111111", arn="arn:ann", ends=ends)))
    assert finding.detail == "arn:ann in account 111111111111, until 2026-03-01 15:00 UTC"


def test_a_ledger_in_a_file_is_enough_where_the_backend_is_on_this_machine_too() -> None:
    facts = with_stack(having(whoami=whoami("file://~")), ledger="runs/dev/ledger.jsonl")
    assert of("ledger", facts).state is State.OK


def test_both_commands_are_told_where_a_table_lacks_both() -> None:
    table = Table(name="t", status="ACTIVE", is_encrypted=False, has_recovery=False)
    step = of("ledger", with_stack(ledger=table)).next_step
    assert "update-table --table-name t" in step
    assert "update-continuous-backups --table-name t" in step


def test_a_stack_is_found_under_its_whole_name_too() -> None:
    assert of("stack", with_stack(having(stacks=listed("acme/shop/dev")))).state is State.OK


def test_who_holds_a_lock_is_told() -> None:
    finding = of("stack", with_stack(locks=("ann@laptop (pid 7, since then)",)))
    assert finding.detail.startswith("is locked by ann@laptop (pid 7, since then)")
    assert "pulumi cancel --stack dev" in finding.next_step


@pytest.mark.parametrize("answer", ["{", "[]", "null", '"x"', "{}"])
def test_an_answer_that_is_not_what_it_should_be_is_a_finding_and_no_crash(answer: str) -> None:
    assert examine(with_stack(having(whoami=said(answer), stacks=said(answer), version=said(answer))))
