"""Bakes an image: an artifact in, an AMI out, made by Packer and Ansible, tagged with all that it was made of."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bluegreen.aws.session import Session
from bluegreen.errors import AwsError, BakeInterrupted, ImageError, PackerError
from bluegreen.images.ami_file import AMI_FILE, write_ami
from bluegreen.images.artifact import Artifact, build
from bluegreen.images.catalog import BaseImage, Catalog
from bluegreen.images.content import Content, template_digest, tree_digest
from bluegreen.images.manifest import image_in
from bluegreen.images.own_address import own_cidr
from bluegreen.images.packer import Ended, OnLine, Packer, Template, packer_environment, run
from bluegreen.images.packer_output import Cause, Phase, Temporaries, failure_of, phase_of, temporaries
from bluegreen.images.repository import bucket_of, download_url, publish
from bluegreen.images.stack_file import StackConfig, read_stack
from bluegreen.images.variables import SOURCE_CIDRS, SUFFIX, Variables
from bluegreen.model import tags

ANSIBLE = Path("ansible")
SCRIPTS = Path("packer/scripts")
LINUX = Path("packer/linux")
APP = Path("app")

OnPhase = Callable[[Phase], None]


@dataclass(frozen=True, kw_only=True)
class Baked:
    """The image of a content. `was_there`: it had been baked before, and nothing was done now."""

    image: str
    was_there: bool
    content_digest: str
    artifact: Artifact
    seconds: float


def bake(
    stack: str,
    *,
    directory: Path,
    artifact: Artifact | None = None,
    app: Path | None = None,
    version: str | None = None,
    force: bool = False,
    template: Path = LINUX,
    on_line: OnLine | None = None,
    on_phase: OnPhase | None = None,
) -> Baked:
    """Bake the image of a stack's service, unless there is one of the same content.

    1. The stack's config and variables are read and checked.
    2. The artifact is the one given, or `app` packed now.
    3. The base image is looked up.
    4. Where an available image of this content exists, that is the result; `force` bakes another.
    5. Packer is found, the artifact published if it is only here, and asked for where it is.
    6. Packer builds: it launches a machine, configures it with Ansible, and makes an image of it.
    7. The image is looked at, and its tags completed.
    8. Its id goes to `packer/ami.txt`.

    Nothing is launched before 6, and `packer/ami.txt` is as it was until 8. `directory` is the project's; `template`
    and `app` are relative to it. `on_line` hears Packer's lines, `on_phase` each phase as it begins.

    Raises errors of `bluegreen.errors`, each for what went wrong: ContentError, ArtifactError, VariablesError,
    SettingsError, ImageError, PackerError, AwsError; BakeInterrupted where it was told to stop.
    """
    began = time.monotonic()
    say = on_line or _unheard
    config = read_stack(stack, directory)
    variables = Variables.read(directory / "packer" / f"{config.stack}{SUFFIX}")
    if artifact is None:
        service = config.settings.service
        artifact = build(directory / (app or APP), service=service, directory=directory, version=version)

    session = Session(config.session)
    catalog = Catalog(session)
    base = catalog.base_image(variables.base_image)
    _check_root_device(base, config)
    content = _content(config, variables, artifact, base, directory, template)
    image = None if force else catalog.find(service=config.settings.service, content_digest=content.digest)
    was_there = image is not None
    if image is None:
        baking = _Baking(config, variables, base, content, directory, template, session, catalog)
        artifact, image = baking.bake(artifact, say, on_phase or _unseen)
    write_ami(directory, image)
    return Baked(
        image=image,
        was_there=was_there,
        content_digest=content.digest,
        artifact=artifact,
        seconds=time.monotonic() - began,
    )


def image_name(service: str, version: str, now: datetime) -> str:
    """Unique, since an account has each name once: to the millisecond."""
    return f"{service}-{version}-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}"


@dataclass(frozen=True)
class _Baking:
    """One bake that is not avoided: everything that is known before Packer starts."""

    config: StackConfig
    variables: Variables
    base: BaseImage
    content: Content
    directory: Path
    template: Path
    session: Session
    catalog: Catalog

    def bake(self, artifact: Artifact, say: OnLine, on_phase: OnPhase) -> tuple[Artifact, str]:
        """The artifact, where it is published, and the image."""
        packer = Packer.find()
        with tempfile.TemporaryDirectory(prefix="bluegreen-bake-") as scratch:
            template = packer.template(self.directory / self.template, Path(scratch))
            artifact = self._published(artifact)
            name = image_name(self.config.settings.service, artifact.version, datetime.now(UTC))
            image_tags = self._tags(name, artifact)
            manifest = Path(scratch, "manifest.json")
            given = Path(scratch, f"bake{SUFFIX}")
            given.write_text(json.dumps(self._given(artifact, name, image_tags, manifest, say)), encoding="utf-8")
            commands = packer.commands(template, [self.variables.file.resolve(), given])
            self._run(commands, template, say, on_phase)
            try:
                written = manifest.read_text(encoding="utf-8")
            except FileNotFoundError:
                written = '{"builds": [], "last_run_uuid": ""}'
            image = image_in(written, self.session.region)
        self.catalog.finish(image, image_tags)
        return artifact, image

    def _published(self, artifact: Artifact) -> Artifact:
        if artifact.file is None:
            return artifact
        return publish(
            self.session,
            bucket_of(
                self.session,
                project=self.config.project,
                stack=self.config.stack,
                configured=self.config.settings.artifact_bucket,
            ),
            artifact,
            service=self.config.settings.service,
        )

    def _tags(self, name: str, artifact: Artifact) -> dict[str, str]:
        return {
            **self.config.settings.tags,
            "Name": name,
            tags.SERVICE: self.config.settings.service,
            tags.VERSION: artifact.version,
            tags.COMMIT: artifact.commit,
            tags.ARTIFACT_SHA256: artifact.sha256,
            tags.PLAYBOOK_DIGEST: self.content.playbook_digest,
            tags.BASE_IMAGE: self.content.base_image,
            tags.TEMPLATE_DIGEST: self.content.template_digest,
            tags.CONTENT_DIGEST: self.content.digest,
        }

    def _given(
        self, artifact: Artifact, name: str, image_tags: Mapping[str, str], manifest: Path, say: OnLine
    ) -> dict[str, Any]:
        """The variables that bake gives Packer; the names are the template's contract."""
        given = {
            "region": self.session.region,
            **_shaping(self.config, artifact),
            "commit": artifact.commit,
            "artifact_url": download_url(self.session, artifact, say),
            "artifact_sha256": artifact.sha256,
            "base_image_id": self.base.id,
            "root_device": self.base.root_device,
            "image_name": name,
            "tags": image_tags,
            "run_tags": {**self.config.settings.tags, "Name": f"{name}-builder"},
            "ansible_directory": str((self.directory / ANSIBLE).resolve()),
            "scripts_directory": str((self.directory / SCRIPTS).resolve()),
            "manifest": str(manifest),
        }
        if not self.variables.source_cidrs:
            endpoint = self.session.client("ec2").meta.endpoint_url
            given[SOURCE_CIDRS] = [own_cidr(endpoint, ssh_interface=self.variables.ssh_interface)]
        return given

    def _run(self, commands: Sequence[Sequence[str]], template: Template, say: OnLine, on_phase: OnPhase) -> None:
        """Raises PackerError, BakeInterrupted."""
        phases = _Phases(on_phase)

        def hear(line: str) -> None:
            phases.hear(line)
            say(template.in_own_words(line))

        environment = packer_environment(self.session.environment())
        for command in commands:
            ended = run(command, directory=self.directory, environment=environment, on_line=hear)
            if ended.code == 0 and not (ended.was_interrupted and command is not commands[-1]):
                continue
            if ended.was_interrupted:
                raise BakeInterrupted(f"the bake was interrupted{phases.where}, and made no image", self._after(ended))
            raise PackerError(self._why(command[1], ended, template), self._after(ended))

    def _why(self, command: str, ended: Ended, template: Template) -> str:
        failure = failure_of([template.in_own_words(line) for line in ended.lines])
        said = "".join(f"\n  {line}" for line in failure.lines)
        if command == "init":
            return f"`packer init {self.template}` failed:{said}"
        match failure.cause:
            case Cause.TEMPLATE:
                return f"Packer does not accept {self.template} with {self.variables.file}:{said}"
            case Cause.PROVISIONER:
                return f"a provisioner failed: {failure.error}. The last lines:{said}"
            case Cause.BUILD:
                return f"Packer failed: {failure.error}{said}"

    def _after(self, ended: Ended) -> str:
        """What is left in AWS, and of what was there before."""
        unchanged = f"{AMI_FILE} is as it was."
        made = temporaries(ended.lines)
        if made == Temporaries():
            return f"{unchanged} Nothing was launched."
        try:
            left = self.catalog.still_there(made)
        except AwsError as error:
            return f"{unchanged} What Packer made can't be looked for ({error.what}); it printed: {made}"
        if left:
            return f"{unchanged} Packer left behind, for you to delete: {', '.join(left)}."
        return f"{unchanged} Nothing is left in AWS."


class _Phases:
    """Announces each phase once, as it begins."""

    def __init__(self, on_phase: OnPhase) -> None:
        self._on_phase = on_phase
        self._latest: Phase | None = None
        self._at_work: Phase | None = None

    def hear(self, line: str) -> None:
        phase = phase_of(line)
        # Only forwards: a provisioner's own lines may look like those of an earlier phase.
        if phase and (self._latest is None or _ORDER.index(phase) > _ORDER.index(self._latest)):
            self._latest = phase
            self._at_work = self._at_work if phase is Phase.CLEAN_UP else phase
            self._on_phase(phase)

    @property
    def where(self) -> str:
        return f" in its phase `{self._at_work}`" if self._at_work else ""


_ORDER = list(Phase)


def _check_root_device(base: BaseImage, config: StackConfig) -> None:
    wanted = config.settings.root_device
    if base.root_device != wanted:
        raise ImageError(
            f"bluegreen:rootDevice: {wanted} is not the root device of the base image {base.id}, which is "
            f"{base.root_device}",
            f"Run `pulumi config set rootDevice {base.root_device}`, or choose another base. Nothing was launched.",
        )


def _content(
    config: StackConfig, variables: Variables, artifact: Artifact, base: BaseImage, directory: Path, template: Path
) -> Content:
    shaping = {**variables.of_the_image, **_shaping(config, artifact)}
    return Content(
        artifact_sha256=artifact.sha256,
        playbook_digest=tree_digest(directory / ANSIBLE),
        base_image=base.id,
        template_digest=template_digest(directory / template, directory / SCRIPTS, shaping),
    )


def _shaping(config: StackConfig, artifact: Artifact) -> dict[str, Any]:
    """Variables that bake gives and that shape the image."""
    return {
        "service": config.settings.service,
        "app_version": artifact.version,
        "app_port": config.settings.port,
        "app_health_path": config.settings.health_check.path,
    }


def _unheard(_line: str) -> None:
    pass


def _unseen(_phase: Phase) -> None:
    pass
