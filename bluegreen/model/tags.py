"""The tags that every resource carries, so that what is ours is known as ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

PROJECT = "bluegreen:project"
STACK = "bluegreen:stack"
SERVICE = "bluegreen:service"
RELEASE = "bluegreen:release"
PORT = "bluegreen:port"
"""The port that a machine's app is expected to listen on; the app can read it from its instance metadata."""
LISTENER = "bluegreen:listener"
BALANCER = "bluegreen:balancer"
"""Of a server group: SHARED where its load balancer is not the stack's own."""
SHARED = "shared"
SERVER_GROUP = "bluegreen:server-group"
"""Of an alarm: the Auto Scaling group that it belongs to."""
TIER = "bluegreen:tier"
"""Of what belongs to a stateful tier, as the following ones: the tier's name."""
MEMBER = "bluegreen:member"
"""The member's name, which its machines have one after the other."""
ROLE = "bluegreen:role"
"""What the member does in its tier; Ansible's inventory makes a group of hosts of it."""
SET = "bluegreen:set"
"""Which members hold the same data."""
MOUNT = "bluegreen:mount"
"""Of a volume and of its machine: where its files are."""
ADDRESS = "bluegreen:address"
"""Of a volume and of its machine: the member's address."""
HOST = "bluegreen:host"
"""Of a machine: what others call it, by its name in DNS or its address."""
PROTECTED = "bluegreen:protected"
"""Of a volume: whether its stack refuses to let go of it, true or false."""

VERSION = "bluegreen:version"
"""Of an image, as the following ones: the app's version, and below it what the image was made of."""
COMMIT = "bluegreen:commit"
ARTIFACT_SHA256 = "bluegreen:artifact-sha256"
PLAYBOOK_DIGEST = "bluegreen:playbook-digest"
BASE_IMAGE = "bluegreen:base-image"
TEMPLATE_DIGEST = "bluegreen:template-digest"
CONTENT_DIGEST = "bluegreen:content-digest"
"""The four before, in one: two images with the same one are the same image, whatever their ids."""
REVOKED = "bluegreen:revoked"
"""Of an image that no stack may take any more: why. The ledgers have the last word; this is for who has none."""
SOURCE_IMAGE = "bluegreen:source-image"
"""Of a copy of an image, as the next one: what it was copied from."""
SOURCE_REGION = "bluegreen:source-region"
SCHEMA_COMPAT = "schema-compat"
"""Of an image, set by its users: the versions of the database's schema that it can live with."""


class Purpose(StrEnum):
    """What a listener, or a rule of a shared one, is for, as its tag says. One without the tag was not made by a
    program of ours."""

    PRODUCTION = "production"
    PREVIEW = "preview"
    REDIRECT = "redirect"
    CLOSED = "closed"
    """A rule that answers who may not see the preview."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose a resource is: a service of a stack of a Pulumi project. Without `service`, the whole stack's."""

    project: str
    stack: str
    service: str = ""

    @property
    def tags(self) -> dict[str, str]:
        tags = {PROJECT: self.project, STACK: self.stack}
        return {**tags, SERVICE: self.service} if self.service else tags

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Owner:
        return cls(project=tags[PROJECT], stack=tags[STACK], service=tags[SERVICE])
