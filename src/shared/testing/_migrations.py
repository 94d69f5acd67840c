"""One assertion that a service's revisions are fit to be released."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from shared.database.migrations import MigrationChain, Migrations

__all__ = ["assert_migrations_ok"]


def assert_migrations_ok(
    app_metadata: "MetaData",
    migrations: "str | Path | MigrationChain" = "migrations",
    *,
    url: str | None = None,
    dialects: Iterable[str] = ("postgresql",),
    baseline: "str | Path | None" = None,
) -> None:
    """Fail unless the revisions have one head, go up, down and up, make the models, and hurt nobody.

    Args:
        app_metadata: The service's tables, such as ``Base.metadata``; the library's
            tables in it are the library's business, and made first.
        migrations: The folder of the service's Alembic environment, or its chain.
        url: An empty database to try them on, such as that of the fixture
            ``shared_postgres_database``; a SQLite file of its own when None.
        dialects: What :func:`shared.database.migrations.lint` judges for.
        baseline: File of findings that are known.

    Raises:
        AssertionError: One does not hold; the message lists all that is wrong.

    Example:
        >>> from sqlalchemy import MetaData
        >>> from shared.database.migrations import MigrationChain
        >>> assert_migrations_ok(MetaData(), MigrationChain.library(["database"]), dialects=["sqlite"])
    """
    from shared.database.migrations import MigrationChain

    chain = migrations if isinstance(migrations, MigrationChain) else MigrationChain.service(migrations)
    wrong = _heads(chain)
    if not wrong:
        wrong += _findings(chain, app_metadata, dialects, baseline)
        with tempfile.TemporaryDirectory(prefix="shared-migrations-") as folder:
            wrong += _trip(chain, app_metadata, url or f"sqlite:///{folder}/tried.db")
    if wrong:
        raise AssertionError("\n".join(["the migrations are not fit to be released:", *wrong]))


def _heads(chain: "MigrationChain") -> list[str]:
    heads = chain.script().get_heads()
    if chain.name == "library" or len(heads) == 1:
        return []
    return [f"there are {len(heads)} heads ({', '.join(sorted(heads))}), one is needed"]


def _findings(
    chain: "MigrationChain", metadata: "MetaData", dialects: Iterable[str], baseline: "str | Path | None"
) -> list[str]:
    from shared.database.migrations import lint, read_baseline

    known = read_baseline(baseline) if baseline is not None else ()
    report = lint(chain, dialects=dialects, metadata=metadata, baseline=known)
    return [str(each) for each in report.errors]


def _trip(chain: "MigrationChain", metadata: "MetaData", url: str) -> list[str]:
    from shared.database.migrations import Migrations, rehearse
    from shared.errors import SharedError

    if chain.name == "service":
        Migrations(url).upgrade()
    try:
        tried = rehearse(url, chain, shadow=url)
    except SharedError as exc:
        return [f"they do not run: {exc.message}"]
    if not tried.ok:
        return [str(tried)]
    return _drift(Migrations(url, chain), metadata) if chain.name == "service" else []


def _drift(migrations: "Migrations", metadata: "MetaData") -> list[str]:
    return [f"the models differ: {each}" for each in migrations.differences(metadata)]
