"""Who may have a stack's lease: nobody loses it to a clock, and nobody gets it back once it was taken over."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bluegreen.model.lease import Holder, Keep, Lease, Take, ago, decide, judge
from bluegreen.model.verdict import Hopeless, Ready

NOW = datetime(2026, 1, 1, 12, 0, 8, tzinfo=UTC)
SINCE = NOW - timedelta(seconds=8)


def holder(run: str = "theirs", **changes: object) -> Holder:
    told = {"verb": "deploy", "operator": "ada", "host": "ci-7", "process": 123, "born": "b", "since": SINCE}
    return Holder(run=run, **{**told, **changes})  # type: ignore[arg-type]


HELD = Lease(4, holder(), SINCE)


@pytest.mark.parametrize("lease", [Lease(), HELD, HELD.released(NOW), Lease(1, holder(ci_run="7"), NOW)])
def test_a_lease_survives_its_record_and_json(lease: Lease) -> None:
    assert Lease.from_record(json.loads(json.dumps(lease.as_record()))) == lease


def test_fences_only_rise() -> None:
    lease, seen = Lease(), [0]
    for name in ("one", "two", "three"):
        lease = lease.taken_by(holder(name), NOW)
        seen.append(lease.fence)
        lease = lease.beaten(NOW).released(NOW)
        assert lease.fence == seen[-1]
    assert seen == [0, 1, 2, 3]


# -- who may have it


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_free_lease_is_taken(is_forced: bool) -> None:
    for free in (Lease(), Lease(7, None, NOW)):
        assert decide(free, "mine", NOW, is_gone=False, is_forced=is_forced) == Take()


def test_a_held_lease_is_refused_with_who_has_it_since_when_and_what_to_do() -> None:
    refused = decide(HELD, "mine", NOW, is_gone=False, is_forced=False)
    assert refused == Hopeless(
        "the stack is being changed by ada on ci-7 (process 123): deploy, run theirs, since 2026-01-01 12:00:00 UTC; "
        "its last heartbeat was 8 s ago",
        "Wait until it ends; `bluegreen history` tells how far it is. If you know that it is dead, `--force` takes it "
        "over.",
    )


@pytest.mark.parametrize("days", [1, 365])
def test_silence_is_no_proof_of_death_and_is_said(days: int) -> None:
    refused = decide(HELD, "mine", NOW + timedelta(days=days), is_gone=False, is_forced=False)
    assert isinstance(refused, Hopeless)
    assert "does not prove that it is dead" in refused.summary


def test_a_dead_ones_lease_is_taken_over_and_it_is_said() -> None:
    taken = decide(HELD, "mine", NOW, is_gone=True, is_forced=False)
    assert taken == Take(left=HELD.holder)
    assert str(taken).startswith("the lease is taken over from ada on ci-7 (process 123): ")
    assert str(taken).endswith(", whose process is gone")


def test_force_takes_it_and_is_recorded_as_force_only_without_proof() -> None:
    assert decide(HELD, "mine", NOW, is_gone=False, is_forced=True) == Take(left=HELD.holder, is_forced=True)
    assert decide(HELD, "mine", NOW, is_gone=True, is_forced=True) == Take(left=HELD.holder)


def test_the_same_run_keeps_it() -> None:
    assert decide(HELD, "theirs", NOW, is_gone=False, is_forced=False) == Keep()
    assert decide(HELD, "theirs", NOW, is_gone=True, is_forced=True) == Keep()


def test_a_ci_run_is_told() -> None:
    told = decide(replace(HELD, holder=holder(ci_run="42")), "mine", NOW, is_gone=False, is_forced=False)
    assert ", CI run 42: deploy" in told.summary  # type: ignore[union-attr]


# -- who may act


def test_a_run_with_the_lease_may_act() -> None:
    assert isinstance(judge(HELD, "theirs", 4, NOW), Ready)


@pytest.mark.parametrize(
    "found",
    [Lease(5, holder("other"), NOW), Lease(5, None, NOW), Lease(4, None, NOW), Lease(), Lease(5, holder(), NOW)],
    ids=["taken over", "taken and given back", "given back", "gone", "taken again by itself"],
)
@pytest.mark.parametrize("is_forced", [False, True])
def test_a_run_that_lost_its_lease_may_not_act_by_no_force(found: Lease, is_forced: bool) -> None:
    refused = judge(found, "theirs", 4, NOW, is_gone=True, is_forced=is_forced)
    assert isinstance(refused, Hopeless)
    assert "another deployment has taken the stack over" in refused.summary
    assert "this run had lease 4" in refused.summary


def test_a_plain_update_may_act_where_nobody_has_the_lease() -> None:
    for free in (Lease(), Lease(4, None, NOW)):
        assert isinstance(judge(free, "plain", 0, NOW), Ready)


def test_a_plain_update_may_not_act_beside_a_run_that_has_the_lease() -> None:
    refused = judge(HELD, "plain", 0, NOW)
    assert isinstance(refused, Hopeless)
    assert "the stack is being changed by ada on ci-7" in refused.summary
    assert "promote, abort, rollback" in refused.next_step
    assert "BLUEGREEN_FORCE" in refused.next_step


def test_a_plain_update_passes_a_dead_one_and_by_force_a_live_one_and_says_so() -> None:
    dead, forced = judge(HELD, "plain", 0, NOW, is_gone=True), judge(HELD, "plain", 0, NOW, is_forced=True)
    assert isinstance(dead, Ready)
    assert dead.summary.endswith("and is gone")
    assert isinstance(forced, Ready)
    assert forced.summary.endswith("and is passed by force")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s ago"),
        (59, "59 s ago"),
        (119, "119 s ago"),
        (600, "10 min ago"),
        (7200, "2 h ago"),
        (200_000, "2 d ago"),
    ],
)
def test_how_long_ago_is_told_in_words(seconds: int, said: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == said
