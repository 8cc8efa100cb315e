"""The test server's own replies (RFC 5321 §4.2.3), with the enhanced status codes of RFC 3463."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["without_enhanced_code"]

HELP: Final = b"214 2.0.0 https://www.rfc-editor.org/rfc/rfc5321\r\n"
READY_FOR_TLS: Final = b"220 2.0.0 Ready to start TLS\r\n"
BYE: Final = b"221 2.0.0 Bye\r\n"
AUTHENTICATED: Final = b"235 2.7.0 Authentication succeeded\r\n"
OK: Final = b"250 2.0.0 OK\r\n"
SENDER_OK: Final = b"250 2.1.0 OK\r\n"
RECIPIENT_OK: Final = b"250 2.1.5 OK\r\n"
CANNOT_VERIFY: Final = b"252 2.0.0 Cannot verify, will try\r\n"
START_INPUT: Final = b"354 End data with <CR><LF>.<CR><LF>\r\n"
TOO_MANY_MESSAGES: Final = b"421 4.7.0 Too many messages on this connection\r\n"
TOO_MANY_RECIPIENTS: Final = b"452 4.5.3 Too many recipients\r\n"
UNKNOWN_COMMAND: Final = b"500 5.5.2 Command not recognised\r\n"
LINE_TOO_LONG: Final = b"500 5.5.2 Line too long\r\n"
NOT_PRINTABLE: Final = b"500 5.5.2 Control or non-ASCII character in a command\r\n"
CANCELLED: Final = b"501 5.7.0 Authentication cancelled\r\n"
NOT_BASE64: Final = b"501 5.5.2 Not base64, or not what the mechanism expects\r\n"
NO_ARGUMENT: Final = b"501 5.5.4 No argument allowed\r\n"
ARGUMENT_MISSING: Final = b"501 5.5.4 Argument missing\r\n"
NOT_IMPLEMENTED: Final = b"502 5.5.1 Not implemented\r\n"
GREET_FIRST: Final = b"503 5.5.1 Say hello first\r\n"
NESTED_MAIL: Final = b"503 5.5.1 A transaction is open already\r\n"
MAIL_FIRST: Final = b"503 5.5.1 MAIL first\r\n"
BDAT_OPEN: Final = b"503 5.5.1 Chunks have begun: BDAT or RSET\r\n"
BDAT_BROKEN: Final = b"503 5.5.1 A chunk was refused: RSET\r\n"
BINARY_NEEDS_BDAT: Final = b"503 5.5.1 BODY=BINARYMIME needs BDAT\r\n"
NO_RECIPIENTS_LMTP: Final = b"503 5.5.1 No valid recipients\r\n"
TLS_ACTIVE: Final = b"503 5.5.1 TLS is active already\r\n"
NO_AUTH_NOW: Final = b"503 5.5.1 AUTH is not possible now\r\n"
UNKNOWN_MECHANISM: Final = b"504 5.5.4 Mechanism not offered\r\n"
BARE_LINE_FEED: Final = b"521 5.5.2 Bare <LF> received, closing\r\n"
AUTH_REQUIRED: Final = b"530 5.7.0 Authentication required\r\n"
TLS_REQUIRED: Final = b"530 5.7.10 REQUIRETLS needs TLS\r\n"
BAD_CREDENTIALS: Final = b"535 5.7.8 Authentication credentials invalid\r\n"
ENCRYPT_FIRST: Final = b"538 5.7.11 Encryption required for AUTH\r\n"
TOO_LARGE: Final = b"552 5.3.4 Message too large\r\n"
NOT_ASCII: Final = b"553 5.6.7 Address needs SMTPUTF8\r\n"
NO_RECIPIENTS: Final = b"554 5.5.1 No valid recipients\r\n"

_ENHANCED: Final = re.compile(rb"(?m)^([0-9]{3}[ -])[245]\.[0-9]{1,3}\.[0-9]{1,3} ")


def without_enhanced_code(reply: bytes) -> bytes:
    """Take the enhanced status code out of each line of a reply."""
    return _ENHANCED.sub(rb"\1", reply)
