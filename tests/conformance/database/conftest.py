"""Every rule of the room against every engine: SQLite and a real PostgreSQL."""

import glob
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from shared.database import Database
from shared.runtime import Events

NOBODY = 65534
SERVER_FLAGS = (
    "-c listen_addresses='' -c fsync=off -c full_page_writes=off "
    "-c max_connections=200 -c deadlock_timeout=100ms -c log_min_messages=fatal"
)


class Postgres:
    """A server of its own on a unix socket, restartable; works as root and as anybody else."""

    def __init__(self, *, synchronous: bool = False) -> None:
        self.synchronous = "on" if synchronous else "off"
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        binary = shutil.which("pg_ctl")
        assert found or binary, "no PostgreSQL binaries: looked in /usr/lib/postgresql/*/bin and on PATH"
        self.bin = Path(found[-1] if found else Path(binary).resolve().parent)
        self.home = Path(tempfile.mkdtemp(prefix="shared-pg-"))
        self.as_user = {}
        if os.geteuid() == 0:
            os.chown(self.home, NOBODY, NOBODY)
            self.as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.run(
            "initdb",
            "-D",
            self.home / "data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "--locale=C",
            "-E",
            "UTF8",
        )
        self.start()

    def run(self, program, *arguments):
        done = subprocess.run(
            [self.bin / program, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self.home,
            timeout=60,
            check=False,
            **self.as_user,
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self):
        flags = f"{SERVER_FLAGS} -c synchronous_commit={self.synchronous} -k {self.home}"
        log = self.home / "log"
        self.run("pg_ctl", "-D", self.home / "data", "-l", log, "-w", "-t", "30", "-o", flags, "start")

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "-D", self.home / "data", "-w", "-m", mode, "stop")

    def url(self, database="postgres", user="postgres"):
        return f"postgresql://{user}@/{database}?host={self.home}"

    def execute(self, statement):
        engine = create_engine(self.url().replace("postgresql://", "postgresql+psycopg://"))
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()

    def new_database(self):
        name = f"t_{uuid.uuid4().hex[:12]}"
        self.execute(f"create database {name}")
        return self.url(name)

    def close(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def fresh_postgres():
    """A second server, for the tests that stop it: what it acknowledged must survive that."""
    server = Postgres(synchronous=True)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def system(request):
    return request.param


@pytest.fixture
def url(system, tmp_path, request):
    if system == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def db(url, events):
    with Database(url, events=events) as database:
        yield database


@pytest.fixture
async def adb(url, events):
    async with Database(url, events=events) as database:
        yield database
