"""The keys of a stack's Consul cluster: made once, kept in SSM as SecureStrings, read by whom `model.consul` says.

Nothing of them is on this machine's disk, in a state or in an image. What is deleted is made again: that is how a key
is rotated (docs/consul.md).
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from bluegreen.aws.session import Session, in_our_words
from bluegreen.errors import BluegreenError
from bluegreen.model.consul import KEYS, SERVICE, path_of
from bluegreen.model.tags import Owner

AUTHORITY_LASTS = timedelta(days=3650)
CERTIFICATE_LASTS = timedelta(days=730)
RENEWED_BEFORE = timedelta(days=90)


@in_our_words
def make_keys(session: Session, owner: Owner, datacenter: str, now: datetime | None = None) -> list[str]:
    """Make what is not there, and another certificate for the servers where theirs ends soon. Returns the names.

    Raises BluegreenError where the authority's key is gone or the package `cryptography` is not there, AwsError.
    """
    ssm, path = session.client("ssm"), path_of(owner)
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path, Recursive=True, WithDecryption=True)
    there = {each["Name"].removeprefix(f"{path}/"): each["Value"] for page in pages for each in page["Parameters"]}
    made = new_keys(there, datacenter, now or datetime.now(UTC))
    owned = replace(owner, service=SERVICE).tags
    tags = [{"Key": key, "Value": value} for key, value in owned.items()]
    for name, value in made.items():
        # SSM takes no tags together with Overwrite.
        how: dict[str, Any] = {"Overwrite": True} if name in there else {"Tags": tags}
        ssm.put_parameter(Name=f"{path}/{name}", Value=value, Type="SecureString", **how)
    return sorted(made)


def new_keys(there: Mapping[str, str], datacenter: str, now: datetime) -> dict[str, str]:
    """Values of the keys to make. `there`: what there is, by name."""
    made: dict[str, str] = {}
    for name in KEYS:
        if name in there:
            continue
        if name.endswith("token"):
            made[name] = str(uuid.uuid4())
        elif name == "agent/gossip-key":
            made[name] = base64.b64encode(secrets.token_bytes(32)).decode()
    if "agent/ca" not in there:
        made["agent/ca"], made["operator/ca-key"] = _authority(now)
    elif "operator/ca-key" not in there:
        raise BluegreenError(
            "Consul's certificate authority is there, and its key is not (operator/ca-key)",
            "Delete the parameter agent/ca too, to have another authority: docs/consul.md, Rotation.",
        )
    known = {**there, **made}
    has_certificate = "agent/ca" in there and {"server/certificate", "server/key"} <= there.keys()
    if not has_certificate or _ends_soon(there["server/certificate"], now):
        certificate, key = _certificate(known["agent/ca"], known["operator/ca-key"], datacenter, now)
        made["server/certificate"], made["server/key"] = certificate, key
    return made


def _authority(now: datetime) -> tuple[str, str]:
    x509, ec, hashes, _ = _library()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Consul CA")])
    usage = {each: each in ("key_cert_sign", "crl_sign") for each in _USAGES}
    certificate = (
        _builder(x509, name, name, key.public_key(), now, AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate), _key_pem(key)


def _certificate(authority: str, authority_key: str, datacenter: str, now: datetime) -> tuple[str, str]:
    """Of the servers, all of them alike: Consul goes by the name server.DATACENTER.consul."""
    x509, ec, hashes, serialization = _library()
    issuer = x509.load_pem_x509_certificate(authority.encode())
    signer = serialization.load_pem_private_key(authority_key.encode(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    server = f"server.{datacenter}.consul"
    names = [x509.DNSName(server), x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    usage = {each: each == "digital_signature" for each in _USAGES}
    both = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(
            x509,
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, server)]),
            issuer.subject,
            key.public_key(),
            now,
            CERTIFICATE_LASTS,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return _pem(certificate), _key_pem(key)


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _builder(x509: Any, subject: Any, issuer: Any, public: Any, now: datetime, lasts: timedelta) -> Any:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks differ
        .not_valid_after(now + lasts)
    )


def _ends_soon(certificate: str, now: datetime) -> bool:
    x509, *_ = _library()
    ends: datetime = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    return ends < now + RENEWED_BEFORE


def _pem(certificate: Any) -> str:
    *_, serialization = _library()
    return str(certificate.public_bytes(serialization.Encoding.PEM).decode())


def _key_pem(key: Any) -> str:
    *_, serialization = _library()
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode()


def _library() -> tuple[Any, Any, Any, Any]:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise BluegreenError(
            "the setting `consul` needs keys, and the package cryptography is not installed",
            "`pip install 'bluegreen[consul]'`.",
        ) from error
    return x509, ec, hashes, serialization
