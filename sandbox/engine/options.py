"""The command line: which commands and flags there are, and what was asked for. All else is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.engine.errors import EngineError, Refused

# The last character of a flag is its kind: `=` takes text, `#` a number, `*` text, repeatedly; else it is a switch.
EVERYWHERE = "cwd= non-interactive color= emoji"
# These change only how the real CLI talks, logs or traces.
IGNORED = """logtostderr logflow verbose# disable-integrity-checking fully-qualify-stack-names tracing= otel-traces=
    profiling= memprofilerate# exec-agent= suppress-progress suppress-permalink= show-config show-reads show-sames
    show-full-output show-replacement-steps show-policy-remediations tracing-header="""
OPERATION = """stack= yes message= parallel# skip-config-validation expect-no-changes skip-preview suppress-outputs
    show-secrets event-log= exec-kind= debug diff run-program"""
# What the real CLI knows on operations and this one does not; named so that PULUMI_OPTION_... can't slip them in.
UNSUPPORTED = """attach-debugger client config config-file config-path continue-on-error exclude exclude-dependents
    exclude-protected import-file import-pending-creates clear-pending-creates neo plan policy-pack policy-pack-config
    refresh remote remove replace save-plan secrets-provider strict target target-dependents target-replace"""
SHORT = {"C": "cwd", "s": "stack", "y": "yes", "f": "skip-preview", "m": "message", "p": "parallel", "j": "json"}
SHORT |= {"d": "debug", "i": "show-secrets", "v": "verbose", "e": "emoji"}
# Command -> how many arguments it takes at most, and its flags.
COMMANDS: Mapping[str, tuple[int, str]] = {
    "help": (9, ""),
    "version": (0, ""),
    "login": (1, "local"),
    "logout": (1, "all"),
    "whoami": (0, "json"),
    "cancel": (1, "stack= yes"),
    "stack": (0, "stack= show-urns show-ids show-secrets show-name"),
    "stack init": (1, "stack= no-select secrets-provider="),
    "stack select": (1, "stack= create secrets-provider="),
    "stack ls": (0, "json all"),
    "stack rm": (1, "stack= yes force preserve-config"),
    "stack output": (1, "stack= json show-secrets"),
    "stack export": (0, "stack= file= show-secrets"),
    "stack import": (0, "stack= file= force"),
    "stack history": (0, "stack= json show-secrets page-size# page# full-dates"),
    "config": (0, "stack= json show-secrets"),
    "config get": (1, "stack= json path"),
    "config set": (2, "stack= path plaintext secret"),
    "config rm": (1, "stack= path config-file="),
    "config set-all": (0, "stack= path plaintext* secret* json= config-file="),
    "config rm-all": (99, "stack= path config-file="),
    "config refresh": (0, "stack= force"),
    "preview": (0, OPERATION + " json config-file="),
    "up": (0, OPERATION),
    "refresh": (0, OPERATION + " preview-only clear-pending-creates"),
    "destroy": (0, OPERATION + " preview-only"),
}
OPERATIONS = ("preview", "up", "refresh", "destroy")
ALIASES = {"update": "up", "pre": "preview", "dn": "destroy", "down": "destroy", "conf": "config", "cfg": "config"}
# Flags that the real CLI also takes from a variable of another name than PULUMI_OPTION_<FLAG>.
OWN_VARIABLES = {"run-program": "PULUMI_RUN_PROGRAM"}


@dataclass(frozen=True)
class Options:
    """One command line, understood."""

    command: str
    arguments: tuple[str, ...] = ()
    flags: Mapping[str, object] = field(default_factory=dict)

    @property
    def argument(self) -> str | None:
        return self.arguments[0] if self.arguments else None

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


def parse(argv: list[str], environment: Mapping[str, str]) -> Options:
    """Understand `argv`; the environment's `PULUMI_OPTION_<FLAG>` stand for flags that are not given."""
    if not argv or {"-h", "--help"} & set(argv):
        return Options("help")
    command, words = _command(argv)
    most, names = COMMANDS[command]
    kinds = _kinds(f"{EVERYWHERE} {IGNORED} {names}")
    flags: dict[str, object] = {}
    arguments: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            arguments += words
            break
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            continue
        name, value = _flag(word)
        if name not in kinds and name in UNSUPPORTED.split():
            raise Refused(f"the flag --{name} of `pulumi {command}`")
        if name not in kinds:
            raise EngineError(f"unknown flag: --{name}")
        if value is None and kinds[name] and not words:
            raise EngineError(f"flag needs an argument: --{name}")
        _set(flags, name, value if value is not None else words.pop(0) if kinds[name] else "true", kinds[name])
    if len(arguments) > most:
        raise Refused(f"`pulumi {command}` with the argument {arguments[most]!r}")
    for name in (*kinds, *(UNSUPPORTED.split() if command in OPERATIONS else ())):
        variable = f"PULUMI_OPTION_{name.upper().replace('-', '_')}"
        value = environment.get(variable, environment.get(OWN_VARIABLES.get(name, "")))
        if value is None or name in flags:
            continue
        if name not in kinds:
            raise Refused(variable)
        _set(flags, name, value, kinds[name])
    return Options(command, tuple(arguments), flags)


def _kinds(names: str) -> dict[str, str]:
    """The flags by name: what they take, nothing for a switch."""
    return {name.rstrip("=#*"): name[-1] if name[-1] in "=#*" else "" for name in names.split()}


def _flag(word: str) -> tuple[str, str | None]:
    name, equals, value = word.lstrip("-").partition("=")
    return name if word.startswith("--") else SHORT.get(name, name), value if equals else None


def _command(argv: list[str]) -> tuple[str, list[str]]:
    """The command, before which only flags of every command stand, and all the other words."""
    rest, before = list(argv), []
    anywhere = _kinds(f"{EVERYWHERE} {IGNORED}")
    while rest and rest[0].startswith("-"):
        before.append(rest.pop(0))
        name, value = _flag(before[-1])
        if value is None and anywhere.get(name) and rest:
            before.append(rest.pop(0))
    if not rest:
        return "help", before
    first = ALIASES.get(rest[0], rest[0])
    if (both := " ".join([first, *rest[1:2]])) in COMMANDS:
        return both, before + rest[1 + both.count(" ") :]
    if first not in COMMANDS:
        raise Refused(f"the command `pulumi {first}`")
    if rest[1:] and not rest[1].startswith("-") and any(name.startswith(f"{first} ") for name in COMMANDS):
        raise Refused(f"the command `pulumi {both}`")
    return first, before + rest[1:]


def _set(flags: dict[str, object], name: str, value: str, kind: str) -> None:
    if kind == "=":
        flags[name] = value
    elif kind == "*":
        held = flags.setdefault(name, [])
        assert isinstance(held, list)
        held.append(value)
    elif kind == "#":
        if not value.removeprefix("-").isdigit():
            raise EngineError(f'invalid argument "{value}" for "--{name}" flag: an integer is wanted')
        flags[name] = int(value)
    else:
        if value not in ("", "true", "false", "1", "0", "t", "f"):
            raise EngineError(f'invalid argument "{value}" for "--{name}" flag: a boolean is true or false')
        flags[name] = value in ("true", "1", "t")
