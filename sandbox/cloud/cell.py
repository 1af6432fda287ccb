"""A cell: a machine's own view of this computer, for what may write anywhere, such as a playbook.

The system is the host's own; all that is written goes to the machine's tree. /usr and /etc are the host's with the tree
laid over them, everything else is the tree's, but for this interpreter and this project, which can be read. Processes,
hostname and IPC are the cell's own too. Only kernel features that need
no root are used: user, mount, PID, UTS and IPC namespaces, and overlay mounts in them (Linux 5.11). The network is
shared: a machine has an address of its own in it. Whatever happens inside, it ends with the cell's first process.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SYSTEM = ("usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_FOLDERS = ("dev", "home", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "var")
_VAR = ("cache", "lib", "local", "log", "opt", "spool", "tmp")
_KERNEL = ("bus", "fs", "irq", "sys", "sysrq-trigger")  # in /proc: the whole computer's, and root's to write
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_OWN_DEPTH = 3  # as deep as /usr/lib/systemd/system
_STOPPED_BY = frozenset((signal.SIGTERM,))
_PROJECT = Path(__file__).resolve().parent.parent.parent

# linux/sched.h, linux/mount.h
_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x04000000 | 0x08000000  # user, mount, PID, UTS, IPC
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC, _REMOUNT, _BIND = 1, 2, 4, 8, 32, 4096
_RECURSIVE, _PRIVATE = 1 << 14, 1 << 18
_DETACH = 2
_PARENT_DEATH_SIGNAL, _DROP_CAPABILITY, _SYSTEM_ADMINISTRATION = 1, 24, 21  # linux/prctl.h, linux/capability.h
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


class CellError(OSError):
    """This computer does not let us make a cell."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """`tree`: what the machine writes to, and where its image's files are. `scratch`: a directory for the mounts.

    `system`: a directory that cells share, for what they need of the system as their own. `programs`: scripts by their
    absolute path, laid over the host's for as long as the cell is there.
    """

    tree: Path
    scratch: Path
    system: Path
    hostname: str
    programs: Mapping[str, str]

    def run(self, inside: Callable[[], int]) -> int:
        """Call `inside` in the cell, in a process of its own, and give back its exit code. Call from a single thread.

        Afterwards the calling process is in the cell's namespaces, and good for nothing else. Raises CellError.
        """
        _prepare(self)
        if os.getuid() != 0:
            _own_the_system(self.system)
        _enter_namespaces()
        # A SIGTERM waits until there is somebody to hand it on to: PID 1 would never hear of one that came before.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPED_BY)
        first = os.fork()
        if first == 0:
            _exit_with(lambda: self._be_first(inside))
        _hand_on_to(first)
        return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])

    def _be_first(self, inside: Callable[[], int]) -> int:
        """PID 1: its end is the end of everything in the cell, and it takes in the orphans."""
        _libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        _mount_all(self)
        main = os.fork()
        if main == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPED_BY)
            _exit_with(inside)
        _hand_on_to(main)
        while True:
            ended, status = os.wait()
            if ended == main:
                return os.waitstatus_to_exitcode(status)


def _hand_on_to(process: int) -> None:
    """Whoever stops this process stops that one."""
    signal.signal(signal.SIGTERM, lambda *_: os.kill(process, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPED_BY)


def obstacle() -> str | None:
    """Why this computer makes no cells; None if it does. Tries one, in a process of its own."""
    tried = subprocess.run(
        [sys.executable, "-m", "sandbox.cloud.cell"], cwd=_PROJECT, capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else (tried.stderr.strip().splitlines() or ["it ended without a word"])[-1]


def _exit_with(work: Callable[[], int]) -> None:
    """End this process, a fork, with the code of `work`; never return into the code of the one that forked."""
    code = 1
    try:
        code = work()
    except OSError as fault:
        print(fault.strerror if isinstance(fault, CellError) else fault, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _prepare(cell: Cell) -> None:
    """What a system has at its top, in the tree, so that it is there to mount on and to be found in the image."""
    for name in _FOLDERS:
        (cell.tree / name).mkdir(exist_ok=True)
    for name in _VAR:
        (cell.tree / "var" / name).mkdir(exist_ok=True)
    for folder in (cell.tree / "tmp", cell.tree / "var/tmp"):
        folder.chmod(0o1777)
    for name in _SYSTEM:
        host = Path("/", name)
        if host.is_symlink() and not (cell.tree / name).is_symlink():
            (cell.tree / name).symlink_to(host.readlink())
    for shown in _shown():
        (cell.tree / shown.relative_to("/")).mkdir(parents=True, exist_ok=True)
    for name in (*(f"work/{name}" for name in _laid_over()), "root", "programs"):
        (cell.scratch / name).mkdir(parents=True, exist_ok=True)


def _own_the_system(at: Path) -> None:
    """Without root, files of root's stay nobody's in the cell. So it gets a copy of /etc, and the directories of /usr.

    What a directory's topmost layer says of its owner goes: new files can be put there, and files replaced.
    """
    if at.exists():
        return
    draft = Path(tempfile.mkdtemp(dir=at.parent, prefix="system-"))
    draft.chmod(0o755)
    for name in _laid_over():
        top = Path("/", name)
        for folder, folders, files in os.walk(top):
            here = draft / folder.lstrip("/")
            here.mkdir(exist_ok=True)
            if name == "etc":
                _copy_what_can_be_read(Path(folder), [*folders, *files], here)
            elif len(Path(folder).relative_to(top).parts) == _OWN_DEPTH:
                folders.clear()
    try:
        draft.rename(at)
    except OSError:  # another cell was faster
        shutil.rmtree(draft)


def _copy_what_can_be_read(folder: Path, names: list[str], to: Path) -> None:
    for name in names:
        source = folder / name
        with suppress(OSError):
            if source.is_symlink():
                (to / name).symlink_to(source.readlink())
            elif source.is_file():
                shutil.copyfile(source, to / name)
                shutil.copymode(source, to / name)


def _laid_over() -> list[str]:
    """The host's directories that are its system."""
    return [name for name in _SYSTEM if Path("/", name).is_dir() and not Path("/", name).is_symlink()]


def _shown() -> list[Path]:
    """Where this interpreter and this project are, as far as that isn't in the system."""
    ours = {Path(path).resolve() for path in (sys.prefix, sys.base_prefix, _PROJECT)} | {Path(sys.prefix)}
    apart = [path for path in ours if path.parts[1] not in _SYSTEM]
    return sorted(path for path in apart if not any(other in path.parents for other in apart))


def clear_mountpoints(tree: Path) -> None:
    """Take out of a tree, without a cell, the empty directories that cells had their mounts at."""
    for shown in _shown():
        for folder in (shown, *shown.parents[:-1]):
            with suppress(OSError):  # it has something of the machine's own in it
                (tree / folder.relative_to("/")).rmdir()


def _enter_namespaces() -> None:
    """This process becomes root of namespaces of its own. Users are the host's where we are root; else there is one."""
    process = os.getpid()
    theirs, ours = os.pipe()
    mapper = os.fork()  # only from outside a map of more than one user can be written
    if mapper == 0:
        _exit_with(lambda: _write_maps(process, theirs, ours))
    os.close(theirs)
    user, group = os.getuid(), os.getgid()
    _check(_libc.unshare(_NAMESPACES), "namespaces can't be made")
    os.write(ours, f"{user} {group}".encode())
    os.close(ours)
    if os.waitpid(mapper, 0)[1] != 0:
        raise CellError(0, "users can't be mapped into a namespace")
    _check(_libc.mount(None, b"/", None, _RECURSIVE | _PRIVATE, None), "mounts can't be kept apart")


def _write_maps(process: int, start: int, unused: int) -> int:
    os.close(unused)
    user, group = os.read(start, 100).decode().split()
    if user == "0":
        maps = {kind: _identity(kind) for kind in ("uid", "gid")}
    else:
        Path(f"/proc/{process}/setgroups").write_text("deny")
        maps = {"uid": f"0 {user} 1", "gid": f"0 {group} 1"}
    for kind, lines in maps.items():
        Path(f"/proc/{process}/{kind}_map").write_text(lines)
    return 0


def _identity(kind: str) -> str:
    """Everybody whom this process knows, as himself."""
    lines = [line.split() for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in lines)


def _mount_all(cell: Cell) -> None:
    root, programs = cell.scratch / "root", cell.scratch / "programs"
    _mount("tmpfs", programs, "tmpfs", _NO_DEVICES, "mode=755")
    for path, text in cell.programs.items():
        file = programs / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    _mount(str(cell.tree), root, None, _BIND)
    for name in _laid_over():
        _lay_over(cell, name, programs / name)
    for shown in _shown():
        _show(shown, root / shown.relative_to("/"))
    _mount("proc", root / "proc", "proc", _NO_SUID | _NO_DEVICES | _NO_EXEC)
    for name in filter(lambda name: (root / "proc" / name).exists(), _KERNEL):
        _show(root / "proc" / name, root / "proc" / name, _NO_SUID | _NO_DEVICES | _NO_EXEC)
    _mount("tmpfs", root / "run", "tmpfs", _NO_SUID | _NO_DEVICES, "mode=755")
    _mount_devices(root / "dev")
    hostname = cell.hostname.encode()
    _check(_libc.sethostname(hostname, len(hostname)), "the hostname can't be set")
    os.chdir(root)
    # The new root is put over the old one at the same place, and the old one taken away from under it (pivot_root(2)).
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise CellError(0, f"cells are not known to work on {os.uname().machine}")
    _check(_libc.syscall(number, b".", b"."), "the root can't be changed")
    _check(_libc.umount2(b".", _DETACH), "the host's root can't be left")
    os.chdir("/")
    os.umask(0o022)
    # Whatever is executed from here on can't undo a mount, not even as root.
    _check(_libc.prctl(_DROP_CAPABILITY, _SYSTEM_ADMINISTRATION, 0, 0, 0), "rights can't be dropped")


def _lay_over(cell: Cell, name: str, programs: Path) -> None:
    upper, work = cell.tree / name, cell.scratch / "work" / name
    upper.mkdir(exist_ok=True)
    lower = [*filter(Path.is_dir, (programs, cell.system / name)), Path("/", name)]
    options = {"lowerdir": ":".join(_escaped(each) for each in lower)}
    options |= {"upperdir": _escaped(upper), "workdir": _escaped(work)}
    text = ",".join(f"{key}={value}" for key, value in options.items())
    _mount("overlay", cell.scratch / "root" / name, "overlay", 0, f"{text},userxattr")
    (work / "work").chmod(0o700)  # the kernel makes it with no rights at all, and its owner could not delete it


def _show(path: Path, at: Path, flags: int = 0) -> None:
    """For reading only. `flags`: those that a mount has already can't be taken from it."""
    _mount(str(path), at, None, _BIND | _RECURSIVE)
    _mount(None, at, None, _REMOUNT | _BIND | _READ_ONLY | flags)


def _mount_devices(folder: Path) -> None:
    _mount("tmpfs", folder, "tmpfs", _NO_SUID | _NO_EXEC, "mode=755")
    for name in _DEVICES:
        (folder / name).touch()
        _mount(f"/dev/{name}", folder / name, None, _BIND)
    for name in ("pts", "shm"):
        (folder / name).mkdir()
    (folder / "shm").chmod(0o1777)
    _mount("devpts", folder / "pts", "devpts", _NO_SUID | _NO_EXEC, "newinstance,ptmxmode=0666,mode=620")
    (folder / "ptmx").symlink_to("pts/ptmx")
    (folder / "fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (folder / name).symlink_to(f"/proc/self/fd/{number}")


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    def text(value: str | None) -> bytes | None:
        return None if value is None else os.fsencode(value)

    answer = _libc.mount(text(source), os.fsencode(target), text(kind), ctypes.c_ulong(flags), text(options))
    _check(answer, f"{kind or source} can't be mounted at /{target.name}")


def _check(answer: int, what: str) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise CellError(number, f"{what} ({os.strerror(number)})")


def _escaped(path: Path) -> str:
    """Overlay's options are a list of lists."""
    text = str(path)
    for special in ("\\", ":", ","):
        text = text.replace(special, f"\\{special}")
    return text


def _try_one() -> int:
    with tempfile.TemporaryDirectory(prefix="bluegreen-cell-") as folder:
        tree = Path(folder, "tree")
        tree.mkdir()
        child = os.fork()  # the directory is to be deleted from outside
        if child == 0:
            cell = Cell(
                tree=tree, scratch=Path(folder, "scratch"), system=Path(folder, "system"), hostname="try", programs={}
            )
            _exit_with(lambda: cell.run(lambda: 0))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(_try_one())
