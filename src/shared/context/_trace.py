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

# Our own generator: a service that calls random.seed() must not repeat ids.
# Identifiers are not secrets, so the fast generator is enough.
_random = random.Random()  # noqa: S311
_bits = _random.getrandbits
# One bit in the trace id, the span id and the request id of a draw of 320: the
# standard forbids ids that are all zero.
_NEVER_ZERO: Final = 1 << 192 | 1 << 128 | 1
if hasattr(os, "register_at_fork"):  # a forked child must not repeat its parent's ids
    os.register_at_fork(after_in_child=_random.seed)


def is_valid_id(value: str) -> bool:
    r"""Tell whether *value* may be taken over as a correlation or request id.

    1 to 128 characters of ``A-Z a-z 0-9 . _ -``.

    Example:
        >>> is_valid_id("7f3c-2"), is_valid_id("a\r\nSet-Cookie: x")
        (True, False)
    """
    return _VALID_ID(value) is not None


def new_request_id() -> str:
    """Return a fresh random id of 32 lower-case hex digits; unique, not secret."""
    return _bits(128).to_bytes(16, "big").hex()


def new_identity() -> "tuple[TraceContext, str]":
    """Return the root of a new trace and a request id, from one draw of random bits.

    For request layers, which pay for every microsecond; the same as
    ``TraceContext.new(), new_request_id()``.

    Example:
        >>> trace, request_id = new_identity()
        >>> len(trace.trace_id), len(trace.span_id), len(request_id)
        (32, 16, 32)
    """
    text = (_bits(320) | _NEVER_ZERO).to_bytes(40, "big").hex()
    return TraceContext(text[:32], text[32:48]), text[48:]


class TraceContext(NamedTuple):
    """The part of a distributed trace that one span knows.

    ``trace_id`` is 32 and ``span_id`` 16 lower-case hex digits, never all zero.
    ``parent_id`` is the caller's span, empty at the root. ``tracestate`` is passed
    on untouched. Source: W3C Trace Context Level 2.

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

    @classmethod
    def new(cls, *, sampled: bool = True) -> Self:
        """Return the root of a new trace."""
        text = (_bits(192) | _NEVER_ZERO >> 128).to_bytes(24, "big").hex()
        return cls(text[:32], text[32:], sampled)

    @classmethod
    def parse(cls, traceparent: str, tracestate: str = "") -> Self | None:
        """Return the caller's context, or None when *traceparent* is not valid.

        An invalid *tracestate* is dropped and does not spoil the trace
        (section 3.3.1.5 of the standard leaves that choice).
        """
        match = _TRACEPARENT(traceparent.strip(" \t"))
        if match is None:
            return None
        version, trace_id, span_id, flags, more = match.groups()
        if version == "00" and more is not None:
            return None
        state = _clean_tracestate(tracestate) if tracestate else ""
        return cls(trace_id, span_id, int(flags, 16) & 1 == 1, "", state)

    def child(self) -> Self:
        """Return a new span of the same trace whose parent is this one."""
        cls = type(self)
        return cls(self.trace_id, f"{_bits(64) | 1:016x}", self.sampled, self.span_id, self.tracestate)

    @property
    def traceparent(self) -> str:
        """The header to send to the next service."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def _clean_tracestate(value: str) -> str:
    members = [member.strip(" \t") for member in value.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > _MAX_MEMBERS or len(keys) != len(members):
        return ""
    if not all(map(_TRACESTATE_MEMBER, members)):
        return ""
    return ",".join(members)
