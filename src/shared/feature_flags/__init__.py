"""Ship behind flags: typed, explained, the same for the length of a request, and free of servers.

Importing the room loads pydantic and connects to nothing.
"""

from typing import TYPE_CHECKING

from shared.feature_flags._code_scan import CodeScan, CodeUse, scan_code
from shared.feature_flags._model import Flag, FlagDocument, FlagKind, FlagType, Overlay
from shared.feature_flags._rules import Condition, Layer, Op, Prerequisite, Rule, Schedule, Split

if TYPE_CHECKING:
    from shared.feature_flags._adoption import Adoption, VariantAdoption, adoption_report
    from shared.feature_flags._adoption_log import AdoptionLog
    from shared.feature_flags._feedback import FeedbackGiven, FeedbackLog, FeedbackSummary
    from shared.feature_flags._tables_adoption import FlagExposure, FlagFeedback, FlagUsage
    from shared.feature_flags._unit_ids import UnitIds

__all__ = [
    "Adoption",
    "AdoptionLog",
    "CodeScan",
    "CodeUse",
    "Condition",
    "FeedbackGiven",
    "FeedbackLog",
    "FeedbackSummary",
    "Flag",
    "FlagDocument",
    "FlagExposure",
    "FlagFeedback",
    "FlagKind",
    "FlagType",
    "FlagUsage",
    "Layer",
    "Op",
    "Overlay",
    "Prerequisite",
    "Rule",
    "Schedule",
    "Split",
    "UnitIds",
    "VariantAdoption",
    "adoption_report",
    "scan_code",
]

# What has tables loads SQLAlchemy, which a service that only asks for flags does not need.
# Guarded: an unguarded module __getattr__ makes type checkers accept every misspelt name of
# this package.
if not TYPE_CHECKING:
    _LAZY = {
        "Adoption": "_adoption",
        "AdoptionLog": "_adoption_log",
        "FeedbackGiven": "_feedback",
        "FeedbackLog": "_feedback",
        "FeedbackSummary": "_feedback",
        "FlagExposure": "_tables_adoption",
        "FlagFeedback": "_tables_adoption",
        "FlagUsage": "_tables_adoption",
        "UnitIds": "_unit_ids",
        "VariantAdoption": "_adoption",
        "adoption_report": "_adoption",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _LAZY:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)
