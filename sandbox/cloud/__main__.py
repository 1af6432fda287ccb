"""The sandbox's process. `sandbox.host` starts it, tells it its directory and waits for its one line."""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import signal
import sys
import threading
from pathlib import Path

from bluegreen.errors import BluegreenError
from sandbox.cloud.loopback import DEFAULT_PORT, Loopback
from sandbox.host import DEFAULT_METRIC_SECONDS, Marker

# Read by moto when it is imported: its thousands of public AMIs are of no use here.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.cloud")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--boot-seconds", type=float, default=1.0)
    parser.add_argument("--metric-seconds", type=int, default=DEFAULT_METRIC_SECONDS)
    parser.add_argument("--ready-fd", type=int, required=True, help="gets one line of JSON: {endpoint}, or {error}")
    parser.add_argument("--lifeline-fd", type=int, help="the sandbox stops when this pipe breaks")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    # The terminal's Ctrl-C is for the command that `run` runs; the sandbox ends after it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = _end_of_sigterm()
    with os.fdopen(options.ready_fd, "w") as ready:
        try:
            sandbox = Serving(options)
        except BluegreenError as fault:
            json.dump({"error": fault.what, "nextStep": fault.next_step}, ready)
            return 1
        json.dump({"endpoint": sandbox.endpoint}, ready)
    select.select([stop] if options.lifeline_fd is None else [stop, options.lifeline_fd], [], [])
    sandbox.close()
    return 0


class Serving:
    """Everything that runs, in the order in which it has to begin and end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._marker = Marker.take(options.dir)
        loopback = Loopback.claim(options.port)
        self.endpoint = "http://{}:{}".format(*loopback.api.getsockname())
        # moto takes seconds to import; a directory or a port that is taken says so before.
        from sandbox.cloud.api import server
        from sandbox.cloud.cloud import Cloud

        self._cloud = Cloud(
            options.dir,
            loopback,
            endpoint=self.endpoint,
            region=options.region,
            boot_seconds=options.boot_seconds,
            metric_seconds=options.metric_seconds,
        )
        self._server = server(self._cloud)
        self._cloud.start()
        threading.Thread(target=self._server.serve_forever, name="api", daemon=True).start()
        self._marker.write(endpoint=self.endpoint, region=options.region, sshPort=self._cloud.machines.ssh_port)

    def close(self) -> None:
        self._cloud.stop()
        self._server.shutdown()
        self._marker.drop()


def _end_of_sigterm() -> int:
    """A pipe's end that can be read once SIGTERM has come, whichever thread the kernel gave it to."""
    end, begin = os.pipe()
    os.set_blocking(begin, False)
    signal.set_wakeup_fd(begin)
    signal.signal(signal.SIGTERM, lambda *_: None)
    return end


if __name__ == "__main__":
    sys.exit(main())
