"""Scaleway Transactional Email."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.http_server import Answer
from tests.providers.kit import ProviderContract, Row

from mailkit import Attachment, ConfigurationError, UnsupportedFeatureError
from mailkit.errors import RejectedError
from mailkit.providers import Scaleway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.http_server import Received


def _error(status: int, kind: str, **more: Any) -> Answer:
    return Answer(status, {"type": kind, "message": "That went wrong.", **more})


def _copy(number: int, address: str, status: str = "new") -> dict[str, str]:
    return {"id": f"copy-{number}", "message_id": "<1@tem.example>", "mail_rcpt": address, "status": status}


class TestScaleway(ProviderContract):
    """Scaleway is a provider."""

    transport_class = Scaleway
    fields: ClassVar[Mapping[str, Any]] = {"project_id": "6170692e"}
    url: ClassVar[str] = "{name}://KEY-dE4db33f@{host}?project-id=6170692e"
    rows: ClassVar[Sequence[Row]] = [
        Row(_error(400, "invalid_arguments"), "RejectedError", "rejected"),
        Row(_error(401, "denied_authentication"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "permissions_denied"), "AuthenticationError", cause="configuration"),
        Row(_error(403, "quotas_exceeded"), "RateLimitedError", cause="configuration"),
        Row(_error(409, "transient_state"), "TransientError", cause="transient"),
        Row(_error(412, "precondition_failed"), "RejectedError", "rejected"),
        Row(_error(423, "locked"), "AuthenticationError", cause="configuration"),
        Row(_error(429, "too_many_requests"), "RateLimitedError", cause="throttled"),
        Row(_error(408, "transient_state"), "OutcomeUnknownError", "unknown"),
        Row(_error(500, "transient_state"), "OutcomeUnknownError", "unknown"),
        Row(Answer(400, {"type": 7}), "RejectedError", "rejected"),
    ]

    def success(self, request: Received) -> Answer:
        """Scaleway answers a copy for each recipient."""
        addresses = () if request.method == "GET" else self.recipients(request.json())
        return Answer(200, {"emails": [_copy(number, each) for number, each in enumerate(addresses)]})

    def recipients(self, payload: Any) -> Sequence[str]:
        """Addresses are objects."""
        return [each["email"] for name in ("to", "cc", "bcc") for each in payload.get(name, [])]

    def one(self, **changes: Any) -> Any:
        """Return the payload of a message."""
        self._server.requests.clear()
        self.sent(self.make_message(**changes))
        return self._server.requests[0].json()

    @pytest.mark.parametrize("project_id", [None, ""])
    def test_it_wants_a_project(self, project_id: str | None) -> None:
        """Without a project nothing is made."""
        with pytest.raises(ConfigurationError, match="project_id"):
            Scaleway("KEY", project_id=project_id)

    def test_each_recipient_has_an_id(self) -> None:
        """The receipt has the Message-ID that Scaleway gave, and the id of each copy, whatever the address's case."""
        copies = [_copy(1, "BOB@example.org"), _copy(2, "eve@example.net", "sending")]
        receipt = self.sent(self.make_message(cc="eve@example.net"), Answer(200, {"emails": copies}))
        assert receipt.provider_id == "1@tem.example"
        assert [(each.address, each.provider_id) for each in receipt.recipients] == [
            ("bob@example.org", "copy-1"),
            ("eve@example.net", "copy-2"),
        ]

    def test_copies_that_have_failed_are_rejected(self) -> None:
        """Who is said to have failed at once is rejected, the others are accepted; if all have, nobody is."""
        copies = [_copy(1, "bob@example.org"), _copy(2, "eve@example.net", "failed")]
        receipt = self.sent(self.make_message(cc="eve@example.net"), Answer(200, {"emails": copies}))
        assert [(each.address, each.status, each.text) for each in receipt.recipients] == [
            ("bob@example.org", "accepted", ""),
            ("eve@example.net", "rejected", "failed"),
        ]
        with pytest.raises(RejectedError):
            self.sent(answer=Answer(200, {"emails": [_copy(1, "bob@example.org", "canceled")]}))

    def test_fields(self) -> None:
        """What has no field of its own is a header field, in ASCII; what there is not is left out."""
        payload = self.one(
            from_="Ännchen <ada@example.com>",
            reply_to=["Jürgen <help@example.com>", '"Doe, Jane" <jane@example.com>'],
            headers={"X-A": "ä", "X-B": "b"},
            in_reply_to="1@example.com",
            attachments=[Attachment.from_bytes(b"a", "a.txt")],
            options={"scaleway": {"send_before": "2026-12-01T12:00:00Z"}},
        )
        assert payload["from"] == {"email": "ada@example.com", "name": "Ännchen"}
        assert payload["project_id"] == "6170692e"
        assert payload["send_before"] == "2026-12-01T12:00:00Z"
        assert payload["attachments"] == [{"name": "a.txt", "type": "text/plain", "content": "YQ=="}]
        assert {each["key"]: each["value"] for each in payload["additional_headers"]} == {
            "In-Reply-To": "<1@example.com>",
            "X-A": "=?utf-8?b?w6Q=?=",
            "X-B": "b",
            "Reply-To": '=?utf-8?q?J=C3=BCrgen?= <help@example.com>, "Doe, Jane" <jane@example.com>',
        }
        assert set(self.one()) == {"from", "to", "subject", "text", "project_id"}

    def test_a_content_id_is_refused(self) -> None:
        """A Content-ID would be dropped, also of a file that is not shown inline."""
        file = Attachment.from_bytes(b"a", "a.txt", content_id="a", disposition="attachment")
        with pytest.raises(UnsupportedFeatureError, match="Content-ID"):
            self.one(attachments=[file])

    @pytest.mark.parametrize(
        ("details", "said"),
        [
            (
                [{"argument_name": "subject", "reason": "constraint", "help_message": "too short"}],
                "; subject: too short",
            ),
            ([{"argument_name": "to", "reason": "required"}], "; to: required"),
            ([{"resource": "email", "action": "write"}], "; email: write"),
            ([{"argument_name": 7}, None, "x"], ""),
            ("x", ""),
        ],
    )
    def test_errors_name_what_was_wrong(self, details: Any, said: str) -> None:
        """The arguments that were wrong are in the error, whatever form they have."""
        error = self.failed(_error(400, "invalid_arguments", details=details))
        assert f"answered 400 That went wrong.{said}; as it is, it is refused" in str(error)
