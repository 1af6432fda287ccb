"""What a load balancer does to a request on its way to a target."""

from __future__ import annotations

import json
import re

import pytest

from sandbox.cloud.request import host_for_target
from sandbox.cloud.routing import Attributes
from tests.sandbox.cloud.site import Site, ask

_ATTRIBUTES = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html"
_HEADERS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html"
_TRACING = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html"
_ATTRIBUTE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html"
_OWN = r"1-[0-9a-f]{8}-[0-9a-f]{24}"


def sent(site: Site, **headers: str) -> dict[str, str]:
    """The fields that the target saw, by their names in lower case."""
    given = {key.replace("__", "-"): value for key, value in headers.items()}
    _, body = ask(site.connect(), "/headers", headers=given)
    return {key.lower(): value for key, value in json.loads(body)}


@pytest.mark.parametrize(
    ("mode", "given", "expected"),
    [
        pytest.param(
            "append",
            "192.0.2.7",
            "192.0.2.7, {client}",
            marks=pytest.mark.documented("X-Forwarded-For: the client is appended", _HEADERS),
        ),
        ("append", None, "{client}"),
        pytest.param(
            "preserve",
            "192.0.2.7",
            "192.0.2.7",
            marks=pytest.mark.documented("X-Forwarded-For in the mode preserve: as it was", _HEADERS),
        ),
        ("preserve", None, None),
        pytest.param(
            "remove",
            "192.0.2.7",
            None,
            marks=pytest.mark.documented("X-Forwarded-For in the mode remove: taken away", _HEADERS),
        ),
    ],
)
def test_who_asked_is_told_as_the_mode_says(site: Site, mode: str, given: str | None, expected: str | None) -> None:
    site.serve("a")
    site.attribute("routing.http.xff_header_processing.mode", mode)
    connection = site.connect()
    _, body = ask(connection, "/headers", headers={"X-Forwarded-For": given} if given else {})
    headers = {key.lower(): value for key, value in json.loads(body)}
    client = connection.sock.getsockname()[0]
    assert headers.get("x-forwarded-for") == (expected and expected.format(client=client))


@pytest.mark.documented("X-Forwarded-For with the client's port, where that is asked for", _HEADERS)
def test_the_clients_port_is_told_where_that_is_asked_for(site: Site) -> None:
    site.serve("a")
    site.attribute("routing.http.xff_client_port.enabled", "true")
    connection = site.connect()
    _, body = ask(connection, "/headers")
    host, port = connection.sock.getsockname()
    assert dict(json.loads(body))["X-Forwarded-For"] == f"{host}:{port}"


@pytest.mark.documented("fields with names other than letters, digits and hyphens are dropped on request", _ATTRIBUTE)
def test_fields_with_invalid_names_are_dropped_on_request(site: Site) -> None:
    site.serve("a")
    assert sent(site, under_score="x", well__named="y")["under_score"] == "x"
    site.attribute("routing.http.drop_invalid_header_fields.enabled", "true")
    headers = sent(site, under_score="x", well__named="y")
    assert "under_score" not in headers
    assert headers["well-named"] == "y"


@pytest.mark.documented("the Host field gets the listener's port", _ATTRIBUTES)
def test_the_host_gets_the_listeners_port_unless_it_is_preserved(site: Site) -> None:
    site.serve("a")
    assert sent(site, Host="shop.example")["host"] == "shop.example:8080"
    site.attribute("routing.http.preserve_host_header.enabled", "true")
    assert sent(site, Host="shop.example")["host"] == "shop.example"


@pytest.mark.documented("at a default port the Host field loses its port", _ATTRIBUTES)
@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("shop.example", 80, "shop.example"),
        ("shop.example:80", 80, "shop.example"),
        ("shop.example:8443", 443, "shop.example"),
        ("shop.example", 8080, "shop.example:8080"),
        ("shop.example:9000", 8080, "shop.example:9000"),
        ("[2001:db8::1]", 80, "[2001:db8::1]"),
        ("[2001:db8::1]", 8080, "[2001:db8::1]:8080"),
    ],
)
def test_a_default_port_is_left_out_of_the_host(host: str, port: int, expected: str) -> None:
    assert host_for_target(host.encode(), Attributes(), port) == expected.encode()
    assert host_for_target(host.encode(), Attributes(preserves_host=True), port) == host.encode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            "",
            f"Root={_OWN}",
            marks=pytest.mark.documented("X-Amzn-Trace-Id is added with a Root field", _TRACING),
        ),
        pytest.param(
            "Root=1-67891233-abcdef012345678912345678;CalledFrom=app",
            f"Self={_OWN};Root=1-67891233-abcdef012345678912345678;CalledFrom=app",
            marks=pytest.mark.documented(
                "X-Amzn-Trace-Id with a Root field gets a Self field, and keeps all", _TRACING
            ),
        ),
        pytest.param(
            "Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678",
            f"Self={_OWN};Root=1-67891233-abcdef012345678912345678",
            marks=pytest.mark.documented("X-Amzn-Trace-Id with a Self field gets a new one", _TRACING),
        ),
    ],
)
def test_a_request_can_be_traced(site: Site, given: str, expected: str) -> None:
    site.serve("a")
    headers = sent(site, **({"X__Amzn__Trace__Id": given} if given else {}))
    assert re.fullmatch(expected, headers["x-amzn-trace-id"])
