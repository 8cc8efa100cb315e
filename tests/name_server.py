"""A name server on loopback with zones of the tests' own, which fails when it is told to.

    with NameServer() as names:
        names.add("example.test", "MX", "10 mx.example.test.")
        SMTP("example.test", discover="mx", name_servers=names.name_servers)

What is not there gets NXDOMAIN, or NODATA where the name has records of another type.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailkit.edge.records import NameServers

__all__ = ["NameServer"]

Fault = Literal["servfail", "refused", "silence", "garbage", "truncate"]
"""What a name gets instead of an answer; "truncate": over UDP, so that the question comes again by TCP."""


class NameServer:
    """Answers over UDP and TCP on one port.

    Args:
        authentic: Whether answers carry the AD bit, as from a resolver that has validated them.
    """

    def __init__(self, *, authentic: bool = False) -> None:
        self.authentic = authentic
        self.asked: list[tuple[str, str]] = []
        self._records: dict[tuple[dns.name.Name, str], dns.rrset.RRset] = {}
        self._faults: dict[dns.name.Name, Fault] = {}
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = self._bind()
        self._threads = [threading.Thread(target=self._serve_udp), threading.Thread(target=self._serve_tcp)]

    def _bind(self) -> socket.socket:
        """Find a port that is free in both."""
        while True:
            listener = socket.create_server(("127.0.0.1", 0))
            try:
                self._udp.bind(listener.getsockname())
            except OSError:
                listener.close()
            else:
                return listener

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._tcp.getsockname()[1])

    @property
    def name_servers(self) -> NameServers:
        """What to tell a transport."""
        return NameServers([("127.0.0.1", self.port)])

    def add(self, name: str, kind: str, *texts: str, ttl: int = 300) -> None:
        """Add records in their text form."""
        owner = dns.name.from_text(name)
        self._records[owner, kind] = dns.rrset.from_text(owner, ttl, "IN", kind, *texts)

    def fail(self, name: str, fault: Fault | None) -> None:
        """Misbehave for a name from now on, or no longer."""
        self._faults.pop(dns.name.from_text(name), None)
        if fault is not None:
            self._faults[dns.name.from_text(name)] = fault

    def _answer(self, data: bytes, *, by_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(omit_final_dot=True), kind))
        fault = self._faults.get(question.name)
        if fault == "silence":
            return None
        if fault == "garbage":
            return data[:2] + b"\x80"
        reply = dns.message.make_response(query, recursion_available=True)
        if self.authentic:
            reply.flags |= dns.flags.AD
        if fault == "truncate" and not by_tcp:
            reply.flags |= dns.flags.TC
        elif fault in {"servfail", "refused"}:
            reply.set_rcode(dns.rcode.SERVFAIL if fault == "servfail" else dns.rcode.REFUSED)
        else:
            self._fill(reply, question.name, kind)
        return reply.to_wire()

    def _fill(self, reply: dns.message.Message, name: dns.name.Name, kind: str) -> None:
        while (alias := self._records.get((name, "CNAME"))) is not None:
            reply.answer.append(alias)
            name = alias[0].target
        if (records := self._records.get((name, kind))) is not None:
            reply.answer.append(records)
        elif not any(owner == name for owner, _kind in self._records):
            reply.set_rcode(dns.rcode.NXDOMAIN)

    def _serve_udp(self) -> None:
        while True:
            data, address = self._udp.recvfrom(4096)
            if not data:
                return
            answer = self._answer(data, by_tcp=False)
            if answer is not None:
                self._udp.sendto(answer, address)

    def _serve_tcp(self) -> None:
        while True:
            try:
                conn, _address = self._tcp.accept()
            except OSError:
                return
            with conn, suppress(OSError), conn.makefile("rb") as reader:
                size = int.from_bytes(reader.read(2), "big")
                answer = self._answer(reader.read(size), by_tcp=True) if size else None
                if answer is not None:
                    conn.sendall(len(answer).to_bytes(2, "big") + answer)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        with suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._udp.close()
        self._tcp.close()
