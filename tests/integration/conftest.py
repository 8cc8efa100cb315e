"""The servers as fixtures: each is started when a test first asks for it and lives as long as the session."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from .certificates import Certificates
from .colours import COLOURS, Post
from .cyrus import Cyrus
from .dovecot import Dovecot
from .kerberos import Kerberos
from .opensmtpd import OpenSMTPD
from .postfix import Postfix
from .processes import Guard, MissingServerError, free_ports
from .proxy_programs import MicroSocks, TinyProxy
from .redis_server import RedisServer
from .smtp_sink import SmtpSink

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_LOGS = pytest.StashKey[list[Path]]()
_LOG_CHARACTERS = 3_000

_MEMORY = "/dev/shm"
_MEMORY_NEEDED = 2 * 2**30


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the logs of the servers that are started."""
    config.stash[_LOGS] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the servers wrote last beside a test that failed."""
    report = yield
    if report.failed:
        for log in item.config.stash[_LOGS]:
            if log.is_file():
                end = log.read_text("utf-8", "backslashreplace")[-_LOG_CHARACTERS:]
                report.sections.append((f"the end of {log.parent.name}/{log.name}", end))
    return report


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that the servers' users can reach, which pytest's own folders (mode 0700) are not for."""
    folder = Path(tempfile.mkdtemp(prefix="mailkit-", dir=_memory()))
    folder.chmod(0o755)
    guard = Guard('sleep 2; rm -rf -- "$1"', str(folder))  # the servers have their own, and go first
    yield folder
    guard.dismiss()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def certificates(server_folder: Path) -> Certificates:
    """The session's certificate authority and what it issued."""
    return Certificates(_subfolder(server_folder, "certificates"))


class _MailSystem:
    """Postfix and Dovecot, each of which needs the other: one for passwords, one for relaying."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        [smtp_port] = free_ports(1)
        self.dovecot = Dovecot(_subfolder(folder, "dovecot"), certificates, smtp_port=smtp_port)
        try:
            self.postfix = Postfix(
                _subfolder(folder, "postfix"),
                certificates,
                sasl_socket=self.dovecot.sasl_socket,
                smtp_port=smtp_port,
            )
        except BaseException:
            self.dovecot.stop()
            raise


@pytest.fixture(scope="session")
def mail_system(server_folder: Path, certificates: Certificates, pytestconfig: pytest.Config) -> Iterator[_MailSystem]:
    """A Postfix and a Dovecot that work together."""
    try:
        system = _MailSystem(server_folder, certificates)
    except MissingServerError as missing:
        _do_without(missing)
    pytestconfig.stash[_LOGS] += [system.postfix.log, system.dovecot.log]
    yield system
    system.postfix.stop()
    system.dovecot.stop()


@pytest.fixture(scope="session")
def postfix(mail_system: _MailSystem) -> Postfix:
    """A private Postfix (its ports are described at ``PostfixPorts``)."""
    return mail_system.postfix


@pytest.fixture(scope="session")
def dovecot(mail_system: _MailSystem) -> Dovecot:
    """A private Dovecot: accounts, LMTP, and submission in front of ``postfix``."""
    return mail_system.dovecot


@pytest.fixture(scope="session")
def opensmtpd(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[OpenSMTPD]:
    """A private OpenSMTPD: plain SMTP on one port."""
    try:
        server = OpenSMTPD(_subfolder(server_folder, "opensmtpd"))
    except MissingServerError as missing:
        _do_without(missing)
    pytestconfig.stash[_LOGS].append(server.log)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cyrus(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[Cyrus]:
    """A private Cyrus: an account behind JMAP, and an SMTP server that it submits to."""
    try:
        server = Cyrus(_subfolder(server_folder, "cyrus"))
    except MissingServerError as missing:
        _do_without(missing)
    pytestconfig.stash[_LOGS].append(server.log)
    yield server
    server.stop()


@pytest.fixture
def smtp_sink(server_folder: Path) -> Iterator[Callable[..., SmtpSink]]:
    """Start a sink with the given options (see ``SmtpSink``); all of a test's sinks are stopped after it."""
    sinks: list[SmtpSink] = []
    folder = server_folder / "sinks"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)

    def start(*options: str, dump: bool = False) -> SmtpSink:
        try:
            sinks.append(SmtpSink(*options, folder=folder, dump=dump))
        except MissingServerError as missing:
            _do_without(missing)
        return sinks[-1]

    yield start
    for sink in sinks:
        sink.stop()


@pytest.fixture(scope="session", params=[MicroSocks, TinyProxy])
def proxy(
    request: pytest.FixtureRequest, server_folder: Path, pytestconfig: pytest.Config
) -> Iterator[MicroSocks | TinyProxy]:
    """A real proxy, of each kind."""
    folder = server_folder / "proxies"
    folder.mkdir(exist_ok=True)
    try:
        program = request.param(folder)
    except MissingServerError as missing:
        _do_without(missing)
    pytestconfig.stash[_LOGS].append(program.log)
    yield program
    program.stop()


@pytest.fixture(scope="session")
def kerberos(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[Kerberos]:
    """A private Kerberos realm."""
    try:
        realm = Kerberos(_subfolder(server_folder, "kerberos"))
    except MissingServerError as missing:
        _do_without(missing)
    pytestconfig.stash[_LOGS].append(realm.log)
    yield realm
    realm.stop()


@pytest.fixture(scope="session")
def redis(server_folder: Path, pytestconfig: pytest.Config) -> Iterator[RedisServer]:
    """A private Redis."""
    try:
        server = RedisServer(_subfolder(server_folder, "redis"))
    except MissingServerError as missing:
        _do_without(missing)
    pytestconfig.stash[_LOGS].append(server.log)
    yield server
    server.stop()


@pytest.fixture(params=COLOURS)
def post(request: pytest.FixtureRequest) -> Post:
    """Mailkit's mailers, in each of the three colours."""
    return Post(request.param)


_domain_numbers = itertools.count(1)


@pytest.fixture
def domain() -> str:
    """A domain that all servers take mail for and no other test uses."""
    return f"d{next(_domain_numbers)}.example.test"


def _memory() -> str | None:
    """Where files live in memory, if there is room: servers write each message to disk several times, and wait."""
    if not Path(_MEMORY).is_dir():
        return None
    found = os.statvfs(_MEMORY)
    if found.f_flag & (os.ST_NOEXEC | os.ST_NODEV):  # OpenSMTPD's root has programs and devices in it
        return None
    return _MEMORY if found.f_bavail * found.f_frsize >= _MEMORY_NEEDED else None


def _subfolder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def _do_without(missing: MissingServerError) -> NoReturn:
    """Fail where the servers have to be (CI), else skip, and say what to install."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(f"this test needs a real server: {missing}", pytrace=False)
    pytest.skip(f"needs a real server: {missing}")
