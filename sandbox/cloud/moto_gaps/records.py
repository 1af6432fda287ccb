"""Records of Route 53's hosted zones.

The caller holds `Cloud.lock`. Source: ChangeResourceRecordSets in the Route 53 API Reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.route53.exceptions import ResourceRecordAlreadyExists
from moto.route53.models import FakeZone, Route53Backend

from sandbox.cloud.moto_gaps.gap import Gap, replace

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("second-records", "creates a record of a name and type that another record has"),
    Gap(
        "records-that-return",
        "takes a record that was deleted and comes back for one that is there, if others follow",
    ),
)


def fill(_cloud: Cloud) -> None:
    change = Route53Backend.change_resource_record_sets

    @replace(Route53Backend, "change_resource_record_sets")
    def change_resource_record_sets(self: Route53Backend, zoneid: str, changes: list[dict[str, Any]]) -> None:
        zone = self.get_hosted_zone(zoneid)
        for each in changes:
            if each["Action"] != "CREATE":
                continue
            wanted = each["ResourceRecordSet"]
            if _has(zone, wanted):
                raise ResourceRecordAlreadyExists(name=wanted["Name"], _type=wanted["Type"])
            while each in zone.rr_changes:
                zone.rr_changes.remove(each)
        change(self, zoneid, changes)


def _has(zone: FakeZone, wanted: dict[str, Any]) -> bool:
    name, kind = wanted["Name"].rstrip("."), wanted["Type"]
    return any((record.name.rstrip("."), record.type) == (name, kind) for record in zone.rrsets)
