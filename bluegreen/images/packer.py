"""HashiCorp's Packer: found, told what to build, run, and interrupted so that it cleans up.

What its lines mean is `packer_output`; which image it made is `manifest`.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from bluegreen.errors import PackerError
from bluegreen.images.packer_output import LAST_LINES

OLDEST = (1, 6, 6)
"""What Debian 12 ships."""
WITH_PLUGINS = (1, 7, 0)
"""From here on builders are plugins, which a template requires and `packer init` installs."""

FOR_OLD = "packer-1.6"
"""The directory in a template with what an old Packer gets in place of the files of the same name."""
PLUGINS_FILE = "plugins.pkr.hcl"
TEMPLATE_SUFFIX = ".pkr.hcl"

HOW_TO_GET_IT = "Install it: `apt install packer` on Debian, or https://developer.hashicorp.com/packer/install."
VERSION_SECONDS = 30

LINGER_SECONDS = 5.0
"""How long what Packer has left running may hold its output open, once Packer itself has ended."""
POLL_SECONDS = 0.5

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

OnLine = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended, with all that it printed."""

    code: int
    lines: tuple[str, ...]
    was_interrupted: bool

    @property
    def was_killed(self) -> bool:
        """By a signal: it had no time to clean up."""
        return self.code < 0

    @property
    def how(self) -> str:
        return how_ended(self.code)


@dataclass(frozen=True, kw_only=True)
class Template:
    """A template as Packer is given it. `sources`: what its files are copies of, where they are."""

    directory: Path
    sources: Mapping[Path, Path] = field(default_factory=dict)

    def in_own_words(self, line: str) -> str:
        """A line of Packer's, with the files that the user knows."""
        for copy, source in self.sources.items():
            line = line.replace(str(copy), str(source))
        return line


@dataclass(frozen=True, kw_only=True)
class Packer:
    """A Packer that is good enough."""

    executable: str
    version: tuple[int, int, int]

    @classmethod
    def find(cls) -> Packer:
        """The one on PATH. Raises PackerError where there is none, or one that is too old."""
        executable = shutil.which("packer")
        if executable is None:
            raise PackerError("there is no `packer` on PATH, and only Packer can bake", HOW_TO_GET_IT)
        version = _version_of(executable)
        if version < OLDEST:
            raise PackerError(
                f"{executable} is Packer {_dotted(version)}, and {_dotted(OLDEST)} is the oldest that will do",
                HOW_TO_GET_IT,
            )
        return cls(executable=executable, version=version)

    @property
    def has_plugins(self) -> bool:
        return self.version >= WITH_PLUGINS

    def commands(self, template: Template, variable_files: Sequence[Path]) -> list[list[str]]:
        """What to run, one after the other, to build a template; later variable files win."""
        variables = [f"-var-file={file}" for file in variable_files]
        build = [self.executable, "build", "-color=false", *variables, str(template.directory)]
        return [[self.executable, "init", str(template.directory)], build] if self.has_plugins else [build]

    def template(self, template: Path, scratch: Path) -> Template:
        """What to build: the template's directory, or for an old Packer one made of it in `scratch`."""
        if self.has_plugins:
            return Template(directory=template.resolve())
        old = template / FOR_OLD
        if not old.is_dir():
            raise PackerError(
                f"{template} is for Packer {_dotted(WITH_PLUGINS)} or later, and this is {_dotted(self.version)}",
                f"Install a newer Packer, or give the template a directory {FOR_OLD} with what this one can do.",
            )
        made = scratch / "template"
        made.mkdir()
        sources = {}
        for directory in (template, old):
            for file in sorted(directory.glob(f"*{TEMPLATE_SUFFIX}")):
                if file.name != PLUGINS_FILE:
                    shutil.copyfile(file, made / file.name)
                    sources[made / file.name] = file
        return Template(directory=made, sources=sources)


def run(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    interrupter: Interrupter,
    on_line: OnLine,
) -> Ended:
    """Run a command to its end, line by line, however often it is told to stop meanwhile. Raises PackerError.

    SIGINT, SIGTERM and SIGHUP become a Ctrl-C for Packer, one for one: it then terminates what it has launched, and
    that is waited for. It has a process group of its own, since a terminal's Ctrl-C would reach it a second time.
    """
    lines: list[str] = []
    try:
        process = interrupter.start(command, directory, environment)
    except OSError as error:
        raise PackerError(f"{command[0]} can't be run: {error}") from error
    assert process.stdout is not None
    output = _lines(process)
    try:
        for line in output:
            lines.append(line)
            on_line(line)
    except BaseException:
        # Nobody listens any more. Without a reader Packer would die at its next line, and leave its machine.
        interrupter.interrupt()
        lines.extend(output)
        raise
    finally:
        process.stdout.close()
        code = process.wait()
    return Ended(code=code, lines=tuple(lines), was_interrupted=interrupter.count > 0)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """What a process prints, to its end: not to that of a child it has left, which may hold the pipe for ever."""
    assert process.stdout is not None
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    begun, until = "", None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while until is None or time.monotonic() < until:
            if until is None and process.poll() is not None:
                until = time.monotonic() + LINGER_SECONDS
            if not selector.select(POLL_SECONDS):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            *whole, begun = (begun + decoder.decode(chunk, final=not chunk)).split("\n")
            yield from whole
            if not chunk:
                break
    if begun:
        yield begun


class Interrupter:
    """While it is entered, what tells this process to stop is handed on to the one that it started, or else counted."""

    def __init__(self) -> None:
        self.count = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupter:
        if threading.current_thread() is threading.main_thread():
            for each in STOP_SIGNALS:
                if signal.getsignal(each) is not signal.SIG_IGN:  # nohup
                    self._before[each] = signal.signal(each, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)  # type: ignore[arg-type]

    def start(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        for _ in range(self.count):  # what came while it was being started
            self._send()
        return self._process

    def interrupt(self) -> None:
        self.count += 1
        self._send()

    def _hear(self, _signal: int, _frame: FrameType | None) -> None:
        self.interrupt()

    def _send(self) -> None:
        # To the group: the process that one starts only watches over the one that builds, and ignores Ctrl-C itself.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGINT)


def packer_environment(session: Mapping[str, str]) -> dict[str, str]:
    """The environment for Packer, with a session's own credentials over it."""
    # It asks its makers for news otherwise, and waits for the answer.
    return {**os.environ, "CHECKPOINT_DISABLE": "1", **session}


def _version_of(executable: str) -> tuple[int, int, int]:
    try:
        done = subprocess.run(
            [executable, "version"],
            env=packer_environment({}),
            stdin=subprocess.DEVNULL,  # another program of this name reads words from it
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackerError(f"{executable} can't be asked for its version: {error}", HOW_TO_GET_IT) from error
    found = re.search(r"^Packer v(\d+)\.(\d+)\.(\d+)", done.stdout, flags=re.MULTILINE)
    if not found:
        heard = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        said = "".join(f"\n  {line}" for line in heard[-LAST_LINES:])
        if done.returncode < 0 or (done.returncode and heard):
            raise PackerError(f"`{executable} version` {how_ended(done.returncode)}{said}", HOW_TO_GET_IT)
        raise PackerError(
            f"{executable} is not HashiCorp's Packer: it does not tell its version (cracklib has a `packer`, too)"
            f"{said}",
            f"{HOW_TO_GET_IT} Put it first on PATH.",
        )
    major, minor, patch = (int(part) for part in found.groups())
    return major, minor, patch


def how_ended(code: int) -> str:
    """What a process's exit code says, as the end of a sentence."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # one of the real-time signals
        return f"was killed by signal {-code}"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
