"""Whether one share is higher than another, asked as often as one likes.

A fixed test that is looked at again and again raises a false alarm sooner or later. The
bounds here hold at all looks together.

Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central
limit theory and asymptotic confidence sequences" (arXiv 2103.06476), proposition on
one-sided sequences.
"""

import math

__all__ = ["difference_at_least", "share_at_least"]


def difference_at_least(
    events: int, count: int, base_events: int, base_count: int, *, alpha: float, tuned_for: int
) -> float:
    """Return what the difference of two shares is at least, but for a probability of *alpha*.

    Args:
        events: Of *count* units.
        count: Units, > 0.
        base_events: Of *base_count* other units.
        base_count: Units, > 0.
        alpha: Probability of being wrong at any look, > 0 and < 0.5.
        tuned_for: Number of units in total at which the bound is tightest.

    Example:
        >>> bound = difference_at_least(80, 1000, 10, 1000, alpha=0.01, tuned_for=1000)
        >>> 0.03 < bound < 0.07
        True
    """
    difference = events / count - base_events / base_count
    variance = _variance(events, count) / count + _variance(base_events, base_count) / base_count
    return difference - _width(variance, count + base_count, alpha, tuned_for)


def share_at_least(events: int, count: int, *, alpha: float, tuned_for: int) -> float:
    """Return what a share is at least, but for a probability of *alpha*; as :func:`difference_at_least`.

    Example:
        >>> 0.0 < share_at_least(80, 1000, alpha=0.01, tuned_for=1000) < 0.08
        True
    """
    return events / count - _width(_variance(events, count) / count, count, alpha, tuned_for)


def _variance(events: int, count: int) -> float:
    """Return the variance of one unit; as if one more had had the event and one more had not.

    Without that, no event at all would mean certainty.
    """
    share = (events + 1) / (count + 2)
    return share * (1 - share)


def _width(variance: float, count: int, alpha: float, tuned_for: int) -> float:
    log = -2 * math.log(2 * alpha)
    rho = (log + math.log(log + 1)) / tuned_for
    grown = count * rho + 1
    return math.sqrt(variance * 2 * grown / (count * rho) * math.log(1 + math.sqrt(grown) / (2 * alpha)))
