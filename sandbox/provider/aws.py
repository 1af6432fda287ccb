"""What every resource type needs of AWS: clients, tags, waiting, and errors in the words of the real provider.

No call of a particular service is made here, except the one for the account's number.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from bluegreen.errors import BluegreenError
from sandbox.provider.wire import Props

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

MINUTE: Final = 60.0
_FIRST_POLL_SECONDS: Final = 0.05
_LONGEST_POLL_SECONDS: Final = 10.0
_POLL_GROWTH: Final = 1.6


class OperationFailed(BluegreenError):
    """An operation on a resource failed; the text is what the real provider would say."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The provider's configuration, as far as it is supported."""

    region: str
    profile: str | None = None
    assume_roles: tuple[Mapping[str, Any], ...] = ()
    access_key: str | None = None
    secret_key: str | None = None
    token: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)  # by service


class Clients:
    """One client per service, made when first needed: loading a service's model is what costs time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._clients: dict[str, BaseClient] = {}
        self._account: str | None = None
        self._assumed: dict[str, str] | None = None

    def client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def account(self) -> str:
        if self._account is None:
            sts = self.client("sts")
            with doing(sts, "reading STS Caller Identity"):
                self._account = sts.get_caller_identity()["Account"]
        return self._account

    def region_description(self) -> str:
        """What AWS calls the region in prose, from the SDK's own list."""
        with self._lock:
            partitions = self._open_session().get_component("data_loader").load_data("endpoints")["partitions"]
        region = self._settings.region
        found = (partition["regions"].get(region) for partition in partitions)
        return next((str(described["description"]) for described in found if described), region)

    def _open_session(self) -> Session:
        # Imported here because it takes most of a second, and an `up` with nothing to do needs no client.
        from botocore.session import Session

        if self._session is None:
            self._session = Session(profile=self._settings.profile)
        return self._session

    def _credentials(self) -> dict[str, str | None]:
        """Those of the roles, if any, are good for an hour, and an operation is over by then."""
        from bluegreen.aws.session import Session, SessionSettings

        settings = self._settings
        if not settings.assume_roles:
            return {
                "aws_access_key_id": settings.access_key,
                "aws_secret_access_key": settings.secret_key,
                "aws_session_token": settings.token,
            }
        if self._assumed is None:
            roles = SessionSettings(
                region=settings.region, profile=settings.profile, assume_roles=settings.assume_roles
            )
            self._assumed = {key.lower(): value for key, value in Session(roles).environment().items()}
        return {**self._assumed}

    def _make(self, service: str) -> BaseClient:
        from botocore.config import Config

        settings = self._settings
        return self._open_session().create_client(
            service,
            region_name=settings.region,
            endpoint_url=settings.endpoints.get(service),
            **self._credentials(),
            config=Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=32),
        )


@dataclass(frozen=True, kw_only=True)
class Aws:
    """AWS as one request sees it."""

    clients: Clients
    settings: Settings
    cancelled: threading.Event
    custom_timeout: float | None = None  # seconds; the resource's `customTimeouts`
    has_just_written: bool = False  # the tags in AWS are known to be those of the inputs

    @property
    def ec2(self) -> Any:
        return self.clients.client("ec2")

    @property
    def elbv2(self) -> Any:
        return self.clients.client("elbv2")

    @property
    def autoscaling(self) -> Any:
        return self.clients.client("autoscaling")

    @property
    def cloudwatch(self) -> Any:
        return self.clients.client("cloudwatch")

    @property
    def iam(self) -> Any:
        return self.clients.client("iam")

    @property
    def logs(self) -> Any:
        return self.clients.client("logs")

    @property
    def s3(self) -> Any:
        return self.clients.client("s3")

    @property
    def kms(self) -> Any:
        return self.clients.client("kms")

    @property
    def ssm(self) -> Any:
        return self.clients.client("ssm")

    @property
    def acm(self) -> Any:
        return self.clients.client("acm")

    @property
    def route53(self) -> Any:
        return self.clients.client("route53")

    @property
    def wafv2(self) -> Any:
        return self.clients.client("wafv2")

    @property
    def sts(self) -> Any:
        return self.clients.client("sts")

    @property
    def region(self) -> str:
        return self.settings.region

    def arn(self, service: str, account: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{account}:{resource}"

    def tag_specifications(self, resource: str, inputs: Props) -> list[dict[str, Any]]:
        """EC2's way to tag on create; it refuses an empty list of tags."""
        tags = inputs.get("tags")
        return [{"ResourceType": resource, "Tags": as_pairs(tags)}] if tags else []

    def tag_state(self, pairs: Iterable[Mapping[str, str]]) -> Props:
        """`tagsAll` would have the provider's default tags too, which the sandbox refuses."""
        tags = {pair["Key"]: pair["Value"] for pair in pairs if not pair["Key"].startswith("aws:")}
        return {"tags": tags or None, "tagsAll": tags}

    def timeout(self, default: float) -> float:
        return self.custom_timeout or default

    def wait(
        self, what: str, wanted: str, ask: Callable[[], str], *, timeout: float, failing: tuple[str, ...] = ()
    ) -> None:
        """Ask until the state is the wanted one. `what` reads on after "waiting for"."""
        deadline = time.monotonic() + timeout
        for pause in _pauses():
            state = ask()
            if state == wanted:
                return
            if state in failing:
                raise OperationFailed(f"waiting for {what}: unexpected state '{state}', wanted target '{wanted}'")
            if time.monotonic() + pause > deadline:
                raise OperationFailed(
                    f"waiting for {what}: timeout while waiting for state to become '{wanted}' "
                    f"(last state: '{state}', timeout: {go_duration(timeout)})"
                )
            self.sleep(pause, what)

    def retry(
        self, what: str, codes: Iterable[str], call: Callable[[], Any], *, timeout: float, saying: str = ""
    ) -> Any:
        """Call again while AWS answers with one of these codes: something else still has to go first."""
        deadline = time.monotonic() + timeout
        for pause in _pauses():
            try:
                return call()
            except ClientError as error:
                is_passing = code_of(error) in codes and saying in str(error)
                if not is_passing or time.monotonic() + pause > deadline:
                    raise
            self.sleep(pause, what)
        raise AssertionError("the pauses never end")

    def sleep(self, seconds: float, what: str) -> None:
        if self.cancelled.wait(seconds):
            raise OperationFailed(f"waiting for {what}: cancelled by the engine")


def _pauses() -> Iterator[float]:
    pause = _FIRST_POLL_SECONDS
    while True:
        yield pause
        pause = min(pause * _POLL_GROWTH, _LONGEST_POLL_SECONDS)


def first(found: list[Any]) -> Any:
    return found[0] if found else None


def as_pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def without_none(**arguments: Any) -> dict[str, Any]:
    """boto3 wants an absent argument left out."""
    return {name: value for name, value in arguments.items() if value is not None}


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def absent(*codes: str) -> Iterator[None]:
    """What is gone already needs no deleting."""
    try:
        yield
    except ClientError as error:
        if code_of(error) not in codes:
            raise


@contextmanager
def absent_group() -> Iterator[None]:
    """Auto Scaling has no code of its own for what isn't there: only the text of its validation error tells."""
    try:
        yield
    except ClientError as error:
        if code_of(error) != "ValidationError" or not re.search(
            r"not found|not exist|no such", str(error), re.IGNORECASE
        ):
            raise


@contextmanager
def doing(client: BaseClient, what: str) -> Iterator[None]:
    """Errors of AWS become the real provider's text: what was being done, then the words of the AWS SDK for Go."""
    try:
        yield
    except ClientError as error:
        raise OperationFailed(f"{what}: {_sdk_text(client, error)}") from error
    except BotoCoreError as error:
        raise OperationFailed(f"{what}: {error}") from error


def _sdk_text(client: BaseClient, error: ClientError) -> str:
    answer = error.response
    metadata = answer.get("ResponseMetadata", {})
    details = f"{code_of(error)}: {answer.get('Error', {}).get('Message', '')}"
    # An error that the service's model declares has a class of its own, and no "api error" before it.
    if type(error) is ClientError:
        details = f"api error {details}"
    return (
        f"operation error {client.meta.service_model.service_id}: {error.operation_name}, https response error "
        f"StatusCode: {metadata.get('HTTPStatusCode', 0)}, RequestID: {metadata.get('RequestId', '')}, {details}"
    )


def go_duration(seconds: float) -> str:
    """A duration as Go writes it: 600 -> 10m0s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
