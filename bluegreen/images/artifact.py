"""The artifact: an app's directory as one tar.gz, and the description of it that goes from command to command.

The same files give the same bytes, whoever packs them and when (and with the same zlib: compression is its own). Where
artifacts are kept is `repository`.
"""

from __future__ import annotations

import contextlib
import difflib
import gzip
import hashlib
import ipaddress
import json
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from bluegreen.errors import ArtifactError, ContentError, Fault
from bluegreen.images.tree import Kind, walk

DIST = Path("dist")
UNKNOWN_COMMIT = "unknown"
GIT_SECONDS = 30

VERSION_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What may stand in a file's name, a tag and the name of an AMI alike."""
COMMIT_PATTERN = r"[\w.+:/@-]{1,100}"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A packed app. `url`: s3://, https://, file://, or http:// on this machine; `sha256`: of the file, in hex."""

    url: str
    sha256: str
    version: str
    commit: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str, *, where: str) -> Artifact:
        """From the JSON that `to_json` writes. Raises ArtifactError with every fault, in the name of `where`."""
        if not text.strip():
            raise ArtifactError.from_faults(where, [Fault("artifact", "is empty")])
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            fault = Fault(f"line {error.lineno}, column {error.colno}", f"is not JSON: {error.msg}")
            raise ArtifactError.from_faults(where, [fault]) from None
        if not isinstance(values, dict):
            raise ArtifactError.from_faults(where, [Fault("artifact", "should be an object")])
        if faults := list(_faults(values)):
            raise ArtifactError.from_faults(where, faults)
        return cls(**values)

    @property
    def file(self) -> Path | None:
        """Where it is on this machine; None for one that is kept elsewhere."""
        parts = urlsplit(self.url)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None


def build(app: Path, *, service: str, directory: Path, version: str | None = None) -> Artifact:
    """Pack an app to `dist/<service>-<version>.tar.gz` below `directory`, replaced whole.

    Raises ArtifactError where no version is to be had or `dist` can't be written, ContentError where the app can't be
    packed.
    """
    if not os.path.isdir(app):
        raise ArtifactError(f"{app} is not a directory", "Name the app's with --app. Nothing was changed.")
    version = version_of(app, version)
    package = directory.resolve() / DIST / f"{service}-{version}.tar.gz"
    try:
        package.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=package.parent, prefix=f".{package.name}.", delete=False) as file:
            try:
                sha256 = pack(app, file)
                os.fchmod(file.fileno(), 0o644)
                file.close()
                os.replace(file.name, package)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(file.name)
                raise
    except OSError as error:
        raise ArtifactError(
            f"{package} can't be written: {error}", f"Mend that, then run again. {DIST}/ has what it had."
        ) from error
    return Artifact(url=package.as_uri(), sha256=sha256, version=version, commit=commit_of(app))


def pack(app: Path, to: IO[bytes]) -> str:
    """Write the app's tar.gz, and return its sha256. Raises ContentError."""
    output = _Digesting(to)
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=output, mtime=0) as compressed,
        tarfile.open(mode="w|", fileobj=compressed, format=tarfile.PAX_FORMAT, encoding="utf-8") as tar,
    ):
        for entry in walk(app):
            info = tarfile.TarInfo(entry.path)
            match entry.kind:
                case Kind.DIRECTORY:
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(info)
                case Kind.LINK:
                    info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.target
                    tar.addfile(info)
                case Kind.FILE:
                    info.mode = 0o755 if entry.is_executable else 0o644
                    with _reading(entry.source) as file:
                        info.size = os.fstat(file.fileno()).st_size
                        tar.addfile(info, file)
    return output.sha256.hexdigest()


def version_of(app: Path, version: str | None = None) -> str:
    """The version that is asked for, else the first line of the app's file VERSION. Raises ArtifactError."""
    where, found = "--version", version
    if found is None:
        file = app / "VERSION"
        try:
            where, found = str(file), file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except FileNotFoundError:
            raise ArtifactError(
                f"{app} has no file VERSION, so the artifact has no version",
                f"Write one to {file}, or name it with --version.",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(f"{file} can't be read: {error}", "Or name the version with --version.") from error
    if message := _version_fault(found):
        raise ArtifactError(f"{where}: {message}")
    return found


def commit_of(app: Path) -> str:
    """The git commit of the app's directory, with `-dirty` where it has changes; `unknown` outside a repository."""
    commit = _git(app, "rev-parse", "HEAD")
    if not commit:
        return UNKNOWN_COMMIT
    changes = _git(app, "status", "--porcelain", "--untracked-files=all", "--", ".")
    return f"{commit}-dirty" if changes else commit


def sha256_of(file: Path) -> str:
    """Raises ArtifactError where there is no such file."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(
            f"the artifact is not found: {file}: {error.strerror}", "Build it with `bluegreen artifact build`."
        ) from error


class _Digesting:
    """A file to write to that knows the sha256 of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[IO[bytes]]:
    try:
        with file.open("rb") as opened:
            yield opened
    except OSError as error:  # also a file that shrinks while it is read
        raise ContentError(f"{file} can't be packed: {error.strerror or error}") from error


def _git(directory: Path, *words: str) -> str | None:
    """What git says; None where there is no git, or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _faults(values: dict[str, Any]) -> Iterator[Fault]:
    known = [field.name for field in fields(Artifact)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            yield Fault(key, f"unknown key; did you mean {near[0]}?" if near else "unknown key")
    checks = {"url": _url_fault, "sha256": _sha256_fault, "version": _version_fault, "commit": _commit_fault}
    for key in known:
        if key not in values:
            yield Fault(key, "is missing")
        elif not isinstance(values[key], str):
            yield Fault(key, f"{json.dumps(values[key])} should be a string")
        elif message := checks[key](values[key]):
            yield Fault(key, message)


def _url_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path.strip("/")
    except ValueError as error:
        return f"{url!r} is not a URL ({error})"
    match parts.scheme:
        case "s3" if not (host and path):
            return f"{url!r} should look like s3://bucket/key"
        case "https" if not (host and path):
            return f"{url!r} should look like https://host/path"
        case "file" if host not in ("", "localhost") or not path:
            return f"{url!r} should look like file:///directory/file"
        case "http" if not _is_loopback(host):
            return f"{url!r} should be https://: anybody on the way could change what http:// brings"
        case "s3" | "https" | "file" | "http":
            return None
        case _:
            return f"{url!r} should begin with s3://, https:// or file://"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _sha256_fault(value: str) -> str | None:
    return None if re.fullmatch(r"[0-9a-f]{64}", value) else f"{value!r} should be 64 hexadecimal digits, in lower case"


def _version_fault(value: str) -> str | None:
    if not value:
        return "is empty"
    if not re.fullmatch(VERSION_PATTERN, value):
        return (
            f"{value!r} should be at most 64 letters, digits, dots, hyphens and underscores, as the AMI's name takes it"
        )
    return None


def _commit_fault(value: str) -> str | None:
    return None if re.fullmatch(COMMIT_PATTERN, value) else f"{value!r} should name a commit, or be {UNKNOWN_COMMIT!r}"
