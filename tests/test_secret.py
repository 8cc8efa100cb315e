from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict as dataclass_asdict
from dataclasses import dataclass
from io import StringIO

import attrs
import pytest

from mailkit.secret import Secret

VALUE = "hunter2-Ünïcode"


def test_only_reveal_returns_it() -> None:
    """The wire gets the value itself."""
    assert Secret(VALUE).reveal() == VALUE


@pytest.mark.parametrize(
    "show",
    [
        repr, str, ascii, "{}".format, "{!r:>30}".format, "%s".__mod__, "%r".__mod__,
        lambda secret: str([secret]), lambda secret: str({"password": secret}), lambda secret: str(dir(secret)),
    ],
)  # fmt: skip
def test_no_way_of_showing_shows_it(show: object) -> None:
    """No repr, str or format contains the value."""
    assert callable(show)
    shown = show(Secret(VALUE))
    assert VALUE not in shown
    assert "hunter2" not in shown


def test_it_has_no_dict_to_look_into() -> None:
    """``vars`` and ``json`` find nothing."""
    with pytest.raises(TypeError):
        vars(Secret(VALUE))
    with pytest.raises(TypeError) as caught:
        json.dumps(Secret(VALUE))
    assert VALUE not in str(caught.value)


def test_logs_and_tracebacks_do_not_show_it() -> None:
    """A log record with the secret as its argument, and an exception about it, hold the mask."""
    stream = StringIO()
    logger = logging.Logger("secret")  # noqa: LOG001 - not shared with other tests
    logger.addHandler(logging.StreamHandler(stream))
    secret = Secret(VALUE)
    logger.debug("the password is %s, that is %r", secret, secret)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is what this is about
        raise ValueError(secret)
    trace = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert stream.getvalue() == "the password is ***, that is Secret('***')\n"
    assert "Secret('***')" in trace
    assert f"ValueError: {VALUE}" not in trace


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    """No queue, cache or process pool gets a copy, and the refusal says what to pass on instead."""
    with pytest.raises(TypeError, match="cannot be pickled: pass the URL") as caught:
        pickle.dumps({"password": Secret(VALUE)}, protocol)
    assert VALUE not in str(caught.value)


def test_copies_are_the_same_object() -> None:
    """Copying a configuration does not spread the value."""
    secret = Secret(VALUE)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_asdict_keeps_it_wrapped() -> None:
    """Turning a configuration into a dict leaves the secret masked."""

    @attrs.frozen
    class WithAttrs:
        password: Secret

    @dataclass
    class WithDataclass:
        password: Secret

    assert VALUE not in str(attrs.asdict(WithAttrs(Secret(VALUE))))
    assert VALUE not in str(dataclass_asdict(WithDataclass(Secret(VALUE))))


def test_equal_values_make_equal_secrets() -> None:
    """Two transports with the same password are equal; a plain text is never equal to a secret."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != "a"
    assert hash(Secret("a")) != hash("a")


def test_an_empty_secret_is_false() -> None:
    """An empty password counts as none where one asks for its truth."""
    assert not Secret("")
    assert Secret("x")


def test_coerce_wraps_once() -> None:
    """A str is wrapped, and a secret stays what it is."""
    secret = Secret(VALUE)
    assert Secret.coerce(secret) is secret
    assert Secret.coerce(VALUE) == secret
