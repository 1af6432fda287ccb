"""How a listener with HTTPS or TLS speaks TLS: its policy's versions and ciphers, and the certificate for a host.

Sources: "Security policies" and "SSL certificates" (SNI) of the Application Load Balancers guide; what is in a policy,
moto knows.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from moto.elbv2.ssl_policies import SSL_POLICIES

from bluegreen.errors import BluegreenError
from sandbox.cloud.routing import Certificate, Tls

_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class Unusable(BluegreenError):
    """A certificate that no listener can have."""


def context(settings: Tls) -> ssl.SSLContext:
    """For a server. It presents the certificate whose names the client asks for, else the first.

    Raises Unusable.
    """
    default, *others = [(_names(it), _context(it, settings)) for it in settings.certificates]
    by_name = {name: made for names, made in (*others, default) for name in names}

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        host = (name or "").lower()
        found = by_name.get(host) or by_name.get("*." + host.partition(".")[2])
        if found:
            connection.context = found

    default[1].sni_callback = choose
    return default[1]


def _context(certificate: Certificate, settings: Tls) -> ssl.SSLContext:
    policy = SSL_POLICIES[settings.policy]
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    versions = sorted(_VERSIONS[name] for name in policy["ssl_protocols"])
    made.minimum_version, made.maximum_version = versions[0], versions[-1]
    if ciphers := [name for name in policy["ciphers"] if not name.startswith("TLS_")]:
        made.set_ciphers(":".join(ciphers))
    if settings.protocols:
        made.set_alpn_protocols(list(settings.protocols))
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # the only way in, for the key too
        Path(file.name).chmod(0o600)
        file.write(f"{certificate.key}\n{certificate.chain}\n")
        file.flush()
        try:
            made.load_cert_chain(file.name)
        except ssl.SSLError as fault:
            raise Unusable(f"the certificate {certificate.arn} can't be used: {fault.reason or fault}") from fault
    return made


def _names(certificate: Certificate) -> list[str]:
    found = x509.load_pem_x509_certificate(certificate.chain.encode())
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        attributes = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return [str(it.value).lower() for it in attributes]
    return [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]
