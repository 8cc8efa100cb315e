"""Every kind of message, as each provider's request, keeps the vendor's own contract; an unknown field is an error."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.contracts.openapi import problems
from tests.contracts.vendors import VENDORS, Vendor
from tests.providers.test_registry import PROVIDERS

from mailkit import Attachment, Message, Template, UnsupportedFeatureError
from mailkit.envelope import Envelope
from mailkit.providers.batch import Item
from mailkit.providers.content import dump
from mailkit.testing.features import fields_that_need

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mailkit.edge.http import Request
    from mailkit.transport import Capabilities

_PLAIN: Final = Message(from_="ada@example.com", to="bob@example.org", subject="Hello", text="Hi Bob")


def _everything(can: Capabilities) -> Message:
    """All that the capabilities name, in one message; templates and attachments are kinds of their own."""
    fields: dict[str, Any] = {
        "from_": "Ada Lovelace <ada@example.com>",
        "to": ["Bob <bob@example.org>", "eve@example.net"],
        "subject": "Quarterly report",
        "text": "See below.",
        "tags": [f"tag{number}" for number in range(min(can.tags, 3))],
        "metadata": {f"key{number}": f"value{number}" for number in range(min(can.metadata, 3))},
        "reply_to": [f"Help <help{number}@example.com>" for number in range(min(can.reply_to, 2))],
    }
    optional = {
        "html": "<p>See <b>below</b>.</p>",
        "cc": ["team@example.org"],
        "bcc": ["archive@example.org"],
        "headers": {"X-Campaign": "q3"},
        "sender": "secretary@example.com",
        "return_path": "bounces@example.com",
        "list_unsubscribe": "https://example.com/u/1",
        "track_opens": True,
        "track_clicks": False,
        "send_at": datetime.now(UTC) + timedelta(hours=1),
    }
    if can.threading:
        fields |= {"in_reply_to": "1@example.com", "references": ["0@example.com", "1@example.com"]}
    return Message(**fields, **{name: value for name, value in optional.items() if getattr(can, name)})


KINDS: Final[Mapping[str, Callable[[Capabilities], Message]]] = {
    "minimal": lambda _can: _PLAIN,
    "everything": _everything,
    "non-ascii": lambda can: _PLAIN.evolve(
        from_="Jürgen Groß <ada@example.com>",
        to="李 <bob@faß.test>",
        subject="Grüße 👋",
        text="Zażółć",
        html="<p>ж</p>" if can.html else None,
    ),
    "attachments": lambda _can: _PLAIN.evolve(
        attachments=[Attachment.from_bytes(b"%PDF-1.7", "report.pdf"), Attachment.from_text("a;b", "tabelle ä.csv")]
    ),
    "inline": lambda _can: _PLAIN.evolve(
        html='<img src="cid:logo">', attachments=[Attachment.from_bytes(b"\x89PNG", "logo.png", content_id="logo")]
    ),
    "calendar": lambda _can: _PLAIN.evolve(**fields_that_need("calendar")),
    "template": lambda _can: Message(
        from_="ada@example.com", to="bob@example.org", template=Template("welcome", {"name": "Bob"})
    ),
    "template-nested": lambda _can: Message(
        from_="ada@example.com", to="bob@example.org", template=Template("welcome", {"items": [{"name": "Tea"}]})
    ),
    "template-number": lambda _can: Message(
        from_="ada@example.com", to="bob@example.org", template=Template(7, {"name": "Bob"})
    ),
}


def _personal(can: Capabilities, **fields: Any) -> Message:
    """What belongs to one recipient of many."""
    personal = {"tags": ["a"], "metadata": {"user": "7"}, "return_path": "bounces@example.com"}
    return Message(
        from_="ada@example.com",
        to="Bob <bob@example.org>",
        **{name: value for name, value in personal.items() if getattr(can, name)},
        **fields,
    )


# Kinds that only batches are about.
PERSONAL: Final[Mapping[str, Callable[[Capabilities], Message]]] = {
    "personal": lambda can: _personal(can, subject="Hello", text="Hi Bob"),
    "personal-template": lambda can: _personal(can, template=Template(7, {"name": "Bob"})),
}


def _message(vendor: Vendor, kind: str) -> Message:
    return {**KINDS, **PERSONAL}[kind](vendor.transport.capabilities).evolve(**vendor.fields.get(kind, {})).completed()


def _payload(vendor: Vendor, request: Request) -> Any:
    return json.loads(request.body or b"null") if vendor.payload is None else vendor.payload(request)


def _check(vendor: Vendor, request: Request, specs: Path) -> None:
    path = request.url.removeprefix(vendor.transport.base_url)
    payload = _payload(vendor, request)
    found = [each for contract in vendor.contracts[path] for each in problems(specs, contract, payload)]
    name, contracts = vendor.each.get(path, ("", ()))
    for element in (payload[name] if name else payload) if contracts else ():
        found += [each for contract in contracts for each in problems(specs, contract, element)]
    assert not found, f"{path}: {json.dumps(payload)[:500]}"


@pytest.fixture(scope="session")
def specs(shared: Path) -> Path:
    """The folder of the contracts."""
    return shared / "vendors" / "specs"


def test_every_provider_has_a_contract() -> None:
    """A provider that the registry knows is checked here."""
    assert {each.name for each in PROVIDERS} == set(VENDORS)


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_request_keeps_the_contract(name: str, kind: str, specs: Path) -> None:
    """The request for one message validates; what the provider cannot do, it refuses by capability or as is noted."""
    vendor = VENDORS[name]
    transport = vendor.transport
    message = _message(vendor, kind)
    envelope = Envelope.from_message(message)
    try:
        transport.capabilities.check(message, envelope, transport=str(transport))
    except UnsupportedFeatureError:
        assert kind not in {"minimal", "everything", "non-ascii"}
        return
    if kind in vendor.unused:
        with pytest.raises(ValueError, match=vendor.unused[kind]):
            transport.build_request(message, envelope)
        return
    _check(vendor, transport.build_request(message, envelope), specs)


@pytest.mark.parametrize("name", [name for name, vendor in VENDORS.items() if vendor.transport.batch_size > 1])
@pytest.mark.parametrize("kind", [*KINDS, *PERSONAL])
def test_a_batch_keeps_the_contract(name: str, kind: str, specs: Path) -> None:
    """The request for several messages validates, for every kind that may share one."""
    vendor = VENDORS[name]
    transport = vendor.transport
    items: list[Item] = []
    for _ in range(3):
        message = _message(vendor, kind)
        envelope = Envelope.from_message(message)
        try:
            transport.capabilities.check(message, envelope, transport=str(transport))
        except UnsupportedFeatureError:
            return
        if kind in vendor.unused or transport.batch_group(message, envelope) is None:
            return
        payload = transport.complete_payload(message, envelope)
        items.append(Item(message, envelope, payload=payload, body=dump(payload)))
    _check(vendor, transport.build_batch(items), specs)


@pytest.mark.parametrize("name", VENDORS)
def test_the_contract_would_notice_a_misspelt_field(name: str, specs: Path) -> None:
    """Each contract refuses a field that it does not know, so that the tests above mean something."""
    vendor = VENDORS[name]
    message = (vendor.plain or _PLAIN).completed()
    request = vendor.transport.build_request(message, Envelope.from_message(message))
    path = request.url.removeprefix(vendor.transport.base_url)
    payload = {**_payload(vendor, request), "Subjekt": "Hallo"}
    assert all(problems(specs, contract, payload) for contract in vendor.contracts[path])
