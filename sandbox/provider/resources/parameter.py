"""Parameters of Systems Manager's Parameter Store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.provider.aws import Aws, absent, as_pairs, doing, first, without_none
from sandbox.provider.table import (
    TAGS,
    Kind,
    ResourceType,
    boolean,
    names,
    output,
    text,
)
from sandbox.provider.wire import Props

_GONE: Final = "ParameterNotFound"


def _put(aws: Aws, news: Props, overwrite: bool, **more: Any) -> None:
    aws.ssm.put_parameter(
        Name=news["name"],
        Type=news["type"],
        Value=news["insecureValue"],
        Overwrite=overwrite,
        **without_none(
            AllowedPattern=news.get("allowedPattern"),
            DataType=news.get("dataType"),
            Description=news.get("description"),
            Tier=news.get("tier"),
        ),
        **more,
    )


def _create(aws: Aws, news: Props) -> str:
    """Unless told to overwrite, a parameter that is there already is an error."""
    name, overwrite = str(news["name"]), bool(news.get("overwrite"))
    tags = as_pairs(news.get("tags", {}))
    with doing(aws.ssm, f"creating SSM Parameter ({name})"):
        # SSM takes no tags together with Overwrite; `settle` sets them then.
        _put(aws, news, overwrite, **({"Tags": tags} if tags and not overwrite else {}))
    return name


def _settle(aws: Aws, name: str, news: Props) -> None:
    if news.get("overwrite") and news.get("tags"):
        _retag(aws, name, news["tags"], [])


def _read(aws: Aws, name: str, known: Props) -> Props | None:
    with doing(aws.ssm, f"reading SSM Parameter ({name})"), absent(_GONE):
        found = aws.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
        only_this = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        described = first(aws.ssm.describe_parameters(ParameterFilters=only_this)["Parameters"])
        if described is None:
            return None
        tags = as_pairs(known.get("tags", {}))
        if not aws.has_just_written:
            tags = aws.ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        return {
            "arn": found["ARN"],
            "name": name,
            "type": found["Type"],
            "insecureValue": found["Value"],
            "version": found["Version"],
            "allowedPattern": described.get("AllowedPattern"),
            "dataType": described.get("DataType", "text"),
            "description": described.get("Description"),
            "tier": described.get("Tier", "Standard"),
            **aws.tag_state(tags),
        }
    return None


def _update(aws: Aws, name: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed - {"overwrite", "tags"}:
        with doing(aws.ssm, f"updating SSM Parameter ({name})"):
            removed: Props = {name: "" for name in ("allowedPattern", "description") if name in changed}
            _put(aws, {**removed, **news}, news.get("overwrite", True))


def _delete(aws: Aws, name: str, olds: Props) -> None:
    with doing(aws.ssm, f"deleting SSM Parameter ({name})"), absent(_GONE):
        aws.ssm.delete_parameter(Name=name)


def _retag(aws: Aws, name: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.ssm, f"updating tags of SSM Parameter ({name})"):
        if removed:
            aws.ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=name, TagKeys=removed)
        if tags:
            aws.ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=as_pairs(tags))


_DESCRIBING: Final = {
    "pattern": re.compile(r"(?s).{0,1024}"),
    "pattern_reason": "must have at most 1024 characters",
}

PARAMETER = ResourceType(
    token="aws:ssm/parameter:Parameter",
    properties={
        "name": text(
            computed=True,
            replaces=True,
            pattern=re.compile(r"(?!/?(?:aws|ssm))/?[\w.-]+(?:/[\w.-]+)*", re.ASCII | re.IGNORECASE),
            pattern_reason="should be letters, digits and . - _, in a path with a / before each part, and not begin "
            "with aws or ssm",
        ),
        "type": text(required=True, choices=("String", "StringList", "SecureString"), only=("String", "StringList")),
        "insecureValue": text(required=True),  # the sandbox has no other value
        "allowedPattern": text(**_DESCRIBING),
        "dataType": text(
            computed=True, replaces=True, choices=("text", "aws:ec2:image", "aws:ssm:integration"), only=("text",)
        ),
        "description": text(**_DESCRIBING),
        "overwrite": boolean(),
        "tier": text(computed=True, choices=("Standard", "Advanced", "Intelligent-Tiering"), only=("Standard",)),
        "arn": output(),
        "version": output(Kind.INTEGER),
        **TAGS,
    },
    refused=names("arn keyId value valueWo valueWoVersion"),
    name_limit=255,
    create=_create,
    settle=_settle,
    read=_read,
    update=_update,
    delete=_delete,
    retag=_retag,
    recomputes=lambda changed, news: changed & {"description"} and frozenset({"version"}),
)
