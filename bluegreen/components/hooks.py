"""The three resource hooks: Pulumi's call in, one of `bluegreen.checks` out.

Their names are a frozen contract: a checkpoint that names a hook which the program no longer registers breaks preview
and delete. A program registers each once, whatever the number of its services, and hooks don't pass from a component
to its children: every resource is bound by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi

from bluegreen.aws.capacity import raise_desired_capacity
from bluegreen.aws.observe import Observer
from bluegreen.aws.session import Session
from bluegreen.checks.command import CommandRunner, check_program
from bluegreen.checks.gate import Cutover, Gate
from bluegreen.checks.guard import Guard
from bluegreen.checks.image import LaunchRequest, check_image
from bluegreen.components.admission import Admission
from bluegreen.errors import BluegreenError, GuardRefused
from bluegreen.model.gate import GatePolicy
from bluegreen.model.guard import Part
from bluegreen.model.tags import Owner

IMAGE_HOOK = "bluegreen-image"
GATE_HOOK = "bluegreen-gate"
GUARD_HOOK = "bluegreen-guard"

GROUP_TYPE = "aws:autoscaling/group:Group"


class Hooks:
    """Registers the hooks of a program, and binds them to resources. Make one per program."""

    def __init__(self, session: Session, admission: Admission) -> None:
        self._admission = admission
        self._observer = Observer(session)
        self._policies: dict[Owner, GatePolicy] = {}
        self._lost_traffic: frozenset[str] = frozenset()
        self._failed = ""
        self._directory = Path(pulumi.get_root_directory())
        self._gate = Gate(
            sight=self._observer,
            raise_desired_capacity=lambda group, desired: raise_desired_capacity(session, group, desired),
            run_command=CommandRunner(directory=self._directory, report=pulumi.log.info).run,
            report=pulumi.log.info,
            clock=time.monotonic,
            began=datetime.now(UTC),
        )
        self._guard = Guard(sight=self._observer, report=pulumi.log.info)
        self._image_hook = pulumi.ResourceHook(
            # In a preview too, so that a wrong image is known before anything is changed.
            IMAGE_HOOK,
            self._check_image,
            pulumi.ResourceHookOptions(on_dry_run=True),
        )
        self._gate_hook = pulumi.ResourceHook(GATE_HOOK, self._prove_candidate)
        self._guard_hook = pulumi.ResourceHook(GUARD_HOOK, self._guard_group)

    def checking_image(self) -> pulumi.ResourceHookBinding:
        """For a launch template."""
        return pulumi.ResourceHookBinding(before_create=[self._image_hook])

    def gated(self, owner: Owner, policy: GatePolicy) -> pulumi.ResourceHookBinding:
        """For the production listener of a service, which must carry the owner's tags."""
        self._policies[owner] = policy
        return pulumi.ResourceHookBinding(before_create=[self._gate_hook], before_update=[self._gate_hook])

    def guarded(self) -> pulumi.ResourceHookBinding:
        """For an Auto Scaling group, and for everything of it that the engine deletes before it."""
        return pulumi.ResourceHookBinding(before_delete=[self._guard_hook])

    async def _check_image(self, args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        devices = inputs.get("blockDeviceMappings") or [{}]
        request = LaunchRequest(
            image=inputs.get("imageId", ""),
            instance_type=inputs.get("instanceType", ""),
            root_device=devices[0].get("deviceName", ""),
        )
        with self._remembering_failure(IMAGE_HOOK):
            await self._admission.passed()
            for policy in self._policies.values():
                if policy.proofs.command:
                    check_program(policy.proofs.command, self._directory)
            await asyncio.to_thread(check_image, self._observer, request)

    async def _prove_candidate(self, args: pulumi.ResourceHookArgs) -> None:
        inputs = args.new_inputs or {}
        owner = Owner.from_tags(inputs["tags"])
        cutover = Cutover(owner=owner, listener=args.id or None, weights=forward_weights(inputs["defaultActions"]))
        with self._remembering_failure(GATE_HOOK):
            await self._admission.passed()
            self._lost_traffic |= await self._gate.prove(cutover, self._policies[owner])

    async def _guard_group(self, args: pulumi.ResourceHookArgs) -> None:
        if self._failed:
            # The engine does not come here then, unless it runs with --continue-on-error.
            raise GuardRefused(f"nothing is deleted in an update in which {self._failed} failed")
        outputs = args.old_outputs or {}
        if args.type == GROUP_TYPE:
            target_groups = tuple(outputs.get("targetGroupArns") or ())
            await self._guard.release(outputs["name"], Part.MACHINES, target_groups, self._lost_traffic)
        else:
            await self._guard.release(outputs["autoscalingGroupName"], Part.ATTACHMENT)

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
