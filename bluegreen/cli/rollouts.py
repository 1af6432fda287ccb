"""`bluegreen deploy`, `promote`, `abort`, `rollback`, `retire`, `destroy` and `plan`: releases brought in, given up,
brought back, and taken away."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from bluegreen.cli.options import AsJson, DryRun, Force, StackName, StackNames, Verbose, Yes
from bluegreen.cli.running import running
from bluegreen.errors import FAILED, REFUSED

From = Annotated[
    str | None,
    typer.Option("--from", metavar="STACK", help="Take the very release that this stack runs, with its image."),
]
Ami = Annotated[str | None, typer.Option(help="The image to deploy. [default: the config's]")]
To = Annotated[
    str | None, typer.Option(metavar="VERSION", help="The release. [default: the newest standby, or the one before]")
]


def deploy(
    stacks: StackNames,
    ami: Ami = None,
    from_stack: From = None,
    waves: Annotated[
        str | None, typer.Option(help="How many stacks by when: 1,50%,100%. [default: all at once]")
    ] = None,
    parallel: Annotated[int | None, typer.Option(help="Stacks at once, at most. [default: twice the cores]")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of the Dask scheduler that deploys them.")
    ] = None,
    yes: Yes = False,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Bring in a release, step by step, as the setting `strategy` says."""
    from bluegreen import deployment

    if dry_run:
        codes = [tell_plan("deploy", stack, as_json, force, ami=ami, from_stack=from_stack) for stack in stacks]
        raise typer.Exit(max(codes))
    if from_stack and not (yes or force or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        _confirm_drift(stacks, from_stack)
    if len(stacks) > 1 or waves or cluster:
        from bluegreen.cli.waves import deploy_many

        with running("deploy", stacks, as_json=as_json, verbose=verbose) as run:
            options = {"ami": ami, "from_stack": from_stack, "force": force}
            code = deploy_many(stacks, run, options=options, waves=waves, parallel=parallel, cluster=cluster)
        raise typer.Exit(code)
    with running("deploy", stacks, as_json=as_json, verbose=verbose) as run:
        run.done(deployment.deploy(stacks[0], ami=ami, from_stack=from_stack, force=force, **run.options))


def promote(
    stack: StackName,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Give all traffic to the candidate of an open rollout, now."""
    _act("promote", stack, force, dry_run, as_json, verbose)


def abort(
    stack: StackName,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Give up the candidate, or what a failed update left; the active release gets all traffic."""
    _act("abort", stack, force, dry_run, as_json, verbose)


def rollback(
    stack: StackName,
    to: To = None,
    check: Annotated[bool, typer.Option("--check", help="Say whether it would work; change nothing.")] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Go back even to a release that was not seen healthy, or to another schema; take the lease."
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Give all traffic back to an earlier release, as it was recorded."""
    if check:
        _check_rollback(stack, to, as_json)
        return
    _act("rollback", stack, force, dry_run, as_json, verbose, to=to)


def retire(
    stack: StackName,
    versions: Annotated[list[str], typer.Argument(metavar="VERSION...", help="Releases of standbys.")],
    force: Force = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Take standbys away."""
    _act("retire", stack, force, dry_run, as_json, verbose, versions=versions)


def destroy(
    stack: StackName,
    yes: Yes = False,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Destroy everything of the stack. Its config and history stay."""
    from bluegreen import deployment

    if dry_run:
        _tell_what_stands(stack, as_json)
        return
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise typer.BadParameter("nobody can be asked here; say it", param_hint="--yes")
        if not typer.confirm(f"Destroy everything of {stack}?", err=True):
            raise typer.Exit(REFUSED)
    with running("destroy", [stack], as_json=as_json, verbose=verbose) as run:
        run.done(deployment.destroy(stack, force=force, **run.options))


def _tell_what_stands(stack: str, as_json: bool) -> None:
    from bluegreen import deployment
    from bluegreen.events import Result

    with running("destroy --dry-run", [stack], as_json=as_json, is_live=False) as run:
        standing = deployment.standing(stack)
        lines = [f"  {count:3}  {kind}" for kind, count in standing.items()]
        text = "\n".join([f"{stack}: {sum(standing.values())} resources would go", *lines, "Nothing was changed."])
        run.report.result(
            Result(stack=stack, verb="destroy --dry-run", text=text, details={"resources": dict(standing)})
        )


def plan(
    stack: StackName,
    ami: Ami = None,
    from_stack: From = None,
    as_json: AsJson = False,
) -> None:
    """Say what `bluegreen deploy` would do, and change nothing.

    Its steps, resources, machines at the peak, quota and cost, and how long the last ones took.
    """
    raise typer.Exit(tell_plan("deploy", stack, as_json, False, ami=ami, from_stack=from_stack))


def _act(verb: str, stack: str, force: bool, dry_run: bool, as_json: bool, verbose: bool, **words: Any) -> None:
    from bluegreen import deployment

    if dry_run:
        raise typer.Exit(tell_plan(verb, stack, as_json, force, **words))
    with running(verb, [stack], as_json=as_json, verbose=verbose) as run:
        run.done(getattr(deployment, verb)(stack, force=force, **words, **run.options))


def _confirm_drift(stacks: list[str], source: str) -> None:
    """A person is shown what differs between the environments, and asked, before anything is done."""
    from bluegreen import deployment
    from bluegreen.events import Event, PromotionPlanned

    differing: list[PromotionPlanned] = []

    def see(event: Event) -> None:
        run.report.see(event)
        if isinstance(event, PromotionPlanned) and event.drift:
            differing.append(event)

    with running("plan", stacks, is_live=False) as run:
        for stack in stacks:
            deployment.plan(stack, from_stack=source, on_event=see)
    if differing and not typer.confirm("Go on with these differences?"):
        raise typer.Exit(REFUSED)


def tell_plan(verb: str, stack: str, as_json: bool, force: bool, **words: Any) -> int:
    from bluegreen import deployment
    from bluegreen.cli.told import plan_in_words
    from bluegreen.events import Outcome, Result

    with running("plan", [stack], as_json=as_json, is_live=False) as run:
        found = deployment.plan(stack, verb, on_event=run.report.see, **words)
        is_refused = bool(found.refusals) and not force
        code = REFUSED if is_refused else 0
        run.report.result(
            Result(
                stack=stack,
                outcome=Outcome.of_exit_code(code),
                exit_code=code,
                verb="plan",
                text=plan_in_words(found),
                release=found.release,
                details=found.as_record(),
            )
        )
    return code


def _check_rollback(stack: str, to: str | None, as_json: bool) -> None:
    from bluegreen import deployment
    from bluegreen.cli.told import finding_in_words
    from bluegreen.events import Line, Outcome, Result

    with running("rollback --check", [stack], as_json=as_json, is_live=False) as run:
        plan, launchable, refusal = deployment.check_rollback(stack, to=to, on_event=run.report.see)
        run.report.see(plan)
        lines = [line for finding in launchable.findings for line in finding_in_words(finding)]
        if not refusal and launchable.is_launchable:
            lines.append("It would work, as far as this can be known. Nothing was changed.")
        elif not refusal:
            lines.append("It would not work: see what is broken. Nothing was changed.")
        code = 0 if launchable.is_launchable and not refusal else FAILED
        details = {"findings": [vars(finding) for finding in launchable.findings], "refusal": str(refusal or "")}
        if refusal:
            for line in lines:
                run.report.see(Line(stack=stack, text=line))
            raise refusal
        run.report.result(
            Result(
                stack=stack,
                outcome=Outcome.of_exit_code(code),
                exit_code=code,
                verb="rollback --check",
                text="\n".join(lines),
                release=plan.release,
                details=details,
            )
        )
    raise typer.Exit(code)
