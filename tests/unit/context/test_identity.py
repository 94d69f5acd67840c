import os
import random

from shared.context import TraceContext, new_identity


def test_identity_is_a_valid_root_and_a_request_id():
    trace, request_id = new_identity()

    assert TraceContext.parse(trace.traceparent) == trace
    assert (trace.parent_id, trace.tracestate, trace.sampled) == ("", "", True)
    assert len(bytes.fromhex(request_id)) == 16


def test_identities_do_not_repeat_when_the_service_seeds_the_global_generator():
    drawn = []
    for _ in range(3):
        random.seed(1)
        trace, request_id = new_identity()
        drawn += [trace.trace_id, trace.span_id, request_id]

    assert len(set(drawn)) == 9


def test_forked_children_do_not_repeat_the_identities_drawn_in_stock():
    new_identity()  # leaves a stock behind
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "".join(new_identity()[0].trace_id for _ in range(5)).encode())
        os._exit(0)
    os.waitpid(child, 0)

    ours = {new_identity()[0].trace_id for _ in range(200)}

    text = os.read(read, 1000).decode()
    os.close(read)
    os.close(write)
    theirs = {text[at : at + 32] for at in range(0, len(text), 32)}
    assert len(theirs) == 5
    assert not ours & theirs
