"""Where mailkit differs from what Django's own tests expect, each with its reason.

A test that stands here and passes is a failure: its reason has gone.
"""

from __future__ import annotations

from typing import Final

import django

_TRANSFER = "mailkit chooses the transfer encoding for the server, and as_bytes() writes for one without 8BITMIME"
_UTF8 = "mailkit writes every text in UTF-8: what it says is the same, and each reader knows it"
_LINE_END = "a text that ends within a line gets a line end: SMTP adds it anyway (RFC 5321 §4.1.1.4)"
_MAILBOX = "an address is a whole mailbox (RFC 5321 §4.1.2): a name without a domain means another one on each server"
_IDENTIFIER = "the test's Message-ID is 'foo', which is none (RFC 5322 §3.6.4)"
_NOBODY = "the message has no recipient; Django writes it all the same, and does not send it either"
_WORDS = "mailkit's error has words of its own; it is a ValueError, before any I/O, as Django's is"
_IDNA = "the test's domain is not valid under IDNA 2008, which registries go by; Django asks punycode alone"
_POLICY = "the test asks for a policy of the standard library; mailkit writes for what the server can take"
_OBJECT = "the test compares objects, and ours have been written and read again"

MESSAGE_DIFFERENCES: Final = {
    "test_address_header_handling": _IDNA,
    "test_address_header_injection": _WORDS,
    "test_alternative_alternatives": _NOBODY,
    "test_attach_8bit_rfc822_message_non_ascii": "an attached message with 8-bit lines can stand in a 7-bit message as"
    " a file only: message/rfc822 may not be encoded (RFC 2046 §5.2.1), and Django encodes it",
    "test_bcc_in_headers_raises_error": _WORDS,
    "test_body_content_transfer_encoding": _TRANSFER,
    "test_decoded_attachment_text_MIMEPart": _OBJECT,
    "test_encoding": _UTF8,
    "test_encoding_alternatives": _UTF8,
    "test_header_injection": _WORDS,
    "test_lazy_addresses": _MAILBOX,
    "test_lazy_headers": "the test's List-Unsubscribe is no URL (RFC 2369 §2)",
    "test_localpart_only_address": _MAILBOX,
    "test_message_header_overrides": _IDENTIFIER,
    "test_message_policy_cte_7bit": _POLICY,
    "test_message_policy_smtputf8": _POLICY,
    "test_mime_structure": "an HTML body alone is text/html, and no alternative to nothing",
    "test_non_ascii_dns_non_unicode_email": "the Message-ID has the author's domain, and not this machine's name",
    "test_non_utf8_headers_multipart": _IDENTIFIER,
    "test_to_in_headers_only": _NOBODY,
}
"""Tests of Django's messages."""

BACKEND_DIFFERENCES: Final = {
    "test_lazy_addresses": _MAILBOX,
    "test_recipient_without_domain": _MAILBOX,
    "test_unknown_kwargs_ignored": "an option that nobody reads is an error: it may be one that somebody misspelt",
}
"""Tests of Django's backends."""

if django.VERSION < (6,):  # which wrote with the standard library's older means
    MESSAGE_DIFFERENCES |= {
        "test_ascii": _LINE_END,
        "test_custom_utf8_encoding": _TRANSFER,
        "test_decoded_attachments_MIMEText": _OBJECT,
        "test_folding_white_space": "lines are folded at another space; unfolded they are the same",
        "test_multiple_recipients": _LINE_END,
        "test_nonascii_as_string_with_ascii_charset": "the text holds half a character",
        "test_none_body": _LINE_END,
        "test_unicode_address_header": "lines are folded at another space; unfolded they are the same",
    }
    BACKEND_DIFFERENCES["test_send_long_lines"] = _TRANSFER
