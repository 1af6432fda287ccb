"""Asks this machine, the account and the stack what a deployment needs. Changes nothing, and starts no update.

Every program is asked once, all at the same time, and one that hangs is a finding. The rules are in
`bluegreen.model.diagnosis`.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from bluegreen.aws.identity import identity
from bluegreen.aws.locks import lock_objects
from bluegreen.aws.observe import Observer
from bluegreen.aws.session import REGION_VARIABLES, Session, SessionSettings
from bluegreen.aws.table import describe_table
from bluegreen.checks.launchable import machines_in
from bluegreen.engine import OLDEST_ENGINE
from bluegreen.errors import AwsError, BluegreenError
from bluegreen.images.packer import OLDEST as OLDEST_PACKER
from bluegreen.images.packer import WITH_PLUGINS
from bluegreen.images.stack_file import StackConfig, read_stack
from bluegreen.images.variables import SSH_INTERFACE, SUFFIX
from bluegreen.ledger.consul import ConsulLedger
from bluegreen.ledger.ledger import Run
from bluegreen.model.consul import SERVICE as CONSUL
from bluegreen.model.diagnosis import (
    NOT_THERE,
    Answer,
    Caller,
    Facts,
    Finding,
    Platform,
    Region,
    StackFacts,
    Table,
    Trouble,
    examine,
)
from bluegreen.model.launchable import Beside, LaunchFacts, judge_quota, quota_of
from bluegreen.model.launchable import Finding as LaunchFinding
from bluegreen.model.ledger_place import Backend
from bluegreen.model.stack_name import short
from bluegreen.model.tags import Owner
from bluegreen.model.weights import machines_of_type

PROGRAM_SECONDS = 5.0
"""How long a program may take to say what it is."""
SECONDS = 10.0
"""How long all questions together may take, those to AWS included."""
SESSION_MANAGER = "session_manager"

Which = Callable[[str], str | None]


class RunProgram(Protocol):
    """Runs a program to its end, or for so many seconds."""

    def __call__(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the doctor meets: a stand-in for each is enough to test it."""

    which: Which = shutil.which
    run: RunProgram = field(default_factory=lambda: run_program)
    open_session: Callable[[SessionSettings], Session] = Session
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: float = SECONDS


def check(
    stack: str | None = None, *, directory: Path | None = None, met: Surroundings | None = None
) -> tuple[Finding, ...]:
    """Every finding: of this machine and its account, and with `stack` of that stack too. Raises nothing of its own."""
    return examine(ask(stack, directory or Path.cwd(), met or Surroundings()))


def ask(stack: str | None, directory: Path, met: Surroundings) -> Facts:
    """All facts, asked at the same time."""
    config, fault = _config(stack, directory)
    settings = config.session if config else SessionSettings()
    session = met.open_session(settings)
    pulumi = _asking(met, directory, "pulumi")
    packer = _asking(met, directory, "packer", CHECKPOINT_DISABLE="1")
    name = short(stack) if stack else ""
    wants_plugin = _wants_session_manager(directory, name)
    questions: dict[str, Callable[[], Any]] = {
        "version": lambda: pulumi("version"),
        "whoami": lambda: pulumi("whoami", "--json", "--non-interactive"),
        "stacks": lambda: pulumi("stack", "ls", "--json", "--non-interactive") if stack else NOT_THERE,
        "packer": lambda: packer("version"),
        "packer_plugins": lambda: packer("plugins", "installed"),
        "ansible": lambda: _asking(met, directory, "ansible-playbook")("--version"),
        "session_manager": lambda: _asking(met, directory, "session-manager-plugin")("--version"),
        "caller": lambda: _troubled(lambda: _caller(session, settings)),
        "region": lambda: _troubled(lambda: _region(session, settings, met.environment)),
    }
    if config:
        questions |= {
            "quota": lambda: _troubled(lambda: _quota(session, config)),
            "ledger": lambda: _troubled(lambda: _ledger(session, config, directory)),
        }
    answers = ask_all(questions, met.seconds)
    late = Trouble(f"no answer within {met.seconds:.0f} s", "check the network, and the settings of a proxy")
    found = {key: answers.get(key, late if key in TOLD_BY_AWS else Answer(path=key, code=None)) for key in questions}
    quota, ledger = found.pop("quota", None), found.pop("ledger", None)
    backend = met.environment.get("PULUMI_BACKEND_URL", "")
    facts = StackFacts(
        name=name,
        config=fault,
        locks=_locks(found["whoami"], found["stacks"], config, session) if config else None,
        ledger=ledger,
        quota=quota,
    )
    version = sys.version_info
    return Facts(
        platform=_platform(met.which),
        python=(version.major, version.minor, version.micro),
        oldest_pulumi=(OLDEST_ENGINE.major, OLDEST_ENGINE.minor, OLDEST_ENGINE.patch),
        oldest_packer=OLDEST_PACKER,
        packer_with_plugins=WITH_PLUGINS,
        now=met.now(),
        backend_variable=backend,
        wants_session_manager=wants_plugin,
        stack=facts if stack else None,
        **found,
    )


TOLD_BY_AWS = frozenset({"caller", "region", "quota", "ledger"})


def ask_all(questions: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """The answers that came in time, by the name of the question, all asked at once.

    The threads are daemons: one that hangs holds up neither this nor the end of the process.
    """
    answers: queue.Queue[tuple[str, Any]] = queue.Queue()

    def answer(name: str, question: Callable[[], Any]) -> None:
        answers.put((name, question()))

    for name, question in questions.items():
        threading.Thread(target=answer, args=(name, question), daemon=True).start()
    found: dict[str, Any] = {}
    end = time.monotonic() + seconds
    while len(found) < len(questions):
        try:
            name, value = answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        found[name] = value
    return found


def run_program(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Answer:
    """Without a terminal: nothing of it may wait for a person."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROGRAM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(path=command[0], code=None)
    except OSError as error:
        return Answer(path=command[0], code=1, errors=str(error))
    return Answer(path=command[0], code=done.returncode, output=done.stdout, errors=done.stderr)


def _asking(met: Surroundings, directory: Path, program: str, **variables: str) -> Callable[..., Answer]:
    path = met.which(program)

    def ask(*words: str) -> Answer:
        return met.run([path, *words], directory, {**met.environment, **variables}) if path else NOT_THERE

    return ask


def _platform(which: Which) -> Platform:
    if sys.platform == "darwin" or which("brew"):
        return Platform.BREW
    return Platform.APT if which("apt-get") else Platform.OTHER


def _config(stack: str | None, directory: Path) -> tuple[StackConfig | None, Trouble | None]:
    if stack is None:
        return None, None
    try:
        return read_stack(stack, directory), None
    except BluegreenError as error:
        return None, Trouble(error.what, error.next_step)


def _wants_session_manager(directory: Path, stack: str) -> bool:
    """By the stack's variables, or without one by those of any stack. What else is wrong with them, a bake says."""
    files = [directory / "packer" / f"{stack}{SUFFIX}"] if stack else sorted((directory / "packer").glob(f"*{SUFFIX}"))
    for file in files:
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(values, dict) and values.get(SSH_INTERFACE) == SESSION_MANAGER:
            return True
    return False


def _troubled(question: Callable[[], Any]) -> Any:
    """What is wrong is a fact, too."""
    try:
        return question()
    except BluegreenError as error:
        return Trouble(error.what, error.next_step)
    except Exception as error:  # of a thread nobody would see it
        return Trouble(repr(error))


def _caller(session: Session, settings: SessionSettings) -> Caller | Trouble:
    try:
        found = identity(session)
    except AwsError as error:
        login = f"`aws sso login --profile {settings.profile}`" if settings.profile else ""
        return Trouble(error.what, login)
    return Caller(account=found.account, arn=found.arn, ends=session.credentials_end())


def _region(session: Session, settings: SessionSettings, environment: Mapping[str, str]) -> Region | Trouble:
    try:
        name = session.region
    except AwsError as error:
        return Trouble(error.what)
    if settings.region:
        return Region(name=name, source="`aws:region` in the config")
    for variable in REGION_VARIABLES:
        if environment.get(variable):
            return Region(name=name, source=variable)
    profile = settings.profile or environment.get("AWS_PROFILE") or "default"
    return Region(name=name, source=f"the profile {profile}")


def _quota(session: Session, config: StackConfig) -> LaunchFinding | Trouble:
    """For two groups of `maxSize` and what they keep warm, beside what else runs: so many there may be during a change
    of release. What is warm runs at first, even where it then stops. Servers of Consul that count against the same
    quota are among it, one of them more than there should be."""
    observer, settings = Observer(session), config.settings
    wanted, quota = settings.instance_type, quota_of(settings.instance_type)
    groups = observer.groups(Owner(project=config.project, stack=config.stack))
    ours = [group for group in groups if group.release]  # not those of Consul
    running = sum(group.machines if group.pool and group.pool.is_running else group.serving_machines for group in ours)
    most = machines_of_type(settings.max_size, settings.weights, wanted) if settings.weights else settings.most_machines
    machines = max(0, 2 * most - running)
    facts = LaunchFacts(region=observer.region, image=None, instance_type=observer.instance_type(wanted))
    if quota:
        facts = replace(facts, quota=observer.vcpu_quota(quota.code), machines=machines_in(observer, quota))
    if (consul := settings.consul) and quota_of(consul.instance_type) == quota:
        more = max(0, consul.most - sum(group.desired for group in groups if group.service == CONSUL))
        known = observer.instance_type(consul.instance_type)
        servers = Beside(instance_type=consul.instance_type, count=more, whose="Consul", known=known)
        facts = replace(facts, beside=(servers,))
    return judge_quota(wanted, machines, facts)


def _ledger(session: Session, config: StackConfig, directory: Path) -> Table | Trouble | str:
    """Where the stack's history is kept."""
    place = config.settings.ledger_place
    file = str(Run.new(directory, config.stack, datetime.now(UTC)).ledger.relative_to(directory))
    match place.backend:
        case Backend.FILE:
            return file
        case Backend.CONSUL:
            ConsulLedger(place.name, f"{config.project}/{config.stack}", os.environ).lease()
            return f"Consul, {place.name}/"
        case Backend.DYNAMODB:
            return describe_table(session, place.name) or Trouble(
                f"there is no table {place.name} in {session.region}", f"`bluegreen init {config.stack}`"
            )
        case Backend.DEFAULT:
            return describe_table(session, place.name) or f"{file}, until `bluegreen init {config.stack}` makes a table"


def locks_of(config: StackConfig, directory: Path, session: Session, met: Surroundings) -> tuple[str, ...] | None:
    """Who holds a stack, in words; None where that can't be seen."""
    pulumi = _asking(met, directory, "pulumi")
    whoami = pulumi("whoami", "--json", "--non-interactive")
    return _locks(whoami, pulumi("stack", "ls", "--json", "--non-interactive"), config, session)


def _locks(whoami: Answer, stacks: Answer, config: StackConfig, session: Session) -> tuple[str, ...] | None:
    """The engine keeps a file for each lock in a backend of files or S3; Pulumi Cloud tells of an update."""
    try:
        url = urlsplit(json.loads(whoami.output)["url"])
    except (ValueError, KeyError, TypeError):
        return None
    where = f".pulumi/locks/organization/{config.project}/{config.stack}"
    match url.scheme:
        case "file":
            return _lock_files(Path(unquote(f"{url.netloc}{url.path}")).expanduser() / where)
        case "s3":
            try:
                return lock_objects(session, url.netloc, f"{url.path.strip('/')}/{where}/".lstrip("/"))
            except AwsError:
                return None
        case "http" | "https":
            return _updates(stacks, config.stack)
        case _:
            return None


def _updates(stacks: Answer, stack: str) -> tuple[str, ...] | None:
    try:
        found = {short(str(each["name"])): each for each in json.loads(stacks.output)}
        return ("an update in Pulumi Cloud",) if found[stack].get("updateInProgress") else ()
    except (ValueError, KeyError, TypeError):
        return None


def _lock_files(directory: Path) -> tuple[str, ...]:
    holders = []
    for file in sorted(directory.glob("*.json")):
        try:
            lock = json.loads(file.read_text(encoding="utf-8"))
            when = lock.get("timestamp", "")
            holders.append(f"{lock['username']}@{lock['hostname']} (pid {lock['pid']}, since {when})")
        except (OSError, ValueError, KeyError):
            holders.append(f"an unreadable lock, {file}")
    return tuple(holders)
