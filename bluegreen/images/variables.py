"""The variables file of an image, `packer/<stack>.pkrvars.json`: what a user says to Packer about one deployment.

Checked here is what bake itself needs; the rest is the template's to declare and Packer's to check.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bluegreen.errors import Fault, VariablesError
from bluegreen.images.artifact import Artifact
from bluegreen.model.settings import image_fault

SUFFIX = ".pkrvars.json"
BASE_IMAGE = ("base_image_id", "base_image_name", "base_image_owner")
CONSUL = ("consul_url", "consul_sha256")
SOURCE_CIDRS = "builder_source_cidrs"
SSH_INTERFACE = "builder_ssh_interface"

_CONSUL_ZIP = re.compile(r"/consul_(\d[\w.+-]*)_linux_\w+\.zip$")

SET_BY_BAKE = frozenset(
    {
        "region",
        "service",
        "app_version",
        "commit",
        "artifact_url",
        "artifact_sha256",
        "app_port",
        "app_health_path",
        "root_device",
        "image_name",
        "tags",
        "run_tags",
        "ansible_directory",
        "scripts_directory",
        "manifest",
    }
)
"""Variables that bake gives values; one in the file would be overridden without a word."""


@dataclass(frozen=True, kw_only=True)
class BaseImageQuery:
    """Which image to start from: the one with `id`, else the newest of `owner` whose name fits the pattern `name`."""

    id: str = ""
    name: str = ""
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class Variables:
    """A variables file, as far as bake reads it."""

    file: Path
    values: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path) -> Variables:
        """Raises VariablesError where there is no such file, and with every fault of it."""
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise _missing(file) from None
        except (OSError, UnicodeDecodeError) as error:
            raise VariablesError(str(file), [Fault("file", f"can't be read: {error}")]) from error
        except json.JSONDecodeError as error:
            fault = Fault(f"line {error.lineno}, column {error.colno}", f"is not JSON: {error.msg}")
            raise VariablesError(str(file), [fault]) from None
        if not isinstance(values, dict):
            raise VariablesError(str(file), [Fault("file", "should be an object, of variables by name")])
        if faults := list(_faults(values)):
            raise VariablesError(str(file), faults)
        return cls(file=file, values=MappingProxyType(values))

    @property
    def base_image(self) -> BaseImageQuery:
        return BaseImageQuery(**{key.removeprefix("base_image_"): self.values.get(key, "") for key in BASE_IMAGE})

    @property
    def consul(self) -> Artifact:
        """The release of Consul that they name. Raises VariablesError where they name none."""
        url, sha256 = (str(self.values.get(key, "")) for key in CONSUL)
        if not url:
            raise VariablesError(str(self.file), [Fault("consul_url", "is empty; docs/consul.md says what goes there")])
        found = _CONSUL_ZIP.search(url)
        return Artifact(url=url, sha256=sha256, version=found[1] if found else "", commit="")

    @property
    def of_the_image(self) -> dict[str, Any]:
        """Those that shape the image: not where it is built, and the base image not by name, since that may move on."""
        return {
            key: value
            for key, value in self.values.items()
            if not key.startswith("builder_") and key not in ("ssh_port", *BASE_IMAGE)
        }

    @property
    def source_cidrs(self) -> tuple[str, ...]:
        """The networks that may reach the builder; empty where the file leaves that to bake."""
        return tuple(self.values.get(SOURCE_CIDRS, ()))

    @property
    def ssh_interface(self) -> str:
        """How the builder is reached, in Packer's words; empty for its own choice."""
        return str(self.values.get(SSH_INTERFACE, ""))


def _missing(file: Path) -> VariablesError:
    others = sorted(path.name for path in file.parent.glob(f"*{SUFFIX}"))
    advice = f"copy {' or '.join(others)} there and adapt it" if others else "name a base image in it"
    return VariablesError(str(file), [Fault("file", f"does not exist; {advice}")])


def _faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    for key in sorted(SET_BY_BAKE & values.keys()):
        yield Fault(key, "is given its value by `bluegreen bake`; remove it")
    texts = {key: values.get(key, "") for key in (*BASE_IMAGE, *CONSUL, SSH_INTERFACE)}
    wrong = {key for key, value in texts.items() if not isinstance(value, str)}
    for key in sorted(wrong):
        yield Fault(key, f"{json.dumps(texts[key])} should be a string")
    if not wrong.intersection(BASE_IMAGE):
        yield from _base_image_faults(*(texts[key] for key in BASE_IMAGE))
    if not wrong.intersection(CONSUL):
        yield from _consul_faults(*(texts[key] for key in CONSUL))
    cidrs = values.get(SOURCE_CIDRS, [])
    if not isinstance(cidrs, list):
        yield Fault(SOURCE_CIDRS, f"{json.dumps(cidrs)} should be a list of networks")
        return
    for index, cidr in enumerate(cidrs):
        try:
            ipaddress.ip_network(cidr if isinstance(cidr, str) else "")
        except ValueError:
            path = f"{SOURCE_CIDRS}[{index}]"
            yield Fault(path, f"{json.dumps(cidr)} is not a network; one looks like 203.0.113.7/32")


def _consul_faults(url: str, sha256: str) -> Iterator[Fault]:
    if (url or sha256) and not (url.startswith("https://") and _CONSUL_ZIP.search(url)):
        yield Fault("consul_url", f"{url!r} should be https://.../consul_VERSION_linux_ARCHITECTURE.zip")
    if (url or sha256) and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        yield Fault("consul_sha256", f"{sha256!r} should be the zip's SHA-256, as 64 hex digits")


def _base_image_faults(image: str, name: str, owner: str) -> Iterator[Fault]:
    if image:
        if image_fault(image):
            yield Fault("base_image_id", f"{image!r} is not the id of an AMI; ids look like ami-0123456789abcdef0")
    elif not name:
        yield Fault("base_image_id", "is empty, and so is base_image_name: the image has nothing to start from")
    elif not owner:
        # A name alone is anybody's to take.
        yield Fault("base_image_owner", "is empty; name the account that publishes the image, or `self` or `amazon`")
