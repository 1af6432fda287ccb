"""The artifact: the same files, the same bytes; and a description of it that is checked as a whole."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import ArtifactError, ContentError
from bluegreen.images.artifact import Artifact, build, commit_of, pack, sha256_of, version_of

GOOD = {"url": "s3://bucket/key.tar.gz", "sha256": "a" * 64, "version": "1.2.3", "commit": "b" * 40}


def make_app(directory: Path, names: list[str]) -> Path:
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"this is {name}")
    return directory


def packed(app: Path) -> bytes:
    output = io.BytesIO()
    pack(app, output)
    return output.getvalue()


def test_the_same_files_give_the_same_bytes_whoever_made_them_and_when(tmp_path: Path) -> None:
    names = ["VERSION", "server.py", "lib/b.py", "lib/a.py"]
    one = make_app(tmp_path / "one", names)
    before = os.umask(0o077)
    try:
        other = make_app(tmp_path / "other", names[::-1])
    finally:
        os.umask(before)
    for number, name in enumerate(names):
        os.utime(other / name, (number, number))
    (other / "lib/a.py").chmod(0o664)
    (other / "__pycache__").mkdir()
    (other / "__pycache__/server.pyc").touch()
    (other / "empty").mkdir()
    assert packed(one) == packed(other)


@pytest.mark.parametrize("change", ["content", "name", "executable", "link"])
def test_other_files_give_other_bytes(tmp_path: Path, change: str) -> None:
    app = make_app(tmp_path, ["server.py"])
    before = packed(app)
    match change:
        case "content":
            (app / "server.py").write_text("this is better")
        case "name":
            (app / "server.py").rename(app / "main.py")
        case "executable":
            (app / "server.py").chmod(0o755)
        case "link":
            (app / "link").symlink_to("server.py")
    assert packed(app) != before


def test_nothing_of_the_machine_that_packs_is_in_it(tmp_path: Path) -> None:
    app = make_app(tmp_path, ["lib/tool", "server.py"])
    (app / "lib/tool").chmod(0o700)
    (app / "server.py").chmod(0o600)
    with tarfile.open(fileobj=io.BytesIO(packed(app))) as tar:
        members = tar.getmembers()
    assert [(each.name, each.mode) for each in members] == [("lib", 0o755), ("lib/tool", 0o755), ("server.py", 0o644)]
    assert {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in members} == {(0, 0, "", "", 0)}
    assert packed(app)[3:8] == bytes(5), "gzip's flags and time: no name, no time"


def test_files_come_out_as_they_went_in(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", ["server.py", "naïve file"])
    (app / "large").write_bytes(os.urandom(3_000_000))
    (app / "link").symlink_to("server.py")
    with tarfile.open(fileobj=io.BytesIO(packed(app))) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    for name in ("server.py", "naïve file", "large"):
        assert (tmp_path / "out" / name).read_bytes() == (app / name).read_bytes()
    assert os.readlink(tmp_path / "out/link") == "server.py"


def test_build_puts_it_to_dist_and_describes_it(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", ["server.py"])
    (app / "VERSION").write_text("1.4\nmore\n")
    artifact = build(app, service="web", directory=tmp_path)
    assert artifact.file == tmp_path / "dist/web-1.4.tar.gz"
    assert artifact.sha256 == hashlib.sha256(artifact.file.read_bytes()).hexdigest() == sha256_of(artifact.file)
    assert (artifact.version, artifact.commit) == ("1.4", "unknown")
    assert Artifact.parse(artifact.to_json(), where="x") == artifact
    assert artifact.file.stat().st_mode & 0o777 == 0o644


def test_a_build_that_fails_leaves_the_former_artifact(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", ["server.py"])
    first = build(app, service="web", directory=tmp_path, version="1")
    (app / "link").symlink_to("/etc")
    with pytest.raises(ContentError):
        build(app, service="web", directory=tmp_path, version="1")
    assert first.file is not None
    assert sha256_of(first.file) == first.sha256
    assert [file.name for file in (tmp_path / "dist").iterdir()] == ["web-1.tar.gz"]


@pytest.mark.parametrize("in_the_way", ["dist", "dist/web-1.tar.gz"])
def test_a_dist_that_can_not_be_written_is_an_error(tmp_path: Path, in_the_way: str) -> None:
    app = make_app(tmp_path / "app", ["server.py"])
    if in_the_way == "dist":
        (tmp_path / "dist").touch()
    else:
        (tmp_path / in_the_way).mkdir(parents=True)
    with pytest.raises(ArtifactError, match=r"dist/web-1\.tar\.gz can't be written"):
        build(app, service="web", directory=tmp_path, version="1")
    assert list(tmp_path.rglob(".*")) == []


def test_an_app_that_is_no_directory_is_named(tmp_path: Path) -> None:
    for app in (tmp_path / "nope", tmp_path / "nope/file"):
        with pytest.raises(ArtifactError, match=r"nope(/file)? is not a directory"):
            build(app, service="web", directory=tmp_path)
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_description_that_is_empty_is_told_so(text: str) -> None:
    with pytest.raises(ArtifactError, match="x has 1 fault:\n  artifact: is empty"):
        Artifact.parse(text, where="x")


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(tmp_path, ["secret"])

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ContentError, match="secret can't be packed: Permission denied"):
        packed(app)


def test_the_version_that_is_asked_for_wins(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("1\n")
    assert version_of(tmp_path, "2") == "2"
    assert version_of(tmp_path) == "1"


def test_without_a_version_the_error_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no file VERSION") as caught:
        version_of(tmp_path)
    assert "--version" in caught.value.next_step


@pytest.mark.parametrize("version", ["", " ", "a b", "1/2", "1+2", "-1", ".1", "v" * 65, "é"])
def test_versions_that_no_image_can_be_named_by(tmp_path: Path, version: str) -> None:
    (tmp_path / "VERSION").write_text(f"{version}\n")
    with pytest.raises(ArtifactError, match="VERSION: "):
        version_of(tmp_path)


def git(directory: Path, *words: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", *identity, *words], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_says_whether_the_app_has_changes(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", ["server.py"])
    assert commit_of(app) == "unknown"
    git(tmp_path, "init", "--quiet")
    assert commit_of(app) == "unknown", "nothing is committed yet"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit_of(app) == head
    (tmp_path / "README").touch()
    assert commit_of(app) == head, "what is beside the app does not count"
    (app / "new").touch()
    assert commit_of(app) == f"{head}-dirty"


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(tmp_path) == "unknown"


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a/b",
        "https://example.org/a.tar.gz?token=x",
        "file:///tmp/a",
        "http://127.0.0.1:8080/a",
        "http://[::1]/a",
        "http://localhost/a",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    assert Artifact.parse(json.dumps({**GOOD, "url": url}), where="x").url == url


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "should begin with"),
        ("bucket/key", "should begin with"),
        ("ftp://example.org/a", "should begin with"),
        ("s3://bucket", "s3://bucket/key"),
        ("s3:///key", "s3://bucket/key"),
        ("https://example.org", "https://host/path"),
        ("https:///a", "https://host/path"),
        ("http://example.org/a", "should be https://"),
        ("http://10.0.0.1/a", "should be https://"),
        ("file://elsewhere/a", "file:///directory/file"),
        ("https://[a/b", "is not a URL"),
    ],
)
def test_urls_that_are_refused(url: str, fault: str) -> None:
    with pytest.raises(ArtifactError, match="url: ") as caught:
        Artifact.parse(json.dumps({**GOOD, "url": url}), where="x")
    assert fault in caught.value.what


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sha256", "A" * 64),
        ("sha256", "a" * 63),
        ("sha256", None),
        ("version", ""),
        ("version", "a b"),
        ("version", 1),
        ("commit", ""),
        ("commit", "a b"),
    ],
)
def test_values_that_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ArtifactError, match=f"{key}: "):
        Artifact.parse(json.dumps({**GOOD, key: value}), where="x")


def test_all_faults_come_in_one_message() -> None:
    with pytest.raises(ArtifactError) as caught:
        Artifact.parse(json.dumps({"url": "x", "sha256": "y", "comit": "z"}), where="artifact.json")
    assert caught.value.what.splitlines()[0] == "artifact.json has 5 faults:"
    for line in (
        "url: ",
        "sha256: ",
        "version: is missing",
        "commit: is missing",
        "comit: unknown key; did you mean commit?",
    ):
        assert line in caught.value.what


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match="1 fault"):
        Artifact.parse(text, where="stdin")


def test_an_artifact_that_is_not_there_is_an_error_that_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"not found.*gone") as caught:
        sha256_of(tmp_path / "gone")
    assert "artifact build" in caught.value.next_step
