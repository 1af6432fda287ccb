"""`bluegreen images`: which there are, what needs them, which may go, and which nobody may take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluegreen.errors import NEEDS_A_PERSON

if TYPE_CHECKING:
    from bluegreen.images.account_images import Removal
    from bluegreen.model.image_use import AccountImage, PrunePlan
    from bluegreen.project_images import Listed, Verdict

CONTENT_LENGTH = 12
COMMIT_LENGTH = 10

Stacks = Annotated[list[str] | None, typer.Argument(metavar="STACK", help="Stacks. [default: all that have a file]")]
AsJson = Annotated[bool, typer.Option("--json", help="As data.")]
ImageId = Annotated[str, typer.Argument(metavar="IMAGE", help="Its id, or that of any copy: ami-0123456789abcdef0.")]

images = typer.Typer(no_args_is_help=True, help="Images: what needs them, which may go, who may have none.")


@images.command("list", epilog="Example: bluegreen images list prod")
def list_(stacks: Stacks = None, as_json: AsJson = False) -> None:
    """List the images, the newest last, with what needs each."""
    from bluegreen import project_images

    listing = project_images.list_images(stacks or ())
    if as_json:
        record = {"images": [each.as_record() for each in listing.images], "warnings": list(listing.warnings)}
        typer.echo(json.dumps(record, indent=2))
        return
    header = ("IMAGE", "CREATED", "VERSION", "COMMIT", "CONTENT", "GIB", "STATE", "NEEDED")
    for line in in_columns([header, *(_row(each) for each in listing.images)]):
        typer.echo(line)
    for warning in listing.warnings:
        typer.echo(f"not read: {warning}", err=True)


@images.command(epilog="Example: bluegreen images prune --keep 5 --older-than 30d --yes")
def prune(
    stacks: Stacks = None,
    keep: Annotated[int, typer.Option(min=0, help="So many of the newest of each service stay.")] = 5,
    older_than: Annotated[str, typer.Option(metavar="TIME", help="Younger ones stay: 30d, 12h, 2w.")] = "30d",
    yes: Annotated[bool, typer.Option("--yes", help="Remove them. Without it, only say which.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove images that nothing needs, with their snapshots.

    Says which, and changes nothing, unless --yes.
    """
    from bluegreen import project_images
    from bluegreen.model.image_use import Retention

    retention = Retention(keep=keep, older_than=_duration(older_than))
    plan = project_images.plan_prune(retention, stacks or ())
    if not as_json:
        _tell(plan)
    removals: tuple[Removal, ...] = ()
    if yes and plan.going:
        removals = project_images.carry_out(plan, on_removal=None if as_json else _tell_removal)
    if as_json:
        typer.echo(json.dumps(_record(plan, removals), indent=2))
    elif plan.going and not yes:
        typer.echo("Nothing was removed: `--yes` removes them.")
    if any(removal.left for removal in removals):
        raise typer.Exit(NEEDS_A_PERSON)


@images.command(epilog='Example: bluegreen images revoke ami-0123456789abcdef0 --why "CVE-2026-1234"')
def revoke(
    image: ImageId, why: Annotated[str, typer.Option(metavar="TEXT", help="Whoever is refused will read it.")]
) -> None:
    """Veto an image: no stack takes it any more.

    Nor any copy of its content. What runs stays.
    """
    from bluegreen import project_images

    verdict = project_images.revoke(image, why)
    _report("revoked", verdict)


@images.command(epilog="Example: bluegreen images restore ami-0123456789abcdef0")
def restore(image: ImageId) -> None:
    """Lift the veto of an image, and of all copies of its content."""
    from bluegreen import project_images

    verdict = project_images.restore(image)
    _report("restored", verdict)


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells, each as wide as its column needs."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(listed: Listed) -> tuple[str, ...]:
    image = listed.image
    needed = ", ".join(str(use) for use in listed.uses)
    needed = "; ".join(each for each in (needed, listed.revoked) if each)
    if image is None:
        return (listed.id, "-", "-", "-", "-", "-", "gone", needed)
    return (
        image.id,
        f"{image.created:%Y-%m-%d %H:%M}",
        image.version or "-",
        image.commit[:COMMIT_LENGTH] or "-",
        image.content_digest[:CONTENT_LENGTH] or "-",
        str(image.size_gib),
        image.state,
        needed,
    )


def _tell(plan: PrunePlan) -> None:
    rows = [("keep", each.image.id, _called(each.image), each.why) for each in plan.kept]
    rows += [("remove", image.id, _called(image), f"{image.size_gib} GiB") for image in plan.going]
    for line in in_columns(rows) if rows else ["there are no images"]:
        typer.echo(line)


def _called(image: AccountImage) -> str:
    return f"{image.name or '-'} ({image.place.region})"


def _tell_removal(removal: Removal) -> None:
    for words in removal.gone:
        typer.echo(f"removed {words}")
    for words in removal.left:
        typer.echo(f"not removed: {words}", err=True)


def _record(plan: PrunePlan, removals: Sequence[Removal]) -> dict[str, Any]:
    return {
        "going": [image.id for image in plan.going],
        "kept": [{"id": each.image.id, "why": each.why} for each in plan.kept],
        "removed": [words for removal in removals for words in removal.gone],
        "left": [words for removal in removals for words in removal.left],
    }


def _report(what: str, verdict: Verdict) -> None:
    copies = f" and {', '.join(verdict.copies)}" if verdict.copies else ""
    content = f" (content {verdict.content_digest[:CONTENT_LENGTH]})" if verdict.content_digest else ""
    typer.echo(f"{verdict.image}{copies}{content} {what} for {', '.join(verdict.stacks)}")
    if not verdict.content_digest:
        typer.echo("Its content is not known: copies of it are not meant, only this id.", err=True)
    for words in verdict.unmarked:
        typer.echo(f"not tagged: {words}. The ledgers count all the same.", err=True)


def _duration(text: str) -> timedelta:
    from bluegreen.model.duration import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--older-than") from None
