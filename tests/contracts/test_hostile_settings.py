"""What becomes a command line or decides where one goes: no setting adds a second one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.contracts.rows import of_area

from mailkit.address import Address
from mailkit.envelope import Envelope
from mailkit.errors import ConfigurationError, MailkitError, MessageError
from mailkit.mailer import Mailer
from mailkit.message import Message
from mailkit.policies.retry import RetryPolicy
from mailkit.providers import Postmark
from mailkit.proxy import Proxy
from mailkit.proxy.destination import authority
from mailkit.smtp import SMTP, commands
from mailkit.testing import SMTPServer
from mailkit.transport_url import TransportURL
from mailkit.url import transport_from_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.contracts.rows import Row

ADA = Address("ada@x.test")

# Each way in which a setting can be given, from the constructor down to the writer of the line.
SETTINGS: dict[str, list[Callable[[str], object]]] = {
    "ehlo_name": [
        lambda value: SMTP("mx.test", ehlo_name=value),
        commands.ehlo,
        commands.helo,
        commands.lhlo,
    ],
    "host": [
        SMTP,
        lambda value: SMTP("mx.test", server_hostname=value),
        lambda value: transport_from_url(f"smtp://{value}"),
        lambda value: TransportURL.parse(f"smtp://ada:secret@{value}:587"),
        lambda value: Proxy(scheme="http", host=value),
        lambda value: Postmark("TOKEN", host=value),
    ],
    "port": [
        lambda value: SMTP("mx.test", port=value),  # type: ignore[arg-type]
        lambda value: transport_from_url(f"smtp://mx.test:{value}"),
        lambda value: transport_from_url(f"smtp://ada:secret@mx.test:{value}"),
        lambda value: transport_from_url(f"lmtp://mx.test:{value}"),
        lambda value: transport_from_url(f"postmark://TOKEN@mx.test:{value}"),
    ],
    "proxy_dest": [
        lambda value: SMTP(value, proxy="http://127.0.0.1:3128"),
        lambda value: authority(value, 25),
        lambda value: authority(value.partition(":")[0] + "\r\nX-Injected: 1", 25),
    ],
    "auth_token": [
        lambda value: SMTP("mx.test", username="ada", token=value),
        Postmark,
    ],
    "mail_param": [
        lambda value: commands.mail(ADA, parameters=dict([value.split("=", 1)])),
        lambda value: commands.mail(ADA, parameters={value: None}),
        lambda value: commands.mail(ADA, envid=value),
        lambda value: commands.mail(ADA, auth=value),
        lambda value: _envelope({"submitter": value}),
    ],
    "rcpt_param": [
        lambda value: commands.rcpt(ADA, parameters=dict([value.split("=", 1)])),
        lambda value: commands.rcpt(ADA, parameters={value: None}),
        lambda value: commands.rcpt(ADA, notify=[value.partition("=")[2]]),  # type: ignore[list-item]
        lambda value: _envelope({"notify": value}),
        lambda value: _envelope({"recipients": {"bob@x.test": {"notify": value}}}),
    ],
    "dsn_orcpt": [
        lambda value: commands.rcpt(ADA, orcpt=value),
        lambda value: _envelope({"orcpt": value}),
        lambda value: _envelope({"recipients": {"bob@x.test": {"orcpt": value}}}),
    ],
    "dsn_ret": [
        lambda value: commands.mail(ADA, ret=value),  # type: ignore[arg-type]
        lambda value: _envelope({"ret": value}),
    ],
    "dsn_envid": [
        lambda value: commands.mail(ADA, envid=value),
        lambda value: _envelope({"envid": value}),
    ],
    "auth_user": [
        lambda value: SMTP("mx.test", username=value, password="secret"),
        lambda value: SMTP("mx.test", username=value, token="token"),
    ],
}


def _message(options: dict[str, Any]) -> Message:
    return Message(from_=ADA, to="bob@x.test", text="Hi", options={"smtp": options})


def _envelope(options: dict[str, Any]) -> list[bytes]:
    """Return the lines that SMTP writes for the envelope of a message with these options."""
    envelope = Envelope.from_message(_message(options))
    mail, rcpt = envelope.mail_parameters, envelope.parameters_for(envelope.rcpt_to[0])
    return [
        commands.mail(envelope.mail_from, ret=mail.ret, envid=mail.envid, auth=mail.submitter),
        commands.rcpt(envelope.rcpt_to[0], notify=rcpt.notify, orcpt=rcpt.orcpt),
    ]


def _lines(made: object) -> Iterable[bytes]:
    if isinstance(made, bytes):
        return [made]
    return made if isinstance(made, list) else []


@pytest.mark.parametrize("row", of_area("smtp-command"))
def test_a_hostile_setting_is_refused_or_encoded(row: Row) -> None:
    """Wherever it is given: a typed error, printable and without the secret, or one line that says what was meant."""
    assert SETTINGS[row.field]
    for give in SETTINGS[row.field]:
        refusal: MailkitError | None = None
        made: object = None
        try:
            made = give(row.value)
        except (ConfigurationError, MessageError) as error:
            refusal = error
        if refusal is not None:
            assert "reject" in row.allowed
            assert str(refusal).isprintable()
            if row.field == "auth_token":
                assert "X: y" not in str(refusal)
            continue
        assert "neutralise" in row.allowed
        for line in _lines(made):
            assert line.endswith(b"\r\n")
            assert line[:-2].isascii()
            assert line[:-2].decode().isprintable()


@pytest.mark.parametrize("row", [row for row in of_area("smtp-command") if row.values[0].field == "dsn_envid"])
def test_an_envelope_id_reads_back(row: Row) -> None:
    """What the server decodes (RFC 3461 §4) is what was given, and MAIL has no other parameter for it."""
    with SMTPServer() as server, Mailer(server.url, retry=RetryPolicy.none()) as mailer:
        mailer.send(_message({"envid": row.value}))
        (received,) = server.messages
        encoded = received.mail_parameters["ENVID"]
        assert encoded is not None
        assert _from_xtext(encoded) == row.value
        assert set(received.mail_parameters) == {"SIZE", "ENVID"}
        assert server.violations == ()


def _from_xtext(text: str) -> str:
    first, *others = text.split("+")
    return first + "".join(chr(int(other[:2], 16)) + other[2:] for other in others)


@pytest.mark.parametrize("row", [row for row in of_area("smtp-command") if row.values[0].field == "auth_user"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_a_user_name_with_a_line_end_stays_within_its_line(row: Row, mechanism: str) -> None:
    """It is refused, or hidden by base64: no line of the server's begins with what came after the line end."""
    with SMTPServer(users={row.value: "secret"}, mechanisms=[mechanism]) as server:
        try:
            transport = SMTP(server.host, port=server.port, username=row.value, password="secret")
            with Mailer(transport, retry=RetryPolicy.none()) as mailer:
                mailer.send(_message({}))
        except MailkitError:
            assert "reject" in row.allowed
        verbs = [verb for record in server.connections for verb in record.verbs]
        assert set(verbs) <= {"EHLO", "AUTH", "MAIL", "RCPT", "BDAT", "QUIT"}
        assert verbs.count("RCPT") <= 1
        assert server.violations == ()
