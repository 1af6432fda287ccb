"""A sandbox from the outside: start one, find a running one, its environment, its images.

Used by the command, by tests and by the demo. What runs inside is `sandbox.cloud`, a process of its own; this module
imports nothing heavy.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from bluegreen.errors import BluegreenError

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_BOOT_SECONDS = 1.0
DEFAULT_METRIC_SECONDS = 2  # a soak of minutes is rehearsed in seconds; 60 is real time
LONGEST_METRIC_SECONDS = 3600
TRUSTED = "trusted.pem"  # certificate authorities: the sandbox's own, and those of this computer
_STARTED_HERE = (
    "calls.jsonl",
    "images",
    "machines",
    "pulumi-home",
    "sandbox.json",
    "sandbox.log",
    "state",
    "system",
    TRUSTED,
)
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class SandboxError(BluegreenError):
    """A sandbox that can't be started, found or used."""


class Marker:
    """`sandbox.json` in a sandbox's directory: whose it is. A lock tells a living owner from a dead one, not a pid."""

    def __init__(self, directory: Path, lock: IO[str]) -> None:
        self._directory = directory
        self._lock = lock

    @classmethod
    def take(cls, directory: Path) -> Marker:
        """Own the directory, and wipe what a dead sandbox left in it: its AWS is gone, so its state is worthless."""
        _make(directory)
        lock = (directory / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _already_running(directory) from None
        for name in _STARTED_HERE:
            path = directory / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif name != "sandbox.log":  # it is being written to
                path.unlink(missing_ok=True)
        (directory / "state").mkdir()
        return cls(directory, lock)

    def write(self, **facts: Any) -> None:
        draft = self._directory / "sandbox.json.new"
        draft.write_text(json.dumps({"pid": os.getpid(), **facts}), encoding="utf-8")
        draft.replace(self._directory / "sandbox.json")

    def drop(self) -> None:
        (self._directory / "sandbox.json").unlink(missing_ok=True)
        self._lock.close()

    @staticmethod
    def read(directory: Path) -> dict[str, Any] | None:
        """The facts of the sandbox that runs there; None if none does."""
        try:
            with (directory / "lock").open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    facts: dict[str, Any] = json.loads((directory / "sandbox.json").read_text(encoding="utf-8"))
                    return facts
        except FileNotFoundError:
            return None  # no such directory, or a sandbox that has not begun yet
        return None


@dataclass(frozen=True)
class Running:
    """What is known of a sandbox that runs."""

    pid: int
    endpoint: str
    region: str
    ssh_port: int


class Sandbox:
    """A running sandbox. As a context manager it stops at the end, if it was started here."""

    def __init__(self, directory: Path, running: Running, process: subprocess.Popen[bytes] | None = None) -> None:
        self.dir = directory
        self.endpoint = running.endpoint
        self.pid = running.pid
        self.region = running.region
        self.ssh_port = running.ssh_port
        self._process = process
        self._lifeline: int | None = None
        self._is_temporary = False

    @classmethod
    def start(
        cls,
        directory: Path | str | None = None,
        *,
        port: int | None = None,
        boot_seconds: float | None = None,
        metric_seconds: int | None = None,
        outlives_us: bool = False,
    ) -> Sandbox:
        """Start one and wait until it answers. Without a directory it gets a temporary one, deleted by `stop`.

        Unless `outlives_us`, it ends with this process, however that ends.
        """
        times = ["--boot-seconds", str(_boot_seconds(boot_seconds))]
        times += ["--metric-seconds", str(_metric_seconds(metric_seconds))]
        is_temporary = directory is None
        at = Path(directory or tempfile.mkdtemp(prefix="bluegreen-sandbox-")).resolve()
        if Marker.read(at):
            raise _already_running(at)
        _make(at)
        ready_read, ready_write = os.pipe()
        life_read, life_write = os.pipe()
        command = [sys.executable, "-m", "sandbox.cloud", "--dir", str(at), "--ready-fd", str(ready_write)]
        command += times
        if port is not None:
            command += ["--port", str(port)]
        if not outlives_us:
            command += ["--lifeline-fd", str(life_read)]
        with (at / "sandbox.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(ready_write, life_read),
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": _python_path()},
            )
        os.close(ready_write)
        os.close(life_read)
        try:
            endpoint = _wait_until_ready(process, ready_read, at)
        except BaseException:
            process.terminate()
            process.wait()
            os.close(life_write)
            if is_temporary:
                shutil.rmtree(at, ignore_errors=True)
            raise
        facts = Marker.read(at)
        if facts is None:
            raise SandboxError("the sandbox ended as soon as it had started", f"Its log is {at / 'sandbox.log'}.")
        sandbox = cls(at, Running(process.pid, endpoint, facts["region"], facts["sshPort"]), process)
        sandbox._lifeline, sandbox._is_temporary = life_write, is_temporary
        if outlives_us:
            os.close(life_write)
            sandbox._lifeline = None
        return sandbox

    @classmethod
    def attach(cls, directory: Path | str | None = None) -> Sandbox:
        """The sandbox that runs in this directory; without one, in BLUEGREEN_SANDBOX, else in `.sandbox`."""
        at = Path(directory or os.environ.get("BLUEGREEN_SANDBOX") or ".sandbox").resolve()
        facts = Marker.read(at)
        if facts is None:
            raise SandboxError(
                f"no sandbox is running in {at}",
                "Start one with `bluegreen-sandbox start`, or name the directory of a running one with --dir.",
            )
        return cls(at, Running(facts["pid"], facts["endpoint"], facts["region"], facts["sshPort"]))

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self.stop()

    @property
    def env(self) -> dict[str, str]:
        """What makes boto3, Packer and Pulumi meet this sandbox, and no real account."""
        path = [str(REPOSITORY / "sandbox/provider/bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        if shutil.which("pulumi", path=os.environ.get("PATH", "")) is None:
            path.append(str(REPOSITORY / "sandbox/engine/bin"))
        reach = f"{Path(sys.executable).with_name('bluegreen-sandbox')} reach"
        return {
            "BLUEGREEN_SANDBOX": str(self.dir),
            "BLUEGREEN_SANDBOX_PYTHON": sys.executable,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SSL_CERT_FILE": str(self.dir / TRUSTED),
            "AWS_POLL_DELAY_SECONDS": "1",  # Packer's; machines boot in a second here
            "PKR_VAR_ssh_port": str(self.ssh_port),
            "ANSIBLE_REMOTE_PORT": str(self.ssh_port),
            "ANSIBLE_SSH_COMMON_ARGS": f"-o ProxyCommand='{reach} %h %p'",
            "ANSIBLE_SKIP_TAGS": "host",
            "PULUMI_BACKEND_URL": f"file://{self.dir / 'state'}",
            "PULUMI_HOME": str(self.dir / "pulumi-home"),
            "PULUMI_CONFIG_PASSPHRASE": "sandbox",
            "PULUMI_RUN_PROGRAM": "true",
            "PULUMI_OPTION_SKIP_CONFIG_VALIDATION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PATH": os.pathsep.join(path),
        }

    @property
    def full_env(self) -> dict[str, str]:
        """This process's environment with the sandbox's laid over it, for a child process."""
        return {**{key: value for key, value in os.environ.items() if key not in UNSET}, **self.env}

    def image(
        self,
        app: Path | str,
        *,
        tags: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
        architecture: str = "x86_64",
        state: str = "available",
    ) -> str:
        """Register an image of an app's directory; its AMI id. A tag `version` is the app's version, too."""
        reply = self.ask(
            "POST",
            "images",
            {
                "app": str(Path(app).resolve()),
                "name": name,
                "tags": dict(tags or {}),
                "environment": dict(env or {}),
                "architecture": architecture,
                "state": state,
            },
        )
        return str(reply["id"])

    def status(self) -> dict[str, Any]:
        return self.ask("GET", "status")

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A call of the sandbox's own API (sandbox/cloud/control.py says which there are)."""
        request = urllib.request.Request(
            f"{self.endpoint}/_sandbox/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            # Straight to the loopback address, whatever proxy the user's environment names.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=60) as answer:
                reply: dict[str, Any] = json.load(answer)
                return reply
        except urllib.error.HTTPError as fault:
            if fault.headers.get_content_type() != "application/json":
                raise SandboxError(f"the sandbox failed: {fault}", f"Its log is {self.dir / 'sandbox.log'}.") from fault
            refusal = json.load(fault)
            raise SandboxError(refusal["error"], refusal.get("nextStep", "")) from fault
        except OSError as fault:
            raise SandboxError(
                f"the sandbox in {self.dir} does not answer at {self.endpoint}: {fault}",
                f"Its log is {self.dir / 'sandbox.log'}; `bluegreen-sandbox stop` ends it.",
            ) from fault

    def stop(self) -> None:
        """End it with all its machines. Raises SandboxError if it does not end."""
        if self._process is None or self._process.poll() is None:
            with suppress(ProcessLookupError):  # it ended by itself meanwhile
                os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self._process.poll() is None if self._process else Marker.read(self.dir) is not None:
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"the sandbox (process {self.pid}) did not stop within {_STOP_SECONDS:.0f} seconds",
                    f"End it with `kill -9 {self.pid}`: its machines end with it.",
                )
            time.sleep(0.02)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._is_temporary:
            shutil.rmtree(self.dir, ignore_errors=True)


# A profile would win over the access key and could lead to a real account; a session token would spoil the key.
UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


def _wait_until_ready(process: subprocess.Popen[bytes], fd: int, directory: Path) -> str:
    with os.fdopen(fd) as ready:
        line = ready.read()  # until the sandbox closes its end: it is ready, or dead
    if not line:
        process.wait(timeout=_START_SECONDS)
        log = (directory / "sandbox.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise SandboxError(
            "the sandbox did not start:\n" + "\n".join(f"    {it}" for it in log[-15:]),
            f"The whole log is {directory / 'sandbox.log'}.",
        )
    reply = json.loads(line)
    if "error" in reply:
        raise SandboxError(reply["error"], reply["nextStep"])
    return str(reply["endpoint"])


def _already_running(directory: Path) -> SandboxError:
    return SandboxError(
        f"a sandbox is already running in {directory}",
        'Use it (`eval "$(bluegreen-sandbox env)"`), stop it (`bluegreen-sandbox stop`), or name another directory '
        "with --dir.",
    )


def _boot_seconds(given: float | None) -> float:
    if given is not None:
        return given
    text = os.environ.get("BLUEGREEN_SANDBOX_BOOT_SECONDS", "")
    try:
        return float(text) if text else DEFAULT_BOOT_SECONDS
    except ValueError:
        raise SandboxError(
            f"BLUEGREEN_SANDBOX_BOOT_SECONDS is {text!r}, which is no number", "Give seconds, such as 1.0."
        ) from None


def _metric_seconds(given: int | None) -> int:
    text = os.environ.get("BLUEGREEN_SANDBOX_METRIC_SECONDS", "") if given is None else str(given)
    try:
        seconds = int(text or DEFAULT_METRIC_SECONDS)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= LONGEST_METRIC_SECONDS:
        raise SandboxError(
            f"a metric period of {text!r} seconds",
            f"Give whole seconds from 1 to {LONGEST_METRIC_SECONDS}, by BLUEGREEN_SANDBOX_METRIC_SECONDS or by option.",
        )
    return seconds


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise SandboxError(
            f"the sandbox's directory {directory} can't be made: {fault.strerror}", "Name another with --dir."
        ) from fault


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH", ""))))
