"""The resource hooks: Pulumi's call in, one of `bluegreen.checks` out.

Their names are a frozen contract: a checkpoint that names a hook which the program no longer registers breaks preview
and delete. A program registers each once, whatever the number of its services, and hooks don't pass from a component
to its children: every resource is bound by itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
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
from bluegreen.checks.gate import Cutover, Gate
from bluegreen.checks.guard import Guard, TrafficMoved
from bluegreen.checks.image import LaunchRequest, check_image
from bluegreen.checks.watch import Shift, Watch
from bluegreen.components.admission import Admission
from bluegreen.errors import BluegreenError, GateFailed, GuardRefused, WatchFailed
from bluegreen.ledger.file import FileLedger
from bluegreen.ledger.ledger import Recorder, Run
from bluegreen.model.fleet import Fleet
from bluegreen.model.gate import GatePolicy
from bluegreen.model.guard import Part
from bluegreen.model.history import FAILURES, History, Kind
from bluegreen.model.observation import Group
from bluegreen.model.soak import SoakPolicy, check_credentials_last, missing_alarms
from bluegreen.model.tags import RELEASE, SERVER_GROUP, Owner

IMAGE_HOOK = "bluegreen-image"
GATE_HOOK = "bluegreen-gate"
CUTOVER_HOOK = "bluegreen-cutover"
GUARD_HOOK = "bluegreen-guard"

GROUP_TYPE = "aws:autoscaling/group:Group"


@dataclass(frozen=True, kw_only=True)
class ServicePolicy:
    """What a service asks of its hooks."""

    fleet: Fleet
    gate: GatePolicy
    soak: SoakPolicy
    soak_seconds: float = 0
    sticky_seconds: int = 0

    @property
    def active(self) -> str:
        return self.fleet.active.release.version

    @property
    def shares(self) -> dict[str, int]:
        """Percent of the traffic by release, of those that have any."""
        return {group.release.version: group.weight for group in self.fleet.groups if group.weight}


class Hooks:
    """Registers the hooks of a program, and binds them to resources. Make one per program."""

    def __init__(self, session: Session, admission: Admission) -> None:
        self._admission = admission
        self._session = session
        self._observer = Observer(session)
        self._services: dict[Owner, ServicePolicy] = {}
        self._moved: dict[Owner, TrafficMoved] = {}
        self._watches: dict[Owner, asyncio.Task[None]] = {}
        self._failed = ""
        self._directory = Path(pulumi.get_root_directory())
        self._run = Run.of_environment(self._directory, pulumi.get_stack(), os.environ, datetime.now(UTC))
        self._recorder = Recorder(ledger=FileLedger(self._run.ledger), run=self._run.name)
        self._history: History | None = None
        self._forensics = Forensics(sight=self._observer, folder=self._run.folder, report=pulumi.log.info)
        self._gate = Gate(
            sight=self._observer,
            raise_desired_capacity=lambda group, desired: raise_desired_capacity(session, group, desired),
            run_command=CommandRunner(directory=self._directory, report=pulumi.log.info).run,
            on_migrated=self._record_migration,
            report=pulumi.log.info,
            clock=time.monotonic,
            began=datetime.now(UTC),
        )
        self._watch = Watch(
            sight=self._observer,
            record=self._recorder.record,
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
        self._cutover_hook = pulumi.ResourceHook(CUTOVER_HOOK, self._record_cutover)
        self._guard_hook = pulumi.ResourceHook(GUARD_HOOK, self._guard_group)

    def checking_image(self) -> pulumi.ResourceHookBinding:
        """For a launch template."""
        return pulumi.ResourceHookBinding(before_create=[self._image_hook])

    def gated(self, owner: Owner, policy: ServicePolicy) -> pulumi.ResourceHookBinding:
        """For the production listener of a service, which must carry the owner's tags."""
        self._services[owner] = policy
        return pulumi.ResourceHookBinding(
            before_create=[self._gate_hook],
            before_update=[self._gate_hook],
            after_create=[self._cutover_hook],
            after_update=[self._cutover_hook],
        )

    def guarded(self) -> pulumi.ResourceHookBinding:
        """For an Auto Scaling group, and for everything of it that the engine deletes before it."""
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
            await self._admission.passed()
            self._past()
            for policy in self._services.values():
                for command in (policy.gate.proofs.command, policy.gate.proofs.migration):
                    if command:
                        check_program(command, self._directory)
            await asyncio.to_thread(check_image, self._observer, request)
            for policy in self._services.values():
                await self._check_soak(policy)

    async def _check_soak(self, policy: ServicePolicy) -> None:
        """Alarms that are not there, and credentials that end too early, are known before anything is changed."""
        names = policy.gate.alarm_names
        if missing := missing_alarms(names, await asyncio.to_thread(self._observer.alarms, names)):
            raise GateFailed(*missing)
        if policy.soak_seconds:
            expiry = await asyncio.to_thread(self._session.credentials_end)
            check_credentials_last(expiry, datetime.now(UTC), policy.soak_seconds + policy.gate.deadline_seconds)

    async def _prove_candidate(self, args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        owner = Owner.from_tags(inputs["tags"])
        weights = forward_weights(inputs["defaultActions"])
        cutover = Cutover(owner=owner, listener=args.id or None, weights=weights)
        service = self._services[owner]
        with self._remembering_failure(GATE_HOOK):
            await self._admission.passed()
            try:
                lost = await self._gate.prove(cutover, self._policy(service))
            except GateFailed as failed:
                raise await self._with_evidence(failed, owner) from None
            self._recorder.record(Kind.GATE_PASSED, release=service.fleet.previewed.release.version)
        self._moved[owner] = TrafficMoved(
            at=time.monotonic(),
            listener=args.id or "",
            lost=lost,
            now_on=max(weights, key=weights.__getitem__),
            sticky_seconds=service.sticky_seconds,
        )

    def _policy(self, service: ServicePolicy) -> GatePolicy:
        """The gate's, with what history knows."""
        past = self._past()
        versions = service.gate.images
        return replace(
            service.gate,
            proven=service.gate.proven | past.healthy,
            migrated=frozenset(version for version in versions if past.has_migrated(version)),
            schema=past.schema,
            minds_schema=service.gate.minds_schema and not self._run.is_forced,
        )

    async def _with_evidence(self, failed: GateFailed, owner: Owner) -> GateFailed:
        """The same failure, recorded, and with the folder that says more."""
        group = await asyncio.to_thread(self._group_at, failed.target_group, owner)
        release = group.release if group else ""
        next_step = failed.next_step
        if group:
            folder = await asyncio.to_thread(self._save_evidence, group)
            next_step = f"{next_step} What is known of it: {folder}"
        self._recorder.record(Kind.GATE_FAILED, release=release, summary=failed.what)
        return GateFailed(failed.what, next_step)

    async def _record_cutover(self, args: pulumi.ResourceHookArgs) -> None:
        """A record only: what is said here comes too late to stop anything, and must not fail the update."""
        owner = Owner.from_tags((args.new_inputs or {})["tags"])
        service, moved = self._services[owner], self._moved.get(owner)
        is_first = moved is None or not moved.listener
        try:
            past = self._past()
            self._recorder.record(
                Kind.CUTOVER,
                release=service.fleet.previewed.release.version,
                evidence={
                    "weights": {group.release.version: group.weight for group in service.fleet.groups},
                    "releases": {group.release.version: group.release.as_record() for group in service.fleet.groups},
                    "awaitsSoak": bool(service.soak_seconds) and not is_first and not self._is_proven(service, past),
                },
            )
        except BluegreenError as error:
            pulumi.log.warn(f"the cutover is not in the ledger: {error}")

    async def _guard_group(self, args: pulumi.ResourceHookArgs) -> None:
        if self._failed:
            # The engine does not come here then, unless it runs with --continue-on-error.
            raise GuardRefused(f"nothing is deleted in an update in which {self._failed} failed")
        outputs = args.old_outputs or {}
        for owner in self._services:
            await self._watched(owner)
        moved = next(iter(self._moved.values()), None)
        if args.type == GROUP_TYPE:
            target_groups = tuple(outputs.get("targetGroupArns") or ())
            await self._guard.release(outputs["name"], Part.MACHINES, target_groups, moved)
            await self._save_evidence_of_failure(outputs)
        else:
            name = outputs.get("autoscalingGroupName") or (outputs.get("tags") or {}).get(SERVER_GROUP, "")
            await self._guard.release(name, Part.ATTACHMENT)

    async def _watched(self, owner: Owner) -> None:
        """Attest and soak of what has just got the traffic: one watch per service and run, whatever asks for it."""
        if owner not in self._watches:
            self._watches[owner] = asyncio.ensure_future(self._keep_watch(owner))
        await asyncio.shield(self._watches[owner])

    async def _keep_watch(self, owner: Owner) -> None:
        service, moved = self._services[owner], self._moved.get(owner)
        past = self._past()
        has_moved = moved is not None and bool(moved.listener)
        is_in_doubt = past.awaits_watch(service.active)
        if self._run.is_destroy or not (has_moved or is_in_doubt):
            return
        is_shift = service.fleet.candidate is not None  # the driver watches those
        needs_soak = not is_shift and not self._is_proven(service, past)
        shift = Shift(owner=owner, release=service.active, shares=service.shares)
        attest = service.gate.proofs.attest
        try:
            await self._watch.keep(shift, attest, service.soak, service.soak_seconds if needs_soak else 0)
        except WatchFailed as failed:
            group = await asyncio.to_thread(self._group_of, service.active, owner)
            folder = await asyncio.to_thread(self._save_evidence, group) if group else self._run.folder
            raise WatchFailed(
                failed.what,
                f"{failed.next_step} The old server group was left whole: `bluegreen rollback`, or the earlier `ami` "
                f"and `pulumi up`, bring the traffic back to it. What is known: {folder}".strip(),
            ) from None

    def _is_proven(self, service: ServicePolicy, past: History) -> bool:
        return service.active in service.gate.proven | past.healthy

    def _past(self) -> History:
        """What happened before this run. Raises LedgerError."""
        if self._history is None:
            events = FileLedger(self._run.ledger).read().events
            self._history = History(tuple(event for event in events if event.run != self._run.name))
        return self._history

    def _record_migration(self, release: str, schema: int | None) -> None:
        evidence = {} if schema is None else {"schema": schema}
        self._recorder.record(Kind.MIGRATED, release=release, evidence=evidence)

    def _group_at(self, target_group: str, owner: Owner) -> Group | None:
        groups = self._observer.groups(owner) if target_group else ()
        return next((each for each in groups if target_group in each.target_groups), None)

    def _group_of(self, release: str, owner: Owner) -> Group | None:
        return next((each for each in self._observer.groups(owner) if each.release == release), None)

    async def _save_evidence_of_failure(self, outputs: Mapping[str, Any]) -> None:
        """Before a group goes that has failed, unless that was done when it failed."""
        tags = {tag["key"]: tag["value"] for tag in outputs.get("tags") or ()}
        events = [event for event in FileLedger(self._run.ledger).read().events if event.release == tags.get(RELEASE)]
        has_failed = any(event.kind in FAILURES for event in events)
        if has_failed and not any(event.kind is Kind.FORENSICS for event in events):
            group = await asyncio.to_thread(self._observer.group, outputs["name"])
            if group:
                await asyncio.to_thread(self._save_evidence, group)

    def _save_evidence(self, group: Group) -> Path:
        """Evidence helps a person; that it can't be had must not hide what it is about."""
        try:
            folder = self._forensics.save(group)
            self._recorder.record(Kind.FORENSICS, release=group.release, evidence={"folder": str(folder)})
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


def forward_weights(actions: list[Mapping[str, Any]]) -> dict[str, int]:
    """Weight by target group ARN, of a listener's default actions as its inputs hold them."""
    weights: dict[str, int] = {}
    for action in actions:
        if arn := action.get("targetGroupArn"):
            weights[arn] = 1
        for target_group in (action.get("forward") or {}).get("targetGroups", []):
            weights[target_group["arn"]] = target_group.get("weight", 1)
    return weights
