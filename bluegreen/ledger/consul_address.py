"""Where Consul is and as whom it is asked, by the variables that its own command reads. Pure, but for a token's file.

https://developer.hashicorp.com/consul/commands#environment-variables
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bluegreen.errors import LedgerError

NOT_SUPPORTED = ("CONSUL_HTTP_AUTH", "CONSUL_NAMESPACE", "CONSUL_PARTITION")
"""Of the standard ones: left aside, they would put the ledger somewhere else than is meant."""

DEFAULT_ADDRESS = "127.0.0.1:8500"


@dataclass(frozen=True, kw_only=True)
class ConsulAddress:
    """`verify`: whether the server's certificate is checked, or by which authorities (a file or a directory).
    `certificate`: the client's and its key, as files. `server_name`: whose certificate it should be, if not the
    host's."""

    scheme: str = "http"
    host: str = "127.0.0.1"
    port: int = 8500
    token: str = ""
    verify: bool | str = True
    certificate: tuple[str, str] | None = None
    server_name: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_here(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> ConsulAddress:
        """Raises LedgerError, where a variable is wrong or not supported."""
        for name in NOT_SUPPORTED:
            if environment.get(name):
                raise _refused(name, environment[name], "is not supported")
        scheme, host, port = _target(environment.get("CONSUL_HTTP_ADDR") or DEFAULT_ADDRESS)
        if _flag(environment, "CONSUL_HTTP_SSL", default=False):
            scheme = "https"
        authorities = environment.get("CONSUL_CACERT") or environment.get("CONSUL_CAPATH") or True
        certificate, key = environment.get("CONSUL_CLIENT_CERT", ""), environment.get("CONSUL_CLIENT_KEY", "")
        if bool(certificate) != bool(key):
            raise LedgerError(
                "CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY are of use together only", "Set both, or neither."
            )
        return cls(
            scheme=scheme,
            host=host,
            port=port or (443 if scheme == "https" else 80),
            token=_token(environment),
            verify=authorities if _flag(environment, "CONSUL_HTTP_SSL_VERIFY", default=True) else False,
            certificate=(certificate, key) if certificate else None,
            server_name=environment.get("CONSUL_TLS_SERVER_NAME", ""),
        )


def _target(address: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError as error:
        raise _refused("CONSUL_HTTP_ADDR", address, f"is not an address ({error})") from error
    if scheme not in ("http", "https") or not host or parts.path not in ("", "/"):
        raise _refused("CONSUL_HTTP_ADDR", address, "should be HOST:PORT, http://HOST:PORT or https://HOST:PORT")
    return scheme, host, port


def _token(environment: Mapping[str, str]) -> str:
    """A file wins over the token itself, as with Consul's own command."""
    file = environment.get("CONSUL_HTTP_TOKEN_FILE")
    if not file:
        return environment.get("CONSUL_HTTP_TOKEN", "")
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _refused("CONSUL_HTTP_TOKEN_FILE", file, f"can't be read ({error})") from error


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    """As Go reads one (strconv.ParseBool)."""
    match environment.get(name, ""):
        case "":
            return default
        case "1" | "t" | "T" | "true" | "TRUE" | "True":
            return True
        case "0" | "f" | "F" | "false" | "FALSE" | "False":
            return False
        case text:
            raise _refused(name, text, "should be true or false")


def _refused(name: str, value: str, why: str) -> LedgerError:
    shown = "" if name == "CONSUL_HTTP_AUTH" else f" {value!r}"
    return LedgerError(f"{name}:{shown} {why}", f"Mend or unset {name}. Nothing was changed.")
