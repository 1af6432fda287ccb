"""The life of any resource, on plain values: create, read, update, delete, as one type's table and calls say.

What Pulumi's bridge does around a provider's own functions is here: which values the state keeps, what a preview knows,
which inputs a refresh gives back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.provider.aws import Aws
from sandbox.provider.check import DEFAULTS
from sandbox.provider.diff import diff
from sandbox.provider.table import Kind, Property, ResourceType
from sandbox.provider.wire import UNKNOWN, Props


@dataclass(frozen=True)
class Existing:
    """A resource in AWS: its id and its state."""

    identifier: str
    state: Props


class InitializationFailed(Exception):
    """The object exists, but what had to follow failed: it belongs in the state all the same."""

    def __init__(self, existing: Existing, reason: Exception) -> None:
        super().__init__(str(reason))
        self.existing = existing


def preview_create(kind: ResourceType, aws: Aws, inputs: Props) -> Props:
    known = without_defaults(inputs)
    computed = {name: UNKNOWN for name, spec in kind.properties.items() if spec.computed and name not in known}
    return {**computed, **known, **_tags_all(kind, known), "id": UNKNOWN, "region": aws.region}


def create(kind: ResourceType, aws: Aws, inputs: Props) -> Existing:
    news = without_defaults(inputs)
    identifier = kind.create(aws, news)
    written = replace(aws, has_just_written=True)
    try:
        kind.settle(written, identifier, news)
        state = kind.read(written, identifier, news)
    except Exception as error:
        raise InitializationFailed(Existing(identifier, _state(aws, identifier, news, {})), error) from error
    return Existing(identifier, _state(aws, identifier, news, state or {}))


def read(kind: ResourceType, aws: Aws, identifier: str, known: Props) -> Existing | None:
    """Of a resource in the state; or, where nothing is known of it, of one that is to be imported."""
    if not known:
        identifier, known = kind.locate(aws, identifier)
    found = kind.read(aws, identifier, without_defaults(known))
    return None if found is None else Existing(identifier, _state(aws, identifier, _inputs_in(kind, known), found))


def preview_update(kind: ResourceType, olds: Props, inputs: Props) -> Props:
    news = without_defaults(inputs)
    changed = frozenset(change.property for change in diff(kind, olds, inputs))
    again = dict.fromkeys(kind.recomputes(changed, news) if changed else (), UNKNOWN)
    gone = changed - set(news)
    kept = {name: value for name, value in olds.items() if name not in gone}
    return {**kept, **again, **news, **_tags_all(kind, news)}


def update(
    kind: ResourceType, aws: Aws, identifier: str, olds: Props, inputs: Props, ignored: frozenset[str]
) -> Existing:
    news = without_defaults(inputs)
    changed = frozenset(change.property for change in diff(kind, olds, inputs, ignored))
    written = replace(aws, has_just_written=True)
    try:
        kind.update(written, identifier, olds, news, changed)
        if kind.retag and "tags" in changed:
            _retag(kind, aws, identifier, olds, news)
        state = kind.read(written, identifier, news)
    except Exception as error:
        raise InitializationFailed(Existing(identifier, olds), error) from error
    return Existing(identifier, _state(aws, identifier, news, state or {}))


def _retag(kind: ResourceType, aws: Aws, identifier: str, olds: Props, news: Props) -> None:
    assert kind.retag is not None
    before, after = olds.get("tagsAll", {}), news.get("tags", {})
    wanted = {key: value for key, value in after.items() if before.get(key) != value}
    kind.retag(aws, identifier, wanted, sorted(set(before) - set(after)))


def refreshed_inputs(kind: ResourceType, old_inputs: Props, state: Props) -> Props:
    """Today's values of the old inputs; where there are none (an import), everything that isn't a default."""
    if old_inputs:
        return dict(_project(old_inputs, state))
    return _telling(kind.inputs, state)


def _telling(table: Mapping[str, Property], state: Props) -> Props:
    """What of a state has to be said to have it so; of two that may not both be given, the first."""
    told: Props = {}
    for name, spec in table.items():
        value = state.get(name)
        is_said_otherwise = any(other in told for other in spec.conflicts_with)
        if spec.output or value in (None, "", 0, False, [], {}, spec.default) or is_said_otherwise:
            continue
        told[name] = _telling(spec.fields, value) if spec.kind is Kind.OBJECT else value
    return told


def _project(shape: Any, value: Any) -> Any:
    """`value` cut down to the members that `shape` has, so that what AWS added doesn't look like an input."""
    match shape, value:
        case dict(), dict():
            if DEFAULTS not in shape:  # a map, such as tags: its members are the user's
                return value
            return {
                name: inner if name == DEFAULTS else _project(inner, value[name])
                for name, inner in shape.items()
                if name == DEFAULTS or name in value
            }
        case list(), list():
            shapes = [shape[index] if index < len(shape) else None for index in range(len(value))]
            return [_project(inner, item) for inner, item in zip(shapes, value, strict=True)]
        case _:
            return value


def without_defaults(value: Any) -> Any:
    """The bookkeeping of Pulumi's bridge stays in the inputs; neither AWS nor the state sees it."""
    match value:
        case dict():
            return {name: without_defaults(inner) for name, inner in value.items() if name != DEFAULTS}
        case list():
            return [without_defaults(inner) for inner in value]
        case _:
            return value


def _inputs_in(kind: ResourceType, state: Props) -> Props:
    return {name: value for name, value in without_defaults(state).items() if name in kind.inputs}


def _state(aws: Aws, identifier: str, inputs: Props, found: Props) -> Props:
    """What AWS says wins; an argument that it has no word for (how long to wait, how to delete) stays as given."""
    merged = {**inputs, **found, "id": identifier, "region": aws.region}
    return {name: value for name, value in merged.items() if value is not None}


def _tags_all(kind: ResourceType, news: Props) -> Props:
    return {"tagsAll": news.get("tags", {})} if "tagsAll" in kind.properties else {}
