"""Makes the policies of bluegreen/permissions/ from what was recorded: `python -m sandbox.iam.generate`.

What is ours by its tags is allowed by its tags, what is made must be tagged as ours, and the rest is named by its ARN
as closely as names go. Reads that AWS has no resources for are together, the `Describe*` of a service whole: Pulumi's
real provider describes more than the stand-in's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bluegreen.permissions import DIRECTORY
from sandbox.iam import recording, reference
from sandbox.iam.policy import Question
from sandbox.iam.unseen import UNSEEN

_TAGS = ("bluegreen:project", "bluegreen:stack", "bluegreen:service")
_PASSING = (
    "kms:GranteePrincipal",
    "iam:PassedToService",
    "iam:AWSServiceName",
    "ec2:CreateAction",
    "elasticloadbalancing:CreateAction",
)
_KINDS = {"iam:PassedToService": "Pass", "iam:AWSServiceName": "Linked", "kms:GranteePrincipal": "Grant"}
_RECORDS = "route53:ChangeResourceRecordSetsRecordTypes"
_LISTS = ("ec2:CreateAction", "elasticloadbalancing:CreateAction", "iam:AWSServiceName", _RECORDS)
UNCLAIMED = "aws:ResourceTag/bluegreen:project"

Condition = tuple[tuple[str, str, tuple[str, ...]], ...]  # operator, key, values
Key = tuple[str, str, Condition]  # service, kind, condition


def policy_of(questions: Iterable[Question]) -> dict[str, Any]:
    """A policy that allows all of them, with placeholders for the place."""
    questions = list(questions)
    # What has to be allowed without a condition somewhere needs no other statement with one.
    open_to = {(each.action, _pattern(each.resource)) for each in questions if not _condition(each)[1]}
    launched = {(each.action, _pattern(each.resource)) for each in questions if _condition(each)[0] == "Launch"}
    unclaimed = {(each.action, _pattern(each.resource), _new_tags(each)) for each in questions if _is_unclaimed(each)}
    reads: set[str] = set()
    allowed: dict[Key, dict[str, set[str]]] = {}
    values: dict[Key, dict[str, set[str]]] = {}
    for each in questions:
        if _is_of_everything(each):
            reads.add(_read(each.action))
            continue
        kind, condition = _condition(each)
        what = each.action, _pattern(each.resource)
        is_elsewhere = (
            (condition and what in open_to)
            or (kind == "Template" and "ec2:LaunchTemplate" in each.context and what in launched)
            or (kind in ("New", "Tag") and (*what, _new_tags(each)) in unclaimed)
        )
        if is_elsewhere:
            continue
        key = (each.action.partition(":")[0], kind, condition)
        allowed.setdefault(key, {}).setdefault(each.action, set()).add(_pattern(each.resource))
        for name in _LISTS:
            values.setdefault(key, {}).setdefault(name, set()).update(each.context.get(name, ()))
    statements = [_allow("Read", reads, {"*"}, {})] if reads else []
    for key in sorted(allowed):
        for resources, actions in _together(key, allowed[key]):
            statements.append(_allow(_sid(key, statements), actions, resources, _written(key[2], values[key])))
    return {"Version": "2012-10-17", "Statement": statements}


def _new_tags(question: Question) -> Condition:
    return tuple(each for each in _condition(question)[1] if each[1].startswith("aws:RequestTag/"))


def _together(key: Key, allowed: Mapping[str, set[str]]) -> Iterable[tuple[set[str], set[str]]]:
    """Resources, and the actions on them. Where tags tell what is ours, all are in one statement; elsewhere an action
    gets no resource that only another one was seen to need."""
    if key[1] in ("Ours", "New", "Tag"):
        return [(set().union(*allowed.values()), set(allowed))]
    sets = sorted({tuple(sorted(each)) for each in allowed.values()})
    return [(set(one), {action for action in allowed if tuple(sorted(allowed[action])) == one}) for one in sets]


def _is_of_everything(question: Question) -> bool:
    """A read about no resource."""
    known = reference.action(*question.action.split(":", 1))
    assert known is not None, question.action
    is_described = known.name.startswith("Describe") and known.service != "dynamodb"
    return known.is_read and (is_described or question.resource == "*")


def _read(action: str) -> str:
    service, _, name = action.partition(":")
    return f"{service}:Describe*" if name.startswith("Describe") else action


def _condition(question: Question) -> tuple[str, Condition]:
    """What kind of a right it is, and on which condition it is given."""
    context = question.context
    if "${project}/${stack}/${service}" in question.resource:
        return "Named", ()
    tested: list[tuple[str, str, tuple[str, ...]]] = []
    kind = "Named"
    is_ours = any(key.startswith("aws:ResourceTag/bluegreen:") for key in context)
    if "ec2:LaunchTemplate" in context and not is_ours:
        return "Launch", (("ArnLike", "ec2:LaunchTemplate", ("arn:aws:ec2:${region}:${account}:launch-template/*",)),)
    for source, name in (("aws:ResourceTag", "Ours"), ("aws:RequestTag", "New")):
        found = [tag for tag in _TAGS if f"{source}/{tag}" in context]
        if found:
            tested += [("StringEquals", f"{source}/{tag}", context[f"{source}/{tag}"]) for tag in found]
            kind = name
            break
    if _is_unclaimed(question):
        tested.append(("Null", UNCLAIMED, ("true",)))
        kind = "Unclaimed"
    for key in _PASSING:
        if key in context:
            tested.append(("StringEquals", key, () if key in _LISTS else context[key]))
            kind = _KINDS.get(key, "Tag")
    if question.action == "ec2:RunInstances" and kind == "Ours":
        kind = "Template"  # what else is launched is not in its statement: nothing but the template says whose it is
    if _RECORDS in context:
        tested.append(("ForAllValues:StringEquals", _RECORDS, ()))
    return kind, tuple(tested)


def _is_unclaimed(question: Question) -> bool:
    """Something that is there and that nobody has tagged: a VPC's default security group, Packer's own group, an image
    that is not finished, a key of the user's. What another stack's tags are on stays out of reach."""
    known = reference.action(*question.action.split(":", 1))
    is_there = question.action.startswith(("ec2:", "kms:")) and question.resource.endswith(f"/{recording.MADE_UP}")
    is_tagged = any(key.startswith("aws:ResourceTag/") for key in question.context)
    can_be_told = known is not None and known.knows(UNCLAIMED, question.resource)
    is_changed = question.action not in ("ec2:RunInstances", "ec2:CreateSecurityGroup")
    return is_there and not is_tagged and can_be_told and is_changed


def _written(condition: Condition, values: Mapping[str, set[str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for operator, key, wanted in condition:
        among = sorted(values.get(key, ())) if key in _LISTS else list(wanted)
        found.setdefault(operator, {})[key] = among[0] if len(among) == 1 else among
    return found


def _pattern(resource: str) -> str:
    """Up to the first thing that was made up."""
    head, colon, name = resource.rpartition(":")
    name, made_up, _ = name.partition(recording.MADE_UP)
    return f"{head}{colon}{name}*" if made_up else resource


def _sid(key: Key, statements: list[dict[str, Any]]) -> str:
    names = {"elasticloadbalancing": "Elb", "autoscaling": "AutoScaling", "cloudwatch": "CloudWatch"}
    name = names.get(key[0], key[0].capitalize()) + key[1]
    taken = sum(each["Sid"].rstrip("0123456789") == name.rstrip("0123456789") for each in statements)
    return f"{name}{taken + 1}" if taken else name


def _allow(sid: str, actions: set[str], resources: set[str], condition: Mapping[str, Any]) -> dict[str, Any]:
    narrowed = sorted(each for each in resources if not any(_covers(wide, each) for wide in resources - {each}))
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": narrowed,
        **({"Condition": condition} if condition else {}),
    }


def _covers(wide: str, narrow: str) -> bool:
    return wide.endswith("*") and narrow.startswith(wide[:-1])


def write(directory: Path = DIRECTORY) -> None:
    for verb in recording.VERBS:
        policy = policy_of([*recording.read(verb), *UNSEEN[verb]])
        (directory / f"{verb}.json").write_text(json.dumps(policy, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
