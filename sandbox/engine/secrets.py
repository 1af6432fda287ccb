"""Passphrase secrets in Pulumi's own format, so that either engine reads what the other wrote.

PBKDF2-SHA256 makes the key, AES-256-GCM encrypts; a ciphertext is `v1:<nonce>:<ciphertext and tag>`, the stack's salt
is `v1:<salt>:<ciphertext of the word "pulumi">`. The key takes a good part of a second, so it is made when needed.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path

from sandbox.engine.errors import EngineError

ITERATIONS = 1_000_000
SALT_BYTES = 8
NONCE_BYTES = 12
PROOF = "pulumi"


def passphrase_of(environment: Mapping[str, str]) -> str:
    if (passphrase := environment.get("PULUMI_CONFIG_PASSPHRASE")) is not None:
        return passphrase
    if path := environment.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return Path(path).read_text().strip()
    raise EngineError(
        "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables"
    )


class Crypter:
    """Encrypts and decrypts for one stack; `salt` is the stack's `encryptionsalt`."""

    def __init__(self, salt: str, environment: Mapping[str, str]) -> None:
        self.salt = salt
        self._environment = environment
        self._ciphertexts: dict[str, str] = {}

    @classmethod
    def new(cls, environment: Mapping[str, str]) -> Crypter:
        """A crypter with a fresh salt."""
        raw = base64.b64encode(os.urandom(SALT_BYTES)).decode()
        unproven = cls(f"v1:{raw}:", environment)
        key = _derive(passphrase_of(environment), unproven._raw_salt)
        made = cls(f"v1:{raw}:{_encrypt(key, PROOF)}", environment)
        made.__dict__["_key"] = key
        return made

    @property
    def _raw_salt(self) -> bytes:
        return base64.b64decode(self.salt.split(":", 2)[1])

    @cached_property
    def _key(self) -> bytes:
        key = _derive(passphrase_of(self._environment), self._raw_salt)
        if _decrypt(key, self.salt.split(":", 2)[2]) != PROOF:
            raise EngineError("incorrect passphrase")
        return key

    def encrypt(self, plaintext: str) -> str:
        """The ciphertext; the known one for a known plaintext, so that an unchanged secret leaves no difference."""
        if plaintext not in self._ciphertexts:
            self._ciphertexts[plaintext] = _encrypt(self._key, plaintext)
        return self._ciphertexts[plaintext]

    def decrypt(self, ciphertext: str) -> str:
        plaintext = _decrypt(self._key, ciphertext)
        self._ciphertexts.setdefault(plaintext, ciphertext)
        return plaintext


@cache
def _derive(passphrase: str, salt: bytes) -> bytes:
    import hashlib

    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ITERATIONS)


def _encrypt(key: bytes, plaintext: str) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, plaintext.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def _decrypt(key: bytes, ciphertext: str) -> str:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        version, nonce, sealed = ciphertext.split(":")
        if version != "v1":
            raise EngineError(f"a secret has the unknown format {version!r}; this engine reads v1")
        return AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(sealed), None).decode()
    except (InvalidTag, ValueError) as error:
        raise EngineError("incorrect passphrase") from error
