"""One operation on a stack's resources: decides for each what is to be done, does it, and deletes what is left over.

Creates and updates happen as the program registers resources, each in the thread of its call, so that what depends on
nothing runs in parallel. Deletes come when the program has registered everything and nothing has failed.
`monitor.py` speaks the protocol; `journal.py` keeps the state; `provider_set.py` finds the provider of a resource.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from sandbox.engine.checkpoint import STACK_TYPE, Operation, Resource, Snapshot, now
from sandbox.engine.errors import EngineError, Refused
from sandbox.engine.events import Events
from sandbox.engine.hooks import HookFailed, Hooks
from sandbox.engine.journal import Journal
from sandbox.engine.plugins import Difference, InitFailed, Provider, ProviderError
from sandbox.engine.properties import UNKNOWN, Properties, Secret, carry_over, changed_keys, parse_path, plain, secret
from sandbox.engine.provider_set import ProviderSet

# Steps of whose new state only the inputs are known when they begin.
WITHOUT_OUTCOME = ("same", "create", "create-replacement", "update", "import")


class Stopped(EngineError):
    """The deployment has failed or was cancelled: no new step begins."""


class Protected(Stopped):
    """The resource is protected: it stays."""


@dataclass(frozen=True)
class Goal:
    """What the program wants of one resource: the resource as it is to be, and how to come by it."""

    wanted: Resource
    version: str = ""
    aliases: tuple[str, ...] = ()
    delete_before_replace: bool | None = None  # None: as the provider wants it
    inherits_protection: bool = True


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
        self.may_be_corrupt = False  # a provider failed in a way that leaves open what it has done
        self.history: list[Step] = []  # as `preview --json` reports them
        self.news: dict[str, Resource] = {}
        self._journal, self._providers, self._hooks, self._events = journal, providers, hooks, events
        self._base = base.resources
        self._olds = {r.urn: r for r in base.resources if not r.delete}
        self._settled: set[int] = set()  # identities of the old resources that this run has dealt with
        self._chained: dict[str, tuple[str, ...]] = {}  # what has gone before what it depended on, and the keys why
        self._steps: dict[str, Step] = {}
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
        urn = goal.wanted.urn
        with self._lock:
            if urn in self._steps:
                self.fail(f"Duplicate resource URN '{urn}'; try giving it a unique name", urn)
            self._steps[urn] = Step("registering")
        with self._slot(urn):
            return self._settle(goal)

    def register_nested(self, goal: Goal) -> Resource:
        """Register a default provider on behalf of a resource that is being settled, in the slot that it holds."""
        with self._lock:
            self._steps[goal.wanted.urn] = Step("registering")
        return self._settle(goal)

    def read(self, goal: Goal, id: str) -> Resource:
        """A resource that the stack uses and does not own."""
        self._go_on()
        urn = goal.wanted.urn
        with self._slot(urn):
            new = replace(self._wanted(goal, None), external=True, id=id)
            old = self._olds.get(urn)
            step = Step("read", old if old and old.external else None, new)
            with self._lock:
                self._steps[urn] = step
            self._begin(step)
            try:
                found = self._providers.of(new).read(urn, id, new.inputs, {})
                if found is None:
                    raise ProviderError(f"resource '{id}' does not exist")
            except EngineError as error:
                self._fail_step(error, step)
            is_news = old is not None and found[2] != old.outputs
            modified = now() if is_news else ""
            if is_news:  # only then is it counted
                self.changes["read"] += 1
            return self._done(replace(step, new=replace(new, id=found[0], outputs=found[2], modified=modified)))

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
            self._run_after_hooks(step)

    def complain(self, message: str, urn: str = "") -> None:
        """Show the error, and let nothing new begin."""
        self.has_failed = True
        self.stop()
        self._events.diagnostic("error", message, urn)

    def fail(self, message: str, urn: str = "", step: Step | None = None) -> NoReturn:
        self.complain(message if step is None or not self.dry_run else f"Preview failed: {message}", urn)
        if step is not None:
            self.has_failed_step = True
            if not self.dry_run:
                self._events.resource_fails(step, sum(self.changes.values()))
        raise Stopped(message)

    def stop(self) -> None:
        """Let nothing new begin; what is under way goes on to its end."""
        if not self._stop.is_set():
            self._stop.set()
            self._on_stop()

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Stopped("the deployment has been stopped")

    def wait_for_steps(self) -> None:
        """Wait until no step is under way."""
        with self._idle:
            self._idle.wait_for(lambda: self._under_way == 0)

    @contextlib.contextmanager
    def _slot(self, urn: str) -> Iterator[None]:
        """One of the places for steps, taken only while the deployment goes on; an error in it fails the deployment."""
        with self._slots:
            self._go_on()
            with self._idle:
                self._under_way += 1
            try:
                yield
            except Stopped:
                raise
            except EngineError as error:
                self.fail(str(error), urn)
            finally:
                with self._idle:
                    self._under_way -= 1
                    self._idle.notify_all()

    # Deciding

    def _settle(self, goal: Goal) -> Resource:
        old = self._old_of(goal)
        if self.destroying:
            return self._as_it_was(goal, old)
        new = self._wanted(goal, old)
        if new.is_provider:
            return self._settle_provider(new, old, goal)
        if not new.custom:
            return self._settle_component(new, old)
        provider = self._providers.of(new)
        if new.import_id and (old is None or old.external):
            return self._import(provider, new)
        if new.import_id and old is not None and old.id != new.import_id != old.import_id:
            raise Refused(f"the resource option import_ in place of another resource ({new.type} {new.name})")
        if old is None or old.external:
            return self._create(provider, self._checked(provider, new, None))
        if old.urn != new.urn:
            self._journal.rename(old.urn, new.urn)
        new = replace(new, inputs=carry_over(new.inputs, old.inputs, new.ignore_changes))
        new = self._checked(provider, new, old)
        difference = self._difference(provider, new, old)
        if difference.replaces or old.pending_replacement:
            return self._replace(provider, new, old, goal, difference)
        if difference.changes or old.init_errors:
            return self._update(provider, new, old, difference)
        return self._same(new, old)

    def _as_it_was(self, goal: Goal, old: Resource | None) -> Resource:
        """On a destroy the program runs for its hooks alone: what is there waits its turn, the rest is not made."""
        wanted = goal.wanted
        if wanted.custom and not wanted.is_provider:
            self._providers.reference_for(goal, self)
        if old is not None:
            return self._same(old, old)
        self._steps[wanted.urn] = Step("same", None, wanted)
        self.news[wanted.urn] = wanted
        return wanted

    def _old_of(self, goal: Goal) -> Resource | None:
        for candidate in (goal.wanted.urn, *goal.aliases):
            if (old := self._olds.get(candidate)) is not None and id(old) not in self._settled:
                return old
        return None

    def _wanted(self, goal: Goal, old: Resource | None) -> Resource:
        new = goal.wanted
        above = self.news.get(new.parent)
        return replace(
            new,
            id=old.id if old else "",
            protect=bool(above and above.protect) if goal.inherits_protection else new.protect,
            provider=self._providers.reference_for(goal, self) if new.custom and not new.is_provider else "",
            created=old.created if old else "",
            modified=old.modified if old else "",
        )

    def _checked(self, provider: Provider, new: Resource, old: Resource | None) -> Resource:
        inputs, failures = provider.check(new.urn, old.inputs if old else {}, new.inputs)
        for failure in failures:
            self.complain(check_failure(new, failure.property, failure.reason), new.urn)
        if failures:
            raise Stopped(f"{new.urn} has invalid inputs")
        return replace(new, inputs=inputs)

    def _difference(self, provider: Provider, new: Resource, old: Resource) -> Difference:
        if self._providers.change_replaces(old.provider, new.provider):
            return Difference(True, ("provider",), ("provider",))
        answer = provider.diff(new.urn, old, new.inputs, new.ignore_changes)
        if answer.changes is None:
            changed = changed_keys(old.inputs, new.inputs)
            answer = replace(answer, changes=bool(changed), diffs=answer.diffs or changed)
        if not answer.changes and not answer.replaces:
            return answer
        forced = tuple(d for d in answer.diffs if any(_covers(path, d) for path in new.replace_on_changes))
        detailed = answer.detailed and {
            path: (f"{kind}-replace" if any(_covers(p, path) for p in new.replace_on_changes) else kind, is_input)
            for path, (kind, is_input) in answer.detailed.items()
        }
        return replace(answer, replaces=tuple(dict.fromkeys([*answer.replaces, *forced])), detailed=detailed)

    # Doing

    def _settle_component(self, new: Resource, old: Resource | None) -> Resource:
        if old is None:
            return self._perform(Step("create", None, new), lambda: _made(new))
        if plain(old.inputs) == plain(new.inputs):
            return self._same(replace(new, id=""), old)
        step = Step("update", old, new, diffs=changed_keys(old.inputs, new.inputs))
        return self._perform(step, lambda: replace(new, outputs=old.outputs, modified=now()))

    def _settle_provider(self, new: Resource, old: Resource | None, goal: Goal) -> Resource:
        if goal.version:
            new = replace(new, inputs={**new.inputs, "version": goal.version})
        inputs = self._providers.check(new, old)
        new = replace(new, inputs=inputs, outputs={k: v for k, v in inputs.items() if k != "__internal"})
        difference = self._providers.difference(new, old) if old is not None else Difference(True)
        if old is None or difference.replaces:
            step = Step("create" if old is None else "create-replacement", old, new, is_logical=old is None)
            settled = self._perform(step, lambda: _made(new, id=self._providers.new_id()))
        elif difference.changes:
            settled = self._perform(Step("update", old, new), lambda: replace(new, modified=now()))
        else:
            settled = self._same(new, old)
        self._providers.configure(settled)
        return settled

    def _same(self, new: Resource, old: Resource) -> Resource:
        new = replace(new, id=old.id, outputs=old.outputs, init_errors=old.init_errors, uninterpreted=old.uninterpreted)
        step = Step("same", old, replace(new, outputs={}) if new.type == STACK_TYPE else new)
        self._begin(step)
        return self._done(replace(step, new=new))

    def _create(
        self,
        provider: Provider,
        new: Resource,
        replaced: Resource | None = None,
        difference: Difference = Difference(),  # noqa: B008 - frozen
    ) -> Resource:
        new = replace(new, id="", created="", modified="")

        def call() -> Resource:
            if self.dry_run and not provider.supports_preview:
                return new
            made_id, outputs = provider.create(new, self.dry_run)
            return _made(new, id=made_id, outputs=outputs)

        op = "create" if replaced is None else "create-replacement"
        why = (difference.replaces, difference.diffs, difference.detailed)
        return self._perform(Step(op, replaced, new, *why, is_logical=replaced is None), call)

    def _import(self, provider: Provider, new: Resource) -> Resource:
        """Take over what is there, and make it what the program wants."""
        step = Step("import", None, new)
        self._begin(step)
        try:
            found = provider.read(new.urn, new.import_id, {}, {})
            if found is None:
                raise ProviderError(f"resource '{new.import_id}' does not exist")
        except ProviderError as error:
            self._fail_step(error, step)
        there = _made(replace(new, id=found[0], inputs=found[1], outputs=found[2]))
        there = self._done(Step("import", there, there))
        inputs = carry_over(new.inputs, there.inputs, new.ignore_changes)
        wanted = self._checked(provider, replace(there, inputs=inputs), there)
        difference = self._difference(provider, wanted, there)
        if difference.replaces:
            raise Refused(f"the resource option import_ of what has to be replaced ({new.type} {new.name})")
        return self._update(provider, wanted, there, difference) if difference.changes else there

    def _update(self, provider: Provider, new: Resource, old: Resource, difference: Difference) -> Resource:
        def call() -> Resource:
            if self.dry_run and not provider.supports_preview:
                return new
            return replace(new, outputs=provider.update(old, new, self.dry_run), modified=now())

        return self._perform(Step("update", old, new, diffs=difference.diffs, detailed=difference.detailed), call)

    def _replace(
        self, provider: Provider, new: Resource, old: Resource, goal: Goal, difference: Difference
    ) -> Resource:
        if new.protect and old.protect:
            if not self.dry_run:
                self.fail(replacement_error(old), new.urn)
            self.has_failed = self.has_failed_step = True
            self._events.diagnostic("error", replacement_error(old), new.urn)
        # The replacement gets a name of its own, so the provider must not see the old one's.
        inputs = carry_over(goal.wanted.inputs, old.inputs, new.ignore_changes)
        new = replace(self._checked(provider, replace(new, inputs=inputs), None), id="")
        if old.urn in self._chained:  # why it goes was found before it was registered
            difference = Difference(True)
        why = (difference.replaces, difference.diffs, difference.detailed)
        difference = replace(difference, replaces=self._chained.get(old.urn, difference.replaces))
        wants_gap = goal.delete_before_replace
        if old.pending_replacement or (difference.delete_before_replace if wants_gap is None else wants_gap):
            if not old.pending_replacement:
                for other, keys in self._replaced_with(old):
                    self._olds[other.urn] = self._delete(other, "delete-replaced", is_pending=True)
                    self._chained[other.urn] = keys
                old = self._delete(old, "delete-replaced", is_pending=True)
            self._tell_of_replacement(Step("replace", old, new, *why))
            return self._create(provider, new, replaced=old, difference=difference)
        created = self._create(provider, new, replaced=old, difference=difference)
        step = replace(self._steps[created.urn], op="replace", is_logical=True)
        self._tell_of_replacement(step)
        with self._lock:
            self._steps[created.urn] = step
        return created

    def _tell_of_replacement(self, step: Step) -> None:
        self._begin(step)
        self._events.resource_ends(step)
        with self._lock:
            self.changes["replace"] += 1

    def _replaced_with(self, old: Resource) -> list[tuple[Resource, tuple[str, ...]]]:
        """What is replaced because `old` is, and goes before it, with the keys why; in the order of going."""
        going: list[tuple[Resource, tuple[str, ...]]] = [(old, ())]
        for other in self._base:
            other = self._olds.get(other.urn, other)
            gone = {each.urn for each, _ in going}
            keys = tuple(key for key, urns in other.property_dependencies.items() if gone & set(urns))
            if not keys or other.is_provider or other.pending_replacement or id(other) in self._settled:
                continue
            inputs = {key: UNKNOWN if key in keys else value for key, value in other.inputs.items()}
            if replaces := self._providers.of(other).diff(other.urn, other, inputs, ()).replaces:
                if other.protect:
                    raise Refused(f"a chain of replacements, in which {other.urn}, which is protected, is deleted")
                going.append((other, replaces))
        return going[:0:-1]

    def _perform(self, step: Step, call: Callable[[], Resource]) -> Resource:
        """A create or an update: hooks around it, pending in the state while it runs."""
        assert step.new is not None
        is_update = step.op == "update"
        self._begin(step)
        operation = self._journal.begin("updating" if is_update else "creating", replace(step.new, id=""))
        try:
            self._hooks.run("BeforeUpdate" if is_update else "BeforeCreate", step.new, step.old, step.new)
            new = call()
        except InitFailed as error:
            inputs = step.old.inputs if is_update and step.old else step.new.inputs
            partial = replace(
                step.new,
                id=error.id,
                inputs=inputs,
                outputs=error.outputs,
                init_errors=error.reasons,
                created=step.new.created or now(),
                modified=now(),
            )
            self._journal.add(self._with_secrets(partial), step.old if is_update else None)
            self._journal.end(operation)
            self.fail(str(error), step.new.urn, replace(step, new=partial))
        except (ProviderError, HookFailed) as error:
            self._journal.end(operation)
            self._fail_step(error, step)
        done = self._done(replace(step, new=new), operation)
        if done.custom:  # a component's come when its outputs are registered
            self._run_after_hooks(replace(step, new=done))
        return done

    def _begin(self, step: Step) -> None:
        """Tell of a step: what the resource will be is known as its inputs, the rest is to come."""
        if step.op in WITHOUT_OUTCOME:
            step = _before_its_outcome(step)
        self.history.append(step)
        self._events.resource_begins(step)

    def _done(self, step: Step, operation: Operation | None = None) -> Resource:
        assert step.new is not None
        new = self._with_secrets(step.new)
        step = replace(step, new=new)
        with self._lock:
            if step.old is not None:
                self._settled.add(id(step.old))
            if self.destroying and step.old is not None:
                # In its place: it may depend on what the program registers no longer, and comes after that.
                self._journal.amend(step.old, new)
            elif step.old is not None and step.op == "create-replacement" and not step.old.pending_replacement:
                step = replace(step, old=self._journal.condemn(step.old))
                self._journal.add(new)
            else:
                self._journal.add(new, step.old)
            self._steps[new.urn] = step
            self.news[new.urn] = new
            if step.op != "read":
                self._count(step)
        if operation is not None:
            self._journal.end(operation)
        if new.custom or self.dry_run:
            self._events.resource_ends(step)
        return new

    def _count(self, step: Step) -> None:
        subject = step.new or step.old
        if step.is_logical and subject is not None and not subject.is_default_provider:
            self.changes[step.op] += 1

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

    def _run_after_hooks(self, step: Step) -> None:
        """What an after hook complains of has happened: the state keeps it, and the run fails."""
        subject = step.new or step.old
        assert subject is not None
        kind = "AfterDelete" if step.new is None else "AfterUpdate" if step.op == "update" else "AfterCreate"
        try:
            self._hooks.run(kind, subject, step.old, step.new)
        except HookFailed as error:
            self.has_failed_step = True
            self.complain(str(error), subject.urn)

    # The end of the run

    def delete_leftovers(self) -> None:
        """Delete what the program no longer registers and what was replaced, each before what it depends on.

        On a destroy nothing is left standing, whatever the program registered to have its hooks run.
        """
        kept = set() if self.destroying else set(self.news)
        doomed = [r for r in self._journal.snapshot().resources if r.delete or r.urn not in kept]
        # In the state dependencies come first, so what waits is always queued behind what it waits for.
        begun: list[tuple[Resource, Future[bool]]] = []
        with ThreadPoolExecutor(max_workers=self._parallel) as pool:
            for resource in reversed(doomed):
                earlier = [future for other, future in begun if resource.urn in other.all_dependencies()]
                begun.append((resource, pool.submit(self._delete_after, earlier, resource)))
        for _, future in begun:
            future.result()

    def _delete_after(self, earlier: list[Future[bool]], resource: Resource) -> bool:
        """Whether it is gone. A delete that failed has been shown; those under way beside it go on to their end."""
        if not all(future.result() for future in earlier):
            return False
        try:
            self._go_on()
            self._delete(
                resource, "delete-replaced" if resource.delete else "discard" if resource.external else "delete"
            )
        except Stopped:
            return False
        return True

    def _delete(self, old: Resource, op: str, is_pending: bool = False) -> Resource:
        """Delete it; what is `is_pending` stays in the state, as it is yet to be made anew."""
        step = Step(op, old, None, is_logical=op != "delete-replaced")
        self._begin(step)
        operation = self._journal.begin("deleting", old)
        try:
            self._hooks.run("BeforeDelete", old, old, None)
            if old.protect and op == "delete":
                raise Protected(deletion_error(old))
            if self._must_be_deleted(old) and not self.dry_run:
                self._providers.of(old).delete(old)
        except Protected as error:
            self._journal.end(operation)
            self._complain_of_protection(error, step)
            raise
        except EngineError as error:
            self._journal.end(operation)
            self._fail_step(error, step)
        left = replace(old, pending_replacement=True) if is_pending else old
        with self._lock:
            if is_pending:
                self._journal.amend(old, left)
            else:
                self._journal.remove(old)
            self._count(step)
        self._journal.end(operation)
        self._events.resource_ends(step)
        self._run_after_hooks(step)
        return left

    def _complain_of_protection(self, error: EngineError, step: Step) -> None:
        """A protected resource stays, and so does what it depends on; other deletions go on."""
        assert step.old is not None
        self.has_failed = self.has_failed_step = True
        prefix = "Preview failed: " if self.dry_run else ""
        self._events.diagnostic("error", f"{prefix}{error}", step.old.urn)
        if not self.dry_run:
            self._events.resource_fails(step, sum(self.changes.values()))

    def _fail_step(self, error: EngineError, step: Step) -> NoReturn:
        subject = step.new or step.old
        assert subject is not None
        if step.op not in ("create", "create-replacement"):  # of a failed create the engine says that nothing was made
            self.may_be_corrupt |= getattr(error, "is_outcome_unknown", step.op == "read")
        self.fail(str(error), subject.urn, step)

    def _must_be_deleted(self, old: Resource) -> bool:
        if not old.custom or old.is_provider or old.external or old.retain_on_delete or old.pending_replacement:
            return False
        goes_with = old.deleted_with
        return not goes_with or (goes_with in self.news and not self.destroying)

    def finish_stack(self) -> None:
        """Give the stack its outputs; after a failure an output that is missing is not known to be gone."""
        step = next((s for s in self._steps.values() if s.new and s.new.type == STACK_TYPE), None)
        if self._stack_outputs is None or step is None:
            return
        old = next((r.outputs for r in self._base if r.type == STACK_TYPE), {})
        is_partial = self.has_failed or self.is_stopped
        self._set_outputs(step, {**old, **self._stack_outputs} if is_partial else self._stack_outputs)

    def refresh(self, *, clears_pending_creates: bool) -> None:
        """Ask the providers how the resources of the state are, and record it."""
        with ThreadPoolExecutor(max_workers=self._parallel) as pool:
            list(pool.map(self._refresh_one, [r for r in self._base if not r.delete]))
        if clears_pending_creates:
            self._journal.forget_pending()

    def _refresh_one(self, old: Resource) -> None:
        if self._stop.is_set():
            return
        self._begin(Step("refresh", old, old, is_logical=False))
        if not old.custom or old.is_provider:
            self._refreshed(Step("same", old, old))
            return
        try:
            found = self._providers.of(old).read(old.urn, old.id, old.inputs, old.outputs)
        except EngineError as error:
            self.has_failed = True
            self._events.diagnostic("error", str(error), old.urn)
            return
        if found is None:
            self._journal.remove(old)
            step = Step("delete", old, None)
        else:
            used = {key: urns for key, urns in old.property_dependencies.items() if urns}
            new = replace(old, id=found[0], inputs=found[1] or old.inputs, outputs=found[2], init_errors=())
            new = replace(new, property_dependencies=used)
            drifted = plain(new.outputs) != plain(old.outputs)
            new = replace(new, modified=now()) if drifted else new
            self._journal.amend(old, new)
            step = Step("same", old, new, detailed={})
            if drifted:
                answer = self._providers.of(old).diff(old.urn, new, old.inputs, ())
                step = Step("update", old, new, diffs=changed_keys(old.outputs, new.outputs), detailed=answer.detailed)
        self._refreshed(step)

    def _refreshed(self, step: Step) -> None:
        with self._lock:
            self._count(step)
        self._events.resource_ends(replace(step, is_logical=False))


def _before_its_outcome(step: Step) -> Step:
    return replace(step, new=replace(step.new, id="", outputs={})) if step.new else step


def _made(new: Resource, **fields: Any) -> Resource:
    return replace(new, created=now(), modified=now(), **fields)


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


def replacement_error(resource: Resource) -> str:
    return (
        f'unable to replace resource "{resource.urn}"\nas it is currently marked for protection. '
        "To unprotect the resource, remove the `protect` flag from the resource in your Pulumi program "
        "and run `pulumi up`"
    )


def deletion_error(resource: Resource) -> str:
    return (
        f'resource "{resource.urn}" cannot be deleted\nbecause it is protected. '
        "To unprotect the resource, either remove the `protect` flag from the resource in your Pulumi program and run "
        f"`pulumi up`, or use the command:\n`pulumi state unprotect '{resource.urn}'`"
    )
