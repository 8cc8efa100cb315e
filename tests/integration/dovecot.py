"""A private Dovecot: passwords and tokens for Postfix, LMTP into maildirs, and submission."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import time
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from .maildir import MaildirTree
from .processes import HOST, Daemon, find_program, free_ports, require_root

if TYPE_CHECKING:
    from pathlib import Path

    from .certificates import Certificates

__all__ = ["ACCOUNTS", "Account", "Dovecot", "DovecotPorts"]


@frozen
class Account:
    """A user who may authenticate."""

    username: str
    password: str = field(repr=False)
    #: How the password is stored: "PLAIN" fits every mechanism, the others their own one and PLAIN and LOGIN.
    scheme: str = "PLAIN"


#: By the scheme in which the password is kept, and two that are hard to quote.
ACCOUNTS: Final = {
    "any": Account("ada@example.test", "correct horse battery staple"),
    "hashed": Account("hashed@example.test", "known to nobody else", "SHA512-CRYPT"),
    "cram": Account("cram@example.test", "only for CRAM-MD5", "CRAM-MD5"),
    "scram": Account("scram@example.test", "only for SCRAM-SHA-256", "SCRAM-SHA-256"),
    # RFC 5802 §5.1 writes "=" and "," of a user name as "=3D" and "=2C".
    "quoting": Account("one,two=three@example.test", 'a "quoted\\" pass,word=%41 +'),
    "unicode": Account("jürgen@example.test", "pässwörd ☃ 密码"),
}

# Local part, at any domain → what is special about the mailbox. LMTP answers RCPT for the first with a 4xx.
# For the others it accepts RCPT, and the reply for this recipient after the final dot is a 4xx and a 5xx.
_TROUBLED: Final = {
    "deferred": "userdb_tempfail=yes",
    "broken": "userdb_mail=maildir:/proc/no-mailbox-here",
    "full": "userdb_quota_rule=*:bytes=1",
}

_CONFIGURATION: Final = """\
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
instance_name = mailkit-{smtp_port}
listen = {host}
protocols = lmtp submission
hostname = dovecot.example.test
default_internal_user = dovecot
default_login_user = dovenull
default_vsz_limit = 0
shutdown_clients = yes

ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
# A connection from the own address counts as safe for Dovecot, so this bites for no client of the tests.
disable_plaintext_auth = yes

mail_location = maildir:{root}/maildirs/%Ld/%Ln
mail_uid = 65534
mail_gid = 65534
first_valid_uid = 65534
mail_fsync = never
# "+" is an ordinary character of a local part here.
recipient_delimiter =

auth_mechanisms = plain login cram-md5 scram-sha-256 xoauth2 oauthbearer
auth_username_chars =
auth_failure_delay = 0
auth_cache_size = 0
# "nodelay": a refusal is answered at once, although by default the server takes half a second for it.
passdb {{
  driver = oauth2
  default_fields = nodelay=y
  mechanisms = xoauth2 oauthbearer
  args = {root}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  default_fields = nodelay=y
  args = username_format=%u {root}/passwords
}}
# Who is listed here has no mailbox, who is listed next a troubled one, and everybody else has one.
userdb {{
  driver = passwd-file
  args = username_format=%Ln {root}/refused
  result_success = return-fail
}}
userdb {{
  driver = passwd-file
  args = username_format=%Ln {root}/troubled
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={root}/maildirs/%Ld/%Ln allow_all_users=yes
}}

protocol lmtp {{
  mail_plugins = quota
}}
plugin {{
  quota = maildir:User quota
}}

service auth {{
  unix_listener {root}/sasl/auth {{
    mode = 0666
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = {host}
    port = {lmtp}
  }}
  unix_listener {root}/lmtp {{
    mode = 0666
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {submission}
  }}
  inet_listener submissions {{
    port = {submissions}
    ssl = yes
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}

submission_relay_host = {host}
submission_relay_port = {smtp_port}
submission_relay_trusted = no
submission_max_mail_size = 100M
"""

_OAUTH2: Final = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={root}/keys/
username_attribute = sub
"""


@frozen(kw_only=True)
class DovecotPorts:
    """What listens on 127.0.0.1."""

    #: LMTP, without TLS required and without AUTH.
    lmtp: int
    #: Submission with STARTTLS and AUTH, relaying to Postfix.
    submission: int
    #: The same with TLS from the first byte.
    submissions: int


class Dovecot:
    """A running instance.

    Args:
        root: A folder of its own, which every user can reach; its sockets' paths have to fit into 108 bytes.
        certificates: What it shows.
        smtp_port: Where its submission service hands messages on.

    Raises:
        MissingServerError: Dovecot is not installed, or this is not root.
        ServerFailedError: It did not come up.
    """

    def __init__(self, root: Path, certificates: Certificates, *, smtp_port: int) -> None:
        require_root("dovecot")
        program = find_program("dovecot", package="dovecot-core dovecot-lmtpd dovecot-submissiond")
        self._doveadm = find_program("doveadm", package="dovecot-core")
        self._root = root
        self._token_key = b"only the tests and their server know this one"
        self.host = HOST
        self.ca_file = certificates.ca_file
        self.certificates = certificates
        self.accounts = ACCOUNTS
        self.log = root / "dovecot.log"
        self.mailboxes = MaildirTree(root / "maildirs")
        #: The socket for Postfix's smtpd_sasl_path.
        self.sasl_socket = root / "sasl" / "auth"
        #: LMTP on a UNIX socket.
        self.lmtp_socket = root / "lmtp"
        lmtp, submission, submissions = free_ports(3)
        self.ports = DovecotPorts(lmtp=lmtp, submission=submission, submissions=submissions)
        self._write(certificates, smtp_port)
        self._daemon = Daemon(
            "dovecot",
            [program, "-F", "-c", root / "dovecot.conf"],
            log=root / "output.log",
            listens=[lmtp, submission, submissions, self.sasl_socket, self.lmtp_socket],
        )

    def _write(self, certificates: Certificates, smtp_port: int) -> None:
        root = self._root
        for folder in ("run", "state", "sasl", "maildirs", "keys", "keys/default", "keys/default/HS256"):
            (root / folder).mkdir()
            (root / folder).chmod(0o755)
        subprocess.run(["chown", "nobody:nogroup", str(root / "maildirs")], check=True)
        (root / "dovecot.conf").write_text(
            _CONFIGURATION.format(
                root=root,
                host=HOST,
                chain=certificates.server.chain_file,
                key=certificates.server.key_file,
                lmtp=self.ports.lmtp,
                submission=self.ports.submission,
                submissions=self.ports.submissions,
                smtp_port=smtp_port,
            )
        )
        (root / "oauth2.conf").write_text(_OAUTH2.format(root=root))
        (root / "keys/default/HS256/default").write_bytes(base64.b64encode(self._token_key))
        rows = [f"{account.username}:{self._stored(account)}" for account in ACCOUNTS.values()]
        (root / "passwords").write_text("\n".join(rows) + "\n", "utf-8")
        (root / "refused").write_text("refused:::::::\n")
        troubled = [f"{user}::65534:65534::{root}/maildirs/none::{fields}\n" for user, fields in _TROUBLED.items()]
        (root / "troubled").write_text("".join(troubled))

    def _stored(self, account: Account) -> str:
        if account.scheme == "PLAIN":
            # "b64": the file's own separator is a colon, and passwords may hold anything.
            return "{PLAIN.b64}" + base64.b64encode(account.password.encode()).decode()
        secret = ["-s", account.scheme, "-p", account.password]
        command = [str(self._doveadm), "-c", "/dev/null", "pw", *secret]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def token(self, username: str, *, lifetime: float = 3600.0) -> str:
        """A bearer token (JWT, HS256) that this server takes for ``username``.

        Args:
            username: The token's subject.
            lifetime: For how many seconds from now; a negative one has expired.
        """
        now = int(time.time())
        claims = {"sub": username, "iat": now - 7200, "exp": now + int(lifetime)}
        parts = ({"alg": "HS256", "typ": "JWT"}, claims)
        signed = ".".join(_unpadded(json.dumps(part).encode()) for part in parts)
        return signed + "." + _unpadded(hmac.digest(self._token_key, signed.encode(), hashlib.sha256))

    def stop(self) -> None:
        """Stop all its processes."""
        self._daemon.stop()


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
