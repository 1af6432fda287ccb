from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen import deployment, driver, engine
from bluegreen import stack as stack_module
from tests.deployment.world import ONE, Images, Stack, Watch


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    made = Stack({"ami": ONE, "ledger": "file"})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: bluegreen\nconfig: {ledger: {default: file}}\n")

    def open_stack(_stack: str, _directory: Path, environment: dict[str, str]) -> Stack:
        made.environment = dict(environment)
        return made

    monkeypatch.setattr(engine, "_open", open_stack)
    monkeypatch.setattr(stack_module, "Observer", Images)
    monkeypatch.setattr(Images, "stack", made, raising=False)
    monkeypatch.setattr(driver, "LOOK_SECONDS", 0.0)
    deployment.deploy("dev")
    made.ups.clear()
    made.serials.clear()
    made.proven.clear()
    return made
