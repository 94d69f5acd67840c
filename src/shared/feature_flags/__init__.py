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
from shared.feature_flags._assignments import FlagAssignments, MemoryFlagAssignments
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
from shared.feature_flags._stale import StaleFlag, StaleReport, stale_flags
from shared.feature_flags._usage import FlagUse

if TYPE_CHECKING:
    from shared.feature_flags._admin import FlagAdmin, FlagDifference
    from shared.feature_flags._adoption import Adoption, VariantAdoption, adoption_report, last_used
    from shared.feature_flags._adoption_accessors import get_adoption_log, get_feedback_log
    from shared.feature_flags._adoption_log import AdoptionLog
    from shared.feature_flags._controller import RolloutController, RolloutDecided
    from shared.feature_flags._feedback import FeedbackGiven, FeedbackLog, FeedbackSummary
    from shared.feature_flags._feedback_functions import afeedback, feedback
    from shared.feature_flags._guardrail import GuardrailVerdict, judge_guardrails
    from shared.feature_flags._last_known_good import LastKnownGood
    from shared.feature_flags._notify import FlagChangeNotifier
    from shared.feature_flags._outcomes import FlagOutcomes, MetricSource, VariantSample, get_flag_outcomes
    from shared.feature_flags._plan import (
        Guardrail,
        Ramp,
        RampState,
        RolloutPlan,
        RolloutStep,
        decide_rollout,
    )
    from shared.feature_flags._refresher import FlagRefresher, RefreshStatus
    from shared.feature_flags._store import FlagChange, FlagChanges, FlagStore
    from shared.feature_flags._store_file import FileFlagStore
    from shared.feature_flags._store_layered import LayeredFlagStore
    from shared.feature_flags._store_memory import CodeFlagStore, MemoryFlagStore
    from shared.feature_flags._store_redis import RedisFlagStore
    from shared.feature_flags._store_sql import SqlFlagStore
    from shared.feature_flags._store_url import flag_store
    from shared.feature_flags._tables import FlagHistoryRecord, FlagRecord, FlagRevision
    from shared.feature_flags._tables_adoption import FlagExposure, FlagFeedback, FlagUsage
    from shared.feature_flags._unit_ids import UnitIds

__all__ = [
    "FEATURE_FLAGS",
    "Adoption",
    "AdoptionLog",
    "CodeFlagStore",
    "CodeScan",
    "CodeUse",
    "Condition",
    "Detail",
    "Explanation",
    "FeedbackGiven",
    "FeedbackLog",
    "FeedbackSummary",
    "FileFlagStore",
    "Flag",
    "FlagAdmin",
    "FlagAssignments",
    "FlagBlock",
    "FlagChange",
    "FlagChangeNotifier",
    "FlagChanges",
    "FlagDifference",
    "FlagDocument",
    "FlagExposed",
    "FlagExposure",
    "FlagFeedback",
    "FlagHistoryRecord",
    "FlagKind",
    "FlagOutcomes",
    "FlagReason",
    "FlagRecord",
    "FlagRefresher",
    "FlagRevision",
    "FlagSource",
    "FlagStore",
    "FlagStoreFailed",
    "FlagTracked",
    "FlagType",
    "FlagUsage",
    "FlagUse",
    "Flags",
    "FlagsChanged",
    "Guardrail",
    "GuardrailVerdict",
    "LastKnownGood",
    "Layer",
    "LayeredFlagStore",
    "MemoryFlagAssignments",
    "MemoryFlagStore",
    "MetricSource",
    "Op",
    "Overlay",
    "Prerequisite",
    "Ramp",
    "RampState",
    "RedisFlagStore",
    "RefreshStatus",
    "RolloutController",
    "RolloutDecided",
    "RolloutPlan",
    "RolloutStep",
    "Rule",
    "Schedule",
    "Snapshot",
    "Split",
    "SqlFlagStore",
    "StaleFlag",
    "StaleReport",
    "TraceStep",
    "UnitIds",
    "VariantAdoption",
    "VariantSample",
    "adoption_report",
    "afeedback",
    "compile_flags",
    "decide_rollout",
    "declare_flags",
    "detail",
    "environment_overrides",
    "explain",
    "feedback",
    "flag_store",
    "flags_from_settings",
    "get_adoption_log",
    "get_feedback_log",
    "get_flag_outcomes",
    "get_flags",
    "is_feature_enabled",
    "judge_guardrails",
    "last_used",
    "on_change",
    "override",
    "scan_code",
    "scope",
    "stale_flags",
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
        "CodeFlagStore": "_store_memory",
        "FeedbackGiven": "_feedback",
        "FeedbackLog": "_feedback",
        "FeedbackSummary": "_feedback",
        "FileFlagStore": "_store_file",
        "FlagAdmin": "_admin",
        "FlagChange": "_store",
        "FlagChangeNotifier": "_notify",
        "FlagChanges": "_store",
        "FlagDifference": "_admin",
        "FlagExposure": "_tables_adoption",
        "FlagFeedback": "_tables_adoption",
        "FlagHistoryRecord": "_tables",
        "FlagOutcomes": "_outcomes",
        "FlagRecord": "_tables",
        "FlagRefresher": "_refresher",
        "FlagRevision": "_tables",
        "FlagStore": "_store",
        "FlagUsage": "_tables_adoption",
        "Guardrail": "_plan",
        "GuardrailVerdict": "_guardrail",
        "LastKnownGood": "_last_known_good",
        "LayeredFlagStore": "_store_layered",
        "MemoryFlagStore": "_store_memory",
        "MetricSource": "_outcomes",
        "Ramp": "_plan",
        "RampState": "_plan",
        "RedisFlagStore": "_store_redis",
        "RefreshStatus": "_refresher",
        "RolloutController": "_controller",
        "RolloutDecided": "_controller",
        "RolloutPlan": "_plan",
        "RolloutStep": "_plan",
        "SqlFlagStore": "_store_sql",
        "UnitIds": "_unit_ids",
        "VariantAdoption": "_adoption",
        "VariantSample": "_outcomes",
        "adoption_report": "_adoption",
        "afeedback": "_feedback_functions",
        "decide_rollout": "_plan",
        "feedback": "_feedback_functions",
        "flag_store": "_store_url",
        "get_adoption_log": "_adoption_accessors",
        "get_feedback_log": "_adoption_accessors",
        "get_flag_outcomes": "_outcomes",
        "judge_guardrails": "_guardrail",
        "last_used": "_adoption",
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
