"""Forensics: what is known of a server group that has failed, saved to a folder before the group goes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bluegreen.errors import AwsError
from bluegreen.model.observation import Group, ScalingActivity, Target

T = TypeVar("T")

MOST_CONSOLES = 10
"""Machines of one group tell the same story; GetConsoleOutput is slow and throttled."""


class Sight(Protocol):
    """What is asked of AWS; `bluegreen.aws.observe.Observer` answers."""

    def targets(self, target_group: str) -> tuple[Target, ...]: ...
    def activities(self, group: str) -> tuple[ScalingActivity, ...]: ...
    def console_output(self, instance: str) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Forensics:
    """Saves evidence below `folder`, one folder a group. What AWS can't say is left out, and said so."""

    sight: Sight
    folder: Path
    report: Callable[[str], None]

    def save(self, group: Group) -> Path:
        """Target reasons, scaling activities and the console output of the machines of a group. Blocks.

        Returns the folder: `targets.json`, `activities.json`, `group.json`, `console-<instance>.txt`.
        """
        into = self.folder / group.name
        into.mkdir(parents=True, exist_ok=True)
        _write(into / "group.json", dataclasses.asdict(group))
        targets: tuple[Target, ...] = self._asked("targets", lambda: self._targets(group), ())
        _write(into / "targets.json", [dataclasses.asdict(target) for target in targets])
        activities: tuple[ScalingActivity, ...] = self._asked(
            "activities", lambda: self.sight.activities(group.name), ()
        )
        _write(into / "activities.json", [dataclasses.asdict(activity) for activity in activities])
        instances = list(dict.fromkeys([*_unhealthy_first(targets), *group.instances]))[:MOST_CONSOLES]
        with ThreadPoolExecutor(max_workers=5) as pool:
            for instance, text in zip(instances, pool.map(self._console, instances), strict=True):
                (into / f"console-{instance}.txt").write_text(text)
        return into

    def _targets(self, group: Group) -> tuple[Target, ...]:
        return tuple(target for arn in group.target_groups for target in self.sight.targets(arn))

    def _console(self, instance: str) -> str:
        return self._asked(f"console output of {instance}", lambda: self.sight.console_output(instance), "")

    def _asked(self, what: str, ask: Callable[[], T], otherwise: T) -> T:
        try:
            return ask()
        except AwsError as error:
            self.report(f"forensics: no {what}: {error.what}")
            return otherwise


def _unhealthy_first(targets: tuple[Target, ...]) -> Iterator[str]:
    return (target.instance for target in sorted(targets, key=lambda target: target.is_healthy))


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, default=str) + "\n")
