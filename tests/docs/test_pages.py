"""What the pages say to type exists, every command is shown at work, and every page and setting is found."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bluegreen.model.settings import Settings
from tests.docs import commands
from tests.docs.page import PAGES, PROJECT, Shown, inline_code, shown

README = PROJECT / "README.md"
INSIDE = re.compile(r"\$\(([^()]*)\)")
CALL = re.compile(r"(?:^|[\s;&|])(?:\.venv/bin/)?bluegreen\s+([^;&|>#]*)")
NAMES = [page.relative_to(PROJECT).as_posix() for page in PAGES]


def calls(line: str) -> Iterator[list[str]]:
    """The words after `bluegreen`, wherever a line of a shell calls it."""
    while inside := INSIDE.search(line):
        yield from calls(inside[1])
        line = line.replace(inside[0], "RESULT", 1)
    for call in CALL.finditer(line):
        yield shlex.split(call[1])


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that is called, and what it is given. Raises LookupError where there is none of that name."""
    command, given = commands.root(), list(words)
    while given and hasattr(command, "commands") and not given[0].startswith("-"):
        name = given.pop(0)
        if name not in command.commands:
            raise LookupError(f"there is no `{name}` in {sorted(command.commands)}")
        command = command.commands[name]
    return command, given


def options(command: Any) -> set[str]:
    return {"--help", *(name for parameter in command.params for name in parameter.opts)}


def ours(page: Path) -> list[Shown]:
    return [each for each in shown(page.read_text()) if re.search(r"\bbluegreen\s", each.command)]


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_called_as_they_can_be(name: str) -> None:
    for each in ours(PROJECT / name):
        for words in calls(each.command):
            command, given = leaf(words)
            assert not hasattr(command, "commands") or given, each.command
            if given and not {"--help", "--version"} & set(given):
                command.make_context(words[0], given)  # raises where it would be refused


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_options_that_are_spoken_of_exist(name: str) -> None:
    for code in inline_code((PROJECT / name).read_text()):
        for words in calls(code.replace("...", "")):
            command, given = leaf(words)
            unknown = {word.partition("=")[0] for word in given if word.startswith("--")} - options(command)
            assert not unknown, f"`{code}`: there is no {', '.join(unknown)}"


def test_every_command_is_shown_at_work_with_what_it_puts_out() -> None:
    seen = set()
    for page in PAGES:
        for each in ours(page):
            for words in calls(each.command):
                if each.output and "--help" not in words:
                    seen |= {name for name in commands.leaves() if words[: len(name.split())] == name.split()}
    assert seen == set(commands.leaves())


def test_the_help_is_that_of_the_commands() -> None:
    assert (PROJECT / "docs/commands.md").read_text() == commands.page(), "make docs"


def test_every_page_is_found_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)", README.read_text()))
    assert {name for name in NAMES if name.startswith("docs/")} <= linked


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = PROJECT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


def anchors(text: str) -> set[str]:
    """Of its titles, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def rows() -> Iterator[tuple[str, str]]:
    """Key and default, as docs/settings.md has them."""
    for line in (PROJECT / "docs/settings.md").read_text().splitlines():
        if line.startswith("| `"):
            keys, defaults = line.split("|")[1:3]
            named, values = re.findall(r"`(\w+)`", keys), re.findall(r"`([^`]*)`", defaults)
            yield from zip(named, values if len(values) == len(named) else [""] * len(named), strict=True)


def test_every_setting_has_its_row() -> None:
    assert {key for key, _ in rows()} == set(yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"])


def test_the_defaults_of_the_table_are_those_of_the_settings() -> None:
    there = Settings().model_dump(by_alias=True, mode="json")
    plain = {key: value for key, value in there.items() if isinstance(value, str | int | bool) and value != ""}
    told = {key: value for key, value in rows() if key in plain}
    assert told == {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in plain.items()}
