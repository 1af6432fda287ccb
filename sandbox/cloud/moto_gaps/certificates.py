"""Certificates of listeners.

The caller holds `Cloud.lock`. Source of the rules: CreateListener, ModifyListener and DeleteCertificate in AWS's API
references.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from moto.acm.models import AWSCertificateManagerBackend
from moto.core.exceptions import JsonRESTError
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeListener, elbv2_backends
from moto.elbv2.ssl_policies import SSL_POLICIES

from sandbox.cloud import balancers, tls
from sandbox.cloud.moto_gaps.gap import Gap, replace
from sandbox.cloud.routing import Tls

if TYPE_CHECKING:
    from sandbox.cloud.cloud import Cloud

GAPS = (
    Gap("unissued-certificates", "lets a listener have a certificate that is not issued"),
    Gap("certificates-in-use", "deletes a certificate that a listener uses"),
)
_POLICY = "ELBSecurityPolicy-2016-08"  # of a listener made without one


def fill(_cloud: Cloud) -> None:
    _listeners()
    _deletion()


def _listeners() -> None:
    """moto looks for a certificate, but not at it; where a listener changes, it mixes the default with the others."""
    create, modify = ELBv2Backend.create_listener, ELBv2Backend.modify_listener
    add, remove = ELBv2Backend.add_listener_certificates, ELBv2Backend.remove_listener_certificates

    @replace(ELBv2Backend, "create_listener")
    def create_listener(
        self: ELBv2Backend, load_balancer_arn: str, protocol: str, port: str, **more: Any
    ) -> FakeListener:
        if protocol in balancers.SECURE:
            _check(self, more["ssl_policy"], [more["certificate"]] if more.get("certificate") else [])
        else:
            more["ssl_policy"] = None
        return create(self, load_balancer_arn, protocol, port, **more)

    @replace(ELBv2Backend, "modify_listener")
    def modify_listener(
        self: ELBv2Backend,
        arn: str,
        port: str | None = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: list[dict[str, Any]] | None = None,
        actions: list[dict[str, Any]] | None = None,
    ) -> FakeListener:
        (listener,) = self.describe_listeners(None, [arn])
        if (protocol or listener.protocol) not in balancers.SECURE:
            changed: FakeListener = modify(self, arn, port, protocol, None, [], actions)
            changed.ssl_policy = None  # type: ignore[assignment]  # moto too takes it for absent
            changed.certificate, changed.certificates = None, []
            return changed
        given = [it["CertificateArn"] for it in certificates or []]
        wanted = list(dict.fromkeys([*given, *listener.certificates[1 if given else 0 :]]))
        policy = ssl_policy or listener.ssl_policy or _POLICY
        _check(self, policy, wanted)
        return modify(self, arn, port, protocol, policy, [{"CertificateArn": it} for it in wanted], actions)

    @replace(ELBv2Backend, "add_listener_certificates")
    def add_listener_certificates(self: ELBv2Backend, arn: str, certificates: list[dict[str, Any]]) -> list[str]:
        (listener,) = self.describe_listeners(None, [arn])
        new = [it["CertificateArn"] for it in certificates]
        _check(self, listener.ssl_policy, new)
        add(self, arn, [{"CertificateArn": it} for it in new if it not in listener.certificates])
        return new

    @replace(ELBv2Backend, "remove_listener_certificates")
    def remove_listener_certificates(self: ELBv2Backend, arn: str, certificates: list[dict[str, Any]]) -> None:
        (listener,) = self.describe_listeners(None, [arn])
        if any(it["CertificateArn"] == listener.certificate for it in certificates):
            raise ELBClientError("OperationNotPermitted", "Default certificate cannot be removed")
        remove(self, arn, certificates)


def _check(backend: ELBv2Backend, policy: str, arns: list[str]) -> None:
    if not arns:
        raise ELBClientError("ValidationError", "A certificate must be specified for HTTPS listeners")
    if policy not in SSL_POLICIES:
        raise ELBClientError("SSLPolicyNotFound", f"SSL policy '{policy}' not found")
    for arn in arns:
        home = {"region": backend.region_name, "account": backend.account_id}
        found = balancers.certificate(arn, **home)
        if found is None:
            raise ELBClientError("CertificateNotFound", f"Certificate '{arn}' not found")
        bundle = balancers.in_acm(arn, **home)
        try:
            is_usable = bundle is None or bundle.status == "ISSUED"
            tls.context(Tls(policy, (found,)))
        except tls.Unusable:
            is_usable = False
        if not is_usable:
            raise ELBClientError(
                "UnsupportedCertificate",
                f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a "
                "supported key size.",
            )


def _deletion() -> None:
    """moto deletes a certificate that is in use."""
    delete = AWSCertificateManagerBackend.delete_certificate

    @replace(AWSCertificateManagerBackend, "delete_certificate")
    def delete_certificate(self: AWSCertificateManagerBackend, arn: str) -> None:
        if arn in _in_use():
            raise JsonRESTError(
                "ResourceInUseException",
                f"Certificate {arn} in account {self.account_id} is in use.",
            )
        delete(self, arn)


def _in_use() -> Iterator[str]:
    for account in elbv2_backends.values():
        for backend in account.values():
            for balancer in backend.load_balancers.values():
                for listener in balancer.listeners.values():
                    yield from listener.certificates
