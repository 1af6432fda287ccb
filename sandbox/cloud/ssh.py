"""A machine that can be logged into: an SSH and SFTP server in a cell. `python -m sandbox.cloud.ssh LOGIN`, in JSON.

Any user name is let in with the key of the instance's key pair; everybody is root in the cell and has a home of his
own. The machine's enabled units run in the cell too.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox.cloud import unit, user_data
from sandbox.cloud.cell import Cell, CellError
from sandbox.cloud.systemctl import ENVIRONMENT

PROJECT = Path(__file__).resolve().parent.parent.parent
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Login:
    """What the server has to know. Paths are the host's; `units`: the names of those that start with the machine."""

    tree: str
    scratch: str
    system: str
    hostname: str
    address: str
    port: int
    public_key: str
    units: list[str]
    environment: dict[str, str]

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "sandbox.cloud.ssh", json.dumps(asdict(self)))


def programs() -> dict[str, str]:
    """Scripts that a machine has in its system, by path."""
    python = f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m sandbox.cloud.systemctl "${{0##*/}}" "$@"\n'
    found = {
        "/usr/bin/sudo": _SUDO,
        "/usr/bin/systemctl": python,
        "/usr/bin/journalctl": python,
    }
    ansible = Path(sys.executable).with_name("ansible-playbook")
    if ansible.exists():
        found["/usr/local/bin/ansible-playbook"] = f'#!/bin/sh\nexec {ansible} "$@"\n'
    if not Path("/usr/bin/python3").exists():
        found["/usr/bin/python3"] = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
    return found


# Root already, so it only does to the environment what sudo does: reset it, but for what the system gives to everybody.
_SUDO = f"""#!/bin/sh
keep=
while [ $# -gt 0 ]; do
    case $1 in
        --) shift; break ;;
        -E | --preserve-env*) keep=yes; shift ;;
        -u | --user | -g | --group | -p | --prompt) shift 2 ;;
        -*) shift ;;
        *) break ;;
    esac
done
[ $# -gt 0 ] || set -- /bin/sh
root="HOME=/root USER=root LOGNAME=root SHELL=/bin/sh PATH={_PATH}"
[ -n "$keep" ] && exec env $root "$@"
exec env -i TERM="${{TERM:-dumb}}" $root $(cat /run/environment) "$@"
"""


def main() -> int:
    login = Login(**json.loads(sys.argv[1]))
    cell = Cell(
        tree=Path(login.tree),
        scratch=Path(login.scratch),
        system=Path(login.system),
        hostname=login.hostname,
        programs=programs(),
    )
    # Made outside: in the cell nobody has the right to a port below 1024.
    listener = socket.create_server((login.address, login.port))
    try:
        return cell.run(lambda: _serve(login, listener))
    except CellError as fault:
        print(fault.strerror, file=sys.stderr)
        return 1


def _serve(login: Login, listener: socket.socket) -> int:
    Path("/run/systemd/system").mkdir(parents=True)  # sd_booted(3): how programs know that there is a systemctl
    ENVIRONMENT.write_text(json.dumps(login.environment))
    Path("/run/environment").write_text(" ".join(f"{key}={value}" for key, value in login.environment.items()))
    waiting = [name for name in login.units if unit.waits_for_user_data(Path("/"), name)]
    _start(name for name in login.units if name not in waiting)
    threading.Thread(target=_run_user_data, args=(login, waiting), daemon=True).start()
    asyncio.run(_listen(login, listener))
    return 0


def _start(names: Iterable[str]) -> None:
    for name in names:
        subprocess.run(["/usr/bin/systemctl", "start", name], check=False)


def _run_user_data(login: Login, waiting: list[str]) -> None:
    if script := user_data.start(login.environment):
        user_data.report(script.wait())
    _start(waiting)


async def _listen(login: Login, listener: socket.socket) -> None:
    import asyncssh

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    class Files(asyncssh.SFTPServer):
        """Relative paths begin at the user's home."""

        def __init__(self, channel: Any) -> None:
            super().__init__(channel)
            self._home = os.fsencode(_home(channel.get_extra_info("username")))

        def map_path(self, path: bytes) -> bytes:
            return os.path.join(self._home, path)

        def exit(self) -> None:
            self.channel.exit(0)  # OpenSSH's clients take a session without a code for a failed one

    sessions: set[Any] = set()  # nobody else holds them while their client does not read

    async def session(process: Any) -> None:
        held = process, asyncio.current_task(), process.channel.get_connection()
        sessions.add(held)
        try:
            process.exit(await _run(process, login.environment))
        finally:
            sessions.discard(held)

    server = await asyncssh.listen(
        sock=listener,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        authorized_client_keys=asyncssh.import_authorized_keys(login.public_key),
        process_factory=session,
        sftp_factory=Files,
        allow_scp=True,
        encoding=None,
    )
    await ended.wait()
    server.close()
    await asyncio.to_thread(subprocess.run, ["/usr/bin/systemctl", "stop", "*"], check=False)


async def _run(process: Any, environment: dict[str, str]) -> int:
    """A command of a session, or a shell, until it ends; its exit code."""
    user = process.get_extra_info("username")
    home = _home(user)
    who = {"HOME": str(home), "USER": user, "LOGNAME": user, "SHELL": "/bin/sh", "PATH": _PATH, "LANG": "C.UTF-8"}
    environment = {**process.env, **who, **environment}
    words = ["/bin/sh", "-c", process.command] if process.command else ["/bin/sh", "-l"]
    terminal = process.get_terminal_type()
    if terminal:
        return await _run_in_terminal(process, words, home, {**environment, "TERM": terminal})
    # Plain pipes: asyncssh reads an asyncio stream twice at once when its client is slow (seen in 2.24.1).
    (output, its_output), (errors, its_errors) = os.pipe(), os.pipe()
    child = await asyncio.create_subprocess_exec(
        *words,
        cwd=home,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=its_output,
        stderr=its_errors,
        start_new_session=True,
    )
    os.close(its_output)
    os.close(its_errors)
    outputs = {"stdout": os.fdopen(output, "rb", 0), "stderr": os.fdopen(errors, "rb", 0)}
    await process.redirect(stdin=child.stdin, **outputs, send_eof=False)
    return await _until_ended(process, child)


async def _run_in_terminal(process: Any, words: list[str], home: Path, environment: dict[str, str]) -> int:
    ours, theirs = os.openpty()
    columns, rows, *_ = process.get_terminal_size()
    termios.tcsetwinsize(theirs, (rows, columns))
    child = await asyncio.create_subprocess_exec(
        *words,
        cwd=home,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    await process.redirect(stdin=os.dup(ours), stdout=ours, send_eof=False)
    return await _until_ended(process, child)


async def _until_ended(process: Any, child: asyncio.subprocess.Process) -> int:
    """The command's exit code. One whose client has gone is ended, with all that it has started."""
    closed = asyncio.ensure_future(process.channel.wait_closed())
    done = asyncio.ensure_future(child.wait())
    await asyncio.wait({closed, done}, return_when=asyncio.FIRST_COMPLETED)
    if not done.done():
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGHUP)
    code = await done
    closed.cancel()
    await process.stdout.drain()
    await process.stderr.drain()
    return code if code >= 0 else 128 - code


def _home(user: str) -> Path:
    home = Path("/root") if user == "root" else Path("/home", user)
    home.mkdir(mode=0o755, exist_ok=True)
    return home


if __name__ == "__main__":
    sys.exit(main())
