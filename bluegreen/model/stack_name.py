"""Names of stacks. Pure."""

from __future__ import annotations


def short(stack: str) -> str:
    """A stack's own name: with Pulumi Cloud, organization and project stand before it."""
    return stack.rpartition("/")[2]
