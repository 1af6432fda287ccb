"""The commands that run no program: stacks, config, history, login."""

from __future__ import annotations

import datetime
import getpass
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.engine import VERSION, checkpoint
from sandbox.engine.backend import log_in
from sandbox.engine.config import ConfigValue, StackConfig, config_path, scalar_text
from sandbox.engine.errors import EngineError, Refused
from sandbox.engine.options import COMMANDS, Options
from sandbox.engine.properties import to_json
from sandbox.engine.session import Session, Stack

Environment = Mapping[str, str]


def run(options: Options, environment: Environment) -> None:
    if (general := GENERAL.get(options.command)) is not None:
        general(options, environment)
    else:
        ON_A_STACK[options.command](Session.open(options, environment).stack(options), options)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(rows: list[tuple[str, ...]], indent: str = "") -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _confirm(options: Options, warning: str) -> None:
    if options.is_set("yes"):
        return
    if options.is_set("non-interactive") or not sys.stdin.isatty():
        raise EngineError("non-interactive mode requires --yes flag")
    if input(f"{warning}\nPlease confirm (yes/no): ").strip().lower() not in ("y", "yes"):
        raise EngineError("confirmation declined; nothing was changed")


# Commands that need no stack


def version(options: Options, environment: Environment) -> None:
    print(VERSION)


def help_(options: Options, environment: Environment) -> None:
    print("A stand-in for the Pulumi CLI. Its commands:")
    for command in COMMANDS:
        print(f"  pulumi {command}")


def login(options: Options, environment: Environment) -> None:
    url = options.argument or ("file://~" if options.is_set("local") else environment.get("PULUMI_BACKEND_URL"))
    if not url:
        raise Refused("the Pulumi Cloud", "log in to a file:// address")
    log_in(url, environment)
    print(f"Logged in to {url} as {getpass.getuser()}")


def logout(options: Options, environment: Environment) -> None:
    log_in(None, environment)
    print("Logged out")


def whoami(options: Options, environment: Environment) -> None:
    if options.is_set("json"):
        _print_json({"user": getpass.getuser(), "url": Session.open(options, environment).backend.url})
    else:
        print(getpass.getuser())


def cancel(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options, options.argument)
    _confirm(options, f"This will irreversibly cancel the currently running update for '{stack.name}'!")
    stack.backend.unlock(stack.name)
    print(f"The currently running update for '{stack.name}' has been canceled!")


def stack_init(options: Options, environment: Environment) -> None:
    session = Session.open(options, environment)
    if options.text("secrets-provider") not in (None, "default", "passphrase"):
        raise Refused(f"the secrets provider {options.text('secrets-provider')!r}", "it knows passphrases")
    name = session.plain_name(options.argument or options.text("stack") or "")
    if not name:
        raise EngineError("missing stack name")
    if not all(character.isalnum() or character in "-_." for character in name):
        raise EngineError("a stack name may only contain alphanumeric, hyphens, underscores, or periods")
    session.backend.create(name)
    crypter = Stack(session, name).crypter  # makes the salt, and fails where no passphrase is set
    assert crypter.salt
    if not options.is_set("no-select"):
        session.backend.select(name)
    print(f"Created stack '{name}'", file=sys.stderr)


def stack_select(options: Options, environment: Environment) -> None:
    session = Session.open(options, environment)
    name = options.argument or options.text("stack")
    if not name:
        raise EngineError("missing stack name; the stacks of this project are listed by `pulumi stack ls`")
    if options.is_set("create") and not session.backend.exists(session.plain_name(name)):
        stack_init(Options(options.command, (name,), options.flags), environment)
    session.backend.select(session.stack(options, name).name)


def stack_ls(options: Options, environment: Environment) -> None:
    backend = Session.open(options, environment).backend
    current, summaries = backend.selected(), backend.summaries()
    if not options.is_set("json"):
        rows = [(f"{s.name}{'*' if s.name == current else ''}", s.last_update, s.resource_count) for s in summaries]
        cells = [tuple("n/a" if cell is None else str(cell) for cell in row) for row in rows]
        _print_table([("NAME", "LAST UPDATE", "RESOURCE COUNT"), *cells])
        return
    shown = []
    for s in summaries:
        entry: dict[str, Any] = {"name": s.name, "current": s.name == current}
        if s.last_update:
            moment = datetime.datetime.fromisoformat(s.last_update[:26].rstrip("Z") + "+00:00")
            entry["lastUpdate"] = _when(moment.timestamp())
        shown.append(entry if s.resource_count is None else {**entry, "resourceCount": s.resource_count})
    _print_json(shown)


def stack_rm(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options, options.argument)
    if stack.deployment.get("resources") and not options.is_set("force"):
        raise EngineError(
            f"'{stack.name}' still has resources; removal rejected. Possible actions:\n"
            f"- Make sure that '{stack.name}' is the stack that you want to destroy\n"
            "- Run `pulumi destroy` to delete the resources, then run `pulumi stack rm`\n"
            "- Run `pulumi stack rm --force` to override this error"
        )
    _confirm(options, f"This will permanently remove the '{stack.name}' stack!")
    with stack.backend.locked(stack.name):
        stack.backend.remove(stack.name)
    if not options.is_set("preserve-config"):
        stack.config_file.path.unlink(missing_ok=True)
    if stack.backend.selected() == stack.name:
        stack.backend.select(None)
    print(f"Stack '{stack.name}' has been removed!")


# Commands on a stack


def stack_show(stack: Stack, options: Options) -> None:
    if options.is_set("show-name"):
        print(stack.name)
        return
    resources = stack.snapshot().resources
    print(f"Current stack is {stack.name}:\nCurrent stack resources ({len(resources)}):")
    for resource in resources:
        print(f"    {resource.urn if options.is_set('show-urns') else f'{resource.type}  {resource.name}'}")
    print()
    stack_output(stack, options)


def stack_output(stack: Stack, options: Options) -> None:
    outputs = to_json(stack.snapshot().stack_outputs, show_secrets=options.is_set("show-secrets"))
    name = options.argument
    if name is not None and name not in outputs:
        raise EngineError(f"current stack does not have output property '{name}'")
    if options.is_set("json"):
        _print_json(outputs if name is None else outputs[name])
    elif name is not None:
        print(_text(outputs[name]))
    else:
        print(f"Current stack outputs ({len(outputs)}):")
        if outputs:
            _print_table([("OUTPUT", "VALUE"), *((key, _text(value)) for key, value in outputs.items())], "    ")
        else:
            print("    No output values currently in this stack")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def stack_export(stack: Stack, options: Options) -> None:
    deployment = stack.deployment
    if options.is_set("show-secrets"):
        deployment = checkpoint.dump_deployment(stack.snapshot(), stack.state_crypter, show_secrets=True)
    schema = {key: value for key, value in stack.document.items() if key in ("version", "features")}
    text = json.dumps({**schema, "deployment": deployment or None}, indent=4, ensure_ascii=False)
    if target := options.text("file"):
        Path(target).write_text(text + "\n")
    else:
        print(text)


def stack_import(stack: Stack, options: Options) -> None:
    source = options.text("file")
    document = json.loads(Path(source).read_text() if source else sys.stdin.read())
    checkpoint.check_schema(document)
    snapshot = checkpoint.load_deployment(document.get("deployment") or {}, stack.state_crypter)
    strangers = [r.urn for r in snapshot.resources if not r.urn.startswith(f"urn:pulumi:{stack.name}::")]
    if strangers and not options.is_set("force"):
        raise EngineError(
            f"the state names resources of another stack, first {strangers[0]}; `--force` imports it nevertheless"
        )
    with stack.backend.locked(stack.name):
        stack.backend.back_up(stack.name)
        stack.write(snapshot)
    print("Import complete.")


def stack_history(stack: Stack, options: Options) -> None:
    updates = stack.backend.history(stack.name)
    if size := options.number("page-size", 10):
        page = max(options.number("page", 1), 1)
        updates = updates[(page - 1) * size : page * size]
    if options.is_set("json"):
        _print_json([_update(stack, update, options.is_set("show-secrets")) for update in updates])
        return
    for update in updates:
        print(f"UpdateKind: {update['kind']}\nStatus: {update['result']}\nMessage: {update['message']}")
        print(f"Updated: {_when(update['startTime'])}\n")


def _update(stack: Stack, update: dict[str, Any], show_secrets: bool) -> dict[str, Any]:
    config = {key: _entry(ConfigValue(raw), stack, show_secrets) for key, raw in sorted(update["config"].items())}
    times = {key: _when(update[key]) for key in ("startTime", "endTime")}
    return {key: value for key, value in {**update, **times, "config": config}.items() if value is not None}


def _when(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _entry(value: ConfigValue, stack: Stack, show_secrets: bool) -> dict[str, Any]:
    if value.secure and not show_secrets:
        return {"secret": True}
    entry: dict[str, Any] = {"value": value.text(stack.crypter.decrypt)}
    if value.is_object:
        entry["objectValue"] = value.content(stack.crypter.decrypt)
    return {**entry, "secret": value.secure}


def config_show(stack: Stack, options: Options) -> None:
    config = stack.project.merged(stack.config())
    entries = {key: _entry(config.values[key], stack, options.is_set("show-secrets")) for key in sorted(config.values)}
    if options.is_set("json"):
        _print_json(entries)
        return
    prefix = f"{stack.project.name}:"
    rows = [(key.removeprefix(prefix), entry.get("value", "[secret]")) for key, entry in entries.items()]
    _print_table([("KEY", "VALUE"), *rows])


def config_get(stack: Stack, options: Options) -> None:
    key = _key(options)
    name, *inside = _keys(stack, key, options)
    value = stack.project.merged(stack.config()).values.get(str(name))
    raw = value.raw if value else None
    for step in inside:
        entries = dict(enumerate(raw)) if isinstance(raw, list) else raw if isinstance(raw, dict) else {}
        raw = entries.get(step)
    if raw is None:
        raise EngineError(f"configuration key '{key}' not found for stack '{stack.name}'")
    found = ConfigValue(raw)
    if options.is_set("json"):
        _print_json({"name": name, **_entry(found, stack, True)})
    else:
        print(found.text(stack.crypter.decrypt))


def config_set(stack: Stack, options: Options) -> None:
    key = _key(options)
    if len(options.arguments) > 1:
        text = options.arguments[1]
    else:
        text = input("value: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    _set(stack, options, key, text, options.is_set("secret"))


def _set(stack: Stack, options: Options, key: str, text: str, is_secret: bool) -> None:
    keys = _keys(stack, key, options)
    value: Any = {"secure": stack.crypter.encrypt(text)} if is_secret else text
    if len(keys) > 1 and not is_secret:
        # Inside a structure `true`, `false` and numbers are what they look like.
        is_number = text.removeprefix("-").isdigit() and str(int(text)) == text
        value = int(text) if is_number else text == "true" if text in ("true", "false") else text
    stack.config_file.set(keys, value)


def config_rm(stack: Stack, options: Options) -> None:
    _key(options)
    for key in options.arguments:
        stack.config_file.remove(_keys(stack, key, options))


def config_set_all(stack: Stack, options: Options) -> None:
    for key, entry in json.loads(options.text("json") or "{}").items():
        _set(stack, options, key, scalar_text(entry.get("value")), bool(entry.get("secret")))
    for is_secret, flag in ((False, "plaintext"), (True, "secret")):
        for pair in options.many(flag):
            key, equals, text = pair.partition("=")
            if not equals:
                raise EngineError(f"config value {pair!r} must be in the form [key]=[value]")
            _set(stack, options, key, text, is_secret)


def config_refresh(stack: Stack, options: Options) -> None:
    """Make the stack's file what the last update ran with."""
    updates = stack.backend.history(stack.name)
    if not updates:
        raise EngineError(f"no previous deployment of stack '{stack.name}'")
    path, present = stack.config_file.path, stack.config().values
    defaults = stack.project.merged(StackConfig()).values
    last = {key: ConfigValue(raw) for key, raw in updates[0]["config"].items()}
    # The record has the project's defaults merged in; what the file never had and equals a default stays out of it.
    wanted = {key: value for key, value in last.items() if key in present or value != defaults.get(key)}
    if path.exists() and not options.is_set("force") and wanted != dict(present):
        copy = path.with_name(f"{path.name}.bak")
        copy.write_text(path.read_text())
        print(f"backed up existing configuration to {copy}")
    stack.config_file.replace(StackConfig(wanted))
    print(f"refreshed configuration for stack '{stack.name}'")


def _key(options: Options) -> str:
    if options.argument is None:
        raise EngineError(f"`pulumi {options.command}` needs a key")
    return options.argument


def _keys(stack: Stack, key: str, options: Options) -> list[str | int]:
    if not options.is_set("path"):
        return [stack.project.qualified(key)]
    namespace, colon, path = key.rpartition(":") if ":" in key.split(".")[0].split("[")[0] else ("", "", key)
    first, *rest = config_path(path)
    return [stack.project.qualified(f"{namespace}{colon}{first}"), *rest]


GENERAL: Mapping[str, Callable[[Options, Environment], None]] = {
    "help": help_,
    "version": version,
    "login": login,
    "logout": logout,
    "whoami": whoami,
    "cancel": cancel,
    "stack init": stack_init,
    "stack select": stack_select,
    "stack ls": stack_ls,
    "stack rm": stack_rm,
}
ON_A_STACK: Mapping[str, Callable[[Stack, Options], None]] = {
    "stack": stack_show,
    "stack output": stack_output,
    "stack export": stack_export,
    "stack import": stack_import,
    "stack history": stack_history,
    "config": config_show,
    "config get": config_get,
    "config set": config_set,
    "config rm": config_rm,
    "config rm-all": config_rm,
    "config set-all": config_set_all,
    "config refresh": config_refresh,
}
