"""Who the credentials are."""

from __future__ import annotations

from dataclasses import dataclass

from bluegreen.aws.session import Session, in_our_words


@dataclass(frozen=True, kw_only=True)
class Identity:
    account: str
    arn: str


@in_our_words
def identity(session: Session) -> Identity:
    """One call, which needs no permission (STS API, GetCallerIdentity). Raises AwsError."""
    found = session.client("sts").get_caller_identity()
    return Identity(account=str(found["Account"]), arn=str(found["Arn"]))
