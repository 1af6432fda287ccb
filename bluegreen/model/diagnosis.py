"""What is missing to deploy: facts of a machine, an account and a stack in, findings out. Pure.

Who asks is `bluegreen.doctor`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bluegreen.model.launchable import Finding as LaunchFinding
from bluegreen.model.launchable import Standing
from bluegreen.model.stack_name import short

OLDEST_PYTHON = (3, 11)
OLDEST_SESSION_MANAGER_PLUGIN = (1, 2, 764)
"""AWS stops supporting earlier ones (Systems Manager User Guide, "Install the Session Manager plugin")."""
SOON = timedelta(hours=1)
"""Credentials that end before are said: a deployment with a soak may take longer."""

REHEARSE = "or rehearse without it: `bluegreen-sandbox run -- bash`"


class State(StrEnum):
    """How bad it is: a deployment can't do without what is missing; of the rest a person should know."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """What was found of one subject, and the command that mends it."""

    subject: str
    state: State
    detail: str
    next_step: str = ""

    def as_record(self) -> dict[str, str]:
        return {
            "subject": self.subject,
            "state": self.state.value,
            "detail": self.detail,
            "nextStep": self.next_step,
        }


class Platform(StrEnum):
    """Where programs come from."""

    APT = "apt"
    BREW = "brew"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a program said. `path`: empty where there is none on PATH. `code`: None where it did not end in time."""

    path: str
    code: int | None = 0
    output: str = ""
    errors: str = ""

    @property
    def last_words(self) -> str:
        lines = [line.strip() for line in f"{self.output}\n{self.errors}".splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


NOT_THERE = Answer(path="")


@dataclass(frozen=True)
class Trouble:
    """In place of a fact: why it is not known, and what to do about that."""

    reason: str
    next_step: str = ""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who the credentials are. `ends`: when they do, None where they are renewed or don't say."""

    account: str
    arn: str
    ends: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Region:
    """The region, and where it is set."""

    name: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A DynamoDB table of a ledger. `is_encrypted`: under a key of KMS, beyond what DynamoDB does by itself."""

    name: str
    status: str
    is_encrypted: bool
    has_recovery: bool


@dataclass(frozen=True, kw_only=True)
class StackFacts:
    """Of the stack that was named. `config`: what is wrong with its files, None where nothing is.

    `locks`: who holds it, in words; None where that can't be seen from here. `ledger`: a table, or a file's path.
    """

    name: str
    config: Trouble | None = None
    locks: tuple[str, ...] | None = ()
    ledger: Table | Trouble | str | None = None
    quota: LaunchFinding | Trouble | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that was asked. Programs by name; `stack` is None where none was named."""

    platform: Platform
    python: tuple[int, int, int]
    oldest_pulumi: tuple[int, int, int]
    oldest_packer: tuple[int, int, int]
    packer_with_plugins: tuple[int, int, int]
    now: datetime
    version: Answer = NOT_THERE
    whoami: Answer = NOT_THERE
    stacks: Answer = NOT_THERE
    backend_variable: str = ""
    packer: Answer = NOT_THERE
    packer_plugins: Answer = NOT_THERE
    ansible: Answer = NOT_THERE
    wants_session_manager: bool = False
    session_manager: Answer = NOT_THERE
    caller: Caller | Trouble = field(default_factory=lambda: Trouble("was not asked"))
    region: Region | Trouble = field(default_factory=lambda: Trouble("was not asked"))
    stack: StackFacts | None = None


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Every finding, in the order in which a person would go."""
    findings = [
        _python(facts),
        _pulumi(facts),
        _packer(facts),
        *_amazon_plugin(facts),
        _ansible(facts),
        *_session_manager(facts),
        _credentials(facts),
        _region(facts),
        _backend(facts),
    ]
    if stack := facts.stack:
        findings += [_config(stack), _stack(facts, stack), *_ledger(facts, stack), *_quota(stack)]
    return tuple(findings)


def is_fit(findings: tuple[Finding, ...]) -> bool:
    """Nothing is missing."""
    return all(finding.state is not State.MISSING for finding in findings)


# -- programs

INSTALL = {
    "pulumi": {
        Platform.APT: "curl -fsSL https://get.pulumi.com | sh",
        Platform.BREW: "brew install pulumi/tap/pulumi",
        Platform.OTHER: "curl -fsSL https://get.pulumi.com | sh",
    },
    "packer": {
        Platform.APT: "sudo apt install packer",
        Platform.BREW: "brew install hashicorp/tap/packer",
        Platform.OTHER: "see https://developer.hashicorp.com/packer/install",
    },
    "ansible": {
        Platform.APT: "sudo apt install ansible-core",
        Platform.BREW: "brew install ansible",
        Platform.OTHER: "pip install ansible-core",
    },
    "session-manager-plugin": {
        Platform.APT: (
            "curl -O https://s3.amazonaws.com/session-manager-downloads/plugin/latest/ubuntu_64bit/"
            "session-manager-plugin.deb && sudo dpkg -i session-manager-plugin.deb"
        ),
        Platform.BREW: "brew install --cask session-manager-plugin",
        Platform.OTHER: (
            "see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
            "session-manager-working-with-install-plugin.html"
        ),
    },
}


def _python(facts: Facts) -> Finding:
    if facts.python >= OLDEST_PYTHON:
        return Finding("python", State.OK, _dotted(facts.python))
    wanted = _dotted(OLDEST_PYTHON)
    return Finding(
        "python",
        State.MISSING,
        f"{_dotted(facts.python)} is too old: {wanted} is the oldest that will do",
        f"`uv python install {wanted}`, then `make setup`",
    )


def _pulumi(facts: Facts) -> Finding:
    return _program(facts, "pulumi", facts.version, r"v(\d+)\.(\d+)\.(\d+)", facts.oldest_pulumi, REHEARSE)


def _packer(facts: Facts) -> Finding:
    found = _program(facts, "packer", facts.packer, r"Packer v(\d+)\.(\d+)\.(\d+)", facts.oldest_packer)
    if found.state is State.MISSING and facts.packer.path and "does not tell" in found.detail:
        detail = f"{facts.packer.path} is not HashiCorp's Packer (cracklib has a `packer`, too)"
        return Finding("packer", State.MISSING, detail, f"{found.next_step}, and put it first on PATH")
    return found


def _amazon_plugin(facts: Facts) -> Iterator[Finding]:
    version = _version(facts.packer, r"Packer v(\d+)\.(\d+)\.(\d+)")
    if version is None or version < facts.packer_with_plugins:
        return  # an old Packer has its builders in itself
    if facts.packer_plugins.code == 0 and "packer-plugin-amazon" in facts.packer_plugins.output:
        yield Finding("packer's amazon plugin", State.OK, "installed")
    else:
        detail = "not installed: the first bake installs it, and needs the internet for that"
        yield Finding("packer's amazon plugin", State.WARNING, detail, "`packer init packer/linux`")


def _ansible(facts: Facts) -> Finding:
    found = _program(facts, "ansible", facts.ansible, r"(\d+)\.(\d+)\.(\d+)", (0, 0, 0))
    if found.state is not State.MISSING:
        return found
    # A bake runs Ansible on the machine that it bakes on.
    detail = f"{found.detail}; a bake has its own, only machines that stay need it here"
    return Finding("ansible", State.WARNING, detail, found.next_step)


def _session_manager(facts: Facts) -> Iterator[Finding]:
    if facts.wants_session_manager:
        oldest = OLDEST_SESSION_MANAGER_PLUGIN
        yield _program(facts, "session-manager-plugin", facts.session_manager, r"(\d+)\.(\d+)\.(\d+)", oldest)


def _program(
    facts: Facts, name: str, answer: Answer, pattern: str, oldest: tuple[int, int, int], otherwise: str = ""
) -> Finding:
    install = f"`{INSTALL[name][facts.platform]}`".replace("`see ", "see ").rstrip("`")
    install += "`" if install.startswith("`") else ""
    install += f", {otherwise}" if otherwise else ""
    if not answer.path:
        return Finding(name, State.MISSING, "not on PATH", install)
    if answer.code is None:
        return Finding(name, State.MISSING, f"{answer.path} hangs: it did not tell its version in time", install)
    version = _version(answer, pattern)
    if version is None:
        return Finding(name, State.MISSING, f"{answer.path} does not tell its version: {answer.last_words}", install)
    if version < oldest:
        detail = f"{_dotted(version)} is too old: {_dotted(oldest)} is the oldest that will do ({answer.path})"
        return Finding(name, State.MISSING, detail, install)
    return Finding(name, State.OK, f"{_dotted(version)} ({answer.path})")


def _version(answer: Answer, pattern: str) -> tuple[int, int, int] | None:
    found = re.search(pattern, answer.output) if answer.path else None
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


# -- the account


def _credentials(facts: Facts) -> Finding:
    caller = facts.caller
    if isinstance(caller, Trouble):
        step = caller.next_step or "`aws configure sso`, or `aws configure`"
        return Finding("credentials", State.MISSING, caller.reason, f"{step}, {REHEARSE}")
    detail = f"{caller.arn} in account {caller.account}"
    if caller.ends is None:
        return Finding("credentials", State.OK, detail)
    left = caller.ends - facts.now
    detail = f"{detail}, until {caller.ends.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if left <= timedelta():
        return Finding("credentials", State.MISSING, f"{detail}: they have ended", "`aws sso login`")
    if left < SOON:
        detail = f"{detail}: in {int(left.total_seconds() // 60)} min, and a deployment may take longer"
        return Finding("credentials", State.WARNING, detail, "`aws sso login`")
    return Finding("credentials", State.OK, detail)


SET_REGION = "`pulumi config set aws:region eu-central-1`, or `export AWS_REGION=eu-central-1`"


def _region(facts: Facts) -> Finding:
    match facts.region:
        case Trouble(reason, next_step):
            return Finding("region", State.MISSING, reason, next_step or SET_REGION)
        case Region(name=name, source=source):
            return Finding("region", State.OK, f"{name}, from {source}")


# -- the backend and the stack


def _backend(facts: Facts) -> Finding:
    answer, variable = facts.whoami, facts.backend_variable
    source = "PULUMI_BACKEND_URL" if variable else "`pulumi login`"
    if not answer.path:
        return Finding("backend", State.WARNING, "not known: only `pulumi` can tell")
    if answer.code is None:
        return Finding("backend", State.MISSING, f"no answer in time ({variable or 'as logged in'})", LOG_IN)
    found = _json(answer.output)
    if answer.code != 0 or not isinstance(found, dict):
        where = f"{variable}: " if variable else ""
        return Finding("backend", State.MISSING, f"{where}{answer.last_words}", LOG_IN)
    url = str(found.get("url", ""))
    return Finding("backend", State.OK, f"{_kind_of(url)}: {url} as {found.get('user', '?')}, from {source}")


LOG_IN = "`pulumi login` (Pulumi Cloud), `pulumi login --local`, or `export PULUMI_BACKEND_URL=s3://bucket`"


def _kind_of(url: str) -> str:
    match url.partition("://")[0]:
        case "file":
            return "files of this machine"
        case "s3" | "gs" | "azblob" as store:
            return {"s3": "S3", "gs": "Google Cloud Storage", "azblob": "Azure Blob Storage"}[store]
        case _:
            return "Pulumi Cloud"


def _config(stack: StackFacts) -> Finding:
    if stack.config:
        return Finding("config", State.MISSING, stack.config.reason, stack.config.next_step)
    return Finding("config", State.OK, f"the config of {stack.name} has no faults")


def _stack(facts: Facts, stack: StackFacts) -> Finding:
    subject = f"stack {stack.name}"
    found = _json(facts.stacks.output)
    if facts.stacks.code != 0 or not isinstance(found, list):
        why = "only `pulumi` can tell" if not facts.stacks.path else facts.stacks.last_words
        why = "no answer in time" if facts.stacks.path and facts.stacks.code is None else why
        return Finding(subject, State.WARNING, f"not known: {why}")
    there = {short(str(each.get("name", ""))): each for each in found}
    if stack.name not in there:
        return Finding(subject, State.MISSING, "does not exist yet", f"`bluegreen init {stack.name}`")
    locks = stack.locks or ()
    if locks or there[stack.name].get("updateInProgress"):
        who = f" by {', '.join(locks)}" if locks else ""
        detail = f"is locked{who}: an update runs, or has died"
        return Finding(subject, State.WARNING, detail, f"wait; if it has died: `pulumi cancel --stack {stack.name}`")
    resources = there[stack.name].get("resourceCount")
    detail = f"exists, {resources} resources" if resources else "exists, nothing is deployed"
    return Finding(subject, State.OK, detail + ("" if stack.locks is not None else "; who locks it is not seen here"))


def _ledger(facts: Facts, stack: StackFacts) -> Iterator[Finding]:
    match stack.ledger:
        case None:
            return
        case Trouble(reason, next_step):
            yield Finding("ledger", State.MISSING, reason, next_step)
        case str(path):
            found = _json(facts.whoami.output)
            url = str(found.get("url", "")) if isinstance(found, Mapping) else ""
            if url and not url.startswith("file:"):
                detail = f"{path}, on this machine alone, while the backend is shared: others don't see this history"
                yield Finding("ledger", State.WARNING, detail)
            else:
                yield Finding("ledger", State.OK, path)
        case Table() as table:
            yield _table(table)


def _table(table: Table) -> Finding:
    if table.status != "ACTIVE":
        return Finding("ledger", State.WARNING, f"the table {table.name} is {table.status}", "wait until it is ACTIVE")
    lacks = [
        *([] if table.is_encrypted else ["it is not encrypted under a key of KMS"]),
        *([] if table.has_recovery else ["it has no point-in-time recovery"]),
    ]
    if not lacks:
        return Finding("ledger", State.OK, f"the table {table.name}, encrypted, with point-in-time recovery")
    steps = []
    if not table.is_encrypted:
        sse = "Enabled=true,SSEType=KMS"
        steps.append(f"`aws dynamodb update-table --table-name {table.name} --sse-specification {sse}`")
    if not table.has_recovery:
        steps.append(
            f"`aws dynamodb update-continuous-backups --table-name {table.name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true`"
        )
    return Finding("ledger", State.WARNING, f"the table {table.name}: {', and '.join(lacks)}", " and ".join(steps))


def _quota(stack: StackFacts) -> Iterator[Finding]:
    match stack.quota:
        case None:
            return
        case Trouble(reason, next_step):
            yield Finding("quota", State.WARNING, f"not known: {reason}", next_step)
        case LaunchFinding(state=Standing.OK, detail=detail):
            yield Finding("quota", State.OK, detail)
        case LaunchFinding(state=Standing.UNKNOWN, detail=detail, next_step=next_step):
            yield Finding("quota", State.WARNING, f"not known: {detail}", next_step)
        case LaunchFinding(detail=detail, next_step=next_step):
            yield Finding("quota", State.WARNING, f"too small for two groups of maxSize: {detail}", next_step)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
