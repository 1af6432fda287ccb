"""docs/moto-gaps.md: what moto does and AWS does not, as the sandbox fills it. Written by

python -m tests.docs.moto_gaps > docs/moto-gaps.md
"""

from __future__ import annotations

from inspect import getdoc
from pathlib import Path

from sandbox.cloud.moto_gaps import AREAS

PAGE = Path(__file__).parents[2] / "docs" / "moto-gaps.md"
HEAD = """\
# What moto does, and AWS does not

The sandbox's API is [moto](https://docs.getmoto.org/)'s. What it lacks or gets wrong for a rehearsal is filled in
`sandbox/cloud/moto_gaps/`, and listed here from there (`make docs`). `tests/sandbox/cloud/test_moto_gaps.py` asks moto
as it comes for each of these: after an upgrade of moto it says which have closed, and can go.

| area | moto | seen in |
| --- | --- | --- |
"""


def page() -> str:
    rows = []
    for area in AREAS:
        title = (getdoc(area) or "").partition("\n")[0].partition(":")[0].rstrip(".")
        rows += [f"| {title} | {gap.moto} | {gap.seen_in} |\n" for gap in area.GAPS]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    print(page(), end="")
