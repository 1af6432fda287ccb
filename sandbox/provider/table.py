"""The words in which a resource type is described: what its properties are and what a change of each one does.

Only the vocabulary lives here. The tables themselves stand beside the AWS calls of their type, in `resources`; `check`
and `diff` read them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from sandbox.provider.wire import Props

if TYPE_CHECKING:
    from sandbox.provider.aws import Aws


class Kind(Enum):
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    MAP = "map of strings"
    LIST = "list"
    SET = "set"  # a list whose order means nothing
    OBJECT = "object"


@dataclass(frozen=True, kw_only=True)
class Property:
    kind: Kind
    required: bool = False
    default: Any = None
    computed: bool = False  # without an input, AWS says what it is
    output: bool = False  # never an input
    replaces: bool = False
    choices: tuple[Any, ...] = ()
    only: tuple[Any, ...] = ()  # the values of the real provider that the sandbox implements
    at_least: int | None = None
    at_most: int | None = None
    pattern: re.Pattern[str] | None = None
    pattern_reason: str = ""
    besides: tuple[Any, ...] = ()  # allowed outside of at_least and at_most
    refuses: Callable[[str, Any], str | None] | None = None  # (name, value) -> what is wrong with it
    suppresses: Callable[[Any, Any], bool] | None = (
        None  # (old, new) -> a change that is none; Terraform's DiffSuppressFunc
    )
    conflicts_with: tuple[str, ...] = ()
    items: Property | None = None  # of a LIST or SET
    fields: Mapping[str, Property] = field(default_factory=dict)  # of an OBJECT
    refused: frozenset[str] = frozenset()  # real arguments of an OBJECT that the sandbox doesn't implement


def text(**settings: Any) -> Property:
    return Property(kind=Kind.STRING, **settings)


def integer(**settings: Any) -> Property:
    return Property(kind=Kind.INTEGER, **settings)


def number(**settings: Any) -> Property:
    return Property(kind=Kind.NUMBER, **settings)


def boolean(**settings: Any) -> Property:
    return Property(kind=Kind.BOOLEAN, **settings)


def text_map(**settings: Any) -> Property:
    return Property(kind=Kind.MAP, items=text(), **settings)


def text_set(**settings: Any) -> Property:
    return Property(kind=Kind.SET, items=text(), **settings)


def text_list(**settings: Any) -> Property:
    return Property(kind=Kind.LIST, items=text(), **settings)


def block(fields: Mapping[str, Property], *, refused: str = "", **settings: Any) -> Property:
    return Property(kind=Kind.OBJECT, fields=fields, refused=frozenset(refused.split()), **settings)


def blocks(
    fields: Mapping[str, Property], *, refused: str = "", ordered: bool = True, required: bool = False, **settings: Any
) -> Property:
    return Property(
        kind=Kind.LIST if ordered else Kind.SET, items=block(fields, refused=refused), required=required, **settings
    )


def output(kind: Kind = Kind.STRING) -> Property:
    items = text() if kind in (Kind.LIST, Kind.SET, Kind.MAP) else None
    return Property(kind=kind, output=True, computed=True, items=items)


ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:\d*:.+")


def arn(**settings: Any) -> Property:
    return text(pattern=ARN, pattern_reason="is an invalid ARN", **settings)


TAGS: Mapping[str, Property] = {"tags": text_map(), "tagsAll": output(Kind.MAP)}


def _keep(aws: Aws, identifier: str, news: Props) -> None:
    """Most types need nothing after the call that makes them."""


def _no_update(aws: Aws, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    """A type whose every property replaces has only its tags to update, and those are updated for it."""


def _nothing_more(first: Any, second: Any) -> frozenset[str]:
    return frozenset()


def _nothing_unseen(inputs: Props) -> frozenset[str]:
    return frozenset()


def _by_id(aws: Aws, given: str) -> tuple[str, Props]:
    """Most types are imported by the id that they have ever after."""
    return given, {}


Rule = Callable[[Props], "tuple[str, str] | None"]  # inputs -> (property, reason) of what is wrong


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One type of resource: its table and the AWS calls behind it.

    `create` is the one call that makes the object and returns its id; whatever must follow is in `settle`. So a failure
    after the object exists leaves it in the state, as a resource whose initialization failed, instead of orphaned.
    `read` returns None for what isn't there any more. Its `known` is the last state, or the inputs right after a write.
    """

    token: str
    properties: Mapping[str, Property]
    create: Callable[[Aws, Props], str]
    read: Callable[[Aws, str, Props], Props | None]
    delete: Callable[[Aws, str, Props], None]
    settle: Callable[[Aws, str, Props], None] = _keep
    update: Callable[[Aws, str, Props, Props, frozenset[str]], None] = _no_update
    retag: Callable[[Aws, str, Mapping[str, str], list[str]], None] | None = None  # (..., tags to set, keys to remove)
    refused: frozenset[str] = frozenset()  # arguments of the real provider that the sandbox doesn't implement
    name_limit: int | None = None  # of a `name` that Pulumi makes up when there is none
    rules: tuple[Rule, ...] = ()
    # (state, inputs) -> properties whose change takes a replacement this time; Terraform's ForceNew in CustomizeDiff
    also_replaces: Callable[[Props, Props], frozenset[str]] = _nothing_more
    # inputs -> properties whose change is none with these others; Terraform's DiffSuppressFunc that looks at them
    unseen: Callable[[Props], frozenset[str]] = _nothing_unseen
    # (changed properties, inputs) -> computed ones that a preview can't know; Terraform's ComputedIf
    recomputes: Callable[[frozenset[str], Props], frozenset[str]] = _nothing_more
    locate: Callable[[Aws, str], tuple[str, Props]] = _by_id  # what an import is given -> id and what `read` must know

    @property
    def inputs(self) -> dict[str, Property]:
        return {name: spec for name, spec in self.properties.items() if not spec.output}


def names(listing: str) -> frozenset[str]:
    """Names, separated by blanks."""
    return frozenset(listing.split())


def exactly_one_of(*names: str) -> Rule:
    """Terraform's ExactlyOneOf, with its words."""

    def rule(inputs: Props) -> tuple[str, str] | None:
        given = [name for name in names if name in inputs]
        if len(given) == 1:
            return None
        quoted = ",".join(names)
        if given:
            return given[0], f"Invalid combination of arguments. only one of `{quoted}` can be specified"
        return names[0], f"Invalid combination of arguments. one of `{quoted}` must be specified"

    return rule
