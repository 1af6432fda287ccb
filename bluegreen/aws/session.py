"""One factory for boto3 clients that meets the same account and region as Pulumi's AWS provider does.

It reads what the provider reads from the stack's config: `aws:region`, `aws:profile`, `aws:assumeRoles`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from bluegreen.errors import AwsError

# Reads are cheap to repeat, and a deployment must outlive a throttled minute.
CLIENT_CONFIG = Config(retries={"mode": "standard", "max_attempts": 8}, connect_timeout=5, read_timeout=30)

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


class Session:
    """Makes each service's client once. Safe to share between threads."""

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._boto: boto3.Session | None = None
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The boto3 client of a service. Raises AwsError where no region or profile is to be had."""
        with self._lock:
            if service not in self._clients:
                try:
                    if self._boto is None:
                        self._boto = _boto_session(self._settings)
                    self._clients[service] = self._boto.client(service, config=CLIENT_CONFIG)
                except (BotoCoreError, ClientError) as error:
                    raise as_aws_error(error) from error
            return self._clients[service]

    @property
    def region(self) -> str:
        return str(self.client("ec2").meta.region_name)


def _boto_session(settings: SessionSettings) -> boto3.Session:
    core = botocore.session.Session(profile=settings.profile)
    if settings.region:
        core.set_config_variable("region", settings.region)
    for role in settings.assume_roles:
        core = _assuming(core, role)
    return boto3.Session(botocore_session=core)


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


CREDENTIAL_FAULTS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AuthFailure",
)


def as_aws_error(error: BotoCoreError | ClientError) -> AwsError:
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
                return AwsError(what, f"Allow this caller {error.operation_name}, then run again.")
            return AwsError(what)
        case _:
            next_step = "Check `aws:region`, `aws:profile` and the environment's AWS_ variables, then run again."
            return AwsError(f"AWS can't be asked: {error}", next_step)
