"""Factories of the tables of feature flags, and of what became of them."""

from datetime import UTC, datetime

from shared.database import uuid7
from shared.feature_flags import (
    FlagExposure,
    FlagFeedback,
    FlagHistoryRecord,
    FlagRecord,
    FlagRevision,
    FlagUsage,
)
from shared.testing._factory_base import ModelFactory, declared, factory

__all__ = [
    "FlagExposureFactory",
    "FlagFeedbackFactory",
    "FlagHistoryRecordFactory",
    "FlagRecordFactory",
    "FlagRevisionFactory",
    "FlagUsageFactory",
]

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@declared
class FlagExposureFactory(ModelFactory):
    """A unit that was shown the variant ``on``.

    Example:
        >>> FlagExposureFactory.build(flag="new_menu").variant
        'on'
    """

    class Meta:
        model = FlagExposure

    flag = factory.Sequence(lambda n: f"flag_{n}")
    unit = factory.Sequence(lambda n: f"unit-{n}")
    variant = "on"
    phase = 1
    first_at = _MOMENT
    last_at = factory.SelfAttribute("first_at")


@declared
class FlagUsageFactory(ModelFactory):
    """Ten evaluations of a day.

    Example:
        >>> FlagUsageFactory.build().evaluations
        10
    """

    class Meta:
        model = FlagUsage

    flag = factory.Sequence(lambda n: f"flag_{n}")
    variant = "on"
    day = factory.LazyAttribute(lambda usage: usage.last_at.date())
    evaluations = 10
    last_at = _MOMENT


@declared
class FlagFeedbackFactory(ModelFactory):
    """Four of five points for the variant ``on``.

    Example:
        >>> FlagFeedbackFactory.build(text="nice").score
        4
    """

    class Meta:
        model = FlagFeedback

    id = factory.LazyFunction(uuid7)
    flag = factory.Sequence(lambda n: f"flag_{n}")
    variant = "on"
    unit = factory.Sequence(lambda n: f"unit-{n}")
    score = 4
    text = None
    created_at = _MOMENT
    updated_at = factory.SelfAttribute("created_at")


@declared
class FlagRevisionFactory(ModelFactory):
    """A set of flags at its first revision.

    Example:
        >>> FlagRevisionFactory.build().revision
        1
    """

    class Meta:
        model = FlagRevision

    namespace = factory.Sequence(lambda n: f"service-{n}")
    revision = 1
    changed_at = _MOMENT


@declared
class FlagRecordFactory(ModelFactory):
    """A stored flag that is on.

    Example:
        >>> FlagRecordFactory.build(key="new_menu").body
        '{"default":true}'
    """

    class Meta:
        model = FlagRecord

    namespace = "default"
    kind = "flag"
    key = factory.Sequence(lambda n: f"flag_{n}")
    body = '{"default":true}'
    revision = 1


@declared
class FlagHistoryRecordFactory(ModelFactory):
    """The revision that made a flag.

    Example:
        >>> FlagHistoryRecordFactory.build().actor
        'ada'
    """

    class Meta:
        model = FlagHistoryRecord

    namespace = "default"
    revision = factory.Sequence(lambda n: n + 1)
    kind = "flag"
    key = factory.Sequence(lambda n: f"flag_{n}")
    actor = "ada"
    reason = "try it"
    at = _MOMENT
    before = None
    after = '{"default":true}'
