"""Credentials from the places where AWS's own tools look for them: botocore knows them all, and when to look again.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from mailkit.errors import AuthenticationError, ConfigurationError, TransientError
from mailkit.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailkit.errors import MailkitError

__all__ = ["AccessKey", "CredentialChain"]

# What stays as it is until somebody changes a file or a variable.
_SETTINGS: Final = (
    "ConfigNotFound",
    "ConfigParseError",
    "InvalidConfigError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "UnknownCredentialError",
)
# What stays as it is until somebody logs in again.
_LOGINS: Final = ("LoginError", "RefreshWithMFAUnsupportedError", "SSOError", "TokenRetrievalError")

_TOO_MANY: Final = 429


class AccessKey(Secret):
    """The id of an access key, and what comes along with it.

    Example:
        >>> AccessKey("AKIDEXAMPLE", Secret("SECRET")).companions
        (Secret('***'),)

    Args:
        value: The id.
        secret: The secret access key.
        session_token: What comes along with temporary credentials.
    """

    __slots__ = ("secret", "session_token")

    def __init__(self, value: str, secret: Secret, session_token: Secret | None = None) -> None:
        super().__init__(value)
        self.secret: Secret = secret
        self.session_token: Secret | None = session_token

    @property
    def companions(self) -> tuple[Secret, ...]:
        """What must not be seen either."""
        return (self.secret,) if self.session_token is None else (self.secret, self.session_token)


class CredentialChain:
    """AWS's standard chain: environment, web identity, SSO, files with profiles, a container's or an instance's role.

    Args:
        profile: A profile of the shared files, instead of what the environment says.

    Raises:
        ConfigurationError: botocore is not installed.
    """

    def __init__(self, profile: str | None = None) -> None:
        if find_spec("botocore") is None:
            raise ConfigurationError(
                "there is no key, neither given nor in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; to look for one "
                "in profiles and roles, install botocore: pip install 'mailkit-sdk[ses]'"
            )
        self._profile = profile
        self._found: Any = None

    def __repr__(self) -> str:
        return f"CredentialChain({self._profile!r})"

    def region(self) -> str | None:
        """Return the region that the profile names; reads files.

        Raises:
            ConfigurationError: They cannot be read.
        """
        region: str | None = _asked(lambda: self._opened().get_config_variable("region"))
        return region

    def current(self) -> AccessKey:
        """Return what is valid now. It may read files and ask servers, and takes as long as that takes.

        Raises:
            ConfigurationError: There are no credentials, or a file or a variable is wrong.
            AuthenticationError: Somebody has to log in, or AWS denies them.
            TransientError: Who has them does not answer as it should.
        """
        frozen = _asked(self._frozen)
        if frozen is None:
            where = "" if self._profile is None else f" in the profile {self._profile!r}"
            raise ConfigurationError(
                f"there are no AWS credentials{where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a "
                "profile, or give the container or the instance a role"
            )
        token = None if frozen.token is None else Secret(frozen.token)
        return AccessKey(frozen.access_key, Secret(frozen.secret_key), token)

    def _opened(self) -> Any:
        # Each thread that looks has a session for itself: no two may share one. What it finds, they may.
        return import_module("botocore.session").Session(profile=self._profile)

    def _frozen(self) -> Any:
        if self._found is None:
            self._found = self._opened().get_credentials()
        # Those that expire ask for new ones in time, by themselves.
        return None if self._found is None else self._found.get_frozen_credentials()


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - botocore documents none of the ones that its parts raise
        # Its text is not shown: a program that was asked for credentials may have said anything.
        raise _meaning(error) from None


def _meaning(error: Any) -> MailkitError:
    exceptions = import_module("botocore.exceptions")
    kind = type(error).__name__
    if isinstance(error, tuple(getattr(exceptions, name) for name in _SETTINGS)):
        return ConfigurationError(f"AWS's settings cannot be used ({kind}): check the profile, its file and variables")
    denied = isinstance(error, exceptions.ClientError) and _is_final(error)
    if denied or isinstance(error, tuple(getattr(exceptions, name) for name in _LOGINS)):
        return AuthenticationError(
            f"AWS gives no credentials ({kind}): log in again, or check what the role may do",
            outcome="not_sent",
            cause="configuration",
            phase="request",
        )
    return TransientError(
        f"there are no valid AWS credentials at the moment ({kind}): see that their source answers, and try again",
        outcome="not_sent",
        cause="transient",
        phase="request",
    )


def _is_final(error: Any) -> bool:
    # A service was asked for a role's credentials: 429 and 5xx may pass.
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 400 <= status <= 499 and status != _TOO_MANY
