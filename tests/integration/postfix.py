"""A private Postfix: its own queue, configuration, log and ports; the system's instance is not touched.

It takes mail for any local part at its domains and at all domains below them, and says no where the tables
below say so.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from .maildir import MaildirTree
from .processes import HOST, Daemon, find_program, free_ports, require_root, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .certificates import CertificateFiles, Certificates

__all__ = ["DOMAINS", "MECHANISMS", "Postfix", "PostfixPorts"]

Mechanism = Literal["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"]
MECHANISMS: Final[tuple[Mechanism, ...]] = (
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "SCRAM-SHA-256",
    "XOAUTH2",
    "OAUTHBEARER",
)

# And every domain below them: a test that takes one of its own sees no mail but its own.
DOMAINS: Final = ("example.test", "bücher.test", "xn--bcher-kva.test")

SIZE_LIMIT: Final = 20_000
RECIPIENT_LIMIT: Final = 10
ERROR_LIMIT: Final = 3

# Local part, at any domain → what RCPT is answered.
RECIPIENT_REPLIES: Final[Mapping[str, str]] = {
    "refused": "550 5.1.1 no such mailbox",
    "gone": "551 5.1.6 has moved away",
    "deferred": "450 4.2.0 not now",
    "greylisted": "450 4.7.1 come back in five minutes",
    "full": "452 4.2.2 mailbox full",
    "overfull": "552 5.2.2 mailbox full for good",
    "closing": "421 4.3.2 closing at the recipient",  # Postfix hangs up after it
}

# Local part of the sender → what MAIL is answered.
SENDER_REPLIES: Final[Mapping[str, str]] = {
    "refused-sender": "550 5.7.1 not from you",
    "deferred-sender": "451 4.3.0 not from you now",
    "closing-sender": "421 4.3.2 closing at the sender",
}

# Local part of the sender → what the message is answered once all of it has been received.
CONTENT_REPLIES: Final[Mapping[str, str]] = {
    "refused-content": "554 5.7.1 not with this content",
    "deferred-content": "451 4.3.0 content not checked yet",
}

_MASTER: Final = "/usr/lib/postfix/sbin/master"

_MAIN: Final = """\
compatibility_level = 3.7
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/mail.log
maillog_file_prefixes = {root}
mail_owner = postfix
setgid_group = postdrop
syslog_name = mailkit

myhostname = mail.example.test
mydomain = example.test
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
smtp_host_lookup = native
# Nothing is added to a message but its trace: what is delivered can be compared with what was sent.
local_header_rewrite_clients =
alias_maps =
alias_database =
local_recipient_maps =
default_transport = error:5.4.4 this server relays nowhere
relay_transport = $default_transport
local_transport = $default_transport

virtual_transport = virtual
virtual_mailbox_domains = regexp:{root}/domains
virtual_mailbox_maps = regexp:{root}/mailboxes
virtual_mailbox_base = {root}/maildirs
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 104857600
smtputf8_enable = yes
smtputf8_autodetect_classes = all

smtpd_delay_reject = no
smtpd_sender_restrictions = check_sender_access regexp:{root}/senders
mailkit_checks = check_recipient_access regexp:{root}/recipients
smtpd_recipient_restrictions = $mailkit_checks, reject_unauth_destination
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_end_of_data_restrictions = check_sender_access regexp:{root}/contents

# A client that sends thousands of messages, some of them refused, is what is tested: nothing slows it.
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000000
smtpd_hard_error_limit = 1000000
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
notify_classes =
maximal_backoff_time = 4000s

smtpd_tls_security_level = may
smtpd_tls_chain_files = {certificate}
smtpd_tls_CAfile = {ca_file}
smtpd_tls_session_cache_database =
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes

smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl_socket}
smtpd_sasl_security_options = noanonymous
smtpd_sasl_auth_enable = no
smtpd_tls_auth_only = yes
smtpd_sasl_authenticated_header = yes
"""

# The services that are not listeners, as Debian's own master.cf has them but for chroot.
_SERVICES: Final = """\
pickup     unix  n - n 60    1 pickup
cleanup    unix  n - n -     0 cleanup
qmgr       unix  n - n 300   1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n -     - trivial-rewrite
bounce     unix  - - n -     0 bounce
defer      unix  - - n -     0 bounce
trace      unix  - - n -     0 bounce
verify     unix  - - n -     1 verify
flush      unix  n - n 1000? 0 flush
proxymap   unix  - - n -     - proxymap
proxywrite unix  - - n -     1 proxymap
smtp       unix  - - n -     - smtp
error      unix  - - n -     - error
retry      unix  - - n -     - error
discard    unix  - - n -     - discard
virtual    unix  - n n -     - virtual
anvil      unix  - - n -     1 anvil
scache     unix  - - n -     1 scache
postlog    unix-dgram n - n -  1 postlogd
"""


@frozen(kw_only=True)
class PostfixPorts:
    """What listens on 127.0.0.1, and how each port differs from :attr:`smtp`."""

    #: STARTTLS offered, no AUTH; PIPELINING, CHUNKING, 8BITMIME, SMTPUTF8, DSN, SIZE (100 MiB).
    smtp: int
    #: TLS required, AUTH required; every mechanism offered.
    submission: int
    #: TLS from the first byte, AUTH offered but not required.
    smtps: int
    #: TLS and AUTH required; one port for each mechanism, which is the only one offered there.
    mechanism: Mapping[Mechanism, int]
    #: AUTH offered and required without any TLS at all.
    auth_in_clear: int
    #: SIZE 20,000.
    small: int
    #: No CHUNKING.
    no_chunking: int
    #: Neither PIPELINING nor CHUNKING.
    no_pipelining: int
    #: No extension at all, not even STARTTLS, though EHLO is answered.
    bare: int
    #: No 8BITMIME and no SMTPUTF8.
    seven_bit: int
    #: No SMTPUTF8.
    no_smtputf8: int
    #: No STARTTLS.
    no_starttls: int
    #: 452 4.5.3 after ten recipients of one message.
    few_recipients: int
    #: 421 4.7.0 and hangs up at the fourth error of a session.
    impatient: int
    #: TLS required, with a certificate from the client.
    client_certificate: int
    #: smtps with a certificate for other.example.test.
    smtps_other_host: int
    #: smtps with a certificate that has expired.
    smtps_expired: int
    #: smtps with a certificate of an unknown authority.
    smtps_untrusted: int


class Postfix:
    """A running instance.

    Args:
        root: A folder of its own, which the user ``postfix`` can reach.
        certificates: What it shows.
        sasl_socket: Where Dovecot answers authentication requests.
        smtp_port: The port for plain SMTP, chosen by the caller because Dovecot relays to it.

    Raises:
        MissingServerError: Postfix is not installed, or this is not root.
        ServerFailedError: It did not come up.
    """

    def __init__(self, root: Path, certificates: Certificates, *, sasl_socket: Path, smtp_port: int) -> None:
        require_root("postfix")
        self._program = find_program("postfix", package="postfix")
        self._root = root
        self._configuration = root / "etc"
        self.host = HOST
        self.domains = DOMAINS
        self.ca_file = certificates.ca_file
        self.certificates = certificates
        self.log = root / "mail.log"
        self.mailboxes = MaildirTree(root / "maildirs")
        self.ports = _choose_ports(smtp_port)
        self._write(certificates, sasl_socket)
        # What "postfix start" does before it runs the master, which runs here as our own child.
        subprocess.run([self._program, "-c", self._configuration, "check"], check=True)
        self._daemon = Daemon(
            "postfix",
            [_MASTER, "-c", self._configuration, "-s"],
            log=root / "output.log",
            listens=_flat(self.ports),
        )

    def _write(self, certificates: Certificates, sasl_socket: Path) -> None:
        for folder in ("etc", "queue", "data", "maildirs"):
            (self._root / folder).mkdir()
            (self._root / folder).chmod(0o755)
        nobody = 65534
        _own(self._root / "maildirs", str(nobody))
        _own(self._root / "data", "postfix")
        (self._configuration / "main.cf").write_text(
            _MAIN.format(
                root=self._root,
                certificate=certificates.server.key_and_chain_file,
                ca_file=certificates.ca_file,
                sasl_socket=sasl_socket,
            )
        )
        (self._configuration / "master.cf").write_text(_SERVICES + _listeners(self.ports, certificates))
        patterns = {domain: r"(.*\.)?" + domain.replace(".", r"\.") for domain in DOMAINS}
        domains = [f"/^{pattern}$/ yes\n" for pattern in patterns.values()]
        mailboxes = [f"/@{pattern}$/ {domain}/\n" for domain, pattern in patterns.items()]
        (self._root / "domains").write_text("".join(domains), "utf-8")
        (self._root / "mailboxes").write_text("".join(mailboxes), "utf-8")
        for name, replies in (
            ("recipients", RECIPIENT_REPLIES),
            ("senders", SENDER_REPLIES),
            ("contents", CONTENT_REPLIES),
        ):
            rows = [rf"/^{local}@/ {reply}" for local, reply in replies.items()]
            (self._root / name).write_text("\n".join(rows) + "\n")

    def queue(self) -> list[str]:
        """The names of the messages that are still waiting for delivery."""
        waiting = ("maildrop", "incoming", "active", "deferred", "hold")
        return [path.name for name in waiting for path in (self._root / "queue" / name).rglob("*") if path.is_file()]

    def wait_for_empty_queue(self, *, seconds: float = 60.0) -> None:
        """Wait until everything that was taken has been delivered.

        Raises:
            AssertionError: Something is still waiting.
        """
        if not wait_until(lambda: not self.queue(), seconds=seconds):
            raise AssertionError(f"Postfix still holds {self.queue()} after {seconds} s")

    def stop(self) -> None:
        """Stop all its processes."""
        self._daemon.stop()


def _choose_ports(smtp_port: int) -> PostfixPorts:
    names = [name for name in PostfixPorts.__annotations__ if name not in {"smtp", "mechanism"}]
    free = iter([port for port in free_ports(len(names) + len(MECHANISMS) + 1) if port != smtp_port])
    by_name = {name: next(free) for name in names}
    return PostfixPorts(smtp=smtp_port, mechanism={name: next(free) for name in MECHANISMS}, **by_name)


def _flat(ports: PostfixPorts) -> list[int]:
    named = [getattr(ports, name) for name in PostfixPorts.__annotations__ if name != "mechanism"]
    return [*named, *ports.mechanism.values()]


def _listeners(ports: PostfixPorts, certificates: Certificates) -> str:
    authenticated = {
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_recipient_restrictions": "$mailkit_checks, permit_sasl_authenticated, reject",
    }
    tls = {"smtpd_tls_security_level": "encrypt"}
    implicit = {"smtpd_tls_wrappermode": "yes"}

    def shows(files: CertificateFiles) -> dict[str, str]:
        return {"smtpd_tls_chain_files": str(files.key_and_chain_file)}

    def without(*keywords: str) -> dict[str, str]:
        return {"smtpd_discard_ehlo_keywords": ", ".join(keywords)}

    everything = "pipelining chunking 8bitmime smtputf8 dsn size etrn vrfy starttls enhancedstatuscodes"
    listeners: list[tuple[int, dict[str, str]]] = [
        (ports.smtp, {}),
        (ports.submission, tls | authenticated),
        (ports.smtps, implicit | {"smtpd_sasl_auth_enable": "yes"}),
        *(
            (port, tls | authenticated | {"smtpd_sasl_mechanism_filter": mechanism.lower()})
            for mechanism, port in ports.mechanism.items()
        ),
        (
            ports.auth_in_clear,
            authenticated | {"smtpd_tls_security_level": "none", "smtpd_tls_auth_only": "no"},
        ),
        (ports.small, {"message_size_limit": str(SIZE_LIMIT)}),
        (ports.no_chunking, without("chunking")),
        (ports.no_pipelining, without("pipelining", "chunking")),
        (ports.bare, without(*everything.split())),
        (ports.seven_bit, without("8bitmime", "smtputf8")),
        (ports.no_smtputf8, without("smtputf8")),
        (ports.no_starttls, {"smtpd_tls_security_level": "none"}),
        (ports.few_recipients, {"smtpd_recipient_limit": str(RECIPIENT_LIMIT)}),
        (ports.impatient, {"smtpd_hard_error_limit": str(ERROR_LIMIT), "smtpd_soft_error_limit": "1"}),
        (ports.client_certificate, tls | {"smtpd_tls_req_ccert": "yes"}),
        (ports.smtps_other_host, implicit | shows(certificates.other_host)),
        (ports.smtps_expired, implicit | shows(certificates.expired)),
        (ports.smtps_untrusted, implicit | shows(certificates.untrusted)),
    ]
    rows: list[str] = []
    for port, options in listeners:
        rows.append(f"{HOST}:{port} inet n - n - - smtpd\n")
        rows += [f"  -o {{ {name} = {value} }}\n" for name, value in options.items()]
    return "".join(rows)


def _own(folder: Path, user: str) -> None:
    subprocess.run(["chown", user, str(folder)], check=True)
