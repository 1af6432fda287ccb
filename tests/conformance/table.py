"""`make conformance-table`: docs/engines.md from the scenarios, whose claims the suite holds to the engines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conformance import recordings
from tests.conformance.scenario import Scenario
from tests.conformance.scenarios import BOTH_WAYS, SCENARIOS

PAGE = Path(__file__).parents[2] / "docs/engines.md"
HEAD = """\
# The two engines

The sandbox runs the unchanged program with the real `pulumi` where it is on PATH, else with a stand-in
([sandbox/engine](../sandbox/engine/README.md)). `make conformance` puts both through the scenarios below and compares,
step by step: exit code, what the provider was asked and in which order, the state (resources, inputs, outputs,
dependencies, parents, hooks, protection, pending operations, locks), the event log, `preview --json`, `stack export`
and the errors. Where there is no real engine, the stand-in is compared with recordings of one. This page is written by
`make conformance-table`.

Not compared: times, source positions, the engine's version, debug messages, what Python prints on standard error,
tracebacks, how progress is shown on the screen, and the real engine's warning that it took a plugin from PATH.

"Goes both ways" names the steps that each engine also does from the state that the other left.

| scenario | what happens | steps | goes both ways | the stand-in |
| --- | --- | --- | --- | --- |
"""


def verdict(scenario: Scenario) -> str:
    if scenario.refused:
        is_of_the_program = not scenario.refused.startswith(("the flag", "the command"))
        before = "that resource, or what comes after it," if is_of_the_program else "anything"
        return f"refuses {scenario.refused}, by name, before {before} is changed"
    if scenario.explained:
        return "differs: " + "; ".join(dict.fromkeys(scenario.explained.values()))
    return "same"


def page() -> str:
    rows = []
    for scenario in SCENARIOS:
        crossings = ", ".join(scenario.steps[index].name for index in scenario.crossings)
        cells = (scenario.name, scenario.about, str(len(scenario.steps)), crossings, verdict(scenario))
        rows.append(f"| {' | '.join(cells)} |\n")
    tail = "".join(f"- {reason}\n" for reason in dict.fromkeys(BOTH_WAYS.values()))
    made_by = sorted({json.loads(recordings.file_of(s).read_text())["engine"] for s in SCENARIOS})
    also = f"\nWhat may differ when an engine goes on from the other's state:\n{tail}" if tail else ""
    return f"{HEAD}{''.join(rows)}{also}\nThe recordings were made by {' and '.join(made_by)}.\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE}: {len(SCENARIOS)} scenarios", file=sys.stderr)
