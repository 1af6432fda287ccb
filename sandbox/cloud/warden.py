"""A process that outlives the sandbox by a moment, to end the machines that the sandbox left behind.

The sandbox writes `+<process group>` and `-<process group>` lines to its standard input. That pipe breaks however the
sandbox ends, SIGKILL included; then every group that is left is killed, children of the apps too. Run as a plain
script without site-packages, so it is small and imports nothing of the project.
"""

import os
import signal
import sys


def main() -> None:
    # Its own session: neither Ctrl-C nor the terminal's end reaches it before its work is done.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
