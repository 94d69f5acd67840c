"""Join feature flags and the database: who was shown which variant, and how often flags are asked."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.feature_flags import Flags
    from shared.service._service import Service

__all__ = ["keep_adoption"]


def keep_adoption(service: "Service", flags: "Flags") -> "Callable[[], None]":
    """Let the database keep what *flags* tell, where ``FLAGS_ADOPTION`` asks for it; return what ends it.

    A wrong key stops the start and not the first exposure.
    """
    if not service.settings.flags.FLAGS_ADOPTION:
        return lambda: None
    from shared.feature_flags import get_adoption_log

    return get_adoption_log().follow(flags)
