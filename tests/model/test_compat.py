"""Schema versions: which ranges an image may tell, which overlap, and which release may take traffic."""

from __future__ import annotations

import pytest

from bluegreen.model.compat import SchemaRange, judge, told_schema
from bluegreen.model.verdict import Hopeless, Ready

NEW, OLD = "ami-2", "ami-1"


def tags(text: str | None) -> dict[str, str]:
    return {} if text is None else {"schema-compat": text}


@pytest.mark.parametrize(
    ("text", "lowest", "highest", "shown"),
    [
        ("12", 12, 12, "12"),
        ("12-14", 12, 14, "12-14"),
        ("12-", 12, None, "12-"),
        ("12-12", 12, 12, "12"),
        ("0", 0, 0, "0"),
        (" 12 - 14 ", 12, 14, "12-14"),
    ],
)
def test_a_range_is_one_version_several_or_without_end(text: str, lowest: int, highest: int | None, shown: str) -> None:
    found = SchemaRange.parse(text)
    assert (found.lowest, found.highest, str(found)) == (lowest, highest, shown)


@pytest.mark.parametrize("text", ["", "-", "-14", "a", "12.1", "12-14-16", "12,14", "12--14", "v12", "1 2"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a range of schema versions"):
        SchemaRange.parse(text)


def test_a_range_that_falls_is_refused() -> None:
    with pytest.raises(ValueError, match="12 comes before 14"):
        SchemaRange.parse("14-12")


def test_both_ends_of_a_range_are_in_it() -> None:
    closed, open_ended = SchemaRange.parse("12-14"), SchemaRange.parse("12-")
    assert [version for version in range(10, 17) if version in closed] == [12, 13, 14]
    assert [version for version in range(10, 17) if version in open_ended] == [12, 13, 14, 15, 16]


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("12", "12", True),
        ("12", "13", False),
        ("12-14", "14-16", True),
        ("12-14", "15-16", False),
        ("12-20", "14-15", True),
        ("12-", "14", True),
        ("12-", "11", False),
        ("12-", "20-", True),
        ("12-", "5-12", True),
        ("12-", "5-11", False),
    ],
)
def test_ranges_overlap_where_one_version_suits_both_whichever_comes_first(one: str, other: str, overlap: bool) -> None:
    a, b = SchemaRange.parse(one), SchemaRange.parse(other)
    assert a.overlaps(b) is overlap
    assert b.overlaps(a) is overlap


@pytest.mark.parametrize(
    ("compat", "schema", "may"),
    [("12-14", 12, True), ("12-14", 14, True), ("12-14", 15, False), ("12-14", 11, False), ("12-", 99, True)],
)
def test_an_image_outside_the_databases_schema_is_refused(compat: str, schema: int, may: bool) -> None:
    found = judge(NEW, tags(compat), {}, schema)
    assert isinstance(found, Ready if may else Hopeless)
    if isinstance(found, Hopeless):
        assert found.summary == f"the database has schema {schema}, and {NEW} is for schema-compat {compat}"
        assert found.next_step == "Deploy an image that suits the database, or migrate that first."


@pytest.mark.parametrize("schema", [None, 3])
def test_an_image_that_tells_no_range_may_always(schema: int | None) -> None:
    assert isinstance(judge(NEW, {}, {OLD: tags("12")}, schema), Ready)


def test_where_no_migration_told_a_version_there_must_be_one_that_suits_all_who_serve() -> None:
    assert isinstance(judge(NEW, tags("12-14"), {OLD: tags("14-16")}, None), Ready)
    found = judge(NEW, tags("15-16"), {OLD: tags("12-14")}, None)
    assert isinstance(found, Hopeless)
    assert f"{NEW} is for schema-compat 15-16" in found.summary
    assert f"{OLD}, which serves now, for 12-14" in found.summary
    assert found.next_step == "Deploy an image that suits the database, or migrate that first."
    assert isinstance(judge(NEW, tags("12"), {OLD: {}}, None), Ready), "one that tells none suits all"


def test_a_version_that_was_told_counts_more_than_what_serves() -> None:
    assert isinstance(judge(NEW, tags("15-16"), {OLD: tags("12-14")}, 15), Ready)
    assert isinstance(judge(NEW, tags("12-14"), {OLD: tags("12-14")}, 15), Hopeless)


def test_a_release_of_the_same_image_never_stands_in_its_own_way() -> None:
    assert isinstance(judge(NEW, tags("12"), {NEW: tags("13")}, None), Ready)


@pytest.mark.parametrize("at_fault", [NEW, OLD])
def test_a_tag_that_is_no_range_is_refused_with_the_image_that_has_it_and_not_read_as_any(at_fault: str) -> None:
    of = {NEW: tags("12"), OLD: tags("12"), at_fault: tags("twelve")}
    found = judge(NEW, of[NEW], {OLD: of[OLD]}, None)
    assert isinstance(found, Hopeless)
    assert f"the tag schema-compat of {at_fault}: 'twelve' is not a range" in found.summary
    assert found.next_step == "Mend the image's tag `schema-compat`."


@pytest.mark.parametrize(
    ("lines", "schema"),
    [
        ((), None),
        (("done",), None),
        (("schema=12",), 12),
        (("  schema=12  ", "done"), 12),
        (("schema=12", "schema=14"), 14),
        (("schema=0",), 0),
        (("new schema=12",), None),
        (("schema=twelve",), None),
        (("schema = 12",), None),
    ],
)
def test_a_migration_tells_the_schema_in_a_line_of_its_own_and_the_last_counts(
    lines: tuple[str, ...], schema: int | None
) -> None:
    assert told_schema(lines) == schema
