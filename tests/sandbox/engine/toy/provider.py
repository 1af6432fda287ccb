"""A provider small enough to read: `toy:index:Thing`, kept as files in TOY_DIR, every call appended to TOY_DIR/calls.

What a thing is to do wrong stands in its inputs: `fail` names the call that fails (`create`, `init`, `update`,
`delete`), `seconds` is how long a create or update takes. `zone` replaces, and so does `address`, which no two things
can have at once: the old one is deleted first. Ids and names count what was made, so that two engines make the same.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from google.protobuf import any_pb2, empty_pb2, json_format, struct_pb2

sys.path.insert(0, str(Path(__file__).parents[4]))
from sandbox.provider.protocol import enter_without_sdk

enter_without_sdk()

from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2  # noqa: E402

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
HOME = Path(os.environ["TOY_DIR"])
LOCK = threading.Lock()


def plain(struct):
    return json_format.MessageToDict(struct)


def struct(values):
    message = struct_pb2.Struct()
    message.update(values)
    return message


def log(call, request, **more):
    with LOCK, (HOME / "calls").open("a") as file:
        file.write(
            json.dumps({"call": call, "name": request.urn.rpartition("::")[2], "at": time.time(), **more}) + "\n"
        )


def made_before(name):
    """How many things of this name the provider has made."""
    with LOCK:
        lines = (HOME / "calls").read_text().splitlines() if (HOME / "calls").exists() else []
    return sum(entry["call"] == "created" and entry["name"] == name for entry in map(json.loads, lines))


class Toy(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self):
        self.cancelled = threading.Event()

    def Handshake(self, request, context):
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False)

    def CheckConfig(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        changed = plain(request.old_inputs) != plain(request.news)
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_SOME if changed else 1)

    def Configure(self, request, context):
        log("configure", request, args=plain(request.args))
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.0.0")

    def Check(self, request, context):
        news, olds = plain(request.news), plain(request.olds)
        name = request.urn.rpartition("::")[2]
        news.setdefault("name", olds.get("name") or f"{name}-{made_before(name) + 1}")
        failures = []
        if news.get("size") == -1:
            failures.append(provider_pb2.CheckFailure(property="size", reason="must not be negative"))
        if not request.randomSeed:
            failures.append(provider_pb2.CheckFailure(reason="the engine gave no random seed"))
        return provider_pb2.CheckResponse(inputs=struct(news), failures=failures)

    def Diff(self, request, context):
        olds, news = plain(request.old_inputs), plain(request.news)
        changed = sorted(key for key in {*olds, *news} if olds.get(key) != news.get(key))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=[key for key in changed if key in ("zone", "address")],
            deleteBeforeReplace="address" in changed,
            hasDetailedDiff=True,
            detailedDiff={key: provider_pb2.PropertyDiff(kind="UPDATE", inputDiff=True) for key in changed},
        )

    def _pause(self, inputs, context):
        if self.cancelled.wait(float(inputs.get("seconds", 0))):
            context.abort(grpc.StatusCode.CANCELLED, "the provider was cancelled")

    def Create(self, request, context):
        inputs = plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=struct({**inputs, "arn": UNKNOWN}))
        log("create", request)
        self._pause(inputs, context)
        if inputs.get("fail") == "create":
            context.abort(grpc.StatusCode.UNKNOWN, "there is no room for it")
        name = request.urn.rpartition("::")[2]
        id = f"thing-{name}-{made_before(name) + 1}"
        outputs = {**inputs, "arn": f"arn:toy:{id}", "id": id}
        (HOME / id).write_text(json.dumps(outputs))
        log("created", request)
        if inputs.get("fail") == "init":
            failed = provider_pb2.ErrorResourceInitFailed(
                id=id, properties=struct(outputs), reasons=["it never became ready"]
            )
            detail = any_pb2.Any()
            detail.Pack(failed, type_url_prefix="type.googleapis.com")
            status = status_pb2.Status(code=2, message="it never became ready", details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, "it never became ready")
        return provider_pb2.CreateResponse(id=id, properties=struct(outputs))

    def Update(self, request, context):
        news = plain(request.news)
        if not request.preview:
            log("update", request)
            self._pause(news, context)
            if news.get("fail") == "update":
                context.abort(grpc.StatusCode.UNKNOWN, "it can't be changed now")
        outputs = {**news, "arn": f"arn:toy:{request.id}", "id": request.id}
        if not request.preview:
            (HOME / request.id).write_text(json.dumps(outputs))
            log("updated", request)
        return provider_pb2.UpdateResponse(properties=struct(outputs))

    def Delete(self, request, context):
        inputs = plain(request.old_inputs)
        log("delete", request)
        if (HOME / "slow-deletes").exists():
            (HOME / "slow-deletes").unlink()  # once
            self._pause({"seconds": 30}, context)
        if inputs.get("fail") == "delete":
            context.abort(grpc.StatusCode.UNKNOWN, "it is still in use")
        (HOME / request.id).unlink(missing_ok=True)
        log("deleted", request)
        return empty_pb2.Empty()

    def Read(self, request, context):
        path = HOME / request.id
        if not path.exists():
            return provider_pb2.ReadResponse()
        live = json.loads(path.read_text())
        inputs = {key: value for key, value in live.items() if key not in ("arn", "id")}
        return provider_pb2.ReadResponse(id=request.id, properties=struct(live), inputs=struct(inputs))

    def Invoke(self, request, context):
        arguments = plain(request.args)
        if arguments.get("fail"):
            context.abort(grpc.StatusCode.UNKNOWN, "no answer to that")
        return provider_pb2.InvokeResponse(**{"return": struct({"echo": arguments.get("text", "")})})

    def Cancel(self, request, context):
        self.cancelled.set()
        return empty_pb2.Empty()


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(max_workers=32))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Toy(), server)
    engine = os.getppid()
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while os.getppid() == engine:  # a killed engine says no goodbye
        server.wait_for_termination(timeout=0.5)
    os._exit(1)  # calls under way would be waited for
