from __future__ import annotations

import anyio
import pytest
from jinja2 import DictLoader
from quart import Quart

from mailkit import ConfigurationError, Message
from mailkit.integrations.quart import Mail
from mailkit.testing import SMTPServer

HELLO = Message(to="bob@example.org", subject="Hello", text="Hi Bob")


def application(url: str) -> Quart:
    """Return an application that sends through `url`."""
    app = Quart("shop")
    app.config.update(MAIL_DEFAULT_SENDER="shop@example.com", MAILKIT_URL=url)
    return app


def test_a_view_sends_and_the_connections_end_with_the_application() -> None:
    """A view awaits; what was opened is closed when the application stops serving."""
    with SMTPServer() as server:
        app = application(f"smtp://127.0.0.1:{server.port}")
        mail = Mail(app)

        @app.post("/hello")
        async def hello() -> str:
            return (await mail.send(HELLO)).accepted[0].address

        async def serve() -> str:
            async with app.test_app():
                response = await app.test_client().post("/hello")
                return (await response.get_data()).decode()

        assert anyio.run(serve) == "bob@example.org"
        assert server.wait_until(lambda server: all(each.closed for each in server.connections))
    assert [each.mail_from for each in server.messages] == ["shop@example.com"]


def test_recording_and_templates() -> None:
    """Both as in Flask, with await."""
    app = application("smtp://mail.example.com")
    app.jinja_loader = DictLoader({"both.txt": "Hi {{ name }}", "both.html": "<p>Hi {{ name }}</p>"})
    mail = Mail()
    mail.init_app(app)

    async def send() -> None:
        async with app.app_context():
            await mail.send(HELLO.evolve(**await mail.render("both", name="B&B")))
            with pytest.raises(ConfigurationError, match=r"missing\.txt"):
                await mail.render("missing")

    with pytest.raises(ConfigurationError, match="init_app"):
        mail.record_messages()
    with Mail(app).record_messages() as outbox:
        anyio.run(send)
    message = outbox[0].message
    assert message is not None
    assert (message.text, message.html) == ("Hi B&B", "<p>Hi B&amp;B</p>")


def test_without_an_application_the_error_says_what_to_do() -> None:
    """No application, or one that was not initialised."""
    with pytest.raises(ConfigurationError, match="init_app"):
        _ = Mail().mailer

    async def uninitialised() -> None:
        async with Quart("shop").app_context():
            _ = Mail().mailer

    with pytest.raises(ConfigurationError, match="init_app"):
        anyio.run(uninitialised)
