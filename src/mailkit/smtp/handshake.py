"""The beginning of every connection: greeting, EHLO, TLS, AUTH. Nothing of a message has been written when it fails."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from mailkit.errors import AuthenticationError, DeliveryError, DeliveryTimeout, RejectedError, TLSError, TransientError
from mailkit.frozendict import EMPTY, FrozenDict
from mailkit.smtp import commands
from mailkit.smtp.auth import Exchange, choose
from mailkit.smtp.channel_binding import tls_server_end_point
from mailkit.smtp.engine import CHALLENGE, Awaited, Expected
from mailkit.smtp.extensions import Extensions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailkit.edge import TLSInfo
    from mailkit.reply import Reply
    from mailkit.smtp.auth import Mechanism
    from mailkit.smtp.conversation import Conversation
    from mailkit.smtp.login import Login

__all__ = ["Handshake", "shake_hands"]

BAD_CREDENTIALS = 535  # RFC 4954 §6: also what an expired token gets


@frozen(kw_only=True)
class Handshake:
    """What client and server settled on.

    Args:
        host: The name by which the server greeted us.
        extensions: What it offers now.
        tls_info: What TLS settled on, or None in clear.
        mechanism: The mechanism that authenticated us, or None.
        timings: Seconds that each phase took, in their order.
    """

    host: str
    extensions: Extensions
    tls_info: TLSInfo | None
    mechanism: str | None
    timings: Mapping[str, float] = EMPTY


async def shake_hands(conversation: Conversation, connecting: float | None = None) -> Handshake:
    """Greet, negotiate TLS and authenticate, as the conversation's options ask for.

    Args:
        conversation: The connection, nothing read yet.
        connecting: Seconds that making it took, where that is known.

    Raises:
        DeliveryError: Something failed; the outcome is ``"not_sent"``, the phase says where.
    """
    options = conversation.options
    host, extensions, mechanism = "", Extensions.none(), None
    timings: dict[str, float] = {} if connecting is None else {"connect": connecting}
    phase = "tls"
    began = conversation.edge.now()

    def note_time() -> None:
        nonlocal began
        now = conversation.edge.now()
        timings[phase] = timings.get(phase, 0.0) + now - began
        began = now

    try:
        if options.tls == "implicit":
            await conversation.start_tls()
            note_time()
        phase = "greeting"
        host = await _greeting(conversation)
        note_time()
        phase = "ehlo"
        extensions = await _ehlo(conversation)
        note_time()
        if options.tls in {"starttls", "opportunistic"} and _wants_tls(conversation, extensions):
            phase = "starttls"
            await _starttls(conversation)
            note_time()
            phase = "ehlo"
            # RFC 3207 §4.2: what the server said before TLS is forgotten.
            extensions = await _ehlo(conversation)
            note_time()
        if options.login is not None:
            phase = "auth"
            mechanism = await _authenticate(conversation, options.login, extensions)
            note_time()
        await conversation.read_waiting()  # what comes unasked now would be taken for an answer to the first message
    except DeliveryError as error:
        error.phase = error.phase or phase
        raise
    return Handshake(
        host=host,
        extensions=extensions,
        tls_info=conversation.tls_info,
        mechanism=mechanism,
        timings=FrozenDict(timings),
    )


async def _greeting(conversation: Conversation) -> str:
    options = conversation.options
    try:
        answer = (await conversation.read(conversation.deadline(options.timeouts.greeting)))[0]
    except DeliveryTimeout as error:
        if options.tls != "starttls":
            raise
        # Whoever speaks TLS first waits for our ClientHello as we wait for the greeting (RFC 8314 §3.3).
        advice = 'if that port expects TLS from its first byte (465), use tls="implicit" (smtps://)'
        raise DeliveryTimeout(f"{error}; {advice}") from error
    if not answer.is_positive:
        # RFC 5321 §3.1: 554 instead of a greeting is "no SMTP service here", RFC 7504: 521 is "never".
        raise _refused("the server does not take mail from us", answer.reply)
    return answer.reply.text.partition(" ")[0]


async def _ehlo(conversation: Conversation) -> Extensions:
    options = conversation.options
    greet = commands.lhlo if options.protocol == "lmtp" else commands.ehlo
    answer = await conversation.ask(greet(options.ehlo_name), Expected(Awaited.EHLO))
    if answer.is_positive:
        return Extensions.parse(answer.reply)
    if options.protocol == "lmtp":
        raise _refused("the server refused LHLO: it may speak SMTP there, not LMTP", answer.reply)
    # RFC 5321 §3.2: a server so old that it does not know EHLO is greeted with HELO. It has neither TLS nor AUTH.
    if answer.reply.is_transient or options.tls == "starttls" or options.login is not None:
        raise _refused("the server refused EHLO, without which there is neither TLS nor AUTH", answer.reply)
    answer = await conversation.ask(commands.helo(options.ehlo_name), Expected(Awaited.EHLO))
    if not answer.is_positive:
        raise _refused("the server refused both EHLO and HELO", answer.reply)
    return Extensions.none()


def _wants_tls(conversation: Conversation, extensions: Extensions) -> bool:
    if extensions.starttls:
        return True
    if conversation.options.tls == "opportunistic":
        return False
    msg = (
        f"{conversation.options.host} does not offer STARTTLS, and TLS is required: nothing was sent in clear. Use "
        "smtps:// for a port with implicit TLS (465), or tls=opportunistic or tls=insecure where clear text is meant"
    )
    raise TLSError(msg, phase="starttls")


async def _starttls(conversation: Conversation) -> None:
    answer = await conversation.ask(commands.starttls(), Expected(Awaited.STARTTLS))
    if not answer.is_positive:
        # RFC 3207 §4: 454 is "not available due to temporary reason"; then the message waits, rather than go in clear.
        cause: Literal["transient", "security"] = "transient" if answer.reply.is_transient else "security"
        msg = f"the server offers STARTTLS and refused it ({answer.reply}); nothing was sent in clear"
        raise TLSError(msg, cause=cause, reply=answer.reply)
    await conversation.refuse_injected()
    await conversation.start_tls()


async def _authenticate(conversation: Conversation, login: Login, extensions: Extensions) -> str:
    chances = 2 if login.is_renewable else 1
    while True:
        mechanism = await _choose(conversation, login, extensions)
        refusal = await _exchange(conversation, mechanism)
        if refusal is None:
            return mechanism.name
        chances -= 1
        if not chances or refusal.code != BAD_CREDENTIALS:
            raise _not_authenticated(conversation, login, mechanism, refusal)


def _not_authenticated(conversation: Conversation, login: Login, mechanism: Mechanism, refusal: Reply) -> DeliveryError:
    # OAuth explains a refusal before it refuses (RFC 7628 §3.2.2).
    host, redact = conversation.options.host, conversation.engine.redact
    detail = f", {redact(mechanism.detail)}" if mechanism.detail and redact is not None else ""
    if refusal.is_transient:
        msg = f"{host} cannot check credentials now ({refusal}{detail}); try again later"
        return TransientError(msg, outcome="not_sent", reply=refusal)
    msg = f"{host} refused the credentials of {login.who} ({refusal}{detail}): check user name, password or token"
    return AuthenticationError(msg, reply=refusal)


async def _choose(conversation: Conversation, login: Login, extensions: Extensions) -> Mechanism:
    options, tls_info = conversation.options, conversation.tls_info
    credentials = await login.credentials(conversation.edge)
    conversation.protect(secret for secret in (credentials.password, credentials.token) if secret is not None)
    return choose(
        extensions.auth_mechanisms,
        credentials=credentials,
        tls=tls_info is not None,
        allow_cleartext=options.cleartext_allowed,
        channel_binding=tls_server_end_point(tls_info.peer_certificate) if tls_info is not None else None,
        host=options.host,
        port=options.port,
        mechanism=login.mechanism,
    )


async def _exchange(conversation: Conversation, mechanism: Mechanism) -> Reply | None:
    """Authenticate; return the refusal, or None when the server said yes."""
    exchange = Exchange(mechanism)
    # SCRAM hashes for tens of milliseconds, NTLM imports for more: an event loop has other things to do meanwhile.
    in_thread = conversation.edge.in_thread
    line, shown = await in_thread(exchange.begin), f"AUTH {mechanism.name} ***"
    while True:
        answer = await conversation.ask(line, Expected(Awaited.AUTH), shown=shown)
        if not answer.is_positive:
            return answer.reply
        if answer.reply.code != CHALLENGE:
            exchange.finish()
            return None
        line, shown = await in_thread(partial(exchange.respond, answer.reply)), "***"


def _refused(what: str, reply: Reply) -> DeliveryError:
    msg = f"{what}: {reply}"
    if reply.is_transient:
        return TransientError(f"{msg}; try again later", outcome="not_sent", reply=reply)
    return RejectedError(f"{msg}; try another host", outcome="not_sent", cause="configuration", reply=reply)
