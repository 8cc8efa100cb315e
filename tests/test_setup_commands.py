"""The README promises two set-up commands; what CI runs is the one that a newcomer reads."""

from __future__ import annotations

import re
from pathlib import Path

from mailkit.registry import schemes, transport_class

_ROOT = Path(__file__).parents[1]


def _commands_to_try() -> list[str]:
    """Return the bash blocks of the README's section "Try it"."""
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Try it\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    return [block.strip() for block in re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)]


def test_the_readme_has_two_set_up_commands_of_one_line_each() -> None:
    """One command runs the demo, one the tests, and each makes the environment that it needs."""
    demo, tests = _commands_to_try()
    assert "\n" not in demo
    assert "\n" not in tests
    assert demo.startswith("python3 -m venv .venv && ")
    assert tests.startswith("python3 -m venv .venv && ")
    assert demo.endswith("mailkit demo")
    assert tests.endswith("nox")


def test_ci_runs_the_readme_s_test_command() -> None:
    """The line in .ci/run is the README's, word for word, and it is what .ci/run executes."""
    script = (_ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (line,) = re.findall(r"^tests='(.*)'$", script, re.MULTILINE)
    assert line == _commands_to_try()[1]
    assert script.count('-c "$tests"') == 1
    assert not re.search(r"^[^#]*\b(nox|pytest)\b -", script, re.MULTILINE)


def test_the_readme_says_what_mailkit_is_in_twenty_lines() -> None:
    """A stranger reads at most twenty lines before the set-up commands."""
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    introduction = readme.partition("## Try it")[0]
    assert len([line for line in introduction.splitlines() if line.strip()]) <= 20


def test_the_readme_counts_what_the_registry_has() -> None:
    """So many HTTP APIs and so many SMTP relays as it says are URL schemes."""
    readme = " ".join((_ROOT / "README.md").read_text(encoding="utf-8").split())
    homes = {scheme: transport_class(scheme).__module__ for scheme in schemes()}
    apis = [scheme for scheme, home in homes.items() if home.startswith("mailkit.providers.")]
    relays = [scheme for scheme, home in homes.items() if home.startswith("mailkit.relays.")]
    assert f"[{len(apis)} HTTP APIs](docs/providers/README.md)" in readme
    assert f"[{len(relays)} SMTP relays](docs/reference/urls.md#smtp-relays)" in readme


def test_contributing_lists_every_session() -> None:
    """The table of sessions in CONTRIBUTING.md has those of the noxfile, and no other."""
    contributing = (_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^## The sessions\n(.*?)^## ", contributing, re.MULTILINE | re.DOTALL)
    noxfile = (_ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = re.findall(r"^@nox\.session.*\ndef (\w+)\(", noxfile, re.MULTILINE)
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(sessions)
