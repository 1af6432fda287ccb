"""The rules of listeners: which requests go elsewhere than the default action says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, absent, doing
from sandbox.provider.resources.elbv2 import find, retag, tag_arguments, tags_of
from sandbox.provider.resources.listener_action import ACTIONS, complete, from_actions, to_actions
from sandbox.provider.table import (
    TAGS,
    Property,
    ResourceType,
    arn,
    block,
    blocks,
    integer,
    names,
    output,
    text,
    text_set,
)
from sandbox.provider.wire import UNKNOWN, Props

_GONE: Final = "RuleNotFound"
_HIGHEST_PRIORITY: Final = 50_000

# condition -> (its field in AWS, where that has its values)
_FIELDS: Final = {
    "hostHeader": ("host-header", "HostHeaderConfig"),
    "httpHeader": ("http-header", "HttpHeaderConfig"),
    "httpRequestMethod": ("http-request-method", "HttpRequestMethodConfig"),
    "pathPattern": ("path-pattern", "PathPatternConfig"),
    "queryStrings": ("query-string", "QueryStringConfig"),
    "sourceIp": ("source-ip", "SourceIpConfig"),
}
_WORDS: Final = "host_header, http_header, http_request_method, path_pattern, query_string or source_ip"


def _to_condition(condition: Props) -> dict[str, Any]:
    (name,) = condition.keys() & _FIELDS.keys()
    given = condition[name]
    field, config = _FIELDS[name]
    if name == "queryStrings":
        pairs = [{"Value": it["value"], **({"Key": it["key"]} if it.get("key") else {})} for it in given]
        return {"Field": field, config: {"Values": pairs}}
    asked: dict[str, Any] = {"Values": given.get("values", [])}
    if name == "httpHeader":
        asked["HttpHeaderName"] = given["httpHeaderName"]
    return {"Field": field, config: asked}


def _from_condition(condition: Mapping[str, Any]) -> Props:
    name, config = next((name, key) for name, (field, key) in _FIELDS.items() if field == condition["Field"])
    known = condition.get(config) or {"Values": condition.get("Values", [])}
    if name == "queryStrings":
        pairs = [{"key": it.get("Key"), "value": it["Value"]} for it in known["Values"]]
        return {name: [{key: value for key, value in pair.items() if value} for pair in pairs]}
    header = {"httpHeaderName": known["HttpHeaderName"]} if name == "httpHeader" else {}
    return {name: {**header, "values": known["Values"]}}


def _create_rule(aws: Aws, news: Props) -> str:
    def create() -> Any:
        return aws.elbv2.create_rule(
            ListenerArn=news["listenerArn"],
            Priority=news.get("priority") or _highest_priority(aws, news["listenerArn"]) + 1,
            Conditions=[_to_condition(condition) for condition in news["conditions"]],
            Actions=to_actions(news["actions"]),
            **tag_arguments(news),
        )

    # A priority that the provider has chosen may be taken by another one in the meantime.
    codes = () if news.get("priority") else ("PriorityInUse",)
    with doing(aws.elbv2, "creating ELBv2 Listener Rule"):
        made = aws.retry("ELBv2 Listener Rule create", codes, create, timeout=aws.timeout(5 * MINUTE))
    return str(made["Rules"][0]["RuleArn"])


def _highest_priority(aws: Aws, listener: str) -> int:
    pages = aws.elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener)
    priorities = [rule["Priority"] for page in pages for rule in page["Rules"]]
    return max((int(priority) for priority in priorities if priority != "default"), default=0)


def _read_rule(aws: Aws, identifier: str, known: Props) -> Props | None:
    with doing(aws.elbv2, f"reading ELBv2 Listener Rule ({identifier})"):
        found = find(aws.elbv2.describe_rules, _GONE, RuleArns=[identifier])
        if found is None:
            return None
        tags = tags_of(aws, identifier, known)
    return {
        "arn": identifier,
        "listenerArn": identifier.replace(":listener-rule/", ":listener/").rpartition("/")[0],
        "priority": int(found["Priority"]),
        "actions": from_actions(found["Actions"], known.get("actions", [])),
        "conditions": [_from_condition(condition) for condition in found["Conditions"]],
        **tags,
    }


def _update_rule(aws: Aws, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if "priority" in changed:
        with doing(aws.elbv2, f"updating ELB v2 Listener Rule ({identifier}): setting priority"):
            aws.elbv2.set_rule_priorities(RulePriorities=[{"RuleArn": identifier, "Priority": news["priority"]}])
    asked: dict[str, Any] = {}
    if "actions" in changed:
        asked["Actions"] = to_actions(news["actions"])
    if "conditions" in changed:
        asked["Conditions"] = [_to_condition(condition) for condition in news["conditions"]]
    if asked:
        with doing(aws.elbv2, "modifying LB Listener Rule"):
            aws.elbv2.modify_rule(RuleArn=identifier, **asked)


def _delete_rule(aws: Aws, identifier: str, olds: Props) -> None:
    with doing(aws.elbv2, f"deleting ELBv2 Listener Rule ({identifier})"), absent(_GONE, "ListenerNotFound"):
        aws.elbv2.delete_rule(RuleArn=identifier)


def _priority_is_one(inputs: Props) -> tuple[str, str] | None:
    priority = inputs.get("priority", UNKNOWN)
    if priority is UNKNOWN or 1 <= priority <= _HIGHEST_PRIORITY:
        return None
    return "priority", '"priority" must be in the range 1-50000 for normal rule or 99999 for the default rule'


def _conditions_say_one_thing(inputs: Props) -> tuple[str, str] | None:
    for index, condition in enumerate(inputs["conditions"] if isinstance(inputs["conditions"], list) else []):
        count = len(condition.keys() & _FIELDS.keys())
        if count != 1:
            words = f"Only one of {_WORDS} can" if count else f"One of {_WORDS} must"
            return f"conditions[{index}]", f"{words} be set in a condition block"
    return None


def _values(**settings: Property) -> Property:
    return block({**settings, "values": text_set()}, refused="regexValues")


RULE = ResourceType(
    token="aws:lb/listenerRule:ListenerRule",
    properties={
        "listenerArn": arn(required=True, replaces=True),
        "priority": integer(computed=True),
        "actions": ACTIONS,
        "conditions": blocks(
            {
                "hostHeader": _values(),
                "httpHeader": _values(httpHeaderName=text(required=True)),
                "httpRequestMethod": block({"values": text_set(required=True)}),
                "pathPattern": _values(),
                "queryStrings": blocks({"key": text(), "value": text(required=True)}, ordered=False),
                "sourceIp": block({"values": text_set(required=True)}, refused="ipAddressType"),
            },
            ordered=False,
            required=True,
        ),
        "arn": output(),
        **TAGS,
    },
    refused=names("transforms"),
    rules=(_priority_is_one, _conditions_say_one_thing, complete("actions")),
    create=_create_rule,
    read=_read_rule,
    update=_update_rule,
    delete=_delete_rule,
    retag=retag,
)
