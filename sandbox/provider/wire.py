"""Pulumi property values on the wire, to and from plain Python.

Unknown values (outputs that a preview can't know yet) are the one value that Python has no word for: `UNKNOWN`.
Secrets and output values arrive as signed objects only when an engine sends them although this provider asks it not to;
they are unwrapped here, so nothing behind this module meets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, Struct, Value

Props = dict[str, Any]

# These strings are part of Pulumi's wire format (sdk/proto: "unknown" sentinels, "special object" signatures).
_UNKNOWN_TEXTS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
_UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        raise TypeError("an unknown value has no truth: compare it with `is UNKNOWN`")


UNKNOWN: Final = _Unknown()


def decode(struct: Struct) -> Props:
    """Null members are left out: Pulumi treats them as absent."""
    members = ((name, _decode(value)) for name, value in struct.fields.items())
    return {name: value for name, value in members if value is not None}


def _decode(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWN_TEXTS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "struct_value":
            return _decode_object(value.struct_value)
        case _:
            return None


def _decode_object(struct: Struct) -> Any:
    signature = struct.fields.get(_SIGNATURE)
    if signature is None:
        return decode(struct)
    match signature.string_value:
        case text if text == _SECRET:
            return _decode(struct.fields["value"])
        case text if text == _OUTPUT:
            return _decode(struct.fields["value"]) if "value" in struct.fields else UNKNOWN
        case text:
            raise ValueError(
                f"a value of kind {text} (an asset, archive or resource reference) was sent; none is taken here"
            )


def encode(props: Mapping[str, Any]) -> Struct:
    return Struct(fields={name: _encode(value) for name, value in props.items() if value is not None})


def _encode(value: Any) -> Value:
    match value:
        case None:
            return Value(null_value=0)
        case _Unknown():
            return Value(string_value=_UNKNOWN_TEXT)
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case Mapping():
            return Value(struct_value=encode(value))
        case list() | tuple():
            return Value(list_value=ListValue(values=[_encode(item) for item in value]))
        case _:
            raise TypeError(f"{type(value).__name__} has no form in Pulumi's protocol: {value!r}")
