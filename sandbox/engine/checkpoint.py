"""The state of a stack: resources and pending operations, to and from Pulumi's checkpoint schema (versions 3, 4)."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sandbox.engine import VERSION
from sandbox.engine.errors import EngineError, Refused
from sandbox.engine.properties import SECRET, SIGNATURE, UNKNOWN, UNKNOWN_STRING, Properties, Secret
from sandbox.engine.secrets import Crypter

KNOWN_FEATURES = {"hooks"}
STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True, eq=False)
class Resource:
    """One resource as the last operation left it; the fields are the checkpoint's, in its order.

    Compared by identity: a replacement has the URN of what it replaces.
    """

    urn: str
    custom: bool = False
    delete: bool = False
    id: str = ""
    type: str = ""
    inputs: Properties = field(default_factory=dict)
    outputs: Properties = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    external: bool = False
    dependencies: tuple[str, ...] = ()
    init_errors: tuple[str, ...] = ()
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    pending_replacement: bool = False
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    import_id: str = ""
    retain_on_delete: bool = False
    deleted_with: str = ""
    created: str = ""
    modified: str = ""
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    resource_hooks: dict[str, list[str]] = field(default_factory=dict)
    # What another engine wrote and this one does not interpret (source positions, say); written back as it was.
    uninterpreted: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]

    @property
    def is_provider(self) -> bool:
        return self.type.startswith("pulumi:providers:")

    @property
    def is_default_provider(self) -> bool:
        """Made by the engine: not counted, not shown."""
        return self.is_provider and self.name.startswith("default") and not self.parent

    @property
    def provider_urn(self) -> str:
        return self.provider.rpartition("::")[0]

    def all_dependencies(self) -> set[str]:
        """URNs of everything that must exist as long as this does."""
        by_property = {urn for urns in self.property_dependencies.values() for urn in urns}
        return {*self.dependencies, *by_property, self.parent, self.provider_urn, self.deleted_with} - {""}

    def renamed(self, names: Mapping[str, str]) -> Resource:
        """With every URN it depends on under its new name."""
        if not self.all_dependencies() & set(names):
            return self
        provider = self.provider_urn
        return replace(
            self,
            parent=names.get(self.parent, self.parent),
            provider=f"{names[provider]}::{self.provider.rpartition('::')[2]}" if provider in names else self.provider,
            dependencies=tuple(names.get(urn, urn) for urn in self.dependencies),
            property_dependencies={
                k: [names.get(u, u) for u in urns] for k, urns in self.property_dependencies.items()
            },
            deleted_with=names.get(self.deleted_with, self.deleted_with),
        )


@dataclass(frozen=True)
class Operation:
    """A step that was begun and whose end is not recorded."""

    type: str
    resource: Resource


@dataclass(frozen=True)
class Snapshot:
    resources: tuple[Resource, ...] = ()
    pending: tuple[Operation, ...] = ()

    @property
    def stack_outputs(self) -> Properties:
        return next((r.outputs for r in self.resources if r.type == STACK_TYPE and not r.delete), {})


def _field(attribute: str) -> str:
    first, *rest = attribute.split("_")
    return first + "".join(word.capitalize() for word in rest)


# A checkpoint's field -> the attribute.
FIELDS = {_field(f.name).replace("importId", "importID"): f.name for f in fields(Resource) if f.name != "uninterpreted"}
_TUPLES = {f.name for f in fields(Resource) if str(f.type).startswith("tuple")}


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def dump_deployment(snapshot: Snapshot, crypter: Crypter, *, show_secrets: bool = False) -> dict[str, Any]:
    """The `deployment` of `stack export`, which is the checkpoint's `latest`."""

    def encode(resource: Resource) -> dict[str, Any]:
        return dump_resource(resource, lambda value: _dump(value, crypter, show_secrets))

    deployment: dict[str, Any] = {
        "manifest": {"time": now(), "magic": hashlib.sha256(VERSION.encode()).hexdigest(), "version": VERSION},
        "secrets_providers": {"type": "passphrase", "state": {"salt": crypter.salt}},
    }
    if snapshot.resources:
        deployment["resources"] = [encode(resource) for resource in snapshot.resources]
    if snapshot.pending:
        deployment["pending_operations"] = [
            {"resource": encode(op.resource), "type": op.type} for op in snapshot.pending
        ]
    return {**deployment, "metadata": {}}


def schema_of(snapshot: Snapshot) -> dict[str, Any]:
    """The version, and the features that make it 4: an engine that lacks one must not touch the state."""
    everything = (*snapshot.resources, *(op.resource for op in snapshot.pending))
    return {"version": 4, "features": ["hooks"]} if any(r.resource_hooks for r in everything) else {"version": 3}


def dump_resource(resource: Resource, encode: Any) -> dict[str, Any]:
    """The fields that are set, in Pulumi's order; `custom` is always there."""
    document: dict[str, Any] = {}
    for name, attribute in FIELDS.items():
        value = getattr(resource, attribute)
        if value or name == "custom":
            document[name] = encode(value) if name in ("inputs", "outputs") else value
    return {**document, **resource.uninterpreted}


def load_deployment(document: dict[str, Any], crypter: Crypter) -> Snapshot:
    def decode(raw: dict[str, Any]) -> Resource:
        return _load_resource(raw, crypter)

    return Snapshot(
        tuple(decode(raw) for raw in document.get("resources") or ()),
        tuple(Operation(raw["type"], decode(raw["resource"])) for raw in document.get("pending_operations") or ()),
    )


def check_schema(document: dict[str, Any]) -> None:
    if document.get("version") not in (3, 4):
        raise EngineError(f"unsupported checkpoint version {document.get('version')!r}; 3 and 4 are known")
    if unknown := sorted(set(document.get("features") or ()) - KNOWN_FEATURES):
        raise Refused(f"a state with the features {', '.join(unknown)}")


def _load_resource(raw: dict[str, Any], crypter: Crypter) -> Resource:
    known: dict[str, Any] = {}
    for name, attribute in FIELDS.items():
        if (value := raw.get(name)) is not None:
            value = _load(value, crypter) if name in ("inputs", "outputs") else value
            known[attribute] = tuple(value) if attribute in _TUPLES else value
    return Resource(**known, uninterpreted={key: value for key, value in raw.items() if key not in FIELDS})


def _dump(value: Any, crypter: Crypter, show_secrets: bool) -> Any:
    if isinstance(value, Secret):
        plaintext = json.dumps(_dump(value.value, crypter, True), separators=(",", ":"), ensure_ascii=False)
        sealed = {"plaintext": plaintext} if show_secrets else {"ciphertext": crypter.encrypt(plaintext)}
        return {SIGNATURE: SECRET, **sealed}
    if value is UNKNOWN:
        return UNKNOWN_STRING
    if isinstance(value, dict):
        return {key: _dump(value[key], crypter, show_secrets) for key in sorted(value)}
    if isinstance(value, list):
        return [_dump(item, crypter, show_secrets) for item in value]
    return value


def _load(value: Any, crypter: Crypter) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            plaintext = value["plaintext"] if "plaintext" in value else crypter.decrypt(value["ciphertext"])
            return Secret(_load(json.loads(plaintext), crypter))
        return {key: _load(item, crypter) for key, item in value.items()}
    if isinstance(value, list):
        return [_load(item, crypter) for item in value]
    return UNKNOWN if value == UNKNOWN_STRING else value
