"""``shared doctor``."""

import importlib.metadata
import json
import sys

import pytest

from shared._cli import _installation, _practice
from shared.config import Settings
from tests.unit.config._helpers import PRODUCTION, STRONG, load


def ids(findings):
    """The id and the beginning of each finding's message."""
    return [(finding.id, finding.message.split()[0].rstrip(":")) for finding in findings]


@pytest.fixture
def doctor(shared, monkeypatch):
    """The findings of one run, without those about this machine's import path."""

    def run(*arguments, **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code, out, _ = shared("doctor", "--json", *arguments)
        report = json.loads(out)
        report["findings"] = [item for item in report["findings"] if not item["id"].startswith("shadow")]
        return code, report

    return run


def test_every_finding_has_an_id_a_severity_and_a_fix(doctor):
    _, report = doctor("--prod", DB_POOLSIZE="3", DEBUG="1")

    assert {item["severity"] for item in report["findings"]} <= {"error", "warning", "info"}
    assert all(item["id"] and item["message"] and item["fix"] for item in report["findings"])


def test_the_versions_are_reported(doctor, monkeypatch):
    wanted = [("pydantic", ">=2", ""), ("pydantic", ">=2", "all"), ("no-such-package", "", "all")]
    monkeypatch.setattr(_installation, "requirements", lambda: wanted)

    versions = doctor()[1]["versions"]

    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert versions["pydantic"] == importlib.metadata.version("pydantic")
    assert set(versions) == {"python", "libs-shared", "pydantic"}


def test_wrong_settings_are_findings_and_exit_with_1(doctor):
    code, report = doctor(DB_POOL_SIZE="many", DB_POOLSIZE="3")

    assert code == 1
    assert [(item["id"], item["severity"]) for item in report["findings"]] == [
        ("settings.invalid", "error"),
        ("settings.unknown", "warning"),
    ]


def test_warnings_count_only_when_asked(doctor):
    assert doctor(DB_POOLSIZE="3")[0] == 0
    assert doctor("--strict")[0] == 1


def test_the_rules_of_production_are_applied_when_asked(doctor):
    code, report = doctor("--prod", DEBUG="1")

    assert code == 1
    assert {"prod.debug", "prod.secret-missing"} <= {item["id"] for item in report["findings"]}


def test_the_text_has_a_head_the_findings_and_a_count(shared, monkeypatch):
    monkeypatch.setenv("JWT_SECRET", "x" * 40)

    lines = shared("doctor")[1].splitlines()

    assert lines[0].startswith("shared ")
    assert (
        "warning  settings.unknown: JWT_SECRET: is not a setting (environment); did you mean JWT_SECRET_KEY?"
        in lines
    )
    assert "         fix: rename it to JWT_SECRET_KEY" in lines
    assert lines[-1].startswith("0 errors, ")


def test_the_findings_hold_no_secret(doctor):
    _, report = doctor(
        "--prod",
        JWT_SECRET_KEY="hunter2",
        DATABASE_URL="postgresql://u:hunter2@db/x",
        OPENAI_API_KYE="hunter2",
    )

    assert "hunter2" not in json.dumps(report)


# --- installation -------------------------------------------------------------------------


def test_an_old_python_is_found():
    assert ids(_installation.python_findings((3, 10, 4))) == [("python.version", "Python")]
    assert ids(_installation.python_findings((3, 11, 0))) == []


def test_a_missing_or_old_package_is_found_with_the_line_that_installs_it():
    wanted = [
        ("pydantic", ">=2.9", ""),
        ("pydantic", ">=99,<100", ""),
        ("no-such-package", ">=1", ""),
        ("no-such-package", ">=1", "s3"),
        ("pydantic", ">=99", "s3"),
    ]

    findings = list(_installation.package_findings(wanted))

    assert [(finding.id, finding.severity) for finding in findings] == [
        ("package.version", "error"), ("package.missing", "error"), ("package.version", "warning"),
    ]  # fmt: skip
    assert [finding.fix for finding in findings] == [
        "pip install --upgrade 'pydantic>=99,<100'",
        "pip install 'libs-shared'",
        "pip install --upgrade 'pydantic>=99'",
    ]


def test_this_installation_has_what_it_needs():
    assert list(_installation.package_findings()) == []


@pytest.mark.parametrize(
    ("version", "clauses", "verdict"),
    [
        ("2.0", ">=2", True),
        ("2.0.0rc1", ">=2", True),
        ("1.9.9", ">=2", False),
        ("5.0.1", ">=4.1,<6", True),
        ("6.0", ">=4.1,<6", False),
        ("1.4.5", "~=1.4.2", True),
        ("1.5.0", "~=1.4.2", False),
        ("1.0", "!=1.0", False),
        ("1.0", "==1.0.0", True),
        ("1.1", ">1.0,<=1.1", True),
        ("unknown", ">=1", False),
        ("1.0", "", True),
    ],
)
def test_versions_are_compared_as_numbers(version, clauses, verdict):
    assert _installation.satisfies(version, clauses) is verdict


def test_a_source_tree_that_was_never_installed_has_no_requirements(monkeypatch):
    monkeypatch.setattr(_installation, "DISTRIBUTION", "no-such-distribution")

    assert _installation.requirements() == []


def test_a_foreign_distribution_with_our_name_is_found(tmp_path, monkeypatch):
    info = tmp_path / "shared-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shared\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("shared\n")
    (info / "RECORD").write_text("shared/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    findings = [
        item for item in _installation.shadow_findings([], tmp_path) if item.id == "shadow.distribution"
    ]

    assert [finding.severity for finding in findings] == ["error"]
    assert "pip uninstall shared" in findings[0].fix


@pytest.mark.parametrize("form", ["folder", "module"])
def test_a_local_thing_with_our_name_is_found(tmp_path, form):
    local = tmp_path / ("shared" if form == "folder" else "shared.py")
    local.mkdir() if form == "folder" else local.touch()
    home = _installation.Path(_installation.shared.__file__).parent.parent

    def severities(path):
        found = _installation.shadow_findings(path, tmp_path)
        return [(item.severity, str(local) in item.message) for item in found if item.id == "shadow.local"]

    assert severities([str(tmp_path), str(home)]) == [("error", True)]
    assert severities([str(home), str(tmp_path)]) == [("warning", True)]
    assert severities([str(home)]) == [("warning", True)]


def test_the_library_itself_is_no_finding(tmp_path):
    home = _installation.Path(_installation.shared.__file__).parent.parent

    assert [
        item for item in _installation.shadow_findings([str(home)], home) if item.id == "shadow.local"
    ] == []


def test_every_room_can_be_imported():
    assert list(_installation.import_findings()) == []


def test_a_room_that_cannot_be_imported_is_found(tmp_path, monkeypatch):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").touch()
    (tmp_path / "shared" / "broken.py").write_text("import no_such_library")
    (tmp_path / "shared" / "_private.py").write_text("1 / 0")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    findings = list(_installation.import_findings())

    assert [(item.id, item.fix) for item in findings] == [
        ("import.failed", "run: python -c 'import shared.broken'")
    ]


def test_a_probe_that_takes_too_long_is_a_finding():
    assert ids(_installation.import_findings(timeout=0.0)) == [("import.probe", "the")]


# --- settings that need a library --------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "module", "extra"),
    [
        ({"REDIS_URL": "redis://localhost"}, "redis", "redis"),
        ({"REDIS_HOST": "localhost"}, "redis", "redis"),
        ({"FLAGS_STORE_URL": "redis://localhost"}, "redis", "redis"),
        ({"DATABASE_URL": "postgresql://localhost/x"}, "psycopg", "postgres"),
        ({"OPENAI_API_KEY": "sk-1"}, "openai", "openai"),
        ({"SENTRY_DSN": "https://key@sentry.example/1"}, "sentry_sdk", "sentry"),
        ({"STORAGE_URL": "s3://bucket"}, "obstore", "s3"),
        ({"STORAGE_URL": "gs://bucket"}, "obstore", "gcs"),
        ({"PASSWORD_SCHEME": "argon2id"}, "argon2", "argon2"),
        ({"JOBS_BROKER_URL": "redis://localhost"}, "taskiq", "jobs"),
    ],
)
def test_a_setting_without_its_library_is_found_with_the_line_that_installs_it(
    environ, module, extra, monkeypatch
):
    monkeypatch.setattr(_practice, "_is_installed", lambda name: name != module)

    findings = list(_practice.extra_findings(load(**environ)))

    assert [(item.id, item.severity, item.fix) for item in findings] == [
        ("extra.missing", "error", f"pip install 'libs-shared[{extra}]'")
    ]


def test_settings_with_their_libraries_are_no_finding():
    assert list(_practice.extra_findings(load(REDIS_URL="redis://localhost", OPENAI_API_KEY="sk-1"))) == []


@pytest.mark.parametrize(
    ("module", "verdict"), [("json", True), ("no_such", False), ("no_such.child", False)]
)
def test_a_module_is_looked_for_without_importing_it(module, verdict):
    assert _practice._is_installed(module) is verdict


# --- habits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["KUBERNETES_SERVICE_HOST", "AWS_EXECUTION_ENV", "DYNO"])
def test_a_deployment_without_an_environment_is_found(sign):
    assert ids(_practice.environment_findings(load(**{sign: "x"}))) == [("environment.unset", "ENVIRONMENT")]
    assert ids(_practice.environment_findings(load(**{sign: "x", "ENVIRONMENT": "dev"}))) == []
    assert ids(_practice.environment_findings(load())) == []


def test_generated_keys_are_pointed_out():
    assert ids(_practice.generated_findings(load(JWT_SECRET_KEY=STRONG))) == [
        ("secret.generated", "CSRF_SECRET_KEY"),
        ("secret.generated", "API_KEY_PEPPER"),
    ]


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"SERVICE_NAME": ""}, "SERVICE_NAME"),
        ({"LOG_LEVEL": "DEBUG"}, "LOG_LEVEL"),
        ({"DB_ECHO": "1"}, "DB_ECHO"),
        ({"EXPOSE_ERROR_DETAILS": "1"}, "EXPOSE_ERROR_DETAILS"),
        ({"EMAIL_BACKEND": "console"}, "EMAIL_BACKEND"),
        ({"STORAGE_URL": "memory://"}, "STORAGE_URL"),
        ({"PASSWORD_BCRYPT_ROUNDS": "5"}, "PASSWORD_BCRYPT_ROUNDS"),
        ({"STRIPE_SECRET_KEY": "sk_test_" + "a1B2c3D4" * 3}, "STRIPE_SECRET_KEY"),
    ],
)
def test_a_habit_of_development_is_found_in_production_only(environ, name):
    base = {**PRODUCTION, "SERVICE_NAME": "orders"}

    assert ids(_practice.production_findings(load(**base | environ))) == [("production.habit", name)]
    assert ids(_practice.production_findings(load(**base))) == []
    assert ids(_practice.production_findings(load(**environ))) == []


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, []),
        ({"WEB_CONCURRENCY": "1"}, []),
        ({"WEB_CONCURRENCY": "many"}, []),
        ({"WEB_CONCURRENCY": "4"}, ["JOBS_BROKER_URL", "REDIS_URL", "AUTH_STORE", "DATABASE_URL"]),
        (
            {
                "WEB_CONCURRENCY": "4",
                "REDIS_URL": "redis://localhost",
                "JOBS_BROKER_URL": "redis://localhost",
                "AUTH_STORE": "redis",
            },
            ["DATABASE_URL"],
        ),
    ],
)
def test_several_workers_on_stores_of_their_own_are_found(environ, names):
    findings = list(_practice.worker_findings(load(**environ)))

    assert [finding.fix.split()[1] for finding in findings] == names


def test_an_env_file_that_everybody_can_read_is_found_in_production(tmp_path):
    path = tmp_path / ".env"
    path.write_text(f"ENVIRONMENT=production\nJWT_SECRET_KEY={STRONG}\n")
    path.chmod(0o644)
    settings = Settings(environ={}, env_file=path)

    assert ids(_practice.file_findings(settings)) == [("file.readable", str(path))]
    path.chmod(0o600)
    assert ids(_practice.file_findings(settings)) == []
    path.unlink()
    assert ids(_practice.file_findings(settings)) == []
    assert ids(_practice.file_findings(load())) == []
