"""A Kerberos realm of the tests' own: MIT's key distribution centre, one user and one service."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from .processes import HOST, Daemon, MissingServerError, find_program, free_ports

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Kerberos"]

_REALM: Final = "MAIL.TEST"
_TOOLS: Final = {
    "krb5kdc": "krb5-kdc",
    "kdb5_util": "krb5-kdc",
    "kadmin.local": "krb5-admin-server",
    "kinit": "krb5-user",
}


class Kerberos:
    """A realm with the user ``ada`` and the service ``smtp@localhost``.

    Args:
        folder: Where its database, keys and tickets go.

    Raises:
        MissingServerError: It, or Python's side of it, is not installed.
        ServerFailedError: It did not come up.
    """

    user: Final = "ada"
    password: Final = "hunter2"
    host: Final = "localhost"
    principal: Final = f"ada@{_REALM}"

    def __init__(self, folder: Path) -> None:
        tools = {name: find_program(name, package=package) for name, package in _TOOLS.items()}
        if None in map(find_spec, ("gssapi", "krb5")):
            raise MissingServerError("python-gssapi and krb5 are not installed: pip install 'mailkit-sdk[gssapi]'")
        [self.port] = free_ports(1)
        self.log = folder / "kdc.log"
        self._folder = folder
        self._tools = tools
        self.keytab = folder / "keytab"
        (folder / "krb5.conf").write_text(
            f"[libdefaults]\ndefault_realm = {_REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\n"
            "dns_canonicalize_hostname = false\nrdns = false\n"
            f"[realms]\n{_REALM} = {{\nkdc = {HOST}:{self.port}\n}}\n[domain_realm]\nlocalhost = {_REALM}\n",
            encoding="ascii",
        )
        (folder / "kdc.conf").write_text(
            f"[kdcdefaults]\nkdc_listen = {HOST}:{self.port}\nkdc_tcp_listen = {HOST}:{self.port}\n"
            f"[realms]\n{_REALM} = {{\ndatabase_name = {folder}/principal\nkey_stash_file = {folder}/stash\n}}\n",
            encoding="ascii",
        )
        self._run("kdb5_util", "create", "-s", "-P", "master")
        self._run("kadmin.local", "addprinc", "-pw", self.password, self.user)
        self._run("kadmin.local", "addprinc", "-randkey", f"smtp/{self.host}")
        self._run("kadmin.local", "ktadd", "-k", str(self.keytab), f"smtp/{self.host}")
        environment = [f"{name}={value}" for name, value in self.environment(tickets=False).items()]
        command = ["/usr/bin/env", *environment, tools["krb5kdc"], "-n", "-r", _REALM]
        self._daemon = Daemon("krb5kdc", command, log=self.log, listens=[self.port])
        self._run("kinit", self.user, typed=self.password)

    def environment(self, *, tickets: bool) -> dict[str, str]:
        """The variables that lead Kerberos here; with the user's ticket, or to an empty cache."""
        return {
            "KRB5_CONFIG": str(self._folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self._folder / "kdc.conf"),
            "KRB5_KTNAME": f"FILE:{self.keytab}",
            "KRB5RCACHENAME": "none:",
            "KRB5CCNAME": f"FILE:{self._folder}/{'tickets' if tickets else 'no-tickets'}",
        }

    def stop(self) -> None:
        """Stop it."""
        self._daemon.stop()

    def _run(self, tool: str, *arguments: str, typed: str = "") -> None:
        subprocess.run(
            [self._tools[tool], *arguments],
            input=f"{typed}\n".encode(),
            env={**os.environ, **self.environment(tickets=True)},
            check=True,
            capture_output=True,
        )
