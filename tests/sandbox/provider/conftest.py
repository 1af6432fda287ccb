"""A provider that serves its protocol over gRPC, in front of a moto of its own."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from botocore.client import BaseClient
from moto import settings
from moto.server import ThreadedMotoServer
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from sandbox.provider.servicer import Servicer
from sandbox.provider.wire import encode
from tests.sandbox.provider.driver import Driver, Stack


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    settings.ACM_VALIDATION_WAIT = 0  # moto's own issues certificates by the clock
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_environment(moto_url: str) -> Iterator[None]:
    """For one test: fixtures of other suites, which last longer, set and restore the same variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": moto_url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        yield


@pytest.fixture
def empty_account(moto_url: str) -> None:
    reset = urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()


@contextmanager
def serving() -> Iterator[Any]:
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer("7.51.1"), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(None)


@pytest.fixture
def stub(aws_environment: None, empty_account: None) -> Iterator[Any]:
    """A provider of the test's own, not configured yet."""
    with serving() as it:
        yield it


@pytest.fixture(scope="session")
def shared_stub() -> Iterator[Any]:
    """One provider for most tests: its clients take longer to make than most tests take."""
    with serving() as it:
        yield it


@pytest.fixture
def driver(shared_stub: Any, aws_environment: None, empty_account: None) -> Driver:
    shared_stub.Configure(provider_pb2.ConfigureRequest(args=encode({"region": "us-east-1"})))
    return Driver(shared_stub)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the AWS operations called from now on, by anybody in this process."""
    names: list[str] = []
    original = BaseClient._make_api_call

    def record(self: Any, operation_name: str, api_params: Any) -> Any:
        names.append(operation_name)
        return original(self, operation_name, api_params)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    return names


@pytest.fixture
def network(driver: Driver) -> Stack:
    return Stack.network(driver)
