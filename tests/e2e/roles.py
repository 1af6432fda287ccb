"""Roles in a sandbox, one for each verb, and who does what under which.

With BLUEGREEN_RECORD=DIR the commands of every test run under roles that may do anything, and what IAM was asked is
kept in DIR, for `python -m sandbox.iam.recording`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from bluegreen.model.permissions import Verb
from sandbox.host import Sandbox
from sandbox.roles import Roles

RECORD = "BLUEGREEN_RECORD"
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

_OF_BLUEGREEN = {
    **dict.fromkeys(("bake", "artifact"), "bake"),
    **dict.fromkeys(("deploy", "promote", "abort", "retire"), "deploy"),
    "rollback": "rollback",
    **dict.fromkeys(("plan", "status", "history", "doctor"), "read-only"),
}
_CHANGES_NOTHING = {"--dry-run", "--check"}


def verb_of(program: str, words: Sequence[str]) -> str:
    """Under whose role a command is done; empty for an administrator's, such as to destroy a stack."""
    if program == "pulumi":
        return {"up": "deploy", "preview": "read-only"}.get(words[0], "")
    verb = _OF_BLUEGREEN.get(words[0], "")
    is_reaping = words[0] == "doctor" and "--reap" in words
    return "read-only" if verb and _CHANGES_NOTHING & set(words) else "" if is_reaping else verb


def recorded(sandbox: Sandbox) -> Roles | None:
    """Roles that may do anything, where it is to be recorded."""
    return Roles.make(sandbox, {verb: [ANYTHING] for verb in Verb}) if RECORD in os.environ else None


def keep_recording(sandbox: Sandbox, stack: str) -> None:
    if RECORD in os.environ:
        directory = Path(os.environ[RECORD])
        directory.mkdir(parents=True, exist_ok=True)
        number = len(list(directory.iterdir()))
        shutil.copy(sandbox.dir / "iam.jsonl", directory / f"{stack}.{os.getpid()}-{number}.jsonl")
