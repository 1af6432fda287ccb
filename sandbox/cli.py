"""The `bluegreen-sandbox` command: parses, calls `sandbox.host`, prints. No rules here.

Exit codes: 0, or 2 with one message for an error that the user can act on; `run` gives back its command's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from bluegreen.errors import BluegreenError
from sandbox.host import UNSET, Sandbox, SandboxError
from sandbox.tunnel import connect

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A local stand-in for AWS: real processes and real traffic behind the API, on loopback addresses.",
)

BootSeconds = Annotated[
    float | None,
    typer.Option(
        min=0, help="How long a machine boots. Default: BLUEGREEN_SANDBOX_BOOT_SECONDS, else 1.", show_default=False
    ),
]
MetricSeconds = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How long a minute of CloudWatch's lasts; 60: as in reality. "
        "Default: BLUEGREEN_SANDBOX_METRIC_SECONDS, else 2.",
        show_default=False,
    ),
]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="The API's port. Default: 4566.", show_default=False)]
Directory = Annotated[
    Path | None,
    typer.Option("--dir", help="Its directory. Default: BLUEGREEN_SANDBOX, else .sandbox.", show_default=False),
]


@app.command()
def start(
    directory: Annotated[Path, typer.Option("--dir", help="Its directory; wiped if a dead sandbox left it.")] = Path(
        ".sandbox"
    ),
    port: Port = None,
    boot_seconds: BootSeconds = None,
    metric_seconds: MetricSeconds = None,
) -> None:
    """Start a sandbox that goes on until `stop`."""
    sandbox = Sandbox.start(
        directory, port=port, boot_seconds=boot_seconds, metric_seconds=metric_seconds, outlives_us=True
    )
    where = "" if directory == Path(".sandbox") else f" --dir {shlex.quote(str(directory))}"
    typer.echo(
        f"The sandbox runs: {sandbox.endpoint}, directory {sandbox.dir}\n"
        f'  use it    eval "$(bluegreen-sandbox env{where})"\n'
        f"  look      bluegreen-sandbox status{where}\n"
        f"  end it    bluegreen-sandbox stop{where}"
    )


@app.command()
def stop(directory: Directory = None) -> None:
    """Stop it, with all its machines."""
    sandbox = Sandbox.attach(directory)
    sandbox.stop()
    typer.echo(f"The sandbox in {sandbox.dir} has stopped.")


@app.command()
def status(
    directory: Directory = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show machines, load balancers and target health."""
    found = Sandbox.attach(directory).status()
    typer.echo(json.dumps(found, indent=2) if as_json else _as_text(found))


@app.command()
def env(directory: Directory = None) -> None:
    """Print the environment for `eval`: it makes boto3, Packer and Pulumi meet the sandbox."""
    sandbox = Sandbox.attach(directory)
    typer.echo(f"unset {' '.join(UNSET)}")
    for key, value in sandbox.env.items():
        typer.echo(f"export {key}={shlex.quote(value)}")


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(metavar="CMD...", help="The command and its arguments, after --.")],
    port: Port = None,
    boot_seconds: BootSeconds = None,
    metric_seconds: MetricSeconds = None,
) -> None:
    """Start a sandbox of its own, run CMD in its environment, stop it. Exit code: CMD's."""
    with Sandbox.start(port=port, boot_seconds=boot_seconds, metric_seconds=metric_seconds) as sandbox:
        code = _run(command, sandbox.full_env)
    raise typer.Exit(code)


@app.command()
def reach(
    host: Annotated[str, typer.Argument(help="A machine's private address or instance id; another address as it is.")],
    port: Annotated[int, typer.Argument(min=1, max=65535)],
    directory: Directory = None,
) -> None:
    """Connect to a machine's port: OpenSSH's ProxyCommand, where AWS has a bastion or Session Manager."""
    machines = Sandbox.attach(directory).status()["machines"]
    meant = {name: it["address"] for it in machines for name in (it["id"], it["privateAddress"])}
    connect(meant.get(host, host), port)


@app.command()
def image(
    source: Annotated[Path, typer.Option("--app", help="The app's directory, with its systemd unit.")],
    tag: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A tag; version=… is the app's version.")] = None,
    environment: Annotated[list[str] | None, typer.Option("--env", metavar="K=V", help="For the app.")] = None,
    name: Annotated[str | None, typer.Option(help="The image's name.")] = None,
    architecture: Annotated[str, typer.Option(help="x86_64 or arm64.")] = "x86_64",
    state: Annotated[str, typer.Option(help="available, or a state to rehearse: pending, failed …")] = "available",
    directory: Directory = None,
) -> None:
    """Register an image of an app, as a bake would leave it, and print its id."""
    sandbox = Sandbox.attach(directory)
    tags, variables = _pairs("--tag", tag), _pairs("--env", environment)
    tags = {**_as_baked(source, tags, variables), **tags}
    typer.echo(sandbox.image(source, tags=tags, env=variables, name=name, architecture=architecture, state=state))


def main() -> None:
    try:
        app()
    except BluegreenError as fault:
        typer.echo(f"error: {fault}", err=True)
        sys.exit(2)


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Ctrl-C and the like reach the command, and we wait for what it makes of them."""
    # The terminal sends Ctrl-C to the whole foreground group, so the command has its own. A handler, since the command
    # would inherit SIG_IGN; before it starts, since it may be interrupted at once.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as fault:
        raise SandboxError(f"{command[0]} can't be run: {fault.strerror}", "Give a command that is on PATH.") from fault
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(process.pid, received))
    code = process.wait()
    return 128 - code if code < 0 else code


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for pair in given or []:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise SandboxError(f"{option} {pair}: not of the form K=V", f"Write it as {option} key=value.")
        pairs[key] = value
    return pairs


def _as_baked(app: Path, tags: dict[str, str], variables: dict[str, str]) -> dict[str, str]:
    """What a baked image tells of itself, where there is a project: `bluegreen images` and `history` know it then."""
    from bluegreen.images.content import tree_digest
    from bluegreen.images.stack_file import PROJECT_FILE, read_project
    from bluegreen.model.tags import CONTENT_DIGEST, PROJECT, SERVICE, VERSION

    if not Path(PROJECT_FILE).exists() or not app.is_dir():
        return {}
    content = json.dumps([tree_digest(app), sorted(tags.items()), sorted(variables.items())])
    told = {
        PROJECT: yaml.safe_load(Path(PROJECT_FILE).read_text(encoding="utf-8"))["name"],
        SERVICE: read_project(Path()).service,
        CONTENT_DIGEST: hashlib.sha256(content.encode()).hexdigest(),
    }
    return {**told, VERSION: tags["version"]} if "version" in tags else told


def _as_text(found: dict[str, Any]) -> str:
    lines = [f"sandbox {found['endpoint']}, directory {found['directory']}"]
    lines += [f"  {_balancer_line(balancer)}" for balancer in found["loadBalancers"]]
    healths = {it["id"]: _target_line(group, it) for group in found["targetGroups"] for it in group["targets"]}
    for it in found["machines"]:
        health = healths.get(it["id"], "in no target group")
        lines.append(f"  machine {it['id']} {it['state']} at {it['address']}, image {it['image']}, {health}")
    return "\n".join(lines if len(lines) > 1 else [*lines, "  nothing runs in it yet"])


def _target_line(group: dict[str, Any], target: dict[str, Any]) -> str:
    reason = f" ({target['reason']})" if target["reason"] else ""
    return f"{target['health']}{reason} in {group['name']}"


def _balancer_line(balancer: dict[str, Any]) -> str:
    ports = ", ".join(
        f"http://{balancer['address']}:{it['port']} -> {' '.join(it['targetGroups']) or 'no target group'}"
        for it in balancer["listeners"]
    )
    return f"load balancer {balancer['name']}: {ports or 'no listener'}"
