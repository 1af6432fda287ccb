"""The doctor at work: all is asked at once, what hangs is a finding, and nothing is written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from bluegreen import doctor
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.aws.table import describe_table
from bluegreen.cli.main import main
from bluegreen.errors import AwsError
from bluegreen.model.diagnosis import NOT_THERE, Answer, Finding, State, Trouble
from bluegreen.model.observation import Group, InstanceType, LivePool
from bluegreen.model.tags import Owner

REGION = "us-east-1"
SAYS = {
    "pulumi version": "v3.272.0",
    "pulumi whoami": '{"user": "ann", "url": "file://STATE"}',
    "pulumi stack": '[{"name": "dev", "resourceCount": 3}]',
    "packer version": "Packer v1.6.6",
    "ansible-playbook --version": "ansible-playbook [core 2.19.14]",
}


@dataclass
class Machine:
    """A machine with these programs. `hangs`: until the test ends."""

    directory: Path
    session: Session
    there: set[str] = field(default_factory=lambda: {"pulumi", "packer", "ansible-playbook", "apt-get"})
    hangs: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    end: threading.Event = field(default_factory=threading.Event)

    def which(self, name: str) -> str | None:
        return f"/bin/{name}" if name in self.there else None

    def run(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Answer:
        name = f"{Path(command[0]).name} {command[1]}"
        self.asked.append(name)
        if name in self.hangs:
            self.end.wait()
        text = SAYS.get(name, "").replace("STATE", str(self.directory / "state"))
        return Answer(path=command[0], output=text)

    def open_session(self, settings: SessionSettings) -> Session:
        return self.session

    def check(self, stack: str | None = "dev", seconds: float = 60.0) -> dict[str, Finding]:
        met = doctor.Surroundings(
            which=self.which,
            run=self.run,
            open_session=self.open_session,
            environment=self.environment,
            seconds=seconds,
        )
        return {finding.subject: finding for finding in doctor.check(stack, directory=self.directory, met=met)}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        yield Session(SessionSettings(region=REGION))


@pytest.fixture
def machine(session: Session, tmp_path: Path) -> Iterator[Machine]:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/Pulumi.dev.yaml").write_text(f"config: {{aws:region: {REGION}}}\n")
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nstackConfigDir: stacks\n")
    made = Machine(tmp_path, session)
    yield made
    made.end.set()


def test_on_a_machine_that_has_all_nothing_is_missing(machine: Machine) -> None:
    found = machine.check()
    assert {finding.subject: finding.state for finding in found.values() if finding.state is not State.OK} == {
        "quota": State.WARNING  # moto's Service Quotas does not tell it
    }
    assert found["credentials"].detail.endswith("in account 123456789012")
    assert found["region"].detail == "us-east-1, from `aws:region` in the config"
    assert found["stack dev"].detail == "exists, 3 resources"


MIXED = {"types": ["t3.large"], "weights": {"t3.small": 2, "t3.large": 8}}


@pytest.mark.parametrize(
    ("settings", "groups", "machines"),
    [
        ({"maxSize": 6}, (), 12),
        ({"maxSize": 6}, (LivePool(size=3),), 10),
        ({"maxSize": 6, "warmPool": {"minimum": 1}}, (LivePool(size=3),), 12),
        ({"maxSize": 6, "warmPool": {"minimum": 1, "state": "running"}}, (LivePool(size=3, is_running=True),), 9),
        ({"maxSize": 12, "mixedInstances": MIXED}, (), 12),
    ],
    ids=["none", "stopped", "with a minimum", "running", "weights"],
)
def test_the_quota_is_asked_for_two_fleets_and_what_they_keep_warm(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    groups: tuple[LivePool, ...],
    machines: int,
) -> None:
    class Fake:
        region = REGION

        def __init__(self, session: Session) -> None: ...
        def groups(self, owner: Owner) -> tuple[Group, ...]:
            sizes = {"minimum": 1, "maximum": 6, "desired": 2}
            return tuple(
                Group(name="web", service="web", target_groups=(), release="1", pool=pool, **sizes) for pool in groups
            )

        def instance_type(self, name: str) -> InstanceType:
            return InstanceType(name=name, architectures=("x86_64",), vcpus=2)

        def vcpu_quota(self, code: str) -> int:
            return 64

        def on_demand_machines(self) -> tuple[()]:
            return ()

    config = {"aws:region": REGION, **{f"bluegreen:{key}": value for key, value in settings.items()}}
    (machine.directory / "stacks/Pulumi.dev.yaml").write_text(json.dumps({"config": config}))
    monkeypatch.setattr(doctor, "Observer", Fake)
    assert machine.check()["quota"].detail.startswith(f"{machines} x t3.small need")


def test_each_question_is_one_process(machine: Machine) -> None:
    machine.check()
    assert sorted(machine.asked) == sorted({*machine.asked})
    assert "pulumi preview" not in machine.asked


def test_without_a_stack_no_stack_is_asked_for(machine: Machine) -> None:
    machine.check(None)
    assert "pulumi stack" not in machine.asked


def test_a_program_that_hangs_is_a_finding_and_holds_up_no_other(machine: Machine) -> None:
    machine.hangs = {"packer version", "pulumi whoami"}
    found = machine.check(seconds=0.5)
    assert found["packer"].state is State.MISSING
    assert "hangs" in found["packer"].detail
    assert found["backend"].state is State.MISSING
    assert found["pulumi"].state is State.OK


def test_an_aws_that_does_not_answer_is_a_finding(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "identity", lambda _: machine.end.wait())
    found = machine.check(seconds=1.0)
    assert found["credentials"].state is State.MISSING
    assert found["credentials"].detail == "no answer within 1 s"


def test_nothing_is_installed_and_every_finding_says_what_to_do(machine: Machine) -> None:
    machine.there = set()
    found = machine.check()
    assert {name for name, each in found.items() if each.state is State.MISSING} == {"pulumi", "packer"}
    assert machine.asked == []


def test_no_credentials_is_a_finding_that_names_the_login_of_the_profile(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.directory / "stacks/Pulumi.dev.yaml").write_text("config: {aws:profile: work}\n")

    def refuse(_: Session) -> None:
        raise AwsError("AWS can't be asked: the SSO session has expired")

    monkeypatch.setattr(doctor, "identity", refuse)
    finding = machine.check()["credentials"]
    assert finding.state is State.MISSING
    assert finding.next_step.startswith("`aws sso login --profile work`")


def test_a_config_with_faults_is_a_finding_and_the_rest_is_examined(machine: Machine) -> None:
    (machine.directory / "stacks/Pulumi.dev.yaml").write_text("config: {bluegreen:minSiz: 1}\n")
    found = machine.check()
    assert found["config"].state is State.MISSING
    assert "minSiz" in found["config"].detail
    assert found["stack dev"].state is State.OK


def test_a_stack_without_a_file_is_a_finding_with_the_nearest_name(machine: Machine) -> None:
    found = machine.check("dve")
    assert "Did you mean dev?" in found["config"].next_step


def test_where_the_region_comes_from_is_told(
    machine: Machine, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.directory / "stacks/Pulumi.dev.yaml").write_text("config: {}\n")
    machine.environment["AWS_DEFAULT_REGION"] = REGION
    assert machine.check()["region"].detail == "us-east-1, from AWS_DEFAULT_REGION"
    machine.environment["AWS_REGION"] = REGION
    assert machine.check()["region"].detail == "us-east-1, from AWS_REGION"
    machine.environment = {"AWS_PROFILE": "work"}
    assert machine.check()["region"].detail == "us-east-1, from the profile work"


def test_who_locks_a_stack_in_files_is_told(machine: Machine) -> None:
    locks = machine.directory / "state/.pulumi/locks/organization/shop/dev"
    locks.mkdir(parents=True)
    holder = {"pid": 7, "username": "ann", "hostname": "laptop", "timestamp": "2026-03-01T12:00:00Z"}
    (locks / "1.json").write_text(json.dumps(holder))
    (locks / "2.json").write_text("{")
    finding = machine.check()["stack dev"]
    assert finding.state is State.WARNING
    assert "ann@laptop (pid 7, since 2026-03-01T12:00:00Z), an unreadable lock" in finding.detail


def test_the_session_manager_plugin_is_looked_for_where_the_variables_want_it(machine: Machine) -> None:
    (machine.directory / "packer").mkdir()
    file = machine.directory / "packer/dev.pkrvars.json"
    file.write_text('{"builder_ssh_interface": "session_manager"}')
    assert machine.check()["session-manager-plugin"].state is State.MISSING
    file.write_text("{")
    assert "session-manager-plugin" not in machine.check()


def test_a_program_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PROGRAM_SECONDS", 0.2)
    answer = doctor.run_program(["/bin/sleep", "60"], tmp_path, dict(os.environ))
    assert answer == Answer(path="/bin/sleep", code=None)


def test_a_program_that_can_not_be_run_is_an_answer(tmp_path: Path) -> None:
    answer = doctor.run_program([str(tmp_path / "nothing")], tmp_path, {})
    assert answer.code == 1
    assert "No such file" in answer.errors


def test_a_program_reads_nothing_from_the_terminal(tmp_path: Path) -> None:
    assert doctor.run_program(["/bin/cat"], tmp_path, {}) == Answer(path="/bin/cat")


def test_what_breaks_in_a_question_is_a_fact() -> None:
    answers = doctor.ask_all({"a": lambda: NOT_THERE, "b": lambda: doctor._troubled(lambda: 1 / 0)}, 60.0)
    assert answers["a"] == NOT_THERE
    assert isinstance(answers["b"], Trouble)


# -- the table of a ledger


@pytest.mark.parametrize(("is_encrypted", "has_recovery"), [(True, True), (False, False)])
def test_a_table_is_described_with_what_a_ledger_should_have(
    session: Session, is_encrypted: bool, has_recovery: bool
) -> None:
    dynamodb = session.client("dynamodb")
    name = f"ledger-{is_encrypted}"
    more: dict[str, Any] = {"SSESpecification": {"Enabled": True, "SSEType": "KMS"}} if is_encrypted else {}
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    if has_recovery:
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
    table = describe_table(session, name)
    assert table
    assert (table.status, table.is_encrypted, table.has_recovery) == ("ACTIVE", is_encrypted, has_recovery)


def test_a_table_that_is_not_there_is_none(session: Session) -> None:
    assert describe_table(session, "nothing") is None


# -- the command


@pytest.mark.parametrize(
    ("state", "code"),
    [(State.OK, 0), (State.WARNING, 0), (State.MISSING, 3)],
)
def test_the_command_ends_with_3_where_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: State, code: int
) -> None:
    findings = (Finding("python", State.OK, "3.11.7"), Finding("pulumi", state, "not on PATH", "`get it`"))
    monkeypatch.setattr(doctor, "check", lambda stack: findings)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["bluegreen", "doctor", *words])
        try:
            main()
        except SystemExit as exit_:
            return int(exit_.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out

    ended, out = run("dev")
    assert ended == code
    assert out.splitlines()[1].split()[:2] == [state.value, "pulumi"]
    assert out.splitlines()[2].strip() == "-> `get it`"
    ended, out = run("--json")
    record = json.loads(out)
    assert (ended, record["isFit"]) == (code, code == 0)
    assert record["findings"][1] == {
        "subject": "pulumi",
        "state": state.value,
        "detail": "not on PATH",
        "nextStep": "`get it`",
    }
