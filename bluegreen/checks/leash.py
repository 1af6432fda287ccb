"""Runs a program, and ends it with all its children when whoever started this goes away. A plain script.

    python leash.py PROGRAM ARGUMENT...

Standard input is the leash: a pipe whose other end the parent holds. It breaks when the parent lets go, and however
the parent ends, SIGKILL included; the program's process group then gets SIGTERM, and a moment later SIGKILL. Exit code:
the program's, or 128 and the signal's number, as in a shell. It imports nothing of the project, so that it starts fast.
"""

import os
import signal
import subprocess
import sys
import threading
import time

SIGNALLED = 128
GRACE_SECONDS = 3.0
NOT_RUN = 126


def main() -> int:
    try:
        child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        print(error, flush=True)
        return NOT_RUN
    threading.Thread(target=end_when_let_go, args=(child.pid,), daemon=True).start()
    code = child.wait()
    signal_group(child.pid, signal.SIGKILL)  # what it left behind in the background
    return code if code >= 0 else SIGNALLED - code


def end_when_let_go(group: int) -> None:
    while os.read(0, 1):
        continue
    signal_group(group, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
