"""The command line: which commands and flags there are, and what was asked for. All else is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.engine.errors import EngineError, Refused

# Flags by kind. A flag in IGNORED is one that changes only how the real CLI talks, logs or traces.
GLOBAL = {"cwd": str, "non-interactive": bool, "color": str, "emoji": bool}
IGNORED = {
    "logtostderr": bool,
    "logflow": bool,
    "verbose": int,
    "disable-integrity-checking": bool,
    "fully-qualify-stack-names": bool,
    "tracing": str,
    "otel-traces": str,
    "profiling": str,
    "memprofilerate": int,
    "exec-agent": str,
    "suppress-progress": bool,
    "suppress-permalink": str,
    "show-config": bool,
    "show-reads": bool,
    "show-sames": bool,
    "show-full-output": bool,
    "show-replacement-steps": bool,
    "show-policy-remediations": bool,
    "tracing-header": str,
}
SHORT = {
    "C": "cwd",
    "s": "stack",
    "y": "yes",
    "f": "skip-preview",
    "m": "message",
    "p": "parallel",
    "j": "json",
    "d": "debug",
    "i": "show-secrets",
    "v": "verbose",
    "e": "emoji",
}
OPERATION = {
    "stack": str,
    "yes": bool,
    "message": str,
    "parallel": int,
    "skip-config-validation": bool,
    "expect-no-changes": bool,
    "skip-preview": bool,
    "suppress-outputs": bool,
    "show-secrets": bool,
    "event-log": str,
    "exec-kind": str,
    "debug": bool,
    "diff": bool,
    "run-program": bool,
}
# What the real CLI knows on these commands and this one does not; named so that PULUMI_OPTION_... can't slip them in.
UNSUPPORTED = (
    "attach-debugger",
    "client",
    "config",
    "config-file",
    "config-path",
    "continue-on-error",
    "exclude",
    "exclude-dependents",
    "exclude-protected",
    "import-file",
    "import-pending-creates",
    "clear-pending-creates",
    "neo",
    "plan",
    "policy-pack",
    "policy-pack-config",
    "refresh",
    "remote",
    "remove",
    "replace",
    "save-plan",
    "secrets-provider",
    "strict",
    "target",
    "target-dependents",
    "target-replace",
)
STACK = {"stack": str}
COMMANDS: Mapping[tuple[str, ...], Mapping[str, type]] = {
    ("version",): {},
    ("help",): {},
    ("login",): {"local": bool},
    ("logout",): {"all": bool},
    ("whoami",): {"json": bool},
    ("about",): {**STACK, "json": bool},
    ("plugin", "ls"): {"json": bool, "project": bool},
    ("cancel",): {**STACK, "yes": bool},
    ("stack",): {**STACK, "show-urns": bool, "show-ids": bool, "show-secrets": bool, "show-name": bool},
    ("stack", "init"): {**STACK, "no-select": bool, "secrets-provider": str},
    ("stack", "select"): {**STACK, "create": bool, "secrets-provider": str},
    ("stack", "unselect"): {},
    ("stack", "ls"): {"json": bool, "all": bool},
    ("stack", "rm"): {**STACK, "yes": bool, "force": bool, "preserve-config": bool},
    ("stack", "output"): {**STACK, "json": bool, "show-secrets": bool},
    ("stack", "export"): {**STACK, "file": str, "show-secrets": bool},
    ("stack", "import"): {**STACK, "file": str, "force": bool},
    ("stack", "history"): {
        **STACK,
        "json": bool,
        "show-secrets": bool,
        "page-size": int,
        "page": int,
        "full-dates": bool,
    },
    ("config",): {**STACK, "json": bool, "show-secrets": bool},
    ("config", "get"): {**STACK, "json": bool, "path": bool},
    ("config", "set"): {**STACK, "path": bool, "plaintext": bool, "secret": bool, "type": str},
    ("config", "rm"): {**STACK, "path": bool},
    ("config", "set-all"): {**STACK, "path": bool, "plaintext": list, "secret": list, "json": str},
    ("config", "rm-all"): {**STACK, "path": bool},
    ("config", "refresh"): {**STACK, "force": bool},
    ("preview",): {**OPERATION, "json": bool},
    ("up",): OPERATION,
    ("refresh",): {**OPERATION, "preview-only": bool},
    ("destroy",): {**OPERATION, "preview-only": bool},
}
ALIASES = {
    "update": "up",
    "pre": "preview",
    "dn": "destroy",
    "down": "destroy",
    "rf": "refresh",
    "conf": "config",
    "cfg": "config",
}
SUBALIASES = {"list": "ls", "remove": "rm", "sel": "select"}


@dataclass(frozen=True)
class Options:
    """One command line, understood."""

    command: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    flags: Mapping[str, object] = field(default_factory=dict)

    def is_set(self, name: str) -> bool:
        return bool(self.flags.get(name))

    def text(self, name: str) -> str | None:
        value = self.flags.get(name)
        return None if value is None else str(value)

    def number(self, name: str, default: int) -> int:
        value = self.flags.get(name)
        return value if isinstance(value, int) else default

    def many(self, name: str) -> list[str]:
        value = self.flags.get(name)
        return value if isinstance(value, list) else []


OWN_VARIABLES = {"run-program": "PULUMI_RUN_PROGRAM"}
"""Flags that the real CLI also takes from a variable of another name."""


def parse(argv: list[str], environment: Mapping[str, str]) -> Options:
    """Understand `argv`; the environment's `PULUMI_OPTION_<FLAG>` stand for flags that are not given."""
    words, given, literal = _split(argv)
    command, arguments = _command(words)
    kinds = {**GLOBAL, **IGNORED, **COMMANDS[command]}
    flags: dict[str, object] = {}
    for name, value in given:
        if name not in kinds:
            if name in UNSUPPORTED:
                raise Refused(f"the flag --{name} of `pulumi {' '.join(command)}`")
            raise EngineError(f"unknown flag: --{name}")
        _set(flags, name, value, kinds[name])
    operation = command[-1] in ("up", "preview", "destroy", "refresh") and len(command) == 1
    for name in (*kinds, *(UNSUPPORTED if operation else ())):
        value = environment.get(f"PULUMI_OPTION_{name.upper().replace('-', '_')}")
        if value is None and name in OWN_VARIABLES:
            value = environment.get(OWN_VARIABLES[name])
        if value is None or name in flags:
            continue
        if name not in kinds:
            raise Refused(f"PULUMI_OPTION_{name.upper().replace('-', '_')}")
        _set(flags, name, value, kinds[name])
    return Options(command, (*arguments, *literal), flags)


def _split(argv: list[str]) -> tuple[list[str], list[tuple[str, str | None]], list[str]]:
    """The bare words, the flags, and what follows `--`. Whether a flag takes the next word depends on its kind."""
    every: dict[str, type] = {**GLOBAL, **IGNORED}
    for kinds in COMMANDS.values():
        every |= {name: kind for name, kind in kinds.items() if name not in every or kind is not bool}
    words: list[str] = []
    flags: list[tuple[str, str | None]] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return words, flags, rest
        if word in ("-h", "--help"):
            words.insert(0, "help")
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = word.lstrip("-").partition("=")
            name = name if word.startswith("--") else SHORT.get(name, name)
            takes_value = _kind(name, words, every) is not bool
            if not equals and takes_value:
                if not rest:
                    raise EngineError(f"flag needs an argument: --{name}")
                flags.append((name, rest.pop(0)))
            else:
                flags.append((name, value if equals else None))
        else:
            words.append(word)
    return words, flags, []


def _kind(name: str, words: list[str], every: Mapping[str, type]) -> type:
    # The same flag may take a value on one command and none on another (`config set --plaintext`, `config set-all`).
    for length in (2, 1):
        known = COMMANDS.get(tuple(_canonical(words)[:length]))
        if known is not None and name in known:
            return known[name]
    return every.get(name, bool)


def _canonical(words: list[str]) -> list[str]:
    first = [ALIASES.get(words[0], words[0])] if words else []
    return first + [SUBALIASES.get(word, word) for word in words[1:2]] + words[2:]


def _command(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    words = _canonical(words)
    if not words:
        return ("help",), []
    if tuple(words[:2]) in COMMANDS:
        return tuple(words[:2]), words[2:]
    if tuple(words[:1]) in COMMANDS:
        has_subcommands = any(len(command) == 2 and command[0] == words[0] for command in COMMANDS)
        if has_subcommands and len(words) > 1:
            raise Refused(f"the command `pulumi {words[0]} {words[1]}`")
        return (words[0],), words[1:]
    raise Refused(f"the command `pulumi {words[0]}`")


def _set(flags: dict[str, object], name: str, value: str | None, kind: type) -> None:
    if kind is bool:
        if value not in (None, "", "true", "false", "1", "0", "t", "f"):
            raise EngineError(f'invalid argument "{value}" for "--{name}" flag: a boolean is true or false')
        flags[name] = value in (None, "true", "1", "t")
    elif kind is int:
        if value is None or not value.removeprefix("-").isdigit():
            raise EngineError(f'invalid argument "{value}" for "--{name}" flag: an integer is wanted')
        flags[name] = int(value)
    elif kind is list:
        held = flags.setdefault(name, [])
        assert isinstance(held, list)
        held.append(value or "")
    else:
        flags[name] = value or ""
