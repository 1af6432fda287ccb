"""The gate's command at work: runs the user's program, passes on what it says, and leaves nothing of it behind.

What its end means is in `bluegreen.model.command`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.checks import leash
from bluegreen.errors import Fault, SettingsError
from bluegreen.model.command import Ended, GateCommand
from bluegreen.model.notice import GATE_COMMAND

LAST_LINES = 10
MOST_CHARACTERS_A_LINE = 1000
_CHUNK_BYTES = 64 * 1024
_LEFTOVER_SECONDS = 1.0
"""How long output is waited for that a child of the command, out of our reach, might still write."""


def check_program(command: GateCommand, directory: Path, setting: str = "gateCommand") -> None:
    """Raises SettingsError where the program of a command is not there, or can't be run. `setting` names it."""
    program = command.program
    has_directory = os.path.dirname(program) != ""
    if not shutil.which(directory / program if has_directory else program):
        where = f"{directory / program} is not there, or can't be run" if has_directory else "it is not on PATH"
        raise SettingsError([Fault(f"bluegreen:{setting}.command", f"there is no program {program!r}: {where}")])


@dataclass(frozen=True, kw_only=True)
class CommandRunner:
    """Runs commands in a directory. `report` gets their output, in lines, as it comes."""

    directory: Path
    report: Callable[[str], None]

    async def run(self, command: GateCommand, variables: Mapping[str, str]) -> Ended:
        """Run it once, in our environment with these variables. Cancelled, it ends the command too."""
        output = _Output(self.report)
        async with self._started(command, variables, output) as ended:
            try:
                code = await asyncio.wait_for(asyncio.shield(ended), command.timeout_seconds)
            except TimeoutError:
                code = None
        return Ended(code=code, last_lines=tuple(output.last_lines))

    @asynccontextmanager
    async def _started(
        self, command: GateCommand, variables: Mapping[str, str], output: _Output
    ) -> AsyncIterator[asyncio.Future[int]]:
        """The command's exit code to be. It has ended, with its process group, when this is left."""
        # A pipe of our own: asyncio's would keep a command from ending while any child of it holds the other end.
        read, write = os.pipe()
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb"))
        try:
            process = await asyncio.create_subprocess_exec(
                # The leash needs the standard library only: without the rest it starts at once.
                *(sys.executable, "-I", "-S", leash.__file__, *command.command),
                cwd=self.directory,
                env={**os.environ, **variables},
                stdin=asyncio.subprocess.PIPE,
                stdout=write,
                stderr=write,
                start_new_session=True,  # Ctrl-C is for the engine, and the leash ends the command then
            )
        finally:
            os.close(write)
        ended = asyncio.ensure_future(process.wait())
        reading = asyncio.ensure_future(output.take(reader))
        try:
            yield ended
        finally:
            assert process.stdin
            process.stdin.close()
            await ended
            await asyncio.wait([reading], timeout=_LEFTOVER_SECONDS)
            reading.cancel()
            pipe.close()
            output.end()


@dataclass
class _Output:
    """Splits what comes into lines, reports them, and keeps the last."""

    report: Callable[[str], None]
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    _rest: bytes = b""

    async def take(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            self._say(lines)
            self._rest = self._rest[:MOST_CHARACTERS_A_LINE]

    def end(self) -> None:
        if self._rest:
            self._say([self._rest])
            self._rest = b""

    def _say(self, lines: list[bytes]) -> None:
        """In one report: a command that says much must not wait for a message a line."""
        texts = [line.decode(errors="replace").rstrip()[:MOST_CHARACTERS_A_LINE] for line in lines]
        self.last_lines.extend(text for text in texts if text)
        if texts:
            self.report("\n".join(GATE_COMMAND.with_values(said=text) for text in texts))
