"""The toy provider's SDK, for the programs of the tests."""

import json
import os
import time
from pathlib import Path

import pulumi


class Thing(pulumi.CustomResource):
    arn: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(self, resource_name, opts=None, **inputs):
        opts = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version="1.0.0"), opts)
        super().__init__("toy:index:Thing", resource_name, {"arn": None, "name": None, **inputs}, opts)


class Provider(pulumi.ProviderResource):
    def __init__(self, resource_name, opts=None, **inputs):
        super().__init__("toy", resource_name, inputs, opts)


class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("toy:index:Group", name, None, opts)


def echo(**arguments):
    return pulumi.runtime.invoke("toy:index:echo", arguments, pulumi.InvokeOptions(version="1.0.0")).value["echo"]


def note(call, name):
    """Let a hook stand among the provider's calls."""
    with (Path(os.environ["TOY_DIR"]) / "calls").open("a") as file:
        file.write(json.dumps({"call": call, "name": name, "at": time.time()}) + "\n")
