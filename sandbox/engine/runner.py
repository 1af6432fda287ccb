"""Runs a Pulumi program in the project's own Python: connects the SDK to the engine, then executes the program.

Runs in another environment than the engine's: it imports the SDK and the standard library, and nothing of ours.
"""

# ruff: noqa: E402
import sys

# The directory of this file holds modules named like the standard library's; the program must not see them.
del sys.path[0]

import argparse
import asyncio
import logging
import os
import runpy
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pulumi
import pulumi.runtime

# Tells the engine that the reason has been shown.
EXPLAINED = 32
# What the SDK raises once the engine answers no more; a busy machine may hear of that before it hears the signal.
MONITOR_GONE = "Resource monitor has terminated, shutting down"
PARENT_CHECK_SECONDS = 0.5


def main() -> int:
    parser = argparse.ArgumentParser()
    for flag in ("monitor", "engine", "project", "stack", "organization", "root_directory", "dry_run"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("program")
    arguments = parser.parse_args()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            monitor=arguments.monitor,
            engine=arguments.engine,
            project=arguments.project,
            stack=arguments.stack,
            parallel=arguments.parallel,
            dry_run=arguments.dry_run == "true",
            organization=arguments.organization,
            root_directory=arguments.root_directory,
        )
    )
    sys.argv = [arguments.program]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # The SDK waits for the engine in the loop's executor: too few threads would make resources one after another.
    executor = ThreadPoolExecutor(max_workers=arguments.parallel * 4)
    loop.set_default_executor(executor)
    # A program that ends early leaves futures that nobody awaits; asyncio would complain of each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run(arguments.program)))
        return 0
    except KeyboardInterrupt:
        # The engine has said why. Waiting for the executor would wait for calls that are never answered.
        os._exit(EXPLAINED)
    except pulumi.RunError as error:
        if str(error) == MONITOR_GONE:
            os._exit(EXPLAINED)
        pulumi.log.error(str(error))
        return 1
    except Exception:
        pulumi.log.error(f"Program failed with an unhandled exception:\n{_traceback_of(arguments.program)}")
        return EXPLAINED
    finally:
        executor.shutdown(wait=True)
        loop.close()


def _end_with(engine: int) -> None:
    """An engine that was killed tells nobody; a program left behind would go on with the hook that it is in."""
    while os.getppid() == engine:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)


def _run(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def _traceback_of(program: str) -> str:
    """The traceback from the user's program on; the runner and the SDK above it explain nothing."""
    entry = os.path.abspath(program if program.endswith(".py") else os.path.join(program, "__main__.py"))
    frames = traceback.extract_tb(sys.exc_info()[2])
    for index, frame in enumerate(frames):
        if os.path.abspath(frame.filename) == entry:
            return traceback.format_exc(limit=-(len(frames) - index))
    return traceback.format_exc()


if __name__ == "__main__":
    sys.exit(main())
