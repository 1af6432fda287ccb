"""Names in DNS that lead to a load balancer."""

from __future__ import annotations

from collections.abc import Iterable

import pulumi
import pulumi_aws as aws


def lead_to(
    address: pulumi.Input[str],
    address_zone: pulumi.Input[str],
    names: Iterable[str],
    *,
    name: str,
    zone: str,
    is_dualstack: bool,
    opts: pulumi.ResourceOptions,
) -> None:
    """Alias records in a hosted zone (id); of IPv6 too where the load balancer has such addresses.

    `address`: the load balancer's own name, of which Route 53 knows by `address_zone`.
    """
    kinds = {"A": "", "AAAA": "-ipv6"} if is_dualstack else {"A": ""}
    for each in names:
        for kind, suffix in kinds.items():
            aws.route53.Record(
                f"{name}-{each}{suffix}",
                zone_id=zone,
                name=each,
                type=kind,
                aliases=[
                    {
                        "name": address,
                        "zone_id": address_zone,
                        # There is nothing to fail over to.
                        "evaluate_target_health": False,
                    }
                ],
                opts=opts,
            )
