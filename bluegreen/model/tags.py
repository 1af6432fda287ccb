"""The tags that every resource carries, so that what is ours is known as ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

SERVICE = "bluegreen:service"
STACK = "bluegreen:stack"
RELEASE = "bluegreen:release"
PORT = "bluegreen:port"
"""The port that a machine's app is expected to listen on; the app can read it from its instance metadata."""
LISTENER = "bluegreen:listener"


class Purpose(StrEnum):
    """What a listener is for, as its tag says. A listener without the tag is taken for a production listener."""

    PRODUCTION = "production"
    PREVIEW = "preview"


def service_tags(stack: str, service: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Tags of what all releases of a service share: the user's own, the stack's name, the service's."""
    return {**extra, STACK: stack, SERVICE: service}
