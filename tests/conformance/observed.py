"""What is seen of one step on an engine, in a form that two engines can be compared by.

Left out, as they say nothing about what an engine does: times, source positions, the engine's version, debug messages,
what Python prints on standard error, and the real engine's warning that it took a plugin from PATH.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

Record = dict[str, Any]
SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN_PREFIXES = ("04da6b54-", "3eeb2bf0-", "6a19a0b0-", "030794c1-", "e48ece36-", "dd056dcd-")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = "2026-01-01T00:00:00Z"
MANIFEST = {"time": TIME, "magic": "", "version": ""}
NOT_COMPARED = {"sourcePosition", "stackTrace"}


def stable_state(document: Record) -> Record:
    """The state with fixed times and provider ids; an engine can go on from it."""
    names = itertools.count(1)
    # Numbered by name, as the order of the resources differs from run to run.
    providers = sorted((r["urn"], r["id"]) for r in _resources(document) if "pulumi:providers:" in r["type"])
    known = {id: str(uuid.UUID(int=next(names))) for _, id in providers}

    def fixed(match: re.Match[str]) -> str:
        if match[0].startswith(UNKNOWN_PREFIXES):
            return match[0]
        if match[0] not in known:
            known[match[0]] = str(uuid.UUID(int=next(names)))
        return known[match[0]]

    def walk(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return MANIFEST if key == "manifest" else {k: walk(v, k) for k, v in value.items() if k not in NOT_COMPARED}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if key in ("created", "modified") and isinstance(value, str):
            return TIME
        return UUID.sub(fixed, value) if isinstance(value, str) else value

    result: Record = walk(document)
    return result


def name_of(urn: str) -> str:
    return urn.rpartition("::")[2]


def operations_of(calls: list[dict[str, str]], states: list[Record]) -> Record:
    """What the provider was asked of each thing, in order; and the order between things that depend on each other."""
    per_thing: dict[str, list[str]] = {}
    for call in calls:
        per_thing.setdefault(call["name"], []).append(call["call"])
    related = {
        (name_of(above), name_of(resource["urn"]))
        for state in states
        for resource in _resources(state)
        for above in [*resource.get("dependencies", ()), resource.get("parent", "")]
        if above
    }
    between = {
        f"{above} and {name}": [f"{c['call']} {c['name']}" for c in calls if c["name"] in (above, name)]
        for above, name in sorted(related)
        if above in per_thing and name in per_thing
    }
    return {"of": dict(sorted(per_thing.items())), "between": between}


def _resources(state: Record) -> list[Record]:
    latest = (state.get("checkpoint") or {}).get("latest") or state.get("deployment") or {}
    return latest.get("resources") or []


def events_of(events: Iterable[Record], root: Path) -> Record:
    steps: dict[str, list[Any]] = {}
    diagnostics: list[list[str]] = []
    others: list[Any] = []
    for event in events:
        kind = next(k for k in event if k not in ("sequence", "timestamp"))
        payload = event[kind]
        if metadata := payload.get("metadata") if isinstance(payload, dict) else None:
            steps.setdefault(name_of(metadata["urn"]), []).append({"kind": kind, **_metadata(metadata)})
        elif kind == "diagnosticEvent":
            message = plain_text(payload["message"], root)
            if payload["severity"] in ("info", "warning", "error") and not message.startswith("using pulumi-resource-"):
                diagnostics.append([payload["severity"], name_of(payload.get("urn", "")), message])
        else:
            others.append({kind: {k: v for k, v in payload.items() if k != "durationSeconds"}})
    return {"steps": dict(sorted(steps.items())), "diagnostics": sorted(diagnostics), "others": others}


def _metadata(metadata: Record) -> Record:
    kept = {key: value for key, value in metadata.items() if key not in ("urn", "type", "provider")}
    return stable_state({key: _event_state(value) if key in ("old", "new") else value for key, value in kept.items()})


def _event_state(state: Record | None) -> Record | None:
    if state is None:
        return None
    return {key: value for key, value in state.items() if key not in ("urn", "type", "custom", "provider")}


def preview_of(document: Record, root: Path) -> Record:
    steps: dict[str, list[Any]] = {}
    for step in document.get("steps") or ():
        steps.setdefault(name_of(step["urn"]), []).append(
            {k: v for k, v in step.items() if k not in ("urn", "provider")}
        )
    messages = sorted(
        plain_text(d["message"], root)
        for d in document.get("diagnostics") or ()
        if "using pulumi-resource-" not in d["message"] and d["severity"] != "info#err"
    )
    kept = {key: document[key] for key in ("config", "changeSummary") if key in document}
    return stable_state({**kept, "steps": dict(sorted(steps.items())), "diagnostics": messages})


def plain_text(text: str, root: Path) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m|<\{%[^%]*%\}>", "", text).replace(str(root), "ROOT")
    text = re.sub(r"(?s)Traceback .*\n(?=\S)", "Traceback...\n", text)
    return re.sub(r"by \S+@\S+ \(pid \d+\) at \S+", "by WHOM", UUID.sub("UUID", text)).strip()


def error_lines(text: str, root: Path) -> list[str]:
    return [line.strip() for line in plain_text(text, root).splitlines() if line.strip().startswith("error:")]


def comparable(record: Record) -> Record:
    """The record as it is compared: resources by name, secrets as such."""
    state = record["state"]
    latest = (state["checkpoint"] or {}).get("latest") or {}
    resources = latest.get("resources") or []
    shown: Record = {}
    for resource in resources:
        name = name_of(resource["urn"]) + (" (to be deleted)" if resource.get("delete") else "")
        resource = {
            **resource,
            "dependencies": sorted(resource.get("dependencies", ())),
        }  # the program's order is chance
        shown[name if name not in shown else f"{name} (again)"] = resource
    pending = sorted((f"{op['type']} {name_of(op['resource']['urn'])}", op["resource"]) for op in _pending(latest))
    kept = {k: v for k, v in record.items() if k not in ("state", "things", "calls", "command", "export")}
    compared = {
        **kept,
        "state": {
            **{key: value for key, value in state.items() if key != "checkpoint"},
            "resources": shown,
            "is in order": _is_in_order(resources),
            "pending": dict(pending),
        },
    }
    if "export" in record:
        exported = record["export"]["deployment"] or {}
        is_the_state = (exported.get("resources"), exported.get("pending_operations")) == (
            latest.get("resources"),
            latest.get("pending_operations"),
        )
        compared["export"] = "the state" if is_the_state else record["export"]
    result: Record = _without_ciphertexts(compared)
    return result


def _pending(latest: Record) -> list[Record]:
    return latest.get("pending_operations") or []


def _is_in_order(resources: list[Record]) -> bool:
    """Whether every resource stands after what it depends on, as Pulumi demands."""
    seen: set[str] = set()
    for resource in resources:
        needed = {*resource.get("dependencies", ()), resource.get("parent", ""), resource.get("deletedWith", "")}
        needed |= {urn for urns in (resource.get("propertyDependencies") or {}).values() for urn in urns or ()}
        needed |= {resource.get("provider", "").rpartition("::")[0]}
        if not needed - {""} <= seen:
            return False
        seen.add(resource["urn"])
    return True


def _without_ciphertexts(value: Any) -> Any:
    if isinstance(value, dict):
        if "ciphertext" in value and SIGNATURE in value:
            return "(sealed)"
        return {key: _without_ciphertexts(item) for key, item in value.items()}
    return [_without_ciphertexts(item) for item in value] if isinstance(value, list) else value


Differences = dict[str, tuple[Any, Any]]
ABSENT = "(absent)"


def differences(real: Any, stand_in: Any, path: str = "") -> Differences:
    """Where two records differ, by path."""
    if isinstance(real, dict) and isinstance(stand_in, dict):
        found: Differences = {}
        for key in sorted({*real, *stand_in}, key=str):
            found |= differences(
                real.get(key, ABSENT), stand_in.get(key, ABSENT), f"{path}/{key}" if path else str(key)
            )
        return found
    if isinstance(real, list) and isinstance(stand_in, list):
        found = {}
        for index, (one, other) in enumerate(itertools.zip_longest(real, stand_in, fillvalue=ABSENT)):
            found |= differences(one, other, f"{path}/{index}")
        return found
    return {} if real == stand_in else {path: (real, stand_in)}


def unexplained(found: Differences, explained: Mapping[str, str]) -> Differences:
    return {path: pair for path, pair in found.items() if not any(fnmatchcase(path, p) for p in explained)}


def told(found: Differences) -> str:
    return "\n".join(
        f"{path}\n    real:     {json.dumps(real)[:300]}\n    stand-in: {json.dumps(other)[:300]}"
        for path, (real, other) in found.items()
    )
