"""Certificates that ACM issues once a record in DNS shows whose the domain is, and waiting for that."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sandbox.provider.aws import MINUTE, Aws, OperationFailed, absent, as_pairs, doing
from sandbox.provider.table import (
    TAGS,
    Kind,
    Property,
    ResourceType,
    arn,
    block,
    names,
    output,
    text,
    text_set,
)
from sandbox.provider.wire import Props

_GONE: Final = "ResourceNotFoundException"
_ISSUED: Final = "ISSUED"
_BY_AMAZON: Final = "AMAZON_ISSUED"


def _find(aws: Aws, identifier: str) -> Any:
    with absent(_GONE):
        return aws.acm.describe_certificate(CertificateArn=identifier)["Certificate"]
    return None


def _create(aws: Aws, news: Props) -> str:
    with doing(aws.acm, f"requesting ACM Certificate ({news['domainName']})"):
        made = aws.acm.request_certificate(
            DomainName=news["domainName"],
            IdempotencyToken=f"tf{secrets.token_hex(8)}",
            ValidationMethod=news["validationMethod"],
            **({"Tags": as_pairs(news["tags"])} if news.get("tags") else {}),
        )
    return str(made["CertificateArn"])


def _settle(aws: Aws, identifier: str, news: Props) -> None:
    what = f"ACM Certificate ({identifier}) to be issued"

    def state() -> str:
        options = (_find(aws, identifier) or {}).get("DomainValidationOptions", [])
        return str(bool(options) and all("ResourceRecord" in each for each in options))

    with doing(aws.acm, f"waiting for {what}"):
        aws.wait(what, "True", state, timeout=5 * MINUTE)


def _read(aws: Aws, identifier: str, known: Props) -> Props | None:
    with doing(aws.acm, f"reading ACM Certificate ({identifier})"):
        found = _find(aws, identifier)
        if found is None:
            return None
        tags = as_pairs(known.get("tags", {}))
        if not aws.has_just_written:
            tags = aws.acm.list_tags_for_certificate(CertificateArn=identifier)["Tags"]
    options = [each for each in found.get("DomainValidationOptions", []) if "ResourceRecord" in each]
    return {
        "arn": identifier,
        "domainName": found["DomainName"],
        "domainValidationOptions": [
            {
                "domainName": each["DomainName"],
                "resourceRecordName": each["ResourceRecord"]["Name"],
                "resourceRecordType": each["ResourceRecord"]["Type"],
                "resourceRecordValue": each["ResourceRecord"]["Value"],
            }
            for each in options
        ],
        "notAfter": _time(found.get("NotAfter")),
        "notBefore": _time(found.get("NotBefore")),
        "pendingRenewal": False,
        "renewalEligibility": found.get("RenewalEligibility"),
        "renewalSummaries": [],
        "status": found["Status"],
        "type": found["Type"],
        "validationEmails": [],
        "validationMethod": options[0]["ValidationMethod"] if options else None,
        **aws.tag_state(tags),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _delete(aws: Aws, identifier: str, olds: Props) -> None:
    what = f"ACM Certificate ({identifier})"
    with doing(aws.acm, f"deleting {what}"), absent(_GONE):
        call = lambda: aws.acm.delete_certificate(CertificateArn=identifier)  # noqa: E731
        # What has used it until now may be known to use it for a while.
        aws.retry(f"{what} delete", ("ResourceInUseException",), call, timeout=20 * MINUTE)


def _retag(aws: Aws, identifier: str, tags: Mapping[str, str], removed: list[str]) -> None:
    with doing(aws.acm, f"updating tags of ACM Certificate ({identifier})"):
        if removed:
            aws.acm.remove_tags_from_certificate(CertificateArn=identifier, Tags=[{"Key": key} for key in removed])
        if tags:
            aws.acm.add_tags_to_certificate(CertificateArn=identifier, Tags=as_pairs(tags))


def _outputs(fields: str) -> Property:
    """A list of blocks that AWS alone says."""
    item = block({name: output() for name in fields.split()})
    return Property(kind=Kind.LIST, output=True, computed=True, items=item)


CERTIFICATE = ResourceType(
    token="aws:acm/certificate:Certificate",
    properties={
        "domainName": text(
            required=True, replaces=True, pattern=re.compile(r".*[^.]"), pattern_reason="cannot end with a period"
        ),
        "validationMethod": text(required=True, replaces=True, choices=("EMAIL", "DNS", "HTTP"), only=("DNS",)),
        "arn": output(),
        "domainValidationOptions": _outputs("domainName resourceRecordName resourceRecordType resourceRecordValue"),
        "notAfter": output(),
        "notBefore": output(),
        "pendingRenewal": output(Kind.BOOLEAN),
        "renewalEligibility": output(),
        "renewalSummaries": _outputs("renewalStatus renewalStatusReason updatedAt"),
        "status": output(),
        "type": output(),
        "validationEmails": output(Kind.LIST),
        **TAGS,
    },
    refused=names(
        "certificateAuthorityArn certificateBody certificateChain earlyRenewalDuration keyAlgorithm options privateKey "
        "privateKeyWo privateKeyWoVersion subjectAlternativeNames validationOptions"
    ),
    create=_create,
    settle=_settle,
    read=_read,
    delete=_delete,
    retag=_retag,
)


def _validate(aws: Aws, news: Props) -> str:
    """Nothing is made: this waits until the certificate is issued."""
    identifier = news["certificateArn"]
    with doing(aws.acm, f"reading ACM Certificate ({identifier})"):
        found = aws.acm.describe_certificate(CertificateArn=identifier)["Certificate"]
    if found["Type"] != _BY_AMAZON:
        raise OperationFailed(f"ACM Certificate ({identifier}) has type {found['Type']}, no validation necessary")
    if given := {name.rstrip(".") for name in news.get("validationRecordFqdns", [])}:
        wanted = {each["ResourceRecord"]["Name"].rstrip("."): each for each in found["DomainValidationOptions"]}
        missing = [
            f"missing {each['DomainName']} DNS validation record: {name}"
            for name, each in wanted.items()
            if name not in given
        ]
        if missing:
            raise OperationFailed("\n".join(missing))
    what = f"ACM Certificate ({identifier}) to be issued"
    with doing(aws.acm, f"waiting for {what}"):
        state = lambda: str((_find(aws, identifier) or {"Status": ""})["Status"])  # noqa: E731
        failing = ("FAILED", "REVOKED", "EXPIRED", "INACTIVE", "VALIDATION_TIMED_OUT")
        aws.wait(what, _ISSUED, state, timeout=aws.timeout(75 * MINUTE), failing=failing)
    return str(found.get("IssuedAt") or "0001-01-01 00:00:00 +0000 UTC")


def _read_validation(aws: Aws, identifier: str, known: Props) -> Props | None:
    certificate = known["certificateArn"]
    with doing(aws.acm, f"reading ACM Certificate ({certificate})"):
        found = _find(aws, certificate)
    return {"certificateArn": certificate} if found and found["Status"] == _ISSUED else None


def _no_import(aws: Aws, given: str) -> tuple[str, Props]:
    raise OperationFailed("resource aws_acm_certificate_validation doesn't support import")


VALIDATION = ResourceType(
    token="aws:acm/certificateValidation:CertificateValidation",
    properties={
        "certificateArn": arn(required=True, replaces=True),
        "validationRecordFqdns": text_set(replaces=True),
    },
    create=_validate,
    read=_read_validation,
    delete=lambda aws, identifier, olds: None,
    locate=_no_import,
)
