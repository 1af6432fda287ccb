"""Last state and new inputs -> what changes, by path, and whether it takes a replacement. Makes no AWS call.

The rules are Terraform's: an argument that isn't given and that AWS computes doesn't count; one that isn't given and
isn't computed is compared with its zero value; the order in a set means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from sandbox.provider.check import DEFAULTS
from sandbox.provider.table import Kind, Property, ResourceType
from sandbox.provider.wire import UNKNOWN, Props


class Act(Enum):
    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True)
class Change:
    path: str
    act: Act
    replaces: bool

    @property
    def property(self) -> str:
        """The top-level property that it belongs to."""
        return self.path.partition(".")[0].partition("[")[0]


def diff(kind: ResourceType, state: Props, inputs: Props, ignored: frozenset[str] = frozenset()) -> list[Change]:
    hidden = ignored | kind.unseen(inputs)
    found = [c for c in _members(kind.properties, state, inputs, "", False) if not _is_ignored(c, hidden)]
    also = kind.also_replaces(state, inputs)
    return [replace(change, replaces=True) if change.property in also else change for change in found]


def deletes_first(kind: ResourceType, inputs: Props) -> bool:
    """Whether a replacement goes before the new one comes: two can't have the name that the program gave."""
    return kind.name_limit is not None and "name" in inputs and "name" not in inputs.get(DEFAULTS, ())


def _is_ignored(change: Change, ignored: frozenset[str]) -> bool:
    return any(change.path == path or change.path.startswith((f"{path}.", f"{path}[")) for path in ignored)


def _members(table: Mapping[str, Property], old: Props, new: Props, path: str, replaces: bool) -> Iterator[Change]:
    for name, spec in table.items():
        if not spec.output and (name in new or not spec.computed):
            yield from _value(spec, old.get(name), new.get(name), f"{path}{name}", replaces or spec.replaces)


def _value(spec: Property, old: Any, new: Any, path: str, replaces: bool) -> Iterator[Change]:
    if new is UNKNOWN:
        yield Change(path, Act.ADD if _is_zero(old) else Act.UPDATE, replaces)
    elif old is UNKNOWN:
        yield Change(path, Act.UPDATE, replaces)
    elif (_is_zero(old) and _is_zero(new)) or (spec.suppresses and spec.suppresses(old, new)):
        return
    elif old is None:
        yield Change(path, Act.ADD, replaces)
    elif new is None:
        yield Change(path, Act.DELETE, replaces)
    else:
        match spec.kind:
            case Kind.OBJECT:
                yield from _members(spec.fields, old, new, f"{path}.", replaces)
            case Kind.MAP:
                yield from _map(old, new, path, replaces)
            case Kind.LIST:
                assert spec.items is not None
                for index in range(max(len(old), len(new))):
                    before, after = (side[index] if index < len(side) else None for side in (old, new))
                    yield from _value(spec.items, before, after, f"{path}[{index}]", replaces)
            case Kind.SET:
                assert spec.items is not None
                yield from _set(spec.items, old, new, path, replaces)
            case _ if old != new:
                yield Change(path, Act.UPDATE, replaces)


def _map(old: Props, new: Props, path: str, replaces: bool) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        if name not in new:
            yield Change(f"{path}{_step(name)}", Act.DELETE, replaces)
        elif name not in old:
            yield Change(f"{path}{_step(name)}", Act.ADD, replaces)
        elif old[name] != new[name]:
            yield Change(f"{path}{_step(name)}", Act.UPDATE, replaces)


def _set(item: Property, old: list[Any], new: list[Any], path: str, replaces: bool) -> Iterator[Change]:
    left = list(old)
    for index, value in enumerate(new):
        same = next((other for other in left if not any(_value(item, other, value, "", False))), None)
        if same is None:
            yield Change(f"{path}[{index}]", Act.ADD, replaces)
        else:
            left.remove(same)
    yield from (Change(f"{path}[{old.index(value)}]", Act.DELETE, replaces) for value in left)


def _is_zero(value: Any) -> bool:
    """Terraform doesn't tell an absent argument from one with its zero value."""
    return value is not UNKNOWN and value in (None, "", 0, False, [], {})


def _step(name: str) -> str:
    """A step in a property path, in Pulumi's notation."""
    return f".{name}" if name.replace("_", "").replace("-", "").isalnum() else f'["{name}"]'
