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
