"""Orphans: what carries a stack's tags and is in no state, left by an update that could not record or delete it. Pure.

Who asks AWS and deletes is `bluegreen.aws.reap`, who puts it together `bluegreen.orphans`. Security groups, network and
load balancer are none of it: they are made once, and named by others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from bluegreen.model.observation import Listener
from bluegreen.model.tags import Purpose


class Kind(Enum):
    """Parts of a server group, in the order in which they are deleted: what hangs on a group goes before it, what it
    is made of after it."""

    ALARM = "alarm"
    POLICY = "scaling policy"
    GROUP = "Auto Scaling group"
    TEMPLATE = "launch template"
    TARGET_GROUP = "target group"


ORDER = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a server group, as AWS has it. `id`: as the state has it, so that the two can be compared.

    `groups`: names of the Auto Scaling groups that it belongs to, its own for one. `target_groups` (ARNs), `machines`
    (as many as are there, or wanted, but for those that are warm) and `has_pool`: of an Auto Scaling group.
    """

    kind: Kind
    id: str
    name: str
    release: str = ""
    groups: tuple[str, ...] = ()
    target_groups: tuple[str, ...] = ()
    machines: int = 0
    has_pool: bool = False

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"


@dataclass(frozen=True)
class Kept:
    """An orphan that stays, and why."""

    part: Part
    why: str


@dataclass(frozen=True)
class ReapPlan:
    """What is deleted, in this order, and which orphans stay."""

    going: tuple[Part, ...] = ()
    kept: tuple[Kept, ...] = ()

    def still(self, later: ReapPlan) -> ReapPlan:
        """What was to go then, and is to go now."""
        return ReapPlan(tuple(part for part in later.going if part in self.going), later.kept)


def orphans(
    parts: Iterable[Part], state: Collection[str], listeners: Sequence[Listener], *, is_forced: bool = False
) -> ReapPlan:
    """Which parts go. `state`: ids and ARNs of all that the stack's state holds. `listeners`: all that name any of the
    target groups.

    A target group that a listener or rule names stays with its group, and so does a group with machines, unless
    `is_forced`; what takes traffic stays in any case. What belongs to a group that stays, in the state or not, stays.
    """
    found = tuple(parts)
    lost = [part for part in found if part.id not in state]
    facts = _Facts(
        named={arn for listener in listeners for arn in listener.weights},
        taking={
            arn
            for listener in listeners
            if listener.purpose is not Purpose.PREVIEW
            for arn, weight in listener.weights.items()
            if weight
        },
        is_forced=is_forced,
    )
    why_groups = {
        part.name: "is in the state" if part.id in state else _why_kept(part, facts)
        for part in found
        if part.kind is Kind.GROUP
    }
    going, kept = [], []
    for part in sorted(lost, key=lambda part: (ORDER[part.kind], part.name)):
        why = why_groups[part.name] if part.kind is Kind.GROUP else _why_part_kept(part, facts, why_groups)
        if why:
            kept.append(Kept(part, why))
        else:
            going.append(part)
    return ReapPlan(tuple(going), tuple(kept))


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """Of target groups (ARNs): which a listener names, and which take traffic."""

    named: Collection[str] = field(default_factory=frozenset)
    taking: Collection[str] = field(default_factory=frozenset)
    is_forced: bool = False


def _why_kept(group: Part, facts: _Facts) -> str:
    if any(arn in facts.taking for arn in group.target_groups):
        return "takes traffic"
    if facts.is_forced:
        return ""
    if any(arn in facts.named for arn in group.target_groups):
        return "a listener names its target group"
    if group.machines:
        return f"has {group.machines} machine{'s' * (group.machines != 1)}"
    return ""


def _why_part_kept(part: Part, facts: _Facts, why_groups: Mapping[str, str]) -> str:
    for group in part.groups:
        if why := why_groups.get(group, ""):
            return f"belongs to {group}, which {why}" if why != "a listener names its target group" else NAMED_ITS
    if part.kind is Kind.TARGET_GROUP and part.id in facts.taking:
        return "takes traffic"
    if part.kind is Kind.TARGET_GROUP and part.id in facts.named and not facts.is_forced:
        return "a listener names it"
    return ""


NAMED_ITS = "belongs to a group whose target group a listener names"
