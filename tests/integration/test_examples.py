"""The example applications under real web servers, driven over HTTP: through the embedded server, through Postfix."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from mailkit.testing import SMTPServer

from .web_servers import EXAMPLES, PATIENCE, serving

if TYPE_CHECKING:
    from pathlib import Path

    from .postfix import Postfix

GUNICORN = ["gunicorn", "--bind", "fd://{fd}", "--workers", "4", "--threads", "4"]
SHOPS = {
    "flask": (EXAMPLES / "flask_shop", [*GUNICORN, "app:app"]),
    "django": (EXAMPLES / "django_shop", [*GUNICORN, "shop.wsgi:application"]),
    "fastapi": (EXAMPLES / "fastapi_shop", ["uvicorn", "--fd", "{fd}", "app:app"]),
}
WORKERS = {"flask": 4, "django": 4, "fastapi": 1}
CONNECTIONS = 3  # of each process


def sign_up(client: httpx.Client, shop: str, email: str) -> list[str]:
    """Sign up for a shop; return who was sent the welcome."""
    asked = {"params": {"email": email}} if shop == "fastapi" else {"data": {"email": email}}
    answer = client.post("/signup", **asked)  # type: ignore[arg-type]
    answer.raise_for_status()
    accepted: list[str] = answer.json()["accepted"]
    return accepted


@pytest.mark.parametrize("shop", SHOPS)
def test_a_hundred_customers_at_once(shop: str, tmp_path: Path) -> None:
    """Each gets one welcome, his own; no process opens more connections than it may, and none is left behind."""
    folder, program = SHOPS[shop]
    customers = [f"customer{number}@example.org" for number in range(100)]
    with SMTPServer() as server:
        url = f"smtp://127.0.0.1:{server.port}?max_connections={CONNECTIONS}"
        with (
            serving(program, folder=folder, mailkit_url=url, log=tmp_path / "server.log") as address,
            httpx.Client(base_url=address, timeout=PATIENCE) as client,
            ThreadPoolExecutor(20) as threads,
        ):
            answers = list(threads.map(lambda email: sign_up(client, shop, email), customers))
        assert answers == [[email] for email in customers]
        assert server.wait_until(lambda server: all(each.closed for each in server.connections))
        assert len(server.connections) <= CONNECTIONS * WORKERS[shop]
    assert sorted(each.rcpt_to[0] for each in server.messages) == sorted(customers)
    for each in server.messages:
        assert f"Good to see you, {each.rcpt_to[0]}".encode() in each.data
        assert each.mail_from == "shop@example.com"


@pytest.mark.parametrize("shop", SHOPS)
def test_a_customer_through_postfix(shop: str, postfix: Postfix, domain: str, tmp_path: Path) -> None:
    """The welcome is delivered into his mailbox."""
    folder, program = SHOPS[shop]
    url = f"smtp://127.0.0.1:{postfix.ports.smtp}"
    with (
        serving(program, folder=folder, mailkit_url=url, log=tmp_path / "server.log") as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
        assert sign_up(client, shop, f"bob@{domain}") == [f"bob@{domain}"]
    delivered = postfix.mailboxes.one(f"bob@{domain}")
    assert delivered.message["Subject"] == "Welcome"
    assert delivered.return_path == "shop@example.com"
