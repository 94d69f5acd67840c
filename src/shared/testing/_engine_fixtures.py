"""What the fixtures for servers do; the plugin only names them."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from shared.config import ConnectionUrl
from shared.errors import SharedError
from shared.testing import _postgres, _redis
from shared.testing._engine_hooks import chosen_engines, left_out, run_of, worker_of
from shared.testing._run import Engine

__all__ = ["extra_databases", "failing", "logical_database", "postgres_database"]

#: Variables that libpq would follow although the URL says everything; our own server speaks plainly.
_LIBPQ = (
    "PGCHANNELBINDING", "PGCLIENTENCODING", "PGDATESTYLE", "PGGEQO", "PGGSSENCMODE", "PGHOSTADDR",
    "PGLOADBALANCEHOSTS", "PGMAXPROTOCOLVERSION", "PGMINPROTOCOLVERSION", "PGOPTIONS", "PGREQUIREAUTH",
    "PGREQUIREPEER", "PGREQUIRESSL", "PGSERVICE", "PGSERVICEFILE", "PGSSLMODE", "PGSSLNEGOTIATION",
    "PGTARGETSESSIONATTRS", "PGTZ",
)  # fmt: skip


@contextlib.contextmanager
def failing() -> Iterator[None]:
    """Turn an error of ours into a failed test that shows its message and nothing else."""
    try:
        yield
    except SharedError as exc:
        # Without frames and causes: a traceback with local values would show the URLs of drivers.
        raise pytest.fail.Exception(str(exc), pytrace=False) from None


def engine(config: pytest.Config, kind: str) -> Engine:
    """Return the run's server of *kind*; the test fails without one, and is skipped when it was left out."""
    if kind not in chosen_engines(config):
        pytest.skip(left_out(config, kind))
    with failing():
        return run_of(config).acquire(kind)


@contextlib.contextmanager
def postgres_database(config: pytest.Config) -> Iterator[ConnectionUrl]:
    """Make a database for this worker; dropped at the end where the server lives on."""
    server = engine(config, "postgres")
    worker, _ = worker_of(config)
    name = f"shared_test_{run_of(config).token}_{worker}"
    with contextlib.ExitStack() as stack:
        if server.is_ours:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for variable in _LIBPQ:
                patch.delenv(variable, raising=False)
        with failing():
            url = _postgres.create_database(server.url, name)
        yield url
        if not server.is_ours:
            with failing():
                _postgres.drop_database(server.url, name)


@contextlib.contextmanager
def extra_databases(url: ConnectionUrl) -> Iterator[Callable[..., ConnectionUrl]]:
    """Give a function that makes databases beside the one of *url*, dropped at the end."""
    made: list[str] = []
    base = _postgres.name_of(url)

    def make(*, template: str | None = None) -> ConnectionUrl:
        name = f"{base}_{len(made) + 1}"
        created = _postgres.create_database(url, name, template=template)
        made.append(name)
        return created

    try:
        yield make
    finally:
        with failing():
            for name in made:
                _postgres.drop_database(url, name)


@contextlib.contextmanager
def logical_database(config: pytest.Config) -> Iterator[ConnectionUrl]:
    """Reserve a logical database for this worker."""
    server = engine(config, "redis")
    worker, number = worker_of(config)
    if server.is_ours:  # it has 256, and nobody else knows it
        yield _redis.with_number(server.url, number % 256)
        return
    with contextlib.ExitStack() as stack:
        with failing():
            url = stack.enter_context(_redis.claim(server.url, f"{run_of(config).token} {worker}"))
        yield url
        with failing():
            _redis.flush(url)
            stack.close()
