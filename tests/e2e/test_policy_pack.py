"""`pulumi preview --policy-pack policy`: what breaks a policy stops a preview, before anything is made."""

from __future__ import annotations

import pytest

from bluegreen.model.policies import POLICIES
from sandbox.host import REPOSITORY
from tests.e2e.project import Finished, Project


def preview(project: Project, exemptions: dict[str, str]) -> Finished:
    project.configure(policy_exemptions=exemptions)
    return project.pulumi("preview", "--policy-pack", str(REPOSITORY / "policy"))


@pytest.fixture
def exempt(project: Project) -> dict[str, str]:
    """From all that an unchanged stack without a certificate breaks."""
    if project.is_on_the_stand_in:
        refused = preview(project, {})
        assert refused.code != 0
        assert "does not support the flag --policy-pack" in refused.output, refused.output
        pytest.skip("the stand-in refuses policy packs, by name")
    project.configure(ami=project.image("1"))
    return {policy.id: "not in a sandbox" for policy in POLICIES if policy.id in ("CKV2_AWS_20", "CKV_AWS_91")}


def test_a_preview_ends_well_where_the_stack_keeps_every_policy_but_those_that_it_is_exempt_from(
    project: Project, exempt: dict[str, str]
) -> None:
    everything = {policy.id: "not in a sandbox" for policy in POLICIES}
    kept = preview(project, everything)
    assert kept.code == 0, kept.output
    assert "CKV" not in kept.output


def test_what_breaks_a_policy_is_named_with_its_resource_and_what_to_do(
    project: Project, exempt: dict[str, str]
) -> None:
    broken = preview(project, exempt)
    assert broken.code != 0
    assert "CKV_AWS_150" in broken.output
    assert "aws:lb:LoadBalancer: web" in broken.output
    assert "set deletionProtection" in broken.output
    assert "set flowLogs" in broken.output, "this one takes all resources to see"
    assert not set(exempt) & {word.strip("[]:") for word in broken.output.split()}


def test_what_a_stack_has_made_keeps_the_policies_that_its_program_keeps(
    project: Project, exempt: dict[str, str]
) -> None:
    """The engine judges a stack by its state too, in which the provider has put what it found."""
    project.configure(
        policy_exemptions={**exempt, "CKV2_AWS_11": "not in a sandbox", "CKV_AWS_150": "destroyed in a minute"}
    )
    pack = ("--policy-pack", str(REPOSITORY / "policy"))
    for arguments in (("up", "--yes"), ("refresh", "--yes"), ("up", "--yes")):
        done = project.pulumi(*arguments, *(pack if arguments[0] == "up" else ()))
        assert done.code == 0, done.output
