"""The plugin: serves the provider's protocol on a port of its own choice, and ends with the engine that started it."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Final

import grpc

from sandbox.provider.protocol import enter_without_sdk

enter_without_sdk()

from pulumi.runtime.proto import provider_pb2_grpc  # noqa: E402

from sandbox.provider.servicer import Servicer  # noqa: E402

_WORKERS: Final = 32  # waits hold a worker each: more than the resources that a stack creates or deletes at once
_PARENT_CHECK_SECONDS: Final = 0.5
_GRACE_SECONDS: Final = 600.0  # longer than any one wait; an engine in a hurry kills
_NO_LIMIT: Final = -1


def main() -> None:
    closed = threading.Event()
    # An interrupt is how an engine closes a plugin. Should it be somebody's Ctrl-C, what is under way still finishes.
    signal.signal(signal.SIGINT, lambda *_: closed.set())
    parent = os.getppid()
    server = grpc.server(
        ThreadPoolExecutor(max_workers=_WORKERS),
        options=[("grpc.max_receive_message_length", _NO_LIMIT), ("grpc.max_send_message_length", _NO_LIMIT)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(version("pulumi-aws")), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    print(port, flush=True)
    closed.wait()
    server.stop(_GRACE_SECONDS).wait()


def _end_with(parent: int) -> None:
    """An engine that was killed sends no goodbye; a plugin left behind would go on changing AWS."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
