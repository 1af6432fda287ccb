"""The commands that a person types, as docs/pulumi.md shows them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.host import REPOSITORY
from tests.e2e.project import COMMANDS

SCRIPT = """
set -e
pulumi stack init dev
pulumi config set ami "$(bluegreen-sandbox image --app {app} --tag version=1)"
pulumi config set listenerPort 8080
pulumi config set drainSeconds 2
pulumi up --yes
pulumi stack output --json > outputs.json
{python} -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' \
  "$(pulumi stack output url)" > answer
bluegreen deploy dev --ami "$(bluegreen-sandbox image --app {app} --tag version=2)" > deployed
bluegreen status dev --json | tail -n 1 > status.json
bluegreen destroy dev --yes > destroyed
bluegreen status dev
bluegreen-sandbox status
"""


@pytest.mark.rollout
def test_pulumi_and_the_command_work_in_turn_with_the_defaults(engine: Path, tmp_path: Path) -> None:
    """`pulumi` and `bluegreen` in turn, on one stack whose settings are all but three the defaults."""
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    script = SCRIPT.format(app=REPOSITORY / "app", python=sys.executable)
    done = subprocess.run(
        [str(COMMANDS / "bluegreen-sandbox"), "run", "--boot-seconds", "0.5", "--", "bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{engine}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = json.loads((tmp_path / "outputs.json").read_text())
    assert set(outputs) == {"url", "previewUrl", "activeRelease", "serverGroups", "fleet"}
    assert (tmp_path / "answer").read_text().startswith("version 1 on i-")
    status = json.loads((tmp_path / "status.json").read_text())
    release = status["release"]
    assert release != outputs["activeRelease"]["version"]
    assert f"dev runs release {release} at {status['url']}" in (tmp_path / "deployed").read_text()
    assert done.stdout.rstrip().endswith("nothing runs in it yet")
