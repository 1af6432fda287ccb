"""What differs between two environments is told before what was proven in one goes to the other."""

from __future__ import annotations

from bluegreen.model.drift import drift
from bluegreen.model.settings import Settings


def settings(**config: object) -> Settings:
    return Settings.parse({"ami": "ami-00000001", **config})


def test_environments_that_are_alike_have_no_drift() -> None:
    assert drift(settings(), settings()) == ()


def test_what_makes_another_release_comes_first_and_says_so() -> None:
    found = drift(settings(maxSize=4, instanceType="t3.small"), settings(maxSize=9, instanceType="m7i.large"))
    assert [(each.key, each.source, each.target, each.is_of_the_release) for each in found] == [
        ("instanceType", "t3.small", "m7i.large", True),
        ("maxSize", 4, 9, False),
    ]


def test_what_is_one_stacks_own_is_no_drift() -> None:
    one = settings(vpcCidr="10.0.0.0/16", artifactBucket="one-bucket")
    other = settings(vpcCidr="10.1.0.0/16", artifactBucket="other-bucket").with_image("ami-00000002")
    assert drift(one, other) == ()


def test_a_part_of_an_object_that_differs_is_drift_of_the_whole() -> None:
    (found,) = drift(settings(), settings(healthCheck={"path": "/ready"}))
    assert (found.key, found.target["path"], found.is_of_the_release) == ("healthCheck", "/ready", True)
