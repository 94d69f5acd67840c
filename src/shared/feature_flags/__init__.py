"""Ship behind flags: typed, explained, the same for the length of a request, and free of servers.

Importing the room loads pydantic and connects to nothing.
"""

from shared.feature_flags._model import Flag, FlagDocument, FlagKind, FlagType, Overlay
from shared.feature_flags._rules import Condition, Layer, Op, Prerequisite, Rule, Schedule, Split

__all__ = [
    "Condition",
    "Flag",
    "FlagDocument",
    "FlagKind",
    "FlagType",
    "Layer",
    "Op",
    "Overlay",
    "Prerequisite",
    "Rule",
    "Schedule",
    "Split",
]
