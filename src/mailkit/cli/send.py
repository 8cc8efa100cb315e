"""``mailkit send``: one message, a prepared one, or a mailing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mailkit.cli.composition import Composition, open_standard_input
from mailkit.cli.credentials import chosen_url
from mailkit.cli.display import printable
from mailkit.cli.json_output import as_json
from mailkit.cli.rehearsal import Rehearsal
from mailkit.cli.sysexits import exit_status
from mailkit.envelope import Envelope
from mailkit.errors import DeliveryError, MessageError
from mailkit.mailer import Mailer

if TYPE_CHECKING:
    import argparse

    from mailkit.receipt import Receipt
    from mailkit.transport import Transport

__all__ = ["run"]


def run(parsed: argparse.Namespace) -> int:
    """Send; return the exit status.

    Raises:
        MailkitError: It was not sent.
    """
    if parsed.message:
        return _send_prepared(parsed)
    composition = Composition.of(parsed)
    if parsed.csv:
        from mailkit.cli.send_mailing import send_mailing

        return send_mailing(parsed, composition)
    with Mailer(_transport(parsed)) as mailer:
        receipt = mailer.send(composition.message())
    return _report(parsed, receipt)


def _send_prepared(parsed: argparse.Namespace) -> int:
    if not parsed.to:
        raise MessageError("the prepared message goes to nobody: give --to for each recipient")
    envelope = Envelope(parsed.from_, parsed.to)
    data = open_standard_input().buffer.read() if parsed.message == "-" else Path(parsed.message)
    with Mailer(_transport(parsed)) as mailer:
        receipt = mailer.send_raw(data, envelope)
    return _report(parsed, receipt)


def _transport(parsed: argparse.Namespace) -> str | Transport | None:
    url = chosen_url(parsed)
    return Rehearsal.of(url, shown=0 if parsed.json else 1) if parsed.dry_run else url


def _report(parsed: argparse.Namespace, receipt: Receipt) -> int:
    if parsed.dry_run:
        if parsed.json:
            print(json.dumps({
                "dry_run": True,
                "transport": receipt.transport,
                "recipients": [each.address for each in receipt.recipients],
            }))  # fmt: skip
        return 0
    if parsed.json:
        print(json.dumps(as_json(receipt)))
    else:
        for result in receipt.recipients:
            print(printable(str(result)))
    try:
        receipt.raise_for_refused()
    except DeliveryError as error:  # what became of whom is shown already
        sys.stderr.write(f"mailkit: {printable(str(error))}\n")
        return exit_status(error)
    return 0
