from __future__ import annotations

import pytest

from mailkit.errors import MessageError
from mailkit.list_unsubscribe import ListUnsubscribe

_HTTPS = "https://example.com/u/1?a=b&c=%20d#e"
_MAILTO = "mailto:leave@example.com?subject=unsubscribe%20me"


@pytest.mark.parametrize("target", [_HTTPS, _MAILTO, "HTTPS://x.test", "https://x.test:8443", "https://[2001:db8::1]/"])
def test_one_url_may_be_a_str(target: str) -> None:
    """A single https or mailto URL is taken, with or without angle brackets."""
    assert ListUnsubscribe(target).targets == (target,)
    assert ListUnsubscribe([f"<{target}>"]).targets == (target,)


def test_several_keep_their_order() -> None:
    """The targets stand in the order in which they were given."""
    assert ListUnsubscribe(iter([_MAILTO, _HTTPS])).targets == (_MAILTO, _HTTPS)


@pytest.mark.parametrize(
    "target",
    ["", "example.com", "http://example.com/", "ftp://example.com/", "javascript:alert(1)", "https://", "https:///path",
     "https://:443/", "https://user:password@example.com/", "mailto:", "mailto:nobody", "mailto:a@b,c@d",
     "mailto:a@b?subject=x%0D%0ABcc:c@d", "mailto:a@b?x=%7f", "https://example.com/ü", "https://example.com/a b",
     "https://example.com/\r\nBcc: x", "<mailto:u@x.test> (comment)", "https://x.test/<y>",
     "https://x.test/" + "a" * 900],
)  # fmt: skip
def test_what_is_no_way_out_of_a_list_is_refused(target: str) -> None:
    """Other schemes, credentials, control characters and what is no URL are refused."""
    with pytest.raises(MessageError, match="list_unsubscribe"):
        ListUnsubscribe.coerce(target)


@pytest.mark.parametrize("targets", [[], None, 3, b"https://x.test/", {"https://x.test/": 1}, [None]])
def test_what_is_no_text_is_refused(targets: object) -> None:
    """Targets are a str or an iterable of str, and one at least."""
    with pytest.raises(MessageError, match=r"^list_unsubscribe "):
        ListUnsubscribe(targets)  # type: ignore[arg-type]


def test_one_click_needs_https() -> None:
    """One-click is a POST, so that it needs an https target (RFC 8058)."""
    assert ListUnsubscribe([_MAILTO, _HTTPS], one_click=True).one_click
    with pytest.raises(MessageError, match="one_click needs an https target"):
        ListUnsubscribe(_MAILTO, one_click=True)


def test_one_click_is_a_bool() -> None:
    """Words such as "no" are not taken for yes."""
    with pytest.raises(MessageError, match=r"^one_click has to be a bool, not of type str$"):
        ListUnsubscribe(_HTTPS, one_click="no")  # type: ignore[arg-type]


def test_coerce_reads_a_header_field() -> None:
    """The text of a List-Unsubscribe field is taken apart; a value stays the same object."""
    value = ListUnsubscribe.coerce(f"<{_HTTPS}>, <{_MAILTO}>")
    assert value.targets == (_HTTPS, _MAILTO)
    assert ListUnsubscribe.coerce(value) is value
    assert ListUnsubscribe.coerce([_HTTPS]).targets == (_HTTPS,)
