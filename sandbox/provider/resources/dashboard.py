"""CloudWatch dashboards."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from sandbox.provider.aws import Aws, absent, doing
from sandbox.provider.table import ResourceType, output, text
from sandbox.provider.wire import Props

_GONE: Final = ("ResourceNotFound",)


def _is_same(old: Any, new: Any) -> bool:
    """Order and blanks mean nothing."""
    try:
        return bool(json.loads(old or "null") == json.loads(new or "null"))
    except (TypeError, ValueError):
        return False


def _is_no_json(name: str, value: str) -> str | None:
    try:
        json.loads(value)
    except ValueError as error:
        return f'"{name}" contains an invalid JSON: {error}'
    return None


def _put(aws: Aws, news: Props) -> str:
    name = str(news["dashboardName"])
    with doing(aws.cloudwatch, f"putting CloudWatch Dashboard ({name})"):
        aws.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=news["dashboardBody"])
    return name


def _read(aws: Aws, name: str, known: Props) -> Props | None:
    with doing(aws.cloudwatch, f"reading CloudWatch Dashboard ({name})"), absent(*_GONE):
        found = aws.cloudwatch.get_dashboard(DashboardName=name)
        body, said = found["DashboardBody"], known.get("dashboardBody")
        return {
            "dashboardArn": found["DashboardArn"],
            "dashboardName": name,
            "dashboardBody": said if said and _is_same(said, body) else body,
        }
    return None


def _update(aws: Aws, name: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    if changed:
        _put(aws, news)


def _delete(aws: Aws, name: str, olds: Props) -> None:
    with doing(aws.cloudwatch, f"deleting CloudWatch Dashboard ({name})"), absent(*_GONE):
        aws.cloudwatch.delete_dashboards(DashboardNames=[name])


DASHBOARD = ResourceType(
    token="aws:cloudwatch/dashboard:Dashboard",
    properties={
        "dashboardName": text(
            required=True,
            replaces=True,
            pattern=re.compile(r"[\w-]{1,255}", re.ASCII),
            pattern_reason="must be 1 to 255 letters, digits, - and _",
        ),
        "dashboardBody": text(required=True, refuses=_is_no_json, suppresses=_is_same),
        "dashboardArn": output(),
    },
    create=_put,
    read=_read,
    update=_update,
    delete=_delete,
)
