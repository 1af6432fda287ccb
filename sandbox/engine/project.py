"""`Pulumi.yaml`: the project, its config schema, and the check of a stack's config against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.engine.config import ConfigValue, StackConfig
from sandbox.engine.errors import EngineError, Refused

KNOWN_KEYS = {
    "name",
    "runtime",
    "main",
    "description",
    "author",
    "website",
    "license",
    "stackConfigDir",
    "backend",
    "config",
}
KNOWN_RUNTIME_OPTIONS = {"virtualenv", "toolchain", "typechecker"}


@dataclass(frozen=True)
class ConfigKey:
    """What the project says of one config key."""

    name: str
    type: str | None = None
    items: Mapping[str, Any] | None = None
    default: Any = None
    secret: bool = False


@dataclass(frozen=True)
class Project:
    root: Path
    name: str
    description: str = ""
    main: str = ""
    virtualenv: str | None = None
    config_dir: str = ""
    backend: str = ""
    schema: tuple[ConfigKey, ...] = field(default=())

    @property
    def file(self) -> Path:
        return self.root / "Pulumi.yaml"

    @property
    def program(self) -> Path:
        """The directory, or the file, to run."""
        return self.root / self.main

    def config_file(self, stack: str) -> Path:
        return self.root / self.config_dir / f"Pulumi.{stack}.yaml"

    def qualified(self, key: str) -> str:
        return key if ":" in key else f"{self.name}:{key}"

    def merged(self, config: StackConfig) -> StackConfig:
        """The stack's config with the project's defaults where the stack is silent."""
        values = dict(config.values)
        for key in self.schema:
            if key.default is not None:
                values.setdefault(self.qualified(key.name), ConfigValue.of_default(key.default))
        return StackConfig(values)

    def validate(self, stack: str, merged: StackConfig, decrypt: Any) -> None:
        """Raise what Pulumi would say first: all missing values, then secrecy and type key by key."""
        names = [key.name for key in self.schema]
        missing = [
            n for n in names if self.qualified(n) not in merged.values and self.qualified(n).startswith(f"{self.name}:")
        ]
        if missing:
            plural = "values" if len(missing) > 1 else "value"
            raise EngineError(
                f"validating stack config: Stack '{stack}' is missing configuration {plural} {_listed(missing)}"
            )
        for key in self.schema:
            value = merged.values.get(self.qualified(key.name))
            if key.type is None or value is None:
                continue
            if key.secret and not value.secure:
                fault = "must be encrypted as it's secret"
            elif not _fits(value.content(decrypt), key.type, key.items):
                fault = f"must be of type '{_type_name(key.type, key.items)}'"
            else:
                continue
            raise EngineError(f"validating stack config: Stack '{stack}' with configuration key '{key.name}' {fault}")


def _listed(names: list[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    if len(quoted) == 1:
        return quoted[0]
    comma = "," if len(quoted) > 2 else ""
    return f"{', '.join(quoted[:-1])}{comma} and {quoted[-1]}"


def _type_name(kind: str, items: Mapping[str, Any] | None) -> str:
    return f"array<{_type_name(items['type'], items.get('items'))}>" if kind == "array" and items else kind


def _fits(content: Any, kind: str, items: Mapping[str, Any] | None) -> bool:
    match kind:
        case "string":
            return isinstance(content, str)
        case "integer":
            digits = content[1:] if isinstance(content, str) and content[:1] in ("-", "+") else content
            return digits.isdigit() if isinstance(digits, str) else type(content) is int
        case "boolean":
            return isinstance(content, bool) or content in ("true", "false")
        case "array":
            wanted = items or {"type": "object"}
            return isinstance(content, list) and all(
                _fits(item, wanted["type"], wanted.get("items")) for item in content
            )
        case "object":
            return isinstance(content, dict)
    return False


def find(start: Path) -> Project:
    """The project that `start` lies in."""
    for directory in (start, *start.parents):
        if (directory / "Pulumi.yaml").is_file():
            return load(directory)
    raise EngineError(
        "no Pulumi.yaml project file found (searching upwards from "
        f"{start}). If you have not created a project yet, use `pulumi new` to do so: no project file found"
    )


def load(root: Path) -> Project:
    import yaml

    path = root / "Pulumi.yaml"
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise EngineError(f"could not load {path}: {error}") from error
    if not isinstance(document, dict) or not document.get("name"):
        raise EngineError(f"could not load {path}: project is missing a 'name' attribute")
    if unknown := sorted(set(document) - KNOWN_KEYS):
        raise Refused(f"the project option {', '.join(unknown)} in {path}")
    runtime = document.get("runtime")
    name, options = (runtime.get("name"), runtime.get("options") or {}) if isinstance(runtime, dict) else (runtime, {})
    if name != "python":
        raise Refused(f"the runtime {name!r} in {path}", "it runs Python programs")
    if unknown := sorted(set(options) - KNOWN_RUNTIME_OPTIONS):
        raise Refused(f"the runtime option {', '.join(unknown)} in {path}")
    return Project(
        root=root,
        name=str(document["name"]),
        description=str(document.get("description") or ""),
        main=str(document.get("main") or ""),
        virtualenv=options.get("virtualenv"),
        config_dir=str(document.get("stackConfigDir") or ""),
        backend=str((document.get("backend") or {}).get("url") or ""),
        schema=tuple(_config_key(path, name, entry) for name, entry in sorted((document.get("config") or {}).items())),
    )


def _config_key(path: Path, name: str, entry: Any) -> ConfigKey:
    if not isinstance(entry, dict):
        return ConfigKey(name=name, default=entry)
    if unknown := sorted(set(entry) - {"type", "items", "default", "value", "description", "secret"}):
        raise EngineError(f"could not load {path}: config.{name}: additional properties {unknown} not allowed")
    default = entry.get("default", entry.get("value"))
    kind, items = entry.get("type"), entry.get("items")
    if kind is not None and default is not None and not _fits(default, kind, items):
        raise EngineError(
            f"could not load {path}: The default value specified for configuration key '{name}' "
            f"is not of the expected type '{_type_name(kind, items)}'"
        )
    return ConfigKey(name, kind, items, default, bool(entry.get("secret")))
