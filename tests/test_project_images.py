"""The images of a project: nothing goes that a stack needs or may need, and a veto reaches every stack."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.ec2 import ec2_backends

from bluegreen import project_images
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.errors import AwsError, EngineError, ImageError, ImagesError, LedgerError, NoSuchStackError
from bluegreen.images.account_images import AccountImages, Removal
from bluegreen.ledger_of import ledger_of
from bluegreen.model.fleet import Capacity, Fleet, Role, ServerGroupPlan
from bluegreen.model.history import Event, Kind
from bluegreen.model.image_use import Purpose, Retention
from bluegreen.model.release import Release
from bluegreen.model.settings import Settings
from bluegreen.model.tags import CONTENT_DIGEST, PROJECT, REVOKED, SERVICE

REGION, OTHER = "us-east-1", "eu-west-1"
NOTHING_KEPT = Retention(keep=0, older_than=timedelta())
SOON = datetime.now(UTC) + timedelta(days=1)


@dataclass
class World:
    """A project of two stacks in two regions of an account. `outputs`: of the stacks that the backend has."""

    directory: Path
    sessions: Mapping[str, Session]
    outputs: dict[str, Any] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def read(self, name: str, directory: Path) -> Mapping[str, Any]:
        assert directory == self.directory
        if name in self.broken:
            raise EngineError(f"{name}: the backend can't be reached")
        if name not in self.outputs:
            raise NoSuchStackError(f"there is no stack {name}")
        found: Mapping[str, Any] = self.outputs[name]
        return found

    def ec2(self, region: str = REGION) -> Any:
        return self.sessions[region].client("ec2")

    def bake(self, name: str, *, region: str = REGION, digest: str = "d1", project: str = "shop") -> str:
        image = str(self.ec2(region).register_image(Name=f"web-{name}", Architecture="x86_64")["ImageId"])
        tags = {PROJECT: project, SERVICE: "web", CONTENT_DIGEST: digest}
        self.ec2(region).create_tags(Resources=[image], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
        return image

    def runs(self, name: str, image: str) -> None:
        release = Release.from_settings(Settings.parse({"ami": image}))
        capacity = Capacity(minimum=1, maximum=1, desired=1)
        group = ServerGroupPlan(release=release, role=Role.ACTIVE, weight=100, capacity=capacity)
        self.outputs[name] = {"fleet": Fleet((group,)).as_record(serial=1)}

    def has_served(self, name: str, image: str) -> None:
        release = Release.from_settings(Settings.parse({"ami": image}))
        told = {"weights": {release.version: 100}, "releases": {release.version: release.as_record()}}
        event = Event(at=datetime.now(UTC), run="run", kind=Kind.CUTOVER, release=release.version, evidence=told)
        ledger_of(name, self.directory).append(event)

    def tags(self, image: str, region: str = REGION) -> dict[str, str]:
        (found,) = self.ec2(region).describe_images(ImageIds=[image])["Images"]
        return {tag["Key"]: tag["Value"] for tag in found["Tags"]}

    def prune(self, *stacks: str) -> Any:
        return project_images.plan_prune(NOTHING_KEPT, stacks, directory=self.directory, now=SOON)

    def going(self, *stacks: str) -> list[str]:
        return [image.id for image in self.prune(*stacks).going]


@pytest.fixture(scope="module")
def sessions() -> Iterator[dict[str, Session]]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        yield {region: Session(SessionSettings(region=region)) for region in (REGION, OTHER)}


@pytest.fixture
def world(sessions: dict[str, Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    for region in (REGION, OTHER):
        ec2_backends["123456789012"][region].reset()
        ec2_backends["123456789012"][region].amis.clear()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nstackConfigDir: stacks\n")
    (tmp_path / "stacks").mkdir()
    for name, region in (("dev", REGION), ("prod", OTHER)):
        (tmp_path / f"stacks/Pulumi.{name}.yaml").write_text(f"config: {{aws:region: {region}}}\n")
    made = World(tmp_path, sessions, {"dev": {}, "prod": {}})
    monkeypatch.setattr(project_images, "_outputs", made.read)
    monkeypatch.setattr(project_images, "Session", lambda settings: sessions[settings.region])
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_ACTOR", "ann")
    return made


def test_images_are_listed_with_who_needs_them(world: World) -> None:
    free, active, before = world.bake("a"), world.bake("b"), world.bake("c")
    world.runs("dev", active)
    world.has_served("dev", before)
    world.has_served("dev", active)
    listing = project_images.list_images(directory=world.directory)
    found = {each.id: [use.purpose for use in each.uses] for each in listing.images}
    assert found == {free: [], active: [Purpose.ACTIVE], before: [Purpose.ROLLBACK_TARGET]}
    assert listing.warnings == ()


def test_an_image_that_is_needed_and_gone_is_listed(world: World) -> None:
    world.runs("dev", "ami-0000dead")
    (listed,) = project_images.list_images(directory=world.directory).images
    assert (listed.id, listed.image) == ("ami-0000dead", None)
    assert listed.as_record()["state"] == "gone"


def test_other_projects_images_are_not_listed_and_do_not_go(world: World) -> None:
    world.bake("a", project="other")
    assert project_images.list_images(directory=world.directory).images == ()
    assert world.going() == []


def test_a_stack_that_can_not_be_read_is_a_warning_in_the_list(world: World) -> None:
    image = world.bake("a")
    world.broken.add("prod")
    listing = project_images.list_images(directory=world.directory)
    assert [each.id for each in listing.images] == [image]
    assert listing.warnings == ("prod: prod: the backend can't be reached",)


def test_one_stacks_list_shows_what_others_need_of_it_too(world: World) -> None:
    image = world.bake("a")
    world.runs("prod", image)
    (listed,) = project_images.list_images(["dev"], directory=world.directory).images
    assert [use.stack for use in listed.uses] == ["prod"]


def test_what_no_stack_needs_goes_and_the_rest_stays(world: World) -> None:
    free, active, before = world.bake("a"), world.bake("b"), world.bake("c")
    world.runs("dev", active)
    world.has_served("dev", before)
    assert world.going() == [free]


def test_what_a_stack_that_was_not_named_needs_stays(world: World) -> None:
    image = world.bake("a")
    world.runs("prod", image)
    assert world.going("dev") == []


def test_only_the_places_of_the_named_stacks_are_pruned(world: World) -> None:
    here = world.bake("a")
    world.bake("b", region=OTHER)
    assert world.going("dev") == [here]


def test_what_a_machine_of_whomever_runs_stays(world: World) -> None:
    image = world.bake("a")
    world.ec2().run_instances(ImageId=image, MinCount=1, MaxCount=1)
    assert world.going() == []


def test_what_is_shared_with_an_account_of_no_stack_stays(world: World) -> None:
    image = world.bake("a")
    world.ec2().modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": "222222222222"}]})
    (kept,) = world.prune().kept
    assert kept.why == "shared with 222222222222"


def test_the_source_of_a_pending_copy_in_another_region_stays(world: World) -> None:
    world.bake("a")
    copy = world.bake("b", region=OTHER)
    ec2_backends["123456789012"][OTHER].amis[copy].state = "pending"
    assert {kept.why for kept in world.prune().kept} == {"is being copied", "is pending"}


def test_nothing_goes_where_a_stacks_state_can_not_be_read(world: World) -> None:
    world.bake("a")
    world.broken.add("prod")
    with pytest.raises(ImagesError, match=r"nothing is safe to delete: prod: .* can't be reached"):
        world.prune("dev")


def test_nothing_goes_where_a_ledger_can_not_be_read(world: World) -> None:
    world.bake("a")
    world.has_served("prod", "ami-00000001")
    with (world.directory / "runs/prod/ledger.jsonl").open("a") as ledger:
        ledger.write("{}\n")
    with pytest.raises(ImagesError, match=r"prod: the ledger .* has a line that is no event"):
        world.prune("dev")


def test_nothing_goes_where_a_config_can_not_be_read(world: World) -> None:
    (world.directory / "stacks/Pulumi.qa.yaml").write_text("config: {bluegreen:minSiz: 1}\n")
    with pytest.raises(ImagesError, match=r"(?s)qa: .*minSiz"):
        world.prune()


def test_nothing_goes_where_a_stack_is_known_to_its_ledger_and_not_to_the_backend(world: World) -> None:
    world.has_served("prod", "ami-00000001")
    del world.outputs["prod"]
    with pytest.raises(ImagesError, match="prod: its ledger knows releases, and this backend has no such stack"):
        world.prune()


def test_a_stack_that_was_never_made_needs_nothing(world: World) -> None:
    image = world.bake("a")
    del world.outputs["prod"]
    assert world.going() == [image]


def test_nothing_goes_where_the_backend_knows_no_stack_at_all(world: World) -> None:
    world.outputs.clear()
    with pytest.raises(ImagesError, match="no stack of this project is in the backend"):
        world.prune()


def test_nothing_goes_where_an_account_can_not_be_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: SessionSettings) -> Session:
        raise AwsError("no credentials")

    monkeypatch.setattr(project_images, "Session", broken)
    with pytest.raises(AwsError, match="nothing is pruned: dev: no credentials"):
        world.prune()


def test_a_stack_that_there_is_not_is_refused_with_those_that_there_are(world: World) -> None:
    with pytest.raises(ImagesError, match="there is no stack pord in this project") as caught:
        world.prune("pord")
    assert "dev, prod" in caught.value.next_step


def test_a_plan_is_carried_out_and_told_as_it_goes(world: World) -> None:
    images = [world.bake("a"), world.bake("b", region=OTHER)]
    told: list[Removal] = []
    done = project_images.carry_out(world.prune(), directory=world.directory, on_removal=told.append)
    assert {removal.image for removal in done} == set(images)
    assert told == list(done)
    assert world.going() == []


# -- revoking


def revocations(world: World, name: str) -> list[Kind]:
    return [event.kind for event in ledger_of(name, world.directory).read().events]


def test_a_veto_reaches_every_stack_and_every_copy(world: World) -> None:
    image, copy = world.bake("a"), world.bake("b", region=OTHER)
    other = world.bake("c", digest="d2")
    verdict = project_images.revoke(image, "CVE-2026-1", directory=world.directory)
    assert (verdict.stacks, verdict.copies, verdict.unmarked) == (("dev", "prod"), (copy,), ())
    for name in ("dev", "prod"):
        history = ledger_of(name, world.directory).read()
        for meant, digest in ((image, ""), (copy, ""), ("ami-0000000a", "d1")):
            revocation = history.revocation(meant, digest)
            assert revocation
            assert (revocation.why, revocation.operator) == ("CVE-2026-1", "ann")
        assert history.revocation(other, "d2") is None
    assert world.tags(image)[REVOKED] == world.tags(copy, OTHER)[REVOKED] == "CVE-2026-1"


def test_a_copy_names_its_source_as_well(world: World) -> None:
    image, copy = world.bake("a"), world.bake("b", region=OTHER)
    assert project_images.revoke(copy, "CVE", directory=world.directory).copies == (image,)


def test_a_restored_image_is_free_everywhere(world: World) -> None:
    image, copy = world.bake("a"), world.bake("b", region=OTHER)
    project_images.revoke(image, "CVE", directory=world.directory)
    verdict = project_images.restore(copy, directory=world.directory)
    assert verdict.stacks == ("dev", "prod")
    for name in ("dev", "prod"):
        history = ledger_of(name, world.directory).read()
        assert history.revocation(image, "d1") is history.revocation(copy, "d1") is None
    assert REVOKED not in world.tags(image)
    assert REVOKED not in world.tags(copy, OTHER)


def test_a_revoked_image_that_is_gone_can_be_restored(world: World) -> None:
    image = world.bake("a")
    project_images.revoke(image, "CVE", directory=world.directory)
    world.ec2().deregister_image(ImageId=image)
    assert project_images.restore(image, directory=world.directory).content_digest == "d1"
    assert ledger_of("dev", world.directory).read().revocation("ami-0000000a", "d1") is None


def test_the_list_says_what_is_revoked_by_whom_and_why(world: World) -> None:
    image = world.bake("a")
    project_images.revoke(image, "CVE", directory=world.directory)
    (listed,) = project_images.list_images(directory=world.directory).images
    assert listed.revoked.startswith("revoked by ann on ")
    assert listed.revoked.endswith(": CVE")
    json.dumps(listed.as_record())


@pytest.mark.parametrize("image", ["ami-0000dead", "web-1"])
def test_an_image_that_nobody_knows_is_not_revoked(world: World, image: str) -> None:
    with pytest.raises(ImageError):
        project_images.revoke(image, "CVE", directory=world.directory)
    assert revocations(world, "dev") == []


def test_an_image_that_a_stack_runs_can_be_revoked_though_it_can_not_be_seen(world: World) -> None:
    world.runs("dev", "ami-0000dead")
    verdict = project_images.revoke("ami-0000dead", "CVE", directory=world.directory)
    assert (verdict.content_digest, verdict.copies) == ("", ())


def test_a_veto_needs_a_reason(world: World) -> None:
    with pytest.raises(ImageError, match="needs a reason"):
        project_images.revoke(world.bake("a"), " ", directory=world.directory)


def test_what_is_not_revoked_is_not_restored(world: World) -> None:
    image = world.bake("a")
    with pytest.raises(ImageError, match=f"{image} is not revoked"):
        project_images.restore(image, directory=world.directory)
    assert revocations(world, "dev") == []


def test_nothing_is_written_where_one_ledger_can_not_be_read(world: World) -> None:
    image = world.bake("a")
    (world.directory / "runs/prod").mkdir(parents=True)
    (world.directory / "runs/prod/ledger.jsonl").write_text("{}\n")
    with pytest.raises(ImagesError, match="a veto must reach every stack: prod: "):
        project_images.revoke(image, "CVE", directory=world.directory)
    assert revocations(world, "dev") == []
    assert REVOKED not in world.tags(image)


def test_a_ledger_that_can_not_be_written_is_told_with_those_that_have_it(world: World) -> None:
    image = world.bake("a")
    (world.directory / "runs").mkdir()
    (world.directory / "runs/prod").touch()
    (world.directory / "runs/prod").unlink()
    (world.directory / "runs/prod").symlink_to("/proc/nowhere")
    with pytest.raises(LedgerError, match="revoked in dev, not yet in prod") as caught:
        project_images.revoke(image, "CVE", directory=world.directory)
    assert caught.value.exit_code == 3, "something was changed"
    (world.directory / "runs/prod").unlink()
    assert project_images.revoke(image, "CVE", directory=world.directory).stacks == ("dev", "prod")


def test_what_can_not_be_tagged_is_told_and_vetoed_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AwsError("AWS refused CreateTags")

    monkeypatch.setattr(AccountImages, "mark_revoked", refuse)
    verdict = project_images.revoke(world.bake("a"), "CVE", directory=world.directory)
    assert verdict.unmarked == (f"account 123456789012, {REGION}: AWS refused CreateTags",)
    assert revocations(world, "prod") == [Kind.REVOKED]
