"""A stack's config: the values in `Pulumi.<stack>.yaml`, and edits of that file that keep its comments and order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.engine.errors import EngineError, Refused
from sandbox.engine.files import write_atomically
from sandbox.engine.properties import parse_path

Decrypt = Callable[[str], str]
KNOWN_KEYS = {"config", "encryptionsalt", "secretsprovider"}


@dataclass(frozen=True)
class ConfigValue:
    """One value as the YAML has it: text, a structure, or `{secure: ciphertext}`, perhaps deep inside a structure."""

    raw: Any

    @classmethod
    def of_default(cls, default: Any) -> ConfigValue:
        """A project's default; scalars are text in a stack's config, whatever the schema calls them."""
        return cls(default if isinstance(default, dict | list) else scalar_text(default))

    @property
    def secure(self) -> bool:
        return _is_secure(self.raw) or (self.is_object and _any_secure(self.raw))

    @property
    def is_object(self) -> bool:
        return isinstance(self.raw, dict | list) and not _is_secure(self.raw)

    def content(self, decrypt: Decrypt) -> Any:
        """The value with its secrets decrypted: text, or a structure."""
        return _decrypted(self.raw, decrypt)

    def text(self, decrypt: Decrypt) -> str:
        """As the program gets it: text, or the structure's JSON."""
        content = self.content(decrypt)
        if isinstance(content, dict | list):
            return json.dumps(content, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        return scalar_text(content)


def scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _is_secure(raw: Any) -> bool:
    return isinstance(raw, dict) and set(raw) == {"secure"} and isinstance(raw["secure"], str)


def _any_secure(raw: Any) -> bool:
    children = raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ()
    return _is_secure(raw) or any(_any_secure(child) for child in children)


def _decrypted(raw: Any, decrypt: Decrypt) -> Any:
    if _is_secure(raw):
        return decrypt(raw["secure"])
    if isinstance(raw, dict):
        return {key: _decrypted(value, decrypt) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_decrypted(value, decrypt) for value in raw]
    return raw


@dataclass(frozen=True)
class StackConfig:
    """The values by qualified key (`bluegreen:ami`)."""

    values: Mapping[str, ConfigValue] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As the history and the last update's record keep it: secrets encrypted."""
        return {key: self.values[key].raw for key in sorted(self.values)}


class ConfigFile:
    """The YAML file; edits go to the text, so everything that is not edited stays as a person wrote it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _text(self) -> str:
        return self.path.read_text() if self.path.exists() else ""

    def _document(self) -> dict[str, Any]:
        import yaml

        try:
            document = yaml.safe_load(self._text()) or {}
        except yaml.YAMLError as error:
            raise EngineError(f"could not load {self.path}: {error}") from error
        if unknown := sorted(set(document) - KNOWN_KEYS):
            raise Refused(f"the stack option {', '.join(unknown)} in {self.path}")
        if document.get("secretsprovider", "passphrase") != "passphrase":
            raise Refused(
                f"the secrets provider {document['secretsprovider']!r} in {self.path}", "it knows passphrases"
            )
        return document

    @property
    def salt(self) -> str | None:
        return self._document().get("encryptionsalt")

    def read(self, project: str) -> StackConfig:
        values = {}
        for key, raw in (self._document().get("config") or {}).items():
            name = key if ":" in key else f"{project}:{key}"
            values[name] = ConfigValue(raw if isinstance(raw, dict | list) else scalar_text(raw))
        return StackConfig(values)

    def set_salt(self, salt: str) -> None:
        self._edit(["encryptionsalt"], {**self._document(), "encryptionsalt": salt})

    def set(self, keys: list[str | int], value: Any) -> None:
        """Set the value at `keys`, the first of which is the qualified config key."""
        keys = ["config", *keys]
        self._edit(keys, _with(self._document(), keys, value))

    def remove(self, keys: list[str | int]) -> None:
        keys = ["config", *keys]
        document = self._document()
        if (without := _without(document, keys)) != document:
            self._edit(keys, without)

    def replace(self, config: StackConfig) -> None:
        """Make the file's config exactly `config`, leaving alone what is already so."""
        present = self._document().get("config") or {}
        for key in present:
            if key not in config.values:
                self.remove([key])
        for key, value in config.values.items():
            if present.get(key) != value.raw:
                self.set([key], value.raw)

    def _edit(self, keys: list[str | int], document: dict[str, Any]) -> None:
        """Make the text say `document`, which differs at `keys` alone."""
        text = self._text()
        start, end, new = _edit(text, keys, document)
        if new and "\n" in text[start:end] and re.search(r"(^|\s)#", text[start:end]):
            raise Refused(f"an edit of {keys[-1]} in {self.path} that would lose its comments", "edit the file by hand")
        self._write(text[:start] + new + text[end:])

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, text)


def config_path(path: str) -> list[str | int]:
    try:
        return parse_path(path)
    except ValueError as error:
        raise EngineError(f"invalid config key path: {error}") from error


# Values inside structures.


def _with(container: Any, keys: list[str | int], value: Any) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(key, int):
        items = list(container) if isinstance(container, list) else []
        if key > len(items):
            raise EngineError(f"index {key} is out of range: there are {len(items)} items")
        held = items[key] if key < len(items) else None
        return [*items[:key], _with(held, rest, value), *items[key + 1 :]]
    if isinstance(container, list):
        raise EngineError(f"an array can't hold the key {key!r}")
    entries = container if isinstance(container, dict) else {}
    return {**entries, key: _with(entries.get(key), rest, value)}


def _without(container: Any, keys: list[str | int]) -> Any:
    key, rest = keys[0], keys[1:]
    if isinstance(container, list):
        each = [_without(item, rest) if index == key else item for index, item in enumerate(container)]
        return each if rest else [item for index, item in enumerate(container) if index != key]
    if not isinstance(container, dict) or key not in container:
        return container
    return {k: _without(v, rest) if k == key else v for k, v in container.items() if k != key or rest}


# Places in the text. The parser says where each node begins and ends.


def _edit(text: str, keys: list[str | int], document: dict[str, Any]) -> tuple[int, int, str]:
    """From where to where the text changes, and into what: the smallest entry of a block mapping that holds `keys`."""
    import yaml

    node, data, depth = yaml.compose(text, Loader=yaml.SafeLoader), document, 0
    if node is None:
        return len(text), len(text), _line_break(text) + _rendered(document) + "\n"
    while True:
        entries = {key.value: (key, value) for key, value in node.value}
        key = str(keys[depth])
        name, child = entries.get(key, (None, None))
        is_block = child is not None and child.id == "mapping" and not child.flow_style
        would_be_empty = depth > 0 and not data.get(key)  # `config:` may stand there with nothing under it
        if not is_block or would_be_empty or depth + 1 == len(keys):
            break
        node, data, depth = child, data[key], depth + 1
    column = node.start_mark.column
    if key not in data:
        start = text.rfind("\n", 0, name.start_mark.index) + 1
        return start, _end_of_line(text, _end(text, child)) + 1, ""
    new = _rendered({key: data[key]}, column)
    if child is not None:
        return name.start_mark.index, _end(text, child), new
    end = _end_of_line(text, _end(text, node))
    return end, end, f"\n{' ' * column}{new}" + ("" if text[end:] else "\n")


def _end(text: str, node: Any) -> int:
    """Where the node's own characters end; a block node's mark lies after the comments that follow it."""
    if node.id != "scalar" and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if node.id == "mapping" else last)
    end: int = node.end_mark.index
    return len(text[:end].rstrip()) if node.id == "scalar" and node.style in ("|", ">") else end


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return end if end >= 0 else len(text)


def _line_break(text: str) -> str:
    return "" if not text or text.endswith("\n") else "\n"


def _rendered(value: Any, indent: int = 0) -> str:
    """The value as YAML, its lines after the first indented by `indent`."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    def text(dumper: yaml.SafeDumper, data: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)

    Dumper.add_representer(str, text)
    dumped = yaml.dump(
        value, Dumper=Dumper, default_flow_style=False, sort_keys=False, width=10_000, allow_unicode=True
    )
    return dumped.removesuffix("\n").removesuffix("\n...").replace("\n", f"\n{' ' * indent}")
