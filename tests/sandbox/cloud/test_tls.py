"""HTTPS listeners: certificates, policies, and what is refused."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cloud.keys import KeyPair, trusting
from tests.sandbox.cloud.site import Site, ask
from tests.sandbox.cloud.world import eventually, get

_GUIDE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application"
_HTTPS = f"{_GUIDE}/create-https-listener.html"
_CERTIFICATES = f"{_GUIDE}/https-listener-certificates.html"
_POLICIES = f"{_GUIDE}/describe-ssl-policies.html"
_HEADERS = f"{_GUIDE}/x-forwarded-headers.html"
_ACTIONS = f"{_GUIDE}/rule-action-types.html"
_CREATE = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html"
_ACM = "https://docs.aws.amazon.com/acm/latest/APIReference/API_DeleteCertificate.html"
_ISSUE = "https://github.com/hashicorp/terraform-provider-aws/issues/26245"
_NO_CERTIFICATE = "https://github.com/pulumi/pulumi/issues/15712"
PORT = 8443


class Secure:
    """Certificates, and listeners that have them."""

    def __init__(self, site: Site, acm: Any) -> None:
        self.site = site
        self.acm = acm

    def certificate(self, *names: str, pair: KeyPair | None = None) -> tuple[str, KeyPair]:
        pair = pair or KeyPair.signed_by_itself(*names)
        made = self.acm.import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)
        return str(made["CertificateArn"]), pair

    def listener(self, action: str | dict[str, Any], *certificates: str, port: int = PORT, **more: Any) -> str:
        action = {"Type": "forward", "TargetGroupArn": action} if isinstance(action, str) else action
        made = self.site.aws.elb.create_listener(
            LoadBalancerArn=self.site.balancer,
            Protocol="HTTPS",
            Port=port,
            DefaultActions=[action],
            Certificates=[{"CertificateArn": it} for it in certificates],
            **more,
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def serve(self, *names: str, **more: Any) -> tuple[str, KeyPair]:
        """A listener in front of a healthy target `a`; its ARN and its certificate."""
        group, _ = self.site.group("a")
        arn, pair = self.certificate(*names)
        listener = self.listener(group, arn, **more)
        eventually(lambda: self.site.aws.states(group) == ["healthy"])
        return listener, pair

    def presented(self, host: str | None = None) -> bytes:
        """The certificate that a client is shown, in PEM."""
        context = trusting()
        with (
            socket.create_connection((self.site.address, PORT), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=host) as sock,
        ):
            return ssl.DER_cert_to_PEM_cert(sock.getpeercert(binary_form=True) or b"").encode()

    def connect(self, *, port: int = PORT) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.site.address, port, context=trusting(), timeout=10)


@pytest.fixture
def secure(site: Site, client: Any) -> Secure:
    return Secure(site, client("acm"))


@pytest.mark.documented("an HTTPS listener terminates TLS with its certificate", _HTTPS)
def test_tls_ends_at_the_load_balancer_with_the_imported_certificate(secure: Secure) -> None:
    _, pair = secure.serve("shop.example")
    with (
        socket.create_connection((secure.site.address, PORT), timeout=10) as raw,
        trusting(pair).wrap_socket(raw, server_hostname="shop.example") as sock,
    ):
        sock.sendall(b"GET /who HTTP/1.0\r\n\r\n")
        assert b"".join(iter(lambda: sock.recv(1000), b"")).endswith(b"\r\n\r\na")


@pytest.mark.documented("a target learns that the client spoke HTTPS, and to which port", _HEADERS)
def test_a_target_learns_that_the_client_spoke_https(secure: Secure) -> None:
    secure.serve("shop.example")
    headers = dict(json.loads(ask(secure.connect(), "/headers")[1]))
    assert (headers["X-Forwarded-Proto"], headers["X-Forwarded-Port"]) == ("https", str(PORT))
    assert "X-Amzn-Tls-Version" not in headers


@pytest.mark.documented(
    "X-Amzn-Tls-Version and X-Amzn-Tls-Cipher-Suite, where they are asked for",
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html",
)
def test_a_target_learns_the_version_and_the_cipher_where_that_is_asked_for(secure: Secure) -> None:
    secure.serve("shop.example")
    secure.site.attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "true")
    connection = secure.connect()
    headers = dict(json.loads(ask(connection, "/headers")[1]))
    name, version, _ = connection.sock.cipher()
    assert (headers["X-Amzn-Tls-Version"], headers["X-Amzn-Tls-Cipher-Suite"]) == (version, name)


@pytest.mark.documented(
    "a client is shown the certificate for the host that it names, or the default one", _CERTIFICATES
)
def test_a_client_is_shown_the_certificate_for_its_host(secure: Secure) -> None:
    listener, default = secure.serve("shop.example")
    other, pair = secure.certificate("api.example", "*.api.example")
    secure.site.aws.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": other}])
    assert secure.presented("api.example") == pair.certificate
    assert secure.presented("EU.api.example") == pair.certificate
    for host in ("shop.example", "a.eu.api.example", "elsewhere.example", None):
        assert secure.presented(host) == default.certificate
    described = secure.site.aws.elb.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert [it["IsDefault"] for it in described] == [True, False]
    secure.site.aws.elb.remove_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": other}])
    assert secure.presented("api.example") == default.certificate


def test_the_default_certificate_cannot_be_removed(secure: Secure) -> None:
    listener, _ = secure.serve("shop.example")
    (known,) = secure.site.aws.elb.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    with pytest.raises(ClientError, match="Default certificate cannot be removed"):
        secure.site.aws.elb.remove_listener_certificates(
            ListenerArn=listener, Certificates=[{"CertificateArn": known["CertificateArn"]}]
        )


def test_a_new_default_certificate_holds_for_new_connections_and_leaves_the_others(secure: Secure) -> None:
    listener, _ = secure.serve("shop.example")
    other, others_pair = secure.certificate("api.example")
    new, pair = secure.certificate("shop.example")
    secure.site.aws.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": other}])
    before = secure.connect()
    assert ask(before, "/who") == (200, b"a")
    secure.site.aws.elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": new}])
    assert secure.presented("shop.example") == pair.certificate
    assert secure.presented("api.example") == others_pair.certificate
    assert ask(before, "/who") == (200, b"a")


def speaks(secure: Secure, version: ssl.TLSVersion) -> bool:
    context = trusting()
    context.minimum_version = context.maximum_version = version
    with socket.create_connection((secure.site.address, PORT), timeout=10) as raw:
        try:
            context.wrap_socket(raw).close()
        except (ssl.SSLError, ConnectionResetError):
            return False
    return True


@pytest.mark.parametrize(
    ("policy", "one_2", "one_3"),
    [
        pytest.param(
            None,
            True,
            False,
            marks=pytest.mark.documented("without a policy ELBSecurityPolicy-2016-08: up to TLS 1.2", _POLICIES),
        ),
        pytest.param(
            "ELBSecurityPolicy-TLS13-1-2-2021-06",
            True,
            True,
            marks=pytest.mark.documented("ELBSecurityPolicy-TLS13-1-2-2021-06: TLS 1.2 and 1.3", _POLICIES),
        ),
        pytest.param(
            "ELBSecurityPolicy-TLS13-1-3-2021-06",
            False,
            True,
            marks=pytest.mark.documented("ELBSecurityPolicy-TLS13-1-3-2021-06: TLS 1.3 alone", _POLICIES),
        ),
    ],
)
def test_a_policy_says_which_versions_are_spoken(secure: Secure, policy: str | None, one_2: bool, one_3: bool) -> None:
    listener, _ = secure.serve("shop.example", **({"SslPolicy": policy} if policy else {}))
    assert speaks(secure, ssl.TLSVersion.TLSv1_2) is one_2
    assert speaks(secure, ssl.TLSVersion.TLSv1_3) is one_3
    (known,) = secure.site.aws.elb.describe_listeners(ListenerArns=[listener])["Listeners"]
    assert known["SslPolicy"] == (policy or "ELBSecurityPolicy-2016-08")


def test_a_new_policy_holds_for_new_connections(secure: Secure) -> None:
    listener, _ = secure.serve("shop.example")
    secure.site.aws.elb.modify_listener(ListenerArn=listener, SslPolicy="ELBSecurityPolicy-TLS13-1-3-2021-06")
    assert not speaks(secure, ssl.TLSVersion.TLSv1_2)
    assert speaks(secure, ssl.TLSVersion.TLSv1_3)


def test_a_listener_goes_from_http_to_https_and_back_in_its_place(secure: Secure) -> None:
    site = secure.site
    site.serve("a")
    arn, _ = secure.certificate("shop.example")
    kept = site.connect()
    assert ask(kept, "/who") == (200, b"a")
    site.aws.elb.modify_listener(ListenerArn=site.listener, Protocol="HTTPS", Certificates=[{"CertificateArn": arn}])
    assert ask(secure.connect(port=8080), "/who") == (200, b"a")
    assert ask(kept, "/who") == (200, b"a")
    site.aws.elb.modify_listener(ListenerArn=site.listener, Protocol="HTTP")
    assert get(site.address, "/who") == (200, "a")
    (known,) = site.aws.elb.describe_listeners(ListenerArns=[site.listener])["Listeners"]
    assert not {"SslPolicy", "Certificates"} & known.keys()


@pytest.mark.documented("a redirect from HTTP to HTTPS", _ACTIONS)
def test_http_is_redirected_to_https(secure: Secure) -> None:
    secure.serve("shop.example")
    redirect = {"Protocol": "HTTPS", "Port": str(PORT), "StatusCode": "HTTP_301"}
    secure.site.aws.listener(secure.site.balancer, {"Type": "redirect", "RedirectConfig": redirect})
    connection = secure.site.connect()
    connection.request("GET", "/who?a=b")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{secure.site.address}:{PORT}/who?a=b")
    assert ask(secure.connect(), "/who?a=b") == (200, b"a")


@pytest.mark.documented("#{protocol} of an HTTPS listener is https", _ACTIONS)
def test_a_redirect_of_an_https_listener_stays_with_https(secure: Secure) -> None:
    arn, _ = secure.certificate("shop.example")
    secure.listener({"Type": "redirect", "RedirectConfig": {"Path": "/new", "StatusCode": "HTTP_302"}}, arn)
    connection = secure.connect()
    connection.request("GET", "/")
    assert connection.getresponse().getheader("Location") == f"https://{secure.site.address}:{PORT}/new"


def test_a_client_that_reads_slowly_slows_the_target_through_tls_too(secure: Secure) -> None:
    secure.serve("shop.example")
    (backend,) = secure.site.backends
    with (
        socket.create_connection((secure.site.address, PORT), timeout=10) as raw,
        trusting().wrap_socket(raw) as sock,
    ):
        sock.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = [-1]

        def stands_still() -> bool:
            seen.append(backend.bytes_sent)
            return seen[-1] > 0 and seen[-20:] == [seen[-1]] * 20

        eventually(stands_still, what="the target waits")
        assert backend.bytes_sent < 32 * 1024 * 1024
    eventually(lambda: backend.lost_clients == 1, what="the target sees that the client left")


def test_a_websocket_goes_through_tls(secure: Secure) -> None:
    secure.serve("shop.example")
    with (
        socket.create_connection((secure.site.address, PORT), timeout=10) as raw,
        trusting().wrap_socket(raw) as sock,
    ):
        sock.sendall(
            b"GET /websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: abc\r\n\r\n"
        )
        data = b"x" * 3_000_000 + b"bye\n"
        writer = threading.Thread(target=sock.sendall, args=[data])
        writer.start()
        got = b"".join(iter(lambda: sock.recv(65536), b""))
        writer.join()
    assert got.startswith(b"HTTP/1.1 101")
    assert got.endswith(b"hello\n" + data)


def test_a_client_without_tls_gets_no_answer_and_harms_nobody(secure: Secure) -> None:
    secure.serve("shop.example")
    with socket.create_connection((secure.site.address, PORT), timeout=10) as sock:
        sock.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert b"HTTP" not in sock.recv(1000)
    assert ask(secure.connect(), "/who") == (200, b"a")


FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}


def refusal(secure: Secure, *certificates: str, **more: Any) -> str:
    with pytest.raises(ClientError) as refused:
        secure.listener(FIXED, *certificates, **more)
    with pytest.raises(ConnectionRefusedError):
        get(secure.site.address, "/", port=PORT)
    return str(refused.value.response["Error"]["Code"])


@pytest.mark.documented("CertificateNotFound for a listener whose certificate does not exist", _CREATE)
def test_a_listener_needs_a_certificate_that_exists(secure: Secure) -> None:
    assert refusal(secure, "arn:aws:acm:us-east-1:123456789012:certificate/nobody") == "CertificateNotFound"
    there, _ = secure.certificate("shop.example")
    assert refusal(secure, there.replace("us-east-1", "eu-west-1")) == "CertificateNotFound"


@pytest.mark.documented("ValidationError for an HTTPS listener without a certificate", _NO_CERTIFICATE)
def test_an_https_listener_needs_a_certificate(secure: Secure) -> None:
    assert refusal(secure) == "ValidationError"
    site = secure.site
    site.serve("a")
    with pytest.raises(ClientError, match="A certificate must be specified for HTTPS listeners"):
        site.aws.elb.modify_listener(ListenerArn=site.listener, Protocol="HTTPS")
    assert get(site.address, "/who") == (200, "a")


@pytest.mark.documented("UnsupportedCertificate for one that is not issued", _ISSUE)
def test_a_listener_needs_a_certificate_that_is_issued(secure: Secure) -> None:
    pending = secure.acm.request_certificate(DomainName="shop.example", ValidationMethod="DNS")["CertificateArn"]
    assert refusal(secure, pending) == "UnsupportedCertificate"


def test_a_listener_needs_a_certificate_with_its_own_key(secure: Secure) -> None:
    pair = KeyPair(KeyPair.signed_by_itself("shop.example").certificate, KeyPair.signed_by_itself("x.example").key)
    assert refusal(secure, secure.certificate(pair=pair)[0]) == "UnsupportedCertificate"


@pytest.mark.documented("SSLPolicyNotFound for a policy that does not exist", _CREATE)
def test_a_listener_needs_a_policy_that_exists(secure: Secure) -> None:
    arn, _ = secure.certificate("shop.example")
    assert refusal(secure, arn, SslPolicy="ELBSecurityPolicy-of-Tomorrow") == "SSLPolicyNotFound"


@pytest.mark.documented("a certificate that a listener uses is not deleted", _ACM)
def test_a_certificate_in_use_is_not_deleted(secure: Secure) -> None:
    listener, _ = secure.serve("shop.example")
    (known,) = secure.site.aws.elb.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    with pytest.raises(ClientError) as refused:
        secure.acm.delete_certificate(CertificateArn=known["CertificateArn"])
    assert refused.value.response["Error"]["Code"] == "ResourceInUseException"
    secure.site.aws.elb.delete_listener(ListenerArn=listener)
    secure.acm.delete_certificate(CertificateArn=known["CertificateArn"])
