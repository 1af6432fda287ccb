"""Which provider serves a resource: default providers, explicit ones, and those that only the state still knows."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from sandbox.engine.builtin import Builtin
from sandbox.engine.checkpoint import Resource, Snapshot
from sandbox.engine.errors import EngineError, Refused
from sandbox.engine.plugins import Difference, Plugins, Provider, ProviderError
from sandbox.engine.properties import UNKNOWN_STRING, Properties, changed_keys

if TYPE_CHECKING:
    from sandbox.engine.deployment import Deployment, Goal

# Inputs of a provider resource that are the engine's and not the provider's.
ENGINE_INPUTS = frozenset({"version", "pluginDownloadURL", "__internal"})


class ProviderSet:
    def __init__(
        self,
        plugins: Plugins,
        base: Snapshot,
        config: Mapping[str, Any],
        outputs_of: Callable[[str], Properties],
        dry_run: bool,
    ) -> None:
        self._plugins = plugins
        self._config = config
        self._builtin = Builtin(outputs_of)
        self._dry_run = dry_run
        self._lock = threading.RLock()
        self._defaults: dict[tuple[str, str], Future[str]] = {}
        self._unconfigured: dict[str, Provider] = {}
        self._ready: dict[str, Future[Any]] = {}
        self._known = {f"{r.urn}::{r.id}": r for r in base.resources if r.is_provider}

    def warm_up(self) -> None:
        """Start the processes that the state says will be needed."""
        for package in {_package(r.type) for r in self._known.values()} - {"pulumi"}:
            self._plugins.warm_up(package)

    def of(self, resource: Resource) -> Any:
        """The configured provider of a resource."""
        return self.by_reference(resource.provider)

    def by_reference(self, reference: str) -> Any:
        urn = reference.rpartition("::")[0]
        if _package(urn.split("::")[2]) == "pulumi":
            return self._builtin
        with self._lock:
            known = self._known.get(reference)
            if known is None:
                raise EngineError(f"unknown provider {reference}")
            is_mine = reference not in self._ready
            ready = self._ready.setdefault(reference, Future())
        if is_mine:
            self._fulfil(ready, known)
        return ready.result()

    def reference_for(self, goal: Goal, deployment: Deployment) -> str:
        """The reference of the provider that the goal names, else of its package's default provider."""
        if goal.wanted.provider:
            return self._resolved(goal.wanted.provider)
        return self.default(goal.wanted.type.split(":")[0], goal.version, deployment)

    def _resolved(self, reference: str) -> str:
        # In a preview a provider that is yet to be made has no id; the program knows only its URN.
        urn = reference.rpartition("::")[0]
        with self._lock:
            if reference in self._ready or reference in self._known:
                return reference
            return next((known for known in self._ready if known.rpartition("::")[0] == urn), reference)

    def default(self, package: str, version: str, deployment: Deployment) -> str:
        from sandbox.engine.deployment import Goal

        with self._lock:
            future = self._defaults.get((package, version))
            mine = Future[str]() if future is None else None
            if mine is not None:
                future = self._defaults[package, version] = mine
        assert future is not None
        if mine is not None:
            tag = version.removeprefix("v").replace(".", "_").replace("-", "_").replace("+", "_")
            name = f"default_{tag}" if version else "default"
            prefix = f"{package}:"
            inputs = {key.removeprefix(prefix): v for key, v in self._config.items() if key.startswith(prefix)}
            if version:
                inputs["version"] = version
            try:
                type = f"pulumi:providers:{package}"
                urn = deployment.urn(type, name, "")
                made = deployment.register_nested(Goal(Resource(urn, custom=True, type=type, inputs=inputs)))
                future.set_result(f"{made.urn}::{made.id}")
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    # Provider resources

    def check(self, new: Resource, old: Resource | None) -> Properties:
        """The inputs of a provider resource, as the provider would have them."""
        if _package(new.type) == "pulumi":
            return {}
        if new.inputs.get("pluginDownloadURL"):
            raise Refused("the resource option pluginDownloadURL", "the plugin on $PATH is used")
        provider = self._plugins.new(_package(new.type))
        self._unconfigured[new.urn] = provider
        inputs, failures = provider.check_config(new.urn, _own(old.inputs) if old else {}, _own(new.inputs))
        if failures:
            raise ProviderError("; ".join(f"{f.property}: {f.reason}" if f.property else f.reason for f in failures))
        engine_inputs = {key: value for key, value in new.inputs.items() if key in ENGINE_INPUTS}
        return {**inputs, **engine_inputs, **({"__internal": {}} if engine_inputs else {})}

    def difference(self, new: Resource, old: Resource) -> Difference:
        changed = changed_keys(old.inputs, new.inputs)
        if not changed or _package(new.type) == "pulumi":
            return Difference(bool(changed), changed)
        if set(changed) <= ENGINE_INPUTS:
            return Difference(True, changed)
        answer = self._unconfigured[new.urn].diff_config(
            new.urn, old.id, _own(old.inputs), _own(old.outputs), _own(new.inputs)
        )
        return Difference(True, answer.diffs or changed, answer.replaces)

    def new_id(self) -> str:
        return UNKNOWN_STRING if self._dry_run else str(uuid.uuid4())

    def configure(self, resource: Resource) -> None:
        """Make the provider ready for the resources that refer to it."""
        reference = f"{resource.urn}::{resource.id}"
        with self._lock:
            ready = self._ready.setdefault(reference, Future())
            self._known[reference] = resource
        if _package(resource.type) != "pulumi" and not ready.done():
            self._fulfil(ready, resource, self._unconfigured.get(resource.urn))

    def _fulfil(self, ready: Future[Any], resource: Resource, provider: Provider | None = None) -> None:
        try:
            package = _package(resource.type)
            provider = provider or self._plugins.new(package)
            provider.configure(resource.urn, resource.id, package, _own(resource.inputs))
            ready.set_result(provider)
        except EngineError as error:
            ready.set_exception(error)

    def change_replaces(self, old: str, new: str) -> bool:
        """Whether a resource that moves from one provider to another must be made anew: the provider says."""
        was, becomes = self._known.get(old), self._known.get(new)
        if old == new or was is None or becomes is None or (was.is_default_provider and becomes.is_default_provider):
            return False
        answer = self.by_reference(new).diff_config(
            becomes.urn, was.id, _own(was.inputs), _own(was.outputs), _own(becomes.inputs)
        )
        return bool(answer.replaces)


def _own(inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key not in ENGINE_INPUTS}


def _package(type: str) -> str:
    return type.rpartition(":")[2]
