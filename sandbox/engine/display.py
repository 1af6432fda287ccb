"""What a person sees of an operation: a line for each step as it happens, then diagnostics, outputs, counts."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, TextIO

from sandbox.engine.checkpoint import STACK_TYPE
from sandbox.engine.events import Event
from sandbox.engine.properties import UNKNOWN_STRING

SIGNS = {
    "create": "+ ",
    "update": "~ ",
    "delete": "- ",
    "replace": "+-",
    "create-replacement": "++",
    "delete-replaced": "--",
    "read": "> ",
    "refresh": "~ ",
    "same": "  ",
}
DOING = {
    "create": ("creating", "created"),
    "update": ("updating", "updated"),
    "delete": ("deleting", "deleted"),
    "replace": ("replacing", "replaced"),
    "create-replacement": ("creating replacement", "created replacement"),
    "delete-replaced": ("deleting original", "deleted original"),
    "read": ("reading", "read"),
    "refresh": ("refreshing", ""),
}
PLANNED = {"create-replacement": "create replacement", "delete-replaced": "delete original"}
ORDER = ("create", "update", "delete", "replace", "read")
DONE_COUNTS = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced", "read": "read"}


class Progress:
    """Prints events as they come, and keeps the diagnostics for the end."""

    def __init__(self, out: TextIO, *, stack_name: str, dry_run: bool, clock: Any) -> None:
        self._out, self._stack_name, self._dry_run, self._clock = out, stack_name, dry_run, clock
        self._begun: dict[str, float] = {}
        self._lock = threading.Lock()
        self._diagnostics: dict[str, list[str]] = {}
        self._errored: set[str] = set()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if payload := event.get("resourcePreEvent"):
                self._starts(payload["metadata"])
            elif payload := event.get("resOutputsEvent"):
                self._ends(payload["metadata"])
            elif payload := event.get("resOpFailedEvent"):
                self._fails(payload["metadata"])
            elif payload := event.get("diagnosticEvent"):
                self._says(payload)
            self._out.flush()

    def _starts(self, metadata: Event) -> None:
        op = metadata["op"]
        self._begun[metadata["urn"]] = self._clock()
        if op in ("same", "read") or _is_hidden(metadata["urn"]):
            return
        if self._dry_run and op != "refresh":
            planned = PLANNED.get(str(op), str(op))
            self._line(op, metadata["urn"], planned, _diff(metadata))
        elif op != "replace":
            self._line(op, metadata["urn"], f"{DOING[op][0]} (0s)", _diff(metadata))

    def _ends(self, metadata: Event) -> None:
        op = metadata["op"]
        if op in ("same", "read") or self._dry_run or _is_hidden(metadata["urn"]):
            return
        seconds = self._clock() - self._begun.get(metadata["urn"], self._clock())
        took = f"{seconds:.2f}s" if seconds < 1 else f"{seconds:.0f}s"
        self._line(op, metadata["urn"], f"{DOING[op][1]} ({took})", _diff(metadata))

    def _fails(self, metadata: Event) -> None:
        op = metadata["op"]
        self._line(op, metadata["urn"], f"**{DOING[op][0]} failed**", _diff(metadata))

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
        kind, name = _label(urn) if urn else (STACK_TYPE, self._stack_name)
        self._out.write(f" {SIGNS[op]} {kind} {name} {status} {info}".rstrip() + "\n")

    def finish(self, changes: Mapping[str, int], outputs: list[str], seconds: float | None) -> None:
        out = self._out
        if self._diagnostics:
            out.write("Diagnostics:\n")
            for urn, messages in self._diagnostics.items():
                kind, name = _label(urn) if urn else (STACK_TYPE, self._stack_name)
                out.write(f"  {kind} ({name}):\n")
                for message in messages:
                    out.write("".join(f"    {line}\n" if line else "\n" for line in message.split("\n")))
                out.write("\n")
        elif outputs or changes:
            out.write("\n")
        if outputs:
            out.write("Outputs:\n" + "".join(f"{line}\n" for line in outputs) + "\n")
        if changes or (self._errored and seconds is not None):
            out.write(
                "Resources:\n"
                + "".join(f"    {line}\n" for line in _counts(changes, self._dry_run, len(self._errored)))
                + "\n"
            )
        if seconds is not None:
            out.write(f"Duration: {seconds:.0f}s\n\n")
        out.flush()


def _counts(changes: Mapping[str, int], dry_run: bool, errors: int) -> list[str]:
    lines, total, kinds = [], 0, 0
    for op in ORDER:
        if count := changes.get(op, 0):
            kinds += 1
            total += count
            verb = f"to {op}" if dry_run else DONE_COUNTS[op]
            lines.append(f"{SIGNS[op]}{count} {verb}")
    rest = [f"{total} change{'s' if total > 1 else ''}."] if kinds > 1 else []
    if same := changes.get("same", 0):
        rest.append(f"{same} unchanged")
    lines += [" ".join(rest)] if rest else []
    return [*lines, f"{errors} errored"] if errors else lines


def _is_hidden(urn: str) -> bool:
    kind, _, name = urn.split("::", 2)[2].partition("::")
    return kind.startswith("pulumi:providers:") and name.startswith("default")


def _label(urn: str) -> tuple[str, str]:
    kind, _, name = urn.split("::", 2)[2].partition("::")
    package, module, member = kind.rpartition("$")[2].split(":")
    return f"{package}:{module.partition('/')[0]}:{member}", name


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


# Stack outputs, and the properties of `preview --diff`.


def render_outputs(old: Mapping[str, Any] | None, new: Mapping[str, Any], *, changed_only: bool = False) -> list[str]:
    """The outputs as lines; what differs from `old` is marked. With `old=None` there was no stack before."""
    if old is None:
        return render_object(new, 4)
    if changed_only:
        differing = {key for key in {*old, *new} if old.get(key) != new.get(key)}
        old, new = ({k: v for k, v in side.items() if k in differing} for side in (old, new))
    return _changed_object(old, new, 4)


def render_object(value: Mapping[str, Any], indent: int) -> list[str]:
    width = max((len(key) for key in value), default=0)
    lines = []
    for key in sorted(value):
        lines += _entry(" " * indent, key.ljust(width), value[key], indent)
    return lines


def _marked(sign: str, key: str, value: Any, indent: int) -> list[str]:
    """A property that is wholly new, or wholly gone: every line of it bears the sign."""
    lead = f"{' ' * (indent - 2)}{sign} "
    if isinstance(value, dict | list) and value:
        items = sorted(value.items()) if isinstance(value, dict) else [(f"[{n}]", item) for n, item in enumerate(value)]
        width = max(len(name) for name, _ in items)
        inner = [line for name, item in items for line in _marked(sign, name.ljust(width), item, indent + 4)]
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return [f"{lead}{key}: {opening}", *inner, f"{' ' * indent}{closing}"]
    return [f"{lead}{key}: {_scalar(value)}"]


def _entry(lead: str, key: str, value: Any, indent: int) -> list[str]:
    if isinstance(value, dict) and value:
        return [f"{lead}{key}: {{", *render_object(value, indent + 4), f"{' ' * indent}}}"]
    if isinstance(value, list) and value:
        items = []
        for number, item in enumerate(value):
            items += _entry(" " * (indent + 4), f"[{number}]", item, indent + 4)
        return [f"{lead}{key}: [", *items, f"{' ' * indent}]"]
    return [f"{lead}{key}: {_scalar(value)}"]


def _changed_object(old: Mapping[str, Any], new: Mapping[str, Any], indent: int) -> list[str]:
    width = max((len(key) for key in {*old, *new}), default=0)
    lines = []
    for key in sorted({*old, *new}):
        label = key.ljust(width)
        if key not in new:
            lines += _marked("-", label, old[key], indent)
        elif key not in old:
            lines += _marked("+", label, new[key], indent)
        elif old[key] == new[key]:
            lines += _entry(" " * indent, label, new[key], indent)
        elif isinstance(old[key], dict) and isinstance(new[key], dict):
            inner = _changed_object(old[key], new[key], indent + 4)
            lines += [f"{' ' * (indent - 2)}~ {label}: {{", *inner, f"{' ' * indent}}}"]
        elif isinstance(old[key], dict | list) or isinstance(new[key], dict | list):
            lines += _entry(f"{' ' * (indent - 2)}~ ", label, new[key], indent)
        else:
            lines.append(f"{' ' * (indent - 2)}~ {label}: {_scalar(old[key])} => {_scalar(new[key])}")
    return lines


def _scalar(value: Any) -> str:
    import json

    if value == UNKNOWN_STRING:
        return "[unknown]"
    return "[secret]" if value == "[secret]" else json.dumps(value, ensure_ascii=False)


class DiffView:
    """`preview --diff`: each step with its properties, as a tree below the stack."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = out, err
        self._errored: set[str] = set()

    def __call__(self, event: Event) -> None:
        if payload := event.get("resourcePreEvent"):
            self._step(payload["metadata"])
        elif payload := event.get("diagnosticEvent"):
            if payload["severity"] == "error":
                self._errored.add(payload.get("urn", ""))
            self._err.write(payload.get("prefix", "") + payload["message"])

    def _step(self, metadata: Event) -> None:
        op = metadata["op"]
        is_stack = metadata["type"] == STACK_TYPE
        if _is_hidden(metadata["urn"]) or (op == "same" and not is_stack):
            return
        indent = 2 if is_stack else 6
        lead = " " * (indent - 2) if not is_stack else ""
        subject = metadata["new"] or metadata["old"]
        lines = [f"{lead}{SIGNS[op]}{metadata['type']}: ({PLANNED.get(op, op)})"]
        if subject["id"] or (metadata["old"] and metadata["old"]["id"]):
            lines.append(f"{' ' * (indent + 2)}[id={(metadata['old'] or subject)['id']}]")
        lines.append(f"{' ' * (indent + 2)}[urn={metadata['urn']}]")
        if subject["provider"]:
            lines.append(f"{' ' * (indent + 2)}[provider={subject['provider']}]")
        if op == "update":
            old = metadata["old"]["inputs"]
            changed = {k for k in {*old, *subject["inputs"]} if old.get(k) != subject["inputs"].get(k)}
            lines += _changed_object(
                {k: v for k, v in old.items() if k in changed},
                {k: v for k, v in subject["inputs"].items() if k in changed},
                indent + 2,
            )
        elif op != "same":
            lines += render_object(subject["inputs"], indent + 2)
        self._out.write("".join(f"{line}\n" for line in lines))

    def finish(self, changes: Mapping[str, int], outputs: list[str], seconds: float | None) -> None:
        if outputs:
            self._out.write("    --outputs:--\n" + "".join(f"{line}\n" for line in outputs))
        self._out.write(
            "Resources:\n" + "".join(f"    {line}\n" for line in _counts(changes, True, len(self._errored))) + "\n"
        )
        self._out.flush()
