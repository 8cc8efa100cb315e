"""An HTTP server in a process of its own that takes every message, and answers as each provider does."""

from __future__ import annotations

import json
import multiprocessing
import selectors
import socket
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

__all__ = ["HTTPSink"]


def _mailjet(body: Any) -> Any:
    results = [{"To": [{"Email": each["Email"], "MessageID": 1} for each in one["To"]]} for one in body["Messages"]]
    return {"Messages": [{"Status": "success", **result} for result in results]}


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "/email": lambda _body: {"ErrorCode": 0, "Message": "OK", "MessageID": "1"},
    "/email/batch": lambda body: [{"ErrorCode": 0, "Message": "OK", "MessageID": "1"}] * len(body),
    "/emails": lambda _body: {"id": "1"},
    "/emails/batch": lambda body: {"data": [{"id": "1"}] * len(body)},
    "/v3/mail/send": lambda _body: None,
    "/v3/smtp/email": lambda body: {"messageIds": ["1"] * len(body.get("messageVersions", [0])), "messageId": "1"},
    "/v3.1/send": _mailjet,
    "/v1/email": lambda _body: None,
    "/v1/bulk-email": lambda _body: {"message": "taken", "bulk_email_id": "1"},
    "/api/send": lambda _body: {"success": True, "message_ids": ["1"]},
    "/api/batch": lambda body: {
        "success": True,
        "responses": [{"success": True, "message_ids": ["1"]} for _ in body["requests"]],
    },
    "/v1/send": lambda _body: {"message_id": "1"},
    "/v1/send/batch": lambda body: [{"message_id": "1"} for _ in body],
    "/v3/mg.example.com/messages": lambda _form: {"id": "1", "message": "Queued. Thank you."},
    "/api/1.3/messages/send-template.json": lambda body: [
        {"email": each["email"], "_id": "1", "status": "sent"} for each in body["message"]["to"]
    ],
    "/api/v1/transmissions": lambda body: {
        "results": {"id": "1", "total_accepted_recipients": len(body["recipients"]), "total_rejected_recipients": 0}
    },
    "/v2/email/outbound-emails": lambda _body: {"MessageId": "1"},
    "/v2/email/outbound-bulk-emails": lambda body: {
        "BulkEmailEntryResults": [{"Status": "SUCCESS", "MessageId": "1"} for _ in body["BulkEmailEntries"]]
    },
}
"""What is answered to the JSON of a request (nothing of a form), by its path."""


def _answer(path: str, body: bytes) -> bytes:
    content = ANSWERS[path](json.loads(body) if body.startswith((b"{", b"[")) else None)
    data = b"" if content is None else json.dumps(content).encode()
    fields = f"Content-Type: application/json\r\nX-Message-Id: 1\r\nContent-Length: {len(data)}"
    return f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode() + data


class _Peer:
    """A connection, and what of a request has come."""

    def __init__(self, conn: socket.socket) -> None:
        self.conn = conn
        self._buffer = b""

    def requests(self) -> int | None:
        """Answer every request that is complete; return how many, or None at the end."""
        block = self.conn.recv(1 << 20)
        if not block:
            return None
        self._buffer += block
        done = 0
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1").lower()
            size = int(head.partition("content-length:")[2].partition("\r\n")[0])
            if len(self._buffer) < end + 4 + size:
                break
            body, self._buffer = self._buffer[end + 4 : end + 4 + size], self._buffer[end + 4 + size :]
            self.conn.sendall(_answer(head.split(" ")[1], body))
            done += 1
        return done


def _serve(control: Connection) -> None:
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0))
    control.send(listener.getsockname()[1])
    selector.register(listener, selectors.EVENT_READ)
    selector.register(control, selectors.EVENT_READ)
    count = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                conn, _ = listener.accept()
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(conn, selectors.EVENT_READ, _Peer(conn))
            elif key.fileobj is control:
                if control.recv() == "stop":
                    return
                control.send(count)
                count = 0
            else:
                done = key.data.requests()
                count += done or 0
                if done is None:
                    selector.unregister(key.fileobj)
                    key.data.conn.close()


class HTTPSink:
    """Runs while its block does."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._control, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.port: int = self._control.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._control.send("stop")
        self._process.join()

    def requests(self) -> int:
        """Return how many requests have come since the last time that this was asked."""
        self._control.send("count")
        count: int = self._control.recv()
        return count
