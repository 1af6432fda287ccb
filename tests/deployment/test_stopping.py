"""Told to stop, a deployment ends where that leaves nothing undone, and says how to go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pulumi import automation as auto

from bluegreen import deployment, engine
from bluegreen.errors import (
    Interrupted,
    RolledBack,
)
from bluegreen.stop import Stop
from tests.deployment.world import ONE, TWO, Stack, Watch, canary


def test_ctrl_c_in_a_pause_says_where_the_rollout_stays(stack: Stack) -> None:
    canary(stack)
    with pytest.raises(Interrupted, match="stays at the step `10 %"):
        deployment.deploy("dev", ami=TWO, keep_watch=Watch(error=KeyboardInterrupt()))
    assert stack.traffic == [{"1": 90, "2": 10}]


def test_ctrl_c_in_an_update_says_how_to_go_on_and_how_back(stack: Stack) -> None:
    stack.is_interrupted = True
    with pytest.raises(Interrupted, match="what it has begun is in the state") as caught:
        deployment.deploy("dev", ami=TWO)
    assert "`bluegreen abort`" in caught.value.next_step
    stack.is_interrupted = False
    deployment.abort("dev")
    assert stack.traffic == [{"1": 100}]


def test_asked_to_stop_in_an_update_it_is_let_finish_and_no_step_is_begun_after_it(
    stack: Stack, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary(stack)
    stop, up = Stop(), Stack.up

    def asked(made: Stack, **options: Any) -> Any:
        stop.ask()
        return up(made, **options)

    monkeypatch.setattr(Stack, "up", asked)
    with pytest.raises(Interrupted, match="stays at the step `10 %") as caught:
        deployment.deploy("dev", ami=TWO, keep_watch=watch, stop=stop)
    assert stack.traffic == [{"1": 90, "2": 10}]
    assert watch.seen == []
    assert caught.value.exit_code == 3


def test_asked_to_stop_in_the_last_step_it_is_done(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, up = Stop(), Stack.up

    def asked(made: Stack, **options: Any) -> Any:
        stop.ask()
        return up(made, **options)

    monkeypatch.setattr(Stack, "up", asked)
    deployment.deploy("dev", ami=TWO, stop=stop)
    assert stack.traffic == [{"2": 100}]


def test_asked_twice_the_engine_is_interrupted_and_what_it_says_then_is_no_failure(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, interrupted = Stop(), list[str]()
    monkeypatch.setattr(engine.Engine, "interrupt", lambda made: interrupted.append("now"))

    def asked(made: Stack, **_: Any) -> Any:
        stop.ask()
        assert interrupted == []
        stop.ask()
        made.fail("error: update canceled")

    monkeypatch.setattr(Stack, "up", asked)
    with pytest.raises(Interrupted, match="what it has begun is in the state"):
        deployment.deploy("dev", ami=TWO, stop=stop)
    assert interrupted == ["now"]


@pytest.mark.parametrize("verb", ["deploy", "deploy of what runs", "destroy"])
def test_asked_to_stop_before_it_has_begun_nothing_is_changed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    stop = Stop()
    stop.ask()
    monkeypatch.setattr(Stack, "destroy", lambda *_, **__: pytest.fail("it was destroyed"))
    verbs: dict[str, Callable[[], object]] = {
        "deploy": lambda: deployment.deploy("dev", ami=TWO, stop=stop),
        "deploy of what runs": lambda: deployment.deploy("dev", stop=stop),
        "destroy": lambda: deployment.destroy("dev", stop=stop),
    }
    with pytest.raises(Interrupted, match="before anything of dev was changed") as caught:
        verbs[verb]()
    assert (stack.ups, stack.config["ami"], caught.value.exit_code) == ([], ONE, 1)


def test_while_it_holds_the_lease_it_stops_by_itself(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, heard, write = Stop(), list[bool](), Stack.set_all_config

    def listened(made: Stack, values: dict[str, auto.ConfigValue]) -> None:
        heard.append(stop.is_heard)
        write(made, values)

    monkeypatch.setattr(Stack, "set_all_config", listened)
    deployment.deploy("dev", ami=TWO, stop=stop)
    assert heard == [True]
    assert not stop.is_heard


def test_asked_to_stop_now_while_the_config_is_written_no_update_is_begun(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, write = Stop(), Stack.set_all_config

    def asked(made: Stack, values: dict[str, auto.ConfigValue]) -> None:
        write(made, values)
        stop.ask()
        stop.ask()

    monkeypatch.setattr(Stack, "set_all_config", asked)
    with pytest.raises(Interrupted):
        deployment.deploy("dev", ami=TWO, stop=stop)
    assert stack.ups == []


def test_asked_to_stop_the_traffic_is_still_taken_back_from_a_release_whose_watch_fails(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.bad = {TWO}
    stop, up = Stop(), Stack.up

    def asked(made: Stack, **options: Any) -> Any:
        if not stop.is_asked:
            stop.ask()
        return up(made, **options)

    monkeypatch.setattr(Stack, "up", asked)
    with pytest.raises(RolledBack):
        deployment.deploy("dev", ami=TWO, stop=stop)
    assert stack.traffic[-1] == {"1": 100}
