"""`bluegreen artifact`, `bake` and `release`. Results go to stdout, alone; progress and Packer's lines to stderr."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluegreen.cli.options import AsJson, DryRun, StackName, Verbose
from bluegreen.cli.rollouts import tell_plan
from bluegreen.cli.running import running, said

if TYPE_CHECKING:
    from bluegreen.images.artifact import Artifact
    from bluegreen.images.bake import Baked, Source
    from bluegreen.model.history import History

App = Annotated[Path | None, typer.Option("--app", metavar="DIR", help="The app's directory. [default: app]")]
Version = Annotated[str | None, typer.Option(help="The app's version. [default: the first line of its file VERSION]")]
ArtifactJson = Annotated[
    str | None,
    typer.Option(metavar="FILE|-|JSON", help="The artifact to take, as `artifact publish` prints it; - is stdin."),
]
Force = Annotated[bool, typer.Option("--force", help="Bake, though there is an image of the same content.")]
Consul = Annotated[
    bool, typer.Option("--consul", help="A server of the stack's Consul cluster, in place of its service.")
]
Template = Annotated[
    Path | None, typer.Option("--template", metavar="DIR", help="Packer's template. [default: packer/linux]")
]

artifact = typer.Typer(no_args_is_help=True, help="Pack the app, and publish it for a bake.")


@artifact.command("build", epilog="Example: bluegreen artifact build dev > artifact.json")
def build_artifact(
    stack: Annotated[str | None, typer.Argument(help="The stack whose service it is. [default: the project's]")] = None,
    app: App = None,
    version: Version = None,
) -> None:
    """Pack the app, the same bytes for the same files.

    To dist/; prints {url, sha256, version, commit}.
    """
    from bluegreen.images.artifact import build
    from bluegreen.images.bake import APP
    from bluegreen.images.stack_file import read_project, read_stack

    here = Path()
    settings = read_stack(stack, here).settings if stack else read_project(here)
    typer.echo(build(app or APP, service=settings.service, directory=here, version=version).to_json())


@artifact.command("publish", epilog="Example: bluegreen artifact publish dev > artifact.json")
def publish_artifact(
    stack: StackName,
    app: App = None,
    version: Version = None,
    artifact_json: ArtifactJson = None,
) -> None:
    """Put an artifact into the stack's bucket, and print it with its URL.

    The app, packed now, or one that was built before.
    """
    from bluegreen.aws.session import Session
    from bluegreen.images.artifact import build
    from bluegreen.images.bake import APP
    from bluegreen.images.repository import bucket_of, publish
    from bluegreen.images.stack_file import read_stack

    _refuse_together(artifact_json=artifact_json, app=app, version=version)
    config = read_stack(stack, Path())
    service = config.settings.service
    built = _given(artifact_json) or build(app or APP, service=service, directory=Path(), version=version)
    session = Session(config.session)
    bucket = bucket_of(session, project=config.project, stack=config.stack, configured=config.settings.artifact_bucket)
    typer.echo(publish(session, bucket, built, service=service).to_json())


def bake(
    stack: StackName,
    artifact_json: ArtifactJson = None,
    app: App = None,
    version: Version = None,
    force: Force = False,
    template: Template = None,
    consul: Consul = False,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON, not the id alone.")] = False,
) -> None:
    """Make the stack's image with Packer and Ansible.

    Prints its id. The same content is baked once.
    """
    _refuse_together(artifact_json=artifact_json, app=app, version=version)
    source = _source(stack, artifact_json, app, version, force, template)
    if consul:
        _refuse_together(consul=True, artifact_json=artifact_json, app=app, version=version, template=template)
        source["consul"] = True
    if dry_run:
        _foresee(stack, source, as_json)
        return
    _print_baked(_bake(stack, source), as_json)


def release(
    stack: StackName,
    skip_bake: Annotated[bool, typer.Option("--skip-bake", help="Deploy what packer/ami.txt says, or --ami.")] = False,
    skip_deploy: Annotated[bool, typer.Option("--skip-deploy", help="Bake only, and print the image's id.")] = False,
    ami: Annotated[str | None, typer.Option(help="With --skip-bake: the image to deploy.")] = None,
    artifact_json: ArtifactJson = None,
    app: App = None,
    version: Version = None,
    force: Force = False,
    template: Template = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Bake the stack's image, then deploy it."""
    if skip_bake and skip_deploy:
        raise typer.BadParameter("with --skip-deploy too there is nothing to do", param_hint="--skip-bake")
    if ami is not None:
        if not skip_bake:
            raise typer.BadParameter("goes with --skip-bake: a bake makes the image itself", param_hint="--ami")
        _check_id(ami)
    bakes = {"artifact_json": artifact_json, "app": app, "version": version, "force": force, "template": template}
    if skip_bake:
        _refuse_together(skip_bake=True, **bakes)
    _refuse_together(artifact_json=artifact_json, app=app, version=version)
    if dry_run:
        image = ami or (_baked_before() if skip_bake else None)
        image = image or _foresee(stack, _source(stack, artifact_json, app, version, force, template), as_json)
        if image and not skip_deploy:
            raise typer.Exit(tell_plan("deploy", stack, as_json, False, ami=image))
        return
    if skip_deploy:
        _print_baked(_bake(stack, _source(stack, artifact_json, app, version, force, template)), as_json)
        return

    from bluegreen import deployment
    from bluegreen.errors import BakeInterrupted

    if skip_bake:
        image = _baked_before() if ami is None else ami
    else:
        deployment.check(stack)  # a bake takes minutes
        baked = _bake(stack, _source(stack, artifact_json, app, version, force, template))
        image = baked.image
        if baked.was_interrupted:
            raise BakeInterrupted(
                f"the release was interrupted; {image} is baked, and nothing was deployed",
                f"`bluegreen release {stack} --skip-bake --ami {image}` deploys it.",
            )
    _say(f"{stack}: deploying {image}")
    out = sys.stdout if as_json else sys.stderr
    with running("deploy", [stack], as_json=as_json, verbose=verbose, out=out) as run:
        update = deployment.deploy(stack, ami=image, **run.options)
        if as_json:
            run.done(update)
    if not as_json:
        typer.echo(said(update))


def _print_baked(baked: Baked, as_json: bool) -> None:
    record = {
        "image": baked.image,
        "wasThere": baked.was_there,
        "contentDigest": baked.content_digest,
        "artifact": json.loads(baked.artifact.to_json()),
        "seconds": round(baked.seconds, 1),
    }
    typer.echo(json.dumps(record) if as_json else baked.image)


def _source(
    stack: str,
    artifact_json: str | None,
    app: Path | None,
    version: str | None,
    force: bool,
    template: Path | None,
) -> Source:
    from bluegreen.images.bake import LINUX

    return {
        "artifact": _given(artifact_json),
        "app": app,
        "version": version,
        "force": force,
        "template": template or LINUX,
        "history": lambda: _history(stack),
    }


def _foresee(stack: str, source: Source, as_json: bool) -> str | None:
    """Tells what a bake would do; the image that it would take, None where it would make one."""
    from bluegreen.images import bake as images

    found = images.foresee(stack, directory=Path(), **source)
    if as_json:
        typer.echo(json.dumps({"image": found.image, "contentDigest": found.content_digest}))
        return found.image
    what = f"{found.image}, which has that content, would be taken" if found.image else "an image would be baked"
    _say(f"{stack}: content {found.content_digest[:12]}: {what}. Nothing was changed, and the app is packed in dist/.")
    return found.image


def _bake(stack: str, source: Source) -> Baked:
    from bluegreen.images import bake as images

    began = time.monotonic()

    def announce(phase: object) -> None:
        _say(f"{stack}: {time.monotonic() - began:6.1f} s  {phase}")

    baked = images.bake(stack, directory=Path(), on_line=_say, on_phase=announce, **source)
    what = "was baked before" if baked.was_there else "baked"
    _say(f"{stack}: {baked.seconds:6.1f} s  {baked.image} {what} (content {baked.content_digest[:12]})")
    return baked


def _history(stack: str) -> History | None:
    """What it says of revoked images. Who may bake need not be allowed to read it: the images' tags say so too, and no
    stack takes a revoked one."""
    from bluegreen.errors import LedgerError
    from bluegreen.ledger_of import ledger_of

    try:
        return ledger_of(stack, Path()).read()
    except LedgerError as error:
        _say(f"{stack}: images that were revoked are known by their tags alone: {error.what}")
        return None


def _check_id(image: str) -> None:
    from bluegreen.model.settings import image_fault

    if image_fault(image):
        message = f"{image!r} is not the id of an AMI; ids look like ami-0123456789abcdef0"
        raise typer.BadParameter(message, param_hint="--ami")


def _baked_before() -> str:
    from bluegreen.images.ami_file import read_ami

    return read_ami(Path())


def _given(artifact_json: str | None) -> Artifact | None:
    from bluegreen.errors import ArtifactError
    from bluegreen.images.artifact import Artifact

    if artifact_json is None:
        return None
    if not artifact_json.strip() or artifact_json.lstrip().startswith("{"):
        return Artifact.parse(artifact_json, where="--artifact-json")
    if artifact_json == "-":
        return Artifact.parse(sys.stdin.read(), where="the artifact on stdin")
    try:
        text = Path(artifact_json).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"--artifact-json: {artifact_json} can't be read: {error}",
            "Name a file that `bluegreen artifact publish` wrote, or - for stdin.",
        ) from error
    return Artifact.parse(text, where=artifact_json)


def _refuse_together(**options: object) -> None:
    """The first option stands in for what the others would do."""
    first, *others = options
    for other in others:
        if options[first] and options[other]:
            raise typer.BadParameter(f"can't be had together with {_flag(first)}", param_hint=_flag(other))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _say(line: str) -> None:
    typer.echo(line.rstrip("\n"), err=True)
