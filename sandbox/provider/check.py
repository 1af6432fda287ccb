"""Inputs as a program gives them -> inputs as the resource will have them, or what is wrong with them.

Does what the real provider does before anything is changed: converts kinds, fills in defaults and names, validates.
Makes no AWS call. The words of the failures are the real provider's, so that what a user searches for is found.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.provider.table import Kind, Property, ResourceType
from sandbox.provider.wire import UNKNOWN, Props

DEFAULTS: Final = "__defaults"  # the member in which Pulumi records which inputs the provider filled in
_RANDOM_DIGITS: Final = 7


@dataclass(frozen=True)
class Failure:
    property: str  # a path, or empty when it is about the whole resource
    reason: str


@dataclass(frozen=True)
class Naming:
    """What the engine says about names that the program leaves open."""

    resource: str  # the name in the program
    seed: bytes = b""
    proposed: str = ""  # by the stack's `pulumi:autonaming`
    disabled: bool = False

    def invent(self, limit: int) -> str:
        if self.proposed:
            return self.proposed
        digest = hashlib.sha256(self.seed).hexdigest() if self.seed else secrets.token_hex(16)
        return f"{self.resource}-{digest[:_RANDOM_DIGITS]}"


def check(kind: ResourceType, olds: Props, news: Props, naming: Naming) -> tuple[Props, list[Failure]]:
    inputs, failures = _convert(kind.inputs, kind.refused, news, "", kind.token)
    if kind.name_limit is not None and "name" not in inputs:
        failures += _name(kind.name_limit, olds, inputs, naming)
    if not failures:
        for rule in kind.rules:
            if broken := rule(inputs):
                failures.append(Failure(*broken))
    return inputs, failures


def check_arguments(
    table: Mapping[str, Property], refused: frozenset[str], given: Props, owner: str
) -> tuple[Props, list[Failure]]:
    """The same for the arguments of a function."""
    arguments, failures = _convert(table, refused, given, "", owner)
    del arguments[DEFAULTS]
    return arguments, failures


def _name(limit: int, olds: Props, inputs: Props, naming: Naming) -> list[Failure]:
    if "name" in olds.get(DEFAULTS, ()):
        inputs["name"] = olds["name"]  # a made-up name stays for the life of the resource
    elif naming.disabled:
        return [Failure("name", "automatic naming is disabled and the resource has no explicit name")]
    else:
        prefix = f"{naming.resource}-"
        if not naming.proposed and len(prefix) + _RANDOM_DIGITS > limit:
            reason = f"name '{prefix}' plus {_RANDOM_DIGITS} random chars is longer than maximum length {limit}"
            return [Failure("name", reason)]
        inputs["name"] = naming.invent(limit)
    inputs[DEFAULTS] = sorted([*inputs.get(DEFAULTS, ()), "name"])
    return []


def _convert(
    table: Mapping[str, Property], refused: frozenset[str], given: Props, path: str, owner: str
) -> tuple[Props, list[Failure]]:
    """One level of named properties: the resource itself or a block in it."""
    failures: list[Failure] = []
    inputs: Props = {}
    for name, value in given.items():
        here = f"{path}{name}"
        if name == DEFAULTS:
            continue
        if name in refused:
            failures.append(
                Failure(here, f"{here} of {owner} is an argument of the AWS provider that the sandbox doesn't support")
            )
        elif name not in table:
            failures.append(Failure(here, f"Invalid or unknown key. {owner} has no property {here}"))
        else:
            inputs[name], wrong = _convert_value(table[name], value, here, owner)
            failures += wrong
            clashes = [other for other in table[name].conflicts_with if other in given]
            failures += [
                Failure(here, f'Conflicting configuration arguments. "{name}": conflicts with {o}') for o in clashes
            ]
    for name, spec in table.items():
        if spec.required and name not in inputs and name not in given:
            reason = f'Missing required argument. The argument "{name}" is required, but no definition was found.'
            failures.append(Failure(f"{path}{name}", reason))
    defaulted = sorted(
        name
        for name, spec in table.items()
        if spec.default is not None and name not in inputs and not any(c in inputs for c in spec.conflicts_with)
    )
    inputs |= {name: table[name].default for name in defaulted}
    inputs[DEFAULTS] = defaulted
    return inputs, failures


def _convert_value(spec: Property, value: Any, path: str, owner: str) -> tuple[Any, list[Failure]]:
    if value is UNKNOWN:
        return UNKNOWN, []
    match spec.kind, value:
        case Kind.OBJECT, Mapping():
            return _convert(spec.fields, spec.refused, dict(value), f"{path}.", owner)
        case ((Kind.LIST | Kind.SET), list()):
            assert spec.items is not None
            pairs = [_convert_value(spec.items, item, f"{path}[{index}]", owner) for index, item in enumerate(value)]
            return [item for item, _ in pairs], [failure for _, wrong in pairs for failure in wrong]
        case Kind.MAP, Mapping():
            assert spec.items is not None
            pairs = [_convert_value(spec.items, item, f"{path}.{name}", owner) for name, item in value.items()]
            members = dict(zip(value, (item for item, _ in pairs), strict=True))
            return members, [failure for _, wrong in pairs for failure in wrong]
        case ((Kind.STRING | Kind.INTEGER | Kind.NUMBER | Kind.BOOLEAN), (str() | bool() | int() | float())):
            try:
                scalar = _scalar(spec.kind, value)
            except ValueError:
                return value, [Failure(path, f"expected {path} to be a {spec.kind.value}, got {value!r}")]
            return scalar, [Failure(path, reason) for reason in _faults(spec, scalar, path)]
        case _:
            return value, [Failure(path, f"expected {path} to be a {spec.kind.value}, got {type(value).__name__}")]


def _scalar(kind: Kind, value: str | bool | int | float) -> Any:
    """Pulumi programs may give a number as a text and the other way round; the bridge converts them silently."""
    match kind, value:
        case Kind.STRING, bool():
            return json.dumps(value)
        case Kind.STRING, _:
            return str(value)
        case Kind.BOOLEAN, bool():
            return value
        case Kind.BOOLEAN, ("true" | "false"):
            return value == "true"
        case Kind.INTEGER, (int() | str()) if not isinstance(value, bool):
            return int(value)
        case Kind.NUMBER, (int() | float() | str()) if not isinstance(value, bool):
            return float(value) if not isinstance(value, int) else value
    raise ValueError(value)


def _faults(spec: Property, value: Any, path: str) -> Iterator[str]:
    name = path.rpartition(".")[2]
    if spec.choices and value not in spec.choices:
        yield f"expected {name} to be one of {_listing(spec.choices)}, got {value}"
    elif spec.only and value not in spec.only:
        yield f"the sandbox supports {name} only as {_listing(spec.only)}, got {value}"
    if value in spec.besides:
        return
    if (spec.at_least is not None and value < spec.at_least) or (spec.at_most is not None and value > spec.at_most):
        low = spec.at_least if spec.at_least is not None else "any"
        high = spec.at_most if spec.at_most is not None else "any"
        yield f"expected {name} to be in the range ({low} - {high}), got {value}"
    if spec.pattern and not spec.pattern.fullmatch(value):
        yield f'"{name}" ({value}) {spec.pattern_reason}'
    if spec.refuses and (reason := spec.refuses(name, value)):
        yield reason


def _listing(values: tuple[Any, ...]) -> str:
    return "[" + " ".join(json.dumps(value) for value in values) + "]"
