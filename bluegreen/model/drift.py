"""How the settings of two environments differ: what was proven in one may behave otherwise in the other. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bluegreen.model.release import Release
from bluegreen.model.settings import Settings

OF_ONE_STACK = frozenset({"ami", "fleet", "artifactBucket", "vpcCidr", "windows", "ledger", "policyExemptions"})
"""Settings that say nothing of how a release behaves."""

ANY_IMAGE = "ami-00000000"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A setting that is another one there. `is_of_the_release`: it is part of what was proven."""

    key: str
    source: Any
    target: Any
    is_of_the_release: bool


def drift(source: Settings, target: Settings) -> tuple[Drift, ...]:
    """Those that are part of the release first."""
    one, other = (settings.model_dump(by_alias=True, mode="json") for settings in (source, target))
    found = [
        Drift(key=key, source=one[key], target=other[key], is_of_the_release=_is_of_the_release(key, source, target))
        for key in one
        if key not in OF_ONE_STACK and one[key] != other[key]
    ]
    return tuple(sorted(found, key=lambda each: (not each.is_of_the_release, each.key)))


def _is_of_the_release(key: str, source: Settings, target: Settings) -> bool:
    """Whether the target's value makes another release of the source."""
    name = next(name for name, field in Settings.model_fields.items() if (field.alias or name) == key)
    before = source.with_image(ANY_IMAGE)
    after = before.model_copy(update={name: getattr(target, name)})
    return Release.from_settings(before).version != Release.from_settings(after).version
