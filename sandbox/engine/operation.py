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
from sandbox.engine.display import DiffView, Progress, render_outputs
from sandbox.engine.errors import Bail, EngineError
from sandbox.engine.events import Event, Events, detailed_diff, open_log
from sandbox.engine.hooks import Hooks
from sandbox.engine.journal import Journal
from sandbox.engine.options import Options
from sandbox.engine.plugins import Plugins
from sandbox.engine.program import EXPLAINED, GRACE_SECONDS, HEARING_SECONDS, Program
from sandbox.engine.properties import to_json
from sandbox.engine.provider_set import ProviderSet
from sandbox.engine.session import Session, Stack

HEADINGS = {"up": "Updating", "refresh": "Refreshing", "destroy": "Destroying"}
KINDS = {"up": "update", "refresh": "refresh", "destroy": "destroy"}

PENDING = """\
Attempting to deploy or update resources with {count} pending operations from previous deployment.
{lines}These resources are in an unknown state because the Pulumi CLI was interrupted while waiting for changes to \
these resources to complete. You should confirm whether or not the operations listed completed successfully by \
checking the state of the appropriate provider. For example, if you are using AWS, you can confirm using the AWS \
Console.

Once you have confirmed the status of the interrupted operations, you can repair your stack using `pulumi refresh` \
which will refresh the state from the provider you are using and clear the pending operations if there are any.

Note that `pulumi refresh` will need to be run interactively to clear pending CREATE operations."""
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
    session = Session.open(options, environment)
    stack = session.stack(options)
    name = options.command[0]
    is_interactive = sys.stdin.isatty() and not options.is_set("non-interactive")
    is_agreed = options.is_set("yes") or options.is_set("skip-preview") or options.is_set("preview-only")
    if name != "preview" and not is_interactive and not is_agreed:
        raise EngineError("--yes or --skip-preview must be passed in to proceed when running in non-interactive mode")
    config = stack.project.merged(stack.config())
    if not options.is_set("skip-config-validation"):
        stack.project.validate(stack.name, config, stack.crypter.decrypt)
    operation = Operation(stack, config, options)
    if name == "preview" or options.is_set("preview-only"):
        operation.preview(KINDS.get(name, "update"))
        return
    if not options.is_set("skip-preview"):
        operation.preview(KINDS[name])
        if not options.is_set("yes") and not _confirmed(name):
            raise EngineError(f"{KINDS[name]} declined; nothing was changed")
    operation.perform(name)


def _confirmed(name: str) -> bool:
    return input(f"\nDo you want to perform this {KINDS[name]}? (yes/no) ").strip().lower() in ("y", "yes")


class Operation:
    def __init__(self, stack: Stack, config: StackConfig, options: Options) -> None:
        self._stack, self._config, self._options = stack, config, options

    def preview(self, kind: str) -> None:
        run = Run(self._stack, self._config, self._options, kind, dry_run=True)
        as_json = self._options.is_set("json")
        if not as_json:
            print(f"Previewing {kind} ({self._stack.name}):", flush=True)
        outcome = run.execute()
        if as_json:
            print(json.dumps(run.report(), indent=2, ensure_ascii=False))
        self._judge(outcome)

    def perform(self, name: str) -> None:
        """Do it: under the stack's lock, with a backup before and a record after."""
        stack, kind = self._stack, KINDS[name]
        print(f"{HEADINGS[name]} ({stack.name}):", flush=True)
        with stack.backend.locked(stack.name):
            start = int(time.time())
            run = Run(stack, self._config, self._options, kind, dry_run=False)
            stack.backend.back_up(stack.name)
            outcome = None
            try:
                outcome = run.execute()
            finally:
                record = {
                    "kind": kind,
                    "startTime": start,
                    "message": self._options.text("message") or "",
                    "environment": self._description(),
                    "config": self._config.as_json(),
                    "version": 0,
                    "result": "succeeded" if outcome and outcome.is_success else "failed",
                    "endTime": int(time.time()),
                }
                if outcome and outcome.changes:
                    record["resourceChanges"] = dict(sorted(outcome.changes.items()))
                stack.backend.record(stack.name, record)
        self._judge(outcome)
        if name == "destroy":
            print(DESTROYED.format(name=stack.name, space=" "))

    def _judge(self, outcome: Outcome) -> None:
        if not outcome.is_success:
            raise Bail
        changed = sum(count for op, count in outcome.changes.items() if op != "same")
        if changed and self._options.is_set("expect-no-changes"):
            raise EngineError("no changes were expected but changes were proposed")

    def _description(self) -> dict[str, str]:
        """What the history says of where the update was run."""
        environment = self._stack.session.environment
        shown = {f"pulumi.env.{name}": "set" for name in environment if name.startswith("PULUMI_")}
        flags = {
            f"pulumi.flag.{name}": "true" if value is True else "set" for name, value in self._options.flags.items()
        }
        described = {
            "exec.kind": self._options.text("exec-kind") or "cli",
            "pulumi.os": "linux" if sys.platform.startswith("linux") else sys.platform,
            "pulumi.arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            "pulumi.version": VERSION,
            "pulumi.engine": "bluegreen sandbox",
            "runtime.name": "python",
        }
        return dict(sorted({**described, **shown, **flags}.items()))


class Run:
    """One pass: of the program, or over the state alone."""

    def __init__(self, stack: Stack, config: StackConfig, options: Options, kind: str, *, dry_run: bool) -> None:
        self._stack, self._options, self._kind, self._dry_run = stack, options, kind, dry_run
        self._started = time.monotonic()
        decrypt = stack.crypter.decrypt
        self._values = {key: value.text(decrypt) for key, value in config.values.items()}
        self._secret_keys = sorted(key for key, value in config.values.items() if value.secure)
        self._signals: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._exit_code: int | None = None
        self._was_interrupted = False
        self._program: Program | None = None
        self._steps: list[Event] = []
        self._recorded: list[Event] = []

        self.base = stack.snapshot()
        root = f"{stack.project.name}-{stack.name}"
        self._view = self._make_view(root)
        self._logs = [open_log(target)] if (target := options.text("event-log")) else []
        listeners: list[Any] = [self._record, *([self._view] if self._view else []), *self._logs]
        self.events = Events(listeners, show_secrets=options.is_set("show-secrets"))
        self._journal = Journal(self.base, (lambda snapshot: None) if dry_run else stack.write)
        self._hooks = Hooks(dry_run, lambda urn, text: self.events.diagnostic("warning", text, urn))
        self._plugins = Plugins(stack.session.environment, lambda line: self.events.diagnostic("info", line))
        self._providers = self._make_providers()
        parallel = options.number("parallel", 4 * (os.cpu_count() or 1))
        self._parallel = parallel if parallel > 0 else 256
        self._deployment = Deployment(
            project=stack.project.name,
            stack=stack.name,
            base=self.base,
            journal=self._journal,
            providers=self._providers,
            hooks=self._hooks,
            events=self.events,
            dry_run=dry_run,
            parallel=self._parallel,
            destroying=kind == "destroy",
            on_stop=lambda: self._signals.put("stopped"),
        )

    def _make_view(self, root: str) -> Progress | DiffView | None:
        if self._options.is_set("json"):
            return None
        if self._options.is_set("diff"):
            return DiffView(sys.stdout, sys.stderr)
        return Progress(sys.stdout, stack_name=root, dry_run=self._dry_run, clock=time.monotonic)

    def _make_providers(self) -> ProviderSet:
        from sandbox.engine.builtin import Builtin
        from sandbox.engine.properties import Secret

        config = {key: Secret(value) if key in self._secret_keys else value for key, value in self._values.items()}
        return ProviderSet(self._plugins, self.base, config, Builtin(self._stack.outputs_of), self._dry_run)

    def _record(self, event: Event) -> None:
        if self._options.is_set("json"):
            self._recorded.append(event)

    # The pass

    def execute(self) -> Outcome:
        shown = {key: "[secret]" if key in self._secret_keys else value for key, value in sorted(self._values.items())}
        self.events.emit("preludeEvent", {"config": shown})
        self._warn_of_pending()
        previous = signal.signal(signal.SIGINT, lambda *_: self._interrupt())
        try:
            if self._runs_program():
                self._with_program()
            else:
                self._without_program()
            self._deployment.finish_stack()
            self._journal.save()
        finally:
            self._plugins.stop()
            self._hooks.close()
            signal.signal(signal.SIGINT, previous)
            outcome = self._conclude()
            for log in self._logs:
                log.close()
        return outcome

    def _runs_program(self) -> bool:
        if self._kind == "refresh":
            return False
        if self._kind != "destroy" or self._options.is_set("run-program"):
            return True
        hooked = [(r, [*r.hooks.get("BeforeDelete", ()), *r.hooks.get("AfterDelete", ())]) for r in self.base.resources]
        for resource, names in hooked:
            if names:
                self.events.diagnostic(
                    "error",
                    "Resource has delete hooks registered, but the program is not running. Hooks: " + ", ".join(names),
                    resource.urn,
                )
        if any(names for _, names in hooked):
            raise EngineError("You must run with the `--run-program` flag to use delete hooks during destroy.")
        return False

    def _without_program(self) -> None:
        if self._kind == "refresh":
            self._deployment.refresh()
        else:
            self._deployment.delete_leftovers()

    def _with_program(self) -> None:
        from sandbox.engine.monitor import EngineService, Monitor, add_services, serve

        server, address = serve()
        self._plugins.engine_address = address
        monitor = Monitor(self._deployment, self._providers, self._hooks, lambda: self._signals.put("registered"))
        add_services(server, monitor, EngineService(self.events))
        self._providers.warm_up()
        self._program = Program(
            self._stack.project,
            stack=self._stack.name,
            address=address,
            config=self._values,
            secret_keys=self._secret_keys,
            dry_run=self._dry_run,
            parallel=self._parallel,
            environment=self._stack.session.environment,
            on_line=lambda line, is_error: self.events.diagnostic("info#err" if is_error else "info", line),
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
            self.events.diagnostic("error", message)

    def _interrupt(self) -> None:
        if self._was_interrupted:
            self._journal.close()
            print(
                "^C received twice; terminating now. The state may not know what was under way.",
                file=sys.stderr,
                flush=True,
            )
            if self._program is not None:
                self._program.kill()
            os._exit(1)
        self._was_interrupted = True
        print(
            "^C received; cancelling. If you would like to terminate immediately, press ^C again.\n"
            "Note that terminating immediately may lead to orphaned resources and other inconsistencies.",
            file=sys.stderr,
            flush=True,
        )
        self._deployment.stop()

        def cancel() -> None:
            if self._program is not None:
                self._program.interrupt()
            self._plugins.cancel()

        # Not in the signal handler: it may have interrupted a lock that cancelling needs.
        threading.Thread(target=cancel, daemon=True).start()

    # What came of it

    def _conclude(self) -> Outcome:
        deployment = self._deployment
        if self._was_interrupted:
            self.events.diagnostic("error", f"{self._kind} canceled")
        elif deployment.has_failed_step:
            self.events.diagnostic("error", f"{'preview' if self._dry_run else self._kind} failed")
        is_success = not (deployment.has_failed or self._was_interrupted)
        if sys.exc_info()[0] is not None:
            is_success = False
        changes = dict(deployment.changes)
        seconds = time.monotonic() - self._started
        self.events.emit(
            "summaryEvent",
            {
                "maybeCorrupt": False,
                "durationSeconds": int(seconds),
                "resourceChanges": dict(sorted(changes.items())),
                "PolicyPacks": {},
                "isPreview": self._dry_run,
                "result": "succeeded" if is_success else "failed",
            },
        )
        self.events.emit("cancelEvent", {})
        if self._view is not None:
            has_begun = bool(deployment.history) or sys.exc_info()[0] is None
            self._view.finish(
                changes, self._outputs() if has_begun else [], None if self._dry_run or not has_begun else seconds
            )
        return Outcome(changes, is_success)

    def _outputs(self) -> list[str]:
        if self._options.is_set("suppress-outputs"):
            return []
        show = self._options.is_set("show-secrets")
        was_there = any(r.type == checkpoint.STACK_TYPE for r in self.base.resources)
        old = to_json(self.base.stack_outputs, show_secrets=show)
        is_update = self._kind == "update"
        new = to_json(self._journal.snapshot().stack_outputs, show_secrets=show) if is_update else old
        return render_outputs(old if was_there else None, new, changed_only=self._options.is_set("diff"))

    def report(self) -> dict[str, Any]:
        """What `preview --json` prints."""
        diagnostics = []
        for event in self._recorded:
            if payload := event.get("diagnosticEvent"):
                shown = {"urn": payload["urn"]} if "urn" in payload else {}
                message = payload.get("prefix", "") + payload["message"]
                diagnostics.append({**shown, "message": message, "severity": payload["severity"]})
        report: dict[str, Any] = {
            "config": {k: "[secret]" if k in self._secret_keys else v for k, v in sorted(self._values.items())},
            "steps": [_step_report(step) for step in self._deployment.history],
        }
        if diagnostics:
            report["diagnostics"] = diagnostics
        report["duration"] = int((time.monotonic() - self._started) * 1e9)
        report["changeSummary"] = dict(sorted(self._deployment.changes.items()))
        return report

    def _warn_of_pending(self) -> None:
        if not self.base.pending or self._kind == "refresh":
            return
        lines = "".join(f"  * {op.resource.urn}, interrupted while {op.type}\n" for op in self.base.pending)
        count = len(self.base.pending)
        self.events.diagnostic("warning", PENDING.format(count=count, lines=lines))


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
    return {**report, "detailedDiff": detailed_diff(step.detailed)}
