"""Data a service starts with: put in once, however often it is run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from shared.database._repository import Repository
from shared.errors import ConfigurationError, InvalidArgumentError

__all__ = ["Seed", "SeedProgress", "seed"]

_SAFE: Final = ("development", "testing", "staging")


@dataclass(frozen=True, slots=True)
class Seed:
    """Rows of one model.

    Args:
        model: The mapped class.
        rows: By column names; all name the same columns.
        key: Columns that name a row, with a unique constraint on them.
        update: Columns to bring up to date when the row exists; none when empty, all when None.

    Example:
        >>> Seed(dict, [{"code": "EUR"}], key=["code"]).key
        ['code']
    """

    model: type[Any]
    rows: Sequence[Mapping[str, Any]]
    key: Sequence[str]
    update: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class SeedProgress:
    """How far seeding has come.

    Attributes:
        table: Its name.
        rows: Rows put in or brought up to date.
        done: Tables dealt with.
        total: Tables in all.

    Example:
        >>> SeedProgress("currencies", rows=3, done=1, total=2).done
        1
    """

    table: str
    rows: int
    done: int
    total: int


def seed(
    session: Session,
    seeds: Sequence[Seed],
    *,
    environment: str,
    allow: Sequence[str] = _SAFE,
    progress: Callable[[SeedProgress], object] | None = None,
) -> int:
    """Put *seeds* in, parents before children; return how many rows. Running it again adds nothing.

    Args:
        session: Of the caller, who commits: all or nothing.
        seeds: In any order; foreign keys decide.
        environment: Where this runs: ``settings.app.ENVIRONMENT``.
        allow: Environments in which it may run; production must be named.
        progress: Called after each table.

    Raises:
        ConfigurationError: It may not run in *environment*.
        InvalidArgumentError: A model is not mapped, or a seed has no key.

    Example:
        >>> from sqlalchemy.orm import Mapped, mapped_column
        >>> from shared.database import Base, Database
        >>> class Currency(Base):
        ...     __tablename__ = "docs_currencies"
        ...     code: Mapped[str] = mapped_column(primary_key=True)
        >>> with Database("sqlite://") as db:
        ...     Currency.__table__.create(db.engine)
        ...     for _ in range(2):
        ...         with db.transaction() as session:
        ...             euro = Seed(Currency, [{"code": "EUR"}], key=["code"])
        ...             _ = seed(session, [euro], environment="testing")
        ...     with db.read() as session:
        ...         Repository(Currency).count(session)
        1
    """
    if str(environment) not in allow:
        msg = (
            f"seeding is not allowed in {str(environment)!r} (allowed: {', '.join(allow)}): name it in allow"
        )
        raise ConfigurationError(msg)
    for each in seeds:
        if not each.key:
            msg = f"a seed of {each.model.__name__} needs a key that names its rows"
            raise InvalidArgumentError(msg)
    total = 0
    for number, each in enumerate(_ordered(seeds), start=1):
        repository: Repository[Any] = Repository(each.model)
        rows = len(repository.upsert_many(session, each.rows, on=each.key, update=each.update))
        total += rows
        if progress is not None:
            progress(SeedProgress(each.model.__tablename__, rows, number, len(seeds)))
    return total


def _ordered(seeds: Sequence[Seed]) -> list[Seed]:
    """Return *seeds* so that what is referred to comes first."""
    places: dict[int, int] = {}
    for each in seeds:
        table = getattr(each.model, "__table__", None)
        if table is None:
            msg = f"a seed needs a mapped class, got {each.model!r}"
            raise InvalidArgumentError(msg)
        order = {name.key: place for place, name in enumerate(table.metadata.sorted_tables)}
        places[id(each)] = order[table.key]
    return sorted(seeds, key=lambda each: places[id(each)])
