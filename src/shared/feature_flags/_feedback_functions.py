"""What services call when somebody says what they think of a feature."""

import asyncio
from typing import Any

from shared.feature_flags._accessors import get_flags
from shared.feature_flags._adoption_accessors import keep_feedback

__all__ = ["afeedback", "feedback"]


def feedback(
    flag: str,
    variant: str | None = None,
    *,
    unit: Any = None,
    score: int | None = None,
    text: str | None = None,
) -> None:
    """Keep what somebody says about a feature: a score from 1 to 5, a text, or both.

    One opinion per unit, flag and variant; a later one takes its place. The text is
    bounded, and never logged. Waits for the database: in a coroutine use :func:`afeedback`.

    Args:
        flag: Key of the flag.
        variant: What they were shown; what the flag gives *unit* now when None.
        unit: Id of the user, account or device; the user of the request when None.
        score: 1 to 5.
        text: Free text; longer ones are cut to 2000 characters.

    Raises:
        InvalidArgumentError: Neither score nor text is given, something is out of range, or
            nobody is known.
        SharedError: The database could not take it.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> from shared.feature_flags import declare_flags, get_feedback_log
        >>> from shared.runtime import Runtime, use
        >>> runtime = Runtime("docs")
        >>> with use(runtime), Database("sqlite://") as db, runtime.override(Database, db):
        ...     Base.metadata.create_all(db.engine, tables=tables_of("feature_flags"))
        ...     declare_flags({"new_menu": True})
        ...     feedback("new_menu", unit="u-1", score=5, text="finally")
        ...     [(found.variant, found.mean) for found in get_feedback_log().summary("new_menu")]
        [('on', 5.0)]
        >>> runtime.close()
    """
    keep_feedback(get_flags(), flag, variant, unit=unit, score=score, text=text)


async def afeedback(
    flag: str,
    variant: str | None = None,
    *,
    unit: Any = None,
    score: int | None = None,
    text: str | None = None,
) -> None:
    """Do what :func:`feedback` does, on a worker thread.

    Raises:
        InvalidArgumentError: As :func:`feedback`.
        SharedError: As :func:`feedback`.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> from shared.feature_flags import get_feedback_log
        >>> from shared.runtime import Runtime, use
        >>> runtime = Runtime("docs")
        >>> with use(runtime), Database("sqlite://") as db, runtime.override(Database, db):
        ...     Base.metadata.create_all(db.engine, tables=tables_of("feature_flags"))
        ...     asyncio.run(afeedback("new_menu", "on", unit="u-1", score=4))
        ...     get_feedback_log().summary()[0].answers
        1
        >>> runtime.close()
    """
    await asyncio.to_thread(feedback, flag, variant, unit=unit, score=score, text=text)
