"""Records of Route 53's hosted zones: plain ones, and aliases of what AWS has a name for."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, OperationFailed, absent, doing, first
from sandbox.provider.table import (
    ResourceType,
    blocks,
    boolean,
    exactly_one_of,
    integer,
    names,
    output,
    text,
    text_set,
)
from sandbox.provider.wire import Props

_NO_ZONE: Final = "NoSuchHostedZone"
_TYPES: Final = ("SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS")
_NEWER_TYPES: Final = ("TLSA", "SSHFP", "SVCB", "HTTPS")


def _is_same_name(old: Any, new: Any) -> bool:
    return str(old or "").rstrip(".").lower() == str(new or "").rstrip(".").lower()


def _name(record: Props, zone: str) -> str:
    """Whole, within the zone's own: a program may leave that out."""
    name, zone = record["name"].rstrip(".").lower(), zone.rstrip(".").lower()
    if not name:
        return zone
    return name if name == zone or name.endswith(f".{zone}") else f"{name}.{zone}"


def _record_set(record: Props, zone: str) -> dict[str, Any]:
    made: dict[str, Any] = {"Name": _name(record, zone), "Type": record["type"]}
    if records := record.get("records"):
        made |= {"TTL": record["ttl"], "ResourceRecords": [{"Value": value} for value in records]}
    if alias := first(record.get("aliases") or []):
        made["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    return made


def _zone_name(aws: Aws, zone: str) -> str:
    with doing(aws.route53, f"reading Route 53 Hosted Zone ({zone})"):
        return str(aws.route53.get_hosted_zone(Id=zone)["HostedZone"]["Name"])


def _change(aws: Aws, zone: str, what: str, *changes: tuple[str, dict[str, Any]]) -> None:
    batch = {
        "Comment": "Managed by Terraform",
        "Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes],
    }
    with doing(aws.route53, what):
        change = aws.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]
        state = lambda: str(aws.route53.get_change(Id=change["Id"])["ChangeInfo"]["Status"])  # noqa: E731
        aws.wait(f"{what}: synchronize", "INSYNC", state, timeout=aws.timeout(30 * MINUTE))


def _create(aws: Aws, news: Props) -> str:
    zone = news["zoneId"]
    wanted = _record_set(news, _zone_name(aws, zone))
    action = "UPSERT" if news.get("allowOverwrite") else "CREATE"
    _change(aws, zone, "creating Route53 Record", (action, wanted))
    return f"{zone}_{news['name'].rstrip('.').lower()}_{news['type']}"


def _find(aws: Aws, known: Props) -> dict[str, Any] | None:
    zone = known["zoneId"]
    with doing(aws.route53, f"reading Route 53 Record ({known['name']})"), absent(_NO_ZONE):
        name = _name(known, str(aws.route53.get_hosted_zone(Id=zone)["HostedZone"]["Name"]))
        page = aws.route53.list_resource_record_sets(
            HostedZoneId=zone, StartRecordName=name, StartRecordType=known["type"], MaxItems="1"
        )
        found: list[dict[str, Any]] = page["ResourceRecordSets"]
        return next(
            (each for each in found if _is_same_name(each["Name"], name) and each["Type"] == known["type"]), None
        )
    return None


def _read(aws: Aws, identifier: str, known: Props) -> Props | None:
    found = _find(aws, known)
    if found is None:
        return None
    alias = found.get("AliasTarget")
    return {
        "name": known["name"],
        "type": found["Type"],
        "zoneId": known["zoneId"],
        "fqdn": found["Name"].rstrip("."),
        "ttl": found.get("TTL"),
        "records": [each["Value"] for each in found.get("ResourceRecords", [])] or None,
        "aliases": [
            {
                "name": alias["DNSName"].rstrip(".").lower(),
                "zoneId": alias["HostedZoneId"],
                "evaluateTargetHealth": alias["EvaluateTargetHealth"],
            }
        ]
        if alias
        else None,
    }


def _update(aws: Aws, identifier: str, olds: Props, news: Props, changed: frozenset[str]) -> None:
    zone = _zone_name(aws, news["zoneId"])
    changes = [("UPSERT", _record_set(news, zone))]
    if "type" in changed:
        changes = [("DELETE", _record_set(olds, zone)), ("CREATE", _record_set(news, zone))]
    _change(aws, news["zoneId"], f"updating Route 53 Record ({identifier})", *changes)


def _delete(aws: Aws, identifier: str, olds: Props) -> None:
    found = _find(aws, olds)
    if found is not None:
        _change(aws, olds["zoneId"], f"deleting Route 53 Record ({identifier})", ("DELETE", found))


def _locate(aws: Aws, given: str) -> tuple[str, Props]:
    zone, _, rest = given.partition("_")
    name, _, kind = rest.rpartition("_")
    if not name or kind not in (*_TYPES, *_NEWER_TYPES):
        raise OperationFailed(f'unexpected format of ID ("{given}"), expected ZONEID_RECORDNAME_TYPE')
    return given, {"zoneId": zone, "name": name, "type": kind}


def _has_ttl(inputs: Props) -> tuple[str, str] | None:
    """Terraform's RequiredWith, and what Route 53 says of records without one."""
    if "ttl" in inputs and "records" not in inputs:
        return "ttl", 'Missing required argument. "ttl": all of `records,ttl` must be specified'
    if "records" in inputs and "ttl" not in inputs:
        return "records", "ttl is needed with records"
    return None


RECORD = ResourceType(
    token="aws:route53/record:Record",
    properties={
        "name": text(required=True, replaces=True, suppresses=_is_same_name),
        "type": text(required=True, choices=(*_TYPES, *_NEWER_TYPES)),
        "zoneId": text(required=True, replaces=True),
        "aliases": blocks(
            {
                "evaluateTargetHealth": boolean(required=True),
                "name": text(required=True, suppresses=_is_same_name),
                "zoneId": text(required=True),
            },
            conflicts_with=("ttl",),
        ),
        "allowOverwrite": boolean(computed=True),
        "records": text_set(),
        "ttl": integer(conflicts_with=("aliases",)),
        "fqdn": output(),
    },
    refused=names(
        "cidrRoutingPolicy failoverRoutingPolicies geolocationRoutingPolicies geoproximityRoutingPolicy healthCheckId "
        "latencyRoutingPolicies multivalueAnswerRoutingPolicy setIdentifier weightedRoutingPolicies"
    ),
    rules=(exactly_one_of("aliases", "records"), _has_ttl),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    locate=_locate,
)
