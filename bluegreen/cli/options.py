"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

StackName = Annotated[str, typer.Argument(help="The stack, one per environment: dev, qa, stage, prod.")]
StackNames = Annotated[list[str], typer.Argument(metavar="STACK", help="One stack, or several: see --waves.")]
AsJson = Annotated[bool, typer.Option("--json", help="A JSON object a line; docs/json.md has the schema.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show Pulumi's own lines too.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would do; change nothing.")]
Force = Annotated[
    bool, typer.Option("--force", help="Pass what would refuse it, another's lease among it; it is recorded.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
