"""Warm pools: machines of an Auto Scaling group that have booted, and wait beside it until it needs more.

The group's own machines are autoscaling.py's, which asks here for a warm one first. Guarded by `Cloud.lock`.
Sources: the Amazon EC2 Auto Scaling user guide, "Decrease latency for applications with long boot times using warm
pools" and "Use lifecycle hooks with a warm pool"; its API reference (PutWarmPool, DeleteWarmPool). AWS does not say how
an activity of a machine that goes back is worded.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.core.exceptions import ServiceException

from sandbox.cloud import activity as words
from sandbox.cloud.activity import place_of
from sandbox.cloud.lifecycle import LAUNCHING, TERMINATING

if TYPE_CHECKING:
    from sandbox.cloud.autoscaling import AutoScaling, Course

STOPPED, RUNNING = "Stopped", "Running"
_PENDING, _WAITING, _PROCEEDING = "Warmed:Pending", "Warmed:Pending:Wait", "Warmed:Pending:Proceed"
_ENDING = "Warmed:Terminating"
_UNSET = -1


@dataclass
class WarmPool:
    """What it should be, as PutWarmPool has it, and what is in it. `prepared`: machines of group and pool together."""

    minimum: int = 0
    prepared: int = _UNSET
    state: str = STOPPED
    reuses: bool = False
    is_ending: bool = False
    is_forced: bool = False
    machines: list[InstanceState] = field(default_factory=list)

    @property
    def staying(self) -> list[InstanceState]:
        return [each for each in self.machines if not each.lifecycle_state.startswith(_ENDING)]

    def size(self, desired: int, maximum: int) -> int:
        """How many there should be in it."""
        if self.is_ending:
            return 0
        return max(self.minimum, (maximum if self.prepared == _UNSET else self.prepared) - desired)

    def as_answer(self) -> dict[str, Any]:
        """WarmPoolConfiguration."""
        answer = {
            "MaxGroupPreparedCapacity": None if self.prepared == _UNSET else self.prepared,
            "MinSize": self.minimum,
            "PoolState": self.state,
            "Status": "PendingDelete" if self.is_ending else None,
            "InstanceReusePolicy": {"ReuseOnScaleIn": self.reuses} if self.reuses else None,
        }
        return {key: value for key, value in answer.items() if value is not None}


class Warmth:
    """The rounds of all warm pools."""

    def __init__(self, scaling: AutoScaling) -> None:
        self._scaling = scaling

    def advance(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course) -> None:
        pool = course.pool
        if pool is None:
            return
        for state in list(pool.machines):
            if course.members[state.instance_id].termination:
                self._advance_termination(backend, group, course, pool, state)
            else:
                self._advance_machine(backend, group, course, pool, state)
        self._fit(backend, group, course, pool)
        if pool.is_ending and not pool.machines:
            course.pool = None

    def take(
        self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, zone: str
    ) -> InstanceState | None:
        """One that is ready, of this zone where there is one. It is the group's from then on. May raise as EC2 does."""
        ready = (f"Warmed:{STOPPED}", f"Warmed:{RUNNING}")
        found = [each for each in course.pool.machines if each.lifecycle_state in ready] if course.pool else []
        if not found or course.pool is None:
            return None
        state = next((each for each in found if each.availability_zone == zone), found[0])
        if state.instance.state == "stopped":
            backend.ec2_backend.start_instances([state.instance_id])
        course.pool.machines.remove(state)
        state.lifecycle_state = "Pending"
        group.instance_states.append(state)
        return state

    def takes_back(self, group: FakeAutoScalingGroup, course: Course, state: InstanceState) -> bool:
        """Whether a machine that the group is to lose goes into the pool; then it does."""
        pool = course.pool
        wanted = pool.size(group.desired_capacity or 0, group.max_size or 0) if pool and pool.reuses else 0
        if pool is None or len(pool.staying) >= wanted or state.instance.state != "running":
            return False
        self._scaling.deregister(group, state)
        group.instance_states.remove(state)
        state.lifecycle_state = _PENDING
        pool.machines.append(state)
        member = course.members[state.instance_id]
        member.is_back, member.wait, member.registered = True, None, set()
        cause = f"At {words.now()} an instance was returned to the warm pool in response to a smaller desired capacity."
        what = f"Returning an EC2 instance to warm pool: {state.instance_id}"
        member.launch = self._scaling.record(group, what, cause, "InProgress", _place(state))
        return True

    def _advance_machine(
        self,
        backend: AutoScalingBackend,
        group: FakeAutoScalingGroup,
        course: Course,
        pool: WarmPool,
        state: InstanceState,
    ) -> None:
        member, ec2_state = course.members[state.instance_id], state.instance.state
        if ec2_state in ("shutting-down", "terminated"):
            self._terminate(
                group,
                course,
                state,
                words.taken_out("an EC2 health check indicating it has been terminated or stopped"),
            )
            return
        if state.lifecycle_state == _PENDING and not self._scaling.is_draining(group, state):
            if member.wait is None:
                member.wait = self._scaling.wait_at(backend, group, TERMINATING if member.is_back else LAUNCHING)
            state.lifecycle_state = _WAITING
        if state.lifecycle_state == _WAITING and member.wait:
            ending = member.wait.ending(time.monotonic())
            if ending and ending.is_abandoned:
                assert member.launch
                member.launch.fail("Cancelled", f"Instance failed to complete user's Lifecycle Action: {ending.why}")
                self._scaling.put_off(course)
                self._terminate(group, course, state, words.taken_out("a launch failure"))
            elif ending:
                state.lifecycle_state = _PROCEEDING
        if state.lifecycle_state != _PROCEEDING:
            return
        if ec2_state == "running" and pool.state == STOPPED:
            backend.ec2_backend.stop_instances([state.instance_id])
        elif ec2_state == pool.state.lower():
            assert member.launch
            state.lifecycle_state, member.wait = f"Warmed:{pool.state}", None
            member.launch.end("Successful")

    def _fit(self, backend: AutoScalingBackend, group: FakeAutoScalingGroup, course: Course, pool: WarmPool) -> None:
        wanted, staying = pool.size(group.desired_capacity or 0, group.max_size or 0), pool.staying
        for state in staying[wanted:]:
            cause = f"At {words.now()} an instance was taken out of the warm pool, which is to have {wanted}."
            self._terminate(group, course, state, cause)
        for size in range(len(staying), wanted):
            if not self._scaling.may_launch(group, course) or not self._launch(backend, group, course, pool, size):
                return

    def _launch(
        self,
        backend: AutoScalingBackend,
        group: FakeAutoScalingGroup,
        course: Course,
        pool: WarmPool,
        size: int,
    ) -> bool:
        cause = (
            f"At {words.now()} an instance was started in response to a difference between desired and actual warm "
            f"pool capacity, increasing the warm pool capacity from {size} to {size + 1}."
        )
        subnet, zone = self._scaling.emptiest_place(backend, group, pool.staying)
        what, place = "Launching a new EC2 instance into warm pool", place_of(subnet, zone)
        try:
            state = self._scaling.run_instance(backend, group, subnet, zone)
        except ServiceException as fault:
            self._scaling.record(group, what, cause, "Failed", place).fail("Failed", words.not_launched(fault))
            self._scaling.put_off(course)
            return False
        state.lifecycle_state = _PENDING
        pool.machines.append(state)
        member = self._scaling.new_member(group, course, state)
        member.launch = self._scaling.record(group, f"{what}: {state.instance_id}", cause, "PreInService", place)
        return True

    def _terminate(self, group: FakeAutoScalingGroup, course: Course, state: InstanceState, cause: str) -> None:
        member = course.members[state.instance_id]
        if member.launch and member.launch.ended is None:
            member.launch.end("Cancelled", message="The instance was terminated before it was warm.")
        state.lifecycle_state, member.wait = _ENDING, None
        what = f"Terminating EC2 instance from warm pool: {state.instance_id}"
        member.termination = self._scaling.record(group, what, cause, "InProgress", _place(state))

    def _advance_termination(
        self,
        backend: AutoScalingBackend,
        group: FakeAutoScalingGroup,
        course: Course,
        pool: WarmPool,
        state: InstanceState,
    ) -> None:
        member = course.members[state.instance_id]
        assert member.termination
        match state.instance.state:
            case "pending" | "running" | "stopped":
                if member.wait is None:
                    member.wait = self._scaling.wait_at(backend, group, TERMINATING)
                waits = not pool.is_forced and member.wait.ending(time.monotonic()) is None
                state.lifecycle_state = f"{_ENDING}:{'Wait' if waits else 'Proceed'}"
                if not waits:
                    backend.ec2_backend.terminate_instances([state.instance_id])
            case "terminated":
                member.termination.end("Successful")
                pool.machines.remove(state)
                course.members.pop(state.instance_id, None)


def _place(state: InstanceState) -> dict[str, str]:
    return place_of(state.instance.subnet_id, state.availability_zone)
