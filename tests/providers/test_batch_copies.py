"""A batch never changes what a recipient gets: each copy is the one that the message would have made alone.

What a vendor makes of a request is written down here once more, from its documentation, for those that put several
messages together into one description.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.providers.forms import form_of

from mailkit import Message, Template
from mailkit.envelope import Envelope
from mailkit.providers import SES, Brevo, Mailgun, Mandrill, SendGrid, SparkPost
from mailkit.providers.batch import Item
from mailkit.providers.content import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from mailkit.edge.http import Request
    from mailkit.providers.base import ApiTransport

Copies = dict[str, dict[str, Any]]


def _sendgrid(request: Request) -> Copies:
    shared = json.loads(request.body or b"")
    copies: Copies = {}
    for own in shared.pop("personalizations"):
        shown = {name: own.pop(name, []) for name in ("to", "cc")}
        hidden = own.pop("bcc", [])
        for each in (*shown["to"], *shown["cc"], *hidden):
            copies[each["email"]] = {**shared, **own, **shown}
    return copies


def _brevo(request: Request) -> Copies:
    shared = json.loads(request.body or b"")
    copies: Copies = {}
    for own in shared.pop("messageVersions", [{}]):
        version = {**shared, **own}
        hidden = version.pop("bcc", [])
        for each in (*version["to"], *version.get("cc", []), *hidden):
            copies[each["email"]] = version
    return copies


def _ses(request: Request) -> Copies:
    payload = json.loads(request.body or b"")
    entries = payload.pop("BulkEmailEntries", None)
    if entries is None:
        content = payload.pop("Content")
        if "Raw" in content:
            return {}  # MIME is never in a bulk request
        stored = content.get("Template")
        data = None if stored is None else json.loads(stored.pop("TemplateData"))
        headers = (stored or content["Simple"]).pop("Headers", [])
        return _ses_copies(payload, payload.pop("EmailTags", []), content, headers, data)
    content = payload.pop("DefaultContent")
    default = json.loads(content["Template"].pop("TemplateData"))
    copies: Copies = {}
    for entry in entries:
        own = json.loads(entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"])
        told = {**payload, "Destination": entry["Destination"]}
        tags, headers = entry.get("ReplacementTags", []), entry.get("ReplacementHeaders", [])
        copies |= _ses_copies(told, tags, content, headers, {**default, **own})
    return copies


def _ses_copies(payload: Any, tags: Any, content: Any, headers: Any, data: Any) -> Copies:
    shown = dict(payload["Destination"])
    hidden = shown.pop("BccAddresses", [])
    copy = {**payload, "Destination": shown, "tags": tags, "content": content, "headers": headers, "data": data}
    everybody = [*shown["ToAddresses"], *shown.get("CcAddresses", []), *hidden]
    return {each.partition("<")[2].rstrip(">") or each: copy for each in everybody}


def _mandrill(request: Request) -> Copies:
    payload = json.loads(request.body or b"")
    described = payload.pop("message")
    to, preserve = described.pop("to"), described.pop("preserve_recipients")
    data = {each["rcpt"]: each["vars"] for each in described.pop("merge_vars", [])}
    metadata = {each["rcpt"]: each["values"] for each in described.pop("recipient_metadata", [])}
    shared = described.pop("global_merge_vars", []), described.pop("metadata", {})
    return {
        each["email"]: {
            **payload,
            **described,
            "shown": [other for other in to if other["type"] != "bcc"] if preserve else [each],
            "data": shared[0] + data.get(each["email"], []),
            "metadata": {**shared[1], **metadata.get(each["email"], {})},
        }
        for each in to
    }


def _sparkpost(request: Request) -> Copies:
    payload = json.loads(request.body or b"")
    recipients = payload.pop("recipients")
    own = {name: payload.pop(name, None) for name in ("metadata", "return_path", "substitution_data")}
    return {
        each["address"]["email"]: {
            **payload,
            **{name: each.get(name) or value for name, value in own.items()},
            "to": each["address"]["header_to"],
            "tags": each.get("tags"),
        }
        for each in recipients
    }


def _mailgun(request: Request) -> Copies:
    media_type = request.header("content-type")
    assert media_type is not None
    names = ("to", "cc", "bcc", "o:tag")
    as_json = ("t:variables", "recipient-variables")
    form = form_of(request.body or b"", media_type.reveal(), several=names, as_json=as_json)
    variables = form.pop("recipient-variables", None)
    form.pop("h:Message-Id", None)  # Mailgun's own for all copies: what recipient_variables=True allows
    to, hidden = form.pop("to"), form.pop("bcc", [])
    context = {
        **form.pop("t:variables", {}),
        **{name[2:]: form.pop(name) for name in list(form) if name.startswith("v:")},
    }
    copies: Copies = {}
    for each in (*to, *form.get("cc", []), *hidden):
        address = each.partition("<")[2].rstrip(">") or each
        own = (variables or {}).get(address, {})

        copy: dict[str, Any] = {**form, **{f"context.{name}": value for name, value in context.items()}}
        for variable, text in own.items():
            said = f"%recipient.{variable}%"
            copy = {
                name: value.replace(said, text) if isinstance(value, str) else value for name, value in copy.items()
            }
        copies[address] = {**copy, "to": to if variables is None else [each]}
    return copies


VENDORS: Final[Mapping[str, tuple[ApiTransport, Callable[[Request], Copies]]]] = {
    "brevo": (Brevo("KEY"), _brevo),
    "mailgun": (Mailgun("KEY", recipient_variables=True), _mailgun),
    "mandrill": (Mandrill("KEY"), _mandrill),
    "sendgrid": (SendGrid("KEY"), _sendgrid),
    "ses": (SES("KEY", secret="SECRET", region="eu-west-1"), _ses),
    "sparkpost": (SparkPost("KEY"), _sparkpost),
}

_PLAIN = st.sampled_from(["a", "b c", "x/y?z=1"])
_DATA = st.fixed_dictionaries({"name": _PLAIN}, optional={"plan": _PLAIN | st.just('"<ä>'), "count": st.just(7)})
_CONTENTS = st.fixed_dictionaries(
    {"text": st.sampled_from(["Hi", "%recipient.r0%"])}, optional={"subject": st.sampled_from(["s", "t"])}
)
_STORED = st.builds(lambda number, data: {"template": Template(number, data)}, st.sampled_from([7, 8]), _DATA)
_OPTIONAL = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.sampled_from([{"user": "7"}, {"user": "8"}, {"name": "m"}]),
        "tags": st.sampled_from([["a"], ["b"]]),
        "cc": st.just("cc"),
        "bcc": st.just("bcc"),
        "headers": st.sampled_from([{"X-A": "1"}, {"X-A": "2"}]),
        "track_opens": st.booleans(),
    },
)


def _messages(drawn: list[tuple[dict[str, Any], dict[str, Any]]], transport: ApiTransport) -> list[Message]:
    messages: list[Message] = []
    for place, (content, fields) in enumerate(drawn):
        able = {name: value for name, value in fields.items() if getattr(transport.capabilities, name)}
        if "template" in content and transport.name == "sparkpost":
            able = {name: value for name, value in able.items() if name not in {"cc", "headers"}}
        own = {name: f"{name}{place}@example.org" for name in ("cc", "bcc") if name in able}
        to = f"User {place} <user{place}@example.org>"
        messages.append(Message(from_="ada@example.com", to=to, **{**content, **able, **own}).completed())
    return messages


@pytest.mark.parametrize("name", VENDORS)
@example(drawn=[({"template": Template(7, {"name": "a"})}, {"metadata": {"name": "m"}})])
@given(drawn=st.lists(st.tuples(_CONTENTS | _STORED, _OPTIONAL), min_size=2, max_size=8))
def test_every_copy_is_what_it_would_be_alone(name: str, drawn: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Whatever shares a request: each recipient gets what a request for its message alone would give it."""
    transport, copies = VENDORS[name]
    alone: Copies = {}
    groups: dict[Hashable, list[Item]] = {}
    for message in _messages(drawn, transport):
        envelope = Envelope.from_message(message)
        alone |= copies(transport.build_request(message, envelope))
        group = transport.batch_group(message, envelope)
        if group is None:
            continue
        payload = transport.complete_payload(message, envelope)
        groups.setdefault(group, []).append(Item(message, envelope, payload=payload, body=dump(payload)))
    for items in groups.values():
        batch = copies(transport.build_batch(items))
        everybody = {path.addr_spec for item in items for path in item.envelope.rcpt_to}
        assert batch == {address: alone[address] for address in everybody}
