"""The command `bluegreen-sandbox`, as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.host import REPOSITORY, Marker, Sandbox
from tests.sandbox.cloud.world import eventually

MAIN = [sys.executable, "-c", "from sandbox.cli import main; main()"]


def environment(**changes: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "BLUEGREEN_SANDBOX"}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **changes}


def command(*words: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAIN, *words], cwd=cwd, env=environment(**changes), capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a running sandbox in `.sandbox`."""
    at = tmp_path_factory.mktemp("place")
    started = command("start", "--boot-seconds", "0", cwd=at)
    assert started.returncode == 0, started.stderr
    assert "bluegreen-sandbox env" in started.stdout
    yield at
    command("stop", cwd=at)


def test_a_second_sandbox_in_the_same_directory_is_refused(place: Path) -> None:
    refused = command("start", cwd=place)
    assert refused.returncode == 2
    assert f"error: a sandbox is already running in {place / '.sandbox'}" in refused.stderr
    assert "bluegreen-sandbox stop" in refused.stderr


def test_a_minute_of_cloudwatch_lasts_two_seconds_unless_set(place: Path) -> None:
    assert Sandbox.attach(place / ".sandbox").status()["metricSeconds"] == 2


def test_the_environment_can_be_evaluated_and_knows_no_real_account(place: Path) -> None:
    printed = command("env", cwd=place, AWS_PROFILE="prod").stdout
    script = f"{printed}\n{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    found = json.loads(
        subprocess.run(
            ["/bin/sh", "-c", script],
            env=environment(AWS_PROFILE="prod", AWS_SESSION_TOKEN="x"),
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    assert found["BLUEGREEN_SANDBOX"] == str(place / ".sandbox")
    assert found["AWS_ENDPOINT_URL"].startswith("http://127.")
    assert found["AWS_CONFIG_FILE"] == found["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & found.keys()
    assert found["PATH"].startswith(str(REPOSITORY / "sandbox/provider/bin"))
    assert (place / ".sandbox/state").is_dir()


def test_an_image_command_prints_the_id_alone(place: Path) -> None:
    made = command("image", "--app", str(REPOSITORY / "app"), "--tag", "version=2", "--env", "BROKEN=1", cwd=place)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.strip().startswith("ami-")
    assert made.stdout.count("\n") == 1


def test_a_sandbox_is_found_by_its_variable(place: Path, tmp_path: Path) -> None:
    found = command("status", "--json", cwd=tmp_path, BLUEGREEN_SANDBOX=str(place / ".sandbox"))
    assert json.loads(found.stdout)["machines"] == []


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("image", "--app", "nowhere"), "nowhere is not a directory"),
        (("image", "--app", "."), "has no unit file"),
        (("image", "--app", ".", "--tag", "version"), "--tag version: not of the form K=V"),
        (("image", "--app", str(REPOSITORY / "app"), "--architecture", "vax"), "no such architecture: vax"),
    ],
)
def test_a_bad_image_is_refused_in_one_message(place: Path, words: tuple[str, ...], fault: str) -> None:
    refused = command(*words, cwd=place)
    assert refused.returncode == 2
    assert fault in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("words", [("stop",), ("status",), ("env",), ("image", "--app", ".")])
def test_without_a_sandbox_a_command_says_how_to_start_one(tmp_path: Path, words: tuple[str, ...]) -> None:
    refused = command(*words, cwd=tmp_path)
    assert refused.returncode == 2
    assert f"no sandbox is running in {tmp_path / '.sandbox'}" in refused.stderr
    assert "bluegreen-sandbox start" in refused.stderr
    assert not (tmp_path / ".sandbox").exists()


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = command("start", "--port", port, cwd=tmp_path)
    assert refused.returncode == 2
    assert f"port {port} is in use on every loopback address" in refused.stderr


def test_what_a_dead_sandbox_left_is_wiped_and_other_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/old").touch()
    (tmp_path / "sandbox.json").write_text('{"pid": 1}')
    (tmp_path / "notes.txt").touch()
    assert Marker.read(tmp_path) is None
    Marker.take(tmp_path).drop()
    assert not (tmp_path / "state/old").exists()
    assert (tmp_path / "notes.txt").exists()


def test_run_gives_back_the_commands_exit_code_and_leaves_nothing(tmp_path: Path) -> None:
    ran = command("run", "--", "sh", "-c", 'echo "$BLUEGREEN_SANDBOX"; exit 7', cwd=tmp_path)
    assert ran.returncode == 7
    directory = Path(ran.stdout.strip())
    assert directory.is_absolute()
    assert not directory.exists()


def test_run_passes_ctrl_c_to_the_command_and_cleans_up_after_it(tmp_path: Path) -> None:
    script = 'trap "echo interrupted; exit 5" INT; echo "$BLUEGREEN_SANDBOX"; while :; do sleep 0.05; done'
    process = subprocess.Popen(
        [*MAIN, "run", "--", "sh", "-c", script],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    directory = Path(process.stdout.readline().strip())
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.stdout.read() == "interrupted\n"
    assert process.wait(timeout=20) == 5
    eventually(lambda: not directory.exists())


def test_run_of_a_command_that_is_not_there_says_so(tmp_path: Path) -> None:
    refused = command("run", "--", "no-such-command", cwd=tmp_path)
    assert refused.returncode == 2
    assert "no-such-command can't be run" in refused.stderr


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    script = "import sys, sandbox.cli; print([it for it in ('moto', 'boto3', 'flask', 'pulumi') if it in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"
