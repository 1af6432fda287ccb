"""CloudWatch's metric math: an expression over time series, as far as alarms on a load balancer need it.

Pure. What it has: numbers, ids, arrays, + - * / ^, comparisons, AND and OR, FILL, IF, SUM, AVG, MIN, MAX, METRICS.
Everything else of "Using metric math" in CloudWatch's user guide is refused by name. The rules are that page's: in
arithmetic and comparisons of two series a missing value counts as 0, and a point that would divide by zero is dropped.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

FUNCTIONS = ("AVG", "FILL", "IF", "MAX", "METRICS", "MIN", "SUM")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<word>[A-Za-z]\w*)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^<>(),\[\]]))"
)
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")


class ExpressionError(ValueError):
    """An expression that is wrong, or that asks for what the sandbox doesn't have."""


@dataclass(frozen=True)
class Series:
    """A value for some of the times of a grid: the starts of the periods that were asked for."""

    points: Mapping[int, float]
    grid: tuple[int, ...]


Value: TypeAlias = "float | Series | list[Series]"
Node: TypeAlias = "Number | Name | Text | Array | Call | Operation"


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Name:
    id: str


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Array:
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Operation:
    sign: str
    left: Node
    right: Node


def evaluate(expression: str, *, series: Callable[[str], Series], metrics: Mapping[str, Series]) -> Series:
    """`series` gives what an id stands for, `metrics` is what METRICS() stands for: everything but expressions.

    Raises ExpressionError.
    """
    found = _Evaluation(series, metrics).value(parse(expression))
    if not isinstance(found, Series):
        kind = "a number" if isinstance(found, float) else "an array of time series, which the sandbox can't return"
        raise ExpressionError(f"the result has to be a time series and is {kind}")
    return Series({at: value for at, value in found.points.items() if math.isfinite(value)}, found.grid)


@lru_cache(maxsize=256)
def parse(expression: str) -> Node:
    """Raises ExpressionError."""
    return _Parser(expression).whole()


class _Parser:
    """Recursive descent, a method for each rank of operators."""

    def __init__(self, expression: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at, end = 0, len(expression.rstrip())
        while at < end:
            found = _TOKEN.match(expression, at)
            if not found:
                raise ExpressionError(f"unexpected text at {expression[at:].strip()[:20]!r}")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            at = found.end()
        self._at = 0

    def whole(self) -> Node:
        node = self._either()
        if self._at < len(self._tokens):
            raise ExpressionError(f"unexpected {self._tokens[self._at][1]!r}")
        return node

    def _either(self) -> Node:
        node = self._both()
        while self._take("||", "OR"):
            node = Operation("OR", node, self._both())
        return node

    def _both(self) -> Node:
        node = self._comparison()
        while self._take("&&", "AND"):
            node = Operation("AND", node, self._comparison())
        return node

    def _comparison(self) -> Node:
        node = self._sum()
        while sign := self._take(*_COMPARISONS):
            node = Operation(sign, node, self._sum())
        return node

    def _sum(self) -> Node:
        node = self._product()
        while sign := self._take("+", "-"):
            node = Operation(sign, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._signed()
        while sign := self._take("*", "/"):
            node = Operation(sign, node, self._signed())
        return node

    def _signed(self) -> Node:
        if self._take("-"):
            return Operation("*", Number(-1.0), self._signed())
        return self._power()

    def _power(self) -> Node:
        node = self._atom()
        return Operation("^", node, self._signed()) if self._take("^") else node

    def _atom(self) -> Node:
        kind, text = self._next()
        match kind:
            case "number":
                return Number(float(text))
            case "text":
                return Text(text[1:-1])
            case "word" if self._take("("):
                if text not in FUNCTIONS:
                    raise ExpressionError(f"the sandbox has no function {text}; it has {', '.join(FUNCTIONS)}")
                return Call(text, self._list(")"))
            case "word" if text == "SELECT":
                raise ExpressionError("the sandbox has no Metrics Insights queries (SELECT)")
            case "word":
                return Name(text)
        if text == "(":
            node = self._either()
            self._expect(")")
            return node
        if text == "[":
            return Array(self._list("]"))
        raise ExpressionError(f"unexpected {text!r}")

    def _list(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._take(end):
            if items:
                self._expect(",")
            items.append(self._either())
        return tuple(items)

    def _next(self) -> tuple[str, str]:
        if self._at == len(self._tokens):
            raise ExpressionError("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, *wanted: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at][1] in wanted:
            return self._next()[1]
        return None

    def _expect(self, sign: str) -> None:
        _, found = self._next()
        if found != sign:
            raise ExpressionError(f"expected {sign!r} instead of {found!r}")


class _Evaluation:
    def __init__(self, series: Callable[[str], Series], metrics: Mapping[str, Series]) -> None:
        self._series = series
        self._metrics = metrics

    def value(self, node: Node) -> Value:
        match node:
            case Number(value):
                return value
            case Name(id):
                return self._series(id)
            case Array(items):
                return [each for item in items for each in _as_array(self.value(item))]
            case Operation(sign, left, right):
                return _apply(sign, self.value(left), self.value(right))
            case Call("METRICS", arguments):
                return self._metrics_named(arguments)
            case Call("FILL", (what, Name(id="LINEAR"))):
                raise ExpressionError("the sandbox has no FILL(..., LINEAR)")
            case Call("FILL", (what, Name(id="REPEAT"))):
                return _each(_repeat, self.value(what))
            case Call("FILL", (what, filler)):
                fillers = self.value(filler)
                return _each(lambda series: _fill(series, fillers), self.value(what))
            case Call("IF", (condition, *branches)) if 1 <= len(branches) <= 2:
                return _choose(self.value(condition), *map(self.value, branches))
            case Call(("SUM" | "AVG" | "MIN" | "MAX") as function, (what,)):
                return _aggregate(function, self.value(what))
            case Call(function, arguments):
                raise ExpressionError(f"{function} does not take {len(arguments)} arguments of this kind")
            case Text(value):
                raise ExpressionError(f"unexpected text {value!r}")

    def _metrics_named(self, arguments: tuple[Node, ...]) -> list[Series]:
        match arguments:
            case ():
                return list(self._metrics.values())
            case (Text(part),):
                return [series for id, series in self._metrics.items() if part in id]
        raise ExpressionError("METRICS takes nothing, or a text in quotes")


def _as_array(value: Value) -> list[Series]:
    if isinstance(value, float):
        raise ExpressionError("an array holds time series, not numbers")
    return value if isinstance(value, list) else [value]


def _each(change: Callable[[Series], Series], value: Value) -> Value:
    if isinstance(value, float):
        raise ExpressionError("FILL takes time series, not numbers")
    return [change(each) for each in value] if isinstance(value, list) else change(value)


def _repeat(series: Series) -> Series:
    points: dict[int, float] = {}
    last = None
    for at in series.grid:
        last = series.points.get(at, last)
        if last is not None:
            points[at] = last
    return Series(points, series.grid)


def _fill(series: Series, filler: Value) -> Series:
    found = {at: series.points[at] if at in series.points else _at(filler, at) for at in series.grid}
    return Series({at: value for at, value in found.items() if value is not None}, series.grid)


def _at(value: Value, at: int) -> float | None:
    if isinstance(value, list):
        raise ExpressionError("an array of time series can't stand here")
    return value.points.get(at) if isinstance(value, Series) else value


def _choose(condition: Value, then: Value, otherwise: Value | None = None) -> Value:
    if isinstance(condition, list):
        raise ExpressionError("an array of time series is no condition")
    if isinstance(condition, float):
        chosen = then if condition else otherwise
        return Series({}, ()) if chosen is None else chosen
    points: dict[int, float] = {}
    for at, holds in condition.points.items():
        branch = then if holds else otherwise
        value = None if branch is None else _at(branch, at)
        if value is not None:
            points[at] = value
    return Series(points, condition.grid)


def _aggregate(function: str, value: Value) -> Value:
    if isinstance(value, float):
        raise ExpressionError(f"{function} takes time series, not numbers")
    if isinstance(value, Series):
        return _reduced(function, list(value.points.values()))
    times = sorted({at for series in value for at in series.points})
    grid = value[0].grid if value else ()
    return Series({at: _across(function, value, at) for at in times}, grid)


def _across(function: str, array: list[Series], at: int) -> float:
    if function in ("SUM", "AVG"):
        return _reduced(function, [series.points.get(at, 0.0) for series in array])
    return _reduced(function, [series.points[at] for series in array if at in series.points])


def _reduced(function: str, values: list[float]) -> float:
    if not values:
        return 0.0 if function == "SUM" else math.nan
    match function:
        case "SUM":
            return math.fsum(values)
        case "AVG":
            return math.fsum(values) / len(values)
        case "MIN":
            return min(values)
    return max(values)


_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": math.pow,
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b),
    "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b),
    "AND": lambda a, b: float(bool(a) and bool(b)),
    "OR": lambda a, b: float(bool(a) or bool(b)),
}


def _apply(sign: str, left: Value, right: Value) -> Value:
    if isinstance(left, list) or isinstance(right, list):
        return _pairwise(sign, left, right)
    if isinstance(left, float) and isinstance(right, float):
        value = _computed(sign, left, right)
        return math.nan if value is None else value
    grid = left.grid if isinstance(left, Series) else right.grid if isinstance(right, Series) else ()
    times = {at for side in (left, right) if isinstance(side, Series) for at in side.points}
    points = {at: _computed(sign, _at(left, at) or 0.0, _at(right, at) or 0.0) for at in sorted(times)}
    return Series({at: value for at, value in points.items() if value is not None}, grid)


def _pairwise(sign: str, left: Value, right: Value) -> list[Series]:
    count = len(left) if isinstance(left, list) else len(right) if isinstance(right, list) else 0
    lefts, rights = (side if isinstance(side, list) else [side] * count for side in (left, right))
    if len(lefts) != len(rights):
        raise ExpressionError(f"the arrays at {sign!r} have different lengths")
    results = [_apply(sign, one, other) for one, other in zip(lefts, rights, strict=True)]
    return [each for result in results for each in _as_array(result)]


def _computed(sign: str, left: float, right: float) -> float | None:
    """None where the point is dropped."""
    try:
        return _OPERATORS[sign](left, right)
    except (ArithmeticError, ValueError):
        return None
