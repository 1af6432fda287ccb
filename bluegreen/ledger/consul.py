"""A ledger in Consul's key-value store: a key per event, one for the lease, and keys for other systems to read.

    PREFIX/PROJECT/STACK/events/...                          one event each, as JSON
    PREFIX/PROJECT/STACK/lease                               as JSON; changed by check-and-set
    PREFIX/PROJECT/STACK/SERVICE/{image,release,url,...}     published, as plain text

All in the agent's own datacenter: Consul does not replicate keys to others. All reads are consistent ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from bluegreen.errors import LedgerError
from bluegreen.ledger.consul_address import ConsulAddress
from bluegreen.ledger.entry import namer
from bluegreen.model.fitted import fitted
from bluegreen.model.history import Event, History
from bluegreen.model.lease import Lease

MAX_EVENT_BYTES = 500_000
"""A value has at most 512 KB (Consul's `kv_max_value_size`)."""

TIMEOUT_SECONDS = 10.0


class ConsulLedger:
    """The ledger of one stack. `key`: PROJECT/STACK. `environment`: where Consul's variables are."""

    def __init__(self, prefix: str, key: str, environment: Mapping[str, str]) -> None:
        self._root = f"{prefix}/{key}"
        self._environment = environment
        self._name = namer("_")

    @property
    def place(self) -> str:
        try:
            return f"Consul at {self._address.url}, {self._root}"
        except LedgerError:
            return f"Consul, {self._root}"

    def append(self, event: Event) -> None:
        """What is too large for a value is kept without the largest of its evidence."""
        record = fitted(event, MAX_EVENT_BYTES).as_record()
        with self._errors("written"):
            # False where there is one: no other writer has this name.
            self._kv.put(f"{self._events}{self._name(event)}", json.dumps(record, separators=(",", ":")), cas=0)

    def read(self) -> History:
        with self._errors("read"):
            _, found = self._kv.get(self._events, recurse=True)
        names = {each["Key"].removeprefix(self._events): each["Value"] for each in found or ()}
        # Those of a service that is called `events` are beside them. An event's begins with its year.
        return History(tuple(self._event(name, names[name]) for name in sorted(names) if name[:1].isdigit()))

    def lease(self) -> Lease:
        return self._indexed_lease()[1]

    def swap_lease(self, expected: Lease, new: Lease) -> bool:
        index, found = self._indexed_lease()
        if found != expected:
            return False
        with self._errors("written"):
            return bool(self._kv.put(self._lease, json.dumps(new.as_record()), cas=index))

    def publish(self, service: str, values: Mapping[str, str]) -> None:
        with self._errors("written"):
            for name, value in values.items():
                self._kv.put(f"{self._root}/{service}/{name}", value)

    @property
    def _events(self) -> str:
        return f"{self._root}/events/"

    @property
    def _lease(self) -> str:
        return f"{self._root}/lease"

    def _indexed_lease(self) -> tuple[int, Lease]:
        """With the index that a check-and-set names: 0 where the key does not exist."""
        with self._errors("read"):
            _, found = self._kv.get(self._lease)
        if found is None:
            return 0, Lease()
        try:
            return found["ModifyIndex"], Lease.from_record(json.loads(found["Value"]))
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"the ledger ({self.place}) has a lease that can't be read ({error!r})",
                f"See that no deployment of this stack runs, then `consul kv delete {self._lease}`.",
            ) from error

    def _event(self, name: str, value: bytes | None) -> Event:
        try:
            return Event.from_record(json.loads(value or b""))
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"the ledger ({self.place}) has a key that is no event: {self._events}{name} ({error!r})",
                f"`consul kv delete {self._events}{name}`: it is history, nothing that runs depends on it. A newer "
                "bluegreen may have made it.",
            ) from error

    @cached_property
    def _address(self) -> ConsulAddress:
        return ConsulAddress.of_environment(self._environment)

    @cached_property
    def _kv(self) -> Any:
        address = self._address
        client = _library().Consul(
            host=address.host,
            port=address.port,
            scheme=address.scheme,
            verify=address.verify,
            cert=address.certificate,
            consistency="consistent",
            connections_timeout=TIMEOUT_SECONDS,
        )
        client.token = address.token  # it takes the environment's before one that is passed in
        client.http.session.trust_env = not address.is_here  # no proxy stands before this machine
        if address.server_name:
            client.http.session.mount("https://", _adapter(address.server_name))
        return client.kv

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        kinds = _library()
        from requests import RequestException

        what = f"the ledger ({self.place}) can't be {done}"
        try:
            yield
        except kinds.ACLPermissionDenied as error:
            rule = f'key_prefix "{self._root}/" {{policy = "write"}}'
            raise LedgerError(
                f"{what}: {_said(error)}", f"Set CONSUL_HTTP_TOKEN to a token with this rule: {rule}."
            ) from error
        except kinds.ConsulException as error:
            raise LedgerError(
                f"{what}: {_said(error)}", "Look at the agent (`consul members`, `consul operator raft list-peers`)."
            ) from error
        except (RequestException, OSError) as error:  # OSError: a certificate's file that is not there
            raise LedgerError(
                f"{what}: {_said(error)}",
                "See that the agent runs (`consul members`), and that CONSUL_HTTP_ADDR names it.",
            ) from error


def _library() -> Any:
    try:
        import consul
    except ImportError as error:
        raise LedgerError(
            "the setting `ledger` names Consul, and the package py-consul is not installed",
            "`pip install 'bluegreen[consul]'`.",
        ) from error
    return consul


def _adapter(server_name: str) -> Any:
    """Speaks to any address, as long as who answers has a certificate for this name."""
    from requests.adapters import HTTPAdapter

    class Named(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, server_hostname=server_name, assert_hostname=server_name, **kwargs)

    return Named()


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
