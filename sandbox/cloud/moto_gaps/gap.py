"""A gap in moto, declared; and how one is filled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar


@dataclass(frozen=True)
class Gap:
    """`moto`: what it does, and AWS does not. tests/sandbox/cloud/test_moto_gaps.py asks by `name` if it still does."""

    name: str
    moto: str
    seen_in: str = "5.2.5"


F = TypeVar("F", bound=Callable[..., Any])


def replace(owner: type, name: str) -> Callable[[F], F]:
    """A decorator: the function takes the place of a method of one of moto's classes."""

    def put(function: F) -> F:
        setattr(owner, name, function)
        return function

    return put
