"""A quick way to Pulumi's protocol stubs.

They ship inside the `pulumi` package, whose own import takes longer than everything else that this plugin does before
it is ready.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType


def enter_without_sdk() -> None:
    """Let the packages around the stubs be bare namespaces, so that importing a stub imports nothing else.

    Only for a process that never uses the SDK itself: for it, `pulumi` would be empty.
    """
    spec = find_spec("pulumi")  # finds it without importing it
    if "pulumi" in sys.modules or spec is None or not spec.submodule_search_locations:
        return
    root = spec.submodule_search_locations[0]
    for name in ("pulumi", "pulumi.runtime", "pulumi.runtime.proto"):
        package = ModuleType(name)
        package.__path__ = [root + name.removeprefix("pulumi").replace(".", "/")]
        sys.modules[name] = package
