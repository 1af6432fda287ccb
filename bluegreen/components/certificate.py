"""A certificate of ACM's own, issued once a record in the domain's zone has shown whose the domain is."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

RECORD_SECONDS = 300
"""How long the record may be remembered: it stays the same for as long as the certificate is renewed by it."""
ISSUED_WITHIN = "20m"
"""A zone to which the domain's parent does not lead would be waited for in vain."""


def issue(
    name: str, domain: str, zone: str, tags: Mapping[str, str], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The ARN, known once it is issued. `zone`: the id of the hosted zone that the record goes into."""
    certificate = aws.acm.Certificate(name, domain_name=domain, validation_method="DNS", tags=tags, opts=opts)
    option = certificate.domain_validation_options[0]
    record = aws.route53.Record(
        f"{name}-certificate",
        zone_id=zone,
        name=option.resource_record_name,
        type=option.resource_record_type,
        records=[option.resource_record_value],
        ttl=RECORD_SECONDS,
        # It is the same for all certificates that an account has for a domain.
        allow_overwrite=True,
        opts=opts,
    )
    within = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create=ISSUED_WITHIN))
    validation = aws.acm.CertificateValidation(
        name,
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
        opts=pulumi.ResourceOptions.merge(opts, within),
    )
    return validation.certificate_arn
