"""Every resource type that the provider has, by token; a module each, with its table and its AWS calls."""

from __future__ import annotations

from typing import Final

from sandbox.provider.resources import (
    auto_scaling_group,
    certificate,
    egress_gateway,
    eip,
    flow_log,
    iam_role,
    instance,
    internet_gateway,
    launch_template,
    listener,
    listener_certificate,
    listener_rule,
    load_balancer,
    log_group,
    metric_alarm,
    nat_gateway,
    parameter,
    record,
    route,
    scaling_policy,
    security_group,
    subnet,
    target_group,
    vpc,
    vpc_endpoint,
    web_acl_association,
)
from sandbox.provider.table import ResourceType

TYPES: Final[dict[str, ResourceType]] = {
    kind.token: kind
    for kind in (
        vpc.VPC,
        subnet.SUBNET,
        internet_gateway.INTERNET_GATEWAY,
        egress_gateway.EGRESS_ONLY_GATEWAY,
        eip.EIP,
        nat_gateway.NAT_GATEWAY,
        route.ROUTE_TABLE,
        route.ROUTE,
        route.ROUTE_TABLE_ASSOCIATION,
        vpc_endpoint.VPC_ENDPOINT,
        flow_log.FLOW_LOG,
        instance.INSTANCE,
        log_group.LOG_GROUP,
        iam_role.ROLE,
        iam_role.ROLE_POLICY,
        security_group.SECURITY_GROUP,
        security_group.DEFAULT_GROUP,
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
        metric_alarm.METRIC_ALARM,
        parameter.PARAMETER,
        certificate.CERTIFICATE,
        certificate.VALIDATION,
        record.RECORD,
        web_acl_association.ASSOCIATION,
    )
}
