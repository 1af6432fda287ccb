"""What a machine finds out before Consul starts."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bluegreen.model import consul

KEYS = {name: f"<{name}>" for name in consul.KEYS}
CONFIG = {"datacenter": "dc1", "servers": 3, "retry_join": ["provider=aws"], "services": ["web"], "ledger": "a/b/c/"}


def test_requests_are_signed_as_botocore_signs_them(node: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    url, body = "https://ssm.us-east-1.amazonaws.com/", b'{"Names": ["/a b"]}'
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParameters"}
    wanted = AWSRequest("POST", url, headers=headers, data=body)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: at.replace(tzinfo=None))
    SigV4Auth(Credentials("AKID", "secret", "token"), "ssm", "us-east-1").add_auth(wanted)
    request = urllib.request.Request(url, body, headers, method="POST")
    credentials = {"AccessKeyId": "AKID", "SecretAccessKey": "secret", "Token": "token"}
    signed = node.signed(request, body, "ssm", "us-east-1", credentials, at)
    assert signed.get_header("Authorization") == wanted.headers["Authorization"]
    assert hashlib.sha256(body).hexdigest() not in signed.headers


def test_the_names_of_the_keys_are_those_that_init_makes(node: ModuleType) -> None:
    assert (node.OF_AGENTS, node.OF_SERVERS, node.HOOK) == (consul.OF_AGENTS, consul.OF_SERVERS, consul.READY_HOOK)


def test_an_agent_gets_no_key_of_the_servers_and_registers_its_service_with_its_health(node: ModuleType) -> None:
    found = node.agent_config(CONFIG, KEYS, "10.0.0.9", "i-9", "web", "0123abcd", "8080", "/health")
    assert not re.search("server/|operator/", json.dumps(found))
    (service,) = found["services"]
    assert (service["name"], service["port"], service["tags"]) == ("web", 8080, ["0123abcd"])
    assert service["check"]["http"] == "http://10.0.0.9:8080/health"


def test_tokens_may_do_what_they_are_for(node: ModuleType) -> None:
    policies = node.policies_of(CONFIG)
    assert 'service "web" { policy = "write" }' in policies["agents"]
    assert policies["ledger"] == 'key_prefix "a/b/c/" { policy = "write" }'


@pytest.mark.parametrize(
    ("well", "has_joined"),
    [
        ({"i-1": True, "i-2": True, "i-3": True}, True),
        ({"i-1": False, "i-2": True, "i-3": True}, False),
        ({"i-1": True, "i-2": True}, False),
        ({"i-2": True, "i-3": True, "i-4": True}, False),
    ],
)
def test_a_server_has_joined_once_it_has_a_vote_and_there_are_enough(
    node: ModuleType, monkeypatch: pytest.MonkeyPatch, well: dict[str, bool], has_joined: bool
) -> None:
    servers = [{"Name": name, "Voter": votes, "Healthy": True} for name, votes in well.items()]
    monkeypatch.setattr(node, "ask_consul", lambda *_: {"Servers": servers})
    assert node.has_joined("i-1", 3, "token") is has_joined


def test_it_reads_on_the_oldest_python_of_a_base_image() -> None:
    import ast

    ast.parse(
        Path(sys.modules[__name__].__file__ or "")
        .parents[2]
        .joinpath("ansible/roles/consul/files/node.py")
        .read_text(),
        feature_version=(3, 9),
    )
