"""Which way a payment goes, also when the supplier's messages come late or in another order. Pure."""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from shared.constants import PaymentStatus

__all__ = ["PaymentVerdict", "Told", "judge_payment"]

Outcome = Literal["applied", "noted", "stale", "refused", "mismatch"]
_S = PaymentStatus
_REFUNDS: Final = frozenset({_S.PARTIALLY_REFUNDED, _S.REFUNDED})
_NEXT: Final[dict[PaymentStatus, frozenset[PaymentStatus]]] = {
    _S.PENDING: frozenset({_S.FAILED, _S.CANCELLED, _S.SUCCEEDED}) | _REFUNDS,
    # Another try of the same payment, such as with another card.
    _S.FAILED: frozenset({_S.PENDING, _S.CANCELLED, _S.SUCCEEDED}) | _REFUNDS,
    _S.CANCELLED: frozenset(),
    _S.SUCCEEDED: _REFUNDS,
    _S.PARTIALLY_REFUNDED: frozenset({_S.REFUNDED}),
    _S.REFUNDED: frozenset(),
}
# Suppliers tell the time in seconds: within one of them the later state is the newer one.
_RANK: Final = {status: rank for rank, status in enumerate(PaymentStatus)}


class PaymentVerdict(NamedTuple):
    """What a supplier's message does to a payment.

    Attributes:
        outcome: ``applied``; ``noted`` (it says nothing about the state); ``stale`` (a newer
            one came before); ``refused`` (there is no way there); ``mismatch`` (another
            amount or currency than was asked for).
        status: Of the payment afterwards.
        refunded: Given back altogether, afterwards.

    Example:
        >>> PaymentVerdict("applied", PaymentStatus.SUCCEEDED, Decimal(0)).outcome
        'applied'
    """

    outcome: Outcome
    status: PaymentStatus
    refunded: Decimal


class Told(NamedTuple):
    """What a message says, or what is known about a payment."""

    status: PaymentStatus | None
    amount: Decimal | None
    currency: str | None
    refunded: Decimal | None
    at: datetime | None


def judge_payment(known: Told, told: Told) -> PaymentVerdict:
    """Decide what *told* does to what is *known*.

    The newest message by the supplier's own time wins, whatever the order in which they
    arrive; what was refunded only grows.
    """
    before = known.status or PaymentStatus.PENDING
    kept = known.refunded or Decimal(0)
    if told.status is None:
        return PaymentVerdict("noted", before, kept)
    if _differs(known, told):
        return PaymentVerdict("mismatch", before, kept)
    amount = known.amount or Decimal(0)
    refunded = kept
    after = told.status
    if after in _REFUNDS:
        given = amount if after is _S.REFUNDED and told.refunded is None else told.refunded or Decimal(0)
        refunded = min(amount, max(kept, given))
        after = _S.REFUNDED if refunded >= amount else _S.PARTIALLY_REFUNDED
    if _is_older(known, told, before, after) and refunded == kept:
        return PaymentVerdict("stale", before, kept)
    if after is before:
        return PaymentVerdict("applied" if refunded != kept else "stale", before, refunded)
    if after not in _NEXT[before]:
        return PaymentVerdict("refused", before, kept)
    return PaymentVerdict("applied", after, refunded)


def _differs(known: Told, told: Told) -> bool:
    """Tell whether another amount was paid than was asked for. Refunds tell their own amounts."""
    if told.status is not _S.SUCCEEDED:
        return False
    return any(
        theirs is not None and theirs != ours
        for ours, theirs in ((known.amount, told.amount), (known.currency, told.currency))
    )


def _is_older(known: Told, told: Told, before: PaymentStatus, after: PaymentStatus) -> bool:
    if known.at is None or told.at is None:
        return False
    return (told.at, _RANK[after]) < (known.at, _RANK[before])
