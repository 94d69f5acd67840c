"""Which way an order goes. Pure: knows no table and no clock."""

from enum import StrEnum
from typing import Any, Final

from shared.errors import InvalidStateError, ValidationError

__all__ = ["OrderStatus", "check_transition", "next_statuses"]


class OrderStatus(StrEnum):
    """The states of an order.

    Example:
        >>> OrderStatus("paid") is OrderStatus.PAID
        True
    """

    PENDING = "pending"
    PAID = "paid"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REFUNDED = "refunded"


_S = OrderStatus
_NEXT: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    _S.PENDING: frozenset({_S.PAID, _S.CANCELLED, _S.FAILED}),
    _S.PAID: frozenset({_S.PROCESSING, _S.CANCELLED, _S.FAILED, _S.REFUNDED}),
    _S.PROCESSING: frozenset({_S.SHIPPED, _S.CANCELLED, _S.FAILED, _S.REFUNDED}),
    _S.SHIPPED: frozenset({_S.DELIVERED, _S.REFUNDED}),
    _S.DELIVERED: frozenset({_S.REFUNDED}),
    _S.CANCELLED: frozenset(),
    _S.FAILED: frozenset(),
    _S.REFUNDED: frozenset(),
}
#: Nothing has left the house: what these orders hold goes back when they end.
IN_HOUSE: Final = frozenset({_S.PENDING, _S.PAID, _S.PROCESSING})
#: These ends give the goods back.
GIVES_BACK: Final = frozenset({_S.CANCELLED, _S.FAILED, _S.REFUNDED})


def status_of(value: Any) -> OrderStatus:
    """Return the state called *value*.

    Raises:
        ValidationError: There is none.
    """
    try:
        return OrderStatus(value)
    except ValueError:
        msg = f"unknown order status {str(value)[:40]!r}; known: {', '.join(OrderStatus)}"
        raise ValidationError(
            msg, details={"field": "status", "allowed": [s.value for s in OrderStatus]}
        ) from None


def next_statuses(status: OrderStatus | str) -> frozenset[OrderStatus]:
    """Return the states an order may go to from *status*; empty for an end.

    Raises:
        ValidationError: There is no such state.

    Example:
        >>> sorted(next_statuses("shipped"))
        [<OrderStatus.DELIVERED: 'delivered'>, <OrderStatus.REFUNDED: 'refunded'>]
    """
    return _NEXT[status_of(status)]


def check_transition(current: OrderStatus | str, to: OrderStatus | str) -> None:
    """Refuse a transition that the state machine does not have.

    Raises:
        InvalidStateError: There is no way from *current* to *to*.
        ValidationError: One of them is no state.

    Example:
        >>> check_transition("pending", "paid")
        >>> check_transition("shipped", "cancelled")
        Traceback (most recent call last):
            ...
        shared.errors.InvalidStateError: an order that is shipped cannot become cancelled: ...

    """
    before, after = status_of(current), status_of(to)
    if after not in _NEXT[before]:
        ways = ", ".join(sorted(_NEXT[before])) or "nothing"
        msg = f"an order that is {before} cannot become {after}: {ways} can follow"
        details = {"from": before.value, "to": after.value, "allowed": sorted(s.value for s in _NEXT[before])}
        raise InvalidStateError(msg, details=details)
