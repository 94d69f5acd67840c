"""A real standby that replays the log of a real primary: who wrote reads it, wherever it is."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text

from shared.context import request_context
from shared.database import Database, DatabaseOptions, ReplicaEjected
from shared.runtime import Events
from shared.testing import PostgresServer
from shared.testing._binaries import find_postgres

ROWS = Table("t", MetaData(), Column("id", Integer))
NOBODY = 65534


def folder_of(url):
    return Path(url.partition("host=")[2].partition("&")[0])


def die_with_the_tests():
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT, 0, 0, 0)


def wait_until(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the standby does not follow"
        time.sleep(0.02)


def program_of(server):
    """The program the primary runs, which is a copy when its user could not reach the installed one."""
    pid = int((folder_of(server.url) / "data" / "postmaster.pid").read_text().split()[0])
    running = Path(f"/proc/{pid}/exe")
    return running.readlink() if running.is_symlink() else find_postgres().found[0].program


def copy_of(server, home):
    """A base backup by hand: bundles of binaries bring no pg_basebackup."""
    data = home / "data"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("select pg_backup_start('standby', true)")
        shutil.copytree(folder_of(server.url) / "data", data, ignore=shutil.ignore_patterns("postmaster.*"))
        label = connection.execute("select labelfile from pg_backup_stop(false)").fetchone()[0]
    (data / "backup_label").write_text(label)
    (data / "standby.signal").touch()
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(f"primary_conninfo = 'host={folder_of(server.url)} port=5432 user=postgres'\n")
    data.chmod(0o700)
    return data


@contextlib.contextmanager
def standby_of(server):
    home = Path(tempfile.mkdtemp(prefix="shared-standby-", dir="/tmp"))
    as_user = {}
    try:
        data = copy_of(server, home)
        if os.geteuid() == 0:
            as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            for path in (home, *home.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        flags = {"listen_addresses": "", "unix_socket_directories": str(home), "port": "5432",
                 "max_connections": "200", "max_locks_per_transaction": "256", "fsync": "off"}  # fmt: skip
        words = [word for name, value in flags.items() for word in ("-c", f"{name}={value}")]
        process = subprocess.Popen(
            [program_of(server), "-D", str(data), *words], cwd=home, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_the_tests,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, **as_user,
        )  # fmt: skip
        try:
            url = f"postgresql://postgres@/postgres?host={home}&port=5432"
            wait_until(lambda: answers(url))
            yield url
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def answers(url):
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
        return connection.execute("select pg_is_in_recovery()").fetchone()[0]
    return False


@pytest.fixture(scope="module")
def servers():
    with PostgresServer() as primary:
        with psycopg.connect(primary.url) as connection:
            connection.execute("create table t (id int)")
        with standby_of(primary) as standby:
            yield primary.url, standby


@pytest.fixture
def replay(servers):
    """Tell the standby to stop replaying, or to go on."""
    with psycopg.connect(servers[1], autocommit=True) as connection:

        def tell(what):
            connection.execute(f"select pg_wal_replay_{what}()")

        yield tell
        tell("resume")


def write(db):
    with db.transaction() as session:
        session.execute(insert(ROWS).values(id=1))


def read(db):
    """Whether a replica answered, and how many rows it has."""
    with db.read(replica=True) as session:
        is_standby = session.scalar(text("select pg_is_in_recovery()"))
        return is_standby, session.scalar(select(func.count()).select_from(ROWS))


def rows(db):
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(ROWS))


@pytest.mark.timeout(300)  # a second server is made from a copy of the first
def test_who_wrote_reads_it_from_the_primary_and_then_from_the_standby(servers, replay):
    with Database(servers[0], replicas=[servers[1]], options=DatabaseOptions(sticky_seconds=600)) as db:
        with request_context():
            replay("pause")
            write(db)
            from_primary = read(db)
            replay("resume")
            wait_until(lambda: read(db)[0])
            from_standby = read(db)
        total = rows(db)

    assert (from_primary, from_standby) == ((False, total), (True, total))


async def test_a_task_reads_what_it_wrote(servers, replay):
    options = DatabaseOptions(sticky_seconds=600)

    async def aread(db):
        async with db.aio.read(replica=True) as session:
            is_standby = await session.scalar(text("select pg_is_in_recovery()"))
            return is_standby, await session.scalar(select(func.count()).select_from(ROWS))

    async with Database(servers[0], replicas=[servers[1]], options=options) as db:
        with request_context():
            replay("pause")
            async with db.aio.transaction() as session:
                await session.execute(insert(ROWS).values(id=1))
            from_primary = await aread(db)
            replay("resume")
            wait_until(lambda: read(db)[0])
            from_standby = await aread(db)
        total = rows(db)

    assert (from_primary, from_standby) == ((False, total), (True, total))


def test_a_standby_that_lags_is_left_alone(servers, replay):
    heard, events = [], Events()
    events.subscribe(ReplicaEjected, heard.append)
    options = DatabaseOptions(max_replica_lag=0.2, sticky_seconds=0, replica_retry_seconds=0)
    with Database(servers[0], replicas=[servers[1]], options=options, events=events) as db:
        wait_until(lambda: read(db)[0])
        replay("pause")
        write(db)
        wait_until(lambda: not read(db)[0])
        replay("resume")
        wait_until(lambda: read(db)[0])

    assert {event.replica for event in heard} == {1}
