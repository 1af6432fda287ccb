"""The keys of a Consul cluster: made once, and again where they are gone or end soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from moto import mock_aws

from bluegreen.aws.consul_keys import CERTIFICATE_LASTS, make_keys, new_keys
from bluegreen.aws.session import Session, SessionSettings
from bluegreen.errors import BluegreenError
from bluegreen.model.consul import KEYS, missing_keys, path_of
from bluegreen.model.tags import Owner

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWNER = Owner(project="shop", stack="dev")


def made() -> dict[str, str]:
    return new_keys({}, "dc1", NOW)


def test_all_of_them_are_made_and_no_two_are_alike() -> None:
    keys = made()
    assert keys.keys() == set(KEYS)
    assert len(set(keys.values())) == len(keys)
    assert not set(keys.values()) & set(made().values())
    assert all(len(value) <= 4096 for value in keys.values()), "more is no parameter of the standard tier"


def test_what_is_there_stays() -> None:
    assert new_keys(made(), "dc1", NOW) == {}


@pytest.mark.parametrize("name", ["agent/gossip-key", "agent/token", "server/ledger-token"])
def test_what_was_deleted_is_made_again_and_nothing_else(name: str) -> None:
    keys = made()
    old = keys.pop(name)
    again = new_keys(keys, "dc1", NOW)
    assert again.keys() == {name}
    assert again[name] != old


def test_a_certificate_that_ends_soon_is_made_anew_by_the_same_authority() -> None:
    keys, late = made(), NOW + CERTIFICATE_LASTS - timedelta(days=30)
    again = new_keys(keys, "dc1", late)
    assert again.keys() == {"server/certificate", "server/key"}
    certificate = x509.load_pem_x509_certificate(again["server/certificate"].encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(keys["agent/ca"].encode()))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["server.dc1.consul", "localhost"]


def test_another_authority_makes_another_certificate() -> None:
    keys = made()
    del keys["agent/ca"]
    again = new_keys(keys, "dc1", NOW)
    assert again.keys() == {"agent/ca", "operator/ca-key", "server/certificate", "server/key"}


def test_an_authority_whose_key_is_gone_is_told() -> None:
    keys = made()
    del keys["operator/ca-key"]
    with pytest.raises(BluegreenError, match="its key is not"):
        new_keys(keys, "dc1", NOW)


def test_keys_are_kept_as_secrets_and_a_second_run_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        session = Session(SessionSettings(region="us-east-1"))
        assert make_keys(session, OWNER, "dc1", NOW) == sorted(KEYS)
        ssm = session.client("ssm")
        found = ssm.get_parameters_by_path(Path=path_of(OWNER), Recursive=True)["Parameters"]
        assert {each["Type"] for each in found} == {"SecureString"}
        assert missing_keys([each["Name"] for each in found], path_of(OWNER)) == []
        assert make_keys(session, OWNER, "dc1", NOW) == []
        assert make_keys(session, OWNER, "dc1", NOW + CERTIFICATE_LASTS) == ["server/certificate", "server/key"]
