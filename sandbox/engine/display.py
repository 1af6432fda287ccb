"""What a person sees of an operation: a line for each step as it happens, then diagnostics, outputs, counts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

from sandbox.engine.checkpoint import STACK_TYPE
from sandbox.engine.events import Event
from sandbox.engine.properties import UNKNOWN_STRING

# Operation -> its sign, what it is while under way, what it then was, what a preview calls it.
WORDS = {
    "create": ("+ ", "creating", "created", "create"),
    "update": ("~ ", "updating", "updated", "update"),
    "delete": ("- ", "deleting", "deleted", "delete"),
    "replace": ("+-", "replacing", "replaced", "replace"),
    "create-replacement": ("++", "creating replacement", "created replacement", "create replacement"),
    "delete-replaced": ("--", "deleting original", "deleted original", "delete original"),
    "import": ("= ", "importing", "imported", "import"),
    "read": ("> ", "reading", "read", "read"),
    "discard": ("< ", "discarding", "discarded", "discard"),
    "refresh": ("~ ", "refreshing", "", "refresh"),
    "same": ("  ", "", "", ""),
}
COUNTED = ("create", "update", "delete", "replace", "import", "read")


class Progress:
    """Prints events as they come, and keeps the diagnostics for the end."""

    def __init__(self, out: TextIO, *, stack_name: str, dry_run: bool, shows_properties: bool) -> None:
        self._out, self._stack_name, self._dry_run = out, stack_name, dry_run
        self._shows_properties = shows_properties
        self._begun: dict[str, float] = {}
        self._lock = threading.Lock()
        self._diagnostics: dict[str, list[str]] = {}
        self._errored: set[str] = set()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if payload := event.get("diagnosticEvent"):
                self._says(payload)
            for kind, tell in (
                ("resourcePreEvent", self._starts),
                ("resOutputsEvent", self._ends),
                ("resOpFailedEvent", self._fails),
            ):
                if (payload := event.get(kind)) and not _is_hidden(payload["metadata"]):
                    tell(payload["metadata"])
            self._out.flush()

    def _starts(self, metadata: Event) -> None:
        op, urn = metadata["op"], metadata["urn"]
        self._begun[urn] = time.monotonic()
        if self._dry_run and op != "refresh":
            self._line(op, urn, WORDS[op][3], _diff(metadata))
        elif op != "replace":
            self._line(op, urn, f"{WORDS[op][1]} (0s)", _diff(metadata))
        if self._shows_properties and metadata["new"]:
            old = (metadata["old"] or metadata["new"] if op == "update" else metadata["new"])["inputs"]
            self._out.write("".join(f"{line}\n" for line in changed_lines(old, metadata["new"]["inputs"], 8)))

    def _ends(self, metadata: Event) -> None:
        if self._dry_run:
            return
        seconds = time.monotonic() - self._begun.get(metadata["urn"], time.monotonic())
        took = f"{seconds:.2f}s" if seconds < 1 else f"{seconds:.0f}s"
        self._line(metadata["op"], metadata["urn"], f"{WORDS[metadata['op']][2]} ({took})", _diff(metadata))

    def _fails(self, metadata: Event) -> None:
        self._line(metadata["op"], metadata["urn"], f"**{WORDS[metadata['op']][1]} failed**", _diff(metadata))

    def _says(self, payload: Event) -> None:
        message = payload.get("prefix", "") + payload["message"].rstrip("\n")
        urn = payload.get("urn", "")
        if payload["severity"] == "error":
            self._errored.add(urn)
        if not payload.get("ephemeral"):
            self._diagnostics.setdefault(urn, []).append(message)
        for line in message.splitlines():
            self._line("same", urn, "", line)

    def _line(self, op: str, urn: str, status: str, info: str = "") -> None:
        self._out.write(f" {WORDS[op][0]} {' '.join(self._label(urn))} {status} {info}".rstrip() + "\n")

    def _label(self, urn: str) -> tuple[str, str]:
        if not urn:
            return STACK_TYPE, self._stack_name
        kind, _, name = urn.split("::", 2)[2].partition("::")
        package, module, member = kind.rpartition("$")[2].split(":")
        return f"{package}:{module.partition('/')[0]}:{member}", name

    def finish(self, changes: Mapping[str, int], outputs: list[str], seconds: float | None) -> None:
        write = self._out.write
        if self._diagnostics:
            write("Diagnostics:\n")
            for urn, messages in self._diagnostics.items():
                kind, name = self._label(urn)
                write(f"  {kind} ({name}):\n")
                for line in "\n".join(messages).split("\n"):
                    write(f"    {line}".rstrip() + "\n")
                write("\n")
        elif outputs or changes:
            write("\n")
        if outputs:
            write("Outputs:\n" + "".join(f"{line}\n" for line in outputs) + "\n")
        if changes or (self._errored and seconds is not None):
            write("Resources:\n" + "".join(f"    {line}\n" for line in self._counts(changes)) + "\n")
        if seconds is not None:
            write(f"Duration: {seconds:.0f}s\n\n")
        self._out.flush()

    def _counts(self, changes: Mapping[str, int]) -> list[str]:
        counts = {op: changes[op] for op in COUNTED if changes.get(op)}
        lines = [
            f"{WORDS[op][0]}{count} {f'to {op}' if self._dry_run else WORDS[op][2]}" for op, count in counts.items()
        ]
        rest = [f"{sum(counts.values())} changes."] if len(counts) > 1 else []
        rest += [f"{changes['same']} unchanged"] if changes.get("same") else []
        errored = [f"{len(self._errored)} errored"] if self._errored else []
        return [*lines, *([" ".join(rest)] if rest else []), *errored]


def _is_hidden(metadata: Event) -> bool:
    kind, _, name = metadata["urn"].split("::", 2)[2].partition("::")
    is_default_provider = kind.startswith("pulumi:providers:") and name.startswith("default")
    return metadata["op"] in ("same", "read", "discard") or is_default_provider


def _diff(metadata: Event) -> str:
    diffs = metadata.get("diffs") or ()
    if not diffs or metadata["op"] not in ("update", "replace", "create-replacement"):
        return ""
    old, new = metadata["old"] or {}, metadata["new"] or {}
    marks = []
    for name in sorted({str(d).partition(".")[0].partition("[")[0] for d in diffs}):
        was, now = name in old.get("inputs", {}), name in new.get("inputs", {})
        marks.append(("~" if was == now else "+" if now else "-") + name)
    return f"[diff: {','.join(marks)}]"


# Properties, and the stack's outputs.


def output_lines(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[str]:
    """The outputs as lines; what differs from `old` is marked. With `old=None` there was no stack before."""
    return changed_lines(new if old is None else old, new, 4)


def changed_lines(old: Mapping[str, Any], new: Mapping[str, Any], indent: int) -> list[str]:
    width = max((len(key) for key in {*old, *new}), default=0)
    lines = []
    for key in sorted({*old, *new}):
        label, was, now = key.ljust(width), old.get(key), new.get(key)
        if key not in new:
            lines += _property("-", label, was, indent)
        elif key not in old:
            lines += _property("+", label, now, indent)
        elif was == now:
            lines += _property(" ", label, now, indent)
        elif isinstance(was, dict) and isinstance(now, dict):
            inner = changed_lines(was, now, indent + 4)
            lines += [f"{' ' * (indent - 2)}~ {label}: {{", *inner, f"{' ' * indent}}}"]
        elif isinstance(was, dict | list) or isinstance(now, dict | list):
            lines += [_property("~", label, now, indent)[0], *_property(" ", label, now, indent)[1:]]
        else:
            lines.append(f"{' ' * (indent - 2)}~ {label}: {_scalar(was)} => {_scalar(now)}")
    return lines


def _property(sign: str, label: str, value: Any, indent: int) -> list[str]:
    """A property and all that is in it, every line with the sign."""
    lead = f"{' ' * (indent - 2)}{sign} {label}: "
    if not isinstance(value, dict | list) or not value:
        return [f"{lead}{_scalar(value)}"]
    items = sorted(value.items()) if isinstance(value, dict) else [(f"[{n}]", item) for n, item in enumerate(value)]
    width = max(len(name) for name, _ in items)
    inner = [line for name, item in items for line in _property(sign, name.ljust(width), item, indent + 4)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return [f"{lead}{opening}", *inner, f"{' ' * indent}{closing}"]


def _scalar(value: Any) -> str:
    if value == UNKNOWN_STRING:
        return "[unknown]"
    return "[secret]" if value == "[secret]" else json.dumps(value, ensure_ascii=False)
