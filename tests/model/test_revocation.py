"""Revoked images: no id and no copy of them gets past, and what was restored may be taken again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bluegreen.errors import ImageError
from bluegreen.model.history import Event, History, Kind
from bluegreen.model.revocation import refuse_revoked, why_revoked

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BAD, COPY, OTHER = "ami-0000000b", "ami-0000000c", "ami-0000000d"


def said(kind: Kind, image: str = BAD, digest: str = "d1", **more: Any) -> Event:
    evidence = {"image": image, "contentDigest": digest, "why": "CVE-2026-1", "operator": "ann", **more}
    return Event(at=START, run="run", kind=kind, summary="", evidence=evidence)


def history(*events: Event) -> History:
    return History(tuple(Event(**{**vars(each), "at": START + timedelta(days=n)}) for n, each in enumerate(events)))


def test_a_revoked_image_is_refused_with_who_when_why_and_the_way_out() -> None:
    with pytest.raises(ImageError) as caught:
        refuse_revoked(history(said(Kind.REVOKED)), BAD)
    assert caught.value.what == f"{BAD} was revoked by ann on 2026-03-01 12:00: CVE-2026-1"
    assert f"bluegreen images restore {BAD}" in caught.value.next_step


@pytest.mark.parametrize(
    ("image", "digest"),
    [(BAD, ""), (BAD, "d1"), (COPY, "d1"), (BAD, "d2")],
    ids=["its id, tags unseen", "itself", "a copy of the content", "its id, whatever the tags say"],
)
def test_it_is_known_by_its_id_and_its_content(image: str, digest: str) -> None:
    assert history(said(Kind.REVOKED)).revocation(image, digest)


def test_a_copy_whose_tags_are_not_seen_is_known_by_the_id_that_was_recorded() -> None:
    assert history(said(Kind.REVOKED, copies=[COPY])).revocation(COPY)


@pytest.mark.parametrize(("image", "digest"), [(OTHER, ""), (OTHER, "d2")])
def test_other_images_may_be_taken(image: str, digest: str) -> None:
    refuse_revoked(history(said(Kind.REVOKED)), image, digest)


def test_images_of_unknown_content_are_not_taken_for_each_other() -> None:
    assert history(said(Kind.REVOKED, digest="")).revocation(OTHER, "") is None


def test_a_restored_image_may_be_taken_again() -> None:
    refuse_revoked(history(said(Kind.REVOKED), said(Kind.RESTORED)), BAD, "d1")


def test_the_last_word_counts() -> None:
    events = said(Kind.REVOKED), said(Kind.RESTORED), said(Kind.REVOKED, why="again")
    revocation = history(*events).revocation(BAD)
    assert revocation
    assert revocation.why == "again"


def test_restoring_another_image_lifts_nothing() -> None:
    assert history(said(Kind.REVOKED), said(Kind.RESTORED, image=OTHER, digest="d2")).revocation(BAD, "d1")


def test_a_destroyed_stack_does_not_forget_what_was_revoked() -> None:
    destroyed = Event(at=START, run="run", kind=Kind.DESTROYED)
    assert history(said(Kind.REVOKED), destroyed).revocation(BAD)


def test_where_the_ledger_says_nothing_the_tag_counts() -> None:
    assert why_revoked(History(), BAD, "d1", "CVE-2026-1") == "revoked, as its tag says: CVE-2026-1"


def test_a_tag_that_could_not_be_removed_does_not_hold_a_restored_image_back() -> None:
    assert why_revoked(history(said(Kind.REVOKED), said(Kind.RESTORED)), BAD, "d1", "CVE-2026-1") == ""


def test_a_tag_that_somebody_removed_does_not_lift_a_revocation() -> None:
    assert why_revoked(history(said(Kind.REVOKED)), BAD, "d1", "")


def test_both_kinds_survive_the_ledger() -> None:
    for kind in (Kind.REVOKED, Kind.RESTORED):
        assert Event.from_record(json.loads(json.dumps(said(kind).as_record()))) == said(kind)


def test_a_revocation_that_names_no_image_is_no_event() -> None:
    with pytest.raises(KeyError):
        Event.from_record({**said(Kind.REVOKED).as_record(), "evidence": {}})
