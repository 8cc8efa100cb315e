"""A private OpenSMTPD in a root folder of its own.

The daemon's paths (``/var/spool/smtpd``, ``/var/run/smtpd.sock``, ``/usr/libexec/opensmtpd``) and users
(``opensmtpd``, ``opensmtpq``) are compiled in, and Debian's package can't be installed beside Postfix's. So
the unpacked package is put into a folder with the few libraries and files that it needs, and started there
under ``chroot``: the system sees nothing of it but its port.

There is no TLS here, and so no AUTH: the version in Debian 12 (6.8.0p2) keeps private keys in a process of
its own by means that OpenSSL 3 took away; each handshake ends with "missing private key" (OpenSMTPD #1171).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final

from .maildir import MaildirTree
from .processes import HOST, Daemon, MissingServerError, find_program, free_ports, require_root

__all__ = ["OpenSMTPD"]

# Name → phase, local part, answer.
_ANSWERS: Final = {
    "refused": ("rcpt-to", "refused", 'reject "550 5.1.1 no such mailbox"'),
    "deferred": ("rcpt-to", "deferred", 'reject "450 4.2.0 not now"'),
    "closing": ("rcpt-to", "closing", 'disconnect "421 4.3.2 closing at the recipient"'),
    "refused_sender": ("mail-from", "refused-sender", 'reject "550 5.7.1 not from you"'),
}

_CONFIGURATION: Final = """\
table everyone {{ "@" = "mail" }}

{answers}
filter answers chain {{ {names} }}

smtp max-message-size 100M
listen on {host} port {port} hostname mail.example.test filter answers

action deliver maildir "/var/maildirs/mail" virtual <everyone>
match from any for domain {{ "example.test", "*.example.test" }} action deliver
"""

_LIBRARIES: Final = "apt-get install --no-install-recommends libdb5.3 libevent-2.1-7"

_FOLDERS: Final = ("dev", "etc", "tmp", "var/run", "var/empty", "var/lib/opensmtpd/empty", "var/maildirs")

# user → uid; the daemon insists on two of its own, and delivers as the third.
_USERS: Final = {"root": 0, "opensmtpd": 65_531, "opensmtpq": 65_532, "mail": 65_533}


class OpenSMTPD:
    """A running instance.

    Args:
        root: The folder that becomes its root; it must exist and be empty.

    Raises:
        MissingServerError: There is no unpacked package, a library is missing, or this is not root.
        ServerFailedError: It did not come up.
    """

    def __init__(self, root: Path) -> None:
        require_root("opensmtpd")
        package = _unpacked_package()
        self._root = root
        self.host = HOST
        #: Its default; to the MAIL after them it answers 452 4.5.3.
        self.messages_a_session = 100
        self.log = root / "output.log"
        self.mailboxes = MaildirTree(root / "var/maildirs")
        #: Plain SMTP: 8BITMIME, SIZE (100 MiB) and DSN, but no PIPELINING, CHUNKING or SMTPUTF8.
        [self.port] = free_ports(1)
        _build_root(root, package)
        self._write()
        self._daemon = Daemon(
            "opensmtpd",
            ["chroot", root, "/usr/sbin/smtpd", "-d"],
            log=self.log,
            listens=[self.port],
        )

    def _write(self) -> None:
        etc = self._root / "etc"
        (etc / "mailname").write_text("mail.example.test\n")
        (etc / "hosts").write_text("127.0.0.1 localhost mail.example.test\n")
        (etc / "resolv.conf").write_text("")
        # What is matched is the path as the client wrote it, with its "<" or without.
        answers = [
            f'filter {name} phase {phase} match {phase} regex {{ "^<?{local}@" }} {answer}'
            for name, (phase, local, answer) in _ANSWERS.items()
        ]
        (etc / "smtpd.conf").write_text(
            _CONFIGURATION.format(host=HOST, port=self.port, answers="\n".join(answers), names=", ".join(_ANSWERS))
        )
        users = [f"{name}:x:{number}:{number}::/var/empty:/bin/sh\n" for name, number in _USERS.items()]
        (etc / "passwd").write_text("".join(users))
        (etc / "group").write_text("".join(f"{name}:x:{number}:\n" for name, number in _USERS.items()))

    def stop(self) -> None:
        """Stop all its processes."""
        self._daemon.stop()


def _unpacked_package() -> Path:
    named = os.environ.get("MAILKIT_OPENSMTPD", "")
    if not (Path(named) / "usr/sbin/smtpd").is_file():
        raise MissingServerError(
            f"MAILKIT_OPENSMTPD={named!r} names no folder with usr/sbin/smtpd: {_LIBRARIES}; "
            "apt-get download opensmtpd; dpkg -x opensmtpd_*.deb FOLDER; export MAILKIT_OPENSMTPD=FOLDER"
        )
    return Path(named)


def _build_root(root: Path, package: Path) -> None:
    shutil.copytree(package / "usr", root / "usr", ignore=shutil.ignore_patterns("share"))
    programs = [root / "usr/sbin/smtpd", root / "usr/libexec/opensmtpd/mail.maildir"]
    shell = Path(shutil.which("sh") or "/bin/sh").resolve()  # it runs the delivery agent
    for library in _libraries([*programs, shell]):
        target = root / library.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (root / "bin").mkdir(exist_ok=True)
    shutil.copy(shell, root / "bin/sh")
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, mode=0o755)
    (root / "var/spool/smtpd").mkdir(parents=True, mode=0o711)
    (root / "tmp").chmod(0o1777)
    os.chown(root / "var/maildirs", _USERS["mail"], _USERS["mail"])
    for device, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        os.mknod(root / "dev" / device, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        (root / "dev" / device).chmod(0o666)


def _libraries(programs: list[Path]) -> set[Path]:
    """The shared libraries of ``programs``, the dynamic loader among them."""
    ldd = find_program("ldd", package="libc-bin")
    output = subprocess.run([ldd, *programs], check=True, capture_output=True, text=True).stdout
    if missing := re.findall(r"(\S+) => not found", output):
        raise MissingServerError(f"OpenSMTPD lacks {', '.join(missing)}: {_LIBRARIES}")
    return {Path(path) for path in re.findall(r"(/\S+) \(0x", output)}
