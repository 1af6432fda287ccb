"""A command under way: what it tells is shown, Ctrl-C is heard, and its errors become its exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import typer

from bluegreen.errors import FAILED, NEEDS_A_PERSON, BluegreenError, Interrupted

if TYPE_CHECKING:
    from bluegreen.driver import Update
    from bluegreen.report import Report
    from bluegreen.stop import Stop


@dataclass(frozen=True)
class Running:
    """What a verb of the library is given: `options`. `report` shows what it tells."""

    verb: str
    report: Report
    stop: Stop

    @property
    def options(self) -> dict[str, Any]:
        return {"on_event": self.report.see, "stop": self.stop}

    def done(self, update: Update) -> None:
        """The last thing that is told: what runs where, as the load balancer says."""
        from bluegreen.events import Result

        self.report.result(
            Result(
                stack=update.stack,
                verb=self.verb,
                text=said(update),
                seconds=update.seconds,
                release=update.outputs["activeRelease"]["version"] if update.outputs else "",
                url=update.outputs.get("url", ""),
                weights=update.serving,
                details={"run": update.run, "changes": dict(update.changes)},
            )
        )


@contextmanager
def running(
    verb: str,
    stacks: Sequence[str],
    *,
    as_json: bool = False,
    verbose: bool = False,
    is_live: bool = True,
    out: TextIO | None = None,
) -> Iterator[Running]:
    """Everything goes to `out`, stdout by default, but errors in words, which go to stderr.

    `is_live`: it takes long enough for a view on a terminal, and is given `stop`. Ctrl-C ends at once what is not.
    """
    from bluegreen.report import Mode, mode_of, reporter
    from bluegreen.stop import Stop

    out = out or sys.stdout
    mode = mode_of(as_json=as_json, out=out)
    mode = mode if is_live or mode is Mode.JSON else Mode.PLAIN
    with reporter(mode, stacks, verb=verb, is_verbose=verbose, out=out) as report:
        stop = Stop()
        try:
            with _hearing_signals(stop) if is_live else nullcontext():
                yield Running(verb, report, stop)
        except BluegreenError as error:
            report.error(error, error.exit_code)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            code = FAILED if len(stacks) == 1 else NEEDS_A_PERSON  # of many, some may go on, on workers elsewhere
            done = " before anything was changed" if is_live and code == FAILED else ""
            report.error(Interrupted(f"interrupted{done}", "`bluegreen status` tells where a stack is."), code)
            raise typer.Exit(code) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as bug:
            report.error(bug, NEEDS_A_PERSON)
            traceback.print_exc()
            raise typer.Exit(NEEDS_A_PERSON) from bug


@contextmanager
def _hearing_signals(stop: Stop) -> Iterator[None]:
    """Ctrl-C asks to stop: once after the step, twice now. What ends a job in CI, or a terminal, means now at once.

    Where nothing was begun, nobody listens: now is KeyboardInterrupt then, though AWS or the engine be waited for.
    """

    def ask(_signal: int, _frame: object) -> None:
        stop.ask()
        if stop.is_urgent and not stop.is_heard:
            raise KeyboardInterrupt

    def ask_now(signal: int, frame: object) -> None:
        if not stop.is_asked:
            stop.ask()
        ask(signal, frame)

    handlers = {signal.SIGINT: ask, signal.SIGTERM: ask_now, signal.SIGHUP: ask_now}
    before = {each: signal.signal(each, handler) for each, handler in handlers.items()}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def said(update: Update) -> str:
    if not update.outputs:
        return f"{update.stack}: everything is destroyed; its config and history stay"
    lines = [f"{update.stack} runs release {update.outputs['activeRelease']['version']} at {update.outputs['url']}"]
    for group in update.outputs["fleet"]["groups"]:
        if group["role"] == "candidate":
            version, weight = group["release"]["version"], group["weight"]
            lines.append(f"release {version} is a candidate, with {weight} % of the traffic")
    return "\n".join(lines)
