"""Help comes at once: it imports neither the engine nor AWS, whatever command it is of."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

HEAVY = ("pulumi", "pulumi_aws", "boto3", "botocore", "distributed", "consul")
HELP_OF_ALL = """
import contextlib, io, json, sys
from typer.main import get_command
from bluegreen.cli.main import app

def walk(command, words):
    yield words
    for name, each in getattr(command, "commands", {}).items():
        yield from walk(each, [*words, name])

seen = {}
for words in walk(get_command(app), []):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        app([*words, "--help"])
    seen[" ".join(words)] = ["Usage: " in out.getvalue(), [name for name in HEAVY if name in sys.modules]]
print(json.dumps(seen))
"""
PAIRS = 5


def test_no_commands_help_imports_what_only_its_work_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {HEAVY}\n{HELP_OF_ALL}"], capture_output=True, text=True, check=True
    )
    seen = json.loads(done.stdout)
    assert {"", "deploy", "history", "images prune", "artifact build"} <= seen.keys()
    assert {words: found for words, found in seen.items() if found != [True, []]} == {}


def test_help_takes_no_more_than_twice_the_time_of_importing_what_shows_it() -> None:
    """In pairs, so that whatever else the machine does meets both."""
    ratios = []
    for _ in range(PAIRS):
        bare = seconds("import typer, rich")
        ours = seconds("import sys; sys.argv = ['bluegreen', '--help']; from bluegreen.cli.main import main; main()")
        ratios.append(ours / bare)
    assert statistics.median(ratios) < 2, ratios


def seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
