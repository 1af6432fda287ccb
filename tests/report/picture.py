"""The picture of the live view that docs/json.md shows.

python -m tests.report.picture > docs/live-view.svg
"""

from __future__ import annotations

import io

from rich.console import Console

from bluegreen.report.view import PRETTY, Said, view

from .stories import NEW, OLD, SOAKING, after

SAID = (
    Said(34, "prod", f"gate: web-{NEW}: 4 of 4 healthy"),
    Said(34, "prod", f"gate: web-{NEW}: passed"),
    Said(35, "prod", f"traffic: {OLD} 50 %, {NEW} 50 %"),
    Said(37, "prod", f"attest: seen {NEW} 48 %, {OLD} 52 %, wanted {NEW} 50 %, {OLD} 50 %: passed"),
    Said(37, "prod", f"soak: web-{NEW} is watched for 60 s"),
)
FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
<rect fill="#292929" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def picture() -> str:
    console = Console(record=True, width=80, force_terminal=True, color_system="truecolor", file=io.StringIO())
    for line in view([after(*SOAKING)], SAID, now=41, width=80, height=24, look=PRETTY):
        console.print(line)
    return console.export_svg(title="", code_format=FORMAT, unique_id="view")


if __name__ == "__main__":
    print(picture(), end="")
