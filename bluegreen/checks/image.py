"""Checks of an image before a launch template names it: there, available, and right for the instance type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bluegreen.errors import ImageError, SettingsError
from bluegreen.model.observation import Image, InstanceType
from bluegreen.model.settings import image_fault

AVAILABLE = "available"


class Sight(Protocol):
    """What the check asks AWS; `bluegreen.aws.observe.Observer` answers."""

    @property
    def region(self) -> str: ...
    def image(self, image: str) -> Image | None: ...
    def instance_type(self, name: str) -> InstanceType | None: ...


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What a launch template asks for."""

    image: str  # as the config has it
    instance_type: str
    root_device: str


def check_image(sight: Sight, request: LaunchRequest) -> None:
    """Raises ImageError where machines could not be launched so, SettingsError where no image is named, AwsError."""
    if fault := image_fault(request.image):
        raise SettingsError([fault])
    image = sight.image(request.image)
    if image is None:
        raise ImageError(
            f"bluegreen:ami: {request.image} does not exist in {sight.region}, or this account may not use it",
            "Check the id, the region and that the image is shared with this account. The traffic was not touched.",
        )
    if image.state != AVAILABLE:
        raise ImageError(
            f"bluegreen:ami: {image.id} is {image.state}, not {AVAILABLE}",
            "Wait until it is available, or deploy another. The traffic was not touched.",
        )
    instance_type = sight.instance_type(request.instance_type)
    if instance_type is None:
        raise ImageError(
            f"bluegreen:instanceType: {request.instance_type} does not exist in {sight.region}",
            "Choose one that the region offers. The traffic was not touched.",
        )
    if image.architecture not in instance_type.architectures:
        raise ImageError(
            f"bluegreen:ami: {image.id} is built for {image.architecture}, and {instance_type.name} runs "
            f"{' or '.join(instance_type.architectures)}",
            "Deploy an image of that architecture, or choose another instanceType. The traffic was not touched.",
        )
    if image.root_device != request.root_device:
        raise ImageError(
            f"bluegreen:rootDevice: {request.root_device} is not the root device of {image.id}, which is "
            f"{image.root_device}",
            f"Run `pulumi config set rootDevice {image.root_device}`: its volume would stay unencrypted otherwise. "
            "The traffic was not touched.",
        )
