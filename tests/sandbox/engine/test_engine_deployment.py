"""The order of things, and what the state keeps, when a program runs against the stand-in engine."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.sandbox.engine.engine_workspace import STAND_IN, Workspace, make_workspace

RELEASE = """
    release = config.get("release") or "r1"
    def gate(args):
        pulumi.log.info("gate: looking")
        if config.get_bool("broken"):
            raise Exception("smoke test: 500")
    def guard(args):
        pulumi.log.info(f"guard: {args.old_outputs['name']}")
    gate, guard = ResourceHook("gate", gate), ResourceHook("guard", guard)
    net = Thing("net", cidr="10.0.0.0/16")
    group = Thing(f"group-{release}", net=net.id, desired=2, opts=O(hooks=Hooks(before_delete=[guard])))
    Thing("listener", target=group.arn, opts=O(hooks=Hooks(before_create=[gate], before_update=[gate])))
    Thing("secret", password=config.get_secret("token"))
    pulumi.export("release", {"version": release})
    pulumi.export(f"only-{release}", True)
"""


def test_the_old_release_goes_only_after_the_cutover_and_its_guard_and_then_nothing_changes(
    workspace: Workspace,
) -> None:
    workspace.program(RELEASE)
    workspace.up()
    workspace.configure(release="r2")
    done = workspace.up()
    calls = workspace.calls()
    assert calls.index("updated listener") < calls.index("delete group-r1")
    assert calls.index("created group-r2") < calls.index("update listener")
    assert "guard: group-r1" in done.stdout
    assert "+ 1 created\n    ~ 1 updated\n    - 1 deleted\n    3 changes. 3 unchanged" in done.stdout
    assert {"net", "group-r2", "listener"} <= set(workspace.resources)
    assert "group-r1" not in workspace.resources
    state = workspace.resources
    assert "5 unchanged" in workspace.up("--expect-no-changes").stdout
    assert (workspace.calls(), workspace.resources) == (calls, state)


def test_a_gate_that_fails_leaves_the_old_release_whole_and_the_next_up_cleans_up(workspace: Workspace) -> None:
    workspace.program(RELEASE)
    workspace.up()
    before = workspace.resources["listener"]
    workspace.configure(release="r2", broken="true")
    done = workspace.up(code=1)
    assert 'error: before hook "gate" failed: smoke test: 500' in done.stdout
    assert workspace.resources["listener"] == before
    assert {"group-r1", "group-r2"} <= set(workspace.resources)
    assert "pending_operations" not in workspace.deployment
    # What the failed run exported counts, and what it did not export is not known to be gone.
    outputs = workspace.resources["demo-dev"]["outputs"]
    assert outputs == {"release": {"version": "r2"}, "only-r1": True, "only-r2": True}
    workspace.configure(release="r1")
    workspace.up()
    assert "group-r2" not in workspace.resources


def test_a_program_that_hears_of_its_end_by_its_calls_alone_adds_nothing_to_what_the_engine_says(
    workspace: Workspace,
) -> None:
    """As it may on a busy machine, where the signal comes late."""
    workspace.program("""
        import signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        def refuse(args):
            raise Exception("no")
        Thing("a", opts=O(hooks=Hooks(before_create=[ResourceHook("gate", refuse)])))
    """)
    done = workspace.up(code=None)
    assert done.returncode != 0
    assert 'before hook "gate" failed: no' in done.stdout
    assert "Resource monitor has terminated" not in done.stdout + done.stderr


def test_a_destroy_without_the_program_refuses_while_hooks_guard_and_with_it_runs_them(workspace: Workspace) -> None:
    workspace.program(RELEASE)
    workspace.up()
    refused = workspace.pulumi("destroy", "--yes", "--skip-preview", code=1)
    assert "You must run with the `--run-program` flag to use delete hooks during destroy." in refused.stderr
    assert "group-r1" in workspace.resources
    workspace.extra["PULUMI_OPTION_RUN_PROGRAM"] = "true"
    done = workspace.pulumi("destroy", "--yes", "--skip-preview")
    assert "guard: group-r1" in done.stdout
    assert workspace.resources == {}
    assert workspace.document["version"] == 3


def test_a_destroy_after_a_gate_that_failed_takes_the_listener_before_what_it_still_forwards_to(
    workspace: Workspace,
) -> None:
    """The program does not register the old release any more; the state's listener depends on it all the same."""
    workspace.program(RELEASE)
    workspace.up()
    workspace.configure(release="r2", broken="true")
    workspace.up(code=1)
    workspace.pulumi("destroy", "--yes", "--skip-preview", "--run-program", "--parallel", "1")
    calls = workspace.calls()
    assert calls.index("deleted listener") < calls.index("delete group-r1")
    assert workspace.resources == {}


def test_a_hook_that_the_state_names_and_the_program_lacks_keeps_its_resource(workspace: Workspace) -> None:
    workspace.program(RELEASE)
    workspace.up()
    workspace.program("")
    done = workspace.up(code=1)
    assert 'hook "guard" was not registered' in done.stdout
    assert "group-r1" in workspace.resources


def test_a_failed_create_stops_what_follows_and_every_delete(workspace: Workspace) -> None:
    workspace.program('Thing("old")')
    workspace.up()
    workspace.program('x = Thing("x", fail="create"); Thing("after", x=x.arn)')
    done = workspace.up(code=1)
    assert "there is no room for it" in done.stdout
    assert set(workspace.resources) & {"old", "x", "after"} == {"old"}


def test_a_resource_that_never_got_ready_is_kept_with_its_reason(workspace: Workspace) -> None:
    workspace.program('Thing("x", fail="init")')
    done = workspace.up(code=1)
    assert "it never became ready" in done.stdout
    assert workspace.resources["x"]["initErrors"] == ["it never became ready"]


def test_a_replacement_is_made_before_the_old_one_goes(workspace: Workspace) -> None:
    workspace.program('Thing("x", zone=config.get("zone"))')
    workspace.configure(zone="a")
    workspace.up()
    workspace.configure(zone="b")
    done = workspace.up()
    assert workspace.calls()[2:] == ["create x", "created x", "delete x", "deleted x"]
    assert "+-1 replaced" in done.stdout


def test_a_protected_resource_is_not_deleted(workspace: Workspace) -> None:
    workspace.program('Thing("x", opts=O(protect=True))')
    workspace.up()
    workspace.program("")
    done = workspace.up(code=1)
    assert "cannot be deleted\n" in done.stdout
    assert "because it is protected" in done.stdout
    assert "x" in workspace.resources


def test_a_renamed_resource_with_an_alias_stays(workspace: Workspace) -> None:
    workspace.program('a = Thing("a"); Thing("b", a=a.arn)')
    workspace.up()
    workspace.program('a = Thing("c", opts=O(aliases=[pulumi.Alias(name="a")])); Thing("b", a=a.arn)')
    calls = len(workspace.calls())
    workspace.up()
    assert not any(call.startswith(("create", "delete")) for call in workspace.calls()[calls:])
    assert workspace.resources["b"]["dependencies"] == ["urn:pulumi:dev::demo::toy:index:Thing::c"]


def test_a_secret_is_sealed_in_the_state_and_hidden_in_the_output(workspace: Workspace) -> None:
    workspace.program('pulumi.export("token", Thing("x", password=config.require_secret("token")).id.apply(str))\n')
    workspace.pulumi("config", "set", "--secret", "token", "s3cret")
    workspace.up()
    assert "s3cret" not in (workspace.root / "state/.pulumi/stacks/demo/dev.json").read_text()
    assert "ciphertext" in workspace.resources["x"]["inputs"]["password"]
    assert "s3cret" in workspace.pulumi("stack", "export", "--show-secrets").stdout


def test_ctrl_c_lets_the_step_under_way_end_and_the_next_up_goes_on(workspace: Workspace) -> None:
    workspace.program('a = Thing("a"); b = Thing("b", n=a.arn, seconds=20); Thing("c", n=b.arn)')
    running = workspace.start("up", "--yes", "--skip-preview")
    workspace.wait_for_call("create b")
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "cancel" in said
    assert "a" in workspace.resources
    assert "c" not in workspace.resources
    workspace.program('a = Thing("a"); b = Thing("b", n=a.arn); Thing("c", n=b.arn)')
    workspace.up()
    assert {"a", "b", "c"} <= set(workspace.resources)


def test_a_killed_up_leaves_the_lock_and_what_was_pending_and_no_program(workspace: Workspace) -> None:
    workspace.program(f'Path({str(workspace.root / "pid")!r}).write_text(str(os.getpid())); Thing("x", seconds=20)')
    running = workspace.start("up", "--yes", "--skip-preview")
    workspace.wait_for_call("create x")
    running.kill()
    running.wait()
    workspace.wait_for_end_of((workspace.root / "pid").read_text())
    assert [op["type"] for op in workspace.deployment["pending_operations"]] == ["creating"]
    locked = workspace.up(code=1)
    assert "the stack is currently locked by 1 lock(s)" in locked.stderr
    workspace.pulumi("cancel", "--yes")
    workspace.program('Thing("x")')
    done = workspace.up()
    assert "interrupted while creating" in done.stdout
    assert "x" in workspace.resources


def test_what_it_can_not_do_is_refused_before_anything_is_changed(workspace: Workspace) -> None:
    workspace.program('Thing("x", opts=O(hide_diffs=["size"]))')
    done = workspace.up(code=1)
    assert "does not support the resource option hide_diffs" in done.stdout
    assert workspace.calls() == []
    assert "does not support the flag --target" in workspace.up("--target", "x", code=1).stderr
    assert "does not support the command `pulumi watch`" in workspace.pulumi("watch", code=1).stderr


def test_what_is_there_already_is_not_imported_in_place_of_another(workspace: Workspace) -> None:
    workspace.program('Thing("x")')
    workspace.up()
    before = workspace.resources["x"]
    workspace.program('Thing("x", opts=O(import_="thing-1"))')
    assert "does not support the resource option import_ in place of another" in workspace.up(code=1).stdout
    assert workspace.resources["x"] == before


@pytest.mark.real_engine
def test_the_real_engine_goes_on_where_the_stand_in_stopped(tmp_path: Path, real_engine: Path) -> None:
    workspace = make_workspace(tmp_path, STAND_IN)
    workspace.program(RELEASE)
    workspace.up()
    stand_in, workspace.engine = workspace.engine, real_engine
    assert "5 unchanged" in workspace.up("--expect-no-changes").stdout
    workspace.configure(release="r2")
    workspace.up()
    workspace.engine = stand_in
    assert "5 unchanged" in workspace.up("--expect-no-changes").stdout
    workspace.pulumi("destroy", "--yes", "--skip-preview", "--run-program")
    assert workspace.resources == {}
