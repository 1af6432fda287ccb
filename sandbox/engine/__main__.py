"""`pulumi`, the stand-in: the command line to a command, and every error to a line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import TextIO, cast

from sandbox.engine import VERSION
from sandbox.engine.errors import BluegreenError
from sandbox.engine.options import OPERATIONS, parse

NOTICE = "stand-in for the Pulumi CLI (bluegreen sandbox); `sandbox/engine/README.md` lists what it does"


class Lasting:
    """Output whose reader may go away (`pulumi up | head`): what is under way must reach its end all the same."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._stream = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._stream = open(os.devnull, "w")  # noqa: SIM115 - as long as the process

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def main() -> int:
    sys.stdout, sys.stderr = cast(TextIO, Lasting(sys.stdout)), cast(TextIO, Lasting(sys.stderr))

    environment = dict(os.environ)
    # The gRPC library reports every channel that closes; here they close with each provider.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        options = parse(sys.argv[1:], environment)
        sys.stderr.write(f"{NOTICE}\n")  # at once, line end and all: several may say it to one terminal
        sys.stderr.flush()
        if options.command == "version":  # asked for all the time: answered without loading anything
            print(VERSION)
        elif options.command in OPERATIONS:
            from sandbox.engine import operation

            operation.run(options, environment)
        else:
            from sandbox.engine import commands

            commands.run(options, environment)
    except BluegreenError as error:
        if text := str(error):
            print(f"error: {text}", file=sys.stderr, flush=True)
        return getattr(error, "exit_code", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
