from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from jinja2 import DictLoader, TemplateNotFound

from mailkit import ConfigurationError, Hooks, Message, RejectedError
from mailkit.integrations.flask import Mail, message_sent
from mailkit.integrations.flask_config import MailConfig
from mailkit.secret import Secret
from mailkit.smtp import SMTP
from mailkit.testing import SMTPServer

if TYPE_CHECKING:
    from mailkit import Receipt
    from mailkit.testing import Mailbox

HELLO = Message(to="bob@example.org", subject="Hello", text="Hi Bob")


def application(**config: Any) -> Flask:
    """Return an application with these settings."""
    app = Flask("shop")
    app.config.update({"MAIL_DEFAULT_SENDER": "shop@example.com", **config})
    return app


def smtp(**config: Any) -> SMTP:
    """Return what these settings describe."""
    transport = MailConfig.read({"MAIL_SERVER": "mail.example.com", **config}).transport
    assert isinstance(transport, SMTP)
    return transport


def test_a_view_sends_through_the_server_of_the_flask_mail_keys() -> None:
    """MAIL_SERVER and MAIL_PORT are enough; the default sender is the author."""
    with SMTPServer() as server:
        app = application(MAIL_SERVER="127.0.0.1", MAIL_PORT=server.port)
        mail = Mail(app)

        @app.post("/hello")
        def hello() -> str:
            return mail.send(HELLO).accepted[0].address

        assert app.test_client().post("/hello").text == "bob@example.org"
        mail.close()
    (received,) = server.messages
    assert received.mail_from == "shop@example.com"


def test_the_url_comes_before_the_keys_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAILKIT_URL of the configuration wins over MAIL_SERVER, and both over the environment."""
    monkeypatch.setenv("MAILKIT_URL", "console://")
    assert str(MailConfig.read({"MAILKIT_URL": "null://", "MAIL_SERVER": "mail.example.com"}).transport) == "null://"
    assert str(MailConfig.read({"MAIL_SERVER": "mail.example.com"}).transport) == "smtp://mail.example.com:25"
    assert str(MailConfig.read({}).transport) == "console://"


def test_one_extension_serves_several_applications() -> None:
    """Whose request it is decides."""
    mail = Mail()
    shop, news = application(MAILKIT_URL="null://"), application(MAILKIT_URL="memory://")
    mail.init_app(shop)
    mail.init_app(news)
    for app, transport in ((shop, "null://"), (news, "memory://")):
        with app.app_context():
            assert mail.send(HELLO).transport == transport


def test_without_an_application_or_a_server_the_error_says_what_to_set() -> None:
    """Neither is guessed."""
    with pytest.raises(ConfigurationError, match="init_app"):
        Mail().send(HELLO)
    with application().app_context(), pytest.raises(ConfigurationError, match="init_app"):
        Mail().send(HELLO)
    with pytest.raises(ConfigurationError, match="MAIL_SERVER"):
        Mail(application()).send(HELLO)


@pytest.mark.parametrize(
    ("config", "tls"),
    [
        ({"MAIL_USE_TLS": True}, "starttls"),
        ({"MAIL_USE_SSL": True}, "implicit"),
        ({"MAIL_USE_TLS": False}, "opportunistic"),
        ({"MAIL_USE_TLS": False, "MAIL_USE_SSL": True}, "implicit"),
        ({}, None),
    ],
)
def test_the_kind_of_tls(config: dict[str, Any], tls: str | None) -> None:
    """What is not said is required TLS, clear text only where it is allowed in plain sight."""
    assert smtp(**config).tls == tls


def test_the_other_keys_reach_the_transport() -> None:
    """Credentials, client certificate, and messages for each connection."""
    transport = smtp(
        MAIL_USERNAME="ada",
        MAIL_PASSWORD="secret",
        MAIL_SSL_CERTFILE="/etc/mail.pem",
        MAIL_SSL_KEYFILE="/etc/mail.key",
        MAIL_MAX_EMAILS=20,
    )
    assert (transport.username, transport.pool.max_messages, str(transport.certificate), str(transport.key)) == (
        "ada",
        20,
        "/etc/mail.pem",
        "/etc/mail.key",
    )
    assert MailConfig.read({"MAIL_TIMEOUT": 5}).timeout == 5


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"MAIL_BACKEND": "console"}, "console://"),
        ({"MAIL_BACKEND": "locmem"}, "memory://"),
        ({"MAIL_BACKEND": "dummy"}, "null://"),
        ({"MAIL_BACKEND": "file", "MAIL_FILE_PATH": "/var/mail/out"}, "file:///var/mail/out"),
        ({"MAIL_BACKEND": "smtp", "MAIL_SERVER": "mail.example.com"}, "smtp://mail.example.com:25"),
    ],
)
def test_the_backends_of_flask_mailman(config: dict[str, Any], name: str) -> None:
    """Their names mean what they mean there."""
    assert str(MailConfig.read(config).transport) == name


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"MAIL_BACKEND": "pigeon"}, "pigeon"),
        ({"MAIL_SERVER": "mail.example.com", "MAIL_USE_TLS": True, "MAIL_USE_SSL": True}, "twice"),
        ({"MAIL_SERVER": "mail.example.com", "MAIL_USERNAME": "ada"}, "a username needs"),
        ({"MAILKIT_URL": "smtq://mail.example.com"}, "smtq"),
    ],
)
def test_a_wrong_setting_is_an_error_when_the_application_starts(config: dict[str, Any], named: str) -> None:
    """Not with the first message."""
    with pytest.raises(ConfigurationError, match=named):
        Mail(application(**config))


def test_the_default_sender_may_be_a_name_and_an_address() -> None:
    """As Flask-Mail writes it."""
    defaults = MailConfig.read({"MAIL_DEFAULT_SENDER": ("The Shop", "shop@example.com")}).defaults
    assert defaults is not None
    assert str(defaults.from_) == "The Shop <shop@example.com>"


def test_debugging_logs_the_conversation_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    """MAIL_DEBUG writes the transcript to the log."""
    with (
        SMTPServer(tls="starttls", users={"ada": "s3cret"}) as server,
        caplog.at_level(logging.DEBUG, "mailkit.transcript"),
    ):
        url = {"MAIL_SERVER": "localhost", "MAIL_PORT": server.port}
        app = application(**url, MAIL_USERNAME="ada", MAIL_PASSWORD="s3cret", MAIL_DEBUG=True, MAIL_USE_TLS=False)
        mail = Mail(app)
        mail.send(HELLO)
        mail.close()
    assert server.messages[0].user == "ada"
    assert "AUTH" in caplog.text
    assert "s3cret" not in caplog.text


def test_nothing_is_sent_while_testing() -> None:
    """TESTING suppresses sending, and MAIL_SUPPRESS_SEND decides where it is set; a message is checked all the same."""
    app = application(MAILKIT_URL="memory://", TESTING=True)
    mail = Mail(app)
    assert mail.send(HELLO).transport == "null://"
    app.config["MAIL_SUPPRESS_SEND"] = False
    assert mail.send(HELLO).transport == "memory://"
    app.config["MAIL_SUPPRESS_SEND"] = True
    with pytest.raises(ValueError, match="recipient"):
        mail.send(Message(subject="To nobody", text="Hi"))


def test_recording_keeps_what_would_be_sent() -> None:
    """Nested blocks each keep their own; after them sending goes on."""
    mail = Mail(application(MAILKIT_URL="null://"))
    with mail.record_messages() as outer:
        mail.send(HELLO)
        with mail.record_messages() as inner:
            assert [outcome.ok for outcome in mail.send_many([HELLO, HELLO])] == [True, True]
        assert (len(outer), len(inner)) == (1, 2)
    assert mail.send(HELLO).transport == "null://"
    assert outer[0].envelope.mail_from.addr_spec == "shop@example.com"


def test_a_signal_tells_of_each_accepted_message() -> None:
    """By send, send_async and send_many; not of one that was refused."""
    app = application(MAILKIT_URL="null://")
    mail, told = Mail(app), list[str]()

    def listen(sender: Flask, *, message: Message, receipt: Receipt) -> None:
        assert sender is app
        assert receipt.accepted
        told.append(str(message.subject))

    with message_sent.connected_to(listen), mail.record_messages() as outbox:
        mail.send(HELLO)
        outbox.fail_next(RejectedError("no"))
        with pytest.raises(RejectedError):
            mail.send(HELLO.evolve(subject="Refused"))
        outbox.fail_next(RejectedError("no"))
        many = [HELLO.evolve(subject="Refused"), HELLO.evolve(subject="One of many")]
        assert [outcome.ok for outcome in mail.send_many(many)] == [False, True]
    assert told == ["Hello", "One of many"]


def test_an_async_view_awaits() -> None:
    """Each request has an event loop of its own, and one mailer serves them all."""
    with SMTPServer() as server:
        app = application(MAIL_SERVER="127.0.0.1", MAIL_PORT=server.port)
        mail = Mail(app)

        @app.post("/hello")
        async def hello() -> str:
            return (await mail.send_async(HELLO)).accepted[0].address

        client = app.test_client()
        assert [client.post("/hello").text for _ in range(3)] == ["bob@example.org"] * 3
        mail.close()
        assert len(server.messages) == 3


def test_templates_are_rendered_by_the_application() -> None:
    """TEMPLATE.txt and TEMPLATE.html, or one of them; HTML is escaped, text is not."""
    app = application(MAILKIT_URL="null://")
    app.jinja_loader = DictLoader(
        {"both.txt": "Hi {{ name }}", "both.html": "<p>Hi {{ name }}</p>", "text.txt": "Hi", "page.html": "<p>Hi</p>"}
    )
    mail = Mail(app)
    with app.app_context():
        assert mail.render("both", name="B&B") == {"text": "Hi B&B", "html": "<p>Hi B&amp;B</p>"}
        assert mail.render("text") == {"text": "Hi"}
        message = Message(to="bob@example.org", **mail.render("page"))
        assert (message.text, message.html) == (None, "<p>Hi</p>")
        with pytest.raises(ConfigurationError, match=r"missing\.txt"):
            mail.render("missing")


def test_a_template_that_lacks_its_parent_is_no_missing_template() -> None:
    """Jinja's own error says which one is missing."""
    app = application(MAILKIT_URL="null://")
    app.jinja_loader = DictLoader({"broken.html": "{% extends 'layout.html' %}"})
    mail = Mail(app)
    with app.app_context(), pytest.raises(TemplateNotFound, match=r"layout\.html"):
        mail.render("broken")


def test_hooks_hear_of_each_message() -> None:
    """Whoever sends it."""
    told: list[str] = []
    mail = Mail(application(MAILKIT_URL="null://"), hooks=Hooks(after_send=lambda event: told.append(event.title)))
    mail.send(HELLO)
    list(mail.send_many([HELLO]))
    assert told == ["mailkit.send.accepted"] * 2


@pytest.mark.slow
def test_a_hundred_threads_share_the_connections() -> None:
    """No message is lost or crossed, and no more connections are open than the pool allows."""
    with SMTPServer() as server:
        app = application(MAILKIT_URL=f"smtp://127.0.0.1:{server.port}?max_connections=4")
        mail = Mail(app)

        @app.post("/hello/<int:number>")
        def hello(number: int) -> str:
            mail.send(Message(to=f"user{number}@example.org", subject=f"Number {number}", text=f"{number}"))
            return str(number)

        def request(number: int) -> str:
            return app.test_client().post(f"/hello/{number}").text

        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(request, range(100)))
        assert answers == [str(number) for number in range(100)]
        mail.close()
    assert len(server.connections) <= 4
    for number in range(100):
        (mine,) = [each for each in server.messages if each.rcpt_to == (f"user{number}@example.org",)]
        assert f"Subject: Number {number}\r\n".encode() in mine.data


def test_with_a_mailbox_an_application_need_not_say_where_to_send(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an unconfigured application sends is in the mailbox, whether or not it is TESTING."""
    monkeypatch.delenv("MAILKIT_URL", raising=False)
    app = application()
    mail = Mail(app)
    with app.app_context():
        mail.send(HELLO)
        app.testing = True
        mail.send(HELLO)
    assert len(mailbox) == 2


def test_settings_from_the_environment_are_texts() -> None:
    """Numbers and words for yes and no mean what they say, and what is empty is not set."""
    texts = smtp(MAIL_PORT="2525", MAIL_USE_TLS="true", MAIL_USE_SSL="False", MAIL_MAX_EMAILS="7", MAIL_USERNAME="")
    assert (texts.port, texts.tls, texts.pool.max_messages, texts.username) == (2525, "starttls", 7, None)
    assert smtp(MAIL_USE_TLS="no").tls == "opportunistic"
    assert smtp(MAIL_USE_TLS="").tls is None
    assert MailConfig.read({"MAIL_TIMEOUT": "2.5", "MAIL_DEFAULT_SENDER": ""}).timeout == 2.5
    app = application(MAILKIT_URL="memory://", MAIL_SUPPRESS_SEND="false", TESTING=True)
    assert str(Mail(app).mailer.transport) == "memory://"


@pytest.mark.parametrize(
    "config",
    [
        {"MAIL_USE_TLS": "perhaps"},
        {"MAIL_PORT": "smtp"},
        {"MAIL_PORT": 587.5},
        {"MAIL_TIMEOUT": "nan"},
        {"MAIL_TIMEOUT": []},
        {"MAIL_MAX_EMAILS": "1.5"},
        {"MAIL_SERVER": 5},
        {"MAIL_PASSWORD": b"hunter2"},
        {"MAILKIT_URL": 5},
        {"MAIL_DEFAULT_SENDER": ("Ada", "ada@example.com", "hunter2")},
        {"MAIL_DEFAULT_SENDER": 5},
    ],
)
def test_a_setting_of_the_wrong_kind_is_named(config: dict[str, Any]) -> None:
    """The error names the setting, and shows no password."""
    with pytest.raises(ConfigurationError, match=next(iter(config))) as caught:
        MailConfig.read({"MAIL_SERVER": "mail.example.com", **config})
    assert "hunter2" not in str(caught.value)


def test_a_secret_may_be_the_password() -> None:
    """Configurations show what they hold, and a Secret is not shown."""
    transport = smtp(MAIL_USERNAME="ada", MAIL_PASSWORD=Secret("hunter2"))
    assert "hunter2" not in repr(transport)
    assert transport.password == Secret("hunter2")


def test_a_receiver_that_fails_does_not_make_a_message_look_unsent(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""
    app = application(MAILKIT_URL="memory://")

    def fails(_: object, **__: object) -> None:
        raise ZeroDivisionError

    with message_sent.connected_to(fails, app):
        receipt = Mail(app).send(Message(from_="ada@example.com", to="bob@example.org", text="Hi"))
    assert receipt.accepted
    assert "a hook failed and was ignored" in caplog.text
