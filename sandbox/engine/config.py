"""A stack's config: the values in `Pulumi.<stack>.yaml`, and edits of that file that keep its comments and order."""

from __future__ import annotations

import json
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
        text = self._text()
        start = next((n for n, line in enumerate(text.splitlines(True)) if line[:1] not in ("#", "\n", "-", "")), 0)
        lines = text.splitlines(True)
        self._write("".join([*lines[:start], f"encryptionsalt: {salt}\n", *lines[start:]]))

    def set(self, keys: list[str | int], value: Any) -> None:
        """Set the value at `keys`, the first of which is the qualified config key."""
        self._write(_edited(self._text(), ["config", *keys], value))

    def remove(self, keys: list[str | int]) -> None:
        self._write(_without(self._text(), ["config", *keys]))

    def replace(self, config: StackConfig) -> None:
        """Make the file's config exactly `config`, leaving alone what is already so."""
        present = self._document().get("config") or {}
        for key in present:
            if key not in config.values:
                self.remove([key])
        for key, value in config.values.items():
            if key not in present or present[key] != value.raw:
                self.set([key], value.raw)

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, text)


def config_path(path: str) -> list[str | int]:
    try:
        return parse_path(path)
    except ValueError as error:
        raise EngineError(f"invalid config key path: {error}") from error


# Edits of YAML text. The parser says where each node begins and ends; only those characters are replaced.


def _compose(text: str) -> Any:
    import yaml

    return yaml.compose(text, Loader=yaml.SafeLoader)


def _edited(text: str, keys: list[str | int], value: Any) -> str:
    node, parents, rest = _descend(text, keys)
    if not rest:
        return _replaced(text, node, value, _indent_of(parents) + 2)
    for key in reversed(rest[1:]):
        value = [value] if isinstance(key, int) else {key: value}
    key = rest[0]
    if node is None or (node.id == "scalar" and not node.value):
        entry = _rendered({key: value}, 0)
        if node is None:
            return (text if not text or text.endswith("\n") else text + "\n") + entry + "\n"
        return _replaced(text, node, {key: value}, _indent_of(parents) + 2)
    if node.id == "scalar" or node.flow_style or not node.value:
        merged = _loaded(text, node)
        if not isinstance(merged, dict | list):
            merged = {}
        return _replaced(text, node, _with(merged, key, value), _indent_of(parents) + 2)
    is_list = node.id == "sequence"
    if is_list != isinstance(key, int):
        raise EngineError(
            f"{'.'.join(map(str, keys[1:]))}: {'an array' if is_list else 'an object'} can't hold this key"
        )
    end = _end(text, node)
    entry = _rendered([value] if is_list else {key: value}, node.start_mark.column)
    return f"{text[:end]}\n{' ' * node.start_mark.column}{entry}{text[end:] or chr(10)}"


def _with(container: Any, key: str | int, value: Any) -> Any:
    if isinstance(container, list):
        return [*container, value]
    return {**container, key: value}


def _without(text: str, keys: list[str | int]) -> str:
    node, parents, rest = _descend(text, keys)
    if rest or node is None:
        return text
    parent = parents[-1]
    entries = (
        [(key, item) for key, item in parent.value]
        if parent.id == "mapping"
        else [(item, item) for item in parent.value]
    )
    if len(entries) == 1 or parent.flow_style:
        remaining = _loaded(text, parent)
        del remaining[keys[-1]]
        if not remaining and len(parents) > 1:
            return _without(text, keys[:-1])
        return _replaced(text, parent, remaining, _indent_of(parents[:-1]) + 2)
    key_node = next(key for key, item in entries if item is node)
    start = text.rfind("\n", 0, key_node.start_mark.index) + 1
    end = text.find("\n", _end(text, node))
    return text[:start] + (text[end + 1 :] if end >= 0 else "")


def _descend(text: str, keys: list[str | int]) -> tuple[Any, list[Any], list[str | int]]:
    """The deepest node on the way, the mappings and sequences above it, and the keys that are not there."""
    node = _compose(text)
    parents: list[Any] = []
    for depth, key in enumerate(keys):
        children: dict[Any, Any] = {}
        if node is not None and node.id == "mapping":
            children = {name.value: child for name, child in node.value}
        elif node is not None and node.id == "sequence":
            children = dict(enumerate(node.value))
        if key not in children:
            return node, parents, keys[depth:]
        parents.append(node)
        node = children[key]
    return node, parents, []


def _indent_of(parents: list[Any]) -> int:
    return parents[-1].start_mark.column if parents else -2


def _end(text: str, node: Any) -> int:
    """Where the node's own characters end; a block node's mark lies after the comments that follow it."""
    if node.id != "scalar" and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if node.id == "mapping" else last)
    end = node.end_mark.index
    return len(text[:end].rstrip()) if node.id == "scalar" and node.style in ("|", ">") else end


def _loaded(text: str, node: Any) -> Any:
    import yaml

    loader = yaml.SafeLoader("")
    return loader.construct_document(node) if node is not None else None


def _replaced(text: str, node: Any, value: Any, indent: int) -> str:
    rendered = _rendered(value, indent)
    start, end = node.start_mark.index, _end(text, node)
    was_block = node.id != "scalar" and not node.flow_style
    is_block = "\n" in rendered or (isinstance(value, dict | list) and value)
    if was_block and not is_block:
        start = len(text[:start].rstrip())
        return f"{text[:start]} {rendered}{text[end:]}"
    if is_block and not was_block:
        start = len(text[:start].rstrip())
        return f"{text[:start]}\n{' ' * indent}{rendered}{text[end:]}"
    space = " " if start == end and not text[:start].endswith(" ") else ""
    return text[:start] + space + rendered + text[end:]


def _rendered(value: Any, indent: int) -> str:
    """The value as YAML, its lines after the first indented by `indent`."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    def text(dumper: yaml.SafeDumper, data: str) -> Any:
        style = "|" if "\n" in data else None if yaml.safe_load(f"k: {data}" if data else "") == {"k": data} else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    def guarded(dumper: yaml.SafeDumper, data: str) -> Any:
        try:
            return text(dumper, data)
        except yaml.YAMLError:
            return dumper.represent_scalar("tag:yaml.org,2002:str", data, style='"')

    Dumper.add_representer(str, guarded)
    dumped = yaml.dump(
        value, Dumper=Dumper, default_flow_style=False, sort_keys=False, width=10_000, allow_unicode=True
    )
    lines = dumped.removesuffix("\n").removesuffix("\n...").split("\n")
    return "\n".join([lines[0], *(f"{' ' * indent}{line}" if line else line for line in lines[1:])])
