"""The IAM policies of a stack's roles, by its files: the engine is not asked, and no role is made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bluegreen import permissions
from bluegreen.aws.identity import identity
from bluegreen.aws.session import Session
from bluegreen.images.stack_file import read_stack
from bluegreen.model import backups
from bluegreen.model.artifact_bucket import own_bucket_name
from bluegreen.model.ledger_place import DEFAULT_NAME, Backend
from bluegreen.model.permissions import Place, Verb, at, split
from bluegreen.model.tags import Owner


def documents(verb: Verb, stack: str, directory: Path, *, account: str = "") -> tuple[dict[str, Any], ...]:
    """The policies of a verb for a stack; several where one would be longer than IAM takes.

    `account`: the number of the one that the stack is in; without it, the credentials' is asked for. Raises AwsError,
    StackFileError, SettingsError.
    """
    return split(at(permissions.template(verb), place_of(stack, directory, account=account)))


def place_of(stack: str, directory: Path, *, account: str = "") -> Place:
    """Whose rights a stack's are, and where. Raises as `documents` does."""
    config = read_stack(stack, directory)
    session = Session(config.session)
    caller = None if account else identity(session)
    account = account or (caller.account if caller else "")
    ledger = config.settings.ledger_place
    place = (config.project, config.stack, account, session.region)
    stored = config.settings.backups
    return Place(
        owner=Owner(project=config.project, stack=config.stack, service=config.settings.service),
        account=account,
        region=session.region,
        table=ledger.name if ledger.backend is Backend.DYNAMODB else DEFAULT_NAME,
        bucket=config.settings.artifact_bucket or own_bucket_name(*place),
        backup_bucket=(stored.bucket if stored else "") or own_bucket_name(*place, backups.KIND),
        listener=config.settings.listener.arn if config.settings.listener else "",
        partition=caller.arn.split(":")[1] if caller else "aws",
    )
