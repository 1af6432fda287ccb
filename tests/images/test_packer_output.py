"""What Packer's lines mean. `output/` holds what real ones printed, old and current."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from bluegreen.images.packer_output import (
    LAST_LINES,
    Cause,
    Phase,
    Temporaries,
    began_image,
    failure_of,
    phase_of,
    temporaries,
    text_of,
)

OUTPUT = Path(__file__).parent / "output"
VERSIONS = ("packer-1.6", "packer-1.15")

IMAGE_FAILED = """\
==> amazon-ebs.linux: Provisioning with shell script: packer/scripts/provision.sh
==> amazon-ebs.linux: ok: [localhost]
==> amazon-ebs.linux: Stopping the source instance...
==> amazon-ebs.linux: Creating AMI web-1 from instance i-7ce09aff555290d0b
==> amazon-ebs.linux: Error creating AMI: operation error EC2: CreateImage, request canceled, context canceled
==> amazon-ebs.linux: Provisioning step had errors: Running the cleanup provisioner, if present...
==> amazon-ebs.linux: Terminating the source AWS instance...
Build 'amazon-ebs.linux' errored after 3 seconds: Error creating AMI: operation error EC2: CreateImage

==> Wait completed after 3 seconds

==> Some builds didn't complete successfully and had errors:
--> amazon-ebs.linux: Error creating AMI: 2 errors:
* operation error EC2: CreateImage
* another

==> Builds finished but no artifacts were created.
""".splitlines()


def lines(name: str) -> list[str]:
    return (OUTPUT / f"{name}.txt").read_text().splitlines()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bake_goes_through_its_phases_in_order(version: str) -> None:
    seen = [phase for line in lines(f"{version}-done") if (phase := phase_of(line))]
    in_order = [phase for phase, _ in groupby(seen)]
    assert in_order == [phase for phase in Phase if phase is not Phase.CONNECT], "the recordings connect to nothing"


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("Using ssh communicator to connect: 10.0.0.1", Phase.CONNECT),
        ("Waiting for SSH to become available...", Phase.CONNECT),
        ("Waiting for WinRM to become available...", Phase.CONNECT),
        ("Waiting for auto-generated password for instance...", Phase.CONNECT),
        ("Uploading ansible => /tmp", Phase.PROVISION),
        ("Provisioning with shell script: provision.sh", Phase.PROVISION),
        ("Provisioning with Powershell...", Phase.PROVISION),
        ("TASK [app : Uploading files]", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("prefix", ["==>", "   "])
def test_lines_that_open_a_phase(prefix: str, text: str, phase: Phase | None) -> None:
    assert phase_of(f"{prefix} amazon-ebs.linux: {text}") is phase


@pytest.mark.parametrize(
    "line",
    ["", "Terminating the source AWS instance...", "==> Wait completed after 3 seconds", "--> linux: Creating AMI"],
)
def test_lines_that_are_no_builds_open_no_phase(line: str) -> None:
    assert phase_of(line) is None


def test_a_builds_text_keeps_its_own_indentation() -> None:
    assert text_of('    amazon-ebs.linux:     "msg": 1') == '    "msg": 1'
    assert text_of("==> amazon-ebs.linux:") == ""
    assert text_of("Warning: x") is None


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_build_made_is_known_by_its_names(version: str) -> None:
    made = temporaries(lines(f"{version}-done"))
    assert made.key_pair.startswith("packer_")
    assert made.security_group.startswith("packer_")
    assert made.key_pair != made.security_group
    assert made.instance.startswith("i-")
    assert made.image.startswith("ami-")
    assert temporaries(lines(f"{version}-provisioner-failed")).image == ""
    assert temporaries(lines(f"{version}-template-refused")) == Temporaries()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_provisioners_last_lines_tell_why_it_failed(version: str) -> None:
    failure = failure_of(lines(f"{version}-provisioner-failed"))
    assert failure.cause is Cause.PROVISIONER
    assert failure.error.startswith("Script exited with non-zero exit status: 2.")
    assert sorted(failure.lines[1:]) == ["TASK [app : verify the artifact]", "the sha256 differs"]
    assert not [line for line in failure.lines if "Terminating" in line or "amazon-ebs" in line]


def test_of_a_long_output_only_the_last_lines_are_told() -> None:
    output = lines("packer-1.15-provisioner-failed")
    at = next(at for at, line in enumerate(output) if "TASK" in line)
    output[at:at] = [f"==> amazon-ebs.linux: line {number}" for number in range(100)]
    failure = failure_of(output)
    assert len(failure.lines) == LAST_LINES
    assert failure.lines[-2:] == ("line 99", "TASK [app : verify the artifact]")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_template_that_is_refused_is_told_from_a_build_that_failed(version: str) -> None:
    failure = failure_of(lines(f"{version}-template-refused"))
    assert failure.cause is Cause.TEMPLATE
    assert failure.lines[0] == "Error: Unsupported attribute"
    assert failure.lines[-1] == 'This object does not have an attribute named "regio".'


def test_a_failure_after_the_provisioners_is_not_theirs() -> None:
    failure = failure_of(IMAGE_FAILED)
    assert failure.cause is Cause.BUILD
    assert failure.error.splitlines() == [
        "Error creating AMI: 2 errors:",
        "* operation error EC2: CreateImage",
        "* another",
    ]
    assert failure.lines == ()


def test_a_packer_that_died_is_told_by_its_last_lines() -> None:
    died = IMAGE_FAILED[:4]
    failure = failure_of(died)
    assert (failure.cause, failure.error) == (Cause.BUILD, "")
    assert failure.lines[-1] == "Creating AMI web-1 from instance i-7ce09aff555290d0b"


def test_a_packer_that_said_nothing_is_told_too() -> None:
    assert failure_of([]).lines == ()


def test_what_a_packer_that_died_said_on_stderr_is_told() -> None:
    assert failure_of([*IMAGE_FAILED[:2], "panic: runtime error"]).lines[-1] == "panic: runtime error"


def test_an_image_was_asked_for_once_packer_says_so() -> None:
    assert began_image(IMAGE_FAILED, "web-1")
    assert not began_image(IMAGE_FAILED, "web")
    assert not began_image(IMAGE_FAILED[:3], "web-1")
