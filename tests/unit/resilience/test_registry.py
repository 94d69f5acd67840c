"""Breakers and policies by name, from the settings."""

import threading
from types import SimpleNamespace

import pytest

from shared.config import ResilienceSettings
from shared.errors import ConflictError, InvalidArgumentError
from shared.resilience import (
    BreakerRegistry,
    Bulkhead,
    CircuitBreaker,
    Policy,
    PolicyRegistry,
    PolicySnapshot,
    get_breakers,
    get_policies,
)
from shared.resilience.testing import FakeClock
from shared.runtime import Runtime, use


@pytest.fixture
def runtime():
    runtime = Runtime("test")
    with use(runtime):
        yield runtime
    runtime.close()


@pytest.mark.parametrize(
    ("name", "threshold"), [("payments", 5), ("email", 3), ("storage", 5), ("shipping", 3), ("maps", 5)]
)
def test_the_presets_open_after_their_failures(name, threshold, runtime):
    assert get_breakers().get(name).config.failure_threshold == threshold


def test_settings_change_presets_defaults_times_and_tries():
    settings = ResilienceSettings(
        BREAKER_THRESHOLDS={"email": 9},
        BREAKER_FAILURE_THRESHOLD=7,
        BREAKER_RECOVERY_TIMEOUT=11.0,
        BREAKER_SUCCESS_THRESHOLD=2,
        BREAKER_HALF_OPEN_MAX_CALLS=3,
        RETRY_MAX_ATTEMPTS=4,
        RETRY_DELAY=0.5,
        RETRY_MAX_DELAY=8.0,
    )

    breakers = BreakerRegistry.from_settings(settings)
    retry = PolicyRegistry.from_settings(settings, breakers).get("email").retry

    thresholds = {name: breakers.get(name).config.failure_threshold for name in ("email", "shipping", "maps")}
    assert thresholds == {"email": 9, "shipping": 3, "maps": 7}
    config = breakers.get("maps").config
    assert (config.recovery_timeout, config.success_threshold, config.half_open_max_calls) == (11.0, 2, 3)
    assert (retry.max_attempts, retry.backoff.delay, retry.max_delay) == (4, 0.5, 8.0)


def test_options_of_the_caller_win_over_the_settings():
    breakers = BreakerRegistry.from_settings(ResilienceSettings(), recovery_timeout=1.0)

    assert breakers.get("maps").config.recovery_timeout == 1.0


def test_a_name_has_one_breaker_and_one_policy_also_among_threads(runtime):
    found = []
    barrier = threading.Barrier(8)

    def ask():
        barrier.wait()
        found.append((get_breakers().get("maps"), get_policies().get("maps")))

    threads = [threading.Thread(target=lambda: runtime_bound(runtime, ask)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len({id(breaker) for breaker, _ in found}) == len({id(policy) for _, policy in found}) == 1
    assert found[0][1].breaker is found[0][0]


def runtime_bound(runtime, function):
    with use(runtime):
        function()


def test_two_runtimes_do_not_see_each_other(runtime):
    here = get_breakers().get("payments")
    other = Runtime("other")

    with use(other):
        assert get_breakers().get("payments") is not here
    other.close()


def test_a_breaker_is_configured_before_its_first_use_only():
    breakers = BreakerRegistry(clock=FakeClock())

    breaker = breakers.configure("search", failure_rate=0.5, window_seconds=30.0)

    assert breakers.get("search") is breaker
    assert breaker.config.failure_rate == 0.5
    with pytest.raises(ConflictError, match="configure it before its first call"):
        breakers.configure("search", failure_threshold=1)


def test_a_policy_is_set_before_its_first_use_only():
    policies = PolicyRegistry(BreakerRegistry())
    policy = Policy("search", timeout=1.0)

    policies.set(policy)

    assert policies.get("search") is policy
    with pytest.raises(ConflictError):
        policies.set(Policy("search"))
    assert [one.name for one in policies] == ["search"]
    assert repr(policies) == "<PolicyRegistry ['search']>"


def test_values_that_have_become_names_are_noticed():
    breakers = BreakerRegistry()
    for number in range(1000):
        breakers.get(f"user-{number}")

    with pytest.raises(InvalidArgumentError, match="never a user or an order"):
        breakers.get("user-1000")
    assert len(breakers) == 1000


@pytest.mark.parametrize("wrong", [{"failure_treshold": 5}, {"recovery_timeout": -1.0}])
def test_a_wrong_default_is_refused_at_once(wrong):
    with pytest.raises(InvalidArgumentError):
        BreakerRegistry(**wrong)


def test_an_empty_name_is_refused():
    with pytest.raises(InvalidArgumentError):
        BreakerRegistry().get("")


def test_snapshots_come_sorted_by_name():
    breakers = BreakerRegistry()
    for name in ("storage", "email"):
        breakers.get(name)

    assert [snapshot.name for snapshot in breakers.snapshots()] == ["email", "storage"]
    assert repr(breakers).startswith("<BreakerRegistry [")


def open_breaker(breaker):
    while breaker.state == "CLOSED":
        breaker.error(breaker.acquire(), OSError())
    return breaker


@pytest.mark.parametrize(
    ("critical", "status"), [((), "degraded"), (("email",), "degraded"), (("maps",), "unhealthy")]
)
def test_an_open_breaker_degrades_unless_it_is_critical(critical, status):
    breakers = BreakerRegistry(clock=FakeClock())
    open_breaker(breakers.get("maps"))
    breakers.get("email")

    assert breakers.health(critical) == {
        "status": status,
        "breakers": {"email": "CLOSED", "maps": "OPEN"},
    }


def test_a_recovering_breaker_and_a_watching_one_are_healthy():
    clock = FakeClock()
    breakers = BreakerRegistry(clock=clock)
    open_breaker(breakers.get("maps"))
    clock.advance(30.0)
    breakers.get("email").metrics_only()
    open_breaker(breakers.get("email"))

    assert breakers.health() == {"status": "healthy", "breakers": {"maps": "HALF_OPEN"}}


def test_reset_closes_all():
    breakers = BreakerRegistry()
    open_breaker(breakers.get("maps"))

    breakers.reset()

    assert breakers.health()["status"] == "healthy"


def test_settings_are_taken_as_any_object_with_the_names():
    names = {name: getattr(ResilienceSettings(), name) for name in ResilienceSettings.model_fields}

    assert BreakerRegistry.from_settings(SimpleNamespace(**names)).get("email").config.failure_threshold == 3


def test_the_default_policy_has_a_budget_of_its_own(runtime):
    one, other = get_policies().get("maps"), get_policies().get("email")

    assert one.retry.budget is not other.retry.budget
    assert isinstance(one.breaker, CircuitBreaker)


def test_settings_choose_how_waits_grow_and_spread():
    settings = ResilienceSettings(RETRY_BACKOFF="linear", RETRY_JITTER="none", RETRY_DELAY=0.5)

    backoff = PolicyRegistry.from_settings(settings, BreakerRegistry()).get("maps").retry.backoff

    assert (backoff.kind, backoff.jitter, backoff.wait(3)) == ("linear", "none", 1.5)


def test_policies_show_their_budget_and_places():
    policies = PolicyRegistry(BreakerRegistry())
    policies.get("payments").retry.budget.failure()
    policies.set(Policy("reports", bulkhead=Bulkhead(4, max_queue=8, name="reports")))

    with policies.get("reports"):
        shown = policies.snapshots()

    assert shown == (
        PolicySnapshot("payments", budget=9.0),
        PolicySnapshot("reports", limit=4, in_flight=1, waiting=0, refused=0),
    )


def test_a_registry_knows_which_names_it_has():
    breakers = BreakerRegistry()
    breakers.get("payments")

    assert ("payments" in breakers, "maps" in breakers) == (True, False)
