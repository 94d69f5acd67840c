"""Services that follow a store: forked, preloaded, spawned; while the store is killed and comes back."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

from shared.database import Base, Database
from shared.feature_flags import Flag, FlagChanges, Flags, FlagStoreFailed, RedisFlagStore, SqlFlagStore
from shared.runtime import Events
from shared.testing import PostgresServer, RedisServer
from tests.conformance.feature_flags.conftest import TABLES

PATIENCE = 60.0  # seconds; what takes longer does not happen
EVERY = 2.0  # seconds between two polls


def put(store, number):
    return store.apply(
        FlagChanges({"page": Flag("page", default=number, variants={"v": number})}), actor="ada"
    )


def follow(store, **options):
    return Flags([Flag("page", default=0)], store=store, refresh_seconds=EVERY, **options)


def eventually(condition):
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def report_from(children):
    """Read what each forked child wrote, and wait for its end."""
    found = []
    for child, pipe in children:
        with os.fdopen(pipe, "rb") as end:
            found.append(end.read().decode())
        os.waitpid(child, 0)
    return found


def fork(work):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            os.write(write, str(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    return child, read


@pytest.mark.parametrize("threads", [True, False], ids=["threads", "lazy"])
def test_forked_workers_of_a_preloaded_service_see_a_change(make_shared, threads):
    """As behind gunicorn with --preload, and in the pool of a task queue: the parent has asked already."""
    store, writer = make_shared(), make_shared()
    put(writer, 1)
    flags = follow(store, threads=threads)
    assert flags.value("page") == 1
    go_read, go_write = os.pipe()

    def work():
        before = flags.value("page")
        os.write(go_write, b".")  # this worker is up
        return before == 1 and eventually(lambda: flags.value("page") == 2)

    children = [fork(work) for _ in range(3)]
    for _ in children:
        os.read(go_read, 1)
    put(writer, 2)
    found = report_from(children)
    os.close(go_read)
    os.close(go_write)
    here = eventually(lambda: flags.value("page") == 2)
    flags.close()

    assert (found, here) == (["True"] * 3, True)


SPAWNED = """
import sys, time
from shared.feature_flags import Flag, Flags, FileFlagStore, RedisFlagStore, SqlFlagStore
from shared.database import Database
kind, where, namespace = sys.argv[1:]
if kind == "json":
    store = FileFlagStore(where)
elif kind == "redis":
    store = RedisFlagStore(where, namespace=namespace, timeout=10.0)
else:
    store = SqlFlagStore(Database(where, name="flags"), namespace=namespace, owns_database=True)
flags = Flags([Flag("page", default=0)], store=store, refresh_seconds=2.0, owns_store=True)
print(flags.value("page"), flush=True)
until = time.monotonic() + 60
while flags.value("page") != 2 and time.monotonic() < until:
    time.sleep(0.005)
print(flags.value("page"), flush=True)
flags.close()
"""


def test_a_process_of_its_own_sees_a_change(make_shared, tmp_path, request):
    writer = make_shared()
    put(writer, 1)
    where = {
        "json": lambda: str(tmp_path / "flags.json"),
        "sqlite": lambda: f"sqlite:///{tmp_path}/flags.db",
        "postgres": lambda: str(request.getfixturevalue("flags_postgres_url")),
        "redis": lambda: str(request.getfixturevalue("shared_redis")),
    }[make_shared.kind]()
    process = subprocess.Popen(
        [sys.executable, "-c", SPAWNED, make_shared.kind, where, make_shared.namespace],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    with process, process.stdout as out:
        first = out.readline()
        put(writer, 2)
        second = out.readline()

    assert (first, second, process.returncode) == ("1\n", "2\n", 0)


@contextlib.contextmanager
def redis_store():
    with RedisServer() as server:
        store = RedisFlagStore(server.url, timeout=2.0)
        yield server, store, lambda: RedisFlagStore(server.url, timeout=10.0)
        store.close()


@contextlib.contextmanager
def postgres_store():
    with PostgresServer() as server:
        url = server.create_database()

        def make():
            return SqlFlagStore(Database(url, name="flags"), owns_database=True)

        with Database(url) as database:
            Base.metadata.create_all(database.engine, tables=TABLES)
        store = make()
        yield server, store, make
        store.close()


@pytest.mark.parametrize("make", [redis_store, postgres_store], ids=["redis", "postgres"])
def test_a_server_killed_and_started_again_under_evaluation_is_survived(make):
    """Four threads ask all the time: no exception, no value that never was, and the news at the end."""
    with make() as (server, store, another):
        first = another()
        put(first, 1)
        first.close()
        events = Events()
        failed = threading.Event()
        events.subscribe(FlagStoreFailed, lambda event: failed.set())
        flags = Flags([Flag("page", default=0)], store=store, refresh_seconds=0.2, events=events)
        assert flags.value("page") == 1
        stop, wrong, asked = threading.Event(), [], [0, 0, 0, 0]

        def ask(number):
            while not stop.is_set():
                try:
                    found = flags.value("page")
                except Exception as exc:  # noqa: BLE001 - told by the assertion
                    found = exc
                if found not in (1, 2):
                    wrong.append(found)
                asked[number] += 1
                time.sleep(0.001)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            server.kill()
            noticed = failed.wait(PATIENCE)
            during = flags.value("page")
            server.start()
            writer = another()
            back = eventually(lambda: _wrote(writer))
            seen = eventually(lambda: flags.value("page") == 2)
            writer.close()
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
            flags.close()

    assert (noticed, during, back, seen, wrong) == (True, 1, True, True, [])
    assert all(asked)


def _wrote(store):
    """Write number 2, over what the server still knows; a server without its memory gets number 1 first."""
    try:
        if store.revision() == 0:
            put(store, 1)
        put(store, 2)
    except Exception:  # noqa: BLE001 - it is still starting
        return False
    return True
