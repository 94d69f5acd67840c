"""Ship behind flags: typed, explained, the same for the length of a request, and free of servers.

Importing the room loads pydantic and connects to nothing.
"""

from typing import TYPE_CHECKING

from shared.feature_flags._accessors import (
    declare_flags,
    detail,
    explain,
    flags_from_settings,
    get_flags,
    is_feature_enabled,
    on_change,
    override,
    scope,
    track,
    value,
    variant,
)
from shared.feature_flags._blocks import FlagBlock
from shared.feature_flags._catalogue import FEATURE_FLAGS
from shared.feature_flags._code_scan import CodeScan, CodeUse, scan_code
from shared.feature_flags._compile import compile_flags
from shared.feature_flags._detail import Detail, Explanation, FlagReason, TraceStep
from shared.feature_flags._engine import FlagSource
from shared.feature_flags._env import environment_overrides
from shared.feature_flags._events import FlagExposed, FlagsChanged, FlagStoreFailed, FlagTracked
from shared.feature_flags._flags import Flags
from shared.feature_flags._model import Flag, FlagDocument, FlagKind, FlagType, Overlay
from shared.feature_flags._rules import Condition, Layer, Op, Prerequisite, Rule, Schedule, Split
from shared.feature_flags._snapshot import Snapshot
from shared.feature_flags._usage import FlagUse

if TYPE_CHECKING:
    from shared.feature_flags._adoption import Adoption, VariantAdoption, adoption_report
    from shared.feature_flags._adoption_log import AdoptionLog
    from shared.feature_flags._feedback import FeedbackGiven, FeedbackLog, FeedbackSummary
    from shared.feature_flags._tables_adoption import FlagExposure, FlagFeedback, FlagUsage
    from shared.feature_flags._unit_ids import UnitIds

__all__ = [
    "FEATURE_FLAGS",
    "Adoption",
    "AdoptionLog",
    "CodeScan",
    "CodeUse",
    "Condition",
    "Detail",
    "Explanation",
    "FeedbackGiven",
    "FeedbackLog",
    "FeedbackSummary",
    "Flag",
    "FlagBlock",
    "FlagDocument",
    "FlagExposed",
    "FlagExposure",
    "FlagFeedback",
    "FlagKind",
    "FlagReason",
    "FlagSource",
    "FlagStoreFailed",
    "FlagTracked",
    "FlagType",
    "FlagUsage",
    "FlagUse",
    "Flags",
    "FlagsChanged",
    "Layer",
    "Op",
    "Overlay",
    "Prerequisite",
    "Rule",
    "Schedule",
    "Snapshot",
    "Split",
    "TraceStep",
    "UnitIds",
    "VariantAdoption",
    "adoption_report",
    "compile_flags",
    "declare_flags",
    "detail",
    "environment_overrides",
    "explain",
    "flags_from_settings",
    "get_flags",
    "is_feature_enabled",
    "on_change",
    "override",
    "scan_code",
    "scope",
    "track",
    "value",
    "variant",
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
