"""The Automation API of the SDK drives the stand-in as it drives the real CLI."""

from __future__ import annotations

import warnings

import pytest
from pulumi import automation as auto

from tests.sandbox.engine.engine_workspace import Workspace


def test_a_life_of_a_stack(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.program('x = Thing("x", size=config.require_int("size")); pulumi.export("arn", x.arn)')
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    command = auto.PulumiCommand(root=str(workspace.engine.parent))
    local = auto.LocalWorkspace(work_dir=str(workspace.project), pulumi_command=command)
    options = auto.LocalWorkspaceOptions(pulumi_command=command)
    stack = auto.create_or_select_stack("auto", work_dir=str(workspace.project), opts=options)
    stack.set_config("size", auto.ConfigValue("3"))
    stack.set_config("token", auto.ConfigValue("s3cret", secret=True))
    token = stack.get_config("token")
    assert (token.value, token.secret) == ("s3cret", True)
    stack.remove_config("token")  # making the key takes half a second, in every command that meets a secret
    assert stack.preview().change_summary == {"create": 2}
    events = []
    result = stack.up(on_event=events.append)
    assert result.summary.resource_changes == {"create": 2}
    assert result.outputs["arn"].value.startswith("arn:toy:")
    assert [e.summary_event.resource_changes for e in events if e.summary_event] == [{"create": 2}]
    assert stack.export_stack().deployment["resources"]
    assert {s.name for s in local.list_stacks()} == {"auto", "dev"}
    stack.set_config("size", auto.ConfigValue("4"))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert stack.up(on_event=events.append).summary.resource_changes == {"same": 1, "update": 1}
        stack.set_config("size", auto.ConfigValue("-1"))
        with pytest.raises(auto.CommandError, match="must not be negative"):
            stack.up(on_event=events.append)
    assert [str(warning.message) for warning in heard if "engine event" in str(warning.message)] == []
    stack.destroy(run_program=True)
    local.remove_stack("auto")
