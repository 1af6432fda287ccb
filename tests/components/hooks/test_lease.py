"""The gate and the lease: the listener changes for whoever has the stack, and for nobody beside him."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bluegreen.components.hooks import ServicePolicy
from bluegreen.errors import GateFailed, LedgerError
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.lease import holder_here
from bluegreen.ledger.ledger import FENCE_VARIABLE
from bluegreen.model.fleet import Fleet, Role
from bluegreen.model.history import Kind
from bluegreen.model.lease import Holder, Lease
from bluegreen.model.ledger_place import LedgerPlace
from tests.components.hooks.world import (
    NEW,
    OLD,
    World,
    asking,
    call,
    cut_over,
    declared,
    listener,
    plan,
    template,
)
from tests.ledger.consul_server import ConsulServer

NOW = datetime.now(UTC)


def holder(run: str, **changes: Any) -> Holder:
    return replace(holder_here(run=run, verb="deploy", operator="ada", now=NOW), **changes)


def leased(world: World, to: Holder) -> int:
    """Its fence."""
    found = world.ledger.lease()
    taken = found.taken_by(to, NOW)
    assert world.ledger.swap_lease(found, taken)
    return taken.fence


def update(world: World, policy: ServicePolicy | None = None, **run: Any) -> None:
    async def it() -> None:
        await cut_over(world, world.run(**run), policy)

    asyncio.run(it())


def fenced(monkeypatch: pytest.MonkeyPatch, fence: int) -> None:
    monkeypatch.setenv(FENCE_VARIABLE, str(fence))


# -- a run of the bluegreen command


def test_a_run_with_the_lease_changes_the_listener(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fenced(monkeypatch, leased(world, holder("this")))
    update(world)
    assert Kind.CUTOVER in world.kinds
    assert world.warned == []


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_run_that_was_fenced_off_does_not_change_the_listener(
    world: World, monkeypatch: pytest.MonkeyPatch, is_forced: bool
) -> None:
    fenced(monkeypatch, leased(world, holder("this")))
    leased(world, holder("other", host="ci-7"))
    with pytest.raises(GateFailed, match=r"has taken the stack over: .* by ada on ci-7") as caught:
        update(world, is_forced=is_forced)
    assert "The traffic stays where it is" in caught.value.next_step
    assert world.kinds == [], "which says nothing of the release"


def test_a_run_that_loses_the_lease_while_the_gate_waits_does_not_change_the_listener(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fenced(monkeypatch, leased(world, holder("this")))

    class Slow(World):
        def targets(self, target_group: str) -> Any:
            if world.ledger.lease().is_of("this"):
                leased(world, holder("other"))
            return super().targets(target_group)

    world.__class__ = Slow
    with pytest.raises(GateFailed, match="another deployment has taken the stack over"):
        update(world)
    assert world.kinds == []


# -- a plain `pulumi up`


def test_a_plain_update_waits_for_a_live_run(world: World) -> None:
    leased(world, holder("other"))
    with pytest.raises(GateFailed, match="the stack is being changed by ada") as caught:
        update(world)
    assert "promote, abort, rollback" in caught.value.next_step
    assert "groups" not in world.calls, "before anything is asked of AWS"


def test_a_plain_update_passes_by_force_and_says_so(world: World) -> None:
    leased(world, holder("other"))
    update(world, is_forced=True)
    assert Kind.CUTOVER in world.kinds
    assert any("is passed by force" in line for line in world.warned)


def test_a_plain_update_passes_a_dead_run_and_says_so(world: World) -> None:
    leased(world, holder("other", process=2**22 + 1))
    update(world)
    assert Kind.CUTOVER in world.kinds
    assert any(line.endswith("and is gone") for line in world.warned)


def test_a_plain_update_passes_a_lease_that_was_given_back(world: World) -> None:
    leased(world, holder("other"))
    held = world.ledger.lease()
    world.ledger.swap_lease(held, held.released(NOW))
    update(world)
    assert Kind.CUTOVER in world.kinds


# -- a ledger that can't say


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> Lease:
        raise LedgerError("no answer")

    monkeypatch.setattr(FileLedger, "lease", fail)


@pytest.mark.usefixtures("blind")
def test_a_new_release_waits_for_a_ledger_that_can_say_who_has_the_stack(world: World) -> None:
    with pytest.raises(LedgerError, match="no answer"):
        update(world)


@pytest.mark.usefixtures("blind")
def test_the_way_back_does_not_wait_for_the_ledger(world: World) -> None:
    update(world, asking(proven=frozenset({NEW.version})))
    assert Kind.CUTOVER in world.kinds
    assert any("nobody knows who has the stack's lease: no answer" in line for line in world.warned)


# -- Consul


@pytest.fixture
def consul(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsulServer]:
    server = ConsulServer()
    monkeypatch.setenv("CONSUL_HTTP_ADDR", server.address)
    world.place = LedgerPlace.parse("consul")
    yield server
    server.close()


def test_what_has_all_of_the_traffic_is_published(world: World, consul: ConsulServer) -> None:
    update(world)
    assert consul.texts["bluegreen/bluegreen/dev/web/image"] == NEW.image
    assert consul.texts["bluegreen/bluegreen/dev/web/release"] == NEW.version


def test_what_has_a_part_of_the_traffic_is_not_published(world: World, consul: ConsulServer) -> None:
    fleet = Fleet((plan(OLD, weight=90), plan(NEW, Role.CANDIDATE, 10)))

    async def shift() -> None:
        bound = declared(world.run(), asking(fleet))
        await call(bound.before_update, listener(old=90, new=10))
        await call(bound.after_update, listener(old=90, new=10))

    asyncio.run(shift())
    assert not any("/web/" in key for key in consul.texts)


def test_consul_that_is_gone_is_refused_before_anything_is_asked(world: World, consul: ConsulServer) -> None:
    consul.broken = (500, "No cluster leader")

    async def check() -> None:
        hooks = world.run()
        declared(hooks)
        await call(hooks.checking_image().before_create, template())

    with pytest.raises(LedgerError, match="No cluster leader"):
        asyncio.run(check())
    assert world.calls == []


def test_consul_that_goes_after_the_cutover_is_only_told(world: World, consul: ConsulServer) -> None:
    async def it() -> None:
        bound = declared(world.run())
        await call(bound.before_update, listener(old=0, new=100))
        consul.broken = (500, "No cluster leader")
        await call(bound.after_update, listener(old=0, new=100))

    asyncio.run(it())
    assert any(line.startswith("not published: ") for line in world.warned)
    assert any(line.startswith("not in the ledger: cutover: ") for line in world.warned)


def test_an_update_that_is_declared_and_changes_nothing_opens_no_ledger(
    world: World, consul: ConsulServer, tmp_path: Path
) -> None:
    async def it() -> None:
        declared(world.run())

    asyncio.run(it())
    assert consul.requests == []
    assert not (tmp_path / "runs").exists()
