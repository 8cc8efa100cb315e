from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mailkit

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

_INSTALLED = any(each.value == "mailkit.testing.plugin" for each in entry_points(group="pytest11"))
_OPTIONS = ("-p", "no:cacheprovider", *(() if _INSTALLED else ("-p", "mailkit.testing.plugin")))

_APPLICATION = """
    import asyncio
    import pytest
    from mailkit import AsyncMailer, Envelope, Mailer, Message, TransientError

    kept = Mailer("smtp://user:secret@mail.invalid")

    def signup(address):
        with Mailer("smtp://user:secret@mail.invalid") as mailer:
            mailer.send(Message(from_="shop@example.com", to=address, subject="Welcome"))
"""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes import the same mailkit."""
    monkeypatch.setenv("PYTHONPATH", str(Path(mailkit.__file__).parent.parent))


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run tests of an application that sends mail, in a process of their own: pytest starts with the plugin."""

    def run(tests: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(_APPLICATION + tests)
        return pytester.runpytest_subprocess(*_OPTIONS, *options)

    return run


def test_every_mailer_sends_into_the_mailbox(run: Callable[..., pytest.RunResult]) -> None:
    """New and old mailers of both colours send into the mailbox, whatever their URLs; so does one without a URL."""
    run(
        """
    def test_new(mailbox):
        signup("bob@example.org")
        assert mailbox.one().subject == "Welcome"

    def test_old(mailbox):
        kept.send(Message(from_="shop@example.com", to="bob@example.org"))
        mailbox.assert_sent(to="bob@example.org")

    def test_async(mailbox):
        async def main():
            async with AsyncMailer("smtp://mail.invalid") as mailer:
                await mailer.send(Message(from_="shop@example.com", to="bob@example.org"))
        asyncio.run(main())
        assert len(mailbox) == 1

    def test_many_and_raw(mailbox):
        message = Message(from_="shop@example.com", to="bob@example.org")
        assert [each.ok for each in kept.send_many([message, message])] == [True, True]
        kept.send_raw(b"Subject: Raw\\r\\n\\r\\n", Envelope("", "bob@example.org"))
        assert [each.subject for each in mailbox] == [None, None, "Raw"]

    def test_no_url(mailbox):
        Mailer().send(Message(from_="shop@example.com", to="bob@example.org"))
        mailbox.one()

    def test_scripted(mailbox):
        mailbox.fail_next(TransientError("busy"))
        kept.send(Message(from_="shop@example.com", to="bob@example.org"))
        assert mailbox.one().receipt.transport == "mailbox://"
        """
    ).assert_outcomes(passed=6)


def test_each_test_has_a_mailbox_of_its_own(run: Callable[..., pytest.RunResult]) -> None:
    """A test sees nothing of what an earlier one sent, and without the fixture mailers are what they were."""
    run(
        """
    @pytest.mark.parametrize("time", [1, 2, 3])
    def test_own(mailbox, time):
        mailbox.assert_nothing_sent()
        signup("bob@example.org")
        mailbox.one()

    def test_none(monkeypatch):
        memory = Mailer("memory://")
        memory.send(Message(from_="shop@example.com", to="bob@example.org"))
        assert len(memory.transport.outbox) == 1
        """
    ).assert_outcomes(passed=4)


def test_a_failing_test_gives_the_mailbox_back(run: Callable[..., pytest.RunResult]) -> None:
    """The override ends with the test, however that ends."""
    run(
        """
    def test_first(mailbox):
        raise ValueError

    def test_second():
        memory = Mailer("memory://")
        memory.send(Message(from_="shop@example.com", to="bob@example.org"))
        assert len(memory.transport.outbox) == 1
        """
    ).assert_outcomes(passed=1, failed=1)


def test_an_override_of_somebody_else_is_put_back(run: Callable[..., pytest.RunResult]) -> None:
    """What was overridden before the test is so again after it."""
    run(
        """
    from mailkit.testing import catch_mail

    @pytest.fixture
    def around():
        with catch_mail() as outer:
            yield outer
            signup("eve@example.net")
            assert outer.one().to[0].email == "eve@example.net"

    def test_inner(around, mailbox):
        signup("bob@example.org")
        mailbox.one()
        around.assert_nothing_sent()
        """
    ).assert_outcomes(passed=1)


def test_a_url_in_the_environment_stays(run: Callable[..., pytest.RunResult], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment names a URL, the fixture leaves it."""
    monkeypatch.setenv("MAILKIT_URL", "smtp://mail.invalid")
    run(
        """
    def test_it(mailbox):
        assert str(Mailer().transport) == "smtp://mail.invalid:587"
        Mailer().send(Message(from_="shop@example.com", to="bob@example.org"))
        mailbox.one()
        """
    ).assert_outcomes(passed=1)


def test_a_failed_check_points_at_the_test(run: Callable[..., pytest.RunResult]) -> None:
    """The report of a failed assertion ends in the test's own line, not within mailkit."""
    result = run(
        """
    def test_it(mailbox):
        signup("bob@example.org")
        mailbox.assert_sent(to="eve@example.net")
        """
    )
    result.stdout.fnmatch_lines(["E *to: expected eve@example.net", "*test_a_failed_check_points_at_the_test.py:*"])
    assert "fake.py" not in result.stdout.str()


def test_it_costs_nothing_until_it_is_asked_for(pytester: pytest.Pytester) -> None:
    """Starting pytest with the plugin imports none of mailkit's modules but the plugin's own, and nothing heavy."""
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "mailkit.testing.plugin" in sys.modules
            ours = {name for name in sys.modules if name.partition(".")[0] == "mailkit"}
            assert ours <= {"mailkit", "mailkit._version", "mailkit.testing", "mailkit.testing.plugin"}
            assert not {"attrs", "anyio", "httpx", "ssl", "trio"} & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess(
        *_OPTIONS, "-p", "no:anyio", "-p", "no:hypothesispytest", "-p", "no:pytest_cov"
    )
    result.assert_outcomes(passed=1)


def test_it_works_in_the_workers_of_xdist(pytester: pytest.Pytester) -> None:
    """Tests that run in several processes at once have a mailbox each."""
    pytest.importorskip("xdist")
    pytester.makepyfile(
        _APPLICATION
        + """
    @pytest.mark.parametrize("number", range(8))
    def test_own(mailbox, number):
        signup(f"user{number}@example.org")
        assert mailbox.one().to[0].email == f"user{number}@example.org"
        """
    )
    pytester.runpytest_subprocess(*_OPTIONS, "-n", "2").assert_outcomes(passed=8)


def test_async_tests_and_threads_send_into_their_test_s_mailbox(run: Callable[..., pytest.RunResult]) -> None:
    """One event loop that serves the whole module, and threads that the application starts by itself."""
    run(
        """
    import threading

    pytestmark = pytest.mark.anyio
    numbers = pytest.mark.parametrize("number", range(3))

    @pytest.fixture(scope="module")
    def anyio_backend():
        return "asyncio"

    @numbers
    async def test_async(mailbox, number):
        async with AsyncMailer("smtp://mail.invalid") as mailer, asyncio.TaskGroup() as group:
            group.create_task(mailer.send(Message(from_="shop@example.com", to=f"user{number}@example.org")))
            group.create_task(asyncio.to_thread(signup, f"user{number}@example.net"))
        assert {sent.to[0].email for sent in mailbox} == {f"user{number}@example.org", f"user{number}@example.net"}

    @numbers
    def test_thread(mailbox, number):
        threading.Thread(target=signup, args=[f"user{number}@example.org"]).start()
        (sent,) = mailbox.wait_for(1)
        assert sent.to[0].email == f"user{number}@example.org"
        """
    ).assert_outcomes(passed=6)
