"""Smoke tests: requests that a candidate must answer through the preview listener, and what is wrong with an answer.

Pure: who asks is `bluegreen.checks.smoke`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bluegreen.model.answer import Answer, Broken, Outcome, Unreachable, Untrusted
from bluegreen.model.attest import Attest
from bluegreen.model.schema import ConfigModel, refusal, request_path, status_codes


def _dotted(value: dict[str, Any]) -> dict[str, Any]:
    for path in value:
        if not all(path.split(".")):
            raise refusal(f"{path!r} should be keys with dots between them, such as checks.database")
    return value


class SmokeTest(ConfigModel):
    """One request, and what its answer must be. `json_values`: by dotted path."""

    path: Annotated[str, AfterValidator(request_path)] = "/"
    status: Annotated[str, BeforeValidator(status_codes)] = "200"
    body: str = ""
    json_values: Annotated[dict[str, Any], AfterValidator(_dotted)] = Field({}, alias="json")
    latency_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    times_in_a_row: int = Field(3, ge=1, le=100)
    timeout_seconds: float = Field(5, gt=0, le=60)

    @model_validator(mode="after")
    def _times_fit(self) -> SmokeTest:
        if self.latency_seconds and self.latency_seconds > self.timeout_seconds:
            raise refusal(
                f"latencySeconds ({self.latency_seconds:g}) should be at most timeoutSeconds ({self.timeout_seconds:g})"
            )
        return self


@dataclass(frozen=True)
class SmokeFault:
    """What was wrong. `summary` is alike for requests that fail alike; `detail` is of this one."""

    summary: str
    detail: str = ""
    is_unreachable: bool = False

    def __str__(self) -> str:
        return f"{self.summary}; {self.detail}" if self.detail else self.summary


def judge(test: SmokeTest, outcome: Outcome) -> SmokeFault | None:
    """What is wrong with what came of a request; None where nothing is."""
    match outcome:
        case Unreachable(why):
            return SmokeFault(f"can't connect to {why}", is_unreachable=True)
        case Untrusted(why):
            return SmokeFault(f"can't be trusted: {why}")
        case Broken(why):
            return SmokeFault(f"answers wrongly: {why}")
        case Answer():
            return _wrong(test, outcome)


def judge_release(attest: Attest, path: str, outcome: Outcome, release: str) -> SmokeFault | None:
    """Another release answers, or nobody. None where the candidate does, and where the answer names no release."""
    match outcome:
        case Unreachable(why):
            return SmokeFault(f"can't connect to {why}", is_unreachable=True)
        case Untrusted(why):
            return SmokeFault(f"can't be trusted: {why}")
        case Answer() if (named := attest.release_in(outcome, path)) not in (None, release):
            return SmokeFault(f"the preview listener still shows another release: {named} answers, not {release}")
        case _:
            return None


def _wrong(test: SmokeTest, answer: Answer) -> SmokeFault | None:
    if not _is_among(answer.status, test.status):
        return SmokeFault(f"answers wrongly: status {answer.status} instead of {test.status}", answer.excerpt)
    if test.body not in answer.body:
        return SmokeFault(f"answers wrongly: {test.body!r} is not in the answer", answer.excerpt)
    for path, wanted in test.json_values.items():
        try:
            seen = answer.json_at(path)
        except LookupError as error:
            return SmokeFault(f"answers wrongly: {error}, and {path} should be {json.dumps(wanted)}", answer.excerpt)
        if not _is_same(seen, wanted):
            return SmokeFault(
                f"answers wrongly: {path} is {json.dumps(seen)} instead of {json.dumps(wanted)}", answer.excerpt
            )
    if test.latency_seconds and answer.seconds > test.latency_seconds:
        limit = f"latencySeconds is {test.latency_seconds:g}"
        return SmokeFault(f"answers wrongly: too slowly, {limit}", f"it took {answer.seconds:.3f} s")
    return None


def _is_among(status: int, codes: str) -> bool:
    bounds = (part.partition("-") for part in codes.split(","))
    return any(int(low) <= status <= int(high or low) for low, _, high in bounds)


def _is_same(seen: object, wanted: object) -> bool:
    return seen == wanted and isinstance(seen, bool) == isinstance(wanted, bool)  # True == 1 in Python
