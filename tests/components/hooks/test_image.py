"""The image hook: all that can be refused before a machine is launched is."""

from __future__ import annotations

import asyncio

import pytest

from bluegreen.components.hooks import ServicePolicy
from bluegreen.errors import (
    AwsError,
    BluegreenError,
    GateFailed,
    ImageError,
    LedgerError,
    SettingsError,
)
from bluegreen.model.command import GateCommand
from bluegreen.model.gate import Proofs
from bluegreen.model.history import Event, Kind
from tests.components.hooks.world import (
    NEW,
    START,
    World,
    asking,
    call,
    cut_over,
    declared,
    delete,
    deleted_group,
    listener,
    template,
)


async def _check_image(world: World, policy: ServicePolicy | None = None) -> None:
    hooks = world.run()
    declared(hooks, policy)
    await call(hooks.checking_image().before_create, template())


def _revoke(world: World) -> None:
    evidence = {"image": NEW.image, "contentDigest": "", "why": "CVE-2026-1", "operator": "ann"}
    world.ledger.append(Event(at=START, run="before", kind=Kind.REVOKED, evidence=evidence))


def test_a_release_that_can_be_launched_and_watched_passes_the_image_hook(world: World) -> None:
    asyncio.run(_check_image(world))
    assert world.kinds == []
    assert f"image {NEW.image}" in world.calls


def test_a_ledger_that_can_not_be_read_is_refused_by_the_image_hook_before_anything_is_asked(world: World) -> None:
    world.spoil_ledger()
    with pytest.raises(LedgerError, match="line 1"):
        asyncio.run(_check_image(world))
    assert world.calls == []


def test_a_way_back_whose_launch_template_is_gone_is_not_held_up_by_the_ledger_either(world: World) -> None:
    world.spoil_ledger()
    asyncio.run(_check_image(world, asking(proven=frozenset({NEW.version}))))
    assert f"image {NEW.image}" in world.calls
    assert any("nobody knows what the history says" in line for line in world.warned)


def test_a_ledger_that_can_not_be_read_is_only_warned_of_on_the_way_back(world: World) -> None:
    world.spoil_ledger()

    async def flip() -> None:  # a standby at full size has its launch template
        hooks = world.run()
        await cut_over(world, hooks, asking(proven=frozenset({NEW.version})))
        await delete(hooks, deleted_group())

    asyncio.run(flip())
    assert any("has a line that is no event: line 1" in line for line in world.warned)


def test_a_ledger_that_can_not_be_written_either_holds_the_way_back_up_no_more(world: World) -> None:
    world.block_ledger()

    async def flip() -> None:
        hooks = world.run()
        await cut_over(world, hooks, asking(proven=frozenset({NEW.version})))
        await delete(hooks, deleted_group())

    asyncio.run(flip())
    for kind in (Kind.GATE_PASSED, Kind.CUTOVER):
        assert any(line.startswith(f"not in the ledger: {kind.value}: ") for line in world.warned)


def test_where_the_ledger_can_not_be_read_nothing_is_taken_for_seen_healthy(world: World) -> None:
    world.has_served(NEW)
    world.ledger.file.write_text(world.ledger.file.read_text() + "{}\n")
    world.alarm_state = "ALARM"

    async def update() -> None:
        await call(declared(world.run()).before_update, listener(new=1))

    with pytest.raises(GateFailed, match="alarm checkout is on already"):
        asyncio.run(update())


@pytest.mark.parametrize("setting", ["gateCommand", "migration"])
def test_a_command_that_is_not_there_is_known_by_its_setting_before_anything_is_launched(
    world: World, setting: str
) -> None:
    command = GateCommand(command=("./not-there",))
    proofs = Proofs(command=command) if setting == "gateCommand" else Proofs(migration=command)
    with pytest.raises(SettingsError, match=rf"bluegreen:{setting}\.command: there is no program"):
        asyncio.run(_check_image(world, asking(proofs=proofs)))


def test_alarms_that_are_not_there_are_known_before_anything_is_launched(world: World) -> None:
    world.alarm_names = ()
    with pytest.raises(GateFailed, match="there is no alarm checkout"):
        asyncio.run(_check_image(world))


def test_credentials_that_end_before_the_soak_does_are_known_before_anything_is_launched(world: World) -> None:
    world.session.end = START
    with pytest.raises(AwsError, match="the credentials end in 0 s"):
        asyncio.run(_check_image(world))
    asyncio.run(_check_image(world, asking(soak_seconds=0)))


def test_on_the_way_back_neither_alarms_nor_credentials_matter(world: World) -> None:
    world.alarm_names = ()
    world.session.end = START
    asyncio.run(_check_image(world, asking(proven=frozenset({NEW.version}))))


def test_a_revoked_image_is_refused_before_anything_is_launched(world: World) -> None:
    _revoke(world)
    with pytest.raises(BluegreenError, match=f"{NEW.image} was revoked by ann"):
        asyncio.run(_check_image(world))


@pytest.mark.parametrize("has_served", [True, False])
def test_force_passes_a_revoked_image_only_back_to_what_ran_here(world: World, has_served: bool) -> None:
    if has_served:
        world.has_served(NEW)
    _revoke(world)

    async def check() -> None:
        hooks = world.run(is_forced=True)
        declared(hooks)
        await call(hooks.checking_image().before_create, template())

    if has_served:
        asyncio.run(check())
    else:
        with pytest.raises(BluegreenError, match="was revoked"):
            asyncio.run(check())


def test_where_machines_go_is_asked_for_a_launch_of_the_service_that_goes_there(world: World) -> None:
    async def check(service: str) -> None:
        hooks = world.run()
        declared(hooks)
        hooks.launching_in(service, lambda: ("us-east-1a", "us-east-1e"))
        await call(hooks.checking_image().before_create, template())

    asyncio.run(check("another"))
    with pytest.raises(ImageError, match="us-east-1e has no"):
        asyncio.run(check("web"))
