"""One sandbox for all tests of a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox.host import DEFAULT_METRIC_SECONDS, Sandbox
from tests.sandbox.cloud.network_site import Flows
from tests.sandbox.cloud.site import Site
from tests.sandbox.cloud.world import Aws


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.start(boot_seconds=0.1) as it:
        yield it


@pytest.fixture(scope="session")
def client(sandbox: Sandbox) -> Callable[[str], Any]:
    def make(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=sandbox.endpoint,
            region_name="us-east-1",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
            config=Config(retries={"max_attempts": 0}, parameter_validation=False),
        )

    return make


@pytest.fixture(scope="session")
def ec2(client: Callable[[str], Any]) -> Any:
    return client("ec2")


@pytest.fixture(scope="session")
def elb(client: Callable[[str], Any]) -> Any:
    return client("elbv2")


@pytest.fixture(scope="session")
def autoscaling(client: Callable[[str], Any]) -> Any:
    return client("autoscaling")


@pytest.fixture
def aws(sandbox: Sandbox, ec2: Any, elb: Any, autoscaling: Any) -> Iterator[Aws]:
    it = Aws(sandbox, ec2, elb, autoscaling)
    yield it
    it.clear()


@pytest.fixture
def site(aws: Aws) -> Iterator[Site]:
    it = Site(aws)
    yield it
    for backend in it.backends:
        backend.close()


@pytest.fixture
def flows(aws: Aws) -> Iterator[Flows]:
    it = Flows(aws)
    with it.opened:
        yield it


@pytest.fixture(scope="module")
def cloudwatch(sandbox: Sandbox, client: Callable[[str], Any]) -> Iterator[Any]:
    """With a minute that lasts a second."""
    sandbox.ask("PUT", "metric-seconds", {"seconds": 1})
    yield client("cloudwatch")
    sandbox.ask("PUT", "metric-seconds", {"seconds": DEFAULT_METRIC_SECONDS})
