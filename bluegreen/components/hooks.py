"""The resource hooks: Pulumi's call in, one of `bluegreen.checks` out.

Their names are a frozen contract: a checkpoint that names a hook which the program no longer registers breaks preview
and delete. A program registers each once, whatever the number of its services, and hooks don't pass from a component
to its children: every resource is bound by itself.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi

from bluegreen.aws.capacity import raise_desired_capacity
from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session
from bluegreen.checks.command import CommandRunner, check_program
from bluegreen.checks.forensics import Forensics
from bluegreen.checks.gate import Cutover, Gate, Moves
from bluegreen.checks.guard import Guard, TrafficMoved
from bluegreen.checks.image import LaunchRequest, check_image
from bluegreen.checks.protection import check_unprotected
from bluegreen.checks.watch import Shift, Watch
from bluegreen.components.admission import Admission
from bluegreen.errors import BluegreenError, GateFailed, GuardRefused, LedgerError, WatchFailed, WindowClosed
from bluegreen.ledger.lease import has_died
from bluegreen.ledger.ledger import RUN_VARIABLE, Recorder, Run
from bluegreen.ledger.operator import operator_here
from bluegreen.ledger.places import open_ledger
from bluegreen.model.fleet import ALL_TRAFFIC, Fleet
from bluegreen.model.gate import GatePolicy
from bluegreen.model.guard import Connections, Part
from bluegreen.model.history import ATTEST, FAILURES, SOAK, History, Kind
from bluegreen.model.lease import judge as judge_lease
from bluegreen.model.ledger_place import LedgerPlace
from bluegreen.model.mixed_instances import mixed_in
from bluegreen.model.notice import CUTOVER_HOOK, GATE_HOOK, GUARD_HOOK, IMAGE_HOOK
from bluegreen.model.observation import Group
from bluegreen.model.record import gate_evidence, image_evidence
from bluegreen.model.release import VERSION_LENGTH
from bluegreen.model.settings import Settings
from bluegreen.model.soak import SoakPolicy, check_credentials_last, missing_alarms
from bluegreen.model.tags import RELEASE, SERVER_GROUP, SERVICE, Owner, Purpose
from bluegreen.model.verdict import Hopeless, Ready
from bluegreen.model.window import Window, admit

GROUP_TYPE = "aws:autoscaling/group:Group"

DEFAULT_PLACE = LedgerPlace()


@dataclass(frozen=True, kw_only=True)
class ServicePolicy:
    """What a service asks of its hooks."""

    fleet: Fleet
    gate: GatePolicy
    soak: SoakPolicy
    soak_seconds: float = 0
    sticky_seconds: int = 0
    kept_seconds: int = 0
    windows: tuple[Window, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings, fleet: Fleet) -> ServicePolicy:
        return cls(
            fleet=fleet,
            gate=GatePolicy.from_settings(settings, fleet),
            soak=SoakPolicy.from_settings(settings),
            soak_seconds=settings.soak_seconds,
            sticky_seconds=settings.group_stickiness_seconds,
            kept_seconds=settings.kept_seconds,
            windows=settings.windows,
        )

    @property
    def active(self) -> str:
        return self.fleet.active.release.version

    @property
    def shares(self) -> dict[str, int]:
        """Percent of the traffic by release, of those that have any."""
        return {group.release.version: group.weight for group in self.fleet.groups if group.weight}


class Hooks:
    """Registers the hooks of a program, and binds them to resources. Make one per program."""

    def __init__(
        self,
        session: Session,
        admission: Admission,
        place: LedgerPlace = DEFAULT_PLACE,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._now = now
        self._admitted: set[str] = set()
        self._forced: tuple[str, ...] = ()
        self._admission = admission
        self._session = session
        self._observer = Observer(session)
        self._services: dict[Owner, ServicePolicy] = {}
        self._moved: dict[Owner, TrafficMoved] = {}
        self._watches: dict[Owner, asyncio.Task[None]] = {}
        self._leases: dict[Owner, asyncio.Future[None]] = {}
        self._protections: dict[Owner, asyncio.Future[None]] = {}
        self._failed = ""
        self._refusal: BluegreenError | None = None
        self._parts: set[str] = set()
        self._directory = Path(pulumi.get_root_directory())
        self._run = Run.of_environment(self._directory, pulumi.get_stack(), os.environ, datetime.now(UTC))
        self._ledger = open_ledger(place, session, self._run, pulumi.get_project(), _tell_place)
        self._recorder = Recorder(ledger=self._ledger, run=self._run.name, report=lambda text: pulumi.log.warn(text))
        self._history: History | None = None
        self._zones: dict[str, Callable[[], tuple[str, ...]]] = {}
        self._images: dict[str, dict[str, str]] = {}
        self._told = {**operator_here().as_evidence(), "began": datetime.now(UTC).isoformat()}
        self._forensics = Forensics(sight=self._observer, folder=self._run.folder, report=pulumi.log.info)
        self._gate = Gate(
            sight=self._observer,
            raise_desired_capacity=lambda group, desired: raise_desired_capacity(session, group, desired),
            run_command=CommandRunner(directory=self._directory, report=pulumi.log.info).run,
            on_migrated=self._note_migration,
            report=pulumi.log.info,
            clock=time.monotonic,
            began=datetime.now(UTC),
        )
        self._watch = Watch(
            sight=self._observer,
            record=self._recorder.note,
            report=pulumi.log.info,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
        )
        self._guard = Guard(
            sight=self._observer, report=pulumi.log.info, clock=time.monotonic, now=lambda: datetime.now(UTC)
        )
        self._image_hook = pulumi.ResourceHook(
            # In a preview too, so that a wrong image is known before anything is changed.
            IMAGE_HOOK,
            self._check_image,
            pulumi.ResourceHookOptions(on_dry_run=True),
        )
        self._gate_hook = pulumi.ResourceHook(GATE_HOOK, self._prove_candidate)
        self._cutover_hook = pulumi.ResourceHook(CUTOVER_HOOK, self._note_cutover)
        self._guard_hook = pulumi.ResourceHook(GUARD_HOOK, self._guard_group)

    def refuse(self, error: BluegreenError) -> None:
        """Whatever is checked before a launch template is made, it fails with this."""
        self._refusal = error

    def checking_image(self) -> pulumi.ResourceHookBinding:
        """For a launch template."""
        return pulumi.ResourceHookBinding(before_create=[self._image_hook])

    def launching_in(self, service: str, zones: Callable[[], tuple[str, ...]]) -> None:
        """Where a service's machines are launched. `zones` blocks; it is asked when there is something to launch."""
        self._zones[service] = zones

    def gated(self, owner: Owner, policy: ServicePolicy) -> pulumi.ResourceHookBinding:
        """For the production listener of a service, or its rule, which must carry the owner's tags."""
        self._services[owner] = policy
        return pulumi.ResourceHookBinding(
            before_create=[self._gate_hook],
            before_update=[self._gate_hook],
            after_create=[self._cutover_hook],
            after_update=[self._cutover_hook],
        )

    def guarding_machines(self) -> pulumi.ResourceHookBinding:
        """For an Auto Scaling group: an update may leave it without machines, too."""
        return pulumi.ResourceHookBinding(before_delete=[self._guard_hook], before_update=[self._guard_hook])

    def guarding_part(self, name: str) -> pulumi.ResourceHookBinding:
        """For everything of an Auto Scaling group that the engine deletes before it. `name`: of the resource."""
        self._parts.add(name)
        return pulumi.ResourceHookBinding(before_delete=[self._guard_hook])

    async def _check_image(self, args: pulumi.ResourceHookArgs) -> None:
        """All that can be refused before a machine is launched."""
        inputs = args.new_inputs or {}
        devices = inputs.get("blockDeviceMappings") or [{}]
        request = LaunchRequest(
            image=inputs.get("imageId", ""),
            instance_type=inputs.get("instanceType", ""),
            root_device=devices[0].get("deviceName", ""),
        )
        with self._remembering_failure(IMAGE_HOOK):
            if self._refusal:
                raise self._refusal
            await self._admission.passed()
            history = await asyncio.to_thread(self._read_first)
            for policy in self._services.values():
                self._check_windows(policy, _tags(inputs).get(RELEASE, ""))
            for policy in self._services.values():
                proofs = policy.gate.proofs
                for setting, command in (("gateCommand", proofs.command), ("migration", proofs.migration)):
                    if command:
                        check_program(command, self._directory, setting)
            asked = None if self._is_forced_back(request.image, history) else history
            request = replace(request, more_types=self._types_beside(_tags(inputs).get(RELEASE, "")))
            if zones := self._zones.get(_tags(inputs).get(SERVICE, "")):
                request = replace(request, zones=await asyncio.to_thread(zones))
            if image := await asyncio.to_thread(check_image, self._observer, request, asked):
                self._images[image.id] = image_evidence(image)
            for policy in self._services.values():
                await self._check_soak(policy)

    def _types_beside(self, release: str) -> tuple[str, ...]:
        """Types of machines that a release may have beside its launch template's."""
        for policy in self._services.values():
            for group in policy.fleet.groups:
                if group.release.version == release and (mixed := mixed_in(group.release.launch.mixed_instances)):
                    return mixed.types
        return ()

    def _read_first(self) -> History:
        """What can't be read is known before anything is changed. Raises LedgerError, but for a way back."""
        try:
            history = self._ledger.read()
        except LedgerError as error:
            is_way_back = self._services and all(self._is_proven(each) for each in self._services.values())
            if not is_way_back:
                raise
            pulumi.log.warn(f"nobody knows what the history says: {error}")
            history = History()
        self._history = self._history or history
        return history

    def _is_forced_back(self, image: str, history: History) -> bool:
        """Whether a person has insisted on going back to what this stack ran before, a revoked image or not.

        A deploy that is forced has been refused by the driver before it comes here.
        """
        return self._run.is_forced and image in {seen.release.image for seen in history.seen().values()}

    def _check_windows(self, policy: ServicePolicy, release: str) -> None:
        """A preview changes nothing, so it is only told there. Who came in time is not sent away while waiting.

        Raises WindowClosed.
        """
        if release in policy.gate.proven | self._before().healthy | self._admitted:
            return
        try:
            forced = admit(policy.windows, self._now(), stack=pulumi.get_stack(), is_forced=self._run.is_forced)
        except WindowClosed as closed:
            if not pulumi.runtime.is_dry_run():
                raise
            pulumi.log.warn(str(closed))
            return
        for passed in forced:
            pulumi.log.warn(f"forced: {passed}")
        self._admitted.add(release)
        self._forced += forced

    async def _check_soak(self, policy: ServicePolicy) -> None:
        """Alarms that are not there, and credentials that end too early, are known before anything is changed.

        On the way back neither matters: there is no soak.
        """
        if self._is_proven(policy):
            return
        names = policy.gate.alarm_names
        if missing := missing_alarms(names, await asyncio.to_thread(self._observer.alarms, names)):
            raise GateFailed(*missing)
        if watched := policy.soak_seconds + policy.kept_seconds:
            expiry = await asyncio.to_thread(self._session.credentials_end)
            check_credentials_last(expiry, datetime.now(UTC), watched + policy.gate.deadline_seconds)

    async def _prove_candidate(self, args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        owner = Owner.from_tags(inputs["tags"])
        weights = forward_weights(actions_in(inputs))
        service = self._services[owner]
        with self._remembering_failure(GATE_HOOK):
            await self._admission.passed()
            if not os.environ.get(RUN_VARIABLE):  # the driver has asked when it began; its later steps go on
                self._check_windows(service, service.fleet.previewed.release.version)
            await self._check_lease(service)
            listener = await self._listener_until_now(owner, args)
            cutover = Cutover(owner=owner, listener=listener, weights=weights)
            began = time.monotonic()
            try:
                policy = await asyncio.to_thread(self._policy, service)
                moves = await self._gate.prove(cutover, policy)
            except GateFailed as failed:
                raise await self._with_evidence(failed, owner, time.monotonic() - began) from None
            await self._check_lease(service)  # again: that may have taken long
            if moves.gained:
                awaits = self._awaited(service) if listener else []
                await asyncio.to_thread(self._note_passed, service, moves, awaits, time.monotonic() - began)
        self._moved[owner] = TrafficMoved(
            at=time.monotonic(),
            listener=listener or "",
            has_gained=bool(moves.gained),
            lost=moves.lost,
            now_on=max(weights, key=weights.__getitem__),
            sticky_seconds=service.sticky_seconds,
        )

    async def _listener_until_now(self, owner: Owner, args: pulumi.ResourceHookArgs) -> str | None:
        """The production listener (ARN) whose traffic this one takes over: itself, but for one that is new or was a
        redirect, since HTTPS and HTTP have a listener each. None where nothing has served yet. Or the same of rules."""
        before = actions_in(args.old_inputs or {})
        if args.id and (not before or forward_weights(before)):
            return args.id
        return await self._production_listener(owner) or args.id or None

    async def _production_listener(self, owner: Owner) -> str:
        """The one that takes a service's traffic, or the rule (ARN); empty where there is none."""
        for group in await asyncio.to_thread(self._observer.groups, owner):
            for arn in group.target_groups:
                found = await asyncio.to_thread(self._observer.entrance, arn, Purpose.PRODUCTION)
                if found and found.weights:
                    return found.listener
        return ""

    async def _leased(self, owner: Owner) -> None:
        """Nothing is deleted beside another deployment of the stack. Asked once a run."""
        if owner not in self._leases:
            self._leases[owner] = asyncio.ensure_future(self._check_lease(self._services[owner]))
        try:
            await asyncio.shield(self._leases[owner])
        except GateFailed as held:
            raise GuardRefused(held.what, held.next_step) from None

    async def _check_lease(self, service: ServicePolicy) -> None:
        """The stack must be this run's to change, or nobody's. Raises GateFailed, LedgerError.

        Where the ledger can't say, traffic must still come back from a bad release.
        """
        try:
            lease = await asyncio.to_thread(self._ledger.lease)
        except LedgerError as error:
            if not self._is_proven(service):
                raise
            pulumi.log.warn(f"nobody knows who has the stack's lease: {error}")
            return
        match judge_lease(
            lease,
            self._run.name,
            self._run.fence,
            datetime.now(UTC),
            is_gone=has_died(lease.holder),
            is_forced=self._run.is_forced,
        ):
            case Hopeless(summary, next_step):
                raise GateFailed(summary, f"The traffic stays where it is. {next_step}")
            case Ready(summary) if lease.holder and not lease.is_of(self._run.name):
                pulumi.log.warn(summary)

    def _note_passed(self, service: ServicePolicy, moves: Moves, awaits: list[str], waited_seconds: float) -> None:
        release = service.fleet.previewed.release
        told = gate_evidence(release.version, moves.passed, moves.before, moves.after, waited_seconds)
        forced = {"forced": list(self._forced)} if self._forced else {}
        evidence = {**_weights(service.fleet), **self._image(release.image), **told, **self._told, **forced}
        self._recorder.note(Kind.GATE_PASSED, release=release.version, evidence={**evidence, "awaits": awaits})

    def _image(self, image: str) -> dict[str, Any]:
        """What this update has seen of an image: only a new launch template has it asked for."""
        return {"image": self._images[image]} if image in self._images else {}

    def _awaited(self, service: ServicePolicy) -> list[str]:
        """What is to follow the change of a listener, so that a later run knows, if this one should not get there."""
        if self._is_proven(service) and service.fleet.candidate is None:
            return []  # on the way back nothing hangs on it
        is_soaked = service.soak_seconds > 0 and service.fleet.candidate is None
        return [ATTEST] * service.gate.proofs.attest.is_on + [SOAK] * is_soaked

    def _policy(self, service: ServicePolicy) -> GatePolicy:
        """The gate's, with what history knows."""
        now = self._recorder.read()
        known = {version: seen.release.image for version, seen in now.seen().items()}
        return replace(
            service.gate,
            images={**known, **service.gate.images},  # the one that goes is declared no more
            proven=service.gate.proven | self._before().healthy,
            migrated=frozenset(version for version in service.gate.images if now.has_migrated(version)),
            schema=now.schema,
            minds_schema=service.gate.minds_schema and not self._run.is_forced,
        )

    async def _with_evidence(self, failed: GateFailed, owner: Owner, waited_seconds: float) -> GateFailed:
        """The same failure, recorded, and with the folder that says more."""
        group = await asyncio.to_thread(self._group_at, failed.target_group, owner)
        image = self._services[owner].gate.images.get(group.release, "") if group else ""
        evidence = {
            "targetGroup": failed.target_group,
            "group": group.name if group else "",
            "waitedSeconds": round(waited_seconds, 1),
            **self._image(image),
            **self._told,
        }
        await asyncio.to_thread(
            self._recorder.note,
            Kind.GATE_FAILED,
            release=group.release if group else "",
            summary=failed.what,
            evidence=evidence,
        )
        next_step = failed.next_step
        if group:
            folder = await asyncio.to_thread(self._save_evidence, group)
            next_step = f"{next_step} What is known of it: {folder}"
        return GateFailed(failed.what, next_step)

    async def _note_cutover(self, args: pulumi.ResourceHookArgs) -> None:
        """A record only: what is said here comes too late to stop anything."""
        owner = Owner.from_tags((args.new_inputs or {})["tags"])
        service = self._services[owner]
        if moved := self._moved.get(owner):
            self._moved[owner] = replace(moved, at=time.monotonic())  # the gate's end was before
        release = service.fleet.previewed.release
        evidence = {**_weights(service.fleet), **self._image(release.image)}
        await asyncio.to_thread(self._recorder.note, Kind.CUTOVER, release=release.version, evidence=evidence)
        await asyncio.to_thread(self._publish, owner, service)

    def _publish(self, owner: Owner, service: ServicePolicy) -> None:
        """What has all of the traffic, for other systems."""
        active = service.fleet.active.release
        if service.shares != {active.version: ALL_TRAFFIC}:
            return
        try:
            self._ledger.publish(owner.service, {"image": active.image, "release": active.version})
        except LedgerError as error:
            pulumi.log.warn(f"not published: {error}")

    async def _guard_group(self, args: pulumi.ResourceHookArgs) -> None:
        """Before a part of a server group is deleted, or an update leaves it without machines."""
        is_update = args.new_inputs is not None
        if is_update and not _is_emptied(args):
            return
        if self._failed:
            # The engine does not come here then, unless it runs with --continue-on-error.
            raise GuardRefused(f"nothing is deleted in an update in which {self._failed} failed")
        outputs = args.old_outputs or {}
        tags = _tags(outputs)
        owner = self._owner_of(outputs, tags)
        # Of a group that the program declares, something goes only where all is destroyed, or where a setting takes a
        # part away: that is then declared no more.
        is_declared = not is_update and owner is not None and self._is_declared(owner, outputs, tags)
        if owner:
            await self._leased(owner)
        if owner and is_declared and (args.type == GROUP_TYPE or args.name in self._parts):
            await self._unprotected(owner)
        if owner and not is_declared:
            await self._watched(owner)
        moved = self._moved.get(owner) if owner else None
        connections = await self._connections(owner, moved) if owner and not is_declared else None
        if args.type == GROUP_TYPE:
            target_groups = tuple(outputs.get("targetGroupArns") or ())
            await self._guard.release(outputs["name"], Part.MACHINES, target_groups, moved, connections)
            if is_declared:
                await asyncio.to_thread(
                    self._recorder.note, Kind.DESTROYED, release=tags.get(RELEASE, ""), evidence=self._told
                )
            else:
                await self._save_evidence_of_failure(outputs["name"], tags.get(RELEASE, ""))
        else:
            name = outputs.get("autoscalingGroupName") or tags.get(SERVER_GROUP, "")
            await self._guard.release(name, Part.ATTACHMENT, moved=moved, connections=connections)

    async def _connections(self, owner: Owner, moved: TrafficMoved | None) -> Connections | None:
        """What may still be on a server group that goes, of a service that has run before. A destroy cuts off all."""
        limit = self._services[owner].kept_seconds
        if not limit or self._run.is_destroy or (moved and not moved.listener):
            return None
        listener = (moved.listener if moved else "") or await self._production_listener(owner)
        before = await asyncio.to_thread(self._before)
        return Connections(limit_seconds=limit, listener=listener, moved_at=before.moved_at) if listener else None

    def _owner_of(self, outputs: Mapping[str, Any], tags: Mapping[str, str]) -> Owner | None:
        """Whose a part of a server group is; None where the program declares no such service any more.

        A policy and a scheduled action have no tags, but the release's name at the head of theirs.
        """
        if SERVICE in tags:
            return next((each for each in self._services if each.service == tags[SERVICE]), None)
        return next((each for each in self._services if _release_in(outputs, each.service)), None)

    def _is_declared(self, owner: Owner, outputs: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
        """Whether this is a part of a server group that the program declares."""
        declared = {group.release.version for group in self._services[owner].fleet.groups}
        return (tags.get(RELEASE) or _release_in(outputs, owner.service)) in declared

    async def _unprotected(self, owner: Owner) -> None:
        """Raises Protected where this is the destroy of a service that is protected against it; asked once."""
        if owner not in self._protections:
            check = asyncio.to_thread(check_unprotected, self._observer, owner)
            self._protections[owner] = asyncio.ensure_future(check)
        await asyncio.shield(self._protections[owner])

    async def _watched(self, owner: Owner) -> None:
        """Attest and soak of what has just got the traffic: one watch per service and run, whatever asks for it."""
        if owner not in self._watches:
            self._watches[owner] = asyncio.ensure_future(self._keep_watch(owner))
        await asyncio.shield(self._watches[owner])

    async def _keep_watch(self, owner: Owner) -> None:
        service, moved = self._services[owner], self._moved.get(owner)
        await asyncio.to_thread(self._before)
        is_proven = self._is_proven(service)
        has_moved = moved is not None and bool(moved.listener) and moved.has_gained
        if self._run.is_destroy or (is_proven and not has_moved):
            return
        previewed = service.fleet.previewed.release.version
        if not has_moved and not await asyncio.to_thread(self._group_of, previewed, owner):
            return  # what is declared was never made: this is a destroy
        is_shift = service.fleet.candidate is not None  # the driver watches those
        domain = service.gate.proofs.domain
        shift = Shift(owner=owner, release=previewed, shares=service.shares, domain=domain)
        attest = service.gate.proofs.attest
        seconds = 0 if is_shift or is_proven else service.soak_seconds
        watch = replace(self._watch, record=self._note_good_news) if is_proven else self._watch
        try:
            await watch.keep(shift, attest, service.soak, seconds)
        except WatchFailed as failed:
            if is_proven:  # on the way back it is said, and nothing is held up by it
                pulumi.log.warn(str(failed))
                return
            group = await asyncio.to_thread(self._group_of, shift.release, owner)
            folder = await asyncio.to_thread(self._save_evidence, group) if group else self._run.folder
            raise WatchFailed(
                failed.what,
                f"{failed.next_step} The old server group was left whole: `bluegreen rollback`, or the earlier `ami` "
                f"and `pulumi up`, bring the traffic back to it; `bluegreen destroy` asks for no watch. What is known: "
                f"{folder}".strip(),
            ) from None

    def _is_proven(self, service: ServicePolicy) -> bool:
        return service.active in service.gate.proven | self._before().healthy

    def _before(self) -> History:
        """What had happened when this program was first asked."""
        if self._history is None:
            self._history = self._recorder.read()
        return self._history

    def _note_good_news(self, kind: Kind, *, release: str, summary: str, evidence: Mapping[str, Any]) -> None:
        """A failed attest says nothing new of a release that was seen healthy."""
        if kind not in FAILURES:
            self._recorder.note(kind, release=release, summary=summary, evidence=evidence)

    def _note_migration(self, release: str, schema: int | None) -> None:
        evidence = {} if schema is None else {"schema": schema}
        self._recorder.note(Kind.MIGRATED, release=release, evidence=evidence)

    def _group_at(self, target_group: str, owner: Owner) -> Group | None:
        groups = self._observer.groups(owner) if target_group else ()
        return next((each for each in groups if target_group in each.target_groups), None)

    def _group_of(self, release: str, owner: Owner) -> Group | None:
        return next((each for each in self._observer.groups(owner) if each.release == release), None)

    async def _save_evidence_of_failure(self, name: str, release: str) -> None:
        """Before a group goes that has failed, unless that was done when it failed."""
        if not (await asyncio.to_thread(self._recorder.read)).has_evidence(release):
            group = await asyncio.to_thread(self._observer.group, name)
            if group:
                await asyncio.to_thread(self._save_evidence, group)

    def _save_evidence(self, group: Group) -> Path:
        """Evidence helps a person; that it can't be had must not hide what it is about."""
        try:
            folder = self._forensics.save(group)
            self._recorder.note(Kind.FORENSICS, release=group.release, evidence={"folder": str(folder)})
        except Exception as error:
            pulumi.log.warn(f"forensics: {error!r}")
            return self._run.folder
        pulumi.log.info(f"forensics: {group.name}: saved in {folder}")
        return folder

    @contextmanager
    def _remembering_failure(self, hook: str) -> Iterator[None]:
        try:
            yield
        except BluegreenError:
            self._failed = hook
            raise


def _tell_place(text: str) -> None:
    """The driver tells it where there is one."""
    if not os.environ.get(RUN_VARIABLE):
        pulumi.log.info(text)


def actions_in(inputs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A listener's default actions, or a rule's."""
    return inputs.get("defaultActions") or inputs.get("actions") or []


def forward_weights(actions: list[Mapping[str, Any]]) -> dict[str, int]:
    """Weight by target group ARN, of actions as their resource's inputs hold them."""
    weights: dict[str, int] = {}
    for action in actions:
        if arn := action.get("targetGroupArn"):
            weights[arn] = 1
        for target_group in (action.get("forward") or {}).get("targetGroups", []):
            weights[target_group["arn"]] = target_group.get("weight", 1)
    return weights


def _weights(fleet: Fleet) -> dict[str, Any]:
    """Who gets how much of the traffic, as events tell it."""
    return {
        "weights": {group.release.version: group.weight for group in fleet.groups},
        "releases": {group.release.version: group.release.as_record() for group in fleet.groups},
    }


def _tags(outputs: Mapping[str, Any]) -> dict[str, str]:
    """An Auto Scaling group's are a list; a policy has none."""
    tags = outputs.get("tags") or {}
    return {each["key"]: each["value"] for each in tags} if isinstance(tags, list) else dict(tags)


def _release_in(outputs: Mapping[str, Any], service: str) -> str:
    """The version in the name of a policy or a scheduled action: `web-4d197941`, `web-4d197941-requests`."""
    name = outputs.get("name") or outputs.get("scheduledActionName") or ""
    found = re.fullmatch(rf"{re.escape(service)}-([0-9a-f]{{{VERSION_LENGTH}}})(-.*)?", name)
    return found[1] if found else ""


def _is_emptied(args: pulumi.ResourceHookArgs) -> bool:
    """Whether an update of an Auto Scaling group leaves it no machines."""
    new, old = args.new_inputs or {}, args.old_inputs or {}
    return args.type == GROUP_TYPE and new.get("maxSize") == 0 and old.get("maxSize") != 0
