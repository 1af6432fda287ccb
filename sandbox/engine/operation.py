"""preview, up, refresh and destroy: runs the program against a deployment, and tells what came of it."""

from __future__ import annotations

import json
import os
import platform
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.engine import VERSION, checkpoint
from sandbox.engine.config import StackConfig
from sandbox.engine.deployment import Deployment, Step
from sandbox.engine.display import Progress, output_lines
from sandbox.engine.errors import Bail, EngineError, NotConfirmed, UnexpectedChanges
from sandbox.engine.events import Event, Events, open_log
from sandbox.engine.hooks import Hooks
from sandbox.engine.journal import Journal
from sandbox.engine.options import Options
from sandbox.engine.plugins import Plugins
from sandbox.engine.program import EXPLAINED, GRACE_SECONDS, HEARING_SECONDS, Program
from sandbox.engine.properties import Secret, to_json
from sandbox.engine.provider_set import ProviderSet
from sandbox.engine.session import Session, Stack
from sandbox.provider.protocol import enter_without_sdk

HEADINGS = {"up": "Updating", "refresh": "Refreshing", "destroy": "Destroying"}
KINDS = {"up": "update", "preview": "update", "refresh": "refresh", "destroy": "destroy"}

PENDING = """\
Attempting to deploy or update resources with {count} pending operations from previous deployment.
{lines}These resources are in an unknown state because the Pulumi CLI was interrupted while waiting for changes to \
these resources to complete. You should confirm whether or not the operations listed completed successfully by \
checking the state of the appropriate provider. For example, if you are using AWS, you can confirm using the AWS \
Console.

Once you have confirmed the status of the interrupted operations, you can repair your stack using `pulumi refresh` \
which will refresh the state from the provider you are using and clear the pending operations if there are any.

Note that `pulumi refresh` will need to be run interactively to clear pending CREATE operations."""
CANCELLING = """\
^C received; cancelling. If you would like to terminate immediately, press ^C again.
Note that terminating immediately may lead to orphaned resources and other inconsistencies."""
DESTROYED = """\
The resources in the stack have been deleted, but the history and configuration associated with the stack are still \
maintained.{space}
If you want to remove the stack completely, run `pulumi stack rm {name}`."""


@dataclass(frozen=True)
class Outcome:
    changes: Mapping[str, int]
    is_success: bool


def run(options: Options, environment: Mapping[str, str]) -> None:
    """The command of the options; raises what made it fail."""
    enter_without_sdk()  # the program has a process of its own; this one needs the protocol's stubs alone
    stack, name = Session.open(options, environment).stack(options), options.command
    is_preview = name == "preview" or options.is_set("preview-only")
    is_interactive = sys.stdin.isatty() and not options.is_set("non-interactive")
    if not (is_preview or is_interactive or options.is_set("yes") or options.is_set("skip-preview")):
        raise NotConfirmed
    config = stack.project.merged(stack.config())
    if not options.is_set("skip-config-validation"):
        stack.project.validate(stack.name, config, stack.crypter.decrypt)
    if is_preview or not options.is_set("skip-preview"):
        _preview(stack, config, options)
    if is_preview:
        return
    if not options.is_set("skip-preview") and not options.is_set("yes"):
        answer = input(f"\nDo you want to perform this {KINDS[name]}? (yes/no) ")
        if answer.strip().lower() not in ("y", "yes"):
            raise EngineError(f"{KINDS[name]} declined; nothing was changed")
    _perform(stack, config, options)


def _preview(stack: Stack, config: StackConfig, options: Options) -> None:
    run = Run(stack, config, options, dry_run=True)
    if not options.is_set("json"):
        print(f"Previewing {KINDS[options.command]} ({stack.name}):", flush=True)
    outcome = run.execute()
    if options.is_set("json"):
        print(json.dumps(run.report(), indent=2, ensure_ascii=False))
    _judge(outcome, options)


def _perform(stack: Stack, config: StackConfig, options: Options) -> None:
    """Do it: under the stack's lock, with a backup before and a record after."""
    print(f"{HEADINGS[options.command]} ({stack.name}):", flush=True)
    outcome = Outcome({}, False)
    with stack.backend.locked(stack.name):
        start = int(time.time())
        run = Run(stack, config, options, dry_run=False)
        stack.backend.back_up(stack.name)
        try:
            outcome = run.execute()
        finally:
            record = {
                "kind": KINDS[options.command],
                "startTime": start,
                "message": options.text("message") or "",
                "environment": _description(stack, options),
                "config": config.as_json(),
                "version": 0,
                "result": "succeeded" if outcome.is_success else "failed",
                "endTime": int(time.time()),
            }
            changes = {"resourceChanges": dict(sorted(outcome.changes.items()))} if outcome.changes else {}
            stack.backend.record(stack.name, {**record, **changes})
    _judge(outcome, options)
    if options.command == "destroy":
        print(DESTROYED.format(name=stack.name, space=" "))


def _judge(outcome: Outcome, options: Options) -> None:
    if not outcome.is_success:
        raise Bail
    changed = sum(count for op, count in outcome.changes.items() if op != "same")
    if changed and options.is_set("expect-no-changes"):
        raise UnexpectedChanges


def _description(stack: Stack, options: Options) -> dict[str, str]:
    """What the history says of where the update was run."""
    described = {
        "exec.kind": options.text("exec-kind") or "cli",
        "pulumi.os": sys.platform,
        "pulumi.arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "pulumi.version": VERSION,
        "pulumi.engine": "bluegreen sandbox",
        "runtime.name": "python",
    }
    described |= {f"pulumi.env.{name}": "set" for name in stack.session.environment if name.startswith("PULUMI_")}
    described |= {f"pulumi.flag.{name}": "true" if v is True else "set" for name, v in options.flags.items()}
    return dict(sorted(described.items()))


class Run:
    """One pass: of the program, or over the state alone."""

    def __init__(self, stack: Stack, config: StackConfig, options: Options, *, dry_run: bool) -> None:
        self._stack, self._options, self._dry_run = stack, options, dry_run
        self._kind = KINDS[options.command]
        self._started = time.monotonic()
        decrypt = stack.crypter.decrypt
        self._config = {
            key: Secret(value.text(decrypt)) if value.secure else value.text(decrypt)
            for key, value in sorted(config.values.items())
        }
        self._signals: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._exit_code: int | None = None
        self._was_interrupted = False
        self._program: Program | None = None
        self._diagnostics: list[Event] = []

        self._base = stack.snapshot()
        self._log = open_log(target) if (target := options.text("event-log")) else None
        self._view = Progress(
            sys.stdout,
            stack_name=f"{stack.project.name}-{stack.name}",
            dry_run=dry_run,
            shows_properties=options.is_set("diff"),
        )
        listeners = [self._keep_diagnostic if options.is_set("json") else self._view]
        self._events = Events(
            [*listeners, *([self._log] if self._log else [])], show_secrets=options.is_set("show-secrets")
        )
        self._journal = Journal(self._base, (lambda snapshot: None) if dry_run else stack.write)
        self._hooks = Hooks(dry_run, lambda urn, text: self._events.diagnostic("warning", text, urn))
        self._plugins = Plugins(stack.session.environment, lambda line: self._events.diagnostic("info", line))
        self._providers = ProviderSet(self._plugins, self._base, self._config, stack.outputs_of, dry_run)
        parallel = options.number("parallel", 4 * (os.cpu_count() or 1))
        self._parallel = parallel if parallel > 0 else 256
        self._deployment = Deployment(
            project=stack.project.name,
            stack=stack.name,
            base=self._base,
            journal=self._journal,
            providers=self._providers,
            hooks=self._hooks,
            events=self._events,
            dry_run=dry_run,
            parallel=self._parallel,
            destroying=self._kind == "destroy",
            on_stop=lambda: self._signals.put("stopped"),
        )

    def _keep_diagnostic(self, event: Event) -> None:
        if payload := event.get("diagnosticEvent"):
            shown = {"urn": payload["urn"]} if "urn" in payload else {}
            message = payload.get("prefix", "") + payload["message"]
            self._diagnostics.append({**shown, "message": message, "severity": payload["severity"]})

    # The pass

    def execute(self) -> Outcome:
        previous = signal.signal(signal.SIGINT, lambda *_: self._interrupt())
        has_begun = is_complete = False
        try:
            runs_program = self._runs_program()
            self._events.emit("preludeEvent", {"config": to_json(self._config)})
            has_begun = True
            self._warn_of_pending()
            if runs_program:
                self._run_program()
            elif self._kind == "refresh":
                self._deployment.refresh(clears_pending_creates=self._options.is_set("clear-pending-creates"))
            else:
                self._deployment.delete_leftovers()
            self._deployment.finish_stack()
            self._journal.save()
            is_complete = True
        finally:
            self._plugins.stop()
            self._hooks.close()
            signal.signal(signal.SIGINT, previous)
            outcome = self._conclude(is_complete) if has_begun else self._give_up()
            if self._log:
                self._log.close()
        return outcome

    def _warn_of_pending(self) -> None:
        if (pending := self._base.pending) and self._kind != "refresh":
            lines = "".join(f"  * {op.resource.urn}, interrupted while {op.type}\n" for op in pending)
            self._events.diagnostic("warning", PENDING.format(count=len(pending), lines=lines))

    def _runs_program(self) -> bool:
        if self._kind != "destroy" or self._options.is_set("run-program"):
            return self._kind != "refresh"
        is_hooked = False
        for resource in self._base.resources:
            hooks = resource.resource_hooks
            if names := [*hooks.get("BeforeDelete", ()), *hooks.get("AfterDelete", ())]:
                is_hooked = True
                message = "Resource has delete hooks registered, but the program is not running. Hooks: "
                self._events.diagnostic("error", message + ", ".join(names), resource.urn)
        if is_hooked:
            raise EngineError("You must run with the `--run-program` flag to use delete hooks during destroy.")
        return False

    def _run_program(self) -> None:
        from sandbox.engine.monitor import Monitor, serve

        monitor = Monitor(self._deployment, self._providers, self._hooks, lambda: self._signals.put("registered"))
        server, address = serve(monitor, self._events)
        self._plugins.engine_address = address
        self._providers.warm_up()
        self._program = Program(
            self._stack.project,
            stack=self._stack.name,
            address=address,
            config=self._config,
            dry_run=self._dry_run,
            parallel=self._parallel,
            environment=self._stack.session.environment,
            on_line=lambda line, is_error: self._events.diagnostic("info#err" if is_error else "info", line),
            on_exit=self._program_ended,
        )
        try:
            if self._signals.get() != "stopped" and self._exit_code in (None, 0):
                self._deployment.delete_leftovers()
                monitor.release()
                self._program.wait()
                self._complain_of_exit()
            else:
                self._complain_of_exit()
                # Steps under way go on to their end; only then is the program told, as its hooks may be part of them.
                self._deployment.wait_for_steps()
                # Its open calls are answered after it has heard the signal, else it would report them as errors.
                self._program.interrupt()
                self._program.has_ended_within(HEARING_SECONDS)
                monitor.release()
                self._program.wait(GRACE_SECONDS)
        finally:
            monitor.release()  # a call that still waits would keep this process from ending
            self._program.kill()
            server.stop(grace=None)

    def _program_ended(self, code: int) -> None:
        self._exit_code = code
        self._signals.put("ended")

    def _complain_of_exit(self) -> None:
        if self._exit_code in (None, 0) or self._deployment.is_stopped:
            return
        self._deployment.has_failed = True
        self._deployment.stop()
        if self._exit_code != EXPLAINED:
            message = f"an unhandled error occurred: program exited with non-zero exit code: {self._exit_code}"
            self._events.diagnostic("error", message)

    def _interrupt(self) -> None:
        if self._was_interrupted:
            self._journal.close()
            _warn("^C received twice; terminating now. The state may not know what was under way.")
            if self._program is not None:
                self._program.kill()
            os._exit(1)
        self._was_interrupted = True
        _warn(CANCELLING)
        self._deployment.stop()

        def cancel() -> None:
            self._events.emit("stdoutEvent", {"message": f"{CANCELLING}\n", "color": "never"})
            if self._program is not None:
                self._program.interrupt()
            self._plugins.cancel()

        # Not in the signal handler: it may have interrupted a lock that cancelling needs.
        threading.Thread(target=cancel, daemon=True).start()

    # What came of it

    def _give_up(self) -> Outcome:
        self._events.emit("cancelEvent", {})
        return Outcome({}, False)

    def _conclude(self, is_complete: bool) -> Outcome:
        deployment = self._deployment
        if deployment.has_failed_step or self._was_interrupted:
            end = "failed" if deployment.has_failed_step else "canceled"
            self._events.diagnostic("error", f"{'preview' if self._dry_run else 'update'} {end}")
        outcome = Outcome(
            dict(sorted(deployment.changes.items())),
            is_complete and not deployment.has_failed and not self._was_interrupted,
        )
        seconds = time.monotonic() - self._started
        summary = {
            "maybeCorrupt": deployment.may_be_corrupt,
            "durationSeconds": int(seconds),
            "resourceChanges": outcome.changes,
            "PolicyPacks": {},
            "isPreview": self._dry_run,
            "result": "succeeded" if outcome.is_success else "failed",
        }
        self._events.emit("summaryEvent", summary)
        self._events.emit("cancelEvent", {})
        if not self._options.is_set("json"):
            has_begun = bool(deployment.history) or is_complete
            duration = seconds if has_begun and not self._dry_run else None
            self._view.finish(outcome.changes, self._outputs() if has_begun else [], duration)
        return outcome

    def _outputs(self) -> list[str]:
        if self._options.is_set("suppress-outputs"):
            return []
        show = self._options.is_set("show-secrets")
        was_there = any(r.type == checkpoint.STACK_TYPE for r in self._base.resources)
        old = to_json(self._base.stack_outputs, show_secrets=show)
        new = to_json(self._journal.snapshot().stack_outputs, show_secrets=show) if self._kind == "update" else old
        return output_lines(old if was_there else None, new)

    def report(self) -> dict[str, Any]:
        """What `preview --json` prints."""
        return {
            **({"config": to_json(self._config)} if self._config else {}),
            "steps": [_step_report(step) for step in self._deployment.history if _is_shown(step)],
            **({"diagnostics": self._diagnostics} if self._diagnostics else {}),
            "duration": int((time.monotonic() - self._started) * 1e9),
            "changeSummary": dict(sorted(self._deployment.changes.items())),
        }


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _step_report(step: Step) -> Event:
    subject = step.new or step.old
    assert subject is not None
    report: Event = {"op": step.op, "urn": subject.urn}
    if subject.provider:
        report["provider"] = subject.provider
    for name, state in (("oldState", step.old), ("newState", step.new)):
        if state is not None:
            report[name] = checkpoint.dump_resource(state, to_json)
    if step.keys:
        report["replaceReasons"] = list(step.keys)
    if step.diffs:
        report["diffReasons"] = list(step.diffs)
    detailed = {path: {"kind": kind, "inputDiff": is_input} for path, (kind, is_input) in (step.detailed or {}).items()}
    return {**report, "detailedDiff": detailed or None}


def _is_shown(step: Step) -> bool:
    subject = step.new or step.old
    assert subject is not None
    if subject.type == checkpoint.STACK_TYPE:
        return True
    if step.op == "same":
        return step.old is not None and step.new is not None and step.old.protect != step.new.protect
    return step.is_logical and not subject.is_default_provider
