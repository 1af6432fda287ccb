"""Names in DNS: what a config says of them, and which hosted zone of Route 53 it means. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from bluegreen.model.observation import HostedZone
from bluegreen.model.schema import ConfigModel, refusal

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_ZONE_ID = re.compile(r"[A-Z0-9]{2,32}")


def _host_name(value: str) -> str:
    name = value.lower()
    if len(name) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})+", name):
        raise refusal(f"{value!r} is not the whole name of a host; one looks like shop.example.com")
    return name


def _zone(value: str) -> str:
    text = value.removeprefix("/hostedzone/")
    if not text or is_zone_id(text):
        return text
    return _host_name(text.rstrip("."))


def _apart(value: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({name for name in value if value.count(name) > 1}):
        raise refusal(f"names {', '.join(twice)} twice")
    return value


HostName = Annotated[str, AfterValidator(_host_name)]
ZoneText = Annotated[str, AfterValidator(_zone)]


def is_zone_id(text: str) -> bool:
    return bool(_ZONE_ID.fullmatch(text))


def is_in_zone(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


class Dns(ConfigModel):
    """Names that lead to the load balancer, all in one hosted zone (name or id) of Route 53."""

    zone: Annotated[ZoneText, Field(min_length=1)]
    names: Annotated[tuple[HostName, ...], AfterValidator(_apart), Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Zones:
    """Ids of the hosted zones that a config means: for the record that validates the certificate, and for names that
    lead to the load balancer. Empty where it means none."""

    certificate: str = ""
    names: str = ""


NO_ZONES = Zones()


def pick_zone(zone: str, found: Sequence[HostedZone], *, is_private: bool, needs_public: bool = False) -> HostedZone:
    """The hosted zone that a config means by a name or an id, of those that have it. Raises LookupError, with why.

    `is_private`: what is meant where a public and a private zone have the name.
    """
    if not found:
        raise LookupError(f"there is no hosted zone {zone} in this account")
    usable = [each for each in found if not (needs_public and each.is_private)]
    if not usable:
        raise LookupError(f"the hosted zone {zone} is private; ACM looks for its record in a public one")
    meant = [each for each in usable if each.is_private == is_private] or usable
    if len(meant) > 1:
        ids = ", ".join(sorted(each.id for each in meant))
        raise LookupError(f"{len(meant)} hosted zones are called {zone}: give the id of one, {ids}")
    return meant[0]
