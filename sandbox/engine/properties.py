"""Property values: what a program, a provider and the checkpoint exchange.

A value is plain JSON, or `Secret`, or `UNKNOWN`. This module turns it into and out of the two other forms: the protobuf
`Struct` of the gRPC protocols, and JSON for events and previews. `checkpoint.py` makes the encrypted form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.engine.errors import Refused

# Pulumi marks special objects with this key; the values say which kind (sdk/go/common/resource/sig).
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT_VALUE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSETS = {"c44067f5952c0a294b673a41bacd8c17": "asset", "0def7320c3a5731c473e5ecbe6d01bc7": "archive"}
UNKNOWN_STRINGS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # of any type; the others stand for a bool, a number, and so on
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that is encrypted at rest and hidden on the screen."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


Properties = dict[str, Any]


def from_struct(struct: Any) -> Properties:
    """The properties in a protobuf `Struct`; a null property is an absent one, as it is to Pulumi."""
    return {
        key: from_value(value)
        for key, value in struct.fields.items()
        if value.WhichOneof("kind") not in (None, "null_value")
    }


def from_value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            text = value.string_value
            return UNKNOWN if text in UNKNOWN_STRINGS else text
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [from_value(item) for item in value.list_value.values]
        case "struct_value":
            return _special(from_struct(value.struct_value))
    return None


def _special(fields: Properties) -> Any:
    match fields.get(SIGNATURE):
        case None:
            return fields
        case signature if signature == SECRET:
            return secret(fields.get("value"))
        case signature if signature == OUTPUT_VALUE:
            value = fields.get("value", UNKNOWN)
            return secret(value) if fields.get("secret") else value
        case signature if signature in ASSETS:
            raise Refused(f"a property that is an {ASSETS[signature]}", "pass the content as a string instead")
    return fields  # a resource reference travels as it is


def secret(value: Any) -> Secret:
    """`value` as a secret; a secret of a secret is one secret."""
    return value if isinstance(value, Secret) else Secret(value)


def to_struct(properties: Properties, *, secrets: bool = True) -> Any:
    """A protobuf `Struct`; with `secrets=False` the secrets are bare, for a receiver that does not know them."""
    from google.protobuf.struct_pb2 import Struct

    struct = Struct()
    for key, value in properties.items():
        _fill(struct.fields[key], value, secrets)
    return struct


def _fill(target: Any, value: Any, secrets: bool) -> None:
    match value:
        case None:
            target.null_value = 0
        case bool():
            target.bool_value = value
        case int() | float():
            target.number_value = value
        case str():
            target.string_value = value
        case Secret() if not secrets:
            _fill(target, value.value, secrets)
        case Secret():
            target.struct_value.fields[SIGNATURE].string_value = SECRET
            _fill(target.struct_value.fields["value"], value.value, secrets)
        case dict():
            target.struct_value.SetInParent()
            for key, item in value.items():
                _fill(target.struct_value.fields[key], item, secrets)
        case list() | tuple():
            target.list_value.SetInParent()
            for item in value:
                _fill(target.list_value.values.add(), item, secrets)
        case _:
            target.string_value = UNKNOWN_STRING


def to_json(value: Any, *, show_secrets: bool = False) -> Any:
    """Plain JSON for events and previews: unknowns as Pulumi's marker, secrets as `[secret]` unless shown."""
    if isinstance(value, Secret):
        return to_json(value.value, show_secrets=True) if show_secrets else "[secret]"
    if value is UNKNOWN:
        return UNKNOWN_STRING
    if isinstance(value, dict):
        return {key: to_json(value[key], show_secrets=show_secrets) for key in sorted(value)}
    if isinstance(value, list):
        return [to_json(item, show_secrets=show_secrets) for item in value]
    return value


def plain(value: Any) -> Any:
    """The value without its secret wrappers; unknowns stay."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def changed_keys(old: Properties, new: Properties) -> tuple[str, ...]:
    return tuple(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))


def has_unknowns(value: Any) -> bool:
    return any(item is UNKNOWN for item in _leaves(value))


def has_secrets(value: Any) -> bool:
    if isinstance(value, Secret):
        return True
    if isinstance(value, dict):
        return any(has_secrets(item) for item in value.values())
    return isinstance(value, list) and any(has_secrets(item) for item in value)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Secret):
        yield from _leaves(value.value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def parse_path(path: str) -> list[str | int]:
    """A property path such as `tags["a.b"]`, `listeners[0].port` or `a.b` as its keys and indexes."""
    keys: list[str | int] = []
    at = 0
    while at < len(path):
        if path[at] == ".":
            at += 1
        elif path.startswith('["', at):
            end = path.find('"]', at)
            if end < 0:
                raise ValueError(f"invalid path {path!r}: missing closing bracket")
            keys.append(path[at + 2 : end].replace('\\"', '"'))
            at = end + 2
        elif path[at] == "[":
            end = path.find("]", at)
            index = path[at + 1 : end] if end > 0 else ""
            if index != "*" and not index.isdigit():
                raise ValueError(f"invalid path {path!r}: an index is a number or a quoted key")
            keys.append(index if index == "*" else int(index))
            at = end + 1
        else:
            end = min((i for i in (path.find(".", at), path.find("[", at)) if i >= 0), default=len(path))
            keys.append(path[at:end])
            at = end
    return keys


def carry_over(new: Properties, old: Properties, paths: Iterable[str]) -> Properties:
    """`new` with the values at `paths` as they are in `old` (absent there: absent): what ignoreChanges means."""
    for path in paths:
        new = _carried(new, old, parse_path(path))
    return new


_ABSENT = object()


def _carried(new: Any, old: Any, keys: list[str | int]) -> Any:
    if not keys:
        return old
    if isinstance(new, Secret) or isinstance(old, Secret):
        return Secret(_carried(plain(new), plain(old), keys))
    key, rest = keys[0], keys[1:]
    if key == "*":
        each: list[Any] = list(range(len(new))) if isinstance(new, list) else sorted({*(new or {}), *(old or {})})
    else:
        each = [key]
    for one in each:
        if isinstance(new, dict):
            was = old.get(one, _ABSENT) if isinstance(old, dict) else _ABSENT
            now = new.get(one, _ABSENT)
            if rest and (now is _ABSENT or was is _ABSENT):
                continue
            value = _carried(now, was, rest) if rest else was
            new = {k: v for k, v in new.items() if k != one} if value is _ABSENT else {**new, one: value}
        elif isinstance(new, list) and isinstance(one, int) and isinstance(old, list) and one < min(len(new), len(old)):
            new = [*new[:one], _carried(new[one], old[one], rest), *new[one + 1 :]]
    return new
