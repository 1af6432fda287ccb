"""The alarm for a certificate that comes to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

DAY_SECONDS = 86400


def alarm_on_certificate(
    name: str,
    certificate: pulumi.Input[str],
    *,
    days: int,
    actions: Sequence[str] = (),
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.cloudwatch.MetricAlarm:
    """Goes off when a certificate of ACM (its ARN) has no more than so many days left."""
    return aws.cloudwatch.MetricAlarm(
        f"{name}-certificate",
        alarm_description="Days until the certificate ends; one of ACM's own should have been renewed by then",
        comparison_operator="LessThanOrEqualToThreshold",
        threshold=days,
        evaluation_periods=1,
        # ACM says it twice a day, and no more once the certificate has ended: the alarm then stays on.
        treat_missing_data="ignore",
        namespace="AWS/CertificateManager",
        metric_name="DaysToExpiry",
        dimensions={"CertificateArn": certificate},
        statistic="Minimum",
        period=DAY_SECONDS,
        alarm_actions=list(actions) or None,
        ok_actions=list(actions) or None,
        tags={**tags, "Name": f"{name}-certificate"},
        opts=opts,
    )
