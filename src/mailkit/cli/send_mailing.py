"""``mailkit send --csv``: a mailing from its arguments to its report."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailkit.cli.credentials import chosen_url
from mailkit.cli.display import printable, progress, show_rows
from mailkit.cli.interruption import stoppable
from mailkit.cli.json_output import as_json
from mailkit.cli.ledger import Ledger
from mailkit.cli.mailing import Choices, Mailing, check_fingerprint
from mailkit.cli.recipients import InvalidRow, Recipients
from mailkit.cli.rehearsal import Rehearsal
from mailkit.cli.sysexits import DATA, TEMPORARY, UNAVAILABLE, exit_status
from mailkit.errors import MailkitError, MessageError
from mailkit.mailer import Mailer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from mailkit.cli.composition import Composition
    from mailkit.cli.ledger import Case
    from mailkit.message import Message

__all__ = ["send_mailing"]

_LISTED: Final = 20
"""Failures that are shown; the ledger has them all. Of those in doubt, somebody has to decide: they are shown all."""


def send_mailing(parsed: argparse.Namespace, composition: Composition) -> int:
    """Send to each row; return the exit status.

    Raises:
        MailkitError: The mailing could not begin, or broke off.
    """
    path = Path(parsed.csv)
    recipients = Recipients(path, parsed.delimiter, parsed.email_column, parsed.name_column)
    composition.check_fields(recipients.columns(), path)
    if parsed.dry_run:
        return _rehearse(parsed, composition, recipients)
    fingerprint = composition.fingerprint()
    with Mailer(chosen_url(parsed)) as mailer, _ledger(parsed, fingerprint) as ledger, stoppable() as stop:
        if not parsed.allow_changes:
            check_fingerprint(ledger, fingerprint)
        total = ledger.survey(recipients)
        total += sum(_is_sent_again(case, parsed) for case in ledger.cases.values())
        choices = Choices(
            connections=parsed.connections,
            retry_unknown=parsed.retry_unknown,
            allow_duplicates=parsed.allow_duplicates,
        )
        mailing = Mailing(composition, recipients, ledger, choices=choices, stop=stop)
        return _send(mailing, mailer, total, _show_json if parsed.json else _show)


def _ledger(parsed: argparse.Namespace, fingerprint: str) -> Ledger:
    path = Path(parsed.ledger or f"{parsed.csv}.ledger")
    return Ledger.resume(path, fingerprint) if parsed.resume else Ledger.begin(path, fingerprint)


def _is_sent_again(case: Case, parsed: argparse.Namespace) -> bool:
    return parsed.retry_unknown if case.is_in_doubt else case.status != "rejected"


def _send(mailing: Mailing, mailer: Mailer, total: int, show: Callable[[Mailing, BaseException | None], None]) -> int:
    try:
        with progress(total) as on_progress:
            mailing.send(mailer, on_progress)
    except MailkitError as error:
        show(mailing, error)
        sys.stderr.write(f"mailkit: {printable(str(error))}\n")
        return exit_status(error)
    except BaseException as interruption:
        show(mailing, interruption)
        raise
    show(mailing, None)
    return _status(mailing)


def _status(mailing: Mailing) -> int:
    if any(case.status != "rejected" for case in mailing.failed):
        return TEMPORARY
    if mailing.failed or mailing.in_doubt:
        return UNAVAILABLE
    return DATA if mailing.invalid else 0


def _show(mailing: Mailing, error: BaseException | None) -> None:
    counts = {
        "accepted": mailing.done["accepted"],
        "accepted earlier": mailing.already["accepted"],
        "rejected": sum(case.status == "rejected" for case in mailing.failed),
        "not sent yet": sum(case.status != "rejected" for case in mailing.failed),
        "in doubt": len(mailing.in_doubt),
        "invalid rows": len(mailing.invalid),
        "duplicates": len(mailing.duplicates),
    }
    _list("failed", [f"line {each.line}: {each.address}: {each.status}: {each.text}" for each in mailing.failed])
    _list("invalid", [f"line {each.line}: {each.reason}" for each in mailing.invalid])
    _list("duplicate", [f"line {each.line}: {each.reason}" for each in mailing.duplicates])
    for case in mailing.in_doubt:
        print(f"line {case.line}: {printable(case.address)}: in doubt: it may have arrived")
    show_rows({name: f"{count:,}" for name, count in counts.items() if count or name == "accepted"})
    if error is not None or any(case.status != "rejected" for case in mailing.failed):
        print(f"Go on with the same command and --resume: {mailing.ledger.path} knows who has got it.")
    if mailing.in_doubt:
        print("Those in doubt are left out, unless --retry-unknown says that some may get it twice.")


def _list(what: str, lines: Sequence[str]) -> None:
    for line in lines[:_LISTED]:
        print(printable(line))
    if len(lines) > _LISTED:
        print(f"and {len(lines) - _LISTED:,} more {what}")


def _show_json(mailing: Mailing, error: BaseException | None) -> None:
    def cases(several: Sequence[Case]) -> list[dict[str, object]]:
        return [
            {"line": each.line, "address": each.address, "status": each.status, "text": each.text} for each in several
        ]

    print(json.dumps({
        "ledger": str(mailing.ledger.path),
        "done": dict(mailing.done),
        "already": dict(mailing.already),
        "failed": cases(mailing.failed),
        "in_doubt": cases(mailing.in_doubt),
        "invalid": [{"line": each.line, "reason": each.reason} for each in mailing.invalid],
        "duplicates": [each.line for each in mailing.duplicates],
        "is_complete": error is None,
        **({"error": as_json(error)} if isinstance(error, MailkitError) else {}),
    }))  # fmt: skip


def _rehearse(parsed: argparse.Namespace, composition: Composition, recipients: Recipients) -> int:
    """Make, check and render every message, and show the first; no ledger is read or written."""
    invalid: list[InvalidRow] = []
    lines: list[int] = []

    def messages() -> Iterator[Message]:
        for row in recipients:
            if isinstance(row, InvalidRow):
                invalid.append(row)
                continue
            try:
                message = composition.message_for(row.address, row.values, message_id=f"{row.line}@dry-run.invalid")
            except MessageError as error:
                invalid.append(InvalidRow(line=row.line, reason=str(error)))
                continue
            lines.append(row.line)
            yield message

    good = 0
    with Mailer(Rehearsal.of(chosen_url(parsed), shown=0 if parsed.json else 1)) as mailer:
        for number, outcome in enumerate(mailer.send_many(messages())):
            good += outcome.ok
            if outcome.error is not None:
                invalid.append(InvalidRow(line=lines[number], reason=str(outcome.error)))
    if parsed.json:
        rows = [{"line": each.line, "reason": each.reason} for each in invalid]
        print(json.dumps({"dry_run": True, "messages": good, "invalid": rows}))
    else:
        _list("invalid", [f"line {each.line}: {each.reason}" for each in invalid])
        show_rows({"would be sent": f"{good:,}", "invalid rows": f"{len(invalid):,}"})
    return DATA if invalid else 0
