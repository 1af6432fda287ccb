"""What both engines are put through. Each is small, and about what a user of this project can meet."""

from __future__ import annotations

import signal
from textwrap import dedent

from tests.conformance.scenario import DESTROY, PREVIEW, REFRESH, UP, Meanwhile, Scenario, Step

# The word "s3cret", sealed with the passphrase and salt of the workspaces.
SEALED = {"secure": "v1:iGngGm1P9okdRGZo:h2NRwzikFpKfRod6xqUDFyTVXO3u3A=="}
EXPORT = ("stack", "export")
CANCEL = ("cancel", "--yes")
# Where a step may differ when it goes on from the state that the other engine wrote: pattern of a path -> why.
BOTH_WAYS: dict[str, str] = {}

RELEASE = """
    release = config.require("release")
    def gate(args):
        note("gate", args.name)
        pulumi.log.info("gate: looking")
        if config.get_bool("broken"):
            raise Exception("smoke test: 500")
    def guard(args):
        note("guard", args.name)
        if config.get_bool("guarded"):
            raise Exception("it still takes traffic")
    gate, guard = ResourceHook("gate", gate), ResourceHook("guard", guard)
    net = Thing("net", cidr="10.0.0.0/16")
    group = Thing(f"group-{release}", net=net.id, desired=2, opts=O(hooks=Hooks(before_delete=[guard])))
    Thing("listener", target=group.arn, opts=O(hooks=Hooks(before_create=[gate], before_update=[gate])))
    pulumi.export("release", {"version": release})
    pulumi.export(f"only-{release}", True)
"""
# A hook that notes that it was run and with what, and does what the config says.
HOOK = dedent("""
    import time
    def hook(name, **options):
        def run(args):
            kinds = ("new_inputs", "old_inputs", "new_outputs", "old_outputs")
            given = [kind for kind in kinds if getattr(args, kind) is not None]
            note(f"{name} with {args.id or 'no id'} {' '.join(given)}", args.name)
            time.sleep(float(config.get("seconds") or 0))
            if config.get("fails") == name:
                raise Exception("no")
        return ResourceHook(name, run, pulumi.ResourceHookOptions(**options))
""")
ALL_HOOKS = HOOK + dedent("""
    kinds = [f"{when}_{what}" for when in ("before", "after") for what in ("create", "update", "delete")]
    hooks = {kind: [hook(kind)] for kind in kinds}
    if not config.get_bool("gone"):
        a = Thing("a", size=config.require_int("size"), opts=O(hooks=Hooks(**hooks)))
        Thing("b", a=a.arn, size=config.require_int("size"))
""")
HOOKED = {"size": "1"}
CHAIN = 'a = Thing("a"); b = Thing("b", a=a.arn, seconds=config.get_float("slow") or 0); Thing("c", b=b.arn)'
SLOW = {"slow": "30"}


def refused(name: str, about: str, option: str, what: str, preamble: str = "") -> Scenario:
    """A resource option that the stand-in does not have."""
    program = f'{preamble}\nThing("y", opts=O({option}))'
    return Scenario(name, about, (Step("create", program=program),), refused=what)


def killed(
    name: str, moment: str, first: tuple[Step, ...], call: str, then: tuple[Step, ...], **step: object
) -> Scenario:
    during = Step("killed", meanwhile=Meanwhile(call, signal.SIGKILL), **step)  # type: ignore[arg-type]
    after = (Step("locked"), Step("unlock", CANCEL), *then)
    steps = (*first, during, *after)
    return Scenario(name, f"kill -9 {moment}; the lock, then on", steps, also_crosses=("locked", then[0].name))


SCENARIOS = [
    Scenario(
        "create",
        "resources that depend on each other, outputs, nothing to change, destroy",
        (
            Step(
                "preview",
                PREVIEW,
                program="""
                a = Thing("a", size=1, tags={"x": "y"}, empty={}, none=None, zero=0)
                b = Thing("b", a=a.arn, list=[1, "2", True], text="ü\\n")
                pulumi.export("arn", b.arn)
                pulumi.export("n", 5)
                """,
            ),
            Step("create"),
            Step("no change", (*UP, "--expect-no-changes")),
            Step("preview of no change", PREVIEW),
            Step("outputs", ("stack", "output", "--json")),
            Step("export", EXPORT),
            Step("destroy", DESTROY),
            Step("destroy again", DESTROY),
        ),
        also_crosses=("no change", "destroy"),
    ),
    Scenario(
        "update",
        "a changed, an added and a removed input; what depends on it",
        (
            Step("create", program='a = Thing("a", size=1, old=True); b = Thing("b", a=a.arn)'),
            Step("preview", PREVIEW, program='a = Thing("a", size=2, new={"deep": [1]}); b = Thing("b", a=a.arn)'),
            Step("changes were not expected", ("preview", "--expect-no-changes")),
            Step("update", ("up", "--yes")),
        ),
    ),
    Scenario(
        "replace, the new one first",
        "an input that replaces; what depends on it moves over before the old one goes",
        (
            Step(
                "create",
                program="""
                a = Thing("a", zone=config.require("zone"))
                b = Thing("b", a=a.arn)
                pulumi.export("arn", a.arn)
                """,
                config={"zone": "x"},
            ),
            Step("preview", PREVIEW, config={"zone": "y"}),
            Step("replace"),
        ),
    ),
    Scenario(
        "replace, failing",
        "the new one can't be made; what depends on it fails after it was made; the old one stays until all is well",
        (
            Step(
                "create",
                program="""
                a = Thing("a", zone=config.require("zone"), fail=config.get("a"))
                b = Thing("b", a=a.arn, fail=config.get("b"))
                """,
                config={"zone": "x"},
            ),
            Step("the new one fails", config={"zone": "y", "a": "create"}),
            Step("what depends on it fails", config={"zone": "y", "b": "update"}),
            Step("goes on", config={"zone": "y"}),
        ),
        also_crosses=("what depends on it fails",),
    ),
    Scenario(
        "replace on changes",
        "an input that updates is told to replace",
        (
            Step(
                "create",
                program='Thing("a", size=config.require_int("size"), opts=O(replace_on_changes=["size"]))',
                config={"size": "1"},
            ),
            Step("replace", config={"size": "2"}),
        ),
    ),
    Scenario(
        "replace, the old one first",
        "the option delete_before_replace, with a resource that depends on it",
        (
            Step(
                "create",
                program="""
                a = Thing("a", zone=config.require("zone"), opts=O(delete_before_replace=True))
                b = Thing("b", a=a.arn)
                """,
                config={"zone": "x"},
            ),
            Step("preview", PREVIEW, config={"zone": "y"}),
            Step("replace"),
        ),
    ),
    Scenario(
        "replace, as the provider asks",
        "the provider wants the old one deleted first",
        (
            Step("create", program='Thing("a", address=config.require("address"))', config={"address": "x"}),
            Step("replace", config={"address": "y"}),
        ),
    ),
    Scenario(
        "delete",
        "resources that the program no longer has, each before what it depends on",
        (
            Step("create", program='a = Thing("a"); b = Thing("b", a=a.arn); Thing("c", b=b.arn); Thing("d")'),
            Step("preview", PREVIEW, program='Thing("d")'),
            Step("delete"),
        ),
    ),
    Scenario(
        "rename with an alias",
        "a new name, and what depends on it, without a change of anything real",
        (
            Step("create", program='a = Thing("a"); Thing("b", a=a.arn)'),
            Step(
                "rename",
                program='a = Thing("c", opts=O(aliases=[pulumi.Alias(name="a")])); Thing("b", a=a.arn)',
            ),
            Step("no change", program='a = Thing("c"); Thing("b", a=a.arn)'),
        ),
        also_crosses=("rename",),
    ),
    Scenario(
        "move into a component",
        "an alias without the parent that it now has",
        (
            Step("create", program='Thing("a")'),
            Step(
                "move",
                program="""
                was = pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)
                Thing("a", opts=O(parent=Group("g"), aliases=[was]))
                """,
            ),
        ),
    ),
    Scenario(
        "protect",
        "deleted, destroyed and replaced while protected, then no longer",
        (
            Step(
                "create",
                program='Thing("a", zone=config.get("zone"), opts=O(protect=config.get_bool("protected"))); Thing("b")',
                config={"protected": "true"},
            ),
            Step("preview of a replacement", PREVIEW, config={"protected": "true", "zone": "x"}),
            Step("replace", config={"protected": "true", "zone": "x"}),
            Step("preview of a deletion", PREVIEW, program='Thing("b")'),
            Step("delete", program='Thing("b")'),
            Step("destroy", DESTROY),
            Step(
                "unprotect",
                program='Thing("a", opts=O(protect=False)); Thing("b")',
            ),
            Step("destroy at last", DESTROY),
        ),
        also_crosses=("unprotect",),
        # How far b has come when the run stops.
        chance=("replace/events/steps/b*", "replace/events/others/1/summaryEvent/resourceChanges/same"),
    ),
    Scenario(
        "ignore changes",
        "a top property, a nested one and one that is not there",
        (
            Step(
                "create",
                program="""
                n = config.require_int("n")
                Thing("a", size=n, deep={"x": n, "y": n}, other=n,
                      opts=O(ignore_changes=["size", "deep.x", "absent"]))
                """,
                config={"n": "1"},
            ),
            Step("update", config={"n": "2"}),
            Step("preview", PREVIEW, config={"n": "3"}),
        ),
        last_crosses=False,
    ),
    Scenario(
        "depends_on",
        "order without data, on a resource and on a component",
        (
            Step(
                "create",
                program="""
                a = Thing("a", seconds=0.3)
                g = Group("g")
                Thing("in", opts=O(parent=g))
                Thing("b", opts=O(depends_on=[a, g]))
                """,
            ),
            Step("delete", program=""),
        ),
        last_crosses=False,
    ),
    Scenario(
        "components",
        "parents, children, outputs of a component, protection that is handed down",
        (
            Step(
                "create",
                program="""
                g = Group("g", opts=O(protect=config.get_bool("protected")))
                a = Thing("a", size=config.require_int("size"), opts=O(parent=g))
                g.register_outputs({"arn": a.arn})
                pulumi.export("arn", a.arn)
                """,
                config={"size": "1", "protected": "true"},
            ),
            Step("preview", PREVIEW, config={"size": "2"}),
            Step("update"),
            Step("delete", program=""),
        ),
    ),
    Scenario(
        "providers",
        "an explicit provider beside the default one, its config changed, a resource moved to it",
        (
            Step(
                "create",
                program="""
                p = Provider("p", region=config.require("region"), opts=O(version="1.0.0"))
                Thing("a", opts=O(provider=p))
                Thing("b", opts=O(provider=p) if config.get_bool("moved") else None)
                pulumi.export("echo", echo(text="x"))
                """,
                config={"region": "x"},
            ),
            Step("preview", PREVIEW, config={"region": "y"}),
            Step("config of the provider", config={"region": "y"}),
            Step("move", config={"region": "y", "moved": "true"}),
            Step("destroy", DESTROY),
        ),
    ),
    Scenario(
        "config of the default provider",
        "toy:region in the stack's config",
        (
            Step("create", program='Thing("a")', config={"toy:region": "x"}),
            Step("change", config={"toy:region": "y"}),
        ),
        last_crosses=False,
    ),
    Scenario(
        "secrets",
        "from config to inputs and outputs, made so by the program, declared by an option; sealed at rest",
        (
            Step(
                "create",
                program="""
                a = Thing("a", password=config.require_secret("token"), deep={"x": [pulumi.Output.secret("in")]})
                b = Thing("b", a=a.password, opts=O(additional_secret_outputs=["arn"]))
                pulumi.export("token", config.require_secret("token"))
                pulumi.export("arn", b.arn)
                pulumi.export("mixed", {"open": 1, "closed": pulumi.Output.secret({"k": "v"})})
                """,
                config={"token": SEALED},
            ),
            Step("no change", (*UP, "--expect-no-changes")),
            Step("preview", PREVIEW),
            Step("outputs", ("stack", "output", "--json")),
            Step("outputs shown", ("stack", "output", "--json", "--show-secrets")),
            Step("export", EXPORT),
            Step("export shown", (*EXPORT, "--show-secrets")),
        ),
        also_crosses=("no change",),
    ),
    Scenario(
        "invokes",
        "an answer, an error that ends the program, an error that the program catches",
        (
            Step("answer", program='pulumi.export("echo", echo(text="hello"))'),
            Step("error", program='Thing("a"); echo(fail=True)'),
            Step(
                "caught", program='try:\n    echo(fail=True)\nexcept Exception as e:\n    pulumi.export("caught", True)'
            ),
        ),
        last_crosses=False,
    ),
    Scenario(
        "stack references",
        "to the stack itself: its outputs of the last update",
        (
            Step(
                "first",
                program="""
                me = pulumi.StackReference("organization/demo/dev")
                pulumi.export("serial", me.get_output("serial").apply(lambda n: (n or 0) + 1))
                """,
            ),
            Step("second"),
            Step("preview", PREVIEW),
            Step("unknown stack", program='pulumi.StackReference("organization/demo/nowhere")'),
        ),
        last_crosses=False,
    ),
    Scenario(
        "change of release",
        "gate before the cutover, guard before the old group goes, rollback, destroy with the program",
        (
            Step("first", program=RELEASE, config={"release": "r1"}),
            Step("preview", PREVIEW, config={"release": "r2"}),
            Step("second", config={"release": "r2"}),
            Step("gate refuses", config={"release": "r3", "broken": "true"}),
            Step("back", config={"release": "r2"}),
            Step("guard refuses", config={"release": "r1", "guarded": "true"}),
            Step("goes on", config={"release": "r1"}),
            Step("destroy without the program", DESTROY),
            Step("destroy", (*DESTROY, "--run-program")),
        ),
        also_crosses=("second", "back", "goes on"),
    ),
    Scenario(
        "hooks that pass",
        "all six kinds, with what they are told; one that takes long; none in a preview",
        (
            Step("create", program=ALL_HOOKS, config={"size": "1", "seconds": "0.5"}),
            Step("preview", PREVIEW, config={"size": "2"}),
            Step("update"),
            Step("delete", config={"size": "2", "gone": "true"}),
        ),
    ),
    *(
        Scenario(
            f"a hook {kind.replace('_', ' ')} that fails",
            "what is done, recorded and kept from being done; the next run",
            (
                *([] if kind.endswith("create") else [Step("create", program=ALL_HOOKS, config=HOOKED)]),
                Step(
                    "fails",
                    program=ALL_HOOKS,
                    config={"size": "2", "fails": kind, **({"gone": "true"} if kind.endswith("delete") else {})},
                ),
                Step("goes on", config={"size": "2"}),
            ),
            last_crosses=kind in ("before_update", "before_delete"),
        )
        for kind in ("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete")
    ),
    Scenario(
        "hooks of a preview, hooks that may fail",
        "on_dry_run and ignore_errors; a hook that the program no longer has",
        (
            Step(
                "preview",
                PREVIEW,
                program=HOOK
                + dedent("""
                early, lenient = hook("early", on_dry_run=True), hook("lenient", ignore_errors=True)
                hooks = Hooks(before_create=[early, lenient], after_create=[lenient], before_delete=[early])
                Thing("a", size=config.get_int("size"), opts=O(hooks=hooks))
                """),
                config={"fails": "early"},
            ),
            Step("create", config={"fails": "lenient"}),
            Step("no longer registered", program='Thing("b")'),
        ),
    ),
    Scenario(
        "a create that fails",
        "its siblings, what depends on it, the deletes; and one that never gets ready",
        (
            Step("first", program='Thing("old")'),
            Step("fails", program='x = Thing("x", fail="create"); Thing("after", x=x.arn)'),
            Step("never ready", program='x = Thing("x", fail="init"); Thing("after", x=x.arn)'),
            Step("goes on", program='x = Thing("x"); Thing("after", x=x.arn)'),
        ),
        also_crosses=("never ready",),
    ),
    Scenario(
        "an update that fails",
        "the state keeps what was",
        (
            Step("create", program='Thing("a", size=1); Thing("old")'),
            Step("fails", program='Thing("a", size=2, fail="update")'),
            Step("goes on", program='Thing("a", size=2)'),
        ),
    ),
    Scenario(
        "a delete that fails",
        "what it depends on stays too",
        (
            Step("create", program='a = Thing("a"); b = Thing("b", a=a.arn, fail="delete"); Thing("c", b=b.arn)'),
            Step("fails", program=""),
            Step("destroy fails", DESTROY),
            Step("goes on", program='a = Thing("a"); b = Thing("b", a=a.arn)'),
        ),
    ),
    Scenario(
        "inputs that the provider refuses",
        "in a preview and in an up",
        (
            Step("preview", PREVIEW, program='Thing("x", size=-1)'),
            Step("up", program='Thing("x", size=-1)'),
        ),
        last_crosses=False,
    ),
    Scenario(
        "a program that fails",
        "an error of its own, an exception, missing config, an exit, two of one name",
        (
            Step("create", program='Thing("old")'),
            Step("RunError", program='raise pulumi.RunError("the fleet is older than the last update")'),
            Step("missing config", program='config.require("ami")'),
            Step("exit", program="sys.exit(3)"),
            Step("two of one name", program='x = Thing("x"); Thing("x", opts=O(depends_on=[x]))'),
        ),
        last_crosses=False,
    ),
    Scenario(
        "what the program says",
        "info, warning, ephemeral, of a resource; an error that is only logged",
        (
            Step(
                "says",
                program="""
                a = Thing("a")
                pulumi.log.info("looking")
                pulumi.log.warn("beware", resource=a)
                pulumi.log.info("passing", ephemeral=True)
                print("printed")
                """,
            ),
            Step("error", program='pulumi.log.error("wrong")'),
        ),
        last_crosses=False,
    ),
    Scenario(
        "Ctrl-C in a create",
        "SIGINT: the provider is told, nothing new begins; then on",
        (
            Step("cancelled", program=CHAIN, config=SLOW, meanwhile=Meanwhile("create b", signal.SIGINT)),
            Step("goes on", config={}),
        ),
    ),
    Scenario(
        "Ctrl-C in a hook",
        "SIGINT while a gate waits",
        (
            Step(
                "cancelled",
                program=HOOK
                + dedent("""
                Thing("a")
                Thing("b", opts=O(hooks=Hooks(before_create=[hook("gate")])))
                """),
                config={"seconds": "3"},
                meanwhile=Meanwhile("gate with no id new_inputs b", signal.SIGINT),
            ),
            Step("goes on", config={}),
        ),
        explained={"cancelled/events/diagnostics/1/2": "its gRPC library has other words for a connection that broke"},
    ),
    killed(
        "killed in a create", "in a create", (), "create b", (Step("goes on", config={}),), program=CHAIN, config=SLOW
    ),
    killed(
        "killed in an update",
        "in an update",
        (Step("create", program='Thing("a", seconds=config.get_float("slow") or 0)', config={}),),
        "update a",
        (Step("goes on", config={}),),
        config=SLOW,
    ),
    killed(
        "killed in a delete",
        "in a delete",
        (
            Step(
                "create",
                program="""
                (Path(os.environ["TOY_DIR"]) / "slow-deletes").touch()
                Thing("a")
                """,
            ),
        ),
        "delete a",
        (Step("goes on"),),
        program="",
    ),
    killed(
        "killed in a gate",
        "in a hook before an update",
        (Step("create", program=ALL_HOOKS, config=HOOKED),),
        "before_update with thing-a-1 new_inputs old_inputs old_outputs a",
        (Step("goes on", config={"size": "2"}),),
        config={"size": "2", "seconds": "30"},
    ),
    killed(
        "killed in a guard",
        "in a hook before a delete, then a refresh",
        (Step("create", program=ALL_HOOKS, config=HOOKED),),
        "before_delete with thing-a-1 old_inputs old_outputs a",
        (Step("refresh", REFRESH), Step("destroy", (*DESTROY, "--run-program"), config={"size": "1", "gone": "true"})),
        config={"size": "2", "seconds": "30", "gone": "true"},
    ),
    killed(
        "killed in a create, then refreshed",
        "in a create, then a refresh that clears what is pending",
        (),
        "create b",
        (
            Step("refresh", REFRESH),
            Step("refresh that clears", (*REFRESH, "--clear-pending-creates")),
            Step("goes on", config={}),
        ),
        program=CHAIN,
        config=SLOW,
    ),
    Scenario(
        "refresh with drift",
        "a thing that has changed, one that is gone; then up",
        (
            Step("create", program='a = Thing("a", size=1); Thing("b", a=a.arn); Thing("c")'),
            Step("preview", ("refresh", "--preview-only"), drift={"thing-a-1": {"size": 7}, "thing-b-1": None}),
            Step("refresh", REFRESH),
            Step("preview of up", PREVIEW),
            Step("up"),
            Step("refresh again", REFRESH),
        ),
        also_crosses=("refresh", "up"),
    ),
    Scenario(
        "refresh with the program",
        "PULUMI_RUN_PROGRAM is set, as destroys need it",
        (
            Step("create", program='Thing("a", size=1)'),
            Step("refresh", REFRESH, drift={"thing-a-1": {"size": 7}}),
            Step("up"),
        ),
        explained=dict.fromkeys(
            ("refresh/events/steps/*", "refresh/state/resources/a/propertyDependencies"),
            "its refresh runs no program: event log and empty property dependencies are those of a refresh without one",
        ),
        environment={"PULUMI_RUN_PROGRAM": "true"},
    ),
    Scenario(
        "options of a resource",
        "custom_timeouts, retain_on_delete, deleted_with, and .get() of one that is not the stack's",
        (
            Step("one to read", program='Thing("a")'),
            Step(
                "create",
                program="""
                a = Thing("a")
                Thing("kept", opts=O(retain_on_delete=True, custom_timeouts=pulumi.CustomTimeouts(create="1h30m")))
                b = Thing("b")
                Thing("with", b=b.arn, opts=O(deleted_with=b))
                Thing("read", opts=O(id="thing-a-1"))
                """,
            ),
            Step("read again"),
            Step("delete", program='a = Thing("a")'),
        ),
    ),
    Scenario(
        "two at once",
        "the second finds the stack locked and changes nothing",
        (
            Step("create", program=CHAIN, config={"slow": "6"}, meanwhile=Meanwhile("create b", command=UP)),
            Step("no change", config={"slow": "6"}),
        ),
    ),
    Scenario(
        "wrong command lines",
        "exit codes and errors: not confirmed, no such stack, no such output, no such flag",
        (
            Step("not confirmed", ("up",), program='pulumi.export("a", 1)'),
            Step("no such stack", ("stack", "output", "--stack", "nowhere")),
            Step("no such output", ("stack", "output", "nothing")),
            Step("no such flag", ("up", "--yes", "--frobnicate")),
            Step("plan of what is not there", ("destroy", "--yes", "--stack", "nowhere")),
        ),
        last_crosses=False,
    ),
    Scenario(
        "export and import",
        "the state out, all deleted, and the state in again",
        (
            Step("create", program='a = Thing("a", password=pulumi.Output.secret("x")); Thing("b", a=a.arn)'),
            Step("export", EXPORT),
            Step("delete", program=""),
            Step("import", ("stack", "import"), stdin="export"),
            Step("no change", program='a = Thing("a", password=pulumi.Output.secret("x")); Thing("b", a=a.arn)'),
        ),
    ),
    Scenario(
        "targeted up",
        "`up --target`",
        (
            Step("create", program='Thing("a"); Thing("b")'),
            Step("target", (*UP, "--target", "urn:pulumi:dev::demo::toy:index:Thing::a")),
        ),
        refused="the flag --target of `pulumi up`",
    ),
    Scenario(
        "import of a resource",
        "`pulumi import`",
        (
            Step("create", program='Thing("a")'),
            Step("import", ("import", "toy:index:Thing", "b", "thing-a-1", "--yes")),
        ),
        refused="the command `pulumi import`",
    ),
    Scenario(
        "the option import_",
        "taking over what exists: what is not there, what is otherwise, what is as wanted; then again",
        (
            Step("create", program='Thing("a", size=1, opts=O(retain_on_delete=True))'),
            Step("leave", program=""),
            Step("not there", program='Thing("a", size=1, opts=O(import_="thing-x-1"))'),
            Step("as wanted", program='Thing("a", size=1, opts=O(import_="thing-a-1", retain_on_delete=True))'),
            Step("no change"),
            Step("leave again", program=""),
            Step("otherwise, in a preview", PREVIEW, program='Thing("a", size=2, opts=O(import_="thing-a-1"))'),
            Step("otherwise"),
            Step("destroy", DESTROY),
        ),
        also_crosses=("no change",),
    ),
    refused(
        "the option hide_diffs", "changes that are not shown", 'hide_diffs=["size"]', "the resource option hide_diffs"
    ),
    Scenario(
        "replacements in a chain",
        "the old one first, and before it what is replaced with it",
        (
            Step(
                "create",
                program="""
                a = Thing("a", address=config.require("address"))
                Thing("b", zone=a.arn)
                """,
                config={"address": "x"},
            ),
            Step("replace", config={"address": "y"}),
        ),
    ),
    refused("transforms", "options rewritten", "transforms=[lambda args: None]", "transforms"),
]
