"""For each provider: which contract its requests have to keep, and what is wrong with the contracts' files.

All known defects of the files are corrected here and nowhere else; ``vendors/specs/SOURCES.md`` explains them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import field, frozen
from tests.contracts.openapi import Contract, at
from tests.providers.forms import form_of

from mailkit import Message, Template
from mailkit.providers import (
    JMAP,
    SES,
    Alibaba,
    AokSend,
    Brevo,
    Cloudflare,
    Gmail,
    Lettermint,
    MailerSend,
    Mailgun,
    Mailjet,
    Mailtrap,
    Mandrill,
    MicrosoftGraph,
    Postal,
    Postmark,
    Resend,
    Scaleway,
    SendCloud,
    SendGrid,
    SparkPost,
    Tencent,
)
from mailkit.providers.jmap_calls import Account, submission
from mailkit.providers.jmap_session import Mailboxes, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailkit.edge.http import Request
    from mailkit.envelope import Envelope
    from mailkit.providers.base import ApiTransport

__all__ = ["VENDORS", "Vendor"]


_MULTIPART: Final = "multipart/form-data"


@frozen
class Vendor:
    """A provider and its contracts.

    Args:
        transport: The provider, with a key that is none.
        contracts: By the end of the request's path: what its payload has to keep, all of them.
        each: Also by the end of the path: what each element of an array in the payload has to keep.
        unused: Kinds of messages that the provider refuses: by capability, or for a reason that is named here.
        payload: Takes the payload out of a request: JSON by default.
        plain: The simplest message that it takes, where that is not one with a text.
        fields: By kind of message: what the provider wants otherwise in it.
    """

    transport: ApiTransport
    contracts: Mapping[str, Sequence[Contract]]
    each: Mapping[str, tuple[str, Sequence[Contract]]] = field(factory=dict, kw_only=True)
    unused: Mapping[str, str] = field(factory=dict, kw_only=True)
    payload: Callable[[Request], Any] | None = field(default=None, kw_only=True)
    plain: Message | None = field(default=None, kw_only=True)
    fields: Mapping[str, Mapping[str, Any]] = field(factory=dict, kw_only=True)


def _openapi(path: str, media_type: str = "application/json") -> tuple[str | int, ...]:
    return ("paths", path, "post", "requestBody", "content", media_type, "schema")


def _aoksend_key_comes_later(document: Any) -> None:
    """aoksend_send_email.schema.json has the key in the form, where only ``authorize`` puts it."""
    document["required"].remove("app_key")


def _gmail_models_are_schemas(document: Any) -> None:
    """gmail.json is a discovery document: its references are bare names, and its models have no place of their own."""

    def point(schema: Any) -> None:
        for each in schema if isinstance(schema, list) else schema.values() if isinstance(schema, dict) else ():
            point(each)
        if isinstance(schema, dict) and "$ref" in schema:
            schema["$ref"] = f"#/$defs/{schema['$ref']}"

    document["$defs"] = document.pop("schemas")
    point(document["$defs"])


def _mailgun_is_open(document: Any) -> None:
    """mailgun.yaml lists every field and allows any; only h: and v: may have names of the sender's choosing."""
    for name in ("messages", "messages-mime"):
        model = document["components"]["schemas"][f"POST-v3-domain_name-{name}-multipart-form-data-RequestBody"]
        model["additionalProperties"] = False
        model["patternProperties"] = {"^[hv]:.": {"type": "string"}}


def _mailgun_template_has_a_subject(document: Any) -> None:
    """mailgun.yaml requires a subject, and says itself that it is not required with a template that has one."""
    model = document["components"]["schemas"]["POST-v3-domain_name-messages-multipart-form-data-RequestBody"]
    model["required"] = [name for name in model["required"] if name != "subject"]


def _mailgun_form(request: Request) -> dict[str, Any]:
    """Return the form as its contract sees it: lists where it has arrays (defect 4), files as texts."""
    several = ("to", "cc", "bcc", "o:tag", "attachment", "inline")
    form = _form(request, several=several)
    for name in ("attachment", "inline"):
        form |= {name: [each.content.decode("latin-1") for each in form[name]]} if name in form else {}
    return form | ({"message": form["message"].content.decode("ascii")} if "message" in form else {})


def _form(request: Request, *, several: Sequence[str] = ()) -> dict[str, Any]:
    media_type = request.header("content-type")
    assert media_type is not None
    return form_of(request.body or b"", media_type.reveal(), several=several)


def _mailtrap_models_are_whole(document: Any) -> None:
    """mailtrap-*.yaml: models come in parts that know nothing of each other, and text with html is one of three kinds.

    So each model is made one object that can be closed, and a message has to be any kind (defect 2).
    """
    schemas = document["components"]["schemas"]
    batch = schemas["BatchEmail"]["properties"]
    for model in [*schemas.values(), batch["base"], batch["requests"]["items"]]:
        parts = [
            at(document, "components", "schemas", part["$ref"].rpartition("/")[2]) for part in model.pop("allOf", ())
        ]
        if parts:
            model["type"] = "object"
            model["properties"] = {name: value for part in parts for name, value in part["properties"].items()}
            model["required"] = [name for part in parts for name in part.get("required", ())]
    for path in document["paths"].values():
        schema = path["post"]["requestBody"]["content"]["application/json"]["schema"]
        if "oneOf" in schema:
            schema["anyOf"] = schema.pop("oneOf")


def _mailtrap(path: str) -> list[Contract]:
    """Both streams and the sandbox have a contract each; the sandbox's path ends with the inbox."""
    files = ("email-sending-transactional", "email-sending-bulk", "sandbox-sending")
    return [
        Contract(
            f"mailtrap-{file}.yaml",
            _openapi(path + "/{sandbox_id}" * (file == "sandbox-sending")),
            (_mailtrap_models_are_whole,),
        )
        for file in files
    ]


def _postmark_is_old(document: Any) -> None:
    """postmark_server.json is of 2018: Metadata and MessageStream came later."""
    for name in ("SendEmailRequest", "EmailWithTemplateRequest"):
        properties = document["components"]["schemas"][name]["properties"]
        properties["Metadata"] = {"type": "object", "additionalProperties": {"type": "string"}}
        properties["MessageStream"] = {"type": "string"}
    document["components"]["schemas"]["Attachment"]["properties"]["ContentID"] = {"type": "string"}


def _postmark_wants_one_name_of_a_template(document: Any) -> None:
    """postmark_server.json requires TemplateId and TemplateAlias, each described as "if the other is not specified"."""
    document["components"]["schemas"]["EmailWithTemplateRequest"]["required"] = ["TemplateModel", "To", "From"]


def _resend_template_has_a_subject(document: Any) -> None:
    """resend.yaml requires a subject although a template brings its own (defect 5)."""
    model = document["components"]["schemas"]["SendEmailRequest"]
    model["required"] = [name for name in model["required"] if name != "subject"]


def _sendgrid_custom_args_are_an_object(document: Any) -> None:
    """sendgrid_mail_v3.json types custom_args as text; the API and the official SDK know an object (defect 1)."""
    body = document["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"]["schema"]
    body["properties"]["custom_args"] = {"type": "object", "additionalProperties": {"type": "string"}}


_MAILGUN_PATCHES: Final = (_mailgun_is_open, _mailgun_template_has_a_subject)
_BREVO_MODEL: Final = Contract("derived/brevo_send_transac_email.schema.json")
_POSTMARK_MODEL: Final = Contract("derived/postmark_email.schema.json")
_POSTMARK_PATCHES: Final = (_postmark_is_old, _postmark_wants_one_name_of_a_template)
_SENDGRID: Final = Contract("sendgrid_mail_v3.json", _openapi("/v3/mail/send"), (_sendgrid_custom_args_are_an_object,))
_SCALEWAY_EMAILS: Final = "/transactional-email/v1alpha1/regions/{region}/emails"
_RESEND_PATCHES: Final = (_resend_template_has_a_subject,)


def _mandrill(path: str) -> Contract:
    """Return the contract for an endpoint, without what the file has wrong about it."""

    def patch(document: Any) -> None:
        """Let ``authorize`` add the key, and metadata be any: the file shows one entry, as an example."""
        model = document["paths"][path]["post"]["parameters"][0]["schema"]
        model["required"].remove("key")
        described = model["properties"]["message"]["properties"]
        anything = {"type": "object", "additionalProperties": {"type": "string"}}
        described["metadata"] = described["recipient_metadata"]["items"]["properties"]["values"] = anything

    return Contract("mandrill_swagger2.json", ("paths", path, "post", "parameters", 0, "schema"), (patch,))


def _mailersend_template_has_a_subject(document: Any) -> None:
    """mailersend_email.schema.json, of the SDK, requires a subject; the API does where the template has none."""
    document["required"].remove("subject")


_MAILERSEND: Final = Contract("derived/mailersend_email.schema.json", patches=(_mailersend_template_has_a_subject,))


def _own(name: str) -> Contract:
    """Return a contract written here, for a vendor that publishes none; it says itself after what."""
    return Contract(str(Path(__file__).with_name("schemas") / f"{name}.schema.json"))


_LETTERMINT: Final = _own("lettermint_send")


class _JMAPLookedUp(JMAP):
    """An account as it is when it has been looked up, so that its requests can be built without a server."""

    name: ClassVar[str] = "jmap"

    def build_request(self, message: Message, envelope: Envelope) -> Request:
        """Return the request that submits what was uploaded."""
        session = Session(state="1", api_url=f"{self.base_url}/jmap/api/", upload_url="", account="A1")
        account = Account(session=session, mailboxes=Mailboxes("D", "S"), identities=())
        record = {"identityId": "I1", **self.complete_payload(message, envelope)}
        return self.call(session.api_url, submission(account, blob="B1", email="#m", record=record, keep=True))


def _jmap_submission(request: Request) -> Any:
    """Return what is to be created by EmailSubmission/set."""
    return json.loads(request.body or b"")["methodCalls"][1][1]["create"]["s"]


def _sendcloud_keys_come_later(document: Any) -> None:
    """sendcloud_mail_*.schema.json have user and key in the form, where only ``authorize`` puts them."""
    for name in ("apiUser", "apiKey"):
        document["required"].remove(name)


def _sendcloud_form(request: Request) -> dict[str, Any]:
    """Return the form, files as texts."""
    form = _form(request, several=("attachments",))
    files = {"attachments": [each.content.decode("latin-1") for each in form.get("attachments", ())]}
    return form | {name: texts for name, texts in files.items() if texts}


_WITH_SUBJECT: Final = {kind: {"subject": "Hello"} for kind in ("template", "template-nested", "template-number")}

VENDORS: Final[Mapping[str, Vendor]] = {
    "alibaba": Vendor(
        Alibaba("KEY", secret="SECRET"),
        {"/": [Contract("derived/alibaba_SingleSendMail.schema.json")]},
        unused={"template-nested": "text and numbers"},
        payload=_form,
        fields={"everything": {"headers": {"X-User-Campaign": "q3"}}, **_WITH_SUBJECT},
    ),
    "aoksend": Vendor(
        AokSend("KEY"),
        {"/send_email": [Contract("derived/aoksend_send_email.schema.json", patches=(_aoksend_key_comes_later,))]},
        unused=dict.fromkeys(("minimal", "everything", "non-ascii"), "stored templates"),
        payload=_form,
        plain=Message(from_="ada@example.com", to="bob@example.org", template=Template("E_1", {"name": "Bob"})),
    ),
    "brevo": Vendor(
        Brevo("KEY"),
        {"/smtp/email": [Contract("brevo.yaml", _openapi("/smtp/email")), _BREVO_MODEL]},
        unused={"template": "have numbers", "template-nested": "have numbers"},
    ),
    "cloudflare": Vendor(
        Cloudflare("KEY", account_id="acc"),
        {
            "/accounts/acc/email/sending/send": [Contract("derived/cloudflare_email_send.schema.json")],
            "/accounts/acc/email/sending/send_raw": [_own("cloudflare_send_raw")],
        },
    ),
    "gmail": Vendor(
        Gmail("KEY"),
        {
            "/gmail/v1/users/me/messages/send": [
                Contract("gmail.json", ("$defs", "Message"), (_gmail_models_are_schemas,))
            ]
        },
    ),
    # MIME, which is the default, is base64 and has no schema; without copies all goes out as JSON.
    "graph": Vendor(
        MicrosoftGraph("KEY", save_to_sent_items=False),
        {"/me/sendMail": [Contract("derived/msgraph_sendMail.schema.json")]},
        unused={
            **dict.fromkeys(("everything", "inline", "non-ascii"), "text beside html"),
            "calendar": "a calendar part",
        },
    ),
    "jmap": Vendor(
        _JMAPLookedUp("KEY", host="jmap.example.com"),
        {"/jmap/api/": [Contract("derived/jmap_emailsubmission_create.schema.json")]},
        payload=_jmap_submission,
    ),
    "lettermint": Vendor(
        Lettermint("KEY"), {"/send": [_LETTERMINT], "/send/batch": []}, each={"/send/batch": ("", [_LETTERMINT])}
    ),
    "mailersend": Vendor(
        MailerSend("KEY"),
        {"/v1/email": [_MAILERSEND], "/v1/bulk-email": []},
        each={"/v1/bulk-email": ("", [_MAILERSEND])},
    ),
    "mailgun": Vendor(
        Mailgun("KEY", domain="mg.example.com", recipient_variables=True),
        {
            f"/v3/mg.example.com/{name}": [
                Contract("mailgun.yaml", _openapi(f"/v3/{{domain_name}}/{name}", _MULTIPART), _MAILGUN_PATCHES)
            ]
            for name in ("messages", "messages.mime")
        },
        payload=_mailgun_form,
    ),
    "mailtrap": Vendor(
        Mailtrap("KEY"),
        {path: _mailtrap(path) for path in ("/api/send", "/api/batch")},
        fields={"personal-template": {"tags": ()}},  # it takes none beside a template
    ),
    "mailjet": Vendor(
        Mailjet("KEY", secret="SECRET"),
        {"/v3.1/send": [Contract("derived/mailjet_send_v31_request.schema.json")]},
        unused=dict.fromkeys(("template", "template-nested"), "templates have numbers"),
    ),
    "postal": Vendor(Postal("KEY", host="postal.example.com"), {"/api/v1/send/raw": [_own("postal_send_raw")]}),
    "postmark": Vendor(
        Postmark("KEY"),
        {
            "/email": [Contract("postmark_server.json", _openapi("/email"), _POSTMARK_PATCHES), _POSTMARK_MODEL],
            "/email/withTemplate": [
                Contract("postmark_server.json", _openapi("/email/withTemplate"), _POSTMARK_PATCHES)
            ],
            "/email/batch": [Contract("postmark_server.json", _openapi("/email/batch"), _POSTMARK_PATCHES)],
            "/email/batchWithTemplates": [
                Contract("postmark_server.json", _openapi("/email/batchWithTemplates"), _POSTMARK_PATCHES)
            ],
        },
        each={"/email/batch": ("", [_POSTMARK_MODEL])},
    ),
    "resend": Vendor(
        Resend("KEY"),
        {
            "/emails": [Contract("resend.yaml", _openapi("/emails"), _RESEND_PATCHES)],
            "/emails/batch": [Contract("resend.yaml", _openapi("/emails/batch"), _RESEND_PATCHES)],
        },
        unused={"template-nested": "text and numbers"},
    ),
    "scaleway": Vendor(
        Scaleway("KEY", project_id="6170692e-7363-616c-6577-61792e636f6d"),
        {"/emails": [Contract("scaleway_tem.yaml", _openapi(_SCALEWAY_EMAILS))]},
    ),
    "sendcloud": Vendor(
        SendCloud("KEY", secret="SECRET"),
        {
            f"/mail/{name}": [
                Contract(f"derived/sendcloud_mail_{name}.schema.json", patches=(_sendcloud_keys_come_later,))
            ]
            for name in ("send", "sendtemplate")
        },
        unused={"template-nested": "text and numbers"},
        payload=_sendcloud_form,
    ),
    "sendgrid": Vendor(SendGrid("KEY"), {"/v3/mail/send": [_SENDGRID]}),
    "ses": Vendor(
        SES("KEY", secret="SECRET", region="eu-west-1"),
        {
            "/v2/email/outbound-emails": [Contract("derived/ses_SendEmail.schema.json")],
            "/v2/email/outbound-bulk-emails": [Contract("derived/ses_SendBulkEmail.schema.json")],
        },
    ),
    "sparkpost": Vendor(SparkPost("KEY"), {"/transmissions": [Contract("derived/sparkpost_transmission.schema.json")]}),
    "tencent": Vendor(
        Tencent("KEY", secret="SECRET"),
        {"/": [Contract("derived/tencent_SendEmail.schema.json")]},
        unused={"template": "have numbers", "template-nested": "text and numbers"},
        fields=_WITH_SUBJECT,
    ),
    "mandrill": Vendor(
        Mandrill("KEY"),
        {f"/messages/{name}.json": [_mandrill(f"/messages/{name}")] for name in ("send", "send-template")},
        unused={"template-nested": "text and numbers"},
    ),
}
