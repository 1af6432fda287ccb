"""Checks of an image before a launch template names it: there, available, and right for the instance type.

The rules are in `bluegreen.model.launchable`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bluegreen.checks.launchable import ask
from bluegreen.errors import ImageError, SettingsError
from bluegreen.model.history import History
from bluegreen.model.launchable import (
    Finding,
    Standing,
    judge_architecture,
    judge_image,
    judge_instance_type,
    judge_root_device,
    judge_zones,
)
from bluegreen.model.observation import Image, InstanceType
from bluegreen.model.revocation import refuse_revoked
from bluegreen.model.settings import image_fault
from bluegreen.model.tags import CONTENT_DIGEST, REVOKED


class Sight(Protocol):
    """What the check asks AWS; `bluegreen.aws.observe.Observer` answers."""

    @property
    def region(self) -> str: ...
    def image(self, image: str) -> Image | None: ...
    def instance_type(self, name: str) -> InstanceType | None: ...
    def zones_offering(self, instance_type: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What a launch template asks for."""

    image: str  # as the config has it
    instance_type: str
    root_device: str
    more_types: tuple[str, ...] = ()  # that machines may be of instead
    zones: tuple[str, ...] = ()  # where its machines go, as far as that is known


def check_image(sight: Sight, request: LaunchRequest, history: History | None = None) -> Image | None:
    """The image, as AWS describes it. Without `history` nobody asks about revocations: of a way back that was forced.

    Raises ImageError where machines could not be launched so, or where the image was revoked; SettingsError where no
    image is named, AwsError.
    """
    if fault := image_fault(request.image):
        raise SettingsError([fault])
    image = sight.image(request.image)
    _refuse_broken("ami", judge_image(image, request.image, sight.region))
    if history is not None:
        tags = image.tags if image else {}
        refuse_revoked(history, request.image, tags.get(CONTENT_DIGEST, ""), tags.get(REVOKED, ""))
    _check_type(sight, request, request.instance_type, image, "instanceType", "ami")
    if image:
        _refuse_broken("rootDevice", judge_root_device(image, request.root_device))
    for each in request.more_types:
        _check_type(sight, request, each, image, "mixedInstances.types", "mixedInstances.types")
    return image


def _check_type(
    sight: Sight, request: LaunchRequest, name: str, image: Image | None, key: str, key_of_architecture: str
) -> None:
    instance_type = sight.instance_type(name)
    _refuse_broken(key, judge_instance_type(instance_type, name, sight.region))
    if request.zones:
        _refuse_broken(key, judge_zones(name, request.zones, ask(sight.zones_offering, name)))
    if image and instance_type:  # as they are by now
        _refuse_broken(key_of_architecture, judge_architecture(image, instance_type))


def _refuse_broken(key: str, finding: Finding) -> None:
    if finding.state is Standing.BROKEN:
        raise ImageError(f"bluegreen:{key}: {finding.detail}", f"{finding.next_step} The traffic was not touched.")
