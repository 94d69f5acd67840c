"""What a service does with a database and a Redis that somebody has configured."""

import time

import pytest
from sqlalchemy import text

from shared.config import Settings
from shared.database import Base, Database, Outbox, get_database, tables_of
from shared.errors import ConfigurationError
from shared.monitoring import get_performance_metrics, get_performance_recorder, monitor_task_execution
from shared.runtime import use
from shared.service import explain, install, installed, worker
from shared.testing import ApiClient


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/state.db"


@pytest.fixture
def settings(url):
    return Settings(
        DATABASE_URL=url,
        ENVIRONMENT="testing",
        HEALTH_DETAILS="always",
        HEALTH_CACHE_SECONDS=0,
        SERVICE_NAME="orders",
    )


@pytest.fixture
def tables(url):
    with Database(url) as database:
        Base.metadata.create_all(database.engine, tables_of("monitoring", "database"))


def checks_of(client):
    """Return the checks once none of them has run out of time: on a busy machine the first may."""
    until = time.monotonic() + 60
    while True:
        checks = client.get("/health").json["checks"]
        if "no answer within" not in str(checks) or time.monotonic() > until:
            return checks
        time.sleep(0.1)


def test_a_database_nobody_has_set_is_left_alone(make_app, shared_client):
    app = install(make_app(), service="orders")

    part = explain(app).part("database")

    assert (part.enabled, part.reason) == (
        False,
        "DATABASE_URL is not set; the database joins at its first use",
    )
    assert "database" not in checks_of(shared_client(app))


def test_a_database_that_is_set_is_checked_without_its_first_use(make_app, settings, shared_client):
    app = install(make_app(), settings)

    checks = checks_of(shared_client(app))

    assert checks["database"]["status"] == "healthy"
    assert checks["outbox"] == {"status": "healthy", "outbox": "not in use"}
    assert shared_client(app).get("/ready").status == 200


def test_a_database_that_is_down_makes_the_service_unready_and_leaves_it_alive(
    make_app, tmp_path, shared_client
):
    settings = Settings(
        DATABASE_URL=f"sqlite:///{tmp_path}/missing/no.db",
        ENVIRONMENT="testing",
        HEALTH_DETAILS="always",
        HEALTH_CACHE_SECONDS=0,
    )
    client = shared_client(install(make_app(), settings))

    assert client.get("/ready").status == 503
    assert client.get("/live").status == 200


def test_installing_connects_to_nothing(make_app, shared_client):
    settings = Settings(
        DATABASE_URL="postgresql://nobody:secret@127.0.0.1:1/orders",
        ENVIRONMENT="testing",
        HEALTH_DETAILS="always",
        HEALTH_CACHE_SECONDS=0,
    )

    app = install(make_app(), settings)

    with use(installed(app).runtime):
        assert get_database().pool().used == 0
    assert "secret" not in str(explain(app))


def test_a_wrong_url_is_told_when_installing(make_app):
    settings = Settings(
        DATABASE_URL="sqlite://host/x.db",
        ENVIRONMENT="testing",
        HEALTH_DETAILS="always",
        HEALTH_CACHE_SECONDS=0,
    )

    with pytest.raises(ConfigurationError):
        install(make_app(), settings)


def test_a_replica_degrades_and_is_named(make_app, url, tmp_path, shared_client):
    settings = Settings(
        DATABASE_URL=url,
        DATABASE_REPLICA_URLS=[f"sqlite:///{tmp_path}/missing/no.db"],
        ENVIRONMENT="testing",
        HEALTH_DETAILS="always",
        HEALTH_CACHE_SECONDS=0,
    )
    client = shared_client(install(make_app(), settings))
    checks_of(client)

    health = client.get("/health").json

    assert (health["status"], client.get("/ready").status) == ("degraded", 200)
    assert health["checks"]["database.replica-1"]["status"] == "unhealthy"


def test_waiting_messages_degrade(make_app, settings, tables, shared_client):
    app = install(make_app(), settings)
    with use(installed(app).runtime), get_database().transaction() as session:
        Outbox().add(session, "orders.paid", {}, delay=0.0)
        session.flush()
        session.execute(text("update database_outbox set available_at = '2020-01-01 00:00:00.000000'"))

    outbox = checks_of(shared_client(app))["outbox"]

    assert (outbox["status"], outbox["pending"], outbox["dead"]) == ("degraded", 1, 0)
    assert outbox["lag"] > 86_400


def test_dead_letters_degrade(make_app, settings, tables, shared_client):
    app = install(make_app(), settings)
    with use(installed(app).runtime), get_database().transaction() as session:
        Outbox().add(session, "orders.paid", {})
        session.flush()
        session.execute(text("update database_outbox set state = 'dead'"))

    assert checks_of(shared_client(app))["outbox"]["dead"] == 1


def test_the_checks_follow_the_database_through_a_restart(asgi_app, settings):
    app = install(asgi_app, settings)
    shown = []
    for _ in range(2):
        with ApiClient(app) as client:
            shown.append(checks_of(client)["database"]["status"])

    assert shown == ["healthy", "healthy"]


def test_statements_are_counted_once_after_a_restart(asgi_app, settings):
    app = install(asgi_app, settings)
    for _ in range(2):
        with ApiClient(app) as client:
            with use(installed(app).runtime), get_database().read() as session:
                session.execute(text("select 1"))
            text_ = client.get("/metrics").text

    counted = [
        line
        for line in text_.splitlines()
        if line.startswith("db_client_operation_duration_seconds_count") and 'name="SELECT"' in line
    ]
    assert [line.rpartition(" ")[2] for line in counted] == ["2.0"]


def test_the_pool_is_read_when_metrics_are_collected(make_app, settings, shared_client):
    app = install(make_app(), settings)
    client = shared_client(app)
    used = (
        'db_client_connection_count{db_client_connection_pool_name="main",db_client_connection_state="used"} '
    )
    with use(installed(app).runtime):
        with get_database().read() as session:
            session.execute(text("select 1"))
            during = client.get("/metrics").text
        after = client.get("/metrics").text

    assert used + "1.0" in during
    assert used + "0.0" in after


def test_performance_goes_to_the_database_at_the_end(settings, tables, url):
    with worker("billing", settings):

        @monitor_task_execution("send_receipt", user_id="u-1")
        def send():
            pass

        for _ in range(3):
            send()
        assert get_performance_metrics()["tasks"]["send_receipt"]["count"] == 3

    with Database(url) as database, database.read() as session:
        assert session.execute(text("select name, user_name, runs from monitoring_rollups")).all() == [
            ("send_receipt", "u-1", 3)
        ]


def test_two_processes_see_each_others_performance(settings, tables):
    for _ in range(2):
        with worker("billing", settings):
            get_performance_recorder().record("task", "import", 0.1)

    with worker("billing", settings):
        assert get_performance_metrics()["tasks"]["import"]["count"] == 2


def test_without_the_table_performance_stays_in_memory_and_that_is_told_once(settings, log_capture):
    with worker("billing", settings):
        recorder = get_performance_recorder()
        for _ in range(2):
            recorder.record("task", "import", 0.1)
            recorder.flush()
        found = get_performance_metrics()

    assert found["tasks"]["import"]["count"] == 2
    told = [event for event in log_capture if event.get("table") == "monitoring_rollups"]
    assert len(told) == 1


def test_a_table_that_comes_later_takes_what_was_kept_in_memory(settings, url):
    from shared.service._database import ChosenRollupStore

    now = [0.0]
    with Database(url) as database:
        store = ChosenRollupStore(lambda: database, clock=lambda: now[0])
        store.add([row(1)])
        Base.metadata.create_all(database.engine, tables_of("monitoring"))
        store.add([row(2)])
        now[0] = 1000.0
        store.add([row(4)])

        with database.read() as session:
            assert session.scalar(text("select sum(runs) from monitoring_rollups")) == 7
        assert [each.count for each in store.totals(0, 60)] == [7]
        assert (store.downsample(3600, 3600), store.cleanup(3600)) == (0, 1)
        assert list(store.read(0, 3600)) == []


def row(count):
    from shared.monitoring import Rollup, RollupKey

    return Rollup(RollupKey(0, 60, "task", "x", ""), count, 0, 0.1, 0.1, {40: count})


def test_a_redis_that_is_down_degrades_and_shows_no_password(make_app, shared_client):
    settings = Settings(
        REDIS_URL="redis://:hunter2@127.0.0.1:1/0",
        ENVIRONMENT="testing",
        HEALTH_DETAILS="always",
        HEALTH_CACHE_SECONDS=0,
    )
    client = shared_client(install(make_app(), settings))

    answer = client.get("/health")

    assert answer.json["checks"]["redis"]["status"] == "unhealthy"
    assert (answer.json["status"], client.get("/ready").status) == ("degraded", 200)
    assert "hunter2" not in answer.text


def test_a_redis_that_keeps_the_logins_takes_the_service_out_when_it_is_down(make_app, shared_client):
    settings = Settings(
        REDIS_URL="redis://127.0.0.1:1/0",
        AUTH_STORE="redis",
        ENVIRONMENT="testing",
        HEALTH_CACHE_SECONDS=0,
        HEALTH_FAILURE_THRESHOLD=1,
    )
    client = shared_client(install(make_app(), settings))

    assert client.get("/ready").status == 503
    assert client.get("/live").status == 200


def test_a_redis_that_answers_is_healthy(make_app, shared_client, shared_redis):
    settings = Settings(
        REDIS_URL=str(shared_redis), ENVIRONMENT="testing", HEALTH_DETAILS="always", HEALTH_CACHE_SECONDS=0
    )
    client = shared_client(install(make_app(), settings))

    assert checks_of(client)["redis"]["status"] == "healthy"


def test_a_redis_nobody_has_set_is_no_check(make_app, shared_client):
    app = install(make_app(), service="orders")

    assert explain(app).part("redis").enabled is False
    assert "redis" not in checks_of(shared_client(app))


def test_a_directory_of_objects_is_watched(make_app, shared_client, tmp_path):
    settings = Settings(
        STORAGE_URL=f"file://{tmp_path}/objects",
        ENVIRONMENT="testing",
        HEALTH_DETAILS="always",
        HEALTH_CACHE_SECONDS=0,
    )
    client = shared_client(install(make_app(), settings))

    assert checks_of(client)["storage"] == "healthy"
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    assert checks_of(client)["storage"]["status"] == "unhealthy"


def test_a_storage_in_memory_is_no_check(make_app, shared_client):
    app = install(make_app(), Settings(ENVIRONMENT="testing"))

    assert explain(app).part("storage").enabled is False
    assert "storage" not in checks_of(shared_client(app))
