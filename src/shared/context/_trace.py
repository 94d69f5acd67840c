"""Identifiers: W3C trace context, request ids, and what an inbound id may look like."""

import os
import random
import re
from typing import Final, NamedTuple, Self

__all__ = ["TraceContext", "is_valid_id", "new_identity", "new_request_id"]

# An inbound id is echoed into headers and logs, so only these may pass: UUIDs,
# the 32 hex digits of nginx, ULIDs, trace ids. Source: no standard exists; the
# set is the one that is safe in a header, a log line and a URL.
_VALID_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,128}\Z").match

# Source: W3C Trace Context Level 2, section 3.2 (traceparent). A later version
# may append fields after the flags; version ff is forbidden.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z"
).match
_TRACESTATE_MEMBER: Final = re.compile(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]\Z"
).match
_MAX_MEMBERS: Final = 32
_MAX_STATE: Final = 512  # characters passed on: what every participant must be able to carry
_MAX_LONG_MEMBER: Final = 128  # longer members go first when there are too many characters
_MAX_STATE_READ: Final = 16_448  # 32 members of the greatest length, with commas and spaces

# Our own generator: a service that calls random.seed() must not repeat ids.
# Identifiers are not secrets, so the fast generator is enough.
_random = random.Random()  # noqa: S311
_bits = _random.getrandbits
# One bit in the trace id and the span id of a draw: the standard forbids ids that
# are all zero. That of the trace id stands in its left half, because samplers count
# on the randomness of the right one.
_NEVER_ZERO: Final = 1 << 256 | 1 << 128 | 1
if hasattr(os, "register_at_fork"):  # a forked child must not repeat its parent's ids
    os.register_at_fork(after_in_child=_random.seed)


def is_valid_id(value: object) -> bool:
    r"""Tell whether *value* may be taken over as a correlation or request id.

    1 to 128 characters of ``A-Z a-z 0-9 . _ -``.

    Example:
        >>> is_valid_id("7f3c-2"), is_valid_id("a\r\nSet-Cookie: x")
        (True, False)
    """
    return isinstance(value, str) and _VALID_ID(value) is not None


def new_request_id() -> str:
    """Return a fresh random id of 32 lower-case hex digits; unique, not secret.

    Example:
        >>> len(new_request_id()), new_request_id() == new_request_id()
        (32, False)
    """
    return _bits(128).to_bytes(16, "big").hex()


# Drawing bits and printing them costs more than a request may pay three times, so
# identities are cut from large draws: 80 hex digits each. list.pop is atomic.
_new_tuple = tuple.__new__
_drawn: "list[tuple[TraceContext, str]]" = []
_DRAW: Final = 64
_CUTS: Final = tuple((at, at + 32, at + 48, at + 80) for at in range(0, _DRAW * 80, 80))
_ZERO: Final = "0" * 16
_ONE: Final = "0" * 15 + "1"
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drawn.clear)


def _draw() -> "tuple[TraceContext, str]":
    # A span id of zeros is forbidden by the standard; sixteen zeros in a row come once in 2**50 draws.
    text = _bits(_DRAW * 320).to_bytes(_DRAW * 40, "big").hex().replace(_ZERO, _ONE)
    fresh = [
        (_new_tuple(TraceContext, (text[a:b], text[b:c], True, "", "", True)), text[c:d])
        for a, b, c, d in _CUTS
    ]
    last = fresh.pop()
    _drawn.extend(fresh)
    return last


def new_identity() -> "tuple[TraceContext, str]":
    """Return the root of a new trace and a request id, from one draw of random bits.

    For request layers, which pay for every microsecond; the same as
    ``TraceContext.new(), new_request_id()``.

    Example:
        >>> trace, request_id = new_identity()
        >>> len(trace.trace_id), len(trace.span_id), len(request_id)
        (32, 16, 32)
    """
    try:
        return _drawn.pop()
    except IndexError:
        return _draw()


class TraceContext(NamedTuple):
    """The part of a distributed trace that one span knows.

    ``trace_id`` is 32 and ``span_id`` 16 lower-case hex digits, never all zero.
    ``parent_id`` is the caller's span, empty at the root. ``tracestate`` is passed
    on as it came, or shortened to 512 characters. ``random`` tells that the trace
    id is random enough to sample by. Source: W3C Trace Context Level 2.

    Example:
        >>> trace = TraceContext.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        >>> trace.trace_id, trace.sampled
        ('0af7651916cd43dd8448eb211c80319c', True)
        >>> trace.child().parent_id
        'b7ad6b7169203331'
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    parent_id: str = ""
    tracestate: str = ""
    random: bool = False

    @classmethod
    def new(cls, *, sampled: bool = True) -> Self:
        """Return the root of a new trace.

        Example:
            >>> TraceContext.new(sampled=False).sampled
            False
        """
        text = (_bits(192) | _NEVER_ZERO >> 128).to_bytes(24, "big").hex()
        return cls(text[:32], text[32:], sampled, random=True)

    @classmethod
    def parse(cls, traceparent: str, tracestate: str = "") -> Self | None:
        """Return the caller's context, or None when *traceparent* is not valid.

        A future version is read as far as it is known. An invalid *tracestate* is
        dropped and does not spoil the trace. Several ``tracestate`` headers are
        joined with commas before.

        Example:
            >>> TraceContext.parse("not a traceparent") is None
            True
        """
        match = _TRACEPARENT(traceparent.strip(" \t"))
        if match is None:
            return None
        version, trace_id, span_id, flags, more = match.groups()
        if version == "00" and more is not None:
            return None
        bits = int(flags, 16)
        state = _clean_tracestate(tracestate) if tracestate else ""
        return cls(trace_id, span_id, bits & 1 == 1, "", state, bits & 2 == 2)

    def child(self) -> Self:
        """Return a new span of the same trace whose parent is this one.

        Example:
            >>> root = TraceContext.new()
            >>> root.child().trace_id == root.trace_id
            True
        """
        span_id = f"{_bits(64) | 1:016x}"
        return type(self)(self.trace_id, span_id, self.sampled, self.span_id, self.tracestate, self.random)

    @property
    def traceparent(self) -> str:
        """The header to send to the next service.

        Example:
            >>> TraceContext("a" * 32, "b" * 16).traceparent
            '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01'
        """
        return f"00-{self.trace_id}-{self.span_id}-0{self.sampled + 2 * self.random}"


def _clean_tracestate(value: str) -> str:
    """Return the members that may be passed on; empty when any of them is not valid."""
    if len(value) > _MAX_STATE_READ:
        return ""
    members = [member.strip(" \t") for member in value.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > _MAX_MEMBERS or len(keys) != len(members):
        return ""
    if not all(map(_TRACESTATE_MEMBER, members)):
        return ""
    return _shortened(members)


def _shortened(members: list[str]) -> str:
    """Drop whole members, the long ones first, the oldest first, until the rest may be sent.

    Source: W3C Trace Context Level 2, section 3.3.1.5 (tracestate limits).
    """
    members = members.copy()
    while len(text := ",".join(members)) > _MAX_STATE:
        long = [index for index, member in enumerate(members) if len(member) > _MAX_LONG_MEMBER]
        members.pop(long[-1] if long else -1)
    return text
