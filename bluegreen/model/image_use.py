"""What is used of a project's images, by what, and which of them may go. Pure.

Who asks AWS is `bluegreen.images.account_images`, who puts it together `bluegreen.project_images`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bluegreen.model.duration import in_words
from bluegreen.model.history import History
from bluegreen.model.place import Place
from bluegreen.model.settings import Settings
from bluegreen.model.tags import COMMIT, CONTENT_DIGEST, PROJECT, REVOKED, SERVICE, VERSION

ROLLBACK_TARGETS = 3
"""So many of the releases that a stack saw healthy keep their images, the newest ones: what `bluegreen rollback --to`
goes back to. What it goes back to without `--to` keeps its image in any case."""

AT_REST = frozenset({"available", "failed", "error", "invalid"})
"""States in which nothing happens to an image (EC2 API, Image). Another is on its way to one of them."""


@dataclass(frozen=True, kw_only=True)
class AccountImage:
    """An image as its account lists it. `source`: the image that it is a copy of, where AWS says so."""

    id: str
    place: Place
    name: str
    created: datetime
    state: str
    size_gib: int
    snapshots: tuple[str, ...] = ()
    source: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> str:
        return self.tags.get(PROJECT, "")

    @property
    def service(self) -> str:
        return self.tags.get(SERVICE, "")

    @property
    def version(self) -> str:
        return self.tags.get(VERSION, "")

    @property
    def commit(self) -> str:
        return self.tags.get(COMMIT, "")

    @property
    def content_digest(self) -> str:
        return self.tags.get(CONTENT_DIGEST, "")

    @property
    def revoked_tag(self) -> str:
        return self.tags.get(REVOKED, "")


class Purpose(StrEnum):
    """What a stack needs an image for."""

    ACTIVE = "active"
    CANDIDATE = "candidate"
    STANDBY = "standby"
    ROLLBACK_TARGET = "rollback target"
    CONFIGURED = "configured"


@dataclass(frozen=True, kw_only=True)
class Use:
    """That a stack needs an image. `release`: the version of the one that runs it, where one does."""

    stack: str
    image: str
    purpose: Purpose
    release: str = ""

    def __str__(self) -> str:
        return f"{self.purpose} in {self.stack}"


def uses_of(stack: str, settings: Settings, outputs: Mapping[str, Any], history: History) -> tuple[Use, ...]:
    """What a stack needs: what its last update put out, what its config means, and what it could go back to.

    An image has one purpose here, the first that fits.
    """
    found: dict[str, Use] = {}
    for use in _uses(stack, settings, outputs, history):
        found.setdefault(use.image, use)
    return tuple(found.values())


def _uses(stack: str, settings: Settings, outputs: Mapping[str, Any], history: History) -> Iterator[Use]:
    groups = (outputs.get("fleet") or {}).get("groups", [])
    for group in groups:
        release = group["release"]
        yield Use(stack=stack, image=release["image"], purpose=Purpose(group["role"]), release=release["version"])
    active = [group["release"]["version"] for group in groups if group["role"] == Purpose.ACTIVE]
    for image in _configured(settings):
        yield Use(stack=stack, image=image, purpose=Purpose.CONFIGURED)
    healthy = [(seen.served_at, seen.release) for seen in history.seen().values() if seen.is_healthy and seen.served_at]
    newest = [release for _, release in sorted(healthy, key=lambda served: served[0], reverse=True)]
    targets = [release for release in newest if release.version not in active][:ROLLBACK_TARGETS]
    before = history.before(active[0]) if active else None
    for release in (*targets, *([before] if before else [])):
        yield Use(stack=stack, image=release.image, purpose=Purpose.ROLLBACK_TARGET, release=release.version)


def _configured(settings: Settings) -> Iterator[str]:
    fleet = settings.fleet
    records = [
        fleet.active,
        fleet.candidate.release if fleet.candidate else None,
        *(standby.release for standby in fleet.standbys),
    ]
    yield from (image for image in (settings.ami, *((record or {}).get("image", "") for record in records)) if image)


@dataclass(frozen=True)
class Kept:
    """An image that stays, and why."""

    image: AccountImage
    why: str


@dataclass(frozen=True)
class PrunePlan:
    """Which images go, oldest first, and why each of the others stays."""

    going: tuple[AccountImage, ...]
    kept: tuple[Kept, ...]


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What to keep besides what is needed: so many of each service and place, and everything younger than this."""

    keep: int
    older_than: timedelta


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What images are needed for. `stacks`: by every stack of the project. `account`: in words, by image id, by
    whatever of the account uses it. `copied`: ids of images that are being copied now, and `copied_contents` their
    digests. `shared`: in words, with whom, by image id."""

    stacks: Sequence[Use] = ()
    account: Mapping[str, Sequence[str]] = field(default_factory=dict)
    copied: frozenset[str] = frozenset()
    copied_contents: frozenset[str] = frozenset()
    shared: Mapping[str, str] = field(default_factory=dict)


def prune(
    images: Iterable[AccountImage],
    needs: Needs,
    retention: Retention,
    *,
    project: str,
    services: Collection[str],
    now: datetime,
    vetoed: Collection[str] = (),
) -> PrunePlan:
    """What may go. `vetoed`: ids of revoked images, which don't count among the newest that are kept."""
    ordered = sorted(images, key=lambda image: (image.created, image.id))
    newest = _newest(ordered, retention.keep, project, services, vetoed)
    going, kept = [], []
    for image in ordered:
        why = _why_kept(image, needs, retention, project, services, newest, now)
        if why:
            kept.append(Kept(image, why))
        else:
            going.append(image)
    return PrunePlan(tuple(going), tuple(kept))


def _newest(
    ordered: Sequence[AccountImage], keep: int, project: str, services: Collection[str], vetoed: Collection[str]
) -> frozenset[str]:
    groups: dict[tuple[Place, str], list[str]] = defaultdict(list)
    for image in ordered:
        usable = image.state == "available" and image.id not in vetoed
        if usable and not _whose(image, project, services):
            groups[image.place, image.service].append(image.id)
    return frozenset(image for ids in groups.values() for image in (ids[-keep:] if keep else []))


def _why_kept(
    image: AccountImage,
    needs: Needs,
    retention: Retention,
    project: str,
    services: Collection[str],
    newest: frozenset[str],
    now: datetime,
) -> str:
    if whose := _whose(image, project, services):
        return whose
    if uses := [str(use) for use in needs.stacks if use.image == image.id]:
        return ", ".join(uses)
    if words := needs.account.get(image.id):
        return f"used by {', '.join(words)}"
    if image.state not in AT_REST:
        return f"is {image.state}"
    if image.id in needs.copied or (image.content_digest and image.content_digest in needs.copied_contents):
        return "is being copied"
    if image.id in newest:
        return f"one of the newest {retention.keep} of {image.service}"
    if now - image.created < retention.older_than:
        return f"is {in_words(now - image.created)} old"
    return f"shared with {needs.shared[image.id]}" if image.id in needs.shared else ""


def _whose(image: AccountImage, project: str, services: Collection[str]) -> str:
    """Why it is not this project's, empty where it is."""
    if not image.project:
        return "does not say whose it is: it has no tag bluegreen:project"
    if image.project != project:
        return f"is of the project {image.project}"
    return "" if image.service in services else f"is of the service {image.service or '(none)'}, which no stack has"
