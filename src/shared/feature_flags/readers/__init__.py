"""Flags of other services, evaluated in this process as those services would.

``unleash.load(document)``, ``flagd.load(document)`` and ``growthbook.load(document)``
compile a document to a :class:`Reader`: the same engine style as our own flags, with the
bucketing and the edge cases of the format it came from. A reader is a source for
:class:`shared.feature_flags.Flags`.
"""

from shared.feature_flags.readers import flagd, growthbook, unleash  # noqa: F401 (readers.flagd.load)
from shared.feature_flags.readers._base import Reader

__all__ = ["Reader"]
