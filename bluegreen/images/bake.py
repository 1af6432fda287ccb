"""Bakes an image: an artifact in, an AMI out, made by Packer and Ansible, tagged with all that it was made of."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

from bluegreen.aws.session import Session
from bluegreen.errors import AwsError, BakeInterrupted, BluegreenError, ImageError, PackerError
from bluegreen.images.ami_file import AMI_FILE, check_ami_file, write_ami
from bluegreen.images.artifact import Artifact, build
from bluegreen.images.catalog import BaseImage, Catalog
from bluegreen.images.content import Content, template_digest, tree_digest
from bluegreen.images.lock import bake_lock
from bluegreen.images.manifest import image_in
from bluegreen.images.own_address import own_cidr
from bluegreen.images.packer import Ended, Interrupter, OnLine, Packer, Template, packer_environment, run
from bluegreen.images.packer_output import (
    LAST_LINES,
    Cause,
    Phase,
    Temporaries,
    began_image,
    failure_of,
    phase_of,
    temporaries,
)
from bluegreen.images.repository import bucket_of, download_url, publish
from bluegreen.images.stack_file import StackConfig, read_stack
from bluegreen.images.variables import SOURCE_CIDRS, SUFFIX, Variables
from bluegreen.model import tags
from bluegreen.model.consul import SERVICE as CONSUL_SERVICE
from bluegreen.model.history import History

ANSIBLE = Path("ansible")
SCRIPTS = Path("packer/scripts")
LINUX = Path("packer/linux")
APP = Path("app")
CONSUL_PLAYBOOK = "consul.yml"

SETTLE_SECONDS = 5.0
"""After a request of a Packer that was killed, EC2 may take so long to show what it made."""

OnPhase = Callable[[Phase], None]
ReadHistory = Callable[[], History | None]


@dataclass(frozen=True, kw_only=True)
class Baked:
    """The image of a content.

    `was_there`: it had been baked before, and nothing was done now. `was_interrupted`: the bake was told to stop when
    the image was as good as made.
    """

    image: str
    was_there: bool
    content_digest: str
    artifact: Artifact
    seconds: float
    was_interrupted: bool = False


class Source(TypedDict, total=False):
    """What an image is made of, beside the stack's config and variables.

    `artifact`, or `app` packed now, with `version` in place of the app's own. `template`: Packer's, as `app` relative
    to the project's directory. `force` makes another image, though there is one of this content. `history` reads the
    stack's, which says which contents were revoked: of those another image is made. It is not asked where an image is
    taken whose tags say nothing of that: no stack takes a revoked one. `consul`: a server of the stack's Consul cluster
    in place of the service, from the release that the variables name; `packer/ami.txt` is left alone.
    """

    artifact: Artifact | None
    app: Path | None
    version: str | None
    force: bool
    template: Path
    history: ReadHistory | None
    consul: bool


def bake(
    stack: str,
    *,
    directory: Path,
    on_line: OnLine | None = None,
    on_phase: OnPhase | None = None,
    **source: Unpack[Source],
) -> Baked:
    """Bake the image of a stack's service, unless there is one of the same content.

    1. The stack's config and variables are read and checked.
    2. The artifact is the one given, or `app` packed now.
    3. The base image is looked up.
    4. Where an available image of this content exists, that is the result; `force` bakes another. What follows, two
       bakes of one stack in one directory do one after the other, and the second looks again.
    5. Packer is found, the artifact published if it is only here, and asked for where it is.
    6. Packer builds: it launches a machine, configures it with Ansible, and makes an image of it.
    7. The image is looked at, and its tags completed.
    8. Its id goes to `packer/ami.txt`.

    Nothing is launched before 6, and `packer/ami.txt` is as it was until 8. A bake that fails in 6 or 7 removes the
    image that it made; what else is left, its error names. `directory` is the project's. `on_line` hears Packer's
    lines, `on_phase` each phase as it begins.

    Raises errors of `bluegreen.errors`, each for what went wrong: ContentError, ArtifactError, VariablesError,
    SettingsError, ImageError, LockError, PackerError, AwsError; BakeInterrupted where it was told to stop.
    """
    began = time.monotonic()
    say = on_line or _unheard
    there = _prepare(stack, directory, source)
    there, image = there.settled()
    was_there, was_interrupted, artifact = True, False, there.artifact
    if image:
        there.note(image)
    else:
        with bake_lock(
            directory, there.config.stack, lambda: say(f"another bake of {stack} runs here; waiting for it")
        ):
            if image := there.find():
                there.note(image)
            else:
                was_there = False
                artifact, image, was_interrupted = there.baking.bake(artifact, say, on_phase or _unseen)
    return Baked(
        image=image,
        was_there=was_there,
        content_digest=there.content.digest,
        artifact=artifact,
        seconds=time.monotonic() - began,
        was_interrupted=was_interrupted,
    )


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What a bake would do. `image`: the one that it would take, None where it would make one."""

    image: str | None
    content_digest: str


def foresee(stack: str, *, directory: Path, **source: Unpack[Source]) -> Foreseen:
    """What `bake` would do with the same arguments. The app is packed for it; nothing else is written or launched.

    Raises as that does.
    """
    there, image = _prepare(stack, directory, source).settled()
    return Foreseen(image=image, content_digest=there.content.digest)


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """All that a bake starts from."""

    source: Source
    directory: Path
    template: Path
    config: StackConfig
    variables: Variables
    artifact: Artifact
    base: BaseImage
    content: Content
    session: Session
    catalog: Catalog

    def settled(self) -> tuple[_Prepared, str | None]:
        """The image to take, None where one is to be made; of a content that was revoked, of another one that differs
        in nothing but its digest."""
        read = self.source.get("history")
        if (image := self.find()) or read is None:
            return self, image
        there = replace(self, content=self.content.not_revoked(read() or History()))
        return there, there.find() if there.content != self.content else None

    def note(self, image: str) -> None:
        """Where the next deploy looks for it."""
        if not self.source.get("consul"):
            write_ami(self.directory, image)

    def find(self) -> str | None:
        if self.source.get("force"):
            return None
        return self.catalog.find(service=self.config.settings.service, content_digest=self.content.digest)

    @property
    def baking(self) -> _Baking:
        return _Baking(
            self.config,
            self.variables,
            self.base,
            self.content,
            self.directory,
            self.template,
            self.session,
            self.catalog,
            bool(self.source.get("consul")),
        )


def _prepare(stack: str, directory: Path, source: Source) -> _Prepared:
    config = read_stack(stack, directory)
    variables = Variables.read(directory / "packer" / f"{config.stack}{SUFFIX}")
    check_ami_file(directory)
    if source.get("consul"):
        config = replace(config, settings=config.settings.for_service(CONSUL_SERVICE))
    given = variables.consul if source.get("consul") else source.get("artifact")
    artifact = given or build(
        directory / (source.get("app") or APP),
        service=config.settings.service,
        directory=directory,
        version=source.get("version"),
    )
    template = source.get("template", LINUX)
    session = Session(config.session)
    catalog = Catalog(session)
    base = catalog.base_image(variables.base_image)
    _check_root_device(base, config)
    shaping = _shaping(config, artifact, is_consul=bool(source.get("consul")))
    content = _content(variables, shaping, artifact, base, directory, template)
    return _Prepared(
        source=source,
        directory=directory,
        template=template,
        config=config,
        variables=variables,
        artifact=artifact,
        base=base,
        content=content,
        session=session,
        catalog=catalog,
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
    is_consul: bool

    def bake(self, artifact: Artifact, say: OnLine, on_phase: OnPhase) -> tuple[Artifact, str, bool]:
        """The artifact, where it is published; the image, whose id is written down; whether it was told to stop."""
        packer = Packer.find()
        with _scratch() as scratch:
            with _preparing():
                template = packer.template(self.directory / self.template, scratch)
            artifact = self._published(artifact)
            name = image_name(self.config.settings.service, artifact.version, datetime.now(UTC))
            image_tags = self._tags(name, artifact)
            manifest, file = scratch / "manifest.json", scratch / f"bake{SUFFIX}"
            given = json.dumps(self._given(artifact, name, image_tags, manifest, say))
            with _preparing():
                file.write_text(given, encoding="utf-8")
            commands = packer.commands(template, [self.variables.file.resolve(), file])
            trail = _Trail(name)
            # Not to be cut off before what Packer made is either whole and written down, or removed.
            with Interrupter() as interrupter:
                try:
                    self._run(commands, template, interrupter, trail, say, on_phase)
                    image = image_in(_read(manifest), self.session.region)
                    self.catalog.finish(image, image_tags)
                except BluegreenError as error:
                    error.next_step = " ".join(filter(None, (error.next_step, self._after(trail))))
                    raise
                except BaseException:  # nobody listens to Packer any more
                    self._after(trail)
                    raise
                if not self.is_consul:
                    write_ami(self.directory, image)
        return artifact, image, interrupter.count > 0

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
            tags.PROJECT: self.config.project,
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
            **_shaping(self.config, artifact, is_consul=self.is_consul),
            "commit": artifact.commit,
            "artifact_url": download_url(self.session, artifact, say),
            "artifact_sha256": artifact.sha256,
            "base_image_id": self.base.id,
            "root_device": self.base.root_device,
            "image_name": name,
            "tags": image_tags,
            # The builder is known as ours, so that a role that bakes can be kept to its own builders.
            "run_tags": {
                **self.config.settings.tags,
                tags.PROJECT: self.config.project,
                tags.SERVICE: self.config.settings.service,
                "Name": _builder(name),
            },
            "ansible_directory": str((self.directory / ANSIBLE).resolve()),
            "scripts_directory": str((self.directory / SCRIPTS).resolve()),
            "manifest": str(manifest),
        }
        if not self.variables.source_cidrs:
            endpoint = self.session.client("ec2").meta.endpoint_url
            given[SOURCE_CIDRS] = [own_cidr(endpoint, ssh_interface=self.variables.ssh_interface)]
        return given

    def _run(
        self,
        commands: Sequence[Sequence[str]],
        template: Template,
        interrupter: Interrupter,
        trail: _Trail,
        say: OnLine,
        on_phase: OnPhase,
    ) -> None:
        """Raises PackerError, BakeInterrupted."""
        phases = _Phases(on_phase)

        def hear(line: str) -> None:
            trail.lines.append(line)
            phases.hear(line)
            say(template.in_own_words(line))

        environment = packer_environment(self.session.environment())
        for command in commands:
            ended = run(
                command, directory=self.directory, environment=environment, interrupter=interrupter, on_line=hear
            )
            if command is commands[-1]:
                trail.code = ended.code
            if ended.code == 0 and not (ended.was_interrupted and command is not commands[-1]):
                continue
            if ended.was_interrupted:
                raise BakeInterrupted(f"the bake was interrupted{phases.where}, and made no image")
            raise PackerError(self._why(command[1], ended, template, phases.where))

    def _why(self, command: str, ended: Ended, template: Template, where: str) -> str:
        lines = [template.in_own_words(line) for line in ended.lines]
        failure = failure_of(lines)
        said = "".join(f"\n  {line}" for line in failure.lines)
        if command == "init":
            return f"`packer init {self.template}` {f'failed:{said}' if said and not ended.was_killed else ended.how}"
        if ended.was_killed or not (failure.error or said):
            last = [line for line in lines if line.strip()][-LAST_LINES:]
            return f"Packer {ended.how}{where}" + "".join(f"\n  {line}" for line in last)
        match failure.cause:
            case Cause.TEMPLATE:
                return f"Packer does not accept {self.template} with {self.variables.file}:{said}"
            case Cause.PROVISIONER:
                return f"a provisioner failed: {failure.error}. The last lines:{said}"
            case Cause.BUILD:
                return f"Packer failed: {failure.error or ended.how}{said}"

    def _after(self, trail: _Trail) -> str:
        """Removes the image of a bake that failed; says what is left in AWS, and of what was there before."""
        unchanged = f"{AMI_FILE} is as it was."
        made, name = temporaries(trail.lines), trail.image_name
        if trail.launched_nothing:
            return f"{unchanged} Nothing was launched."
        if trail.was_cut_off:
            time.sleep(SETTLE_SECONDS)
        removed = ""
        try:
            # Another run's image may have the name if this one did not get so far.
            gone, refused = self.catalog.discard(name) if began_image(trail.lines, name) else ([], [])
            removed = f" The bake removed what it had made: {', '.join(gone)}." if gone else ""
            removed += f" It could not remove {'; '.join(refused)}." if refused else ""
            left = self.catalog.still_there(made, image_name=name, builder=_builder(name))
        except AwsError as error:
            printed = f"; it printed: {made}" if made != Temporaries() else ""
            return (
                f"{unchanged}{removed} What Packer made can't be looked for ({error.what}){printed}. Its image would "
                f"be called {name}, its machine and volumes {_builder(name)}."
            )
        if left:
            return f"{unchanged}{removed} Packer left behind, for you to delete: {', '.join(left)}."
        return f"{unchanged}{removed} Nothing is left in AWS."


@dataclass
class _Trail:
    """What a run of Packer leaves to find its things by. `code`: of the build, None while there was none."""

    image_name: str
    lines: list[str] = field(default_factory=list)
    code: int | None = None

    @property
    def was_cut_off(self) -> bool:
        """Packer's own failures are 1. Killed, it is a negative code, or 255: of the process that watches over it."""
        return self.code not in (None, 0, 1)

    @property
    def launched_nothing(self) -> bool:
        """Packer was not run, or failed before it began to build."""
        return self.code in (None, 1) and not any(phase_of(line) for line in self.lines)


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


def _builder(name: str) -> str:
    """What the machine and the volumes are called that make the image of a name."""
    return f"{name}-builder"


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A directory for this bake alone: what is in it may be secret."""
    with _preparing():
        made = tempfile.TemporaryDirectory(prefix="bluegreen-bake-", ignore_cleanup_errors=True)
    with made as name:
        yield Path(name)


@contextlib.contextmanager
def _preparing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PackerError(f"what Packer is given can't be written: {error}", "Nothing was launched.") from error


def _read(manifest: Path) -> str:
    try:
        return manifest.read_text(encoding="utf-8")
    except FileNotFoundError:
        return '{"builds": [], "last_run_uuid": ""}'
    except (OSError, UnicodeDecodeError) as error:
        raise PackerError(f"Packer's manifest can't be read: {error}") from error


def _check_root_device(base: BaseImage, config: StackConfig) -> None:
    wanted = config.settings.root_device
    if base.root_device != wanted:
        raise ImageError(
            f"bluegreen:rootDevice: {wanted} is not the root device of the base image {base.id}, which is "
            f"{base.root_device}",
            f"Run `pulumi config set rootDevice {base.root_device}`, or choose another base. Nothing was launched.",
        )


def _content(
    variables: Variables,
    shaping: Mapping[str, Any],
    artifact: Artifact,
    base: BaseImage,
    directory: Path,
    template: Path,
) -> Content:
    return Content(
        artifact_sha256=artifact.sha256,
        playbook_digest=tree_digest(directory / ANSIBLE),
        base_image=base.id,
        template_digest=template_digest(
            directory / template, directory / SCRIPTS, {**variables.of_the_image, **shaping}
        ),
    )


def _shaping(config: StackConfig, artifact: Artifact, *, is_consul: bool) -> dict[str, Any]:
    """Variables that bake gives and that shape the image."""
    return {
        "service": config.settings.service,
        "app_version": artifact.version,
        "app_port": config.settings.port,
        "app_health_path": config.settings.health_check.path,
        **({"playbook": CONSUL_PLAYBOOK} if is_consul else {}),
    }


def _unheard(_line: str) -> None:
    pass


def _unseen(_phase: Phase) -> None:
    pass
