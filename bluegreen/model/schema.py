"""What the settings' own types are made of: the base model, and checks that more than one of them uses. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class ConfigModel(BaseModel):
    """A part of the config: frozen, and unknown keys are faults.

    Keys are camelCase in a config, and snake_case where a program makes one: `Shift(weight=5, pause_seconds=60)`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


def as_text(value: ConfigModel | Sequence[ConfigModel] | None) -> str:
    """The same as JSON, for a release to hold: always in one order, without what has its default. Empty for nothing."""
    if not value:
        return ""
    parts = [value] if isinstance(value, ConfigModel) else value
    dumped = [part.model_dump(mode="json", by_alias=True, exclude_defaults=True) for part in parts]
    return json.dumps(dumped if value is parts else dumped[0], sort_keys=True, separators=(",", ":"))


def refusal(message: str) -> PydanticCustomError:
    """What a validator raises: the message is shown as it is, after the path."""
    return PydanticCustomError("fault", "{message}", {"message": message})


def decoded(value: object) -> object:
    """Pulumi hands objects and lists to a program as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise refusal(f"should be JSON, as `pulumi config set --path` writes it ({error})") from None


def bucket_name(value: str) -> str:
    """S3 User Guide, "General purpose bucket naming rules"."""
    if value and (not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value) or ".." in value):
        raise refusal(f"{value!r} is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")
    if re.fullmatch(r"\d+(\.\d+){3}", value):
        raise refusal(f"{value!r} is not the name of a bucket: it looks like an address")
    if value.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or value.endswith(("-s3alias", "--ol-s3", "--x-s3")):
        raise refusal(f"{value!r} is not the name of a bucket: AWS keeps its first or last letters for itself")
    return value


def request_path(value: str) -> str:
    """A path that may stand in a request line, with its query."""
    if not re.fullmatch(r"/[!-~]{0,1023}", value) or "#" in value:
        raise refusal(f"{value!r} should start with / and hold no spaces, no # and nothing but ASCII")
    return value


def status_codes(value: object) -> object:
    """A code, a list of codes or a text of codes and ranges, as text: 200, 200,204 or 200-299."""
    text = ",".join(str(part) for part in value) if isinstance(value, list) else str(value)
    for part in text.split(","):
        match = re.fullmatch(r"([1-5]\d\d)(?:-([1-5]\d\d))?", part)
        if not match or (match[2] and match[2] < match[1]):
            raise refusal(f"{text!r} should be status codes, such as 200, 200,204 or 200-299")
    return text


def ipv4_network(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError as error:
        raise refusal(f"{value!r} is not an IPv4 network ({error}); one looks like 10.0.0.0/16") from None


def machine_type(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", value):
        raise refusal(f"{value!r} is not an instance type; one looks like t3.small")
    return value
