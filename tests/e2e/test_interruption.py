"""Whatever ends an `up` early, the traffic is unharmed and the next `up` goes on."""

from __future__ import annotations

from sandbox.load import Load
from tests.e2e.project import STACK, Begun, Project, eventually

NOT_LAUNCHED = "We currently do not have sufficient"


def in_the_gate(project: Project, **settings: object) -> Begun:
    """An `up` that waits in its gate, since no machine can be launched."""
    project.allow_launches(0)
    return project.begin_up(**settings).wait_for(NOT_LAUNCHED)


def goes_on(project: Project, earlier: str) -> None:
    """The next `up` ends what was begun."""
    project.allow_launches(None)
    done = project.up()
    assert done.code == 0, done.output
    (group,) = project.groups()
    assert project.groups_in_the_state == {group}
    assert project.release != earlier
    assert project.ask()["release"] == project.release


def test_a_second_up_is_told_who_holds_the_stack_and_the_first_goes_on(project: Project) -> None:
    first = in_the_gate(project, ami=project.image("1"))
    second = project.up()
    assert second.code != 0
    assert second.has_no_traceback, second.output
    assert "the stack is currently locked by 1 lock(s)" in second.output
    assert f"(pid {first.process.pid})" in second.output
    assert "`pulumi cancel`" in second.output
    assert "write" not in {call.kind for call in second.calls}

    project.allow_launches(None)
    done = first.finish()
    assert done.code == 0, done.output
    assert project.ask()["app"] == "1"


def test_after_a_killed_up_a_cancel_frees_the_stack_and_the_next_up_goes_on(project: Project) -> None:
    """Other user data is another release, as is every change of a launch setting."""
    with Load(project.outputs["url"], per_second=20) as load:
        before = project.release
        update = in_the_gate(project, user_data="#!/bin/sh\necho hello\n")
        update.process.kill()
        update.process.wait()
        if project.is_on_the_stand_in:
            eventually(lambda: not project.processes(), what="the program and its plugins end with the engine")
        project.end_processes()  # a real engine leaves its language host, and so the program, behind
        locked = project.up()
        assert locked.code != 0
        assert "`pulumi cancel`" in locked.output
        cancelled = project.pulumi("cancel", "--yes", "--stack", STACK)
        assert cancelled.code == 0, cancelled.output
        assert project.release == before
        goes_on(project, before)
    assert not load.failures, load.failures[:3]


def test_ctrl_c_in_the_gate_ends_in_words_and_the_next_up_goes_on(project: Project) -> None:
    with Load(project.outputs["url"], per_second=20) as load:
        before = project.outputs
        update = in_the_gate(project, instance_type="t3.medium")
        update.interrupt()
        stopped = update.finish()
        assert stopped.code != 0
        assert stopped.has_no_traceback, stopped.output
        assert "the next `pulumi up` goes on from here" in stopped.output
        assert project.outputs == before
        assert project.ask()["release"] == before["activeRelease"]["version"]
        eventually(lambda: not project.processes(), what="nothing goes on behind the user's back")
        goes_on(project, before["activeRelease"]["version"])
    assert not load.failures, load.failures[:3]
