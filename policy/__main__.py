"""The policies of `bluegreen.model.policies` as a Pulumi policy pack: `pulumi preview --policy-pack policy`.

A stack is exempt from those that its setting `policyExemptions` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from bluegreen.model.policies import POLICIES, Policy, Resource
from bluegreen.model.settings import NAMESPACE


class _Unknown:
    """In place of a value that a preview does not know."""


def _plain(value: Any) -> Any:
    """A property without the SDK's wrapping, which raises on what is not known."""
    if isinstance(value, Mapping):
        return _known({key: _at(value, key) for key in value})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [each for each in (_at(value, index) for index in range(len(value))) if each is not _Unknown]
    return value


def _at(owner: Any, key: Any) -> Any:
    try:
        return _plain(owner[key])
    except UnknownValueError:
        return _Unknown


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not _Unknown}


def _resource(type_: str, name: str, properties: Mapping[str, Any]) -> Resource:
    values = {key: _at(properties, key) for key in properties}
    unknown = frozenset(key for key, value in values.items() if value is _Unknown)
    return Resource(type=type_, name=name, properties=_known(values), unknown=unknown)


def _among_all(found: PolicyResource) -> Resource:
    others = [other for others in found.property_dependencies.values() for other in others]
    return replace(
        _resource(found.resource_type, found.name, found.props),
        depends_on=frozenset((other.resource_type, other.name) for other in others),
    )


def _is_exempt(policy: Policy) -> bool:
    return policy.id in (pulumi.Config(NAMESPACE).get_object("policyExemptions") or {})


def _validation(policy: Policy) -> StackValidationPolicy | ResourceValidationPolicy:
    return _of_stack(policy) if policy.needs_all else _of_each(policy)


def _of_each(policy: Policy) -> ResourceValidationPolicy:
    """The engine hands over what the program says of a resource, before it has the provider make or change that."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if _is_exempt(policy):
            return
        for each in policy.violations([_resource(args.resource_type, args.name, args.props)]):
            report(each.message)

    return ResourceValidationPolicy(name=policy.id, description=policy.title, validate=validate)


def _of_stack(policy: Policy) -> StackValidationPolicy:
    """The engine hands over all resources as they are in the state, with what the provider has added."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        if _is_exempt(policy):
            return
        urns = {(each.resource_type, each.name): each.urn for each in args.resources}
        for each in policy.violations([_among_all(each) for each in args.resources]):
            report(each.message, urns[each.resource.key])

    return StackValidationPolicy(name=policy.id, description=policy.title, validate=validate)


PolicyPack("bluegreen", [_validation(each) for each in POLICIES], EnforcementLevel.MANDATORY)
