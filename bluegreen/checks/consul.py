"""Whether a Consul cluster can be launched as the settings have it, asked before anything is declared. No Pulumi."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Protocol

from bluegreen.errors import Fault, NotUsable, SettingsError
from bluegreen.model.consul import Consul, missing_keys, path_of
from bluegreen.model.launchable import (
    Finding,
    Standing,
    judge_architecture,
    judge_image,
    judge_instance_type,
    judge_root_device,
)
from bluegreen.model.observation import Image, InstanceType
from bluegreen.model.settings import NAMESPACE
from bluegreen.model.tags import Owner

PATH = f"{NAMESPACE}:consul"


class Sight(Protocol):
    """What the check asks AWS; `bluegreen.aws.observe.Observer` answers."""

    @property
    def region(self) -> str: ...
    def image(self, image: str) -> Image | None: ...
    def instance_type(self, name: str) -> InstanceType | None: ...
    def parameters(self, path: str) -> Mapping[str, str]: ...


def check_consul(sight: Sight, consul: Consul, owner: Owner, root_device: str) -> None:
    """Three calls. Blocks.

    Raises NotUsable with all that is not there, SettingsError for what the cluster can't become, AwsError.
    """
    path = path_of(owner)
    parameters = sight.parameters(path)
    running = _datacenter(parameters.get(f"{path}/config", ""))
    if running and running != consul.datacenter:
        message = f"the cluster is {running}; another name would cut its machines off. Set it back"
        raise SettingsError([Fault(f"{PATH}.datacenter", message)])
    faults = [
        Fault(f"{PATH}.{key}", f"{finding.detail}. {finding.next_step}".strip())
        for key, finding in _findings(sight, consul, root_device)
        if finding.state is Standing.BROKEN
    ]
    if missing := missing_keys(list(parameters), path):
        message = f"the cluster's keys are not there ({', '.join(missing)}). `bluegreen init {owner.stack}` makes them"
        faults.append(Fault(PATH, message))
    if faults:
        raise NotUsable(faults)


def _findings(sight: Sight, consul: Consul, root_device: str) -> Iterator[tuple[str, Finding]]:
    image, machine = sight.image(consul.image), sight.instance_type(consul.instance_type)
    yield "image", judge_image(image, consul.image, sight.region)
    yield "instanceType", judge_instance_type(machine, consul.instance_type, sight.region)
    if image and machine:
        yield "image", judge_architecture(image, machine)
        yield "image", judge_root_device(image, root_device)


def _datacenter(config: str) -> str:
    try:
        return str(json.loads(config)["datacenter"])
    except (ValueError, KeyError, TypeError):
        return ""
