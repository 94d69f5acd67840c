"""What is allowed and still a bad idea."""

import importlib.util
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from shared._cli._finding import Finding
from shared._cli._installation import DISTRIBUTION

if TYPE_CHECKING:
    from shared.config import Settings


class Need(NamedTuple):
    """A library that a setting makes necessary."""

    setting: str
    module: str
    extra: str
    is_used: "Callable[[Settings], bool]"


def _scheme(url: str | None) -> str:
    return (url or "").partition(":")[0].lower().partition("+")[0]


def _uses_argon2(settings: "Settings") -> bool:
    return settings.security.PASSWORD_SCHEME.startswith("argon2")


_MAKE_KEY: Final = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
_REDIS: Final = ("redis", "rediss", "unix")
_POSTGRES: Final = ("postgresql", "postgres")

NEEDS: "Final[tuple[Need, ...]]" = (
    Need("REDIS_URL", "redis", "redis", lambda s: _scheme(s.redis.url) in _REDIS),
    Need("FLAGS_STORE_URL", "redis", "redis", lambda s: _scheme(s.flags.FLAGS_STORE_URL) in _REDIS),
    Need("DATABASE_URL", "psycopg", "postgres", lambda s: _scheme(s.database.DATABASE_URL) in _POSTGRES),
    Need("OPENAI_API_KEY", "openai", "openai", lambda s: s.ai.OPENAI_API_KEY is not None),
    Need("SENTRY_DSN", "sentry_sdk", "sentry", lambda s: s.monitoring.SENTRY_DSN is not None),
    Need("STORAGE_URL", "obstore", "s3", lambda s: _scheme(s.storage.STORAGE_URL) == "s3"),
    Need("STORAGE_URL", "obstore", "gcs", lambda s: _scheme(s.storage.STORAGE_URL) == "gs"),
    Need("PASSWORD_SCHEME", "argon2", "argon2", _uses_argon2),
    Need("JOBS_BROKER_URL", "taskiq", "jobs", lambda s: _scheme(s.jobs.JOBS_BROKER_URL) != "memory"),
)


def extra_findings(settings: "Settings") -> Iterator[Finding]:
    """Find settings whose library is not installed."""
    for need in NEEDS:
        if need.is_used(settings) and not _is_installed(need.module):
            yield Finding(
                "extra.missing",
                "error",
                f"{need.setting} is configured and {need.module!r} is not installed",
                f"pip install '{DISTRIBUTION}[{need.extra}]'",
            )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent package is missing, or stands without a spec
        return False


def environment_findings(settings: "Settings") -> Iterator[Finding]:
    """Find a deployed process that runs on the defaults of development."""
    if settings.found("ENVIRONMENT").raws:
        return
    for sign, place in (
        ("KUBERNETES_SERVICE_HOST", "Kubernetes"),
        ("AWS_EXECUTION_ENV", "AWS"),
        ("DYNO", "Heroku"),
    ):
        if settings.variable(sign) is not None:
            yield Finding(
                "environment.unset",
                "warning",
                f"ENVIRONMENT is not set and this looks like {place}: the profile is development",
                "set ENVIRONMENT=production",
            )
            return


def generated_findings(settings: "Settings") -> Iterator[Finding]:
    """Find keys that end with the process."""
    for name in ("JWT_SECRET_KEY", "CSRF_SECRET_KEY", "API_KEY_PEPPER"):
        if settings.found(name).default.startswith("generated"):
            yield Finding(
                "secret.generated",
                "info",
                f"{name} is generated for each process: nothing signed with it survives a restart "
                "or is understood by another worker",
                f"set {name} in .env to the output of: {_MAKE_KEY}",
            )


def production_findings(settings: "Settings") -> Iterator[Finding]:
    """Find habits of development in production."""
    if not settings.app.is_production:
        return
    for name, is_habit, why, fix in _HABITS:
        if is_habit(settings):
            yield Finding("production.habit", "warning", f"{name}: {why}", fix)


def _is_test_key(settings: "Settings") -> bool:
    key = settings.stripe.STRIPE_SECRET_KEY
    return key is not None and key.get_secret_value().startswith(("sk_test_", "rk_test_"))


_HABITS: "Final[tuple[tuple[str, Callable[[Settings], bool], str, str], ...]]" = (
    (
        "SERVICE_NAME",
        lambda s: s.app.SERVICE_NAME == "service",
        "has its default; logs and metrics of services cannot be told apart",
        "set SERVICE_NAME to the name of the service",
    ),
    ("LOG_LEVEL", lambda s: s.logging.LOG_LEVEL == "DEBUG", "is DEBUG", "set LOG_LEVEL=INFO"),
    ("DB_ECHO", lambda s: s.database.DB_ECHO, "logs every statement", "set DB_ECHO=false"),
    (
        "EXPOSE_ERROR_DETAILS",
        lambda s: s.api.EXPOSE_ERROR_DETAILS is True,
        "shows callers what went wrong inside",
        "remove EXPOSE_ERROR_DETAILS",
    ),
    (
        "EMAIL_BACKEND",
        lambda s: s.email.EMAIL_BACKEND in {"console", "file", "memory"},
        "sends no mail",
        "set EMAIL_BACKEND=smtp or EMAIL_BACKEND=sendgrid",
    ),
    (
        "STORAGE_URL",
        lambda s: _scheme(s.storage.STORAGE_URL) == "memory",
        "loses every object at a restart",
        "set STORAGE_URL to a directory or a bucket",
    ),
    (
        "PASSWORD_BCRYPT_ROUNDS",
        lambda s: s.security.PASSWORD_BCRYPT_ROUNDS < 10,
        "makes stolen passwords cheap to guess",
        "set PASSWORD_BCRYPT_ROUNDS=12",
    ),
    (
        "STRIPE_SECRET_KEY",
        _is_test_key,
        "is a key of Stripe's test mode: no money moves",
        "set STRIPE_SECRET_KEY to the live key",
    ),
)


def worker_findings(settings: "Settings") -> Iterator[Finding]:
    """Find several workers on stores that each keeps for itself."""
    count = settings.variable("WEB_CONCURRENCY") or ""
    if not count.strip().isdecimal() or int(count[:9]) < 2:
        return
    if _scheme(settings.jobs.JOBS_BROKER_URL) == "memory":
        yield _alone("JOBS_BROKER_URL", "a job runs in the worker that took the request and ends with it")
    if settings.redis.url is None:
        yield _alone("REDIS_URL", "caches and limits are kept by each worker for itself")
    if settings.security.AUTH_STORE == "memory":
        yield _alone("AUTH_STORE", "sessions and revoked tokens are known to one worker only")
    if _scheme(settings.database.DATABASE_URL) == "sqlite":
        yield _alone("DATABASE_URL", "workers wait for each other to write to SQLite")


def _alone(name: str, why: str) -> Finding:
    return Finding(
        "workers.alone",
        "warning",
        f"WEB_CONCURRENCY is above 1, but {why}",
        f"set {name} to a server, or run one worker",
    )


def file_findings(settings: "Settings") -> Iterator[Finding]:
    """Find a ``.env`` file in production that everybody on the machine can read."""
    if not settings.app.is_production:
        return
    for path in settings.files:
        if _mode(path) & stat.S_IROTH:
            yield Finding(
                "file.readable",
                "warning",
                f"{path} can be read by every user of the machine",
                f"run: chmod 600 {path}",
            )


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


#: Everything the doctor asks of settings that are right.
CHECKS: "Final[tuple[Callable[[Settings], Iterator[Finding]], ...]]" = (
    extra_findings,
    environment_findings,
    generated_findings,
    production_findings,
    worker_findings,
    file_findings,
)
