"""Servers that belong to one test: they come, go, come back and leave nothing."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.testing import PostgresServer, RedisServer
from shared.testing._binaries import Binary, find_postgres, find_redis
from shared.testing._launch import begin
from tests.integration.testing._suite import is_gone, wait_until

POSTGRES = [pytest.param(binary, id=binary.version) for binary in find_postgres().found]
REDIS = [pytest.param(binary, id=f"{binary.product}-{binary.version}") for binary in find_redis().found]


def folder_of(url: str) -> Path:
    return Path(url.partition("host=")[2].partition("&")[0])


def pid_of(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().split("\n")[0])


@pytest.fixture(scope="module")
def postgres():
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def valkey():
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize("binary", POSTGRES)
def test_postgres_of_every_origin_serves(binary):
    guard = begin(binary, "postgres")
    try:
        with psycopg.connect(guard.facts["url"]) as connection:
            row = connection.execute(
                "select current_setting('server_version'), lower('Ä'), current_user"
            ).fetchone()
    finally:
        guard.quit()

    assert row is not None
    assert (row[0].split()[0], row[1:]) == (binary.version, ("ä", "postgres"))


@pytest.mark.parametrize("binary", REDIS)
def test_redis_of_every_origin_serves(binary):
    guard = begin(binary, "redis")
    try:
        with redis.Redis.from_url(guard.facts["url"]) as client:
            answer = client.ping()
    finally:
        guard.quit()

    assert answer is True


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_postgres_does_not_wait_for_the_disk(postgres, name):
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute(f"show {name}").fetchone() == ("off",)


def test_postgres_finds_deadlocks_at_once(postgres):
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("show deadlock_timeout").fetchone() == ("100ms",)


def test_postgres_does_not_listen_on_the_network(postgres):
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)


def test_nobody_else_may_enter_the_folder_of_postgres(postgres):
    assert stat.S_IMODE(folder_of(postgres.url).stat().st_mode) == 0o700


def test_postgres_runs_as_nobody_when_the_tests_run_as_root(postgres):
    mine = os.geteuid()

    assert folder_of(postgres.url).stat().st_uid == (65534 if mine == 0 else mine)


def test_no_user_is_created():
    before = Path("/etc/passwd").read_bytes()

    with PostgresServer():
        pass

    assert Path("/etc/passwd").read_bytes() == before


def test_redis_wants_the_password_of_its_url(valkey):
    open_door = valkey.url.partition("@")[2]

    with redis.Redis.from_url(f"redis://{open_door}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_password_of_redis_is_in_no_list_of_processes(valkey):
    password = valkey.url.partition("://:")[2].partition("@")[0]

    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout

    assert password not in listed


def test_redis_does_not_show_its_password(valkey):
    password = valkey.url.partition("://:")[2].partition("@")[0]

    assert password not in repr(valkey.url) + repr(valkey)


def test_a_copy_of_a_database_has_its_tables(postgres):
    first = postgres.create_database()
    with psycopg.connect(first) as connection:
        connection.execute("create table orders (id int)")

    with psycopg.connect(postgres.create_database(template=first)) as connection:
        found = connection.execute("select count(*) from orders").fetchone()

    assert found == (0,)


def test_a_template_in_use_is_refused_with_the_reason(postgres):
    first = postgres.create_database()

    with (
        psycopg.connect(first),
        pytest.raises(ServiceUnavailableError, match="being accessed by other users"),
    ):
        postgres.create_database(template=first)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgres_comes_back_at_its_address_with_what_was_committed(how):
    with PostgresServer() as server:
        url = server.url
        with psycopg.connect(url) as connection:
            connection.execute("create table kept as select 1 as id")
        getattr(server, how)()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)

        server.start()

        assert server.url == url
        with psycopg.connect(url) as connection:
            assert connection.execute("select id from kept").fetchone() == (1,)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_redis_comes_back_at_its_address(how):
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        getattr(server, how)()
        with pytest.raises(redis.ConnectionError):
            client.ping()

        server.start()

        assert client.dbsize() == 0


def test_starting_twice_is_one_server(postgres):
    pid = pid_of(folder_of(postgres.url))

    postgres.start()

    assert pid_of(folder_of(postgres.url)) == pid


def test_closing_ends_the_server_and_deletes_its_files():
    server = PostgresServer().start()
    folder = folder_of(server.url)
    pid = pid_of(folder)

    server.close()
    server.close()

    assert (folder.exists(), is_gone(pid)) == (False, True)


@pytest.mark.parametrize("name", ["stop", "kill"])
def test_a_server_that_was_not_started_cannot_be_stopped(name):
    with pytest.raises(
        ConfigurationError, match=r"is not running: use it in a with block, or call start\(\)"
    ):
        getattr(RedisServer(), name)()


def test_a_server_says_what_it_is(valkey):
    assert valkey.product in {"Redis", "Valkey"}
    assert valkey.version in repr(valkey)
    assert valkey.origin in repr(valkey)


def test_a_guard_that_was_killed_takes_its_server_along():
    server = PostgresServer().start()
    folder, guard = folder_of(server.url), server._guard.process
    pid = pid_of(folder)

    guard.kill()

    assert wait_until(lambda: is_gone(pid))
    server.close()
    shutil.rmtree(folder)


def test_a_command_to_a_dead_guard_is_an_error_of_ours():
    server = RedisServer().start()
    folder = Path(server._guard.facts["folder"])
    server._guard.process.kill()
    server._guard.process.wait()

    with pytest.raises(ServiceUnavailableError, match="its guard has ended"):
        server.start()

    server.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_the_end_of_the_process_is_the_end_of_its_servers(number):
    script = (
        "from shared.testing import *\n"
        "p, r = PostgresServer().start(), RedisServer().start()\n"
        "print(p.url, r._guard.facts['folder'], r._guard.process.pid, flush=True)\n"
        "input()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        url, other, guard = process.stdout.readline().split()
        folder = folder_of(url)
        pids = [pid_of(folder), int(guard)]

        process.send_signal(number)
        process.wait()

        assert wait_until(lambda: all(is_gone(pid) for pid in pids))
        assert wait_until(lambda: not folder.exists() and not Path(other).exists())


def test_binaries_in_a_closed_folder_are_used_all_the_same(tmp_path):
    (bundled,) = [b for b in find_postgres().found if b.bundle and b.version.startswith("18")]
    for part in bundled.parts:
        shutil.copytree(bundled.bundle / part, tmp_path / part, symlinks=True)
    tmp_path.chmod(0o700)
    moved = Binary(
        tmp_path / bundled.program.relative_to(bundled.bundle),
        "PostgreSQL",
        bundled.version,
        "here",
        tmp_path,
        bundled.parts,
    )

    guard = begin(moved, "postgres")
    try:
        with psycopg.connect(guard.facts["url"]) as connection:
            answer = connection.execute("select 1").fetchone()
    finally:
        guard.quit()

    assert answer == (1,)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_program_that_does_not_become_ready_is_told_with_its_last_words(tmp_path):
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'the moon is in the wrong place' >&2\nexit 3\n")
    program.chmod(0o755)

    with pytest.raises(ServiceUnavailableError, match="ended with 3: the moon is in the wrong place"):
        begin(Binary(program, "Redis", "7", "here"), "redis")


def test_a_failed_start_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)

    with pytest.raises(ServiceUnavailableError):
        begin(Binary(program, "Redis", "7", "here"), "redis")

    assert list(tmp_path.iterdir()) == [program]


def test_a_folder_that_is_too_long_for_a_socket_is_not_used(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    with PostgresServer() as server:
        assert len(str(folder_of(server.url))) < 90


def test_a_temporary_folder_that_is_missing_is_an_error_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))

    with pytest.raises(ServiceUnavailableError, match="missing"):
        begin(find_redis().found[0], "redis")
