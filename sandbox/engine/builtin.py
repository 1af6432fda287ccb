"""The engine's own provider, `pulumi`: a stack's last outputs, as a StackReference or by a function."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.engine.errors import Refused
from sandbox.engine.plugins import CheckFailure, ProviderError
from sandbox.engine.properties import Properties, has_secrets

STACK_REFERENCE = "pulumi:pulumi:StackReference"
READ_OUTPUTS = "pulumi:pulumi:readStackOutputs"


class Builtin:
    """Answers reads as a provider process would; makes nothing."""

    supports_preview = True

    def __init__(self, outputs_of: Callable[[str], Properties]) -> None:
        self._outputs_of = outputs_of

    def read(self, urn: str, id: str, inputs: Properties, state: Properties) -> tuple[str, Properties, Properties]:
        kind = urn.split("::")[2].rpartition("$")[2]
        if kind != STACK_REFERENCE:
            raise Refused(f"the built-in resource {kind}")
        name = inputs.get("name") or id
        if not isinstance(name, str):
            raise ProviderError("a stack reference needs a name that is known")
        return id, {"name": name}, self._found(name)

    def check(self, urn: str, olds: Properties, news: Properties) -> tuple[Properties, list[CheckFailure]]:
        raise Refused(f"the built-in resource {urn.split('::')[2]}")

    def invoke(self, token: str, arguments: Properties, preview: bool) -> tuple[Properties, list[CheckFailure]]:
        name = arguments.get("name")
        if token != READ_OUTPUTS or not isinstance(name, str):
            raise Refused(f"the built-in function {token}")
        return self._found(name), []

    def _found(self, name: str) -> Properties:
        outputs = self._outputs_of(name)
        secret_names = sorted(key for key, value in outputs.items() if has_secrets(value))
        return {"name": name, "outputs": outputs, "secretOutputNames": secret_names}
