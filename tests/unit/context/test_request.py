"""The request object: shared by everything that works for it, and never by strangers."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context

import pytest

from shared.context import (
    RequestContext,
    TraceContext,
    bind,
    bound,
    bound_fields,
    current_context,
    deadline_scope,
    enter_context,
    get_correlation_id,
    get_deadline,
    get_principal,
    get_request_id,
    get_tenant,
    get_trace,
    leave_context,
    request_context,
    set_principal,
    set_tenant,
    trace_scope,
    unbind,
)


@pytest.fixture(autouse=True)
def outside():
    """Each test begins outside of any request; what it binds ends with its own context."""
    token = enter_context(None)
    yield
    with contextlib.suppress(ValueError):
        leave_context(token)


def alone(function, *args):
    """Run *function* in a context of its own."""
    return Context().run(function, *args)


def test_outside_of_a_request_everything_is_none():
    found = [get() for get in (current_context, get_correlation_id, get_request_id, get_trace, get_deadline)]

    assert [*found, get_principal(), get_tenant(), bound_fields()] == [None] * 7 + [{}]


def test_request_context_makes_the_ids_that_are_not_given():
    with request_context() as ctx:
        assert get_correlation_id() == ctx.trace.trace_id
        assert len(get_request_id()) == 32
        assert get_trace() is ctx.trace


def test_request_context_keeps_what_is_given():
    trace = TraceContext.new()

    with request_context(
        correlation_id="c", request_id="r", trace=trace, principal="p", tenant="t", deadline=5.0
    ):
        found = (
            get_correlation_id(),
            get_request_id(),
            get_trace(),
            get_principal(),
            get_tenant(),
            get_deadline(),
        )

    assert found == ("c", "r", trace, "p", "t", 5.0)


def test_request_context_ends_with_the_block_also_after_an_error():
    with pytest.raises(KeyError), request_context():
        raise KeyError

    assert current_context() is None


def test_request_contexts_nest():
    with request_context(correlation_id="outer"):
        with request_context(correlation_id="inner"):
            bind(a=1)
        assert (get_correlation_id(), bound_fields()) == ("outer", {})


def test_repr_shows_no_personal_data():
    ctx = RequestContext("c", "r", principal="ada@example.com")
    ctx.fields["iban"] = "DE02"

    assert repr(ctx) == "RequestContext(correlation_id='c', request_id='r')"


# --- bind and bound --------------------------------------------------------------


def test_bind_is_for_the_whole_request_and_unbind_ends_it():
    with request_context():
        bind(a=1, b=2)
        bind(b=3)
        unbind("a", "unknown")

        assert bound_fields() == {"b": 3}


def test_bind_outside_of_a_request_lasts_as_long_as_the_context():
    def script():
        bind(a=1)
        return bound_fields()

    assert (alone(script), bound_fields()) == ({"a": 1}, {})


def test_unbind_outside_of_a_request_does_nothing():
    unbind("a")

    assert current_context() is None


def test_bound_covers_bind_and_ends_with_the_block():
    with request_context():
        bind(a=1)
        with bound(a=2, b=3), bound(b=4):
            inside = bound_fields()

        assert (inside, bound_fields()) == ({"a": 2, "b": 4}, {"a": 1})


def test_bound_does_not_change_the_block_around_it():
    with request_context(), bound(a=1):
        with bound(a=2):
            pass

        assert bound_fields() == {"a": 1}


def test_bind_inside_bound_reaches_the_whole_request():
    with request_context():
        with bound(a=1):
            bind(b=2)

        assert bound_fields() == {"b": 2}


def test_bound_outside_of_a_request_leaves_nothing():
    with bound(a=1):
        bind(b=2)
        inside = bound_fields()

    assert (inside, current_context()) == ({"b": 2, "a": 1}, None)


@pytest.mark.parametrize("name", ["self", "fields", "context", "names"])
def test_any_name_can_be_bound(name):
    with request_context(), bound(**{name: 1}):
        bind(**{f"{name}_2": 2})

        assert bound_fields() == {f"{name}_2": 2, name: 1}


def test_bound_fields_is_a_copy():
    with request_context():
        bound_fields()["a"] = 1

        assert bound_fields() == {}


# --- who and for whom ------------------------------------------------------------


def test_principal_and_tenant_set_inside_a_block_hold_for_the_request():
    with request_context() as ctx:
        with bound(step="login"):
            set_principal("ada")
            set_tenant("acme")

        assert (get_principal(), get_tenant(), ctx.principal, ctx.tenant) == ("ada", "acme", "ada", "acme")


def test_a_view_shows_the_principal_and_tenant_of_its_request():
    with request_context(principal="ada", tenant="acme"), bound(a=1):
        view = current_context()

        assert (view.principal, view.tenant) == ("ada", "acme")
        view.principal = "bob"
        assert get_principal() == "bob"


def test_set_principal_outside_of_a_request_lasts_as_long_as_the_context():
    def script():
        set_principal("ada")
        set_tenant("acme")
        return get_principal(), get_tenant()

    assert (alone(script), get_principal()) == (("ada", "acme"), None)


# --- deadline and trace ----------------------------------------------------------


@pytest.mark.parametrize(("outer", "inner", "expected"), [(10.0, 5.0, 105.0), (5.0, 10.0, 105.0)])
def test_deadline_scope_never_extends_the_deadline(outer, inner, expected):
    with deadline_scope(outer, now=100.0), deadline_scope(inner, now=100.0) as until:
        assert until == get_deadline() == expected


def test_deadline_scope_respects_the_deadline_of_the_request():
    with request_context(deadline=50.0), deadline_scope(100.0, now=0.0):
        assert get_deadline() == 50.0


def test_deadline_scope_ends_with_the_block():
    with request_context():
        with deadline_scope(5.0):
            pass

        assert get_deadline() is None


def test_trace_scope_is_for_the_block_and_keeps_the_rest():
    with request_context(correlation_id="c") as ctx, bound(a=1):
        span = ctx.trace.child()
        with trace_scope(span):
            inside = get_trace(), get_correlation_id(), bound_fields()

        assert (inside, get_trace()) == ((span, "c", {"a": 1}), ctx.trace)


# --- tasks -----------------------------------------------------------------------


async def test_gathered_tasks_do_not_see_each_others_overlay():
    meet = asyncio.Barrier(3)

    async def work(n):
        with bound(n=n):
            await meet.wait()
            return bound_fields()

    with request_context():
        bind(order="o")
        found = await asyncio.gather(*map(work, range(3)))

    assert found == [{"order": "o", "n": n} for n in range(3)]


async def test_what_a_task_binds_reaches_the_request():
    async def work():
        bind(order="o")

    with request_context():
        await asyncio.create_task(work())

        assert bound_fields() == {"order": "o"}


async def test_parallel_requests_do_not_see_each_other():
    meet = asyncio.Barrier(3)

    async def request(n):
        with request_context(correlation_id=f"c-{n}"):
            bind(n=n)
            await meet.wait()
            return get_correlation_id(), bound_fields()

    found = await asyncio.gather(*map(request, range(3)))

    assert found == [(f"c-{n}", {"n": n}) for n in range(3)]


def test_what_a_synchronous_dependency_binds_reaches_the_access_log():
    """A framework runs it in a thread, with a copy of the context."""
    with ThreadPoolExecutor(1) as pool, request_context():
        pool.submit(copy_context().run, bind, user="ada").result()

        assert bound_fields() == {"user": "ada"}


async def test_a_generator_closed_elsewhere_does_not_end_a_strangers_request():
    async def stream():
        with bound(a=1):
            yield 1

    async def first():
        source = stream()
        await anext(source)
        return source

    source = await asyncio.create_task(first())

    with request_context(correlation_id="stranger"):
        await source.aclose()

        assert get_correlation_id() == "stranger"


async def test_a_scope_closed_in_a_task_that_inherited_it_is_undone_there():
    scope = bound(a=1)

    async def close():
        scope.__exit__(None, None, None)
        return bound_fields()

    with request_context():
        scope.__enter__()
        found = await asyncio.create_task(close())

        assert (found, bound_fields()) == ({}, {"a": 1})


# --- request layers --------------------------------------------------------------


def test_a_reused_thread_does_not_show_the_last_request():
    def handle(n):
        ctx = RequestContext(f"c-{n}", "r")
        before = current_context()
        token = enter_context(ctx)
        bind(user=n)
        with bound(step=1):
            pass
        leave_context(token, ctx)
        return before, current_context()

    with ThreadPoolExecutor(1) as pool:
        found = [pool.submit(handle, n).result() for n in range(3)]

    assert found == [(None, None)] * 3


def test_leave_context_late_does_not_end_the_next_request_of_the_thread():
    first, second = RequestContext("c-1", "r"), RequestContext("c-2", "r")

    def thread():
        token = enter_context(first)
        enter_context(second)
        leave_context(token, first)
        return get_correlation_id()

    assert alone(thread) == "c-2"


def test_leave_context_through_a_view_ends_the_request():
    ctx = RequestContext("c", "r")

    def thread():
        token = enter_context(ctx)
        enter_context(ctx.view())
        leave_context(token, ctx)
        return current_context()

    assert alone(thread) is None


@pytest.mark.parametrize("with_entered", [True, False])
def test_leave_context_in_a_copied_context_clears_the_request(with_entered):
    ctx, entered = RequestContext("c", "r"), Context()
    token = entered.run(enter_context, ctx)
    copied = entered.run(copy_context)

    copied.run(leave_context, token, *([ctx] if with_entered else []))

    assert copied.run(current_context) is None


def test_leave_context_elsewhere_does_not_end_a_strangers_request():
    ctx, stranger = RequestContext("c", "r"), RequestContext("stranger", "r")
    token = alone(enter_context, ctx)

    def elsewhere():
        enter_context(stranger)
        leave_context(token, ctx)
        return get_correlation_id()

    assert alone(elsewhere) == "stranger"


def test_leave_context_twice_is_harmless():
    ctx = RequestContext("c", "r")

    def thread():
        token = enter_context(ctx)
        leave_context(token, ctx)
        leave_context(token, ctx)
        return current_context()

    assert alone(thread) is None


def test_the_cost_of_the_context_does_not_grow_with_foreign_variables():
    """One variable holds one object: nothing ever walks the whole context."""
    from contextvars import ContextVar

    def thread():
        for n in range(200):
            ContextVar(f"foreign{n}").set(n)
        before = len(copy_context())
        with request_context(), bound(a=1), deadline_scope(5.0):
            bind(b=2)
            return len(copy_context()) - before

    assert alone(thread) == 1
