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
from sandbox.engine.backend import log_in, open_backend
from sandbox.engine.config import ConfigValue, StackConfig, config_path, scalar_text
from sandbox.engine.errors import EngineError, Refused
from sandbox.engine.options import Options
from sandbox.engine.project import find
from sandbox.engine.properties import to_json
from sandbox.engine.session import Session, Stack

Environment = Mapping[str, str]


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def version(options: Options, environment: Environment) -> None:
    print(VERSION)


def help_(options: Options, environment: Environment) -> None:
    from sandbox.engine.options import COMMANDS

    print("A stand-in for the Pulumi CLI. Its commands:")
    for command in COMMANDS:
        print(f"  pulumi {' '.join(command)}")


def login(options: Options, environment: Environment) -> None:
    url = options.arguments[0] if options.arguments else "file://~" if options.is_set("local") else None
    url = url or environment.get("PULUMI_BACKEND_URL")
    if not url:
        raise Refused("the Pulumi Cloud", "log in to a file:// address")
    log_in(url, environment)
    print(f"Logged in to {url} as {getpass.getuser()}")


def logout(options: Options, environment: Environment) -> None:
    log_in(None, environment)
    print("Logged out")


def whoami(options: Options, environment: Environment) -> None:
    if options.is_set("json"):
        backend = open_backend(find(Path(options.text("cwd") or ".").absolute()), environment)
        _print_json({"user": getpass.getuser(), "url": backend.url})
    else:
        print(getpass.getuser())


def about(options: Options, environment: Environment) -> None:
    print(f"CLI\nVersion      {VERSION} (the stand-in of the bluegreen sandbox)")


def plugin_ls(options: Options, environment: Environment) -> None:
    """Plugins are found on PATH; none is ever installed."""
    if options.is_set("json"):
        _print_json([])
    else:
        print("NAME  KIND  VERSION  SIZE  INSTALLED  LAST USED")


def cancel(options: Options, environment: Environment) -> None:
    session = Session.open(options, environment)
    name = session.plain_name(options.arguments[0]) if options.arguments else session.stack_name(options)
    if not options.is_set("yes") and not _confirmed(
        options, f"This will irreversibly cancel the currently running update for '{name}'!"
    ):
        raise EngineError("confirmation declined, not canceling stack")
    session.backend.unlock(name)
    print(f"The currently running update for '{name}' has been canceled!")


def _confirmed(options: Options, warning: str) -> bool:
    if options.is_set("non-interactive") or not sys.stdin.isatty():
        raise EngineError("non-interactive mode requires --yes flag")
    return input(f"{warning}\nPlease confirm (yes/no): ").strip().lower() in ("y", "yes")


# Stacks


def stack_show(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    if options.is_set("show-name"):
        print(stack.name)
        return
    snapshot = stack.snapshot()
    print(f"Current stack is {stack.name}:")
    if manifest := stack.deployment.get("manifest"):
        print(f"    Last updated: {manifest['time']}\n    Pulumi version used: {manifest['version']}")
    print(f"Current stack resources ({len(snapshot.resources)}):")
    for resource in snapshot.resources:
        print(f"    {resource.urn if options.is_set('show-urns') else f'{resource.type}  {resource.name}'}")
    print()
    _print_outputs(stack, options)


def stack_init(options: Options, environment: Environment) -> None:
    session = Session.open(options, environment)
    if options.text("secrets-provider") not in (None, "default", "passphrase"):
        raise Refused(f"the secrets provider {options.text('secrets-provider')!r}", "it knows passphrases")
    name = session.plain_name(options.arguments[0] if options.arguments else options.text("stack") or "")
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
    name = options.arguments[0] if options.arguments else options.text("stack")
    if not name:
        raise EngineError("missing stack name; the stacks of this project are listed by `pulumi stack ls`")
    if options.is_set("create") and not session.backend.exists(session.plain_name(name)):
        stack_init(Options(options.command, (name,), options.flags), environment)
    named = Options(options.command, (), {**options.flags, "stack": name})
    session.backend.select(session.stack_name(named))


def stack_unselect(options: Options, environment: Environment) -> None:
    Session.open(options, environment).backend.select(None)
    print("Stack was unselected")


def stack_ls(options: Options, environment: Environment) -> None:
    backend = Session.open(options, environment).backend
    current = backend.selected()
    if options.is_set("json"):
        _print_json([_summary(s.name, s.name == current, s.last_update, s.resource_count) for s in backend.summaries()])
        return
    print("NAME  LAST UPDATE  RESOURCE COUNT")
    for s in backend.summaries():
        count = "n/a" if s.resource_count is None else s.resource_count
        print(f"{s.name}{'*' if s.name == current else ''}  {s.last_update or 'n/a'}  {count}")


def _summary(name: str, is_current: bool, updated: str | None, count: int | None) -> dict[str, Any]:
    summary: dict[str, Any] = {"name": name, "current": is_current}
    if updated:
        moment = datetime.datetime.fromisoformat(updated[:26].rstrip("Z") + "+00:00")
        summary["lastUpdate"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return summary if count is None else {**summary, "resourceCount": count}


def stack_rm(options: Options, environment: Environment) -> None:
    session = Session.open(options, environment)
    if options.arguments:
        options = Options(options.command, (), {**options.flags, "stack": options.arguments[0]})
    stack = session.stack(options)
    if stack.deployment.get("resources") and not options.is_set("force"):
        raise EngineError(
            f"'{stack.name}' still has resources; removal rejected. Possible actions:\n"
            "- Make sure that '" + stack.name + "' is the stack that you want to destroy\n"
            "- Run `pulumi destroy` to delete the resources, then run `pulumi stack rm`\n"
            "- Run `pulumi stack rm --force` to override this error"
        )
    if not options.is_set("yes") and not _confirmed(options, f"This will permanently remove the '{stack.name}' stack!"):
        raise EngineError("confirmation declined")
    with stack.backend.locked(stack.name):
        stack.backend.remove(stack.name)
    if not options.is_set("preserve-config"):
        stack.config_file.path.unlink(missing_ok=True)
    if session.backend.selected() == stack.name:
        session.backend.select(None)
    print(f"Stack '{stack.name}' has been removed!")


def stack_output(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    _print_outputs(stack, options)


def _print_outputs(stack: Stack, options: Options) -> None:
    outputs = to_json(stack.snapshot().stack_outputs, show_secrets=options.is_set("show-secrets"))
    if options.arguments:
        name = options.arguments[0]
        if name not in outputs:
            raise EngineError(f"current stack does not have output property '{name}'")
        value = outputs[name]
        if options.is_set("json"):
            _print_json(value)
        else:
            print(value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False))
    elif options.is_set("json"):
        _print_json(outputs)
    else:
        print(f"Current stack outputs ({len(outputs)}):")
        rows = [("OUTPUT", "VALUE"), *((k, v if isinstance(v, str) else json.dumps(v)) for k, v in outputs.items())]
        width = max(len(name) for name, _ in rows)
        lines = [f"    {name.ljust(width)}  {value}" for name, value in rows]
        print("\n".join(lines) if outputs else "    No output values currently in this stack")


def stack_export(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    deployment = stack.deployment
    if options.is_set("show-secrets"):
        deployment = checkpoint.dump_deployment(stack.snapshot(), stack.state_crypter, show_secrets=True)
    exported = {key: stack.document[key] for key in ("version", "features") if key in stack.document}
    text = json.dumps({**exported, "deployment": deployment or None}, indent=4, ensure_ascii=False)
    if target := options.text("file"):
        Path(target).write_text(text + "\n")
    else:
        print(text)


def stack_import(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    source = options.text("file")
    document = json.loads(Path(source).read_text() if source else sys.stdin.read())
    checkpoint.check_schema(document)
    deployment = document.get("deployment") or {}
    strangers = [
        r["urn"] for r in deployment.get("resources") or () if not r["urn"].startswith(f"urn:pulumi:{stack.name}::")
    ]
    if strangers and not options.is_set("force"):
        raise EngineError(
            f"the state names resources of another stack, first {strangers[0]}; `--force` imports it nevertheless"
        )
    snapshot = checkpoint.load_deployment(deployment, stack.state_crypter)
    with stack.backend.locked(stack.name):
        stack.backend.back_up(stack.name)
        stack.write(snapshot)
    print("Import complete.")


def stack_history(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
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
    shown = {
        "version": update["version"],
        "kind": update["kind"],
        "startTime": _when(update["startTime"]),
        "message": update["message"],
        "environment": update["environment"],
        "config": config,
        "result": update["result"],
        "endTime": _when(update["endTime"]),
    }
    return {**shown, "resourceChanges": update["resourceChanges"]} if update.get("resourceChanges") else shown


def _when(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


# Config


def _entry(value: ConfigValue, stack: Stack, show_secrets: bool) -> dict[str, Any]:
    if value.secure and not show_secrets:
        return {"secret": True}
    entry: dict[str, Any] = {"value": value.text(stack.crypter.decrypt)}
    if value.is_object:
        entry["objectValue"] = value.content(stack.crypter.decrypt)
    return {**entry, "secret": value.secure}


def config_show(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    config = stack.project.merged(stack.config())
    entries = {key: _entry(config.values[key], stack, options.is_set("show-secrets")) for key in sorted(config.values)}
    if options.is_set("json"):
        _print_json(entries)
        return
    prefix = f"{stack.project.name}:"
    rows = [("KEY", "VALUE"), *((key.removeprefix(prefix), e.get("value", "[secret]")) for key, e in entries.items())]
    width = max(len(key) for key, _ in rows)
    print("\n".join(f"{key.ljust(width)}  {value}" for key, value in rows))


def config_get(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    key = _argument(options, "a key")
    keys = _keys(stack, key, options.is_set("path"))
    value = stack.project.merged(stack.config()).values.get(str(keys[0]))
    raw = value.raw if value else None
    for step in keys[1:]:
        inside = (isinstance(raw, dict) and step in raw) or (
            isinstance(raw, list) and isinstance(step, int) and step < len(raw)
        )
        raw = raw[step] if inside else None  # type: ignore[index]
    if raw is None:
        raise EngineError(f"configuration key '{key}' not found for stack '{stack.name}'")
    found = ConfigValue(raw)
    if options.is_set("json"):
        _print_json({"name": str(keys[0]), **_entry(found, stack, True)})
    else:
        print(found.text(stack.crypter.decrypt))


def config_set(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    key = _argument(options, "a key")
    if len(options.arguments) > 1:
        text = options.arguments[1]
    elif sys.stdin.isatty():
        text = input("value: ")
    else:
        text = sys.stdin.read().removesuffix("\n")
    _set(stack, key, text, options.is_set("path"), options.is_set("secret"), options.text("type"))


def _set(stack: Stack, key: str, text: str, is_path: bool, is_secret: bool, kind: str | None = None) -> None:
    keys = _keys(stack, key, is_path)
    value: Any = text
    if is_secret:
        value = {"secure": stack.crypter.encrypt(text)}
    elif kind is not None:
        value = _typed(text, kind)
    elif is_path and len(keys) > 1:
        value = _inferred(text)
    stack.config_file.set(keys, value)


def _inferred(text: str) -> Any:
    """A value inside a structure: `true`, `false` and numbers are what they look like."""
    if text in ("true", "false"):
        return text == "true"
    is_number = text.removeprefix("-").isdigit() and str(int(text)) == text
    return int(text) if is_number else text


def _typed(text: str, kind: str) -> Any:
    wanted = {"string": str, "bool": bool, "int": int, "float": float}.get(kind)
    if wanted is None:
        raise EngineError(f"unknown type {kind!r} for --type: string, bool, int or float")
    value = text if wanted is str else json.loads(text) if text in ("true", "false") else _inferred(text)
    if wanted is float:
        value = float(text)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise EngineError(f"{text!r} is not a {kind}")
    return value


def config_rm(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    stack.config_file.remove(_keys(stack, _argument(options, "a key"), options.is_set("path")))


def config_set_all(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    if options.text("json") is not None:
        for key, entry in json.loads(options.text("json") or "{}").items():
            _set(stack, key, scalar_text(entry.get("value")), options.is_set("path"), bool(entry.get("secret")))
    for is_secret, flag in ((False, "plaintext"), (True, "secret")):
        for pair in options.many(flag):
            key, equals, text = pair.partition("=")
            if not equals:
                raise EngineError(f"config value {pair!r} must be in the form [key]=[value]")
            _set(stack, key, text, options.is_set("path"), is_secret)


def config_rm_all(options: Options, environment: Environment) -> None:
    stack = Session.open(options, environment).stack(options)
    for key in options.arguments:
        stack.config_file.remove(_keys(stack, key, options.is_set("path")))


def config_refresh(options: Options, environment: Environment) -> None:
    """Make the stack's file what the last update ran with."""
    stack = Session.open(options, environment).stack(options)
    updates = stack.backend.history(stack.name)
    if not updates:
        raise EngineError(f"no previous deployment of stack '{stack.name}'")
    path = stack.config_file.path
    last = StackConfig({key: ConfigValue(raw) for key, raw in updates[0]["config"].items()})
    defaults = stack.project.merged(StackConfig()).values
    present = stack.config().values
    # The record has the project's defaults merged in; what the file never had and equals a default stays out of it.
    wanted = {key: v for key, v in last.values.items() if key in present or key not in defaults or v != defaults[key]}
    if path.exists() and not options.is_set("force") and StackConfig(wanted) != StackConfig(dict(present)):
        copy = path.with_name(f"{path.name}.bak")
        copy.write_text(path.read_text())
        print(f"backed up existing configuration to {copy}")
    stack.config_file.replace(StackConfig(wanted))
    print(f"refreshed configuration for stack '{stack.name}'")


def _argument(options: Options, what: str) -> str:
    if not options.arguments:
        raise EngineError(f"`pulumi {' '.join(options.command)}` needs {what}")
    return options.arguments[0]


def _keys(stack: Stack, key: str, is_path: bool) -> list[str | int]:
    if not is_path:
        return [stack.project.qualified(key)]
    namespace, colon, path = key.rpartition(":") if ":" in key.split(".")[0].split("[")[0] else ("", "", key)
    first, *rest = config_path(path)
    return [stack.project.qualified(f"{namespace}{colon}{first}"), *rest]


COMMANDS: Mapping[tuple[str, ...], Callable[[Options, Environment], None]] = {
    ("version",): version,
    ("help",): help_,
    ("login",): login,
    ("logout",): logout,
    ("whoami",): whoami,
    ("about",): about,
    ("plugin", "ls"): plugin_ls,
    ("cancel",): cancel,
    ("stack",): stack_show,
    ("stack", "init"): stack_init,
    ("stack", "select"): stack_select,
    ("stack", "unselect"): stack_unselect,
    ("stack", "ls"): stack_ls,
    ("stack", "rm"): stack_rm,
    ("stack", "output"): stack_output,
    ("stack", "export"): stack_export,
    ("stack", "import"): stack_import,
    ("stack", "history"): stack_history,
    ("config",): config_show,
    ("config", "get"): config_get,
    ("config", "set"): config_set,
    ("config", "rm"): config_rm,
    ("config", "set-all"): config_set_all,
    ("config", "rm-all"): config_rm_all,
    ("config", "refresh"): config_refresh,
}
