"""An image reaches the next environment's region and account, once, whole, and only if it is what was proven."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bluegreen.aws.identity import identity
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.errors import AwsError, ImageError, Interrupted
from bluegreen.images.facts import ImageFacts, Snapshot, facts, with_keys
from bluegreen.images.promotion import (
    DEADLINE_SECONDS,
    Transfer,
    Transferred,
    carry_out,
    look,
    plan_promotion,
)
from bluegreen.model.place import Place
from bluegreen.model.tags import CONTENT_DIGEST, SERVICE, SOURCE_IMAGE, SOURCE_REGION
from sandbox.host import REPOSITORY, Sandbox

QA = Place(account="123456789012", region="us-east-1")
STAGE = Place(account="222222222222", region="eu-west-1")
IMAGE = ImageFacts(
    image="ami-1",
    name="web-1",
    account=QA.account,
    region=QA.region,
    architecture="x86_64",
    root_device="/dev/xvda",
    imds_support="v2.0",
    snapshots=(Snapshot(id="snap-1", is_encrypted=True, kms_key_id="arn:key", is_aws_managed=False),),
    tags={SERVICE: "web", CONTENT_DIGEST: "d1"},
)
UNDER_DEFAULT_KEY = replace(IMAGE, snapshots=(replace(IMAGE.snapshots[0], is_aws_managed=True),))


def prepare(source: Session, target: Session, image: str, *, content_digest: str = "", **options: Any) -> Transferred:
    """As `bluegreen deploy --from` does it."""
    transfer = look(source, target, image, content_digest=content_digest)
    return carry_out(transfer, source, target, **{"on_line": lambda _: None, **options})


class TestPlan:
    def test_where_the_image_is_nothing_happens(self) -> None:
        plan = plan_promotion(IMAGE, QA, QA)
        assert (plan.shares, plan.copies) == (False, False)
        assert plan.steps == ("ami-1 is in account 123456789012, us-east-1 already",)

    def test_another_region_of_the_account_gets_a_copy_under_whatever_key(self) -> None:
        plan = plan_promotion(UNDER_DEFAULT_KEY, QA, replace(QA, region="eu-west-1"))
        assert (plan.shares, plan.copies) == (False, True)

    @pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
    def test_another_account_gets_a_copy_of_its_own(self, region: str) -> None:
        plan = plan_promotion(IMAGE, QA, replace(STAGE, region=region))
        assert (plan.shares, plan.copies) == (True, True)
        assert len(plan.steps) == 2

    def test_a_copy_that_is_there_is_taken_even_of_what_can_not_be_shared(self) -> None:
        plan = plan_promotion(UNDER_DEFAULT_KEY, QA, STAGE, "ami-2")
        assert (plan.shares, plan.copies, plan.known_copy) == (False, False, "ami-2")

    def test_an_image_under_the_default_key_is_refused_for_another_account_with_the_way_out(self) -> None:
        with pytest.raises(ImageError) as caught:
            plan_promotion(UNDER_DEFAULT_KEY, QA, STAGE)
        assert "snap-1" in caught.value.what
        assert "default key for EBS" in caught.value.what
        assert "`kms_key_id` in packer/" in caught.value.next_step
        assert (
            "aws ec2 copy-image --region us-east-1 --source-region us-east-1 --source-image-id ami-1 "
            "--name web-1-shareable --encrypted --kms-key-id KEY --copy-image-tags" in caught.value.next_step
        )

    def test_a_key_that_nobody_may_ask_about_is_left_to_ec2(self) -> None:
        unknown = replace(IMAGE, snapshots=(replace(IMAGE.snapshots[0], is_aws_managed=None),))
        assert plan_promotion(unknown, QA, STAGE).shares

    def test_the_image_of_a_third_account_is_never_shared_by_us(self) -> None:
        foreign = replace(UNDER_DEFAULT_KEY, account="333333333333")
        assert not plan_promotion(foreign, QA, STAGE).shares
        assert plan_promotion(foreign, QA, STAGE).copies
        assert not plan_promotion(foreign, QA, replace(STAGE, region=QA.region)).copies

    def test_an_image_that_belongs_to_the_target_is_not_shared_with_it(self) -> None:
        theirs = replace(IMAGE, account=STAGE.account)
        plan = plan_promotion(theirs, QA, STAGE)
        assert (plan.shares, plan.copies) == (False, True)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.start(boot_seconds=0.3) as it, pytest.MonkeyPatch.context() as patch:
        for key, value in it.env.items():
            if key.startswith("AWS_"):
                patch.setenv(key, value)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        yield it


@pytest.fixture(scope="module")
def qa(sandbox: Sandbox) -> Session:
    return Session(SessionSettings(region=QA.region))


@pytest.fixture(scope="module")
def dr(sandbox: Sandbox) -> Session:
    """The same account in another region."""
    return Session(SessionSettings(region="ap-southeast-2"))


@pytest.fixture(scope="module")
def stage(sandbox: Sandbox) -> Session:
    role = {"roleArn": f"arn:aws:iam::{STAGE.account}:role/deployer", "sessionName": "test"}
    return Session(SessionSettings(region=STAGE.region, assume_roles=(role,)))


Make = Callable[..., str]


@pytest.fixture
def make(sandbox: Sandbox, qa: Session) -> Make:
    """An image of the app in QA, as a bake tags it, whose content nothing else has."""

    def made(*, key: str = "", **tags: str) -> str:
        image = sandbox.image(REPOSITORY / "app", tags={SERVICE: "web", "schema-compat": "1..3", **tags})
        digest = {"Key": CONTENT_DIGEST, "Value": f"digest-{image}"}
        ec2 = qa.client("ec2")
        ec2.create_tags(Resources=[image], Tags=[digest])
        ec2.modify_image_attribute(ImageId=image, ImdsSupport={"Value": "v2.0"})
        if not key:
            return image
        options = {} if key == "default" else {"KmsKeyId": key}
        copy = ec2.copy_image(
            Name=f"under-{image}",
            SourceImageId=image,
            SourceRegion=QA.region,
            Encrypted=True,
            CopyImageTags=True,
            **options,
        )["ImageId"]
        ec2.get_waiter("image_available").wait(ImageIds=[copy], WaiterConfig={"Delay": 1})
        return str(copy)

    return made


def described(session: Session, image: str) -> dict[str, Any]:
    return dict(session.client("ec2").describe_images(ImageIds=[image])["Images"][0])


def tags_of(session: Session, image: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described(session, image)["Tags"]}


def own_images(session: Session) -> list[str]:
    return [image["ImageId"] for image in session.client("ec2").describe_images(Owners=["self"])["Images"]]


def key_of(session: Session, *accounts: str) -> str:
    principals = [f"arn:aws:iam::{account}:root" for account in (QA.account, *accounts)]
    statement = {"Effect": "Allow", "Principal": {"AWS": principals}, "Action": "kms:*", "Resource": "*"}
    made = session.client("kms").create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return str(made["KeyMetadata"]["Arn"])


@pytest.fixture
def writes(qa: Session, stage: Session, dr: Session) -> Iterator[list[str]]:
    """What is changed in AWS, by the names of the calls."""
    made: list[str] = []

    def record(model: Any, **_: Any) -> None:
        if not model.name.startswith(("Describe", "Get")):
            made.append(model.name)

    clients = [session.client("ec2") for session in (qa, stage, dr)]
    for client in clients:
        client.meta.events.register("before-call", record)
    yield made
    for client in clients:
        client.meta.events.unregister("before-call", record)


class TestFacts:
    def test_what_an_image_is_made_of_is_in_its_tags(self, qa: Session, make: Make) -> None:
        image = make(**{"bluegreen:version": "7", "bluegreen:commit": "c0ffee"})
        found = facts(qa, image)
        assert (found.place, found.service, found.version, found.commit) == (QA, "web", "7", "c0ffee")
        assert found.content_digest == f"digest-{image}"
        assert (found.architecture, found.root_device, found.imds_support) == ("x86_64", "/dev/xvda", "v2.0")
        assert [each.is_encrypted for each in found.snapshots] == [False]
        assert with_keys(qa, found) is found

    def test_who_manages_the_key_is_asked_of_kms(self, qa: Session, make: Make) -> None:
        (default,) = with_keys(qa, facts(qa, make(key="default"))).snapshots
        assert default.is_aws_managed is True
        mine = key_of(qa)
        (custom,) = with_keys(qa, facts(qa, make(key=mine))).snapshots
        assert (custom.kms_key_id, custom.is_aws_managed) == (mine, False)

    def test_an_image_that_is_not_there_is_named_with_its_region(self, qa: Session) -> None:
        with pytest.raises(ImageError, match="no image ami-0123456789abcdef0 in us-east-1"):
            facts(qa, "ami-0123456789abcdef0")

    def test_an_image_that_is_not_available_is_refused(self, qa: Session, sandbox: Sandbox) -> None:
        image = sandbox.image(REPOSITORY / "app", state="pending")
        with pytest.raises(ImageError, match="is pending, not available"):
            facts(qa, image)

    def test_a_session_knows_its_account(self, qa: Session, stage: Session) -> None:
        assert (identity(qa).account, identity(stage).account) == (QA.account, STAGE.account)


class TestPrepare:
    def test_in_the_same_place_the_image_is_taken_as_it_is(self, qa: Session, make: Make, writes: list[str]) -> None:
        image = make()
        writes.clear()
        found = prepare(qa, qa, image, content_digest=f"digest-{image}")
        assert found == Transferred(
            image=image, was_there=True, content_digest=f"digest-{image}", source_image=image, target=QA
        )
        assert writes == []

    def test_another_region_gets_an_encrypted_copy_with_the_tags(self, qa: Session, dr: Session, make: Make) -> None:
        image, lines = make(key="default"), list[str]()
        found = prepare(qa, dr, image, on_line=lines.append)
        assert not found.was_there
        copy = described(dr, found.image)
        assert copy["State"] == "available"
        assert copy["ImdsSupport"] == "v2.0"
        assert copy["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]
        assert tags_of(dr, found.image) == {**tags_of(qa, image), SOURCE_IMAGE: image, SOURCE_REGION: QA.region}
        assert lines == [f"{image} is copied from us-east-1 to account 123456789012, ap-southeast-2"]

    def test_another_account_owns_its_copy_and_the_source_shows_with_whom_it_is_shared(
        self, qa: Session, stage: Session, make: Make
    ) -> None:
        image = make(key=key_of(qa, STAGE.account))
        found = prepare(qa, stage, image, content_digest=facts(qa, image).content_digest)
        copy = facts(stage, found.image)
        assert (copy.place, copy.content_digest) == (STAGE, facts(qa, image).content_digest)
        assert copy.tags["schema-compat"] == "1..3"
        assert copy.snapshots[0].is_encrypted
        shared = qa.client("ec2").describe_image_attribute(ImageId=image, Attribute="launchPermission")
        assert shared["LaunchPermissions"] == [{"UserId": STAGE.account}]

    def test_the_copy_is_under_the_key_that_is_named(self, qa: Session, stage: Session, make: Make) -> None:
        key = str(stage.client("kms").create_key()["KeyMetadata"]["Arn"])
        found = prepare(qa, stage, make(), kms_key_id=key)
        assert with_keys(stage, facts(stage, found.image)).snapshots[0].kms_key_id == key

    def test_the_second_time_nothing_is_done(self, qa: Session, stage: Session, make: Make, writes: list[str]) -> None:
        image = make()
        first = prepare(qa, stage, image)
        writes.clear()
        second = prepare(qa, stage, image)
        assert (second.image, second.was_there) == (first.image, True)
        assert writes == []

    def test_a_copy_without_content_digest_is_known_by_its_source(
        self, qa: Session, stage: Session, make: Make
    ) -> None:
        image = make()
        qa.client("ec2").delete_tags(Resources=[image], Tags=[{"Key": CONTENT_DIGEST}])
        assert prepare(qa, stage, image).image == prepare(qa, stage, image).image

    def test_a_copy_of_the_content_in_the_target_is_taken_whatever_it_was_copied_from(
        self, qa: Session, stage: Session, make: Make
    ) -> None:
        image, same = make(), make()
        digest = {"Key": CONTENT_DIGEST, "Value": f"digest-{image}"}
        qa.client("ec2").create_tags(Resources=[same], Tags=[digest])
        assert prepare(qa, stage, same).image == prepare(qa, stage, image).image

    def test_an_interrupted_copy_is_waited_for_and_not_made_twice(
        self, qa: Session, stage: Session, make: Make
    ) -> None:
        def ctrl_c(_: float) -> None:
            raise KeyboardInterrupt

        image, before = make(), own_images(stage)
        with pytest.raises(Interrupted, match="AWS goes on with the copy"):
            prepare(qa, stage, image, sleep=ctrl_c)
        found = prepare(qa, stage, image)
        assert found.was_there
        assert own_images(stage) == [*before, found.image]

    def test_of_two_that_copy_at_once_one_takes_the_others(
        self, qa: Session, stage: Session, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = make()
        mine = look(qa, stage, image)
        theirs = prepare(qa, stage, image)
        monkeypatch.setattr("bluegreen.images.promotion.look", lambda *_, **__: mine)
        found = prepare(qa, stage, image)
        assert (found.image, found.was_there) == (theirs.image, True)

    def test_a_name_that_another_image_has_is_an_error_that_names_it(
        self, qa: Session, stage: Session, make: Make
    ) -> None:
        image = make()
        stage.client("ec2").register_image(Name=described(qa, image)["Name"])
        with pytest.raises(ImageError, match="another image there is called"):
            prepare(qa, stage, image)

    def test_a_failed_copy_says_why_which_key_to_look_at_and_is_removed(
        self, qa: Session, stage: Session, make: Make
    ) -> None:
        key, before = key_of(qa), own_images(stage)
        image = make(key=key)
        with pytest.raises(ImageError) as caught:
            prepare(qa, stage, image)
        assert "is failed: Copy image failed with an internal error." in caught.value.what
        assert "Removed: image ami-" in caught.value.next_step
        assert f"Does the policy of {key} let account {STAGE.account} use it" in caught.value.next_step
        assert own_images(stage) == before

    def test_a_default_key_is_refused_before_anything_is_changed(
        self, qa: Session, stage: Session, make: Make, writes: list[str]
    ) -> None:
        image = make(key="default")
        writes.clear()
        with pytest.raises(ImageError, match="can't be shared"):
            prepare(qa, stage, image)
        assert writes == []

    def test_a_default_key_that_kms_does_not_speak_of_is_refused_by_ec2_in_the_same_words(
        self, qa: Session, stage: Session, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = make(key="default")
        monkeypatch.setattr("bluegreen.images.facts._is_aws_managed", lambda *_: None)
        with pytest.raises(ImageError, match="can't be shared") as caught:
            prepare(qa, stage, image)
        assert "Nothing was changed" in caught.value.next_step

    def test_an_image_of_other_content_than_was_proven_is_refused(
        self, qa: Session, stage: Session, make: Make, writes: list[str]
    ) -> None:
        image = make()
        writes.clear()
        with pytest.raises(ImageError, match="is not what was proven"):
            prepare(qa, stage, image, content_digest="another")
        assert writes == []

    def test_what_the_target_would_do_can_be_looked_at_first(
        self, qa: Session, stage: Session, make: Make, writes: list[str]
    ) -> None:
        image = make()
        writes.clear()
        plan = look(qa, stage, image)
        assert isinstance(plan, Transfer)
        assert (plan.shares, plan.copies, plan.target) == (True, True, STAGE)
        assert writes == []

    def test_missing_tags_of_a_copy_are_mended(self, qa: Session, stage: Session, make: Make) -> None:
        image = make()
        copy = prepare(qa, stage, image).image
        stage.client("ec2").delete_tags(Resources=[copy], Tags=[{"Key": "schema-compat"}])
        assert prepare(qa, stage, image).image == copy
        assert tags_of(stage, copy)["schema-compat"] == "1..3"

    def test_a_wait_says_how_long_it_has_been_and_ends(
        self, qa: Session, stage: Session, sandbox: Sandbox, make: Make
    ) -> None:
        image, now, lines = make(), [0.0], list[str]()

        def wait(seconds: float) -> None:
            now[0] += 100 * seconds

        sandbox.ask("PUT", "boot-seconds", {"seconds": 3600})
        try:
            with pytest.raises(ImageError, match="still not available after"):
                prepare(qa, stage, image, on_line=lines.append, clock=lambda: now[0], sleep=wait)
        finally:
            sandbox.ask("PUT", "boot-seconds", {"seconds": 0.3})
        assert now[0] >= DEADLINE_SECONDS
        assert any("is being copied" in line for line in lines)

    def test_a_copy_that_somebody_removes_meanwhile_is_gone(
        self, qa: Session, stage: Session, sandbox: Sandbox, make: Make
    ) -> None:
        image, now = make(), [0.0]

        def remove(_: float) -> None:
            now[0] += 100
            for copy in stage.client("ec2").describe_images(
                Owners=["self"], Filters=[{"Name": f"tag:{SOURCE_IMAGE}", "Values": [image]}]
            )["Images"]:
                stage.client("ec2").deregister_image(ImageId=copy["ImageId"])

        with pytest.raises(ImageError, match="is gone"):
            prepare(qa, stage, image, clock=lambda: now[0], sleep=remove)

    def test_an_account_that_can_not_be_reached_is_an_aws_error(self, qa: Session, make: Make) -> None:
        nobody = Session(SessionSettings(region=QA.region, profile="nobody"))
        with pytest.raises(AwsError):
            prepare(qa, nobody, make())
