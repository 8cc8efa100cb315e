"""A name server of the tests' own on loopback, which says what it is told to, by UDP."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailkit.edge.records import NameServers

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["NameServer"]


class NameServer:
    """Answers from a table.

    Args:
        authentic: Whether its answers say that DNSSEC was validated (AD), but for the names in `insecure`.
        ttl: What every answer may be kept for, in seconds.
    """

    def __init__(self, *, authentic: bool = False, ttl: int = 0) -> None:
        self.authentic = authentic
        self.ttl = ttl
        self.insecure: set[str] = set()
        self.broken: set[tuple[str, str]] = set()  # answered with SERVFAIL
        self.silent: set[tuple[str, str]] = set()  # not answered at all
        self.asked: list[tuple[str, str]] = []
        self._records: dict[tuple[str, str], list[str]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._done = False

    @property
    def servers(self) -> NameServers:
        """What a transport is told."""
        return NameServers([self._socket.getsockname()])

    def add(self, name: str, kind: str, *values: str) -> None:
        """Publish records."""
        self._records.setdefault((name, kind), []).extend(values)

    def remove(self, name: str, kind: str) -> None:
        """Take records back."""
        self._records.pop((name, kind), None)

    def count(self, kind: str) -> int:
        """Return how many questions for a kind of record were asked."""
        return sum(each == kind for _, each in self.asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done = True
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, client = self._socket.recvfrom(4096)
            if self._done:
                return
            query: Any = dns.message.from_wire(data)
            if (response := self._answer(query)) is not None:
                with contextlib.suppress(OSError):
                    self._socket.sendto(response.to_wire(), client)

    def _answer(self, query: Any) -> Any:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if (name, kind) in self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if (name, kind) in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        if self.authentic and name not in self.insecure:
            response.flags |= dns.flags.AD
        while (alias := self._records.get((name, "CNAME"))) is not None:
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".")
        values = self._records.get((name, kind))
        if values:
            response.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", kind, *values))
            return response
        if not any(each == name or each.endswith(f".{name}") for each, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns.test. hostmaster.test. 1 3600 600 86400 {self.ttl}"
        response.authority.append(dns.rrset.from_text("test.", self.ttl, "IN", "SOA", soa))
        return response
