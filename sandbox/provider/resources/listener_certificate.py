"""Certificates that a listener has beside its default one, for clients that name another host."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ClientError

from sandbox.provider.aws import MINUTE, Aws, absent, code_of, doing
from sandbox.provider.table import ResourceType, arn
from sandbox.provider.wire import Props

_GONE: Final = ("ListenerNotFound", "CertificateNotFound")


def _create(aws: Aws, news: Props) -> str:
    identifier = f"{news['listenerArn']}_{news['certificateArn']}"
    certificates = [{"CertificateArn": news["certificateArn"]}]

    def add() -> None:
        aws.elbv2.add_listener_certificates(ListenerArn=news["listenerArn"], Certificates=certificates)

    what = f"ELBv2 Listener Certificate ({identifier})"
    with doing(aws.elbv2, f"creating {what}"):
        # One that IAM has only just got may not be known everywhere yet.
        aws.retry(f"{what} create", ("CertificateNotFound",), add, timeout=aws.timeout(2 * MINUTE))
    return identifier


def _read(aws: Aws, identifier: str, known: Props) -> Props | None:
    listener, _, certificate = identifier.partition("_")
    with doing(aws.elbv2, f"reading ELBv2 Listener Certificate ({identifier})"):
        try:
            found = aws.elbv2.describe_listener_certificates(ListenerArn=listener, PageSize=400)["Certificates"]
        except ClientError as error:
            if code_of(error) == "ListenerNotFound":
                return None
            raise
    if not any(it["CertificateArn"] == certificate and not it.get("IsDefault") for it in found):
        return None
    return {"listenerArn": listener, "certificateArn": certificate}


def _delete(aws: Aws, identifier: str, olds: Props) -> None:
    listener, _, certificate = identifier.partition("_")
    with doing(aws.elbv2, f"deleting ELBv2 Listener Certificate ({identifier})"), absent(*_GONE):
        aws.elbv2.remove_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": certificate}])


CERTIFICATE = ResourceType(
    token="aws:lb/listenerCertificate:ListenerCertificate",
    properties={
        "listenerArn": arn(required=True, replaces=True),
        "certificateArn": arn(required=True, replaces=True),
    },
    create=_create,
    read=_read,
    delete=_delete,
)
