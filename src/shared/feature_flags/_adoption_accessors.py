"""The logs of feedback and adoption of the current runtime."""

from typing import TYPE_CHECKING, Any, Final

from shared.errors import ConfigurationError, InvalidArgumentError
from shared.feature_flags._adoption_log import AdoptionLog
from shared.feature_flags._feedback import FeedbackLog
from shared.feature_flags._unit_ids import UnitIds
from shared.runtime import Runtime, current, use

if TYPE_CHECKING:
    from shared.config import Settings

__all__ = ["get_adoption_log", "get_feedback_log", "keep_feedback"]

#: Equal in all processes of a developer, and no secret: nothing there is worth one.
_DEVELOPMENT_KEY: Final = b"unit ids of development and tests"


def get_adoption_log() -> AdoptionLog:
    """Return the current runtime's log of exposures and evaluations, in the service's database.

    ``install()`` and ``worker()`` let it follow the flags where ``FLAGS_ADOPTION`` is set.

    Raises:
        ConfigurationError: There is no database, or production has no ``FLAGS_UNIT_KEY``.

    Example:
        >>> from shared.database import Database
        >>> from shared.runtime import Runtime, use
        >>> runtime = Runtime("docs")
        >>> with use(runtime), Database("sqlite://") as db, runtime.override(Database, db):
        ...     get_adoption_log() is get_adoption_log()
        True
        >>> runtime.close()
    """
    return current().get(AdoptionLog, _adoption_log)


def get_feedback_log() -> FeedbackLog:
    """Return the current runtime's log of feedback, in the service's database.

    Raises:
        ConfigurationError: As :func:`get_adoption_log`.

    Example:
        >>> from shared.database import Database
        >>> from shared.runtime import Runtime, use
        >>> runtime = Runtime("docs")
        >>> with use(runtime), Database("sqlite://") as db, runtime.override(Database, db):
        ...     get_feedback_log() is get_feedback_log()
        True
        >>> runtime.close()
    """
    return current().get(FeedbackLog, _feedback_log)


def keep_feedback(
    flags: "Any", flag: str, variant: str | None, *, unit: Any, score: int | None, text: str | None
) -> None:
    """Keep what somebody says about a flag of *flags*; the unit and the variant where they are known."""
    context = None if unit is None else {"user_id": unit}
    who = flags.unit(context)
    if who is None:
        raise InvalidArgumentError("feedback needs a unit: nobody is known in this request")
    if variant is None:
        variant = flags.explain(flag, context).detail.variant
    get_feedback_log().give(flag, variant, unit=who, score=score, text=text)


# --- what the runtime keeps ------------------------------------------------------------------------


def _adoption_log(runtime: Runtime) -> AdoptionLog:
    from shared.config import get_settings
    from shared.database import get_database

    with use(runtime):
        return AdoptionLog(get_database(), _units(get_settings()))


def _feedback_log(runtime: Runtime) -> FeedbackLog:
    from shared.config import get_settings
    from shared.database import get_database

    with use(runtime):
        return FeedbackLog(get_database(), _units(get_settings()))


def _units(settings: "Settings") -> UnitIds:
    section = settings.flags
    if section.FLAGS_UNIT_IDS == "plain":
        return UnitIds(plain=True)
    key: Any = section.FLAGS_UNIT_KEY
    if key is None and not settings.app.is_production:
        key = _DEVELOPMENT_KEY
    if key is None:
        msg = (
            "FLAGS_UNIT_KEY is not set: ids of users are written down as a keyed hash; "
            "set it to a secret of 16 bytes or more, the same in all processes, or FLAGS_UNIT_IDS=plain"
        )
        raise ConfigurationError(msg)
    return UnitIds(key)
