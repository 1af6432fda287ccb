"""The tables against the SDK: nothing that a program can say is overlooked."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

from sandbox.provider.resources import TYPES
from sandbox.provider.table import Kind, Property, ResourceType

# Arguments that the servicer takes for every type that has them.
_GENERIC = {"region"}
# Of what the sandbox hasn't got: Outposts, reverse DNS, NAT gateways of a region, routes to instances, secrets.
_ABSENT: Mapping[str, set[str]] = {
    "aws:ec2/instance:Instance": {"instanceLifecycle", "outpostArn", "passwordData", "spotInstanceRequestId"},
    "aws:ec2/networkInterface:NetworkInterface": {"outpostArn"},
    "aws:ec2/eip:Eip": {"carrierIp", "customerOwnedIp", "privateDns", "ptrRecord"},
    "aws:ec2/natGateway:NatGateway": {
        "autoProvisionZones",
        "autoScalingIps",
        "regionalNatGatewayAddresses",
        "regionalNatGatewayAutoMode",
        "routeTableId",
    },
    "aws:ec2/route:Route": {"instanceId", "instanceOwnerId"},
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": {"namePrefix"},
    "aws:ssm/parameter:Parameter": {"hasValueWo"},
    "aws:s3/bucket:Bucket": {"websiteDomain", "websiteEndpoint"},
}


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda match: match[1].upper(), name.rstrip("_"))  # and_: a keyword of Python


def _arguments(owner: Any) -> dict[str, str]:
    parameters = list(inspect.signature(owner.__init__).parameters.values())[1:]
    return {_camel(parameter.name): str(parameter.annotation) for parameter in parameters}


def _module(kind: ResourceType) -> tuple[ModuleType, str]:
    package, _, rest = kind.token.removeprefix("aws:").partition("/")
    return importlib.import_module(f"pulumi_aws.{package}"), rest.partition(":")[2]


def _own_module(kind: ResourceType) -> ModuleType:
    module, name = _module(kind)
    snake = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
    return importlib.import_module(f"{module.__name__}.{snake}")


def _args(kind: ResourceType) -> Any:
    """What the resource takes; the SDK calls it otherwise where a block of another resource has its name."""
    module, name = _own_module(kind), _module(kind)[1]
    return getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args")


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.token)
def test_every_argument_of_the_sdk_is_supported_or_refused_by_name(kind: ResourceType) -> None:
    module, _ = _module(kind)
    offered = _arguments(_args(kind))
    _compare(module, offered, kind.inputs, kind.refused | (_GENERIC & set(offered)), kind.token)


def _compare(
    module: ModuleType, offered: Mapping[str, str], table: Mapping[str, Property], refused: frozenset[str], path: str
) -> None:
    assert set(offered) == set(table) | (refused - _GENERIC) | (_GENERIC & set(offered)), path
    assert not set(table) & refused, path
    for name, spec in table.items():
        block = spec.items if spec.kind in (Kind.LIST, Kind.SET) else spec
        if block is not None and block.kind is Kind.OBJECT:
            nested = re.search(r"'(\w+Args)'", offered[name])
            assert nested, f"{path}.{name} is no block in the SDK"
            arguments = _arguments(getattr(module, nested[1]))
            _compare(module, arguments, block.fields, block.refused, f"{path}.{name}")


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.token)
def test_every_output_of_the_sdk_is_in_the_state_and_no_other(kind: ResourceType) -> None:
    state = getattr(_own_module(kind), f"_{_module(kind)[1]}State")
    known = set(_arguments(state))
    assert set(kind.properties) <= known
    outputs = known - set(_arguments(_args(kind)))
    assert outputs - set(kind.properties) == _ABSENT.get(kind.token, set())


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.token)
def test_a_default_is_a_value_that_the_table_itself_allows(kind: ResourceType) -> None:
    for name, spec in kind.properties.items():
        if spec.default is not None:
            assert not spec.choices or spec.default in spec.choices, name
            assert not spec.only or spec.default in spec.only, name
