"""Options and markers for servers; no test here starts one."""

import pytest

LEFT_OUT = "postgres is left out: the engines are sqlite (--shared-engines)"


@pytest.fixture
def suite(pytester, monkeypatch):
    """A suite with a test file and the plugin; a function that runs it in this process."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(tests: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(tests)
        return pytester.runpytest_inprocess("-p", "shared.testing.plugin", "-rA", *arguments)

    return run


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("oracle", "unknown engine 'oracle' (known: sqlite, postgres, redis)"),
        ("sqlite,postgress", "unknown engine 'postgress'"),
        (",", "no engine is named"),
        ("", "no engine is named"),
    ],
    ids=["unknown", "typo", "comma", "empty"],
)
def test_an_option_that_makes_no_sense_stops_the_run(suite, option, says):
    result = suite("def test_it(): pass", f"--shared-engines={option}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--shared-engines: {says}" in result.stderr.str()


def test_the_option_is_read_as_people_write_it(suite):
    suite("def test_it(shared_engine): pass", "--shared-engines= SQLite , ").assert_outcomes(passed=1)


def test_a_test_runs_once_on_each_engine(suite):
    result = suite("def test_it(shared_engine): pass")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["PASSED *test_it[[]sqlite]", "PASSED *test_it[[]postgres]"])


def test_the_ini_file_may_choose_the_engines(suite, pytester):
    pytester.makeini("[pytest]\nshared_engines = postgres\n")

    result = suite("def test_it(shared_engine): assert shared_engine == 'postgres'")

    result.assert_outcomes(passed=1)


def test_an_ini_file_that_makes_no_sense_is_named(suite, pytester):
    pytester.makeini("[pytest]\nshared_engines = postgre\n")

    assert "shared_engines: unknown engine 'postgre'" in suite("def test_it(): pass").stderr.str()


def test_the_option_wins_over_the_ini_file(suite, pytester):
    pytester.makeini("[pytest]\nshared_engines = postgres\n")

    result = suite("def test_it(shared_engine): assert shared_engine == 'sqlite'", "--shared-engines=sqlite")

    result.assert_outcomes(passed=1)


def test_a_marker_chooses_the_engines_of_a_test(suite):
    result = suite(
        "import pytest\n"
        "@pytest.mark.shared_engines('postgres')\n"
        "def test_it(shared_engine): assert shared_engine == 'postgres'\n"
    )

    result.assert_outcomes(passed=1)


def test_a_marker_with_an_unknown_engine_is_an_error(suite):
    result = suite("import pytest\n@pytest.mark.shared_engines('oracle')\ndef test_it(shared_engine): pass\n")

    assert result.ret != 0
    assert (
        "shared_engines('oracle') is unknown (known: sqlite, postgres)"
        in result.stdout.str() + result.stderr.str()
    )


@pytest.mark.parametrize(
    "names", ["'shared_engine'", "['shared_engine']", "'shared_engine,'"], ids=["text", "list", "comma"]
)
def test_a_test_may_parametrise_the_engine_itself(suite, names):
    result = suite(
        "import pytest\n"
        f"@pytest.mark.parametrize({names}, [('sqlite',)] if {names} != 'shared_engine' else ['sqlite'], indirect=True)\n"
        "def test_it(shared_engine): pass\n"
    )

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("fixture", ["shared_postgres", "shared_postgres_database"])
def test_a_test_of_an_engine_that_was_left_out_is_skipped_aloud(suite, fixture):
    result = suite(f"def test_it({fixture}): pass", "--shared-engines=sqlite")

    result.assert_outcomes(skipped=1)
    assert LEFT_OUT in result.stdout.str()


@pytest.mark.parametrize("fixture", ["shared_redis", "shared_redis_client"])
def test_a_test_of_redis_is_skipped_aloud_when_it_was_left_out(suite, fixture):
    result = suite(f"def test_it({fixture}): pass", "--shared-engines=sqlite,postgres")

    result.assert_outcomes(skipped=1)
    assert "redis is left out: the engines are sqlite,postgres (--shared-engines)" in result.stdout.str()


def test_the_summary_counts_what_was_left_out(suite):
    result = suite(
        "import pytest\n"
        "@pytest.mark.shared_engines('postgres')\n"
        "def test_one(shared_engine): pass\n"
        "def test_two(shared_redis): pass\n"
        "@pytest.mark.skip(reason='of my own')\n"
        "def test_three(): pass\n",
        "--shared-engines=sqlite",
    )

    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(
        ["*shared engines*", "postgres, redis: left out by --shared-engines, 2 tests skipped"]
    )


def test_a_suite_without_servers_has_no_summary_of_them(suite):
    result = suite("def test_it(): pass", "--shared-engines=sqlite")

    result.assert_outcomes(passed=1)
    assert "shared engines" not in result.stdout.str()


def test_the_options_are_in_the_help(suite):
    text = suite("", "--help").stdout.str()

    assert "--shared-engines=NAMES" in text
    assert "--shared-use-local" in text
