"""One operation on a stack's resources: decides for each what is to be done, does it, and deletes what is left over.

Creates and updates happen as the program registers resources, each in the thread of its call, so that what depends on
nothing runs in parallel. Deletes come when the program has registered everything and nothing has failed: last made,
first deleted.
`monitor.py` speaks the protocol; `journal.py` keeps the state; `provider_set.py` finds the provider of a resource.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from sandbox.engine.checkpoint import STACK_TYPE, Resource, Snapshot, now
from sandbox.engine.errors import EngineError
from sandbox.engine.events import Events
from sandbox.engine.hooks import HookFailed, Hooks
from sandbox.engine.journal import Journal
from sandbox.engine.plugins import Difference, InitFailed, Provider, ProviderError
from sandbox.engine.properties import UNKNOWN, Properties, Secret, carry_over, parse_path, plain, secret
from sandbox.engine.provider_set import ProviderSet


class Stopped(EngineError):
    """The deployment has failed or was cancelled: no new step begins."""


@dataclass(frozen=True)
class Goal:
    """What the program wants of one resource."""

    type: str
    name: str
    custom: bool = True
    properties: Properties = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    version: str = ""
    protect: bool | None = None
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, list[str]] = field(default_factory=dict)
    delete_before_replace: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    custom_timeouts: Mapping[str, float] = field(default_factory=dict)
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    hooks: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One thing done to one resource, as the display and the event log see it."""

    op: str
    old: Resource | None = None
    new: Resource | None = None
    keys: tuple[str, ...] = ()
    diffs: tuple[str, ...] = ()
    detailed: Mapping[str, tuple[str, bool]] | None = None
    is_logical: bool = True


class Deployment:
    def __init__(
        self,
        *,
        project: str,
        stack: str,
        base: Snapshot,
        journal: Journal,
        providers: ProviderSet,
        hooks: Hooks,
        events: Events,
        dry_run: bool,
        parallel: int,
        destroying: bool = False,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.project, self.stack = project, stack
        self.dry_run = dry_run
        self.destroying = destroying
        self.changes: Counter[str] = Counter()
        self.has_failed = False
        self.has_failed_step = False
        self.history: list[Step] = []  # as `preview --json` reports them
        self.news: dict[str, Resource] = {}
        self._journal, self._providers, self._hooks, self._events = journal, providers, hooks, events
        self._olds = {r.urn: r for r in base.resources if not r.delete}
        self._base = list(base.resources)
        self._settled: set[int] = set()  # identities of the old resources that this run has dealt with
        self._steps: dict[str, Step] = {}
        self._deleted_first: dict[str, Resource] = {}  # deleted so that their replacement can be made
        self._stack_outputs: Properties | None = None
        self._stop = threading.Event()
        self._on_stop = on_stop
        self._under_way = 0
        self._idle = threading.Condition()
        self._lock = threading.RLock()
        self._slots = threading.BoundedSemaphore(parallel)
        self._parallel = parallel

    # What the program asks

    def urn(self, type: str, name: str, parent: str) -> str:
        above = parent.split("::")[2] if parent else ""
        qualified = f"{above}${type}" if above and above != STACK_TYPE else type
        return f"urn:pulumi:{self.stack}::{self.project}::{qualified}::{name}"

    def register(self, goal: Goal) -> Resource:
        """Make the resource as the goal wants it, and return it as it then is. Raises `Stopped` when the run has."""
        self._go_on()
        urn = self.urn(goal.type, goal.name, goal.parent)
        with self._lock:
            if urn in self._steps:
                self.fail(f"Duplicate resource URN '{urn}'; try giving it a unique name", urn)
            self._steps[urn] = Step("registering")
        try:
            with self._slot():
                return self._settle(urn, goal)
        except Stopped:
            raise
        except EngineError as error:
            self.fail(str(error), urn)

    def register_nested(self, goal: Goal) -> Resource:
        """Register a default provider on behalf of a resource that is being settled, in the slot that it holds."""
        urn = self.urn(goal.type, goal.name, goal.parent)
        with self._lock:
            self._steps[urn] = Step("registering")
        return self._settle(urn, goal)

    def register_outputs(self, urn: str, outputs: Properties) -> None:
        with self._lock:
            step = self._steps.get(urn)
            if step is None or step.new is None:
                raise EngineError(f"cannot complete a resource '{urn}' whose registration isn't pending")
            if step.new.type == STACK_TYPE:
                self._stack_outputs = outputs  # kept until the end: what is right depends on whether the run succeeds
                return
            self._set_outputs(step, outputs)
        if step.op in ("create", "update"):
            self._run_after_hooks("AfterCreate" if step.op == "create" else "AfterUpdate", step)

    def fail(self, message: str, urn: str = "", step: Step | None = None) -> NoReturn:
        """Show the error, let nothing new begin, and raise."""
        self.has_failed = True
        self.stop()
        self._events.diagnostic("error", message, urn)
        if step is not None:
            self.has_failed_step = True
            self._events.resource_fails(step, sum(self.changes.values()))
        raise Stopped(message)

    def stop(self) -> None:
        """Let nothing new begin; what is under way goes on to its end."""
        if not self._stop.is_set():
            self._stop.set()
            self._on_stop()

    def wait_for_steps(self) -> None:
        """Wait until no step is under way."""
        with self._idle:
            self._idle.wait_for(lambda: self._under_way == 0)

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        """One of the places for steps; taken only while the deployment goes on."""
        with self._slots:
            self._go_on()
            with self._idle:
                self._under_way += 1
            try:
                yield
            finally:
                with self._idle:
                    self._under_way -= 1
                    self._idle.notify_all()

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Stopped("the deployment has been stopped")

    # Deciding

    def _settle(self, urn: str, goal: Goal) -> Resource:
        old = self._old_of(urn, goal)
        if self.destroying:
            return self._as_it_was(urn, goal, old)
        new = self._wanted(urn, goal, old)
        if new.is_provider:
            return self._settle_provider(new, old, goal)
        if not goal.custom:
            return self._settle_component(new, old)
        provider = self._providers.of(new)
        if old is not None and old.external:
            old = None
        if old is None:
            new = self._checked(provider, new, None)
            gone = self._deleted_first.get(urn)
            created = self._create(provider, new, goal, replaced=gone)
            return self._replaced(gone, created, Difference(True)) if gone is not None else created
        if old.urn != new.urn:
            self._journal.rename(old.urn, new.urn)
        new = replace(new, inputs=carry_over(new.inputs, old.inputs, list(goal.ignore_changes)))
        new = self._checked(provider, new, old)
        difference = self._difference(provider, new, old, goal)
        if difference.replaces:
            return self._replace(provider, new, old, goal, difference)
        if difference.changes or old.init_errors:
            return self._update(provider, new, old, goal, difference)
        return self._same(new, old)

    def _as_it_was(self, urn: str, goal: Goal, old: Resource | None) -> Resource:
        """On a destroy the program runs for its hooks alone: what is there waits its turn, the rest is not made."""
        if old is not None:
            return self._same(replace(old, outputs={}), old)
        new = Resource(urn, goal.type, goal.custom, inputs=goal.properties, parent=goal.parent)
        self._steps[urn] = Step("same", None, new)
        self.news[urn] = new
        return new

    def _old_of(self, urn: str, goal: Goal) -> Resource | None:
        for candidate in (urn, *goal.aliases):
            if (old := self._olds.get(candidate)) is not None and id(old) not in self._settled:
                return old
        return None

    def _wanted(self, urn: str, goal: Goal, old: Resource | None) -> Resource:
        parent = self._steps.get(goal.parent)
        above = parent.new if parent else None
        return Resource(
            urn=urn,
            type=goal.type,
            custom=goal.custom,
            id=old.id if old else "",
            inputs=goal.properties,
            outputs={},
            parent=goal.parent,
            protect=goal.protect if goal.protect is not None else bool(above and above.protect),
            dependencies=goal.dependencies,
            provider=self._providers.reference_for(goal, self) if goal.custom and not _is_provider(goal.type) else "",
            property_dependencies=dict(goal.property_dependencies),
            additional_secret_outputs=goal.additional_secret_outputs,
            custom_timeouts=dict(goal.custom_timeouts),
            retain_on_delete=bool(goal.retain_on_delete),
            deleted_with=goal.deleted_with,
            created=old.created if old else "",
            modified=old.modified if old else "",
            ignore_changes=goal.ignore_changes,
            replace_on_changes=goal.replace_on_changes,
            hooks=dict(goal.hooks),
        )

    def _checked(self, provider: Provider, new: Resource, old: Resource | None) -> Resource:
        inputs, failures = provider.check(new.urn, old.inputs if old else {}, new.inputs, os.urandom(32))
        for failure in failures:
            self._events.diagnostic("error", check_failure(new, failure.property, failure.reason), new.urn)
        if failures:
            self.has_failed = True
            self.stop()
            raise Stopped(f"{new.urn} has invalid inputs")
        return replace(new, inputs=inputs)

    def _difference(self, provider: Provider, new: Resource, old: Resource, goal: Goal) -> Difference:
        if self._providers.change_replaces(new.urn, old.provider, new.provider):
            return Difference(True, ("provider",), ("provider",))
        answer = provider.diff(new.urn, old.id, old.inputs, old.outputs, new.inputs, goal.ignore_changes)
        if answer.changes is None:
            changed = tuple(sorted(k for k in {*old.inputs, *new.inputs} if old.inputs.get(k) != new.inputs.get(k)))
            answer = replace(answer, changes=bool(changed), diffs=answer.diffs or changed)
        if not answer.changes and not answer.replaces:
            return answer
        forced = tuple(d for d in answer.diffs if any(_covers(path, d) for path in goal.replace_on_changes))
        return replace(answer, replaces=tuple(dict.fromkeys([*answer.replaces, *forced])))

    # Doing

    def _settle_component(self, new: Resource, old: Resource | None) -> Resource:
        if old is None:
            step = Step("create", None, new)
            self._begin(step)
            self._run_before_hooks("BeforeCreate", step)
            new = replace(new, created=now(), modified=now())
        elif plain(old.inputs) == plain(new.inputs):
            return self._same(replace(new, id=""), old)
        else:
            step = Step("update", old, new, diffs=tuple(sorted({*old.inputs, *new.inputs})))
            self._begin(step)
            self._run_before_hooks("BeforeUpdate", step)
            new = replace(new, outputs=old.outputs, modified=now())
        return self._done(replace(step, new=new), shows_outputs=False)

    def _settle_provider(self, new: Resource, old: Resource | None, goal: Goal) -> Resource:
        if goal.version:
            new = replace(new, inputs={**new.inputs, "version": goal.version})
        inputs = self._providers.check(new, old)
        new = replace(new, inputs=inputs, outputs={k: v for k, v in inputs.items() if k != "__internal"})
        difference = self._providers.difference(new, old) if old is not None else Difference(True)
        if old is not None and not difference.replaces:
            settled = self._same(new, old) if not difference.changes else None
            if settled is None:
                step = Step("update", old, new, diffs=difference.diffs)
                self._begin(step)
                settled = self._done(replace(step, new=replace(new, modified=now())))
        else:
            step = Step("create" if old is None else "create-replacement", old, new, is_logical=old is None)
            self._begin(step)
            made = replace(new, id=self._providers.new_id(), created=now(), modified=now())
            if old is not None:
                self._condemn(old)
            settled = self._done(replace(step, new=made))
        self._providers.configure(settled)
        return settled

    def _same(self, new: Resource, old: Resource) -> Resource:
        new = replace(new, id=old.id, outputs=old.outputs, init_errors=old.init_errors)
        if not new.uninterpreted:
            new = replace(new, uninterpreted=old.uninterpreted)
        step = Step("same", old, replace(new, outputs={}) if new.type == STACK_TYPE else new)
        self._begin(step)
        return self._done(replace(step, new=new), shows_outputs=new.custom)

    def _create(self, provider: Provider, new: Resource, goal: Goal, replaced: Resource | None = None) -> Resource:
        op = "create" if replaced is None else "create-replacement"
        step = Step(op, replaced, replace(new, id="", created="", modified=""), is_logical=replaced is None)
        return self._perform(step, "creating", "Create", lambda: self._call_create(provider, step.new, goal))

    def _call_create(self, provider: Provider, new: Resource | None, goal: Goal) -> Resource:
        assert new is not None
        if self.dry_run and not provider.supports_preview:
            return new
        made_id, outputs = provider.create(new.urn, new.inputs, goal.custom_timeouts.get("create", 0), self.dry_run)
        return replace(new, id=made_id, outputs=outputs, created=now(), modified=now())

    def _update(self, provider: Provider, new: Resource, old: Resource, goal: Goal, difference: Difference) -> Resource:
        step = Step("update", old, new, diffs=difference.diffs, detailed=difference.detailed)

        def call() -> Resource:
            if self.dry_run and not provider.supports_preview:
                return new
            timeout = goal.custom_timeouts.get("update", 0)
            outputs = provider.update(
                new.urn, old.id, old.inputs, old.outputs, new.inputs, timeout, goal.ignore_changes, self.dry_run
            )
            return replace(new, id=old.id, outputs=outputs, modified=now())

        return self._perform(step, "updating", "Update", call)

    def _replace(
        self, provider: Provider, new: Resource, old: Resource, goal: Goal, difference: Difference
    ) -> Resource:
        # The replacement gets a name of its own, so the provider must not see the old one's.
        new = self._checked(
            provider, replace(new, inputs=carry_over(goal.properties, old.inputs, list(goal.ignore_changes))), None
        )
        deletes_first = (
            difference.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
        )
        if deletes_first:
            self._delete_with_dependents(old)
            created = self._create(provider, new, goal, replaced=old)
        else:
            created = self._create(provider, new, goal, replaced=old)
            self._condemn(old)
        return self._replaced(old, created, difference)

    def _replaced(self, old: Resource, created: Resource, difference: Difference) -> Resource:
        step = Step("replace", old, created, difference.replaces, difference.diffs, difference.detailed)
        self._begin(step)
        self._events.resource_ends(step)
        with self._lock:
            self.changes["replace"] += 1
            self._steps[created.urn] = step
        return created

    def _condemn(self, old: Resource) -> None:
        with self._lock:
            self._settled.add(id(old))
            self._journal.condemn(old)

    def _delete_with_dependents(self, old: Resource) -> None:
        """Delete before replacing: first what could not outlive it, which the program then makes anew."""
        doomed = [old]
        for resource in self._base:
            if id(resource) in self._settled or resource.delete or resource is old or resource.type == STACK_TYPE:
                continue
            if any(d.urn in resource.all_dependencies() for d in doomed) and self._would_be_replaced(resource, doomed):
                doomed.append(resource)
        for resource in reversed(doomed):
            if resource.protect:
                raise EngineError(protection_error(resource))
            self._delete(resource, "delete-replaced")
            self._settled.add(id(resource))
            self._deleted_first[resource.urn] = resource

    def _would_be_replaced(self, resource: Resource, doomed: Iterable[Resource]) -> bool:
        gone = {d.urn for d in doomed}
        inputs = {
            key: UNKNOWN if gone & set(resource.property_dependencies.get(key) or ()) else value
            for key, value in resource.inputs.items()
        }
        if not resource.custom or inputs == resource.inputs:
            return False
        provider = self._providers.of(resource)
        answer = provider.diff(resource.urn, resource.id, resource.inputs, resource.outputs, inputs, ())
        return bool(answer.replaces)

    def read(self, goal: Goal, id: str) -> Resource:
        """A resource that the stack uses and does not own."""
        self._go_on()
        urn = self.urn(goal.type, goal.name, goal.parent)
        try:
            with self._slot():
                new = replace(self._wanted(urn, goal, None), external=True, id=id)
                old = self._olds.get(urn)
                step = Step("read", old if old and old.external else None, new)
                with self._lock:
                    self._steps[urn] = step
                self._begin(step)
                found = self._providers.of(new).read(urn, id, goal.properties, {})
                if found is None:
                    raise ProviderError(f"resource '{id}' does not exist")
                new = replace(
                    new, id=found[0], outputs=found[2], modified=now() if old and found[2] != old.outputs else ""
                )
                return self._done(replace(step, new=new), counts=False)
        except Stopped:
            raise
        except EngineError as error:
            self.fail(str(error), urn)

    def _perform(self, step: Step, pending: str, hook: str, call: Callable[[], Resource]) -> Resource:
        """A create or an update: hooks around it, pending in the state while it runs."""
        assert step.new is not None
        self._begin(step)
        operation = None if self.dry_run else self._journal.begin(pending, step.new)
        try:
            self._run_before_hooks(f"Before{hook}", step)
            new = call()
        except InitFailed as error:
            inputs = step.old.inputs if step.op == "update" and step.old else step.new.inputs
            partial = replace(
                step.new, id=error.id, inputs=inputs, outputs=error.outputs, init_errors=error.reasons, modified=now()
            )
            partial = replace(partial, created=partial.created or now())
            self._journal.add(self._with_secrets(partial), step.old if step.op == "update" else None)
            self._end(operation)
            self.fail(str(error), step.new.urn, step)
        except (ProviderError, HookFailed) as error:
            self._end(operation)
            self.fail(str(error), step.new.urn, step)
        done = self._done(replace(step, new=new), operation=operation)
        self._run_after_hooks(f"After{hook}", replace(step, new=done))
        return done

    def _end(self, operation: Any) -> None:
        if operation is not None:
            self._journal.end(operation)

    def _begin(self, step: Step) -> None:
        self.history.append(step)
        self._events.resource_begins(step)

    def _done(self, step: Step, *, operation: Any = None, shows_outputs: bool = True, counts: bool = True) -> Resource:
        assert step.new is not None
        new = self._with_secrets(step.new)
        step = replace(step, new=new)
        with self._lock:
            if step.old is not None and step.op != "create-replacement":
                self._settled.add(id(step.old))
            self._journal.add(new, step.old if step.op != "create-replacement" else None)
            self._steps[new.urn] = step
            self.news[new.urn] = new
            if counts and step.is_logical and not new.is_default_provider:
                self.changes[step.op] += 1
        self._end(operation)
        if shows_outputs:
            self._events.resource_ends(step)
        return new

    def _with_secrets(self, resource: Resource) -> Resource:
        """Outputs that the program calls secret, or that echo a secret input, are secret."""
        outputs = dict(resource.outputs)
        for key, value in resource.outputs.items():
            if key in resource.additional_secret_outputs or isinstance(resource.inputs.get(key), Secret):
                outputs[key] = secret(value)
        return replace(resource, outputs=outputs)

    def _set_outputs(self, step: Step, outputs: Properties) -> None:
        assert step.new is not None
        new = replace(step.new, outputs=outputs)
        step = replace(step, new=new)
        self._journal.amend(self.news[new.urn], new)
        self._steps[new.urn], self.news[new.urn] = step, new
        self._events.resource_ends(step)

    def _run_before_hooks(self, kind: str, step: Step) -> None:
        assert step.new is not None
        self._hooks.run(kind, step.new, step.old, step.new)

    def _run_after_hooks(self, kind: str, step: Step) -> None:
        """What an after hook complains of has happened: the state keeps it, and the run fails."""
        subject = step.new or step.old
        assert subject is not None
        try:
            self._hooks.run(kind, subject, step.old, step.new)
        except HookFailed as error:
            self.has_failed = self.has_failed_step = True
            self.stop()
            self._events.diagnostic("error", str(error), subject.urn)

    # The end of the run

    def delete_leftovers(self) -> None:
        """Delete what the program no longer registers and what was replaced, last made first.

        On a destroy nothing is left standing, whatever the program registered to have its hooks run.
        """
        kept = set() if self.destroying else set(self.news)
        doomed = [r for r in self._journal.snapshot().resources if r.delete or r.urn not in kept]
        protected = [r for r in doomed if r.protect]
        for resource in protected:
            self.has_failed = True
            self.stop()
            self._events.diagnostic("error", protection_error(resource), resource.urn)
        for generation in _generations(doomed):
            if self._stop.is_set():
                return
            with ThreadPoolExecutor(max_workers=self._parallel) as pool:
                list(pool.map(self._delete_quietly, generation))

    def _delete_quietly(self, resource: Resource) -> None:
        try:
            self._go_on()
            self._delete(resource, "delete-replaced" if resource.delete else "delete")
        except Stopped:
            pass  # shown when it happened; the other deletes of this generation go on to their end

    def _delete(self, old: Resource, op: str) -> None:
        step = Step(op, old, None, is_logical=op == "delete")
        self._begin(step)
        operation = None if self.dry_run else self._journal.begin("deleting", old)
        try:
            self._hooks.run("BeforeDelete", old, old, None)
            if self._must_be_deleted(old) and not self.dry_run:
                timeout = old.custom_timeouts.get("delete", 0)
                self._providers.of(old).delete(old.urn, old.id, old.inputs, old.outputs, timeout)
        except (ProviderError, HookFailed) as error:
            self._end(operation)
            self.fail(str(error), old.urn, step)
        with self._lock:
            self._journal.remove(old)
            if step.is_logical and not old.is_default_provider:
                self.changes[op] += 1
        self._end(operation)
        self._events.resource_ends(step)
        self._run_after_hooks("AfterDelete", step)

    def _must_be_deleted(self, old: Resource) -> bool:
        if not old.custom or old.is_provider or old.external or old.retain_on_delete:
            return False
        goes_with = old.deleted_with
        return not goes_with or (goes_with in self.news and not self.destroying)

    def finish_stack(self) -> None:
        """Give the stack its outputs; after a failure an output that is missing is not known to be gone."""
        if self._stack_outputs is None:
            return
        step = next((s for s in self._steps.values() if s.new and s.new.type == STACK_TYPE), None)
        if step is None or step.new is None:
            return
        old = next((r.outputs for r in self._base if r.type == STACK_TYPE), {})
        outputs = {**old, **self._stack_outputs} if self.has_failed else self._stack_outputs
        self._set_outputs(step, outputs)

    def refresh(self) -> None:
        """Ask the providers how the resources of the state are, and record it."""
        pending = [r for r in self._base if not r.delete]
        with ThreadPoolExecutor(max_workers=self._parallel) as pool:
            list(pool.map(self._refresh_one, pending))
        self._journal.forget_pending()

    def _refresh_one(self, old: Resource) -> None:
        if self._stop.is_set():
            return
        if not old.custom or old.is_provider:
            if not old.is_default_provider:
                self.changes["same"] += 1
            return
        self._begin(Step("refresh", old, old))
        try:
            found = self._providers.of(old).read(old.urn, old.id, old.inputs, old.outputs)
        except ProviderError as error:
            self.has_failed = True
            self._events.diagnostic("error", str(error), old.urn)
            return
        if found is None:
            self._journal.remove(old)
            step = Step("delete", old, None)
        else:
            inputs = found[1] or old.inputs
            drifted = plain(found[2]) != plain(old.outputs)
            used = {key: urns for key, urns in old.property_dependencies.items() if urns}
            new = replace(old, id=found[0], inputs=inputs, outputs=found[2], init_errors=(), property_dependencies=used)
            new = replace(new, modified=now()) if drifted else new
            self._journal.amend(old, new)
            changed = sorted(k for k in {*old.outputs, *found[2]} if old.outputs.get(k) != found[2].get(k))
            step = Step("update" if drifted else "same", old, new, diffs=tuple(changed) if drifted else ())
        with self._lock:
            self.changes[step.op] += 1
        self._events.resource_ends(step)


def _generations(doomed: list[Resource]) -> list[list[Resource]]:
    """Sets that can go together, in the order in which to delete them: each resource before what it depends on."""
    depth: dict[int, int] = {}
    by_urn: dict[str, list[Resource]] = {}
    for resource in doomed:  # in the order of the state, where dependencies come first
        above = [depth[id(d)] for urn in resource.all_dependencies() for d in by_urn.get(urn, ())]
        depth[id(resource)] = max(above, default=-1) + 1
        by_urn.setdefault(resource.urn, []).append(resource)
    levels: list[list[Resource]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for resource in reversed(doomed):
        levels[depth[id(resource)]].append(resource)
    return levels[::-1]


def _is_provider(type: str) -> bool:
    return type.startswith("pulumi:providers:")


def _covers(path: str, diff: str) -> bool:
    """Whether a change at `diff` is a change at or below `path` of replaceOnChanges."""
    wanted, found = parse_path(path), parse_path(diff)
    return len(wanted) <= len(found) and all(w in ("*", f) for w, f in zip(wanted, found, strict=False))


def check_failure(resource: Resource, property: str, reason: str) -> str:
    name, kind = resource.name, resource.type
    if property:
        value = plain(resource.inputs.get(property))
        return f"{kind} resource '{name}': property {property} value {{{value}}} has a problem: {reason}"
    return f"{kind} resource '{name}' has a problem: {reason}"


def protection_error(resource: Resource) -> str:
    return (
        f'unable to delete resource "{resource.urn}"\nas it is currently marked for protection. '
        "To unprotect the resource, remove the `protect` flag from the resource in your Pulumi program and run "
        f"`pulumi up`, or use the command:\n`pulumi state unprotect {resource.urn}`"
    )
