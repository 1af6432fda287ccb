"""Policy documents, and whether they allow what IAM is asked.

Sources: "Policy evaluation logic", "IAM JSON policy elements: Condition operators" and "Multivalued context keys" in
AWS's IAM User Guide. What is not known here is refused when a document is read, and never passed over.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from bluegreen.errors import BluegreenError

Context = Mapping[str, tuple[str, ...]]

_ELEMENTS = {
    *("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource"),
    *("Principal", "Condition"),
}
_SET = re.compile(r"(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?")
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}


class PolicyError(BluegreenError):
    """A policy document is wrong, or has something that the sandbox's IAM does not know."""


class Verdict(Enum):
    ALLOWED = "allowed"
    NOT_ALLOWED = "no identity-based policy allows it"
    DENIED = "an identity-based policy denies it explicitly"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What IAM is asked: may an action be done to a resource (ARN, or `*`), as things are."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Test:
    """One key of one operator: any of `wanted` will do."""

    operator: str
    quantifier: str
    if_exists: bool
    key: str
    wanted: tuple[str, ...]

    def holds(self, context: Context) -> bool:
        values = context.get(self.key.lower())
        if self.operator == "Null":
            return (not values) == (self.wanted[0].lower() == "true")
        if not values:
            return self.if_exists or self.quantifier == "ForAllValues" or (self._is_negated and not self.quantifier)
        match = _OPERATORS[self.operator.replace("Not", "")]
        wanted = [_filled(each, context) for each in self.wanted]

        def fits(value: str) -> bool:
            return any(match(each, value) for each in wanted if each is not None) is not self._is_negated

        if self.quantifier == "ForAllValues":
            return all(fits(value) for value in values)
        if self.quantifier == "ForAnyValue":
            return any(fits(value) for value in values)
        # Of several values without a word on which: nothing that AWS promises.
        return len(values) == 1 and fits(values[0])

    @property
    def _is_negated(self) -> bool:
        return "Not" in self.operator


@dataclass(frozen=True, kw_only=True)
class Statement:
    is_allow: bool
    actions: tuple[str, ...]
    is_not_action: bool
    resources: tuple[str, ...]
    is_not_resource: bool
    principals: Mapping[str, tuple[str, ...]] | None
    tests: tuple[Test, ...]

    def applies(self, question: Question) -> bool:
        if any(_glob(each, question.action, ignores_case=True) for each in self.actions) is self.is_not_action:
            return False
        meets = any(_is_arn(each, question.resource) for each in self.resources) or not self.resources
        if meets is self.is_not_resource:
            return False
        context = {key.lower(): values for key, values in question.context.items()}
        return all(test.holds(context) for test in self.tests)


def judge(statements: Iterable[Statement], question: Question) -> Verdict:
    """A statement that denies wins; without one that allows, it is not allowed."""
    applying = [each for each in statements if each.applies(question)]
    if not all(each.is_allow for each in applying):
        return Verdict.DENIED
    return Verdict.ALLOWED if applying else Verdict.NOT_ALLOWED


def trusts(statements: Iterable[Statement], kind: str, principal: str, question: Question) -> bool:
    """Whether a trust policy lets a principal (`Federated`, `AWS`, `Service`) in."""
    ours = [each for each in statements if principal in (each.principals or {}).get(kind, ())]
    return judge(ours, question) is Verdict.ALLOWED


def read(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a policy. Raises PolicyError."""
    found = document.get("Statement", [])
    return tuple(_statement(each) for each in (found if isinstance(found, list) else [found]))


def _statement(found: Mapping[str, Any]) -> Statement:
    if unknown := found.keys() - _ELEMENTS:
        raise _refusal(f"the element {', '.join(sorted(unknown))}")
    for resource in _many(found.get("Resource", ())):
        if resource != "*" and resource.count(":") < 5:
            raise PolicyError(f"{resource} in a policy is no ARN", "Write `*`, or an ARN with all its six parts.")
    principals = found.get("Principal")
    return Statement(
        is_allow=found["Effect"] == "Allow",
        actions=_many(found.get("Action", found.get("NotAction", ()))),
        is_not_action="NotAction" in found,
        resources=_many(found.get("Resource", found.get("NotResource", ()))),
        is_not_resource="NotResource" in found,
        principals={key: _many(value) for key, value in principals.items()} if principals else None,
        tests=tuple(_tests(found.get("Condition", {}))),
    )


def _tests(condition: Mapping[str, Mapping[str, Any]]) -> list[Test]:
    tests = []
    for written, keys in condition.items():
        parts = _SET.fullmatch(written)
        quantifier, operator, if_exists = parts.groups() if parts else ("", "", "")
        if operator != "Null" and operator.replace("Not", "") not in _OPERATORS:
            raise _refusal(f"the condition operator {written}")
        tests += [Test(operator, quantifier or "", bool(if_exists), key, _many(keys[key])) for key in keys]
    return tests


def _refusal(what: str) -> PolicyError:
    return PolicyError(f"the sandbox's IAM does not know {what}", "Write the policy without, or teach it.")


def _many(found: Any) -> tuple[str, ...]:
    if isinstance(found, bool):
        return (str(found).lower(),)
    return (found,) if isinstance(found, str) else tuple(found)


def _filled(value: str, context: Context) -> str | None:
    """With policy variables filled in. None where one has no single value, which matches nothing."""
    for name in _VARIABLE.findall(value):
        values = (_LITERALS[name],) if name in _LITERALS else context.get(name.lower(), ())
        if len(values) != 1:
            return None
        value = value.replace(f"${{{name}}}", values[0])
    return value


def _glob(pattern: str, text: str, *, ignores_case: bool = False) -> bool:
    return _compiled(pattern, ignores_case).fullmatch(text) is not None


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str, ignores_case: bool) -> re.Pattern[str]:
    quoted = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(quoted, re.IGNORECASE | re.DOTALL if ignores_case else re.DOTALL)


def _is_arn(pattern: str, arn: str) -> bool:
    """A wildcard does not reach over a colon, but in the last part ("IAM JSON policy elements: Resource")."""
    if pattern == "*":
        return True
    wanted, found = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(found) and all(map(_glob, wanted, found))


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _glob,
    "ArnEquals": _is_arn,
    "ArnLike": _is_arn,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}


def statements_of(documents: Sequence[Mapping[str, Any]]) -> tuple[Statement, ...]:
    """Of all of a caller's policies."""
    return tuple(statement for document in documents for statement in read(document))
