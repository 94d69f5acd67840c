"""What pytest is told about servers: options, which engines, one run for all workers, the summary.

Loaded in every test run, so it imports pytest and nothing that pytest has not
loaded itself.
"""

import os
import tempfile
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from shared.testing._run import Run

__all__ = [
    "ENGINES",
    "chosen_engines",
    "first_engine",
    "pytest_addoption",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_terminal_summary",
    "pytest_unconfigure",
    "run_of",
    "worker_of",
]

ENGINES: Final = ("sqlite", "postgres", "redis")
_DATABASES: Final = ("sqlite", "postgres")
_FOLDER: Final = pytest.StashKey[str]()
_RUN: Final = pytest.StashKey["Run"]()
_CHOSEN: Final = pytest.StashKey[tuple[str, ...]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("shared", "real servers for tests (libs-shared)")
    group.addoption(
        "--shared-engines",
        metavar="NAMES",
        default=None,
        help=f"engines the tests run on, from {','.join(ENGINES)} (default: all)",
    )
    group.addoption(
        "--shared-use-local",
        action="store_true",
        default=False,
        help="use servers that already run on this machine's default ports; tests delete data there",
    )
    parser.addini(
        "shared_engines", "engines the tests run on, as --shared-engines", default=",".join(ENGINES)
    )


def chosen_engines(config: pytest.Config) -> tuple[str, ...]:
    """Return the engines the tests run on.

    Raises:
        pytest.UsageError: One is unknown, or none is left.
    """
    known = config.stash.get(_CHOSEN, None)
    if known is not None:
        return known
    option = config.getoption("--shared-engines", default=None)
    text, source = (option, "--shared-engines") if option is not None else _from_ini(config)
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in ENGINES]
    if unknown or not names:
        wrong = f"unknown engine {unknown[0]!r}" if unknown else "no engine is named"
        msg = f"{source}: {wrong} (known: {', '.join(ENGINES)})"
        raise pytest.UsageError(msg)
    chosen = config.stash[_CHOSEN] = tuple(name for name in ENGINES if name in names)
    return chosen


def first_engine(config: pytest.Config) -> str:
    """Return the database of a test that does not say which; the test is skipped when none was chosen."""
    chosen = [name for name in _DATABASES if name in chosen_engines(config)]
    if not chosen:
        pytest.skip(left_out(config, " and ".join(_DATABASES)))
    return chosen[0]


def _from_ini(config: pytest.Config) -> tuple[str, str]:
    try:
        return str(config.getini("shared_engines")), "shared_engines"
    except ValueError:  # the plugin came after the options were read
        return ",".join(ENGINES), "shared_engines"


def left_out(config: pytest.Config, name: str) -> str:
    """Return the reason of a test that was left out because of an option."""
    return f"{name} is left out: the engines are {','.join(chosen_engines(config))} (--shared-engines)"


def run_of(config: pytest.Config) -> "Run":
    """Return what the processes of this test run share."""
    run = config.stash.get(_RUN, None)
    if run is None:
        from shared.testing._run import Run

        local = bool(config.getoption("--shared-use-local", default=False))
        shared: dict[str, Any] = getattr(config, "workerinput", {}).get("shared_engines", {})
        if shared.get("host") != os.uname().nodename:  # no worker, or one on another machine
            shared = {"folder": _folder(config)}
        run = config.stash[_RUN] = Run(shared["folder"], shared.get("owner"), use_local=local)
    return run


def _folder(config: pytest.Config) -> str:
    name = config.stash.get(_FOLDER, None)
    if name is None:
        name = os.path.join(tempfile.gettempdir(), f"shared-run-{os.urandom(6).hex()}")  # noqa: PTH118
        config.stash[_FOLDER] = name
    return name


def worker_of(config: pytest.Config) -> tuple[str, int]:
    """Return name and number of this process in the run: ``("gw3", 3)``; ``("main", 0)`` without workers."""
    name = str(getattr(config, "workerinput", {}).get("workerid", "main"))
    digits = "".join(filter(str.isdigit, name))
    return name, int(digits or 0)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each worker of pytest-xdist which run it belongs to."""
    shared = {"folder": _folder(node.config), "owner": os.getpid(), "host": os.uname().nodename}
    node.workerinput["shared_engines"] = shared


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses ``shared_engine`` once on each engine that was chosen."""
    if "shared_engine" not in metafunc.fixturenames:
        return
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", "")
        if "shared_engine" in (names.replace(" ", "").split(",") if isinstance(names, str) else names):
            return
    marker = metafunc.definition.get_closest_marker("shared_engines")
    wanted = marker.args if marker is not None and marker.args else _DATABASES
    unknown = [name for name in wanted if name not in _DATABASES]
    if unknown:
        where = metafunc.definition.nodeid
        msg = f"{where}: shared_engines({unknown[0]!r}) is unknown (known: {', '.join(_DATABASES)})"
        raise pytest.UsageError(msg)
    chosen = [name for name in wanted if name in chosen_engines(metafunc.config)]
    if chosen:
        metafunc.parametrize("shared_engine", chosen, indirect=True, scope="session")
    else:
        reason = left_out(metafunc.config, " and ".join(wanted))
        only = pytest.param(wanted[0], marks=pytest.mark.skip(reason=reason))
        metafunc.parametrize("shared_engine", [only], indirect=True, scope="session")


def _controllers_run(config: pytest.Config) -> "Run | None":
    """Return the run if this process began it and any server was asked for."""
    if hasattr(config, "workerinput"):
        return None
    folder = config.stash.get(_FOLDER, None)
    return run_of(config) if folder is not None and os.path.isdir(folder) else None  # noqa: PTH112


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name each engine that was used, its version and where it came from, and what was left out."""
    lines: list[str] = []
    run = _controllers_run(config)
    for engine in run.used() if run is not None else ():
        lines.append(f"{engine.kind}: {engine.product} {engine.version}, {engine.origin}")
        lines += [f"  passed over: {each}" for each in engine.passed_over]
    missing = [name for name in ENGINES if name not in chosen_engines(config)]
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    count = sum("(--shared-engines)" in reason for reason in skipped)
    if missing and (lines or count):
        lines.append(f"{', '.join(missing)}: left out by --shared-engines, {count} tests skipped")
    if lines:
        terminalreporter.section("shared engines")
        for line in lines:
            terminalreporter.line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers of the run."""
    run = _controllers_run(config)
    if run is not None:
        run.close()
