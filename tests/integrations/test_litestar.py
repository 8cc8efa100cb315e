from __future__ import annotations

from litestar import Litestar, post
from litestar.testing import TestClient

from mailkit import Message
from mailkit.integrations.litestar import MailerDependency, MailPlugin
from mailkit.testing import SMTPServer

SHOP = Message(from_="shop@example.com")


@post("/hello")
async def hello(mailer: MailerDependency) -> str:
    """Send one message."""
    return (await mailer.send(Message(to="bob@example.org", subject="Hello", text="Hi Bob"))).accepted[0].address


def test_a_handler_gets_the_mailer_and_the_connections_end_with_the_application() -> None:
    """Under the name that the plugin was given."""
    with SMTPServer() as server:
        app = Litestar([hello], plugins=[MailPlugin(f"smtp://127.0.0.1:{server.port}", defaults=SHOP)])
        with TestClient(app) as client:
            assert client.post("/hello").text == "bob@example.org"
        assert server.wait_until(lambda server: all(each.closed for each in server.connections))
    assert [each.mail_from for each in server.messages] == ["shop@example.com"]


def test_a_test_records() -> None:
    """Nothing is sent in the block."""
    mail = MailPlugin("smtp://mail.example.com", defaults=SHOP)
    with TestClient(Litestar([hello], plugins=[mail])) as client, mail.record_messages() as outbox:
        client.post("/hello")
    assert [each.subject for each in outbox] == ["Hello"]
