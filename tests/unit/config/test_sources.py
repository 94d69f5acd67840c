"""Where values come from: order, origin with line, and files that cannot be read."""

import os
import socket
from pathlib import Path

import pytest

from shared.config import Settings, explain
from shared.config._sources import find_env_file
from tests.unit.config._helpers import load, problems, refusal


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- finding .env ---------------------------------------------------------------------


def test_the_env_file_is_found_from_a_folder_below(tmp_path, monkeypatch):
    write(tmp_path / "pyproject.toml", "")
    write(tmp_path / ".env", "DB_POOL_SIZE=11")
    deep = tmp_path / "src" / "orders"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)

    assert Settings(environ={}).database.DB_POOL_SIZE == 11


def test_the_nearest_env_file_wins(tmp_path):
    write(tmp_path / ".git" / "HEAD", "")
    write(tmp_path / ".env", "")
    near = write(tmp_path / "apps" / "orders" / ".env", "")

    assert find_env_file(tmp_path / "apps" / "orders") == near


def test_a_package_of_a_repository_finds_the_env_file_of_the_repository(tmp_path):
    write(tmp_path / ".git" / "HEAD", "")
    env = write(tmp_path / ".env", "")
    write(tmp_path / "apps" / "orders" / "pyproject.toml", "")

    assert find_env_file(tmp_path / "apps" / "orders") == env


def test_the_search_does_not_leave_the_project(tmp_path):
    write(tmp_path / ".env", "DB_POOL_SIZE=11")
    write(tmp_path / "project" / "pyproject.toml", "")

    assert find_env_file(tmp_path / "project") is None


def test_without_a_project_only_the_working_directory_is_looked_at(tmp_path):
    write(tmp_path / ".env", "")
    (tmp_path / "below").mkdir()

    assert find_env_file(tmp_path / "below") is None


def test_a_folder_called_env_is_passed_over(tmp_path):
    write(tmp_path / ".git" / "HEAD", "")
    env = write(tmp_path / ".env", "")
    (tmp_path / "apps" / ".env").mkdir(parents=True)

    assert find_env_file(tmp_path / "apps") == env


def test_a_working_directory_that_is_gone_is_no_error(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert Settings(environ={}).database.DB_POOL_SIZE == 5


@pytest.mark.parametrize("word", ["off", "NONE"])
def test_the_env_file_can_be_switched_off(tmp_path, word):
    write(tmp_path / ".env", "DB_POOL_SIZE=11")

    assert Settings(environ={"ENV_FILE": word}).database.DB_POOL_SIZE == 5


def test_the_env_file_can_be_named(tmp_path):
    path = write(tmp_path / "deploy" / "local.env", "DB_POOL_SIZE=12")

    assert Settings(environ={"ENV_FILE": str(path)}).database.DB_POOL_SIZE == 12
    assert Settings(environ={}, ENV_FILE=str(path)).database.DB_POOL_SIZE == 12


def test_the_env_file_cannot_name_another(tmp_path):
    write(tmp_path / ".env", "ENV_FILE=other.env\n")

    warnings = Settings(environ={}).warnings

    assert [(warning.variable, warning.id) for warning in warnings] == [("ENV_FILE", "settings.no-effect")]


# --- reading .env --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("SERVICE_NAME=orders", "orders"),
        ("export SERVICE_NAME=orders", "orders"),
        ("SERVICE_NAME = orders  # the shop", "orders"),
        ("SERVICE_NAME='orders'", "orders"),
        ('SERVICE_NAME="orders"\r', "orders"),
        ("\ufeffSERVICE_NAME=orders", "orders"),
        ("SERVICE_NAME=a\nSERVICE_NAME=orders", "orders"),
        ("PART=der\nSERVICE_NAME=or${PART}s", "orders"),
        ("SERVICE_NAME=${MISSING:-orders}", "orders"),
        ("SERVICE_NAME=${FROM_ENVIRONMENT}", "outside"),
    ],
)
def test_the_usual_syntax_is_understood(tmp_path, line, value):
    path = write(tmp_path / ".env", line)

    assert load(path, FROM_ENVIRONMENT="outside").app.SERVICE_NAME == value


def test_a_value_over_several_lines_is_kept(tmp_path):
    path = write(tmp_path / ".env", 'JWT_PRIVATE_KEY="-----BEGIN\nabc\n-----END"\nDB_POOL_SIZE=9')

    settings = load(path)

    assert settings.security.JWT_PRIVATE_KEY.get_secret_value() == "-----BEGIN\nabc\n-----END"
    assert settings.database.DB_POOL_SIZE == 9


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_wrong_value_is_reported_with_its_line(tmp_path, newline):
    path = write(tmp_path / ".env", newline.join(["# comment", "", "API_PORT=80", "", "DB_POOL_SIZE=many"]))

    assert problems(path)["DB_POOL_SIZE"]["origin"] == f"{path}:5"


def test_a_line_that_cannot_be_read_is_reported_and_not_shown(tmp_path):
    path = write(tmp_path / ".env", "DB_POOL_SIZE=7\nhunter2 is my password\nAPI_PORT=many\n")

    error = refusal(path)

    assert f"{path}:2: expected NAME=value" in str(error)
    assert "API_PORT" in str(error)
    assert "hunter2" not in str(error)


def test_a_quote_that_is_not_closed_is_reported(tmp_path):
    path = write(tmp_path / ".env", 'OPENAI_API_KEY="sk-t0psecret\n')

    error = refusal(path)

    assert f"{path}:1" in str(error)
    assert "t0psecret" not in str(error)


def test_text_that_is_not_utf_8_is_reported_with_its_line(tmp_path):
    path = write(tmp_path / ".env", b"API_PORT=80\nSERVICE_NAME=shop\xe9\n")

    assert problems(path)["ENV_FILE"]["message"] == f"expected UTF-8 text; line 2 of {path} is not"


@pytest.mark.parametrize("kind", ["missing", "directory", "loop", "pipe", "huge", "nul"])
def test_a_named_env_file_that_cannot_be_read_is_an_error(tmp_path, kind):
    path = tmp_path / "x.env"
    if kind == "directory":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(1_048_577)
    elif kind == "nul":
        path = f"{path}\0"

    found = problems(path)

    assert found["ENV_FILE"]["message"].startswith("cannot read ")


def test_a_socket_in_place_of_the_env_file_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(".env")

        found = problems(tmp_path / ".env")

    assert "cannot read" in found["ENV_FILE"]["message"]


def test_a_broken_env_file_that_was_found_is_an_error(tmp_path):
    (tmp_path / ".env").symlink_to(tmp_path / "nowhere")

    with pytest.raises(Exception, match="cannot read"):
        Settings(environ={})


# --- the order ----------------------------------------------------------------------------------


def test_the_sources_win_in_the_documented_order(tmp_path):
    env = write(
        tmp_path / ".env", f"DB_POOL_SIZE=3\nSECRETS_DIR={tmp_path}/run\nSETTINGS_FILE={tmp_path}/s.toml"
    )
    write(tmp_path / "run" / "DB_POOL_SIZE", "4\n")
    write(tmp_path / "s.toml", "DB_POOL_SIZE = 5")

    settings = Settings(environ={"DB_POOL_SIZE": "2"}, env_file=env, DB_POOL_SIZE=1)
    explanation = explain("DB_POOL_SIZE", settings)

    assert settings.database.DB_POOL_SIZE == 1
    assert [value for _, value in explanation.shadowed] == ["2", "3", "4", "5"]


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_variable_counts_as_not_set(tmp_path, empty):
    env = write(tmp_path / ".env", "DB_POOL_SIZE=3")

    assert load(env, DB_POOL_SIZE=empty).database.DB_POOL_SIZE == 3


def test_an_empty_list_is_written_as_json():
    assert load(LOG_QUIET_PATHS="[]").logging.LOG_QUIET_PATHS == []


# --- NAME_FILE -------------------------------------------------------------------------------------


def test_a_value_is_read_from_the_file_that_a_variable_names(tmp_path):
    path = write(tmp_path / "key", "s3cret-from-file\n")

    settings = load(JWT_SECRET_KEY_FILE=str(path))

    assert settings.security.JWT_SECRET_KEY.get_secret_value() == "s3cret-from-file"
    assert explain("JWT_SECRET_KEY", settings).origin == f"{path}, named by JWT_SECRET_KEY_FILE (environment)"


def test_a_file_named_in_the_env_file_is_relative_to_it(tmp_path):
    env = write(tmp_path / "conf" / ".env", "STRIPE_SECRET_KEY_FILE=keys/stripe")
    write(tmp_path / "conf" / "keys" / "stripe", "sk_live_1")

    assert load(env).stripe.STRIPE_SECRET_KEY.get_secret_value() == "sk_live_1"


def test_an_alias_may_be_read_from_a_file(tmp_path):
    path = write(tmp_path / "minutes", "45\n")

    assert load(JWT_ACCESS_TOKEN_EXPIRE_MINUTES_FILE=str(path)).security.JWT_EXPIRE_MINUTES == 45


def test_a_variable_and_its_file_in_one_source_are_a_conflict(tmp_path):
    path = write(tmp_path / "key", "from-file")

    found = problems(JWT_SECRET_KEY="from-environment", JWT_SECRET_KEY_FILE=str(path))

    assert found["JWT_SECRET_KEY"]["id"] == "settings.conflict"
    assert "from-" not in str(found["JWT_SECRET_KEY"])


def test_a_variable_of_a_stronger_source_shadows_the_file_of_a_weaker(tmp_path):
    env = write(tmp_path / ".env", f"DB_POOL_SIZE_FILE={write(tmp_path / 'n', '9')}")

    assert load(env, DB_POOL_SIZE="3").database.DB_POOL_SIZE == 3


def test_a_named_file_that_is_missing_is_an_error(tmp_path):
    found = problems(JWT_SECRET_KEY_FILE=str(tmp_path / "nowhere"))

    assert found["JWT_SECRET_KEY_FILE"]["message"].startswith(f"cannot read {tmp_path}/nowhere: ")
    assert found["JWT_SECRET_KEY_FILE"]["origin"] == "environment"


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_named_file_that_is_empty_counts_as_not_set(tmp_path, content):
    assert load(OPENAI_API_KEY_FILE=str(write(tmp_path / "key", content))).ai.OPENAI_API_KEY is None


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/null", "\0"])
def test_only_regular_files_are_read(place):
    assert "cannot read" in problems(JWT_SECRET_KEY_FILE=place)["JWT_SECRET_KEY_FILE"]["message"]


def test_a_setting_whose_own_name_ends_in_file_points_nowhere():
    assert load(FLAGS_FILE="/etc/flags.json").flags.FLAGS_FILE == "/etc/flags.json"


# --- secrets directory --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "redis_password"])
def test_a_secrets_directory_holds_one_file_per_setting(tmp_path, name):
    path = write(tmp_path / "run" / name, "p4ss\n")

    settings = load(SECRETS_DIR=str(tmp_path / "run"))

    assert settings.redis.REDIS_PASSWORD.get_secret_value() == "p4ss"
    assert explain("REDIS_PASSWORD", settings).origin == str(path)


def test_a_file_in_the_directory_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "run" / "DB_POOL_SIZE").mkdir(parents=True)

    assert "is a directory" in problems(SECRETS_DIR=f"{tmp_path}/run")["DB_POOL_SIZE"]["message"]


@pytest.mark.parametrize("name", ["x" * 5000, "\0"])
def test_a_secrets_directory_with_an_impossible_name_is_an_error(name):
    assert "SECRETS_DIR" in problems(SECRETS_DIR=name)


def test_the_first_of_several_directories_wins(tmp_path):
    write(tmp_path / "a" / "DB_POOL_SIZE", "1")
    write(tmp_path / "b" / "DB_POOL_SIZE", "2")
    write(tmp_path / "b" / "API_PORT", "81")

    settings = load(SECRETS_DIR=f"{tmp_path}/a,{tmp_path}/b")

    assert (settings.database.DB_POOL_SIZE, settings.api.API_PORT) == (1, 81)


def test_a_secrets_directory_that_is_missing_is_an_error(tmp_path):
    assert (
        problems(SECRETS_DIR=f"{tmp_path}/gone")["SECRETS_DIR"]["message"]
        == "expected a directory that exists"
    )


def test_a_wrong_value_in_the_directory_is_reported_by_its_path(tmp_path):
    path = write(tmp_path / "run" / "DB_POOL_SIZE", "many")

    assert problems(SECRETS_DIR=f"{tmp_path}/run")["DB_POOL_SIZE"]["origin"] == str(path)


# --- settings file ------------------------------------------------------------------------------------

FILES = {
    "s.toml": 'SERVICE_NAME = "orders"\n\n[database]\nDB_POOL_SIZE = 7\n\n[api]\nCORS_ORIGINS = ["https://a.example"]\n',
    "s.yaml": "SERVICE_NAME: orders\n\ndatabase:\n  DB_POOL_SIZE: 7\n\napi:\n  CORS_ORIGINS: [https://a.example]\n",
    "s.json": '{"SERVICE_NAME": "orders",\n\n"database": {\n"DB_POOL_SIZE": 7},\n\n"api":\n{"CORS_ORIGINS": "https://a.example"}}',
}


@pytest.mark.parametrize("name", FILES)
def test_a_settings_file_is_read_flat_and_by_section(tmp_path, name):
    path = write(tmp_path / name, FILES[name])

    settings = load(SETTINGS_FILE=str(path))

    assert settings.app.SERVICE_NAME == "orders"
    assert settings.api.CORS_ORIGINS == ["https://a.example"]
    assert explain("DB_POOL_SIZE", settings).origin == f"{path}:4"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.toml", "A = 1\nDB_POOL_SIZE = hunter2\n"),
        ("s.yaml", "A: 1\nDB_POOL_SIZE: [hunter2\n"),
        ("s.json", '{"A": 1,\n"DB_POOL_SIZE": hunter2}'),
    ],
)
def test_a_settings_file_that_cannot_be_parsed_is_reported_with_its_line(tmp_path, name, text):
    path = write(tmp_path / name, text)

    error = refusal(SETTINGS_FILE=str(path))

    assert f"{path}:" in str(error)
    assert "not valid" in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("name", ["s.ini", "s"])
def test_a_settings_file_of_another_kind_is_refused(tmp_path, name):
    path = write(tmp_path / name, "")

    assert (
        "expected a file ending in .json, .toml"
        in problems(SETTINGS_FILE=str(path))["SETTINGS_FILE"]["message"]
    )


@pytest.mark.parametrize("text", ["[1, 2]", '"text"', "1"])
def test_a_settings_file_without_names_is_refused(tmp_path, text):
    path = write(tmp_path / "s.json", text)

    assert "expected names with values" in problems(SETTINGS_FILE=str(path))["SETTINGS_FILE"]["message"]


def test_a_settings_file_that_is_missing_is_an_error(tmp_path):
    assert "cannot read" in problems(SETTINGS_FILE=f"{tmp_path}/no.toml")["SETTINGS_FILE"]["message"]


def test_an_empty_yaml_file_sets_nothing(tmp_path):
    path = write(tmp_path / "s.yml", "")

    assert load(SETTINGS_FILE=str(path)).database.DB_POOL_SIZE == 5


def test_json_that_is_nested_too_deep_is_reported(tmp_path):
    path = write(tmp_path / "s.json", "[" * 200_000)

    assert "not valid JSON" in str(refusal(SETTINGS_FILE=str(path)))


def test_foreign_tables_of_a_settings_file_are_left_alone(tmp_path):
    path = write(tmp_path / "s.toml", "[tool.other]\nx = 1\n[database]\nDB_POOL_SIZE = 7")

    settings = load(SETTINGS_FILE=str(path))

    assert settings.database.DB_POOL_SIZE == 7
    assert settings.warnings == ()


def test_a_settings_file_without_a_yaml_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    path = write(tmp_path / "s.yaml", "A: 1")

    assert "pip install 'pydantic-settings[yaml]'" in str(refusal(SETTINGS_FILE=str(path)))
