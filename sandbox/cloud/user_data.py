"""User data: a script that runs once in a new machine's cell, as cloud-init runs it.

As on EC2 it is root's, its output goes to the console, and a boot goes on whatever becomes of it. It runs when the
machine's services have been started: cloud-init does so in its last stage (cloud-final.service), for which no service
waits that doesn't say so with After=. What cloud-init takes besides scripts is refused by name (`refusal`); what it
would only warn about is left alone.

Sources: the EC2 user guide, "Run commands when you launch an EC2 instance with user data input"; cloud-init's
documentation, "User-data formats" and "Boot stages".
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LIMIT = 16 * 1024
_CLOUD = Path("var/lib/cloud")
_INSTANCE = _CLOUD / "instance"  # a link to the present one's directory, as cloud-init has it
_SCRIPT = "scripts/part-001"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NOT_HERE = (
    (b"\x1f\x8b", "compressed with gzip"),
    (b"content-type:", "MIME"),
    (b"mime-version:", "MIME"),
    (b"#cloud-config", "#cloud-config"),
    (b"#cloud-boothook", "#cloud-boothook"),
    (b"#include", "#include"),
    (b"#part-handler", "#part-handler"),
    (b"## template:", "a template"),
)


def refusal(raw: bytes) -> str | None:
    """Why no machine is launched with it; None if one is."""
    if len(raw) > LIMIT:
        return f"User data is limited to {LIMIT} bytes"
    head = raw.lstrip()[:64].lower()
    what = next((what for mark, what in _NOT_HERE if head.startswith(mark)), None)
    return what and f"The sandbox runs user data that is a script (#!), and this is {what}."


def place(tree: Path, instance_id: str, raw: bytes) -> None:
    """Before a boot: a script that this machine has not had yet is put where cloud-init has it."""
    own = _CLOUD / "instances" / instance_id
    link, script = tree / _INSTANCE, tree / own / _SCRIPT
    link.unlink(missing_ok=True)  # of an earlier boot, or of the machine that the image was taken from
    if not raw.startswith(b"#!") or script.exists():
        return
    script.parent.mkdir(parents=True)
    link.symlink_to(Path("/", own))
    script.write_bytes(raw)
    script.chmod(0o700)


def start(environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    """In the machine: the script's process, if this boot has one."""
    script = Path("/", _INSTANCE, _SCRIPT)
    if not script.exists():
        return None
    variables = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/root", "USER": "root", **environment}
    try:
        return subprocess.Popen([script], cwd="/", env=variables, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as fault:
        print(f"the user data can't be run: {fault.strerror}", file=sys.stderr, flush=True)
        return None


def report(code: int) -> None:
    if code:
        print(f"the user data failed with {code}; the boot goes on", file=sys.stderr, flush=True)
