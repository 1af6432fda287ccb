"""One factory for AWS clients that meets the same account and region as Pulumi's AWS provider does.

It reads what the provider reads from the stack's config: `aws:region`, `aws:profile`, `aws:assumeRoles`.
"""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from bluegreen.errors import AwsError, Fault, NotPermitted, SettingsError
from bluegreen.model.permissions import WHERE_POLICIES_ARE

# Reads are cheap to repeat, and a deployment must outlive a throttled minute.
CLIENT_CONFIG = Config(retries={"mode": "standard", "max_attempts": 8}, connect_timeout=5, read_timeout=30)

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""In the order in which the provider reads them; botocore knows the second alone."""

# boto3 still signs URLs in some regions by version 2, which objects under a KMS key refuse.
S3_CONFIG = Config(signature_version="s3v4")

# The ledger is asked before every act: that it can't be reached has to be known soon.
DYNAMODB_CONFIG = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=10)

CONFIGS = {"s3": CLIENT_CONFIG.merge(S3_CONFIG), "dynamodb": DYNAMODB_CONFIG}
"""Of services that need another than the others."""

ASSUME_ROLE_ARGUMENTS = {
    "duration": "DurationSeconds",
    "externalId": "ExternalId",
    "policy": "Policy",
    "policyArns": "PolicyArns",
    "sessionName": "RoleSessionName",
    "sourceIdentity": "SourceIdentity",
    "tags": "Tags",
    "transitiveTagKeys": "TransitiveTagKeys",
}
"""The provider's names for the arguments of STS AssumeRole."""


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """Whom to be and where: the `aws:` keys of a stack's config, None or empty where unset."""

    region: str | None = None
    profile: str | None = None
    assume_roles: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> SessionSettings:
        """What the `aws:` keys of a stack's config mean, without their namespace: as Pulumi gives them to a program
        (lists as JSON text) or as YAML holds them. Raises SettingsError."""
        roles = config.get("assumeRoles") or []
        if isinstance(roles, str):
            try:
                roles = json.loads(roles)
            except json.JSONDecodeError as error:
                raise SettingsError([Fault("aws:assumeRoles", f"should be JSON ({error})")]) from None
        if not isinstance(roles, list) or not all(isinstance(role, dict) and role.get("roleArn") for role in roles):
            raise SettingsError([Fault("aws:assumeRoles", "should be a list of objects, each with a roleArn")])
        return cls(region=config.get("region"), profile=config.get("profile"), assume_roles=tuple(roles))


class Session:
    """Makes each service's client once. Safe to share between threads."""

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._core: botocore.session.Session | None = None
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service, as boto3 has it. Raises AwsError where no region or profile is to be had."""
        with self._lock:
            if service not in self._clients:
                try:
                    config = CONFIGS.get(service, CLIENT_CONFIG)
                    self._clients[service] = self._session().create_client(service, config=config)
                except (BotoCoreError, ClientError, ValueError) as error:  # ValueError: of the environment
                    raise as_aws_error(error) from error
            return self._clients[service]

    @property
    def region(self) -> str:
        """Raises AwsError where none is set."""
        try:
            with self._lock:
                region = self._session().get_config_variable("region")
        except (BotoCoreError, ClientError, ValueError) as error:
            raise as_aws_error(error) from error
        if not region:
            raise AwsError("no AWS region is set", "Set `aws:region` in the stack's config, or AWS_REGION.")
        return str(region)

    def credentials_end(self) -> datetime | None:
        """When the credentials end that nobody renews: those of the environment. None where they don't, or don't say.

        The environment says it in AWS_CREDENTIAL_EXPIRATION, as `aws configure export-credentials` writes it. Those of
        a profile are renewed, those of a role as long as the ones behind it last.
        """
        with self._lock:
            session = _source_session(self._settings) if self._settings.assume_roles else self._session()
            try:
                found = session.get_credentials()
            except (BotoCoreError, ClientError, ValueError) as error:  # ValueError: of the environment
                raise as_aws_error(error) from error
        expiry = os.environ.get("AWS_CREDENTIAL_EXPIRATION")
        if found is None or found.method != "env" or not expiry:
            return None
        try:
            end = datetime.fromisoformat(expiry)
        except ValueError:
            return None
        return end if end.tzinfo else end.replace(tzinfo=UTC)

    def environment(self) -> dict[str, str]:
        """What makes another program meet the same account. Empty where the environment says so already.

        Credentials as they are now: they are not renewed. Raises AwsError where none are to be had.
        """
        if not self._settings.profile and not self._settings.assume_roles:
            return {}
        try:
            with self._lock:
                found = self._session().get_credentials()
                if found is None:
                    raise AwsError(f"the profile {self._settings.profile} has no credentials", CHECK_SESSION)
                now = found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise as_aws_error(error) from error
        return {
            "AWS_ACCESS_KEY_ID": now.access_key,
            "AWS_SECRET_ACCESS_KEY": now.secret_key,
            "AWS_SESSION_TOKEN": now.token or "",
        }

    def _session(self) -> botocore.session.Session:
        if self._core is None:
            self._core = _core_session(self._settings)
        return self._core


def _source_session(settings: SessionSettings) -> botocore.session.Session:
    """Before any role is assumed."""
    core = botocore.session.Session(profile=settings.profile)
    if region := settings.region or next(filter(None, map(os.environ.get, REGION_VARIABLES)), None):
        core.set_config_variable("region", region)
    return core


def _core_session(settings: SessionSettings) -> botocore.session.Session:
    core = _source_session(settings)
    for role in settings.assume_roles:
        core = _assuming(core, role)
    return core


def _assuming(source: botocore.session.Session, role: Mapping[str, Any]) -> botocore.session.Session:
    """A session in the role, whose credentials are renewed before they end; roles chain as the provider chains them."""
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=source.create_client,
        source_credentials=source.get_credentials(),
        role_arn=role["roleArn"],
        extra_args={
            name: _seconds(value) if key == "duration" else value
            for key, name in ASSUME_ROLE_ARGUMENTS.items()
            if (value := role.get(key)) is not None
        },
    )
    assumed = botocore.session.Session()
    assumed.set_config_variable("region", source.get_config_variable("region"))
    assumed._credentials = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
    return assumed


def _seconds(duration: str) -> int:
    """The provider writes durations as Go does: 1h, 30m, 1h30m, 3600s."""
    total, digits = 0, ""
    for character in duration:
        if character.isdigit():
            digits += character
        elif digits and character in "hms":
            total += int(digits) * {"h": 3600, "m": 60, "s": 1}[character]
            digits = ""
        else:
            raise AwsError(f"aws:assumeRoles: duration {duration!r} should look like 1h30m")
    return total


CHECK_SESSION = "Check `aws:region`, `aws:profile` and the environment's AWS_ variables, then run again."

CREDENTIAL_FAULTS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AuthFailure",
)


def as_aws_error(error: BotoCoreError | ClientError | ValueError) -> AwsError:
    """The same, in words that say what to do."""
    match error:
        case ClientError():
            code = error.response.get("Error", {}).get("Code", "")
            what = f"AWS refused {error.operation_name}: {code}: {error.response.get('Error', {}).get('Message', '')}"
            if code in CREDENTIAL_FAULTS:
                return AwsError(
                    what, "Renew the credentials (`aws sts get-caller-identity` shows them), then run again."
                )
            if "AccessDenied" in code or "Unauthorized" in code:
                return NotPermitted(
                    what, f"Allow this caller {error.operation_name}, then run again. {WHERE_POLICIES_ARE}"
                )
            return AwsError(what)
        case _:
            return AwsError(f"AWS can't be asked: {error}", CHECK_SESSION)


P = ParamSpec("P")
R = TypeVar("R")


def in_our_words(question: Callable[P, R]) -> Callable[P, R]:
    """Makes a function raise AwsError where boto3 raises its own."""

    @functools.wraps(question)
    def ask(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return question(*args, **kwargs)
        except (BotoCoreError, ClientError) as error:
            raise as_aws_error(error) from error

    return ask


def is_fault(error: ClientError, *codes: str) -> bool:
    """Whether AWS refused with one of these codes."""
    return error.response.get("Error", {}).get("Code") in codes
