# ruff: noqa: B008, FAST002 - FastAPI cannot see a name inside of a function in Annotated[…]
from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mailkit import AsyncMailer, Mailer, Message, RejectedError
from mailkit.integrations.fastapi import Mail as FastAPIMail
from mailkit.integrations.starlette import Mail
from mailkit.testing import FakeTransport, SMTPServer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from mailkit import MailkitError

SHOP = Message(from_="shop@example.com")
HELLO = Message(to="bob@example.org", subject="Hello", text="Hi Bob")


def shop(mail: Mail) -> FastAPI:
    """Return an application with an endpoint of each kind."""
    app = FastAPI(lifespan=mail.lifespan)

    @app.post("/async")
    async def asynchronous(mailer: AsyncMailer = Depends(mail)) -> str:
        return (await mailer.send(HELLO)).transport

    @app.post("/blocking")
    def blocking(mailer: Mailer = Depends(mail.blocking)) -> str:
        return mailer.send(HELLO).transport

    @app.post("/later")
    async def later(tasks: BackgroundTasks) -> str:
        tasks.add_task(mail.deliver, HELLO)
        tasks.add_task(mail.deliver, HELLO.evolve(subject="The second"))
        return "accepted"

    return app


def test_endpoints_of_both_kinds_send() -> None:
    """An async endpoint awaits, a def endpoint blocks a thread; closing the application closes the connections."""
    with SMTPServer() as server:
        mail = Mail(f"smtp://127.0.0.1:{server.port}", defaults=SHOP)
        with TestClient(shop(mail)) as client:
            for path in ("/async", "/blocking"):
                assert client.post(path).json() == f"smtp://127.0.0.1:{server.port}"
        assert [each.mail_from for each in server.messages] == ["shop@example.com"] * 2
        assert server.wait_until(lambda server: all(each.closed for each in server.connections))


def test_an_application_may_be_started_again() -> None:
    """As test suites do with each test."""
    app = shop(Mail("null://", defaults=SHOP))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.post("/async").json() == "null://"


def test_a_test_replaces_the_dependency() -> None:
    """By FastAPI's own dependency_overrides, with a fake."""
    mail, fake = FastAPIMail("smtp://mail.example.com", defaults=SHOP), FakeTransport()
    app = shop(mail)
    app.dependency_overrides[mail] = lambda: AsyncMailer(fake, defaults=SHOP)
    with TestClient(app) as client:
        assert client.post("/async").json() == "fake://"
    fake.assert_sent(to="bob@example.org", subject="Hello")


def test_a_test_records() -> None:
    """Nothing is sent in the block, whoever sends; afterwards it is again."""
    mail = Mail("null://", defaults=SHOP)
    with TestClient(shop(mail)) as client:
        with mail.record_messages() as outbox:
            client.post("/async")
            client.post("/blocking")
            client.post("/later")
        assert [each.subject for each in outbox] == ["Hello", "Hello", "Hello", "The second"]
        assert client.post("/async").json() == "null://"


def test_a_background_task_that_fails_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged without addresses and reported, and the task behind it runs."""
    seen: list[tuple[str | None, MailkitError]] = []
    mail = Mail("null://", defaults=SHOP, on_failure=lambda message, error: seen.append((message.subject, error)))
    with TestClient(shop(mail)) as client, mail.record_messages() as outbox, caplog.at_level(logging.ERROR):
        outbox.fail_next(RejectedError("no such user"))
        assert client.post("/later").json() == "accepted"
    assert [each.subject for each in outbox] == ["The second"]
    assert [(subject, type(error)) for subject, error in seen] == [("Hello", RejectedError)]
    assert "mailkit.background.failed" in caplog.text


def test_a_background_task_may_fail_without_anybody_asking(caplog: pytest.LogCaptureFixture) -> None:
    """Then the log has it, and the response was sent."""
    mail = Mail("null://", defaults=SHOP)
    with TestClient(shop(mail)) as client, mail.record_messages() as outbox:
        outbox.fail_next(RejectedError("no such user"))
        assert client.post("/later").status_code == 200
    assert "no such user" in caplog.text


def test_a_starlette_response_carries_a_message() -> None:
    """As its background."""
    mail = Mail("null://", defaults=SHOP)

    async def hello(request: Request) -> Response:
        return PlainTextResponse("accepted", background=mail.background(HELLO))

    app = Starlette(routes=[Route("/hello", hello, methods=["POST"])], lifespan=mail.lifespan)
    with TestClient(app) as client, mail.record_messages() as outbox:
        assert client.post("/hello").text == "accepted"
    assert [each.subject for each in outbox] == ["Hello"]


@pytest.mark.slow
def test_a_hundred_requests_at_once_share_the_connections() -> None:
    """No message is lost or crossed, no more connections are open than the pool allows, and none is left."""
    with SMTPServer() as server:
        mail = Mail(f"smtp://127.0.0.1:{server.port}?max_connections=4", defaults=SHOP)
        app = FastAPI(lifespan=mail.lifespan)

        @app.post("/hello/{number}")
        async def hello(number: int, mailer: AsyncMailer = Depends(mail)) -> int:
            await mailer.send(Message(to=f"user{number}@example.org", subject=f"Number {number}", text="Hi"))
            return number

        async def requests() -> None:
            transport = httpx.ASGITransport(app)
            async with (
                httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
                mail.lifespan(app),
                anyio.create_task_group() as tasks,
            ):
                for number in range(100):
                    tasks.start_soon(client.post, f"/hello/{number}")

        anyio.run(requests)
        assert len(server.connections) <= 4
        assert server.wait_until(lambda server: all(each.closed for each in server.connections))
    assert len(server.messages) == 100
    for number in range(100):
        (mine,) = [each for each in server.messages if each.rcpt_to == (f"user{number}@example.org",)]
        assert f"Subject: Number {number}\r\n".encode() in mine.data


def test_who_is_told_of_a_failure_may_be_async_and_fail(caplog: pytest.LogCaptureFixture) -> None:
    """An async function is awaited; what it raises is logged, and the task behind it runs all the same."""
    seen: list[str | None] = []

    async def report(message: Message, error: MailkitError) -> None:
        del error
        seen.append(message.subject)
        raise ZeroDivisionError

    mail = Mail("null://", defaults=SHOP, on_failure=report)
    with TestClient(shop(mail)) as client, mail.record_messages() as outbox:
        outbox.fail_next(RejectedError("no such user"))
        assert client.post("/later").status_code == 200
    assert (seen, [each.subject for each in outbox]) == (["Hello"], ["The second"])
    assert "mailkit.background.on_failure.failed" in caplog.text
