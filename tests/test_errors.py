from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from mailkit import errors
from mailkit.errors import (
    AddressError,
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DeliveryError,
    DeliveryTimeout,
    MailkitError,
    MessageError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitedError,
    RejectedError,
    TLSError,
    TransientError,
    UnsupportedFeatureError,
)
from mailkit.receipt import RecipientResult
from mailkit.reply import Reply

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, MailkitError)]
DELIVERY = [kind for kind in CLASSES if issubclass(kind, DeliveryError)]

FACTS = {
    "outcome": "unknown",
    "cause": "throttled",
    "phase": "content",
    "retry_after": 12.5,
    "recipients": (RecipientResult("bob@example.org", status="unknown"),),
    "reply": Reply(451, "later", enhanced_code="4.3.0"),
    "transport": "smtp://mail.example.com:587",
    "attempts": 3,
    "message_id": "1@example.com",
    "idempotent": True,
}


def _drawn_tree() -> dict[str, tuple[str, str | None]]:
    """Read the module's docstring: each class with its parent and its second base, if it has one."""
    tree: dict[str, tuple[str, str | None]] = {}
    path: list[str] = []
    for line in (inspect.getdoc(errors) or "").splitlines():
        match = re.fullmatch(r"(?P<indent>[ │├└─]*)(?P<name>[A-Z]\w+)(?: \((?P<base>\w+)\))?(?:  +.*)?", line)
        if match is None or not (match["indent"].startswith("    ") or match["name"] == "MailkitError"):
            continue
        depth = (len(match["indent"]) - 4) // 4
        del path[depth:]
        if path:
            tree[match["name"]] = (path[-1], match["base"])
        path.append(match["name"])
    return tree


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    """Each class hangs in the drawing under its base class, with its second base in parentheses."""
    real = {}
    for kind in CLASSES:
        first, *others = kind.__bases__
        if kind is not MailkitError:
            real[kind.__name__] = (first.__name__, others[0].__name__ if others else None)
    assert _drawn_tree() == real


def test_every_class_is_public() -> None:
    """``__all__`` names every class of the tree."""
    assert {kind.__name__ for kind in CLASSES} <= set(errors.__all__)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigurationError, ValueError),
        (MessageError, ValueError),
        (AddressError, ValueError),
        (UnsupportedFeatureError, ValueError),
        (ConnectError, ConnectionError),
        (DeliveryTimeout, TimeoutError),
    ],
)
def test_what_python_has_a_word_for_is_caught_by_it(kind: type[Exception], builtin: type[Exception]) -> None:
    """Who only knows the builtin exceptions catches these too."""
    assert issubclass(kind, builtin)


def _clone(error: MailkitError, how: str) -> MailkitError:
    clones = {
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
        **{f"pickle {protocol}": lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
           for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
    }  # fmt: skip
    clone: MailkitError = clones[how](error)
    return clone


HOW = ["copy", "deepcopy", *(f"pickle {protocol}" for protocol in range(pickle.HIGHEST_PROTOCOL + 1))]


def test_no_fact_is_left_out_here() -> None:
    """An attribute that a delivery error gains is among those that have to survive."""
    assert set(inspect.signature(DeliveryError).parameters) == {"message", *FACTS}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", DELIVERY)
def test_a_delivery_error_survives_copying_and_pickling(kind: type[DeliveryError], how: str) -> None:
    """Every attribute of every delivery error is the same in a copy, as process pools and task queues make them."""
    error = kind("what happened", **FACTS)  # type: ignore[arg-type]
    clone = _clone(error, how)
    assert type(clone) is kind
    assert str(clone) == "what happened"
    assert {name: getattr(clone, name) for name in FACTS} == FACTS


@pytest.mark.parametrize("how", HOW)
def test_the_other_errors_survive_copying_and_pickling(how: str) -> None:
    """So are the attributes of errors about values."""
    address = _clone(AddressError("no", value="a@", position=2), how)
    assert isinstance(address, AddressError)
    assert (str(address), address.value, address.position) == ("no", "a@", 2)
    feature = _clone(UnsupportedFeatureError("no", feature="amp", transport="acme://"), how)
    assert isinstance(feature, UnsupportedFeatureError)
    assert (str(feature), feature.feature, feature.transport) == ("no", "amp", "acme://")
    for kind in (MailkitError, ConfigurationError, MessageError):
        assert str(_clone(kind("why"), how)) == "why"


@pytest.mark.parametrize(
    ("kind", "outcome", "cause", "retryable"),
    [
        (DeliveryError, "not_sent", "transient", True),
        (ConnectError, "not_sent", "transient", True),
        (DeliveryTimeout, "not_sent", "transient", True),
        (ProtocolError, "not_sent", "transient", True),
        (TLSError, "not_sent", "security", False),
        (AuthenticationError, "not_sent", "configuration", False),
        (RateLimitedError, "not_sent", "throttled", True),
        (TransientError, "deferred", "transient", True),
        (RejectedError, "rejected", None, False),
        (OutcomeUnknownError, "unknown", None, False),
    ],
)
def test_what_a_class_says_by_itself(
    kind: type[DeliveryError], outcome: str, cause: str | None, *, retryable: bool
) -> None:
    """Each class has an outcome, a cause and therefore an answer to "may I send it again?" of its own."""
    error = kind("why")
    assert (error.outcome, error.cause, error.retryable) == (outcome, cause, retryable)


@pytest.mark.parametrize("cause", ["transient", "throttled", "security", "configuration"])
@pytest.mark.parametrize("outcome", ["not_sent", "deferred", "rejected", "unknown"])
@pytest.mark.parametrize("kind", DELIVERY)
def test_only_outcome_and_cause_decide_about_retrying(kind: type[DeliveryError], outcome: str, cause: str) -> None:
    """Whatever its class, an error is retryable if nobody was accepted and the cause may pass by itself."""
    error = kind("why", outcome=outcome, cause=cause)  # type: ignore[arg-type]
    assert error.retryable == (outcome in {"not_sent", "deferred"} and cause in {"transient", "throttled"})


@pytest.mark.parametrize("outcome", ["not_sent", "deferred", "rejected", "unknown"])
def test_an_idempotency_key_makes_a_doubt_retryable(outcome: str) -> None:
    """Where the other side itself sees to it that there is no second copy; of a rejection it changes nothing."""
    error = DeliveryError("why", outcome=outcome, cause="security", idempotent=True)  # type: ignore[arg-type]
    assert error.retryable == (outcome == "unknown")


def test_an_outcome_that_may_pass_always_has_a_cause() -> None:
    """A RejectedError that says "deferred" after all is retryable: a cause is filled in where one is needed."""
    error = RejectedError("busy", outcome="deferred")
    assert (error.cause, error.retryable) == ("transient", True)
    assert RejectedError("no").cause is None


def test_an_error_without_details_has_the_defaults() -> None:
    """Only what was said is said: no recipients, no reply, one attempt."""
    error = DeliveryError()
    assert str(error) == ""
    assert (error.phase, error.retry_after, error.recipients, error.reply) == (None, None, (), None)
    assert (error.transport, error.attempts, error.message_id) == (None, 1, None)


def test_recipients_may_be_any_iterable() -> None:
    """A generator of results is kept as a tuple, so that it can be read twice."""
    results = (RecipientResult(address, status="deferred") for address in ("a@example.com", "b@example.com"))
    error = TransientError("later", recipients=results)
    assert [result.address for result in error.recipients] == ["a@example.com", "b@example.com"]
    assert isinstance(error.recipients, tuple)


def test_address_errors_have_defaults() -> None:
    """Where no place can be named there is none."""
    assert (AddressError("no").value, AddressError("no").position) == ("", None)
    assert (UnsupportedFeatureError("no").feature, UnsupportedFeatureError("no").transport) == ("", "")
