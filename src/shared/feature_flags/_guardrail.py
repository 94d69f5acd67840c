"""What the guardrails of a plan say about two samples. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.feature_flags._outcomes import VariantSample
from shared.feature_flags._plan import Guardrail
from shared.feature_flags._sequential import difference_at_least, share_at_least

__all__ = ["GuardrailVerdict", "judge_guardrails"]

_TUNED: Final = 10  # times the least sample: where the test sees most


@dataclass(frozen=True, slots=True)
class GuardrailVerdict:
    """What guardrails say.

    Attributes:
        breach: What is wrong, None for nothing.
        has_data: Whether every guardrail has its samples.

    Example:
        >>> GuardrailVerdict().breach is None
        True
    """

    breach: str | None = None
    has_data: bool = True


def judge_guardrails(
    guardrails: Sequence[Guardrail], on: VariantSample, off: VariantSample, *, percent: float
) -> GuardrailVerdict:
    """Return what *guardrails* say about the units with the flag on beside those with it off.

    Args:
        guardrails: Of the plan.
        on: What became of the one.
        off: What became of the others.
        percent: Share of units that have it on; at 100 there is nobody to compare with, and
            only limits count.

    Example:
        >>> rail = Guardrail("error_rate", margin=0.01)
        >>> bad = judge_guardrails([rail], VariantSample(500, 100), VariantSample(500, 5), percent=50)
        >>> print(bad.breach)
        error_rate is 20.0 % with the flag on and 1.0 % without, at least 12.8 points more; 1.0 are allowed
    """
    has_data = True
    for guardrail in guardrails:
        compared = percent < 100
        enough = on.count >= guardrail.min_samples
        enough_off = off.count >= guardrail.min_samples
        has_data = has_data and enough and (enough_off or not compared)
        if not enough:
            continue
        breach = _over_limit(guardrail, on)
        if breach is None and enough_off and compared:
            breach = _over_margin(guardrail, on, off)
        if breach is not None:
            return GuardrailVerdict(breach, has_data)
    return GuardrailVerdict(None, has_data)


def _over_margin(guardrail: Guardrail, on: VariantSample, off: VariantSample) -> str | None:
    worse, base = _events(guardrail, on), _events(guardrail, off)
    tuned_for = _TUNED * guardrail.min_samples
    least = difference_at_least(worse, on.count, base, off.count, alpha=guardrail.alpha, tuned_for=tuned_for)
    if least <= guardrail.margin:
        return None
    shares = f"{_percent(worse, on)} % with the flag on and {_percent(base, off)} % without"
    allowed = f"at least {100 * least:.1f} points more; {100 * guardrail.margin:.1f} are allowed"
    return f"{guardrail.metric} is {shares}, {allowed}"


def _over_limit(guardrail: Guardrail, on: VariantSample) -> str | None:
    if guardrail.limit is None:
        return None
    events = _events(guardrail, on)
    tuned_for = _TUNED * guardrail.min_samples
    if share_at_least(events, on.count, alpha=guardrail.alpha, tuned_for=tuned_for) <= guardrail.limit:
        return None
    return f"{guardrail.metric} is {_percent(events, on)} %; {100 * guardrail.limit:.1f} % is the limit"


def _events(guardrail: Guardrail, sample: VariantSample) -> int:
    if guardrail.slower_than is None:
        return sample.errors
    return sample.slow.get(guardrail.slower_than, 0)


def _percent(events: int, sample: VariantSample) -> str:
    return f"{100 * events / sample.count:.1f}"
