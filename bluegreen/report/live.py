"""Draws lines on a terminal over and over, and leaves the last ones readable behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
from rich.live import Live
from rich.text import Text

REFRESHES_PER_SECOND = 4

Lines = Callable[[int, int], Sequence[Text]]
"""What to draw, on a terminal of so many columns and rows."""


class LiveLines(Live):
    """Draws what `lines` gives, four times a second, from `start` until `stop`, which draws once more.

    A terminal that gets narrower breaks the lines that are too long for it now, so that the frame to draw over is
    higher than it was drawn. (Where lines are cut instead, as by xterm, some lines above the frame are lost then.)
    """

    def __init__(self, console: Console, lines: Lines) -> None:
        self._frame = _Frame(lines)
        super().__init__(
            self._frame, console=console, refresh_per_second=REFRESHES_PER_SECOND, vertical_overflow="crop"
        )

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        with self._lock:
            if drawn := self._frame.drawn:
                size = self.console.size
                rows = sum(max(1, -(-cells // max(1, size.width))) for cells in drawn)
                render: Any = self._live_render
                render._shape = (size.width, min(rows, max(1, size.height)))
            return super().process_renderables(renderables)


class _Frame:
    """`drawn`: how many cells each line took that was drawn last."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.drawn: list[int] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self._lines(options.size.width, options.size.height)
        self.drawn = [line.cell_len for line in lines]
        yield from lines
