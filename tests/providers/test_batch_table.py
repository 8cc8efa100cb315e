"""The table of requests in the page about personalised mail is what the code does."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from attrs import evolve
from tests.http_server import Answer, HTTPServer

from mailkit import Mailer, RetryPolicy

_TABLE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "batch_table.py"), run_name="batch_table")
_TRANSPORTS = _TABLE["transports"]()


def test_the_page_is_up_to_date() -> None:
    """The page has the table that the generator writes now: run ``python docs/batch_table.py``."""
    assert _TABLE["PAGE"].read_text(encoding="utf-8") == _TABLE["page"]()


@pytest.mark.parametrize("stream", _TABLE["STREAMS"])
@pytest.mark.parametrize("name", _TRANSPORTS)
def test_messages_share_a_request_where_the_table_says_so(
    name: str, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three messages become one request or three, over a real connection; none of what the provider cannot take."""
    monkeypatch.setattr("mailkit.providers.batch.PATIENCE", 60.0)  # a busy machine is no slow source
    message = _TABLE["STREAMS"][stream]
    counted = _TABLE["requests"](_TRANSPORTS[name], message)
    with HTTPServer(lambda _: Answer(404)) as server:
        transport = evolve(_TRANSPORTS[name], host="127.0.0.1", port=server.port)
        with Mailer(transport, retry=RetryPolicy.none()) as mailer:
            outcomes = list(mailer.send_many([message(number) for number in range(3)]))
    assert not any(outcome.ok for outcome in outcomes)
    expected = 0 if counted is None else 3 if counted == _TABLE["COUNT"] else 1
    assert len(server.requests) == expected
