"""The session factory meets whom the provider meets."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from moto import mock_aws

from bluegreen.aws.session import Session, SessionSettings, _seconds
from bluegreen.errors import AwsError, SettingsError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text("[profile there]\nregion = eu-west-1\n")
    credentials.write_text("[there]\naws_access_key_id = there\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "here")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


def access_key(session: Session) -> str:
    return str(session.client("ec2")._request_signer._credentials.access_key)


def test_the_region_of_the_stack_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert Session(SessionSettings(region="ap-south-1")).region == "ap-south-1"
    assert Session(SessionSettings()).region == "us-west-2"


def test_the_environment_s_region_is_read_in_the_provider_s_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert Session(SessionSettings(profile="there")).region == "eu-central-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert Session(SessionSettings()).region == "eu-central-1"


def test_the_profile_of_the_stack_gives_credentials_and_region() -> None:
    session = Session(SessionSettings(profile="there"))
    assert session.region == "eu-west-1"
    assert access_key(session) == "there"


def test_roles_are_assumed_one_after_the_other() -> None:
    roles = (
        {"roleArn": "arn:aws:iam::111111111111:role/first", "sessionName": "ci", "duration": "1h"},
        {"roleArn": "arn:aws:iam::222222222222:role/second", "externalId": "partner"},
    )
    with mock_aws():
        session = Session(SessionSettings(region="us-east-1", assume_roles=roles))
        session.client("ec2").describe_vpcs()
        arn = session.client("sts").get_caller_identity()["Arn"]
    assert arn.startswith("arn:aws:sts::222222222222:assumed-role/second/")


def test_a_client_is_made_once() -> None:
    session = Session(SessionSettings(region="us-east-1"))
    assert session.client("ec2") is session.client("ec2")


def test_no_region_is_an_error_that_says_where_to_set_it() -> None:
    with pytest.raises(AwsError, match="region") as caught:
        Session(SessionSettings()).client("ec2")
    assert "aws:region" in caught.value.next_step


def test_an_unknown_profile_is_an_error_that_names_it() -> None:
    with pytest.raises(AwsError, match="elsewhere"):
        Session(SessionSettings(region="us-east-1", profile="elsewhere")).client("ec2")


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("30m", 1800), ("1h30m", 5400), ("900s", 900)])
def test_durations_are_written_as_the_provider_writes_them(text: str, seconds: int) -> None:
    assert _seconds(text) == seconds


@pytest.mark.parametrize("text", ["soon", "1d", "h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(AwsError, match="duration"):
        _seconds(text)


ROLE = {"roleArn": "arn:aws:iam::111111111111:role/first"}


@pytest.mark.parametrize("roles", [[ROLE], '[{"roleArn": "arn:aws:iam::111111111111:role/first"}]'])
def test_the_stacks_config_is_read_as_the_program_and_as_the_file_have_it(roles: object) -> None:
    parsed = SessionSettings.parse({"region": "eu-west-1", "profile": "there", "assumeRoles": roles, "other": 1})
    assert parsed == SessionSettings(region="eu-west-1", profile="there", assume_roles=(ROLE,))
    assert SessionSettings.parse({}) == SessionSettings()


@pytest.mark.parametrize("roles", ["{", "{}", [1], [{"sessionName": "ci"}], {"roleArn": "x"}])
def test_roles_that_can_not_be_are_a_fault_of_the_config(roles: object) -> None:
    with pytest.raises(SettingsError, match="aws:assumeRoles"):
        SessionSettings.parse({"assumeRoles": roles})


def test_another_program_needs_nothing_where_the_environment_says_who_we_are() -> None:
    assert Session(SessionSettings(region="us-east-1")).environment() == {}


def test_another_program_is_given_the_credentials_of_the_stacks_profile() -> None:
    session = Session(SessionSettings(region="us-east-1", profile="there"))
    assert session.environment() == {
        "AWS_ACCESS_KEY_ID": "there",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_SESSION_TOKEN": "",
    }


def test_another_program_is_given_the_credentials_of_the_role() -> None:
    with mock_aws():
        environment = Session(SessionSettings(region="us-east-1", assume_roles=(ROLE,))).environment()
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environment["AWS_SESSION_TOKEN"]


def test_a_profile_without_credentials_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).write_text("")
    with pytest.raises(AwsError, match="there has no credentials"):
        Session(SessionSettings(region="us-east-1", profile="there")).environment()


def test_urls_for_s3_are_signed_by_the_version_that_every_bucket_takes() -> None:
    url = (
        Session(SessionSettings(region="us-east-1"))
        .client("s3")
        .generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    )
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url


# -- when credentials end


END = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def no_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CREDENTIAL_EXPIRATION", raising=False)


@pytest.mark.parametrize("text", ["2030-01-01T12:00:00Z", "2030-01-01T14:00:00+02:00", "2030-01-01T12:00:00"])
def test_credentials_of_the_environment_end_when_it_says(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", text)
    assert Session(SessionSettings(region="us-east-1")).credentials_end() == END


def test_credentials_that_ended_already_are_known_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    end = Session(SessionSettings(region="us-east-1")).credentials_end()
    assert end is not None
    assert end < datetime.now(UTC)


@pytest.mark.usefixtures("no_expiry")
def test_credentials_of_the_environment_that_do_not_say_have_no_end() -> None:
    assert Session(SessionSettings(region="us-east-1")).credentials_end() is None


@pytest.mark.parametrize("text", ["soon", "1700000000"])
def test_an_end_that_nobody_can_read_is_an_error_that_says_where_to_look(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", text)
    session = Session(SessionSettings(region="us-east-1"))
    for ask in (session.credentials_end, lambda: session.client("ec2")):
        with pytest.raises(AwsError, match=text) as caught:
            ask()
        assert "AWS_ variables" in caught.value.next_step


def test_credentials_of_a_profile_are_renewed_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2030-01-01T12:00:00Z")
    assert Session(SessionSettings(region="us-east-1", profile="there")).credentials_end() is None


def test_a_role_is_renewed_only_as_long_as_the_credentials_behind_it_last(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = (ROLE,)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2030-01-01T12:00:00Z")
    assert Session(SessionSettings(region="us-east-1", assume_roles=roles)).credentials_end() == END
    assert Session(SessionSettings(region="us-east-1", profile="there", assume_roles=roles)).credentials_end() is None


@pytest.mark.usefixtures("no_expiry")
def test_asking_when_credentials_end_calls_nobody_and_assumes_no_role() -> None:
    # Without moto: a call would fail, or reach AWS.
    roles = ({"roleArn": "arn:aws:iam::111111111111:role/none"},)
    assert Session(SessionSettings(region="us-east-1", assume_roles=roles)).credentials_end() is None


def test_where_there_are_no_credentials_there_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2030-01-01T12:00:00Z")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert Session(SessionSettings(region="us-east-1")).credentials_end() is None


def test_an_unknown_profile_is_an_error_here_too() -> None:
    with pytest.raises(AwsError, match="elsewhere"):
        Session(SessionSettings(region="us-east-1", profile="elsewhere")).credentials_end()
