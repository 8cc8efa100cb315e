"""Django's messages through Django's SMTP backend and through mailkit's, on one open connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from figures import Contestant, Report, arguments, side_by_side
from letters import letters
from peers import django_mail
from sink import Sink
from stopwatch import Stopwatch

import mailkit
from mailkit.integrations.django import EmailBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from letters import Letter
    from stopwatch import Sample

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600", "ENHANCEDSTATUSCODES", "CHUNKING")


def ours(port: int, warm: Sequence[Letter], given: Sequence[Letter], *, at_once: bool) -> Sample:
    """Send Django's messages through our backend."""
    backend = EmailBackend(host="127.0.0.1", port=port, use_tls=False)
    backend.send_messages([django_mail.message(letter) for letter in warm])
    watch = Stopwatch()
    messages = (django_mail.message(letter) for letter in given)
    if at_once:
        backend.send_messages(list(messages))
    else:
        for message in messages:
            backend.send_messages([message])
    return watch.sample(len(given))


def main() -> None:
    """Measure, print, write."""
    given = arguments(__doc__, rounds=7)
    report = Report("Django: EmailMultiAlternatives → sent", given.json)
    with Sink(*EXTENSIONS) as sink:
        warm = letters(50)

        def figures(sample: Sample) -> tuple[float, float]:
            return 1e6 * sample.cpu, 1e6 * sample.wall

        ways = [
            Contestant(
                "mailkit's backend",
                mailkit.__version__,
                lambda: figures(ours(sink.port, warm, letters(500), at_once=False)),
            ),
            Contestant(
                "mailkit's backend, messages in one call",
                mailkit.__version__,
                lambda: figures(ours(sink.port, warm, letters(500), at_once=True)),
            ),
            Contestant(
                "Django, one open connection",
                django_mail.django.__version__,
                lambda: figures(django_mail.deliver(sink.port, warm, letters(200))),
            ),
        ]
        table = side_by_side(
            "Loopback: small, one recipient", ("µs of processor", "µs on the clock"), ways, rounds=given.rounds
        )
        table.aim("Django, one open connection", factor=5)
        report.show(table)


if __name__ == "__main__":
    main()
