"""Which release answers: where the app says so, and how answers are spread over releases. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from bluegreen.model.answer import Answer, Broken, Outcome, Unreachable, Untrusted
from bluegreen.model.schema import ConfigModel, refusal, request_path
from bluegreen.model.verdict import Ready, Wait

_VERSION = re.compile(r"[0-9a-f]{8}")
"""What a release's version looks like. Another value is an app's own idea of a release, and names none of ours."""


def _header(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", value):
        raise refusal(f"{value!r} is not the name of a header; one looks like X-Release")
    return value


class Attest(ConfigModel):
    """Where the app says which release it is: a field of the JSON at `path`, or a header of any answer.

    With neither, nothing is attested. The field is a dotted path.
    """

    path: Annotated[str, AfterValidator(request_path)] = "/version"
    json_field: str = Field("", alias="json")
    header: Annotated[str, AfterValidator(_header)] = ""

    @model_validator(mode="after")
    def _one_place(self) -> Attest:
        if self.json_field and self.header:
            raise refusal("has both json and header; one of them names the release")
        if "path" in self.model_fields_set and not self.is_on:
            raise refusal("should have json or header, which names the release; {} attests nothing")
        return self

    @property
    def is_on(self) -> bool:
        return bool(self.json_field or self.header)

    def release_in(self, answer: Answer, path: str) -> str | None:
        """The version that an answer at `path` names; None where it names none."""
        named: object = None
        if self.header:
            named = answer.headers.get(self.header.lower())
        elif self.json_field and path == self.path:
            try:
                named = answer.json_at(self.json_field)
            except LookupError:
                return None
        return named if isinstance(named, str) and _VERSION.fullmatch(named) else None


NOTHING = Attest()
"""The app says nowhere which release it is."""
DEFAULT = Attest(json_field="release")
"""What is tried where nobody set anything."""


@dataclass(frozen=True)
class Split:
    """How a number of answers was spread over releases. `unnamed`: those that named none."""

    counts: Mapping[str, int]
    unnamed: int = 0

    @classmethod
    def of(cls, releases: Iterable[str | None]) -> Split:
        counts = Counter(releases)
        unnamed = counts.pop(None, 0)
        return cls({name: count for name, count in counts.items() if name}, unnamed)

    @property
    def shares(self) -> dict[str, float]:
        """Percent of the answers that named a release, by release."""
        total = sum(self.counts.values())
        return {name: 100 * count / total for name, count in self.counts.items()}

    def judge(self, wanted: Mapping[str, float], tolerance_points: float) -> Ready | Wait:
        """Whether each release answers as often as it should. `wanted`: percent by release."""
        if not self.counts:
            return Wait(f"none of {self.unnamed} answers names a release (see the setting `attest`)")
        seen = self.shares
        line = f"seen {_spread(seen)}, wanted {_spread(wanted)}"
        far = max(abs(seen.get(name, 0) - wanted.get(name, 0)) for name in {*seen, *wanted})
        # A share within the tolerance of nothing is still not nothing.
        is_other = {name for name, share in wanted.items() if share} != set(seen)
        return Wait(line) if is_other or far > tolerance_points else Ready(line)


SHIFT_SAMPLE = 400
"""Answers that tell shares apart: at 400, one in three hundred samples of a true half is off by more than 7 points."""
SOLE_SAMPLE = 20
TOLERANCE_POINTS = 5.0


def sample_size(wanted: Mapping[str, float]) -> int:
    """How many answers it takes to see whether the traffic is where it should be."""
    return SOLE_SAMPLE if len(wanted) == 1 else SHIFT_SAMPLE


def judge_sample(attest: Attest, outcomes: Sequence[Outcome], wanted: Mapping[str, float]) -> Ready | Wait:
    """Whether the releases that should answer do, each as often as it should. `wanted`: percent by release.

    An app that says nowhere which release it is, and was never told where to say it, is let pass: its answers are right
    in every other way. Errors are not: who fails can't say who he is.
    """
    answers = [each for each in outcomes if isinstance(each, Answer)]
    if not answers:
        unreachable = [each.why for each in outcomes if isinstance(each, Unreachable)]
        untrusted = [each.why for each in outcomes if isinstance(each, Untrusted)]
        if untrusted:
            return Wait(f"not trusted: {untrusted[0]}")
        broken = [each.why for each in outcomes if isinstance(each, Broken)]
        return Wait(f"can't connect: to {unreachable[0]}" if unreachable else f"no whole answer: {broken[0]}")
    split = Split.of(attest.release_in(answer, attest.path) for answer in answers)
    if not split.counts and attest == DEFAULT:
        errors = [answer for answer in answers if answer.status >= 500]
        if errors:
            return Wait(f"errors: status {errors[0].status} in {len(errors)} of {len(answers)} answers")
        return Ready(f"{attest.path} names no release (see the setting `attest`): nothing is attested")
    return split.judge(wanted, 0 if len(wanted) == 1 else TOLERANCE_POINTS)


def _spread(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0f} %" for name, share in sorted(shares.items()) if share)
