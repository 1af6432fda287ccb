"""What a listener does with a request: the actions that listeners and their rules have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import without_none
from sandbox.provider.table import Property, Rule, arn, block, blocks, boolean, integer, text
from sandbox.provider.wire import Props

_FIXED_RESPONSE: Final = {"contentType": "ContentType", "messageBody": "MessageBody", "statusCode": "StatusCode"}
_REDIRECT: Final = {
    "host": "Host",
    "path": "Path",
    "port": "Port",
    "protocol": "Protocol",
    "query": "Query",
    "statusCode": "StatusCode",
}

ACTIONS: Final[Property] = blocks(
    {
        "type": text(
            required=True,
            choices=(
                "forward",
                "authenticate-oidc",
                "authenticate-cognito",
                "redirect",
                "fixed-response",
                "jwt-validation",
            ),
            only=("forward", "redirect", "fixed-response"),
        ),
        "order": integer(computed=True, at_least=1, at_most=50000),
        "targetGroupArn": arn(),
        "forward": block(
            {
                "targetGroups": blocks(
                    {"arn": arn(required=True), "weight": integer(default=1, at_least=0, at_most=999)},
                    ordered=False,
                    required=True,
                ),
                "stickiness": block(
                    {
                        "duration": integer(required=True, at_least=1, at_most=604800),
                        "enabled": boolean(default=False),
                    },
                    computed=True,
                ),
            }
        ),
        "fixedResponse": block(
            {
                "contentType": text(
                    required=True,
                    choices=("text/plain", "text/css", "text/html", "application/javascript", "application/json"),
                ),
                "messageBody": text(),
                "statusCode": text(
                    computed=True, pattern=re.compile(r"[245]\d\d"), pattern_reason="must be 2XX, 4XX or 5XX"
                ),
            }
        ),
        "redirect": block(
            {
                "host": text(default="#{host}"),
                "path": text(default="/#{path}"),
                "port": text(default="#{port}"),
                "protocol": text(default="#{protocol}", choices=("#{protocol}", "HTTP", "HTTPS")),
                "query": text(default="#{query}"),
                "statusCode": text(required=True, choices=("HTTP_301", "HTTP_302")),
            }
        ),
    },
    refused="authenticateCognito authenticateOidc jwtValidation",
    required=True,
)

_NEEDED: Final = {
    "forward": ("targetGroupArn", "forward"),
    "redirect": ("redirect",),
    "fixed-response": ("fixedResponse",),
}


def complete(name: str) -> Rule:
    """A check of the actions in this property: each has what its type needs."""

    def rule(inputs: Props) -> tuple[str, str] | None:
        for index, action in enumerate(inputs[name] if isinstance(inputs[name], list) else []):
            needed = _NEEDED.get(action.get("type"), ())
            if needed and not any(member in action for member in needed):
                paths = [f'"{name}[{index}].{member}"' for member in needed]
                subject = f"Either {' or '.join(paths)}" if len(paths) > 1 else f"Attribute {paths[0]}"
                reason = f'{subject} must be specified when "{name}[{index}].type" is "{action["type"]}".'
                return f"{name}[{index}]", f"Invalid Attribute Combination. {reason}"
        return None

    return rule


def to_actions(actions: list[Props]) -> list[dict[str, Any]]:
    """In AWS's form."""
    return [_to_action(action) for action in actions]


def from_actions(actions: list[Mapping[str, Any]], known: list[Props]) -> list[Props]:
    """AWS answers with both forms of a forward; the state keeps the form that the program used, as in `known`."""
    ordered = sorted(actions, key=lambda action: action.get("Order", 1))
    return [_from_action(action, known[index] if index < len(known) else {}) for index, action in enumerate(ordered)]


def _to_action(action: Props) -> dict[str, Any]:
    asked = without_none(Type=action["type"], Order=action.get("order"))
    if "targetGroupArn" in action:
        asked["TargetGroupArn"] = action["targetGroupArn"]
    if forward := action.get("forward"):
        groups = [{"TargetGroupArn": group["arn"], "Weight": group["weight"]} for group in forward["targetGroups"]]
        asked["ForwardConfig"] = {"TargetGroups": groups}
        if stickiness := forward.get("stickiness"):
            asked["ForwardConfig"]["TargetGroupStickinessConfig"] = {
                "Enabled": stickiness["enabled"],
                "DurationSeconds": stickiness["duration"],
            }
    if fixed := action.get("fixedResponse"):
        asked["FixedResponseConfig"] = without_none(
            ContentType=fixed["contentType"],
            MessageBody=fixed.get("messageBody"),
            StatusCode=fixed.get("statusCode", "200"),
        )
    if redirect := action.get("redirect"):
        asked["RedirectConfig"] = {key: redirect[name] for name, key in _REDIRECT.items()}
    return asked


def _from_action(action: Mapping[str, Any], known: Props) -> Props:
    state: Props = {"type": action["Type"], "order": action.get("Order", 1)}
    if fixed := action.get("FixedResponseConfig"):
        state["fixedResponse"] = {name: fixed[key] for name, key in _FIXED_RESPONSE.items() if fixed.get(key)}
    if redirect := action.get("RedirectConfig"):
        state["redirect"] = {name: redirect.get(key) or "" for name, key in _REDIRECT.items()}
    if action["Type"] != "forward":
        return state
    config = action.get("ForwardConfig", {})
    only = {"TargetGroupArn": action.get("TargetGroupArn"), "Weight": 1}
    groups = config.get("TargetGroups") or [only]
    if "forward" not in known and len(groups) == 1:
        state["targetGroupArn"] = groups[0]["TargetGroupArn"]
        return state
    state["forward"] = {
        "targetGroups": [{"arn": group["TargetGroupArn"], "weight": group.get("Weight", 1)} for group in groups]
    }
    stickiness = config.get("TargetGroupStickinessConfig") or {}
    if stickiness.get("DurationSeconds") or "stickiness" in known.get("forward", {}):
        state["forward"]["stickiness"] = {
            "enabled": stickiness.get("Enabled", False),
            "duration": stickiness.get("DurationSeconds", 0),
        }
    return state
