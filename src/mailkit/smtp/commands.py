"""One encoder at the wire: every SMTP command line is made here, and checked here as a whole.

Each function returns the bytes of exactly one command line. What its arguments may be is checked where they
are written; beyond that, :func:`_line` looks at the finished line once more, so that no value, whoever
validated it, becomes a second command.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from mailkit.errors import AddressError, ConfigurationError, MailkitError, MessageError
from mailkit.smtp.greeting_name import check_ehlo_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mailkit.address import Address

__all__ = [
    "MAX_AUTH",
    "MAX_COMMAND",
    "auth",
    "auth_response",
    "bdat",
    "data",
    "ehlo",
    "helo",
    "lhlo",
    "mail",
    "noop",
    "quit",
    "rcpt",
    "rset",
    "starttls",
    "xtext",
]

Body = Literal["7BIT", "8BITMIME", "BINARYMIME"]
Return = Literal["FULL", "HDRS"]
Notify = Literal["NEVER", "SUCCESS", "FAILURE", "DELAY"]

MAX_COMMAND: Final = 2_048
"""Bytes of a command line. RFC 5321 §4.5.3.1.4 says 512; SIZE, BODY, SMTPUTF8, AUTH and DSN parameters each
allow more, together less than this, which is what Postfix reads."""

MAX_AUTH: Final = 12_288
"""Bytes of an AUTH line with its initial response, and of every later response (RFC 4954 §4)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")  # sasl-mech, RFC 4422 §3.1
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")  # esmtp-keyword, RFC 5321 §4.1.2
# What may go up to U+10FFFF is given by what it leaves out: else it would take milliseconds to compile, at each import.
_VALUE = re.compile(r"[^\x00- =\x7f-\x9f]+")  # esmtp-value, RFC 5321 §4.1.2, RFC 6531 §3.3
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
# RFC 3461 §4; beyond it "<" and ">", which a careless server could take for the end of the path before them.
_NOT_XCHAR = re.compile(r"[^!-*,-;?-~]")
_PRINTABLE = re.compile(r"[ -~]+")
_ADDR_TYPE = re.compile(r"[A-Za-z0-9-]+")  # atom, as IANA registers address types

_ATEXT = r'[^\x00- "(),.:;<>@\[\\\]\x7f-\x9f]+'
# Mailbox, RFC 5321 §4.1.2: the path ends at its ">", because none can stand before it outside the quotes.
_MAILBOX = re.compile(
    rf'(?:{_ATEXT}(?:\.{_ATEXT})*|"(?:[^\x00-\x1f"\\\x7f-\x9f]|\\[ -~])*")'
    r"@(?:[^\x00-/:-@\[-`{-\x9f][^\x00-,/:-@\[-`{-\x9f]*|\[[A-Za-z0-9.:-]+\])"
)


def ehlo(name: str) -> bytes:
    r"""Greet as `name` and ask for the extensions (RFC 5321 §4.1.1.1).

    Raises:
        ConfigurationError: `name` is neither a domain nor an address literal.
    """
    return _line(ConfigurationError, "EHLO", check_ehlo_name(name))


def helo(name: str) -> bytes:
    """Greet as `name` a server that knows no extensions (RFC 5321 §4.1.1.1). Raises as :func:`ehlo`."""
    return _line(ConfigurationError, "HELO", check_ehlo_name(name))


def lhlo(name: str) -> bytes:
    """Greet as `name` an LMTP server (RFC 2033 §4.1). Raises as :func:`ehlo`."""
    return _line(ConfigurationError, "LHLO", check_ehlo_name(name))


def starttls() -> bytes:
    """Ask for TLS (RFC 3207 §4)."""
    return b"STARTTLS\r\n"


def auth(mechanism: str, initial: bytes | None = None) -> bytes:
    """Begin to authenticate (RFC 4954 §4).

    Args:
        mechanism: The SASL mechanism, in upper case.
        initial: The initial response, base64-encoded as :meth:`mailkit.smtp.auth.Mechanism.initial` returns
            it; ``b"="`` is an empty one.

    Raises:
        ConfigurationError: One of them is malformed, or the line is too long.
    """
    if not _MECHANISM.fullmatch(mechanism):
        raise ConfigurationError(f"{mechanism!r} is no SASL mechanism: write it as in 'SCRAM-SHA-256'")
    if initial is None:
        return _line(ConfigurationError, "AUTH", mechanism)
    return _line(ConfigurationError, "AUTH", mechanism, _base64(initial), limit=MAX_AUTH)


def auth_response(response: bytes) -> bytes:
    """Answer a challenge (RFC 4954 §4) with a base64-encoded response, or cancel with ``b"*"``.

    Raises:
        ConfigurationError: It is not base64, or too long.
    """
    text = "*" if response == b"*" else _base64(response)
    return _line(ConfigurationError, text, limit=MAX_AUTH)


def mail(
    address: Address | None,
    *,
    size: int | None = None,
    body: Body | None = None,
    smtputf8: bool = False,
    ret: Return | None = None,
    envid: str | None = None,
    auth: str | None = None,
    parameters: Mapping[str, str | None] | None = None,
) -> bytes:
    """Begin a transaction (RFC 5321 §4.1.1.2).

    Args:
        address: The reverse-path; None is the null one, ``<>``.
        size: Bytes of the message (RFC 1870).
        body: What kind of octets it has (RFC 6152, RFC 3030).
        smtputf8: Whether the message or its envelope needs SMTPUTF8 (RFC 6531).
        ret: How much of it a failure notification returns (RFC 3461 §4.3).
        envid: An identifier that notifications repeat, printable ASCII, at most 100 characters (RFC 3461
            §4.4).
        auth: Who submitted it first: an address, or ``"<>"`` for "not known" (RFC 4954 §5).
        parameters: Other ESMTP parameters: keyword to value, None for a keyword alone.

    Raises:
        MessageError: One of them is malformed, repeated, or needs SMTPUTF8 without it.
    """
    words: dict[str, str | None] = {}
    if size is not None:
        words["SIZE"] = str(_count(size, "size"))
    if body is not None:
        words["BODY"] = _one_of(body, ("7BIT", "8BITMIME", "BINARYMIME"), "body")
    if smtputf8:
        words["SMTPUTF8"] = None
    if ret is not None:
        words["RET"] = _one_of(ret, ("FULL", "HDRS"), "ret")
    if envid is not None:
        if len(envid) > 100:
            raise MessageError(f"envid has {len(envid):,} characters: shorten it to 100 (RFC 3461 §4.4)")
        words["ENVID"] = xtext(envid)
    if auth is not None:
        words["AUTH"] = "<>" if auth == "<>" else xtext(auth)
    return _transaction("MAIL", f"FROM:{_path(address)}", words, parameters, smtputf8=smtputf8)


def rcpt(
    address: Address,
    *,
    smtputf8: bool = False,
    notify: Iterable[Notify] | None = None,
    orcpt: str | None = None,
    parameters: Mapping[str, str | None] | None = None,
) -> bytes:
    """Name a recipient (RFC 5321 §4.1.1.3).

    Args:
        address: The forward-path.
        smtputf8: Whether MAIL said SMTPUTF8, so that the path may hold UTF-8 (RFC 6531).
        notify: When to notify the sender: ``"NEVER"`` alone, or any of the others (RFC 3461 §4.1).
        orcpt: The original recipient as ``type;address``, such as ``"rfc822;ann@example.com"`` (RFC 3461
            §4.2).
        parameters: Other ESMTP parameters: keyword to value, None for a keyword alone.

    Raises:
        MessageError: One of them is malformed, repeated, or needs SMTPUTF8 without it.
    """
    words: dict[str, str | None] = {}
    if notify is not None:
        words["NOTIFY"] = _notify(notify)
    if orcpt is not None:
        kind, _, original = orcpt.partition(";")
        if not _ADDR_TYPE.fullmatch(kind):
            raise MessageError(f"orcpt={orcpt!r} has no type: write it as in 'rfc822;ann@example.com'")
        words["ORCPT"] = f"{kind};{xtext(original)}"
    return _transaction("RCPT", f"TO:{_path(address)}", words, parameters, smtputf8=smtputf8)


def data() -> bytes:
    """Announce the message, to be ended by a dot (RFC 5321 §4.1.1.4)."""
    return b"DATA\r\n"


def bdat(size: int, *, last: bool) -> bytes:
    """Announce a chunk of `size` bytes, the last one or not (RFC 3030 §2).

    Raises:
        MessageError: `size` is not a whole number of bytes.
    """
    return _line(MessageError, "BDAT", str(_count(size, "size")), *(("LAST",) if last else ()))


def rset() -> bytes:
    """Abandon the transaction (RFC 5321 §4.1.1.5)."""
    return b"RSET\r\n"


def noop() -> bytes:
    """Ask for nothing but a reply (RFC 5321 §4.1.1.9)."""
    return b"NOOP\r\n"


def quit() -> bytes:  # noqa: A001 - the wire's verb
    """Say goodbye (RFC 5321 §4.1.1.10)."""
    return b"QUIT\r\n"


def xtext(value: str) -> str:
    """Encode `value` for an ESMTP parameter (RFC 3461 §4): what may not stand there becomes ``+XX``.

    Example:
        >>> xtext("a b+c=d")
        'a+20b+2Bc+3Dd'

    Raises:
        MessageError: It is empty, or holds something else than printable ASCII, which no receiver has to
            accept.
    """
    if not _PRINTABLE.fullmatch(value):
        raise MessageError(f"{value!r} cannot be an SMTP parameter: give printable ASCII text")
    return _NOT_XCHAR.sub(lambda match: f"+{ord(match[0]):02X}", value)


def _transaction(
    verb: str,
    path: str,
    words: dict[str, str | None],
    parameters: Mapping[str, str | None] | None,
    *,
    smtputf8: bool,
) -> bytes:
    for keyword, value in (parameters or {}).items():
        if not _KEYWORD.fullmatch(keyword):
            raise MessageError(f"{keyword!r} is not an ESMTP keyword: use letters, digits and hyphens")
        if value is not None and not _VALUE.fullmatch(value):
            raise MessageError(f"{keyword}={value!r} is no ESMTP parameter: remove spaces, controls and '='")
        if keyword.upper() in words:
            raise MessageError(f"the {verb} parameter {keyword} is given twice: leave one out")
        words[keyword.upper()] = value
    arguments = [keyword if value is None else f"{keyword}={value}" for keyword, value in words.items()]
    return _line(MessageError, verb, path, *arguments, utf8=smtputf8)


def _path(address: Address | None) -> str:
    if address is None:
        return "<>"
    return _mailbox_path(address.addr_spec)


@lru_cache(maxsize=256)
def _mailbox_path(text: str) -> str:
    if not _MAILBOX.fullmatch(text):
        raise AddressError(f"{text!r} cannot stand in an SMTP path: parse it as an Address", value=text)
    return f"<{text}>"


def _notify(conditions: Iterable[Notify]) -> str:
    chosen = list(dict.fromkeys(conditions))
    for condition in chosen:
        _one_of(condition, ("NEVER", "SUCCESS", "FAILURE", "DELAY"), "notify")
    if not chosen or (len(chosen) > 1 and "NEVER" in chosen):
        raise MessageError(f"notify={chosen!r}: give 'NEVER' alone, or some of SUCCESS, FAILURE, DELAY")
    return ",".join(chosen)


def _one_of(value: str, known: tuple[str, ...], name: str) -> str:
    if value not in known:
        raise MessageError(f"{name}={value!r} is unknown: give one of {', '.join(known)}")
    return value


def _count(value: int, name: str) -> int:
    if isinstance(value, bool) or value < 0:
        raise MessageError(f"{name}={value!r} is not a number of bytes: give 0 or more")
    return value


def _base64(response: bytes) -> str:
    if not _BASE64.fullmatch(response):
        raise ConfigurationError("a SASL response has to be base64: encode it before it goes to the wire")
    return response.decode("ascii")


def _line(error: type[MailkitError], *words: str, limit: int = MAX_COMMAND, utf8: bool = False) -> bytes:
    """Write one command line. Every line with an argument passes here, and nothing else adds a line end."""
    text = " ".join(words)
    if len(text) + 2 <= limit and text.isascii() and text.isprintable():  # as nearly all are
        return text.encode("ascii") + b"\r\n"
    # No message repeats the whole line: that of AUTH is a secret.
    if wrong := _CONTROL.search(text):
        raise error(f"an SMTP command cannot hold {wrong[0]!r}, which would end or garble it: remove it")
    try:
        line = text.encode("utf-8" if utf8 else "ascii")
    except UnicodeEncodeError as cause:
        raise error(
            f"an SMTP command cannot hold {text[cause.start]!r}"
            + ("" if utf8 else " without SMTPUTF8: use an ASCII form, or a server that offers it")
        ) from None
    if len(line) + 2 > limit:
        raise error(f"an SMTP command of {len(line) + 2:,} bytes is too long: shorten it to {limit:,}")
    return line + b"\r\n"
