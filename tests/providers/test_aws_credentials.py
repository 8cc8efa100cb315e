"""Credentials from AWS's standard chain."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore import exceptions
from botocore.session import Session
from botocore.utils import ContainerMetadataFetcher
from tests.http_server import Answer, HTTPServer
from tests.providers.aws import aws_role

from mailkit.errors import AuthenticationError, ConfigurationError, DeliveryError, MailkitError, TransientError
from mailkit.providers import SES
from mailkit.providers.aws_credentials import AccessKey, CredentialChain
from mailkit.secret import Secret
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_aws")


def _shown(key: AccessKey) -> tuple[str, str, str | None]:
    return key.reveal(), key.secret.reveal(), None if key.session_token is None else key.session_token.reveal()


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables come first."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ENV-secret")
    assert _shown(CredentialChain().current()) == ("ENV", "ENV-secret", None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "ENV-token")
    key = CredentialChain().current()
    assert _shown(key) == ("ENV", "ENV-secret", "ENV-token")
    assert [each.reveal() for each in key.companions] == ["ENV-secret", "ENV-token"]


def test_profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile's keys and region are those of the shared files; a profile that was chosen goes before variables."""
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = D\n"
        "[mail]\naws_access_key_id = MAIL\naws_secret_access_key = M\naws_session_token = T\n",
        encoding="utf-8",
    )
    (tmp_path / "config").write_text("[profile mail]\nregion = eu-north-1\n", encoding="utf-8")
    assert _shown(CredentialChain().current()) == ("DEFAULT", "D", None)
    assert CredentialChain().region() is None
    chain = CredentialChain("mail")
    assert _shown(chain.current()) == ("MAIL", "M", "T")
    assert SES(profile="mail").endpoint == "https://email.eu-north-1.amazonaws.com"
    assert transport_from_url("ses://default?profile=mail") == SES(profile="mail") != SES(region="eu-north-1")
    monkeypatch.setenv("AWS_PROFILE", "mail")
    assert _shown(CredentialChain().current()) == ("MAIL", "M", "T")
    assert SES().region == "eu-north-1"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ENV-secret")
    assert CredentialChain().current().reveal() == "ENV"
    assert CredentialChain("default").current().reveal() == "DEFAULT"


def test_a_containers_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role's credentials are asked for once, and again only when they are about to expire."""
    until = [datetime.now(UTC) + timedelta(hours=1)]
    with HTTPServer(lambda _: Answer(200, aws_role(f"ROLE-{len(server.requests)}", until[0]))) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.port}/role")
        chain = CredentialChain()
        assert _shown(chain.current()) == _shown(chain.current())
        first = len(server.requests)
        assert first == 1
        until[0] = datetime.now(UTC) + timedelta(seconds=30)
        chain = CredentialChain()
        assert _shown(chain.current()) != _shown(chain.current())


def test_a_source_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that cannot be had at the moment are an error of the moment."""
    monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    with HTTPServer(lambda _: Answer(500, b"secret-9x")) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.port}/role")
        with pytest.raises(TransientError) as caught:
            CredentialChain().current()
    assert (caught.value.outcome, caught.value.cause) == ("not_sent", "transient")
    assert "secret-9x" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_nothing_is_found() -> None:
    """Without credentials, a profile or a region, the error says what is missing."""
    with pytest.raises(ConfigurationError, match="no AWS credentials: set AWS_ACCESS_KEY_ID"):
        CredentialChain().current()
    with pytest.raises(ConfigurationError, match="ProfileNotFound"):
        CredentialChain("nobody").current()
    with pytest.raises(ConfigurationError, match="ProfileNotFound"):
        SES(profile="nobody")
    with pytest.raises(ConfigurationError, match="wants a region"):
        SES()


def test_an_empty_profile(tmp_path: Path) -> None:
    """A profile without credentials is named."""
    (tmp_path / "config").write_text("[profile mail]\nregion = eu-north-1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="in the profile 'mail'"):
        CredentialChain("mail").current()


def _denied(status: int) -> exceptions.ClientError:
    return exceptions.ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "AssumeRole")


@pytest.mark.parametrize(
    ("raised", "error", "cause"),
    [
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), ConfigurationError, None),
        (exceptions.ConfigParseError(path="x", error="y"), ConfigurationError, None),
        (exceptions.InfiniteLoopConfigError(source_profile="x", visited_profiles=[]), ConfigurationError, None),
        (exceptions.UnauthorizedSSOTokenError(), AuthenticationError, "configuration"),
        (exceptions.LoginTokenLoadError(error_msg="x"), AuthenticationError, "configuration"),
        (_denied(403), AuthenticationError, "configuration"),
        (_denied(429), TransientError, "transient"),
        (_denied(503), TransientError, "transient"),
        (exceptions.ClientError({}, "AssumeRole"), TransientError, "transient"),
        (exceptions.ConnectTimeoutError(endpoint_url="x"), TransientError, "transient"),
        (RuntimeError("Credentials were refreshed, but are still expired."), TransientError, "transient"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_goes_wrong(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, error: type[MailkitError], cause: str | None
) -> None:
    """Wrong settings, denied logins and passing troubles are told apart by the class of what botocore raises."""

    def fail(_: Any) -> None:
        raise raised

    monkeypatch.setattr(Session, "get_credentials", fail)
    with pytest.raises(error) as caught:
        CredentialChain().current()
    assert type(raised).__name__ in str(caught.value)
    if isinstance(caught.value, DeliveryError):
        assert (caught.value.outcome, caught.value.cause) == ("not_sent", cause)


def test_without_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named with the command that installs it, when the transport is made."""
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mailkit-sdk\[ses\]'"):
        SES(region="eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ENV-secret")
    assert SES(region="eu-west-1").key is not None


def test_nothing_is_shown() -> None:
    """Neither the chain nor what comes out of it shows a secret."""
    assert repr(CredentialChain("mail")) == "CredentialChain('mail')"
    key = AccessKey("AKID", Secret("SECRET"), Secret("TOKEN"))
    assert f"{key} {key!r} {key.companions}" == "*** Secret('***') (Secret('***'), Secret('***'))"
