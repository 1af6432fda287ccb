"""`pulumi`, the stand-in: the command line to a command, and every error to a line and an exit code."""

from __future__ import annotations

import os
import sys

from sandbox.engine.errors import BluegreenError

NOTICE = "stand-in for the Pulumi CLI (bluegreen sandbox); `sandbox/engine/README.md` lists what it does"


def main() -> int:
    from sandbox.engine.options import parse

    environment = dict(os.environ)
    # The gRPC library reports every channel that closes; here they close with each provider.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        options = parse(sys.argv[1:], environment)
        print(NOTICE, file=sys.stderr, flush=True)
        if options.command == ("version",):
            from sandbox.engine import VERSION

            print(VERSION)
            return 0
        if options.command[0] in ("preview", "up", "refresh", "destroy"):
            from sandbox.engine.operation import run

            run(options, environment)
        else:
            from sandbox.engine.commands import COMMANDS

            COMMANDS[options.command](options, environment)
    except BluegreenError as error:
        if text := str(error):
            print(f"error: {text}", file=sys.stderr, flush=True)
        return getattr(error, "exit_code", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
