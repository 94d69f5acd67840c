"""Both HTTP clients against a real server: headers, tries, times, errors, sizes, secrets."""

import asyncio
import gzip
import inspect
import io
import logging
import os
import socket
import threading
import time

import httpx2
import pytest

from shared.context import TraceContext, request_context
from shared.errors import (
    BulkheadFullError,
    CircuitOpenError,
    DeadlineExceededError,
    ExternalServiceError,
    InvalidArgumentError,
    InvalidStateError,
    MissingDependencyError,
    RateLimitError,
    ResourceNotFoundError,
    ServiceUnavailableError,
)
from shared.resilience import (
    AsyncServiceClient,
    CircuitBreaker,
    Deadline,
    HttpCall,
    Policy,
    RetryPolicy,
    ServiceClient,
    get_breakers,
)
from shared.resilience.testing import FakeClock, no_backoff
from shared.runtime import Events, Runtime, use
from tests.integration.resilience.conftest import answer, drip, hang, hang_up


class Sync:
    """The synchronous client, run where the asynchronous one is awaited."""

    def __init__(self, *args, **kwargs):
        self.client = ServiceClient(*args, **kwargs)

    def __getattr__(self, name):
        found = getattr(self.client, name)
        if not callable(found):
            return found

        async def call(*args, **kwargs):
            result = await asyncio.to_thread(found, *args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return call


@pytest.fixture(params=["sync", "async"])
def make(request):
    """Make clients of either kind; both are used with await."""
    made = []

    def of(url, **options):
        made.append((Sync if request.param == "sync" else AsyncServiceClient)(url, **options))
        return made[-1]

    yield of
    if request.param == "sync":
        for client in made:
            client.client.close()


@pytest.fixture(autouse=True)
def runtime():
    runtime = Runtime("test")
    with use(runtime), no_backoff():
        yield runtime
    runtime.close()


def policy_of(**changes):
    clock = FakeClock()
    guards = {
        "retry": RetryPolicy(3, clock=clock, sleep=clock.sleep),
        "breaker": CircuitBreaker("payments", failure_threshold=3, clock=clock),
    }
    return Policy("payments", **{**guards, **changes})


async def closing(client):
    await client.aclose()


async def test_an_answer_is_complete(make, service):
    client = make(service.url + "/api", name="payments")

    response = await client.get("/charges/{id}", path={"id": "a/b"}, params={"q": "x y"})

    assert (response.status_code, response.json()) == (200, {"ok": True})
    assert service.seen[0][:2] == ("GET", "/api/charges/a%2Fb?q=x+y")
    await closing(client)


async def test_every_verb_sends_its_body_and_headers(make, service):
    client = make(service.url, headers={"X-Team": "shop"})

    for verb in ("get", "head", "post", "put", "patch", "delete"):
        options = {} if verb in {"get", "head"} else {"json": {"a": 1}}
        response = await getattr(client, verb)("/x", headers={"X-One": "1"}, **options)
        assert response.status_code == 200

    assert [seen[0] for seen in service.seen] == ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    assert all(seen[2]["X-Team"] == "shop" and seen[2]["X-One"] == "1" for seen in service.seen)
    assert service.seen[2][3] == b'{"a":1}'
    await closing(client)


async def test_ids_trace_and_deadline_travel_with_each_try(make, service):
    service.plans = [answer(503), answer()]
    client = make(service.url)
    trace = TraceContext.new()

    with request_context(correlation_id="c-1", trace=trace), Deadline.after(30.0).scope():
        await client.get("/x")

    first, second = (seen[2] for seen in service.seen)
    assert first["X-Correlation-ID"] == second["X-Correlation-ID"] == "c-1"
    assert trace.trace_id in first["traceparent"]
    assert first["traceparent"] != second["traceparent"]
    assert first["X-Request-Deadline"] == second["X-Request-Deadline"] == "5.000"
    await closing(client)


async def test_the_time_sent_along_is_never_more_than_the_deadline(make, service):
    client = make(service.url)

    with Deadline.after(2.0).scope():
        await client.get("/x")

    assert 0.0 < float(service.seen[0][2]["X-Request-Deadline"]) <= 2.0
    await closing(client)


async def test_strangers_learn_nothing_about_us(make, service):
    client = make(service.url, propagate=False)

    with request_context(correlation_id="c-1"), Deadline.after(30.0).scope():
        await client.get("/x")

    assert not {"X-Correlation-ID", "traceparent", "X-Request-Deadline"} & set(service.seen[0][2])
    await closing(client)


# --- tries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [answer(500), answer(503), answer(429), hang_up], ids=["500", "503", "429", "hang up"]
)
async def test_idempotent_methods_are_tried_again(fault, make, service):
    service.plans = [fault, answer()]
    client = make(service.url)

    assert (await client.put("/x", json={})).status_code == 200
    assert len(service.seen) == 2
    await closing(client)


async def test_a_post_is_sent_once(make, service):
    service.plans = [answer(503), answer()]
    client = make(service.url)

    with pytest.raises(ServiceUnavailableError):
        await client.post("/x", json={})

    assert len(service.seen) == 1
    await closing(client)


@pytest.mark.parametrize("options", [{"idempotency_key": "k-1"}, {"headers": {"idempotency-key": "k-1"}}])
async def test_a_post_with_an_idempotency_key_is_tried_again_with_the_same_key(options, make, service):
    service.plans = [answer(503), answer()]
    client = make(service.url)

    assert (await client.post("/x", json={}, **options)).status_code == 200
    keys = [{k.lower(): v for k, v in seen[2].items()}["idempotency-key"] for seen in service.seen]
    assert keys == ["k-1", "k-1"]
    await closing(client)


@pytest.mark.parametrize("options", [{"content": iter([b"a"])}, {"files": {"f": io.BytesIO(b"a")}}])
async def test_a_body_that_can_be_read_once_is_sent_once(options, make, service):
    if isinstance(make(service.url), AsyncServiceClient) and "content" in options:

        async def chunks():
            yield b"a"

        options = {"content": chunks()}
    service.plans = [answer(503), answer()]
    client = make(service.url)

    with pytest.raises(ServiceUnavailableError):
        await client.put("/x", **options)

    assert len(service.seen) == 1
    await closing(client)


async def test_what_never_reached_the_service_is_sent_again_whatever_it_was(make):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        events, tries = Events(), []
        events.subscribe(HttpCall, tries.append)
        client = make(f"http://127.0.0.1:{taken.getsockname()[1]}", name="payments", events=events)

        with pytest.raises(ServiceUnavailableError, match="payments cannot be reached") as caught:
            await client.post("/x", json={})

    assert len(tries) == 3
    assert caught.value.details == {"service": "payments", "sent": False}
    assert isinstance(caught.value.__cause__, httpx2.ConnectError)
    await closing(client)


async def test_retry_after_is_waited_for(make, service):
    clock = FakeClock()
    service.plans = [answer(429, Retry_After="7"), answer(503, Retry_After="9"), answer()]
    client = make(service.url, policy=Policy("p", retry=RetryPolicy(3, clock=clock, sleep=clock.sleep)))

    with use(Runtime("without the switch that makes waits 0")):
        await client.get("/x")

    assert clock.sleeps == [7.0, 9.0]
    await closing(client)


async def test_tries_end_when_retry_after_asks_for_too_much(make, service):
    service.plans = [answer(429, Retry_After="3600"), answer()]
    client = make(service.url)

    with pytest.raises(RateLimitError) as caught:
        await client.get("/x")

    assert caught.value.retry_after == 3600.0
    assert len(service.seen) == 1
    await closing(client)


async def test_the_breaker_opens_fails_fast_probes_and_closes(make, service):
    clock = FakeClock()
    breaker = CircuitBreaker("payments", failure_threshold=3, recovery_timeout=30.0, clock=clock)
    client = make(service.url, policy=Policy("payments", breaker=breaker))
    service.plans = [answer(500)] * 3 + [answer()]

    for _ in range(3):
        with pytest.raises(ExternalServiceError):
            await client.get("/x")
    with pytest.raises(CircuitOpenError):
        await client.get("/x")
    clock.advance(30.0)
    assert (await client.get("/x")).status_code == 200

    assert breaker.state == "CLOSED"
    assert len(service.seen) == 4
    await closing(client)


async def test_an_error_that_is_an_answer_does_not_open_the_breaker(make, service):
    service.plans = [answer(404, {"error": {"code": "NO_CHARGE"}})]
    client = make(service.url, name="payments")

    for _ in range(10):
        with pytest.raises(ResourceNotFoundError) as caught:
            await client.get("/charges/{id}", path={"id": "jane@example.org"})

    assert str(caught.value) == "payments answered 404 to GET /charges/{id}"
    assert caught.value.details["upstream_code"] == "NO_CHARGE"
    assert get_breakers().get("payments").state == "CLOSED"
    assert len(service.seen) == 10
    await closing(client)


async def test_unchecked_answers_come_back_whatever_their_status_and_still_count(make, service):
    service.plans = [answer(500, {"why": "broken"})]
    policy = policy_of(retry=None)
    client = make(service.url, policy=policy)

    response = await client.get("/x", check=False)

    assert (response.status_code, response.json()) == (500, {"why": "broken"})
    assert policy.breaker.snapshot().failures == 1
    await closing(client)


async def test_without_an_answer_an_unchecked_request_still_raises(make, service):
    service.plans = [hang_up]
    client = make(service.url, policy=policy_of(retry=None))

    with pytest.raises(ExternalServiceError, match="the connection to .* broke during GET /x"):
        await client.get("/x", check=False)
    await closing(client)


# --- times ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [hang, drip])
async def test_a_try_is_cut_off_at_its_timeout_also_when_the_answer_drips(fault, make, service):
    service.plans = [fault]
    client = make(service.url, name="payments", policy=policy_of(retry=None))
    started = time.monotonic()

    with pytest.raises(DeadlineExceededError) as caught:
        await client.get("/x", timeout=0.15)

    assert time.monotonic() - started < 5.0
    assert caught.value.retryable is True
    await closing(client)


@pytest.mark.parametrize("fault", [hang, drip])
async def test_the_deadline_of_the_request_wins_and_is_final(fault, make, service):
    service.plans = [fault]
    policy = policy_of()
    client = make(service.url, name="payments", policy=policy)

    with Deadline.after(0.15).scope(), pytest.raises(DeadlineExceededError) as caught:
        await client.get("/x")

    assert caught.value.retryable is False
    assert len(service.seen) == 1
    assert policy.breaker.snapshot().failures == 0
    await closing(client)


async def test_without_time_nothing_is_sent(make, service):
    client = make(service.url)

    with Deadline.after(0.0).scope(), pytest.raises(DeadlineExceededError):
        await client.get("/x")

    assert service.seen == []
    await closing(client)


async def test_a_hung_try_is_followed_by_a_good_one(make, service):
    service.plans = [hang, answer()]
    client = make(service.url, policy=policy_of(), timeout=0.15)

    assert (await client.get("/x")).status_code == 200
    await closing(client)


async def test_the_timeout_of_the_policy_is_for_one_try_and_counts(make, service):
    service.plans = [hang, drip, answer()]
    policy = policy_of(timeout=0.15)
    client = make(service.url, policy=policy, timeout=30.0)

    assert (await client.get("/x")).status_code == 200
    assert policy.breaker.snapshot().failures == 2
    assert len(service.seen) == 3
    await closing(client)


async def test_cancelling_a_request_frees_its_connection(service):
    service.plans = [hang, answer()]
    async with AsyncServiceClient(service.url, max_connections=1) as client:
        task = asyncio.create_task(client.get("/x"))
        await asyncio.to_thread(service.asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await client.get("/x")).status_code == 200


async def test_a_full_connection_pool_is_our_own_limit_and_does_not_count(service):
    service.plans = [hang]
    policy = policy_of(retry=None)
    async with AsyncServiceClient(service.url, policy=policy, max_connections=1, timeout=0.3) as client:
        first = asyncio.create_task(client.get("/x", timeout=5.0))
        await asyncio.to_thread(service.asked.wait, 10)
        with pytest.raises((BulkheadFullError, DeadlineExceededError)):
            await client.get("/x")
        first.cancel()
        await asyncio.wait([first])


# --- sizes and shapes ----------------------------------------------------------------------------------------------


async def test_a_packed_answer_is_unpacked(make, service):
    service.plans = [answer(200, gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")]
    client = make(service.url)

    response = await client.get("/x")

    assert response.json() == {"a": 1}
    assert "content-encoding" not in response.headers
    assert response.headers["content-length"] == "8"
    await closing(client)


@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_that_is_too_large_is_refused_also_once_unpacked(packed, make, service):
    raw = b"x" * 2_000_000
    plan = answer(200, gzip.compress(raw), Content_Encoding="gzip") if packed else answer(200, raw)
    service.plans = [plan]
    client = make(service.url, name="payments", max_response_bytes=1_000_000)

    with pytest.raises(ExternalServiceError, match="payments sent more than 1000000 bytes to GET /x"):
        await client.get("/x")

    assert len(service.seen) == 1
    await closing(client)


async def test_a_broken_packing_is_the_services_fault(make, service):
    service.plans = [answer(200, b"not gzip", Content_Encoding="gzip")]
    client = make(service.url, policy=policy_of(retry=None))

    with pytest.raises(ExternalServiceError):
        await client.get("/x")
    await closing(client)


async def test_a_redirect_is_an_answer_and_not_followed(make, service):
    service.plans = [answer(302, Location="http://evil.example/")]
    client = make(service.url)

    assert (await client.get("/x")).status_code == 302
    assert len(service.seen) == 1
    await closing(client)


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request(make, service):
    service.plans = [answer(200, Set_Cookie="session=jane; Path=/")]
    client = make(service.url)

    await client.get("/x")
    await client.get("/x")
    await client.get("/x", cookies={"mine": "1"})

    assert "Cookie" not in service.seen[1][2]
    assert service.seen[2][2]["Cookie"] == "mine=1"
    await closing(client)


@pytest.mark.parametrize(
    ("route", "options"),
    [
        ("http://evil.example/x", {}),
        ("//evil.example/x", {}),
        ("/x/{id}", {}),
        ("/x", {"path": {"id": 1}}),
        ("/x", {"jsn": {}}),
        ("/x", {"timeout": 0.0}),
        ("/x", {"headers": {"A": "b\r\nC: d"}}),
        ("/x", {"json": {1, 2}}),
    ],
)
async def test_a_request_that_cannot_be_built_is_refused(route, options, make, service):
    client = make(service.url)

    with pytest.raises(InvalidArgumentError):
        await client.get(route, **options) if "json" not in options else await client.post(route, **options)

    assert service.seen == []
    assert get_breakers().health()["status"] == "healthy"
    await closing(client)


@pytest.mark.parametrize("url", ["payments", "ftp://payments", "http://", "/x", "http://[::1", 5])
def test_a_base_url_must_be_one(url):
    with pytest.raises(InvalidArgumentError, match="base_url"):
        ServiceClient(url)


# --- secrets ---------------------------------------------------------------------------------------------------------


async def test_secrets_of_urls_are_in_no_log_repr_or_error(make, service, caplog):
    caplog.set_level(logging.DEBUG, logger="httpx2")
    caplog.set_level(logging.INFO)
    service.plans = [answer(200), answer(500)]
    url = service.url.replace("http://", "http://app:hunter2@")
    client = make(url, name="payments", policy=policy_of(retry=None))

    await client.get("/x", params={"api_key": "topsecret"})
    with pytest.raises(ExternalServiceError) as caught:
        await client.get("/x", params={"api_key": "topsecret"})

    shown = (
        caplog.text + repr(getattr(client, "client", client)) + str(caught.value) + repr(caught.value.details)
    )
    assert "HTTP Request: GET" in caplog.text
    assert "hunter2" not in shown
    assert "topsecret" not in shown
    await closing(client)


async def test_each_try_is_told_with_its_route_and_no_values(make, service):
    service.plans = [answer(503), answer()]
    events, heard = Events(), []
    events.subscribe(HttpCall, heard.append)
    client = make(service.url, name="payments", events=events)

    await client.get("/charges/{id}", path={"id": "jane"})

    assert [(e.name, e.method, e.route, e.status, e.error_type) for e in heard] == [
        ("payments", "GET", "/charges/{id}", 503, "ServiceUnavailableError"),
        ("payments", "GET", "/charges/{id}", 200, None),
    ]
    assert all(event.seconds > 0 for event in heard)
    await closing(client)


# --- life ---------------------------------------------------------------------------------------------------------------


async def test_a_closed_client_says_so(make, service):
    client = make(service.url)
    await client.get("/x")
    await client.aclose()
    await client.aclose()

    with pytest.raises(InvalidStateError, match="is closed"):
        await client.get("/x")


def test_a_sync_client_is_a_context_manager_and_closes_twice(service):
    with ServiceClient(service.url) as client:
        assert client.get("/x").status_code == 200
    client.close()

    with pytest.raises(InvalidStateError):
        client.get("/x")


async def test_an_async_client_warns_when_closed_synchronously(service):
    client = AsyncServiceClient(service.url)
    client.close()
    await client.get("/x")

    with pytest.warns(ResourceWarning, match="await client.aclose"):
        client.close()
    await client.aclose()


def test_many_threads_share_one_client(service):
    with ServiceClient(service.url, name="payments") as client:
        statuses = []
        threads = [
            threading.Thread(target=lambda: statuses.append(client.get("/x").status_code)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert statuses == [200] * 8


def test_a_forked_child_makes_connections_of_its_own(service):
    import warnings

    with ServiceClient(service.url) as client:
        client.get("/x")
        parents = client._made
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if client._made is None and client.get("/child").status_code == 200 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert client.get("/x").status_code == 200
        assert client._made is parents


def test_without_httpx2_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx2", None)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[http\]"):
        ServiceClient("http://payments")


def test_by_default_the_host_names_the_dependency_and_its_guard():
    with ServiceClient("http://payments:8000/api") as client:
        assert client.name == "payments"
        assert client.policy.policy.breaker is get_breakers().get("payments")
