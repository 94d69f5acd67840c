import pytest

from shared.monitoring import (
    AIMetrics,
    BusinessMetrics,
    CacheMetrics,
    DatabaseMetrics,
    FlagMetrics,
    JobMetrics,
    Metrics,
    ResilienceMetrics,
)


@pytest.fixture
def metrics():
    return Metrics("test", multiprocess=False)


@pytest.mark.parametrize(
    "kind",
    [AIMetrics, BusinessMetrics, CacheMetrics, DatabaseMetrics, FlagMetrics, JobMetrics, ResilienceMetrics],
)
def test_declaring_twice_counts_in_the_same_place(metrics, kind):
    kind(metrics)
    before = len(metrics.collect())
    kind(metrics)

    assert len(metrics.collect()) == before


def test_the_pool_shows_used_idle_limit_and_waiting(metrics):
    database = DatabaseMetrics(metrics)
    database.pool("main", used=3, idle=2, maximum=10, pending=1)

    pool = {"db_client_connection_pool_name": "main"}
    assert metrics.value("db_client_connection_count", {**pool, "db_client_connection_state": "used"}) == 3
    assert metrics.value("db_client_connection_count", {**pool, "db_client_connection_state": "idle"}) == 2
    assert metrics.value("db_client_connection_max", pool) == 10
    assert metrics.value("db_client_connection_pending_requests", pool) == 1


def test_waits_for_a_connection_are_counted_and_so_are_the_vain_ones(metrics):
    database = DatabaseMetrics(metrics)
    database.waited("main", 0.002)
    database.waited("main", 5.0, timed_out=True)

    pool = {"db_client_connection_pool_name": "main"}
    assert metrics.value("db_client_connection_wait_time_seconds_count", pool) == 2
    assert metrics.value("db_client_connection_timeouts_total", pool) == 1


def test_operations_are_counted_by_verb_and_slow_ones_apart(metrics):
    database = DatabaseMetrics(metrics)
    database.operation("sqlite", "SELECT", 0.01)
    database.operation("sqlite", "SELECT", 2.0, error_type="OperationalError", slow=True)

    base = {"db_system_name": "sqlite", "db_operation_name": "SELECT"}
    assert metrics.value("db_client_operation_duration_seconds_count", {**base, "error_type": ""}) == 1
    assert (
        metrics.value(
            "db_client_operation_duration_seconds_count", {**base, "error_type": "OperationalError"}
        )
        == 1
    )
    assert metrics.value("db_client_slow_operations_total", {"db_system_name": "sqlite"}) == 1


def test_the_hit_rate_counts_stale_hits_and_not_the_loads(metrics):
    cache = CacheMetrics(metrics)
    for result, count in (("hit", 6), ("stale", 2), ("miss", 1), ("error", 1)):
        cache.lookup("products", result, count)
    cache.loaded("products", 0.1)
    cache.evicted("products", "size", 3)
    cache.entries("products", 42)

    assert cache.hit_rate("products") == 0.8
    assert metrics.value("cache_entries", {"cache_name": "products"}) == 42
    assert metrics.value("cache_evictions_total", {"cache_name": "products", "reason": "size"}) == 3
    assert metrics.value("cache_load_duration_seconds_count", {"cache_name": "products"}) == 1


def test_the_hit_rate_of_an_unused_cache_is_zero(metrics):
    assert CacheMetrics(metrics).hit_rate("none") == 0


@pytest.mark.parametrize(
    ("state", "number"), [("CLOSED", 0), ("half_open", 1), ("open", 2), ("who knows", 2)]
)
def test_a_breaker_shows_its_state_as_a_number(metrics, state, number):
    ResilienceMetrics(metrics).breaker_state("payments", state)

    assert metrics.value("circuit_breaker_state", {"circuit_breaker_name": "payments"}) == number


def test_calls_tries_and_refusals_are_counted(metrics):
    resilience = ResilienceMetrics(metrics)
    resilience.breaker_call("payments", "rejected")
    resilience.retried("payments", "success")
    resilience.bulkhead_refused("payments")

    assert (
        metrics.value(
            "circuit_breaker_calls_total", {"circuit_breaker_name": "payments", "outcome": "rejected"}
        )
        == 1
    )
    assert metrics.value("retry_attempts_total", {"name": "payments", "outcome": "success"}) == 1
    assert metrics.value("bulkhead_rejections_total", {"name": "payments"}) == 1


def test_flags_count_evaluations_and_changes(metrics):
    flags = FlagMetrics(metrics)
    flags.evaluated("beta", "on", "SPLIT", 5)
    flags.changed("beta")

    result = {
        "feature_flag_key": "beta",
        "feature_flag_result_variant": "on",
        "feature_flag_result_reason": "SPLIT",
    }
    assert metrics.value("feature_flag_evaluations_total", result) == 5
    assert metrics.value("feature_flag_changes_total", {"feature_flag_key": "beta"}) == 1


def test_jobs_count_runs_and_what_is_under_way(metrics):
    jobs = JobMetrics(metrics)
    jobs.started("mail")
    active = metrics.value("job_active", {"job_name": "mail"})
    jobs.ended("mail")
    jobs.finished("mail", "failure", 0.4)
    jobs.waiting("default", 12)
    jobs.dead_letter("mail")

    assert (active, metrics.value("job_active", {"job_name": "mail"})) == (1, 0)
    assert metrics.value("job_runs_total", {"job_name": "mail", "outcome": "failure"}) == 1
    assert metrics.value("job_queue_depth", {"queue": "default"}) == 12
    assert metrics.value("job_dead_letters_total", {"job_name": "mail"}) == 1


def test_migrations_count_runs_rows_and_time(metrics):
    jobs = JobMetrics(metrics)
    jobs.migrated("backfill_orders", "success", 12.0, rows=500)
    jobs.migrated("add_index", "success", 1.0)

    assert metrics.value("migration_runs_total", {"operation": "backfill_orders", "outcome": "success"}) == 1
    assert metrics.value("migration_rows_total", {"operation": "backfill_orders"}) == 500
    assert metrics.value("migration_rows_total", {"operation": "add_index"}) is None
    assert metrics.value("migration_duration_seconds_sum", {"operation": "backfill_orders"}) == 12


def test_ai_calls_count_time_tokens_and_cost(metrics):
    ai = AIMetrics(metrics)
    ai.call("openai", "chat", "gpt-4o", 1.5, input_tokens=100, output_tokens=20, cost=0.01)
    ai.call("openai", "chat", "gpt-4o", 0.2, error_type="RateLimitError")

    base = {
        "gen_ai_provider_name": "openai",
        "gen_ai_operation_name": "chat",
        "gen_ai_request_model": "gpt-4o",
    }
    assert metrics.value("gen_ai_client_operation_duration_seconds_count", {**base, "error_type": ""}) == 1
    assert (
        metrics.value(
            "gen_ai_client_operation_duration_seconds_count", {**base, "error_type": "RateLimitError"}
        )
        == 1
    )
    assert metrics.value("gen_ai_client_token_usage_sum", {**base, "gen_ai_token_type": "input"}) == 100
    assert metrics.value("gen_ai_client_cost_usd_total", base) == 0.01


def test_business_events_count_and_add_their_worth(metrics):
    business = BusinessMetrics(metrics)
    business.event("order_placed", value=20, unit="EUR")
    business.event("order_placed", outcome="cancelled")

    assert metrics.value("business_events_total", {"event": "order_placed", "outcome": "success"}) == 1
    assert metrics.value("business_events_total", {"event": "order_placed", "outcome": "cancelled"}) == 1
    assert metrics.value("business_value_total", {"event": "order_placed", "unit": "EUR"}) == 20


def test_the_loop_shows_its_lag(metrics, clock):
    import asyncio

    from shared.monitoring import EventLoopMonitor

    class Timers:
        def call_later(self, delay, callback):
            self.due = callback
            return asyncio.TimerHandle(delay, callback, (), loop)

    loop = asyncio.new_event_loop()
    timers, monitor = Timers(), EventLoopMonitor(interval=0.5, clock=clock)
    monitor.show(metrics)
    monitor.start(timers)
    clock.advance(0.75)
    timers.due()
    monitor.stop()
    loop.close()

    assert metrics.value("asyncio_event_loop_lag_seconds") == 0.25
    assert metrics.value("asyncio_event_loop_delay_seconds_count") == 1
