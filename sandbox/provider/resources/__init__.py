"""Every resource type that the provider has, by token; a module each, with its table and its AWS calls."""

from __future__ import annotations

from typing import Final

from sandbox.provider.resources import (
    auto_scaling_group,
    dashboard,
    eip,
    iam_role,
    instance_profile,
    internet_gateway,
    launch_template,
    listener,
    listener_certificate,
    listener_rule,
    load_balancer,
    metric_alarm,
    nat_gateway,
    parameter,
    route,
    scaling_policy,
    schedule,
    security_group,
    subnet,
    target_group,
    vpc,
)
from sandbox.provider.table import ResourceType

TYPES: Final[dict[str, ResourceType]] = {
    kind.token: kind
    for kind in (
        vpc.VPC,
        subnet.SUBNET,
        internet_gateway.INTERNET_GATEWAY,
        eip.EIP,
        nat_gateway.NAT_GATEWAY,
        route.ROUTE_TABLE,
        route.ROUTE,
        route.ROUTE_TABLE_ASSOCIATION,
        security_group.SECURITY_GROUP,
        security_group.INGRESS_RULE,
        security_group.EGRESS_RULE,
        load_balancer.LOAD_BALANCER,
        target_group.TARGET_GROUP,
        listener.LISTENER,
        listener_rule.RULE,
        listener_certificate.CERTIFICATE,
        launch_template.LAUNCH_TEMPLATE,
        auto_scaling_group.GROUP,
        scaling_policy.POLICY,
        schedule.SCHEDULE,
        metric_alarm.METRIC_ALARM,
        dashboard.DASHBOARD,
        iam_role.ROLE,
        iam_role.ROLE_POLICY,
        instance_profile.INSTANCE_PROFILE,
        parameter.PARAMETER,
    )
}
