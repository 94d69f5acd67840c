"""Trace context as the W3C defines it, and ids that may be echoed."""

import os
import random
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.context import TraceContext, is_valid_id, new_request_id

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def ids(length):
    return st.text("0123456789abcdef", min_size=length, max_size=length).filter(
        lambda text: set(text) != {"0"}
    )


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}-ff",  # unknown flags are ignored
        f"  00-{TRACE}-{SPAN}-01\t",
        f"cc-{TRACE}-{SPAN}-01",  # a version of the future
        f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
        f"01-{TRACE}-{SPAN}-01-",
        f"fe-{TRACE}-{SPAN}-01",
    ],
)
def test_parse_reads_a_valid_header(header):
    trace = TraceContext.parse(header)

    assert (trace.trace_id, trace.span_id, trace.parent_id) == (TRACE, SPAN, "")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.more",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"cc-{TRACE}-{SPAN}-012",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}1-{SPAN}-01",
        f"00-{TRACE}-{SPAN}1-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-０１",
    ],
)
def test_parse_refuses_an_invalid_header(header):
    assert TraceContext.parse(header) is None


@pytest.mark.parametrize(
    ("flags", "sampled", "is_random", "sent"),
    [("00", False, False, "00"), ("01", True, False, "01"), ("02", False, True, "02"), ("03", True, True, "03"),
     ("09", True, False, "01"), ("fe", False, True, "02")],
)  # fmt: skip
def test_known_flags_are_passed_on_and_unknown_ones_are_not(flags, sampled, is_random, sent):
    trace = TraceContext.parse(f"00-{TRACE}-{SPAN}-{flags}")

    assert (trace.sampled, trace.random) == (sampled, is_random)
    assert trace.child().traceparent.endswith(f"-{sent}")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("foo=1", "foo=1"),
        ("foo=1,bar=2", "foo=1,bar=2"),
        ("foo=1 \t , \t bar=2", "foo=1,bar=2"),
        ("foo=1,,bar=2,", "foo=1,bar=2"),
        ("foo=1,", "foo=1"),
        ("", ""),
        (" ", ""),
        ("foo= 1 2", "foo= 1 2"),
        ("fw529a3039@dt=FfAQ", "fw529a3039@dt=FfAQ"),
        ("0tenant@sys=1", "0tenant@sys=1"),
        ("a-_*/0=1", "a-_*/0=1"),
        ("z" * 256 + "=1", "z" * 256 + "=1"),
        ("t" * 241 + "@" + "v" * 14 + "=1", "t" * 241 + "@" + "v" * 14 + "=1"),
        ("foo=" + "v" * 256, "foo=" + "v" * 256),
        (",".join(f"bar{n:02}=1" for n in range(32)), ",".join(f"bar{n:02}=1" for n in range(32))),
    ],
)
def test_parse_passes_a_valid_tracestate_on(state, expected):
    assert TraceContext.parse(f"00-{TRACE}-{SPAN}-01", state).tracestate == expected


@pytest.mark.parametrize(
    "state",
    [
        "foo",
        "foo=",
        "=1",
        "foo=1=2",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "1foo=1",
        "foo@=1,bar=2",
        "@foo=1,bar=2",
        "foo@@bar=1,bar=2",
        "foo@bar@baz=1,bar=2",
        "z" * 257 + "=1",
        "t" * 242 + "@v=1",
        "t@" + "v" * 15 + "=1",
        "foo=" + "v" * 257,
        "foo=1,foo=1",
        "foo=1,foo=2",
        "foo=é",
        "foo=1\r\nSet-Cookie: x",
        "foo=\x7f",
        ",".join(f"bar{n:02}=1" for n in range(33)),
        "foo=1," + "a" * 20_000,
        "," * 20_000,
    ],
)
def test_parse_drops_an_invalid_tracestate_and_keeps_the_trace(state):
    trace = TraceContext.parse(f"00-{TRACE}-{SPAN}-01", state)

    assert (trace.trace_id, trace.tracestate) == (TRACE, "")


def test_parse_shortens_a_long_tracestate_by_its_long_members_first():
    members = ["a=1", "b=" + "x" * 200, "c=" + "y" * 120, "d=" + "z" * 200, "e=2"]

    state = TraceContext.parse(f"00-{TRACE}-{SPAN}-01", ",".join(members)).tracestate

    assert state == ",".join([*members[:3], "e=2"])


def test_parse_shortens_a_long_tracestate_from_the_end_when_all_members_are_short():
    members = [f"k{n:02}=" + "x" * 60 for n in range(20)]

    state = TraceContext.parse(f"00-{TRACE}-{SPAN}-01", ",".join(members)).tracestate

    assert state == ",".join(members[:7])
    assert 400 < len(state) <= 512


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z][a-z0-9_*/\-]{0,40}", fullmatch=True), st.text("abc 123", max_size=250)
        ),
        max_size=34,
        unique_by=lambda pair: pair[0],
    )
)
def test_parse_passes_on_whole_members_in_order_and_at_most_512_characters(pairs):
    members = [f"{key}={value.strip()}x" for key, value in pairs]

    state = TraceContext.parse(f"00-{TRACE}-{SPAN}-01", ",".join(members)).tracestate

    kept = state.split(",") if state else []
    assert len(state) <= 512
    assert kept == [member for member in members if member in kept]


@given(st.text(max_size=200), st.text(max_size=600))
def test_parse_answers_for_any_text(traceparent, tracestate):
    trace = TraceContext.parse(traceparent, tracestate)

    assert trace is None or re.fullmatch(r"[0-9a-f]{32}", trace.trace_id)


@given(ids(32), ids(16), st.integers(0, 3), st.text("abc=,@1 ", max_size=40))
def test_what_is_sent_is_read_back(trace_id, span_id, flags, state):
    trace = TraceContext.parse(f"00-{trace_id}-{span_id}-{flags:02x}", state)

    assert TraceContext.parse(trace.traceparent, trace.tracestate) == trace


@given(st.booleans())
def test_a_new_trace_is_valid_and_random(sampled):
    trace = TraceContext.new(sampled=sampled)

    assert TraceContext.parse(trace.traceparent) == trace
    assert (trace.sampled, trace.random, trace.parent_id) == (sampled, True, "")


def test_a_child_keeps_the_trace_and_has_its_own_span():
    trace = TraceContext.parse(f"00-{TRACE}-{SPAN}-01", "foo=1")

    child = trace.child()

    assert child == (TRACE, child.span_id, True, SPAN, "foo=1", False)
    assert child.span_id != SPAN


def test_ids_are_never_all_zero(monkeypatch):
    monkeypatch.setattr("shared.context._trace._bits", lambda _: 0)

    trace = TraceContext.new()

    assert TraceContext.parse(trace.traceparent) is not None
    assert TraceContext.parse(trace.child().traceparent) is not None


@given(st.text("abcXYZ019._-", min_size=1, max_size=128))
def test_a_harmless_id_is_valid(text):
    assert is_valid_id(text)


@pytest.mark.parametrize(
    "value",
    ["", "a" * 129, "a b", "a\r\nb", "a\n", "é", "a/b", "a,b", "<a>", "a\0", "$(a)", None, 7, b"abc"],
    ids=repr,
)
def test_an_id_that_could_harm_is_not_valid(value):
    assert is_valid_id(value) is False


@given(st.text())
def test_a_valid_id_is_what_the_rule_says(text):
    assert is_valid_id(text) is bool(re.fullmatch(r"[A-Za-z0-9._-]{1,128}", text))


def test_a_request_id_is_32_hex_digits():
    assert re.fullmatch(r"[0-9a-f]{32}", new_request_id())


def test_ids_do_not_repeat():
    assert len({new_request_id() for _ in range(10_000)}) == 10_000


def test_ids_do_not_depend_on_the_seed_of_the_service():
    random.seed(1)
    first = new_request_id()
    random.seed(1)

    assert new_request_id() != first


def test_ids_of_forked_children_differ():
    script = """
import os
from shared.context import new_request_id
new_request_id()
for _ in range(3):
    if os.fork() == 0:
        os.write(1, new_request_id().encode() + b"\\n")
        os._exit(0)
for _ in range(3):
    os.wait()
os.write(1, new_request_id().encode() + b"\\n")
"""
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, check=True, timeout=30
    )

    assert len(set(done.stdout.split())) == 4
