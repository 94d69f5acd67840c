"""The pytest plugin: fixtures for services built on the library.

Every test run of every service imports this module, so at the top it imports
pytest and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

# pytest finds the fixtures and the hooks here
from shared.testing._database_fixtures import (
    _shared_templates,  # noqa: F401
    query_log,
    shared_async_db,
    shared_db,
    shared_db_committed,
    shared_db_setup,
    shared_metadata,
)
from shared.testing._engine_hooks import (  # noqa: F401
    first_engine,
    pytest_addoption,
    pytest_configure_node,
    pytest_generate_tests,
    pytest_terminal_summary,
    pytest_unconfigure,
)
from shared.testing._mail_fixtures import shared_mail_outbox
from shared.testing._markers import pytest_configure  # noqa: F401

if TYPE_CHECKING:
    from redis import Redis

    from shared.auth import Principal
    from shared.cache import Cache
    from shared.config import ConnectionUrl, Settings
    from shared.integrations.storage import Storage
    from shared.resilience.testing import Chaos
    from shared.runtime import Runtime
    from shared.testing._client import ApiClient
    from shared.testing._clock import FrozenClock
    from shared.testing._fake_openai import FakeOpenAI
    from shared.testing._flags import FlagOverrides

__all__ = [
    "as_user",
    "fake_openai",
    "fault",
    "flags_override",
    "frozen_clock",
    "log_capture",
    "query_log",
    "shared_async_db",
    "shared_cache",
    "shared_client",
    "shared_db",
    "shared_db_committed",
    "shared_db_setup",
    "shared_engine",
    "shared_mail_outbox",
    "shared_metadata",
    "shared_postgres",
    "shared_postgres_database",
    "shared_redis",
    "shared_redis_client",
    "shared_runtime",
    "shared_settings",
    "shared_storage",
]


@pytest.fixture
def shared_settings(request: pytest.FixtureRequest) -> "Settings":
    """Settings of the profile ``testing``; the machine's environment and ``.env`` are not read.

    ``@pytest.mark.shared_settings(DB_POOL_SIZE=3)`` sets values, ``cls=`` another class.

    Example:
        >>> @pytest.mark.shared_settings(API_PORT=9000)
        ... def test_port(shared_settings):
        ...     assert shared_settings.api.API_PORT == 9000
    """
    from shared.config import Settings

    values: dict[str, Any] = {"ENVIRONMENT": "testing"}
    cls: type[Settings] = Settings
    for marker in reversed(list(request.node.iter_markers("shared_settings"))):  # the nearest wins
        given = dict(marker.kwargs)
        cls = given.pop("cls", cls)
        values.update(given)
    return cls(environ={}, env_file=None, **values)


@pytest.fixture
def shared_runtime(shared_settings: "Settings") -> "Iterator[Runtime]":
    """A runtime of its own for the test, with ``shared_settings``; closed afterwards.

    Accessors such as ``get_settings()`` find it, and so does an application that the
    test installs.

    Example:
        >>> def test_mail_is_sent(shared_runtime):
        ...     outbox = []
        ...     with shared_runtime.override(list, outbox):
        ...         assert shared_runtime.get(list) is outbox
    """
    from shared.config import use_settings
    from shared.runtime import Runtime, use

    runtime = Runtime("test")
    use_settings(shared_settings, runtime=runtime)
    with use(runtime):
        yield runtime
    runtime.close()


@pytest.fixture
def fake_openai() -> "Iterator[FakeOpenAI]":
    """A server of this test that speaks OpenAI's API; ``settings.ai`` of tests does not know it by itself.

    Example:
        >>> def test_summary(fake_openai, shared_runtime):
        ...     from shared.config import override_settings
        ...     fake_openai.reply("short")
        ...     url, key = fake_openai.base_url, fake_openai.api_key
        ...     with override_settings(OPENAI_BASE_URL=url, OPENAI_API_KEY=key):
        ...         ...
    """
    from shared.testing._fake_openai import FakeOpenAI

    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def shared_client(shared_runtime: "Runtime") -> "Iterator[Callable[..., ApiClient]]":  # noqa: ARG001
    """A function that makes a client: ``shared_client(app, headers=...)``.

    Start-up and shutdown of each application run around the test.

    Example:
        >>> def test_orders_are_listed(shared_client):
        ...     from orders.main import app
        ...     assert shared_client(app).get("/orders").assert_success() == []
    """
    from shared.testing._client import ApiClient

    with ExitStack() as stack:

        def make(app: Any, **options: Any) -> ApiClient:
            return stack.enter_context(ApiClient(app, **options))

        yield make


@pytest.fixture
def log_capture() -> "Iterator[list[dict[str, Any]]]":
    """The log events of the test, as dictionaries, also of loggers made before it.

    Example:
        >>> def test_refusal_is_logged(log_capture):
        ...     from shared.logging import get_logger
        ...     get_logger("orders").warning("refused", reason="empty")
        ...     assert log_capture[0]["reason"] == "empty"
    """
    from shared.logging import capture_logs

    with capture_logs() as events:
        yield events


@pytest.fixture
def frozen_clock() -> "FrozenClock":
    """A clock that moves only by ``advance`` and ``sleep``.

    Example:
        >>> def test_an_hour_takes_no_time(frozen_clock):
        ...     before = frozen_clock()
        ...     frozen_clock.sleep(3600)
        ...     assert frozen_clock() - before == 3600
    """
    from shared.testing._clock import FrozenClock

    return FrozenClock()


@pytest.fixture
def as_user() -> "Iterator[Callable[..., Principal]]":
    """A function that makes somebody the principal of the context until the test ends.

    ``as_user("user-7", roles=["admin"], tenant="acme")``; takes what
    :class:`shared.auth.Principal` takes, or one. Another call makes it somebody else.
    For code that is called directly: a request of ``shared_client`` brings its own.

    Example:
        >>> def test_only_admins_may(as_user):
        ...     from shared.auth import require_roles
        ...     as_user("user-7", roles=["admin"], tenant="acme")
        ...     assert require_roles("admin")(lambda: "done")() == "done"
    """
    from shared.auth import Principal
    from shared.context import request_context

    with ExitStack() as stack:

        def become(user: "Principal | str", **fields: Any) -> "Principal":
            if not isinstance(user, Principal):
                user = Principal(user_id=user, **{"method": "test", **fields})
            elif fields:
                msg = f"as_user: {next(iter(fields))} belongs to the principal that is given"
                raise TypeError(msg)
            stack.close()
            stack.enter_context(request_context(principal=user, tenant=user.tenant))
            return user

        yield become


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> "Iterator[Callable[..., Chaos]]":
    """A function that makes a guarded dependency fail until the test ends: ``fault("payments", rate=0.5)``.

    Takes what :func:`shared.resilience.testing.chaos` takes. Which calls fail follows from the
    name of the test, so a test sees the same faults in every run; ``seed=`` says otherwise.

    Example:
        >>> def test_a_payment_that_fails_is_told(fault):
        ...     from shared.resilience import CircuitBreaker
        ...     charge = CircuitBreaker("payments")(lambda: "charged")
        ...     fault("payments", error=ConnectionError)
        ...     with pytest.raises(ConnectionError):
        ...         charge()
    """
    from zlib import crc32

    from shared.resilience.testing import chaos

    seed = crc32(request.node.nodeid.encode())
    with ExitStack() as stack:

        def strike(name: str, **faults: Any) -> "Chaos":
            return stack.enter_context(chaos(name, **{"seed": seed, **faults}))

        yield strike


@pytest.fixture
def flags_override() -> "Iterator[FlagOverrides]":
    """A function that forces values of feature flags until the test ends: ``flags_override(new_menu=True)``.

    Safe for threads, coroutines and parallel tests; nothing is left, also when the test
    fails. A key that nobody declared, and a value of another type, are errors.

    Example:
        >>> def test_the_new_menu(flags_override):
        ...     from shared.feature_flags import is_feature_enabled
        ...     flags_override(analytics_enabled=True)
        ...     assert is_feature_enabled("analytics_enabled")
    """
    from shared.testing._flags import flag_overrides

    with flag_overrides() as override:
        yield override


# --- real servers -----------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_engine(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> str:
    """The engine this test runs on: ``sqlite`` or ``postgres``; the test runs once on each.

    ``--shared-engines=sqlite`` chooses for the run, ``@pytest.mark.shared_engines("postgres")``
    for a test. Asked for with ``request.getfixturevalue`` alone, it is the first one chosen.

    Example:
        >>> def test_the_rule_holds_on_every_engine(shared_engine):
        ...     assert shared_engine in {"sqlite", "postgres"}
    """
    engine: str | None = getattr(request, "param", None)
    return engine or first_engine(pytestconfig)


@pytest.fixture(scope="session")
def shared_postgres(pytestconfig: pytest.Config) -> "Iterator[ConnectionUrl]":
    """URL of a database of this worker's own on a real PostgreSQL, empty when the run begins.

    The server is that of ``SHARED_TEST_DATABASE_URL``, or one started for the run; all
    workers share it. Without one the test fails with a list of what was tried.

    Example:
        >>> def test_the_server_answers(shared_postgres):
        ...     import psycopg
        ...     with psycopg.connect(shared_postgres) as connection:
        ...         assert connection.execute("select 1").fetchone() == (1,)
    """
    from shared.testing._engine_fixtures import postgres_database

    with postgres_database(pytestconfig) as url:
        yield url


@pytest.fixture
def shared_postgres_database(shared_postgres: "ConnectionUrl") -> "Iterator[Callable[..., ConnectionUrl]]":
    """A function that makes an empty database, or a copy, and returns its URL; dropped after the test.

    Example:
        >>> def test_a_copy_has_the_tables(shared_postgres_database):
        ...     first = shared_postgres_database()
        ...     assert shared_postgres_database(template=first) != first
    """
    from shared.testing._engine_fixtures import extra_databases

    with extra_databases(shared_postgres) as make:
        yield make


@pytest.fixture(scope="session")
def _shared_redis_database(pytestconfig: pytest.Config) -> "Iterator[ConnectionUrl]":
    from shared.testing._engine_fixtures import logical_database

    with logical_database(pytestconfig) as url:
        yield url


@pytest.fixture
def shared_redis(_shared_redis_database: "ConnectionUrl") -> "ConnectionUrl":
    """URL of a logical database of this worker's own on a real Redis or Valkey, emptied for the test.

    The server is that of ``SHARED_TEST_REDIS_URL``, where only a database without keys is
    taken, or one started for the run.

    Example:
        >>> def test_the_server_answers(shared_redis):
        ...     import redis
        ...     with redis.Redis.from_url(shared_redis) as client:
        ...         assert client.dbsize() == 0
    """
    from shared.testing._engine_fixtures import failing
    from shared.testing._redis import flush

    with failing():
        flush(_shared_redis_database)
    return _shared_redis_database


@pytest.fixture
def shared_redis_client(shared_redis: "ConnectionUrl") -> "Iterator[Redis]":
    """A client of ``shared_redis``; answers are bytes.

    Example:
        >>> def test_a_value_comes_back(shared_redis_client):
        ...     shared_redis_client.set("key", "value")
        ...     assert shared_redis_client.get("key") == b"value"
    """
    from redis import Redis

    with Redis.from_url(shared_redis) as client:
        yield client


@pytest.fixture
def shared_cache(shared_runtime: "Runtime") -> "Iterator[Cache]":
    """A cache in memory that ``get_cache()`` and ``@cached`` use for the length of the test.

    Example:
        >>> def test_a_product_is_loaded_once(shared_cache):
        ...     product(7), product(7)
        ...     assert shared_cache.stats().loads == 1
    """
    from shared.cache import Cache

    with Cache() as cache, shared_runtime.override(Cache, cache):
        yield cache


@pytest.fixture
def shared_storage(shared_runtime: "Runtime") -> "Iterator[Storage]":
    """A storage in memory that ``get_storage()`` uses for the length of the test.

    Example:
        >>> def test_a_receipt_is_kept(shared_storage):
        ...     from shop import pay
        ...     pay("order-7")
        ...     assert shared_storage.get("receipts/order-7.txt").startswith(b"Receipt")
    """
    from shared.integrations.storage import Storage

    with Storage() as storage, shared_runtime.override(Storage, storage):
        yield storage
