"""The file backend in Pulumi's own layout: stacks, locks, history, backups, and which stack a project has selected."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import hashlib
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.engine.errors import EngineError, Refused, StackNotFound
from sandbox.engine.files import write_atomically
from sandbox.engine.project import Project


@dataclass(frozen=True)
class StackSummary:
    name: str
    last_update: str | None
    resource_count: int | None


class Backend:
    """The directory behind a `file://` URL, for one project."""

    def __init__(self, url: str, project: Project, home: Path) -> None:
        if not url.startswith("file://"):
            raise Refused(f"the backend {url!r}", "set PULUMI_BACKEND_URL to a file:// address")
        self.url = url
        self.project = project
        self._settings = (
            home
            / "workspaces"
            / f"{project.name}-{hashlib.sha1(str(project.file).encode()).hexdigest()}-workspace.json"
        )
        directory = Path(os.path.expanduser(url.removeprefix("file://").split("?")[0]))
        if not directory.is_dir():
            raise EngineError(f"unable to open bucket {url}: {directory} is not a directory; make it first")
        self._root = directory / ".pulumi"
        meta = self._root / "meta.yaml"
        if not meta.exists():
            self._root.mkdir(exist_ok=True)
            write_atomically(meta, "version: 1\n")
        elif meta.read_text().split() != ["version:", "1"]:
            raise Refused(f"the state layout in {meta}", "it knows version 1")

    # Stacks

    def _stack_file(self, stack: str) -> Path:
        return self._root / "stacks" / self.project.name / f"{stack}.json"

    def exists(self, stack: str) -> bool:
        return self._stack_file(stack).exists()

    def read(self, stack: str) -> dict[str, Any]:
        """The checkpoint document."""
        if not self.exists(stack):
            raise StackNotFound(stack)
        path = self._stack_file(stack)
        try:
            document: dict[str, Any] = json.loads(path.read_text())
            return document
        except json.JSONDecodeError as error:
            raise EngineError(
                f"the state in {path} is not JSON ({error}); a copy of the last one is {path}.bak"
            ) from error

    def write(self, stack: str, schema: Mapping[str, Any], deployment: Mapping[str, Any] | None) -> None:
        """Write the checkpoint; the one before it stays beside it."""
        path = self._stack_file(stack)
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = {"stack": f"organization/{self.project.name}/{stack}", "latest": deployment}
        if path.exists():
            backup = path.with_name(f"{path.name}.bak")
            # A link, not a copy: the file is written after every step.
            with contextlib.suppress(FileNotFoundError):
                backup.unlink()
            os.link(path, backup)
        write_atomically(path, json.dumps({**schema, "checkpoint": checkpoint}, indent=4, ensure_ascii=False))

    def create(self, stack: str) -> None:
        if self.exists(stack):
            raise EngineError(f"stack 'organization/{self.project.name}/{stack}' already exists")
        self.write(stack, {"version": 3}, None)

    def remove(self, stack: str) -> None:
        path = self._stack_file(stack)
        path.unlink()
        path.with_name(f"{path.name}.bak").unlink(missing_ok=True)
        for file in self._history_dir(stack).glob("*"):
            file.unlink()

    def summaries(self) -> list[StackSummary]:
        found = []
        for path in sorted((self._root / "stacks" / self.project.name).glob("*.json")):
            latest = json.loads(path.read_text())["checkpoint"].get("latest")
            when = latest["manifest"]["time"] if latest else None
            found.append(StackSummary(path.stem, when, len(latest.get("resources") or ()) if latest else None))
        return found

    # The selected stack

    def selected(self) -> str | None:
        if not self._settings.exists():
            return None
        settings = json.loads(self._settings.read_text())
        name = (settings.get("stacks") or {}).get(self.url) or settings.get("stack")
        return name.rpartition("/")[2] if name else None

    def select(self, stack: str | None) -> None:
        settings = json.loads(self._settings.read_text()) if self._settings.exists() else {}
        stacks = {**(settings.get("stacks") or {})}
        stacks.pop(self.url, None)
        if stack:
            stacks[self.url] = f"organization/{self.project.name}/{stack}"
        self._settings.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._settings, json.dumps({**settings, "stacks": stacks}, indent=4))

    # Locks

    def _lock_dir(self, stack: str) -> Path:
        return self._root / "locks" / "organization" / self.project.name / stack

    @contextlib.contextmanager
    def locked(self, stack: str) -> Iterator[None]:
        """Hold the stack's lock; a lock held by another is an error that says whose it is."""
        mine = self._lock_dir(stack) / f"{uuid.uuid4()}.json"
        self._refuse_locks_of_others(stack, mine)
        mine.parent.mkdir(parents=True, exist_ok=True)
        holder = {
            "pid": os.getpid(),
            "username": getpass.getuser(),
            "hostname": socket.gethostname(),
            "timestamp": datetime.datetime.now(datetime.UTC).isoformat(),
        }
        write_atomically(mine, json.dumps(holder))
        try:
            # Two that start at once both see the other's lock here, and both give way.
            self._refuse_locks_of_others(stack, mine)
            yield
        finally:
            mine.unlink(missing_ok=True)

    def _refuse_locks_of_others(self, stack: str, mine: Path) -> None:
        others = [path for path in sorted(self._lock_dir(stack).glob("*.json")) if path != mine and path.name[0] != "."]
        if not others:
            return
        message = (
            f"the stack is currently locked by {len(others)} lock(s). Either wait for the other "
            "process(es) to end or delete the lock file with `pulumi cancel`."
        )
        for path in others:
            with contextlib.suppress(FileNotFoundError):
                lock = json.loads(path.read_text())
                when = (
                    datetime.datetime.fromisoformat(lock["timestamp"])
                    .isoformat(timespec="seconds")
                    .replace("+00:00", "Z")
                )
                message += (
                    f"\n  file://{path}: created by {lock['username']}@{lock['hostname']} (pid {lock['pid']}) at {when}"
                )
        raise EngineError(message)

    def unlock(self, stack: str) -> None:
        for path in self._lock_dir(stack).glob("*.json"):
            path.unlink(missing_ok=True)

    # History and backups

    def _history_dir(self, stack: str) -> Path:
        return self._root / "history" / self.project.name / stack

    def record(self, stack: str, update: Mapping[str, Any]) -> None:
        """Add an update to the history, with the checkpoint that it left."""
        directory = self._history_dir(stack)
        directory.mkdir(parents=True, exist_ok=True)
        prefix = f"{stack}-{time.time_ns()}"
        write_atomically(directory / f"{prefix}.history.json", json.dumps(update, indent=4))
        write_atomically(directory / f"{prefix}.checkpoint.json", self._stack_file(stack).read_text())

    def history(self, stack: str) -> list[dict[str, Any]]:
        """The recorded updates, the last one first."""
        files = sorted(self._history_dir(stack).glob("*.history.json"), reverse=True)
        return [json.loads(path.read_text()) for path in files]

    def back_up(self, stack: str) -> None:
        directory = self._root / "backups" / self.project.name / stack
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / f"{stack}.{time.time_ns()}.json", self._stack_file(stack).read_text())


def open_backend(project: Project, environment: Mapping[str, str]) -> Backend:
    """The backend that the environment names, else the project, else the one of the last `pulumi login`."""
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    url = environment.get("PULUMI_BACKEND_URL") or project.backend or _logged_in_to(home)
    if not url:
        raise EngineError("no backend: set PULUMI_BACKEND_URL to a file:// address, or run `pulumi login file://...`")
    return Backend(url, project, home)


def _logged_in_to(home: Path) -> str | None:
    path = home / "credentials.json"
    return json.loads(path.read_text()).get("current") if path.exists() else None


def log_in(url: str | None, environment: Mapping[str, str]) -> None:
    """Make `url` the backend of runs whose environment names none; `None` logs out."""
    home = Path(environment.get("PULUMI_HOME") or Path.home() / ".pulumi")
    if url and urlsplit(url).scheme != "file":
        raise Refused(f"the backend {url!r}", "log in to a file:// address")
    home.mkdir(parents=True, exist_ok=True)
    path = home / "credentials.json"
    credentials = json.loads(path.read_text()) if path.exists() else {}
    write_atomically(path, json.dumps({**credentials, "current": url or ""}, indent=4))
