"""How a gap is filled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def replace(owner: type, name: str) -> Callable[[F], F]:
    """A decorator: the function takes the place of a method of one of moto's classes."""

    def put(function: F) -> F:
        setattr(owner, name, function)
        return function

    return put
