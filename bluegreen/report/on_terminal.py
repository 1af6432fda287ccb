"""The report on a terminal: a view that is drawn over, and what stays of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, TextIO

from rich.console import Console
from rich.text import Text

from bluegreen.events import Began, EngineLine, Event, Failed, Health, PhaseBegan, Result, StepBegan
from bluegreen.report.live import LiveLines
from bluegreen.report.report import Report
from bluegreen.report.view import ASCII, LAST_EVENTS, PRETTY, Look, Said, view
from bluegreen.report.wording import plain, words_of

SEEN_IN_THE_VIEW = (Began, StepBegan, PhaseBegan)
"""What the view shows by itself."""


class LiveReport(Report):
    """One frame for one stack, a row each for several."""

    def __init__(
        self,
        stacks: Sequence[str],
        *,
        verb: str,
        out: TextIO,
        environment: Mapping[str, str],
        console: Console | None = None,
        **options: Any,
    ) -> None:
        super().__init__(stacks, out=out, **options)
        self._verb = verb
        self._console = console or Console(file=out, highlight=False, soft_wrap=False)
        self._look = look_of(self._console, environment)
        self._said: tuple[Said, ...] = ()
        self._lines = LiveLines(self._console, self.lines)

    def __enter__(self) -> Self:
        self._lines.start(refresh=True)
        return self

    def close(self) -> None:
        self._lines.stop()

    def lines(self, width: int, height: int) -> list[Text]:
        """What the terminal shows now. Without the lock: who draws holds the terminal's, and who tells may wait for
        that."""
        stacks, said = list(self._stacks.values()), self._said
        return view(stacks, said, now=self._clock(), width=width, height=height, look=self._look, verb=self._verb)

    def _show(self, event: Event, at: float) -> None:
        if isinstance(event, EngineLine):
            self._console.print(Text(self._fit(event.text)))
            return
        words = "" if isinstance(event, SEEN_IN_THE_VIEW) else words_of(event)
        if words:
            last = self._said[-1] if self._said else None
            said = Said(at - self._began, event.stack, self._fit(words), isinstance(event, Failed))
            if isinstance(event, Health) and last and last.text == said.text and last.stack == said.stack:
                return
            self._said = (*self._said, said)[-LAST_EVENTS:]

    def _show_result(self, result: Result) -> None:
        if result.text:
            self._write(self._out, result.text)

    def _fit(self, text: str) -> str:
        return plain(text, "ascii" if self._look.is_ascii else self._console.encoding)


def look_of(console: Console, environment: Mapping[str, str]) -> Look:
    """What this terminal can show. LANG=C is taken at its word, though Python sets LC_CTYPE=C.UTF-8 then (PEP 538)."""
    locale = environment.get("LC_ALL") or environment.get("LANG") or environment.get("LC_CTYPE") or "C"
    is_ascii = not console.encoding.lower().startswith("utf") or locale in ("C", "POSIX")
    look = ASCII if is_ascii else PRETTY
    has_color = console.color_system is not None and not console.no_color
    return look if has_color else Look(**{**vars(look), "has_color": False})
