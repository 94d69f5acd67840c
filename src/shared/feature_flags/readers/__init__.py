"""Flags of other services, evaluated in this process as those services would.

``unleash.load(document)``, ``flagd.load(document)`` and ``growthbook.load(document)``
compile a document to a :class:`Reader`: the same engine style as our own flags, with the
bucketing and the edge cases of the format it came from. A reader is a source for
:class:`shared.feature_flags.Flags`. Import the module of the format you need.
"""

from typing import TYPE_CHECKING

from shared.feature_flags.readers._base import Reader

__all__ = ["Reader"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load the module of a format when it is first asked for."""
        if name not in {"flagd", "growthbook", "unleash"}:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
