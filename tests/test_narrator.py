"""The narrator: what an engine's events become. `recorded/` holds those of runs of this project in its sandbox, without
the resources' properties that nobody reads here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from bluegreen.events import (
    Change,
    Check,
    Checked,
    EngineLine,
    Event,
    Failed,
    Health,
    Phase,
    PhaseBegan,
    ResourceChanged,
    Shifted,
    UpdateEnded,
    Wait,
    WaitBegan,
    Warned,
)
from bluegreen.narrator import Narrator, events_in, line_of

RECORDED = Path(__file__).parent / "recorded"
GROUP = "aws:autoscaling/group:Group"


def told(*events: dict[str, Any]) -> list[Event]:
    heard: list[Event] = []
    narrator = Narrator("prod", heard.append)
    for event in events:
        narrator.see(EngineEvent.from_json({"sequence": 0, "timestamp": 0, **event}))
    return heard


def replayed(name: str) -> list[Event]:
    return told(*(json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()))


def phases(events: list[Event]) -> list[str]:
    return [event.phase for event in events if isinstance(event, PhaseBegan)]


def place(events: list[Event], which: Callable[[Event], bool]) -> int:
    return next(at for at, event in enumerate(events) if which(event))


def diagnostic(text: str, severity: str = "info", urn: str = "", **more: Any) -> dict[str, Any]:
    return {"diagnosticEvent": {"message": f"{text}\n", "color": "never", "severity": severity, "urn": urn, **more}}


def test_a_change_of_release_goes_through_every_phase_in_order() -> None:
    assert phases(replayed("change-of-release")) == [
        "preparing",
        "creating",
        "gate",
        "cutover",
        "watching",
        "draining",
        "deleting",
    ]


def test_the_shift_is_told_by_versions_when_the_listener_has_changed() -> None:
    events = replayed("change-of-release")
    assert [event for event in events if isinstance(event, Shifted)] == [
        Shifted(stack="prod", weights={"e5145713": 100})
    ]
    passed = place(events, lambda event: isinstance(event, Checked) and event.check is Check.GATE)
    assert passed < place(events, lambda event: isinstance(event, Shifted))


def test_health_passes_and_waits_are_told_with_their_numbers() -> None:
    events = replayed("change-of-release")
    health = [(event.healthy, event.wanted, event.reason) for event in events if isinstance(event, Health)]
    assert health == [(0, 2, "2 starting"), (2, 2, ""), (2, 2, "")]
    waits = [(event.wait, event.seconds) for event in events if isinstance(event, WaitBegan)]
    assert waits == [(Wait.SOAK, 6), (Wait.DRAIN, 11)]
    passed = [event.check for event in events if isinstance(event, Checked) and event.is_passed]
    assert passed == [Check.GATE, Check.ATTEST, Check.SOAK, Check.GUARD]


def test_resources_are_told_once_each_and_counted_at_the_end() -> None:
    events = replayed("change-of-release")
    groups = [
        (event.change, event.name) for event in events if isinstance(event, ResourceChanged) if event.type == GROUP
    ]
    assert groups == [(Change.CREATED, "web-e5145713"), (Change.DELETED, "web-5e5cb6a3")]
    assert isinstance(events[-1], UpdateEnded)
    assert events[-1].changes == {"created": 9, "updated": 2, "deleted": 9}


def test_a_gate_that_refuses_is_a_failure_without_a_cutover() -> None:
    events = replayed("gate-refuses")
    assert phases(events) == ["preparing", "creating", "gate"]
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.text.startswith("web-ec536871-04fff5a: 0 of 2 healthy")
    assert not [event for event in events if isinstance(event, Shifted)]


def test_a_destroy_only_deletes() -> None:
    events = replayed("destroy")
    assert phases(events) == ["preparing", "deleting"]
    assert not [event for event in events if isinstance(event, Shifted)]


LINES = [
    "gate: web-1: 0 of 2 healthy; 2 starting",
    "gate: web-1: 2 of 2 healthy",
    "gate: command: anything: passed",
    "gate: web-1: smoke tests passed: /version 3 times",
    "gate: web-1 raised to 4, what the active group runs at",
    "attest: seen a 98 %, b 2 %, wanted a 100 %",
    "attest: seen a 100 %, wanted a 100 %: passed",
    "soak: web-1 is watched for 60 s",
    "soak: web-1: 4 alarms quiet, 2 of 2 healthy",
    "soak: web-1: 4 alarms quiet, 20 requests in 3 metric periods: passed",
    "guard: web-0 has 20 s for the requests in flight",
    "guard: web-0 waits until its sticky clients have left, at most 300 s",
    "guard: web-0 keeps the connections that it has, for 600 s at most",
    "guard: web-0 has no connections left: the load balancer has none at all",
    "guard: web-0 takes no traffic",
    "guard: web-0 still takes traffic: the listener on port 80 forwards to it",
    "forensics: web-0: saved in runs/x",
    "anything else",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_becomes_one_event_that_says_the_same(line: str) -> None:
    (event,) = events_in(line, "prod")
    assert line_of(event) == line


def test_connections_that_stay_are_waited_for_while_the_old_group_drains() -> None:
    heard: list[Event] = []
    Narrator("prod", heard.append).hear("guard: web-0 keeps the connections that it has, for 600 s at most")
    assert heard == [
        PhaseBegan(stack="prod", phase=Phase.DRAINING),
        WaitBegan(stack="prod", wait=Wait.LEAVING, group="web-0", seconds=600),
    ]


def test_a_gate_that_has_passed_tells_how_many_are_healthy_too() -> None:
    assert list(events_in("gate: web-1: 2 of 2 healthy: passed", "prod")) == [
        Health(stack="prod", group="web-1", healthy=2, wanted=2),
        Checked(stack="prod", check=Check.GATE, group="web-1", text="", is_passed=True),
    ]


def test_what_the_driver_watches_after_an_update_is_told_alike() -> None:
    heard: list[Event] = []
    narrator = Narrator("prod", heard.append)
    narrator.hear("soak: web-1 is watched for 60 s\n\nsoak: web-1: 4 alarms quiet, 2 of 2 healthy")
    assert heard[0] == PhaseBegan(stack="prod", phase=Phase.WATCHING)
    assert [type(event) for event in heard[1:]] == [WaitBegan, Checked]


def test_a_failure_that_each_part_of_a_group_repeats_is_told_once() -> None:
    urn = "urn:pulumi:dev::bluegreen::a:b:C$aws:autoscaling/policy:Policy::web-"
    said = 'before hook "bluegreen-guard" failed: soak: web-1: alarm x is on, after 0 s'
    heard = told(*(diagnostic(said, "error", urn + str(number)) for number in range(5)))
    assert heard == [Failed(stack="prod", text="soak: web-1: alarm x is on, after 0 s")]


@pytest.mark.parametrize("before", ["", "updating urn:pulumi:dev::p::aws:lb/listener:Listener::on-80: "])
def test_a_provider_s_error_is_told_without_the_list_that_it_comes_in(before: str) -> None:
    urn = "urn:pulumi:dev::p::aws:lb/listener:Listener::on-80"
    listed = f"{before}1 error occurred:\n\t* modifying ELBv2 Listener (arn): no\n\n"
    assert told(diagnostic(listed, "error", urn)) == [Failed(stack="prod", text="modifying ELBv2 Listener (arn): no")]


def test_the_engines_own_words_are_no_news() -> None:
    stack = "urn:pulumi:dev::bluegreen::pulumi:pulumi:Stack::bluegreen-dev"
    assert told(diagnostic("update failed", "error")) == []
    assert told(diagnostic("Traceback (most recent call last):", "info#err")) == []
    assert told(diagnostic("an unhandled error occurred", "error", stack)) == []
    assert told(diagnostic("soon", ephemeral=True)) == []
    assert told(diagnostic("using a plugin from $PATH", "warning")) == [
        EngineLine(stack="prod", text="using a plugin from $PATH")
    ]
    assert told(*2 * [diagnostic("not in the ledger", "warning", stack)]) == [
        Warned(stack="prod", text="not in the ledger")
    ]


def test_a_preview_tells_of_no_step() -> None:
    step = {"op": "create", "urn": "urn:pulumi:dev::p::aws:ec2/vpc:Vpc::web", "type": "aws:ec2/vpc:Vpc"}
    assert told({"resourcePreEvent": {"metadata": step, "planning": True}}) == []


@pytest.mark.parametrize(
    ("kind", "key"),
    [("aws:lb/listener:Listener", "defaultActions"), ("aws:lb/listenerRule:ListenerRule", "actions")],
)
def test_shares_of_a_split_are_percent_by_version(kind: str, key: str) -> None:
    def state(kind: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "urn": f"urn:pulumi:dev::p::{kind}::web", **more}

    def step(op: str, new: dict[str, Any]) -> dict[str, Any]:
        return {"resOutputsEvent": {"metadata": {"op": op, "urn": new["urn"], "type": new["type"], "new": new}}}

    groups = [
        step("same", state("aws:lb/targetGroup:TargetGroup", id=arn, inputs={"tags": {"bluegreen:release": release}}))
        for arn, release in (("arn:old", "aaaaaaaa"), ("arn:new", "bbbbbbbb"))
    ]
    forward = {"targetGroups": [{"arn": "arn:old", "weight": 3}, {"arn": "arn:new", "weight": 1}]}
    listener = state(
        kind,
        id="arn:listener",
        inputs={"tags": {"bluegreen:listener": "production"}},
        outputs={key: [{"type": "forward", "forward": forward}]},
    )
    heard = told(*groups, step("update", listener))
    assert Shifted(stack="prod", weights={"aaaaaaaa": 75, "bbbbbbbb": 25}) in heard


def test_a_listener_that_stays_is_no_shift_and_the_previews_is_none() -> None:
    listener = {
        "type": "aws:lb/listener:Listener",
        "urn": "urn:pulumi:dev::p::aws:lb/listener:Listener::web",
        "inputs": {"tags": {"bluegreen:listener": "preview"}},
        "outputs": {"defaultActions": [{"targetGroupArn": "arn:x"}]},
    }
    metadata = {"urn": listener["urn"], "type": listener["type"], "new": listener}
    heard = told(
        {"resOutputsEvent": {"metadata": {**metadata, "op": "update"}}},
        {"resOutputsEvent": {"metadata": {**metadata, "op": "same"}}},
    )
    assert [type(event) for event in heard] == [ResourceChanged]


def test_each_update_begins_anew() -> None:
    lines = [json.loads(line) for line in (RECORDED / "change-of-release.jsonl").read_text().splitlines()]
    assert told(*lines, *lines) == 2 * told(*lines)
