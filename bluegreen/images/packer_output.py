"""What Packer's lines mean: the phase a bake is in, what it has made so far, and why it failed. Pure.

Both of the old and the current Packer's: an old one indents what a provisioner writes to stdout, a current one begins
every line of a build alike, so where a line stands is judged by the lines around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

LAST_LINES = 20
"""How much of a provisioner's output tells why it failed: a failed task of Ansible's, and its recap."""

_BUILD_LINE = re.compile(r"(?:==>|   ) [\w.-]+: ?(?P<text>.*)")
_FINAL_ERROR = re.compile(r"--> [\w.-]+: (?P<text>.*)")
_HAD_ERRORS = "Provisioning step had errors"


class Phase(StrEnum):
    """What Packer's amazon-ebs builder does, in this order. Clean-up comes last, be the image made or not."""

    LAUNCH = "launch"
    CONNECT = "connect"
    PROVISION = "provision"
    STOP = "stop"
    IMAGE = "image"
    TAG = "tag"
    CLEAN_UP = "clean up"


_BEGINNINGS = {
    Phase.LAUNCH: ("Prevalidating", "Creating temporary", "Launching a source AWS instance", "Launching a spot"),
    Phase.CONNECT: ("Waiting for SSH", "Waiting for WinRM", "Waiting for auto-generated password", "Using ssh comm"),
    Phase.PROVISION: ("Provisioning with", "Uploading ", "Running local shell script"),
    Phase.STOP: ("Stopping the source instance",),
    Phase.IMAGE: ("Creating AMI ", "Waiting for AMI to become ready"),
    Phase.TAG: ("Adding tags to AMI", "Creating AMI tags", "Modifying attributes on AMI"),
    Phase.CLEAN_UP: (
        _HAD_ERRORS,
        "Terminating the source AWS instance",
        "Cleaning up any extra volumes",
        "No volumes to clean up",
        "Deregistering the AMI",
        "Deleting temporary",
    ),
}
"""How the lines of each phase begin (packer and packer-plugin-amazon, `ui.Say`)."""

_AFTER_PROVISION = _BEGINNINGS[Phase.STOP] + _BEGINNINGS[Phase.IMAGE] + _BEGINNINGS[Phase.TAG]


@dataclass(frozen=True, kw_only=True)
class Temporaries:
    """What a build has made in AWS, by the names that Packer printed; empty where it did not get that far."""

    key_pair: str = ""
    security_group: str = ""
    instance: str = ""
    image: str = ""

    def __str__(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asdict(self).items() if value)


class Cause(StrEnum):
    """What failed."""

    TEMPLATE = "template"  # nothing was begun
    PROVISIONER = "provisioner"
    BUILD = "build"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a build failed. `error`: what Packer sums up; `lines`: what was said before, by a provisioner or of a
    template, without Packer's prefixes and its clean-up."""

    cause: Cause
    error: str = ""
    lines: tuple[str, ...] = ()


def text_of(line: str) -> str | None:
    """What a build says in a line; None where it is not a build that speaks."""
    match = _BUILD_LINE.fullmatch(line)
    return match["text"].rstrip() if match else None


def phase_of(line: str) -> Phase | None:
    """The phase that a line opens, or belongs to; None where it tells nothing."""
    text = text_of(line)
    if text is None:
        return None
    fitting = (
        (len(each), phase) for phase, each_of in _BEGINNINGS.items() for each in each_of if text.startswith(each)
    )
    return max(fitting, default=(0, None), key=lambda fit: fit[0])[1]


def temporaries(lines: Iterable[str]) -> Temporaries:
    """What the build has made, to see afterwards whether it is gone."""
    found: dict[str, str] = {}
    patterns = {
        "key_pair": r"Creating temporary keypair: (\S+)",
        "security_group": r"Creating temporary security group for this instance: (\S+)",
        "instance": r"Instance ID: (i-[0-9a-f]+)",
        "image": r"AMI: (ami-[0-9a-f]+)",
    }
    for line in lines:
        text = text_of(line) or ""
        for name, pattern in patterns.items():
            if match := re.fullmatch(pattern, text.strip()):
                found.setdefault(name, match[1])
    return Temporaries(**found)


def began_image(lines: Iterable[str], name: str) -> bool:
    """Whether the build has asked for the image of a name, be there an answer or not."""
    return any((text_of(line) or "").startswith(f"Creating AMI {name} from ") for line in lines)


def failure_of(lines: Sequence[str]) -> Failure:
    """Why a build that has ended with an error failed."""
    spoken = [text_of(line) for line in lines]
    if all(text is None for text in spoken):
        return Failure(cause=Cause.TEMPLATE, lines=tuple(_diagnostics(lines)))
    error = "\n".join(_final_errors(lines))
    texts = [text for text in spoken if text]
    said = [text or line for text, line in zip(spoken, lines, strict=True) if line.strip() and text != ""]
    end = next((at for at, text in enumerate(texts) if text.startswith(_HAD_ERRORS)), None)
    # Packer says that after an error of any later step, too.
    if end is not None and not any(text.startswith(_AFTER_PROVISION) for text in texts[:end]):
        beginnings = _BEGINNINGS[Phase.PROVISION]
        begin = next((at for at, text in enumerate(texts[:end]) if text.startswith(beginnings)), 0)
        return Failure(cause=Cause.PROVISIONER, error=error, lines=tuple(texts[begin:end][-LAST_LINES:]))
    return Failure(cause=Cause.BUILD, error=error, lines=() if error else tuple(said[-LAST_LINES:]))


def _final_errors(lines: Sequence[str]) -> list[str]:
    """What Packer sums up at its end; an error may go over several lines."""
    errors: list[str] = []
    is_inside = False
    for line in lines:
        match = _FINAL_ERROR.fullmatch(line)
        if match and not match["text"].startswith("AMIs were created"):
            is_inside = True
            errors.append(match["text"])
        elif not line.strip() or line.startswith("==>"):
            is_inside = False
        elif is_inside:
            errors.append(line.rstrip())
    return errors


def _diagnostics(lines: Sequence[str]) -> list[str]:
    """What is wrong with a template, without what Packer says of builds that there were none of."""
    return [line.rstrip() for line in lines if line.strip() and not line.startswith("==> ")]
