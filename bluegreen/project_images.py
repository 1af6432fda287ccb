"""The images of a project, listed with what needs them, pruned, revoked, restored: what `bluegreen images` calls.

What a stack needs is read of every stack that has a file in the project: its config, the outputs of its last update,
its ledger. The rules are in `bluegreen.model.image_use` and `bluegreen.model.revocation`. No printing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bluegreen.aws.session import Session
from bluegreen.engine import Engine
from bluegreen.errors import (
    NEEDS_A_PERSON,
    AwsError,
    BluegreenError,
    ImageError,
    ImagesError,
    LedgerError,
    NoSuchStackError,
)
from bluegreen.images.account_images import AccountImages, Removal
from bluegreen.images.stack_file import StackConfig, read_stack, stack_names
from bluegreen.ledger.ledger import Recorder, Run
from bluegreen.ledger.operator import operator_here
from bluegreen.ledger_of import ledger_of
from bluegreen.model.history import History, Kind, Revocation
from bluegreen.model.image_use import AccountImage, Needs, PrunePlan, Retention, Use, prune, uses_of
from bluegreen.model.place import Place
from bluegreen.model.revocation import why_revoked
from bluegreen.model.settings import image_fault
from bluegreen.model.stack_name import short

AT_ONCE = 4
"""Stacks that are read at once: each starts a `pulumi`."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An image with what needs it. `image` is None where a stack needs one that is gone, or can't be seen."""

    id: str
    image: AccountImage | None
    uses: tuple[Use, ...] = ()
    revoked: str = ""

    def as_record(self) -> dict[str, Any]:
        """Plain data."""
        image = self.image
        return {
            "id": self.id,
            "name": image.name if image else "",
            "account": image.place.account if image else "",
            "region": image.place.region if image else "",
            "state": image.state if image else "gone",
            "created": image.created.isoformat() if image else None,
            "service": image.service if image else "",
            "version": image.version if image else "",
            "commit": image.commit if image else "",
            "contentDigest": image.content_digest if image else "",
            "sizeGiB": image.size_gib if image else 0,
            "uses": [{"stack": use.stack, "as": use.purpose.value, "release": use.release} for use in self.uses],
            "revoked": self.revoked,
        }


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Images, the newest last. `warnings`: what could not be read, so that something may be missing."""

    images: tuple[Listed, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a revocation, or of its end. `stacks`: whose ledgers have it. `unmarked`: where it could not be
    tagged, with the reason; the ledgers count all the same."""

    image: str
    content_digest: str
    copies: tuple[str, ...]
    stacks: tuple[str, ...]
    unmarked: tuple[str, ...] = ()


def list_images(stacks: Sequence[str] = (), *, directory: Path | None = None) -> Listing:
    """The images of these stacks' services, and those that they need; without `stacks`, of all of the project.

    What can't be read of one stack is a warning. Raises StackFileError where there is no project or no such stack.
    """
    project = _Project.read(directory or Path.cwd())
    chosen = project.chosen(stacks)
    by_place, failed = _accounts(stack.config for stack in chosen)
    uses, warnings = project.uses(), [*project.failures, *failed]
    services = {each.config.settings.service for each in chosen}
    found: dict[str, AccountImage] = {}
    for account in by_place.values():
        try:
            ours = [image for image in account.images() if image.project in ("", project.name)]
            found |= {image.id: image for image in ours if image.service in services}
            found |= {image.id: image for image in account.named({use.image for use in uses} - found.keys())}
        except AwsError as error:
            warnings.append(f"{account.place}: {error.what}")
    names = {each.config.stack for each in chosen}
    for use in uses:
        if use.stack in names and use.image not in found:
            found.setdefault(use.image, _gone(use.image))
    listed = [
        Listed(
            id=image.id,
            image=image if image.state != "gone" else None,
            uses=tuple(use for use in uses if use.image == image.id),
            revoked=_why_revoked(image, project.history),
        )
        for image in sorted(found.values(), key=lambda image: (image.created, image.id))
    ]
    return Listing(images=tuple(listed), warnings=tuple(warnings))


def plan_prune(
    retention: Retention, stacks: Sequence[str] = (), *, directory: Path | None = None, now: datetime | None = None
) -> PrunePlan:
    """Which images of these stacks' services, accounts and regions may go; without `stacks`, of all of the project.

    What any stack of the project needs stays, be it named or not. Raises ImagesError, with the stack's name, where one
    can't be read: nothing is safe to delete then.
    """
    project = _Project.read(directory or Path.cwd())
    project.refuse_unread()
    chosen = project.chosen(stacks)
    by_place, failed = _accounts(stack.config for stack in chosen)
    if failed:
        raise AwsError(f"nothing is pruned: {'; '.join(failed)}", "Name the stacks whose accounts can be asked.")
    pending = [image for account in by_place.values() for image in account.pending()]
    images = [image for account in by_place.values() for image in account.images()]
    accounts: dict[str, list[str]] = {}
    for account in by_place.values():
        accounts |= account.uses()
    needs = Needs(
        stacks=project.uses(),
        account=accounts,
        copied=frozenset(image.source for image in pending if image.source),
        copied_contents=frozenset(image.content_digest for image in pending if image.content_digest),
    )
    decide = partial(
        prune,
        images,
        retention=retention,
        project=project.name,
        services={each.config.settings.service for each in chosen},
        now=now or datetime.now(UTC),
        vetoed={image.id for image in images if _why_revoked(image, project.history)},
    )
    plan = decide(needs)
    if not plan.going:
        return plan
    ours = {place.account for place in by_place}
    shared = {
        image.id: ", ".join(sorted(others))
        for image in plan.going
        if (others := by_place[image.place].shared_with(image.id) - ours)
    }
    return decide(replace(needs, shared=shared))


def carry_out(
    plan: PrunePlan, *, directory: Path | None = None, on_removal: Callable[[Removal], None] | None = None
) -> tuple[Removal, ...]:
    """Remove the images of a plan with their snapshots, the oldest first. What AWS refuses is in what is returned."""
    configs, _ = _configs(directory or Path.cwd())
    by_place, _ = _accounts(configs.values())
    removals = []
    for image in plan.going:
        removal = by_place[image.place].remove(image)
        removals.append(removal)
        if on_removal:
            on_removal(removal)
    return tuple(removals)


def revoke(image: str, why: str, *, directory: Path | None = None) -> Verdict:
    """Veto an image: no stack of the project takes it any more, nor a copy of its content.

    It is written to every stack's ledger, and, as far as AWS lets, to the tags of the image and its copies. What runs
    stays. Raises ImageError where no such image is known, ImagesError where a ledger can't be read, before anything is
    written, LedgerError where one can't be written.
    """
    if not why.strip():
        raise ImageError("a revocation needs a reason", "Say it with `--why`: whoever is refused will read it.")
    return _judge(Kind.REVOKED, image, why.strip(), directory or Path.cwd())


def restore(image: str, *, directory: Path | None = None) -> Verdict:
    """Lift the veto of an image and of all copies of its content. Raises as `revoke` does, ImageError where there is no
    veto."""
    return _judge(Kind.RESTORED, image, "", directory or Path.cwd())


def _judge(kind: Kind, image: str, why: str, directory: Path) -> Verdict:
    if fault := image_fault(image):
        raise ImageError(fault.message, "`bluegreen images list` shows what there is.")
    project = _Project.read(directory)
    project.refuse_unread_ledgers()
    by_place, failed = _accounts(stack.config for stack in project.stacks)
    found, unmarked = _seen_of(image, by_place), list(failed)
    revocation = project.history.revocation(image, found.content_digest if found else "")
    digest = (found.content_digest if found else "") or (revocation.content_digest if revocation else "")
    copies = _copies_of(image, digest, revocation, by_place, project.name)
    is_known = found or failed or any(use.image == image for use in project.uses())
    if kind is Kind.REVOKED and not is_known:
        places = ", ".join(str(place) for place in by_place)
        raise ImageError(f"there is no image {image} in {places}", "`bluegreen images list` shows what there is.")
    if kind is Kind.RESTORED and not revocation and not (found and found.revoked_tag):
        raise ImageError(f"{image} is not revoked", "`bluegreen images list` shows what is.")
    evidence = {
        "image": image,
        "copies": list(copies),
        "contentDigest": digest,
        "why": why,
        "operator": operator_here().name,
    }
    written = _write(kind, f"{image}: {why}" if why else image, evidence, project.stacks, directory)
    for account in by_place.values():
        try:
            if there := [each.id for each in account.named((image, *copies))]:
                if kind is Kind.REVOKED:
                    account.mark_revoked(there, why)
                else:
                    account.unmark_revoked(there)
        except AwsError as error:
            unmarked.append(f"{account.place}: {error.what}")
    return Verdict(image=image, content_digest=digest, copies=copies, stacks=written, unmarked=tuple(unmarked))


def _seen_of(image: str, by_place: Mapping[Place, AccountImages]) -> AccountImage | None:
    """The image as an account sees it, best the one that has its tags: others do not see them."""
    seen = [each for account in by_place.values() for each in account.named([image])]
    return max(seen, key=lambda each: bool(each.content_digest), default=None)


def _copies_of(
    image: str, digest: str, revocation: Revocation | None, by_place: Mapping[Place, AccountImages], project: str
) -> tuple[str, ...]:
    images = [each for account in by_place.values() for each in account.images()] if digest else []
    copies = {each.id for each in images if each.content_digest == digest and each.project in ("", project)}
    return tuple(sorted(copies.union(revocation.images if revocation else ()) - {image}))


def _write(
    kind: Kind, summary: str, evidence: Mapping[str, Any], stacks: Sequence[_Stack], directory: Path
) -> tuple[str, ...]:
    """To every ledger. One that fails is told with those that have it, and those that have it not."""
    written: list[str] = []
    for stack in stacks:
        name = stack.config.stack
        run = Run.new(directory, name, datetime.now(UTC)).name
        try:
            Recorder(ledger=ledger_of(name, directory), run=run).record(kind, summary=summary, evidence=evidence)
        except LedgerError as error:
            half_done = LedgerError(
                f"{kind.value} in {', '.join(written) or 'no stack'}, not yet in {name}: {error.what}",
                "Run it again: what is written already does no harm.",
            )
            half_done.exit_code = NEEDS_A_PERSON if written else half_done.exit_code
            raise half_done from error
        written.append(name)
    return tuple(written)


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """What is known of a stack. `outputs`: of its last update, None where the backend has no such stack.

    `state_fault`, `ledger_fault`: why outputs or history can't be read.
    """

    config: StackConfig
    outputs: Mapping[str, Any] | None = None
    history: History = field(default_factory=History)
    state_fault: str = ""
    ledger_fault: str = ""

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(f"{self.config.stack}: {fault}" for fault in (self.state_fault, self.ledger_fault) if fault)

    @property
    def uses(self) -> tuple[Use, ...]:
        return uses_of(self.config.stack, self.config.settings, self.outputs or {}, self.history)


@dataclass(frozen=True, kw_only=True)
class _Project:
    """Every stack that has a file. `unread`: why a stack's config can't be read, by its name."""

    stacks: tuple[_Stack, ...]
    unread: Mapping[str, str]

    @classmethod
    def read(cls, directory: Path) -> _Project:
        """Raises StackFileError where there is no project, or it has no stack."""
        configs, unread = _configs(directory)
        if not configs:
            faults = "; ".join(f"{name}: {why}" for name, why in unread.items())
            raise ImagesError(f"no stack of this project can be read{f': {faults}' if faults else ''}")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            stacks = tuple(pool.map(partial(_read, directory=directory), configs.values()))
        return cls(stacks=stacks, unread=unread)

    @property
    def name(self) -> str:
        return self.stacks[0].config.project

    @property
    def history(self) -> History:
        """What all ledgers say of revocations, in order."""
        events = [event for stack in self.stacks for event in stack.history.events]
        verdicts = [event for event in events if event.kind in (Kind.REVOKED, Kind.RESTORED)]
        return History(tuple(sorted(verdicts, key=lambda event: event.at)))

    @property
    def failures(self) -> tuple[str, ...]:
        configs = [f"{name}: {why}" for name, why in self.unread.items()]
        return (*configs, *(fault for stack in self.stacks for fault in stack.faults))

    def uses(self) -> tuple[Use, ...]:
        return tuple(use for stack in self.stacks for use in stack.uses)

    def chosen(self, names: Sequence[str]) -> tuple[_Stack, ...]:
        """Those that are named, all without names. Raises ImagesError for one that there is not."""
        wanted = [short(name) for name in names]
        there = {stack.config.stack: stack for stack in self.stacks}
        for name in wanted:
            if name not in there:
                why = self.unread.get(name)
                raise ImagesError(
                    f"{name}: {why}" if why else f"there is no stack {name} in this project",
                    f"There are: {', '.join(there)}.",
                )
        return tuple(there[name] for name in wanted) or self.stacks

    def refuse_unread(self) -> None:
        """Raises ImagesError where what a stack needs is not known."""
        faults = list(self.failures)
        faults += [
            f"{stack.config.stack}: its ledger knows releases, and this backend has no such stack"
            for stack in self.stacks
            if stack.outputs is None and not stack.state_fault and stack.history.seen()
        ]
        if not faults and all(stack.outputs is None for stack in self.stacks):
            faults = ["no stack of this project is in the backend that `pulumi whoami --verbose` shows"]
        self._refuse(faults, "nothing is safe to delete", "Nothing was deleted")

    def refuse_unread_ledgers(self) -> None:
        faults = [
            *(f"{name}: {why}" for name, why in self.unread.items()),
            *(f"{stack.config.stack}: {stack.ledger_fault}" for stack in self.stacks if stack.ledger_fault),
        ]
        self._refuse(faults, "a veto must reach every stack", "Nothing was written")

    def _refuse(self, faults: Sequence[str], why: str, done: str) -> None:
        if faults:
            raise ImagesError(f"{why}: " + "; ".join(faults), f"Mend that, then run again. {done}.")


def _configs(directory: Path) -> tuple[dict[str, StackConfig], dict[str, str]]:
    """Of each stack by its name, and why those of the others can't be read."""
    configs, unread = {}, {}
    for name in stack_names(directory):
        try:
            configs[name] = read_stack(name, directory)
        except BluegreenError as error:
            unread[name] = error.what
    return configs, unread


def _read(config: StackConfig, directory: Path) -> _Stack:
    stack = _Stack(config=config)
    try:
        stack = replace(stack, history=ledger_of(config.stack, directory).read())
    except BluegreenError as error:
        stack = replace(stack, ledger_fault=error.what)
    try:
        return replace(stack, outputs=_outputs(config.stack, directory))
    except NoSuchStackError:
        return stack
    except BluegreenError as error:
        return replace(stack, state_fault=error.what)


def _outputs(stack: str, directory: Path) -> Mapping[str, Any]:
    return Engine(stack, directory).outputs()


def _accounts(configs: Iterable[StackConfig]) -> tuple[dict[Place, AccountImages], list[str]]:
    """Where these stacks' images are, each place once; and which places can't be asked, with the reason."""
    by_place: dict[Place, AccountImages] = {}
    failed: list[str] = []
    asked: set[str] = set()
    for config in configs:
        settings = config.session
        key = json.dumps([settings.region, settings.profile, [dict(role) for role in settings.assume_roles]])
        if key in asked:
            continue
        asked.add(key)
        try:
            account = AccountImages(Session(settings))
            by_place.setdefault(account.place, account)
        except AwsError as error:
            failed.append(f"{config.stack}: {error.what}")
    return by_place, failed


def _why_revoked(image: AccountImage, history: History) -> str:
    return why_revoked(history, image.id, image.content_digest, image.revoked_tag)


def _gone(image: str) -> AccountImage:
    return AccountImage(
        id=image,
        place=Place(account="", region=""),
        name="",
        created=datetime.min.replace(tzinfo=UTC),
        state="gone",
        size_gib=0,
    )
