"""A release: one image plus everything that makes a server group what it is. Pure and immutable.

Its version is a digest of all of that. Names of resources carry the version, so whatever is digested makes new
resources when it changes, and nothing in a server group is ever replaced or, in its target group, changed. What may
change in place (minSize and maxSize, tags, the deadline) is therefore not part of a release.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel, to_snake

from bluegreen.model.schema import as_text
from bluegreen.model.settings import Settings

NOT_DIGESTED_WHERE_EMPTY = (
    ("launch", "key_pair"),
    ("launch", "instance_profile"),
    ("launch", "instance_role"),
    ("launch", "user_data_template"),
    ("launch", "volumes"),
    ("launch", "maintenance"),
    ("launch", "lifecycle_hooks"),
    ("launch", "volume_key"),
    ("launch", "mixed_instances"),
    ("target", "stickiness_seconds"),
    ("target", "health", "protocol"),
)
"""Settings that came later: a release without them keeps the version that it was recorded with, so that its record is
still read and nobody's stack deploys anew."""

VERSION_LENGTH = 8
"""Hex digits: with a service of 15 characters and Pulumi's suffix of 8, a target group has the 32 that AWS allows."""


@dataclass(frozen=True, kw_only=True)
class LaunchSettings:
    """Every setting of the launch template."""

    instance_type: str
    user_data: str  # before substitution and base64
    root_device: str
    volume_type: str = "gp3"
    is_volume_encrypted: bool = True
    metadata_tokens: str = "required"
    metadata_hop_limit: int = 1
    has_metadata_tags: bool = True  # a machine learns its release from its tag
    key_pair: str = ""  # by name, empty where there is none
    instance_profile: str = ""  # by name, empty where there is none
    user_data_template: str = ""
    volume_key: str = ""  # an ARN, `own`, or empty where AWS's own key encrypts the volumes
    # As `schema.as_text` has them:
    instance_role: str = ""  # the rights of the machines' own role
    volumes: str = ""
    maintenance: str = ""
    lifecycle_hooks: str = ""
    mixed_instances: str = ""


@dataclass(frozen=True, kw_only=True)
class HealthSettings:
    """The target group's health check."""

    path: str
    interval_seconds: int
    timeout_seconds: int
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str
    protocol: str = ""  # empty where it is HTTP


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """Every setting of the target group. A target group belongs to a VPC for good, hence `vpc_cidr`."""

    port: int
    vpc_cidr: str
    drain_seconds: int
    health: HealthSettings
    protocol: str = "HTTP"
    protocol_version: str = "HTTP1"
    target_type: str = "instance"
    algorithm: str = "round_robin"
    stickiness_seconds: int = 0  # of a client to a machine; 0: none

    @property
    def is_network(self) -> bool:
        """Whether it is for a Network Load Balancer, which has neither an `algorithm` nor a `protocol_version`."""
        return self.protocol == "TCP"


@dataclass(frozen=True, kw_only=True)
class Release:
    """One image and all that a server group made from it is."""

    service: str
    image: str
    launch: LaunchSettings
    target: TargetSettings

    @classmethod
    def from_settings(cls, settings: Settings) -> Release:
        """The release that a stack's config asks for. Raises SettingsError where `ami` is unset."""
        check = settings.health_check
        return cls(
            service=settings.service,
            image=settings.image,
            launch=LaunchSettings(
                instance_type=settings.instance_type,
                user_data=settings.user_data,
                root_device=settings.root_device,
                key_pair=settings.key_pair,
                instance_profile=settings.instance_profile,
                instance_role=as_text(settings.instance_role),
                user_data_template=settings.user_data_template,
                volume_key=settings.encryption.key if settings.encryption else "",
                volumes=as_text(settings.volumes),
                maintenance=as_text(settings.instance_maintenance),
                lifecycle_hooks=as_text(settings.lifecycle_hooks),
                mixed_instances=as_text(settings.mixed_instances),
            ),
            target=TargetSettings(
                port=settings.port,
                vpc_cidr=settings.vpc_cidr,
                drain_seconds=settings.drain_seconds,
                stickiness_seconds=settings.target_stickiness_seconds,
                **({"protocol": "TCP", "protocol_version": "", "algorithm": ""} if settings.is_network else {}),
                health=HealthSettings(
                    path=check.path if settings.speaks_http else "",
                    interval_seconds=check.interval_seconds,
                    timeout_seconds=check.timeout_seconds,
                    healthy_threshold=check.healthy_threshold,
                    unhealthy_threshold=check.unhealthy_threshold,
                    matcher=check.matcher if settings.speaks_http else "",
                    protocol="" if settings.speaks_http else "TCP",
                ),
            ),
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Release:
        """The release that `as_record` described. Raises ValueError where the record's version is not its digest."""
        health = HealthSettings(**_fields(record["target"]["health"]))
        release = cls(
            service=record["service"],
            image=record["image"],
            launch=LaunchSettings(**_fields(record["launch"])),
            target=TargetSettings(**{**_fields(record["target"]), "health": health}),
        )
        if record["version"] != release.version:
            raise ValueError(f"the record of release {record['version']} was changed: it digests to {release.version}")
        return release

    @property
    def version(self) -> str:
        """Eight hex digits that stay the same as long as every setting does."""
        fields = dataclasses.asdict(self)
        for *parts, name in NOT_DIGESTED_WHERE_EMPTY:
            within = functools.reduce(dict.__getitem__, parts, fields)
            if not within[name]:
                del within[name]
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:VERSION_LENGTH]

    @property
    def name(self) -> str:
        """What resources of this release are called: `web-4d197941`."""
        return f"{self.service}-{self.version}"

    def as_record(self) -> dict[str, Any]:
        """Plain data for the stack's outputs: every setting, in camelCase as in the config, and the version."""

        def in_camel_case(fields: list[tuple[str, Any]]) -> dict[str, Any]:
            return {to_camel(name): value for name, value in fields}

        return {"version": self.version, **dataclasses.asdict(self, dict_factory=in_camel_case)}


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    return {to_snake(key): value for key, value in dict(record).items()}  # a TypeError where it is none
