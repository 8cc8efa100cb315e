"""A private Cyrus: one account's mailboxes behind JMAP, and submission to an SMTP server of the tests.

Cyrus asks the SMTP server what it offers when a session is first asked for, and each process remembers that; so the
server is there for as long as Cyrus is.
"""

from __future__ import annotations

import imaplib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailkit.testing import SMTPServer

from .processes import HOST, Daemon, MissingServerError, free_ports, require_root

if TYPE_CHECKING:
    from mailkit.testing.received import ReceivedMessage

__all__ = ["Cyrus"]

_PROGRAMS: Final = Path("/usr/lib/cyrus/bin")
_PACKAGES: Final = "cyrus-imapd cyrus-caldav"  # the second has the HTTP daemon, and JMAP in it

_CONFIGURATION: Final = """\
configdirectory: {root}/config
defaultpartition: default
partition-default: {root}/spool
proc_path: {root}/proc
mboxname_lockpath: {root}/lock
lmtpsocket: {root}/lmtp
idlesocket: {root}/idle
notifysocket: {root}/notify
servername: cyrus.example.test
syslog_prefix: mailkit
# Whoever comes is let in, whatever the password: passwords are Dovecot's business here.
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
allowplaintext: yes
virtdomains: userid
# Not the account's own domain, which would leave its identity without an address.
defaultdomain: cyrus.example.test
unixhierarchysep: yes
# Logging in makes the mailboxes.
autocreate_users: anyone
autocreate_quota: 0
autocreate_inbox_folders: Drafts | Sent
xlist-drafts: Drafts
xlist-sent: Sent
specialusealways: yes
conversations: yes
httpmodules: jmap
smtp_backend: host
smtp_host: {host}:{smtp}
"""

_SERVICES: Final = """\
START {{
}}
SERVICES {{
  http cmd="httpd -C {root}/imapd.conf" listen="{host}:{http}" prefork=1
  imap cmd="imapd -C {root}/imapd.conf" listen="{host}:{imap}" prefork=0
}}
EVENTS {{
}}
"""


class Cyrus:
    """A running instance.

    Args:
        root: Its folder; it must exist and be empty.

    Raises:
        MissingServerError: The programs are not installed, or this is not root.
        ServerFailedError: It did not come up.
    """

    #: The account's name, and its identity's address.
    user: Final = "ada@example.test"

    def __init__(self, root: Path) -> None:
        require_root("cyrus")
        for program in ("master", "httpd", "imapd"):
            if not (_PROGRAMS / program).is_file():
                raise MissingServerError(
                    f"{_PROGRAMS / program} is not installed: apt-get install --no-install-recommends {_PACKAGES}"
                )
        self.log = root / "output.log"
        self.port, self._imap_port = free_ports(2)
        #: What Cyrus submits to.
        self.submitted = SMTPServer().start()
        for name in ("config", "spool", "proc", "lock"):
            (root / name).mkdir()
            shutil.chown(root / name, "cyrus", "mail")
        shutil.chown(root, "cyrus", "mail")
        known = {"root": root, "host": HOST, "smtp": self.submitted.port, "http": self.port, "imap": self._imap_port}
        (root / "imapd.conf").write_text(_CONFIGURATION.format(**known))
        (root / "cyrus.conf").write_text(_SERVICES.format(**known))
        settings = ("-C", root / "imapd.conf", "-M", root / "cyrus.conf", "-p", root / "master.pid")
        try:
            self._daemon = Daemon(
                "Cyrus", [_PROGRAMS / "master", *settings, "-D"], log=self.log, listens=[self.port, self._imap_port]
            )
        except BaseException:
            self.submitted.close()
            raise
        with self._mailbox():
            pass

    @property
    def url(self) -> str:
        """A JMAP transport for the account."""
        return f"jmap://{self.user.replace('@', '%40')}:any@{HOST}:{self.port}"

    def arrived(self, domain: str, count: int = 1) -> list[ReceivedMessage]:
        """Return the messages that were submitted for a domain, when there are that many."""

        def found() -> list[ReceivedMessage]:
            return [each for each in self.submitted.messages if any(domain in path for path in each.rcpt_to)]

        self.submitted.wait_until(lambda _server: len(found()) >= count)
        return found()

    def mailbox(self, name: str, subject: str) -> list[bytes]:
        """Return the messages of one subject that lie in a mailbox, each with its flags before it."""
        with self._mailbox() as connection:
            connection.select(name, readonly=True)
            _, [numbers] = connection.search(None, "SUBJECT", f'"{subject}"')
            found: list[bytes] = []
            for number in numbers.split():
                _, parts = connection.fetch(number.decode(), "(FLAGS BODY.PEEK[])")
                found += [part[0] + part[1] for part in parts if isinstance(part, tuple)]
            return found

    def _mailbox(self) -> imaplib.IMAP4:
        connection = imaplib.IMAP4(HOST, self._imap_port, timeout=10)
        connection.login(self.user, "any")
        return connection

    def stop(self) -> None:
        """Stop it, and what it submits to."""
        self._daemon.stop()
        self.submitted.close()
