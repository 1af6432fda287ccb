"""`bluegreen iam-policy`: what a role needs for a verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bluegreen.cli.options import StackName
from bluegreen.model.permissions import Verb


def iam_policy(
    verb: Annotated[Verb, typer.Argument(help="What the role is for.")],
    stack: StackName,
    account: Annotated[
        str, typer.Option(metavar="NUMBER", help="The stack's account. [default: the credentials']", show_default=False)
    ] = "",
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write VERB-1.json and so on there.", show_default=False)
    ] = None,
) -> None:
    """Print the IAM policy that a role needs for a verb on a stack.

    JSON, one document after the other where one would be longer than IAM takes. Nothing is changed.
    """
    from bluegreen import iam_policy as library

    documents = library.documents(verb, stack, Path.cwd(), account=account)
    if to is None:
        for document in documents:
            typer.echo(json.dumps(document, indent=2))
        return
    to.mkdir(parents=True, exist_ok=True)
    for number, document in enumerate(documents, start=1):
        file = to / f"{verb}-{number}.json"
        file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        typer.echo(str(file))
