"""How a deployment is told to stop while it goes on: from a signal handler, or from another thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOKS_EVERY_SECONDS = 0.2


class Stop:
    """Asked for once: the step that is under way ends, and none is begun after it. Twice: now.

    Stopping now is the engine's own way: it finishes the operation on the resource that it is at, and keeps the state.
    """

    def __init__(self) -> None:
        self._times = 0
        self._listeners: list[Callable[[], None]] = []

    @property
    def is_asked(self) -> bool:
        return self._times > 0

    @property
    def is_urgent(self) -> bool:
        return self._times > 1

    @property
    def is_heard(self) -> bool:
        """Whether somebody is at work who stops by himself."""
        return bool(self._listeners)

    def ask(self) -> None:
        """Safe in a signal handler: nothing here waits for a lock that the interrupted code may hold."""
        self._times += 1
        for listener in tuple(self._listeners):
            listener()

    def sleep(self, seconds: float) -> None:
        """For what can be left at any moment. Raises KeyboardInterrupt once it is asked for."""
        end = time.monotonic() + seconds
        while not self.is_asked:
            if (left := end - time.monotonic()) <= 0:
                return
            time.sleep(min(left, LOOKS_EVERY_SECONDS))
        raise KeyboardInterrupt

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """While it lasts, `listener` is called each time that it is asked."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
