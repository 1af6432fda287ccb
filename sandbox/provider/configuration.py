"""The provider's own configuration: the `aws:` keys of a stack, or the arguments of an explicit `aws.Provider`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from bluegreen.errors import BluegreenError
from sandbox.provider.aws import Settings
from sandbox.provider.check import Failure
from sandbox.provider.wire import UNKNOWN, Props

_SERVICES: Final = frozenset({"autoscaling", "cloudwatch", "ec2", "elbv2", "sts"})
# What these switch off, the sandbox's provider never does.
_WITHOUT_EFFECT: Final = frozenset(
    {
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "maxRetries",
        "version",
        "pluginDownloadURL",
    }
)
_SUPPORTED: Final = frozenset({"region", "profile", "assumeRoles", "accessKey", "secretKey", "token", "endpoints"})


def configuration_failures(arguments: Props) -> list[Failure]:
    failures = [
        Failure(name, f"aws:{name} is not supported by the sandbox's provider: leave it out of the sandbox's stack")
        for name in sorted(arguments)
        if name not in _SUPPORTED | _WITHOUT_EFFECT and not name.startswith("__")
    ]
    unknown = sorted({name for block in _blocks(arguments.get("endpoints")) for name in block} - _SERVICES)
    return failures + [
        Failure("endpoints", f"aws:endpoints has no {name} in the sandbox's provider") for name in unknown
    ]


def settings_from(arguments: Props) -> Settings:
    if failures := configuration_failures(arguments):
        raise BluegreenError("; ".join(failure.reason for failure in failures))
    region = arguments.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise BluegreenError(
            "missing region information: the AWS provider doesn't know which region to use",
            "set it with `pulumi config set aws:region us-east-1`, or AWS_REGION in the environment",
        )
    return Settings(
        region=region,
        profile=arguments.get("profile"),
        assume_roles=_roles(arguments.get("assumeRoles")),
        access_key=arguments.get("accessKey"),
        secret_key=arguments.get("secretKey"),
        token=arguments.get("token"),
        endpoints={name: url for block in _blocks(arguments.get("endpoints")) for name, url in block.items() if url},
    )


def _roles(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not value:
        return ()
    # Imported here because it takes most of a second, and most stacks assume no role.
    from bluegreen.aws.session import SessionSettings

    return SessionSettings.parse({"assumeRoles": value}).assume_roles


def _blocks(value: Any) -> list[Props]:
    """Provider arguments that aren't texts travel as JSON texts; a block may be one object or a list of them."""
    if value is None or value is UNKNOWN:
        return []
    parsed = json.loads(value) if isinstance(value, str) else value
    return [block for block in (parsed if isinstance(parsed, list) else [parsed]) if block]
