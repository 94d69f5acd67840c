"""The metrics of the other rooms: declared here once, fed from there.

Names follow OpenTelemetry's conventions in Prometheus' spelling where there are any
(database client, feature flags, generative AI). Every class declares its metrics when
it is made; making it twice is harmless.
"""

from typing import Final

from shared.monitoring._metrics import Metrics

# Source: OpenTelemetry semantic conventions, db.client.operation.duration.
_DATABASE_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)  # seconds
# Source: OpenTelemetry semantic conventions, gen_ai.client.operation.duration and gen_ai.client.token.usage.
_AI_BUCKETS: Final = tuple(0.01 * 2**power for power in range(14))  # seconds
_TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(14))
_JOB_BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)  # seconds


class DatabaseMetrics:
    """Connections of the pool and durations of the operations.

    Example:
        >>> metrics = Metrics()
        >>> database = DatabaseMetrics(metrics)
        >>> database.pool("main", used=3, idle=2, maximum=10, pending=0)
        >>> database.operation("postgresql", "SELECT", 0.004)
        >>> pool = {"db_client_connection_pool_name": "main", "db_client_connection_state": "used"}
        >>> metrics.value("db_client_connection_count", pool)
        3.0
    """

    def __init__(self, metrics: Metrics) -> None:
        name = "db_client_connection_pool_name"
        self._count = metrics.gauge(
            "db_client_connection_count", "Connections, by state.", (name, "db_client_connection_state")
        )
        self._max = metrics.gauge("db_client_connection_max", "Connections the pool may open.", (name,))
        self._pending = metrics.gauge("db_client_connection_pending_requests", "Waiting for one.", (name,))
        self._timeouts = metrics.counter("db_client_connection_timeouts", "Gave up waiting for one.", (name,))
        self._wait = metrics.histogram(
            "db_client_connection_wait_time", "Wait for a connection.", (name,), unit="seconds",
            buckets=_DATABASE_BUCKETS,
        )  # fmt: skip
        self._duration = metrics.histogram(
            "db_client_operation_duration",
            "Duration of database operations.",
            ("db_system_name", "db_operation_name", "error_type"),
            unit="seconds",
            buckets=_DATABASE_BUCKETS,
        )
        self._slow = metrics.counter(
            "db_client_slow_operations", "Operations above the slow-query limit.", ("db_system_name",)
        )

    def pool(self, name: str, *, used: int, idle: int, maximum: int, pending: int = 0) -> None:
        """Set the numbers of one pool; call it whenever one changes."""
        self._count.labels(name, "used").set(used)
        self._count.labels(name, "idle").set(idle)
        self._max.labels(name).set(maximum)
        self._pending.labels(name).set(pending)

    def waited(self, name: str, seconds: float, *, timed_out: bool = False) -> None:
        """Count one wait for a connection of the pool."""
        self._wait.labels(name).observe(seconds)
        if timed_out:
            self._timeouts.labels(name).inc()

    def operation(
        self, system: str, operation: str, seconds: float, *, error_type: str = "", slow: bool = False
    ) -> None:
        """Count one operation.

        Args:
            system: ``postgresql``, ``sqlite`` and so on.
            operation: The verb, such as ``SELECT``; never the statement.
            seconds: How long it took.
            error_type: Class of the exception, empty when it went well.
            slow: Whether it was above the slow-query limit.
        """
        self._duration.labels(system, operation, error_type).observe(seconds)
        if slow:
            self._slow.labels(system).inc()


class CacheMetrics:
    """Look-ups by result, evictions, entries. The hit rate is ``hit`` over all.

    Example:
        >>> metrics = Metrics()
        >>> cache = CacheMetrics(metrics)
        >>> cache.lookup("products", "hit"); cache.lookup("products", "miss")
        >>> cache.hit_rate("products")
        0.5
    """

    RESULTS: Final = ("hit", "miss", "stale", "negative", "error")

    def __init__(self, metrics: Metrics) -> None:
        self._lookups = metrics.counter(
            "cache_lookups", "Look-ups, by result.", ("cache_name", "cache_result")
        )
        self._evictions = metrics.counter("cache_evictions", "Entries pushed out.", ("cache_name", "reason"))
        self._entries = metrics.gauge("cache_entries", "Entries held in memory.", ("cache_name",))
        self._size = metrics.gauge("cache_size", "Memory held by entries.", ("cache_name",), unit="bytes")
        self._shared = metrics.counter(
            "cache_loads_prevented", "Look-ups that were given what another one loaded.", ("cache_name",)
        )
        self._trip = metrics.histogram(
            "cache_remote_duration", "Duration of round trips to Redis.", ("cache_name",), unit="seconds"
        )
        self._load = metrics.histogram(
            "cache_load_duration", "Duration of loads after a miss.", ("cache_name",), unit="seconds"
        )

    def lookup(self, name: str, result: str, count: int = 1) -> None:
        """Count *count* look-ups that gave *result*: hit, miss, stale, negative or error."""
        self._lookups.labels(name, result).inc(count)

    def evicted(self, name: str, reason: str, count: int = 1) -> None:
        """Count entries pushed out, such as by ``size``, ``ttl`` or ``tag``."""
        self._evictions.labels(name, reason).inc(count)

    def entries(self, name: str, count: int) -> None:
        """Set the number of entries held."""
        self._entries.labels(name).set(count)

    def size(self, name: str, size: int) -> None:
        """Set the memory held, in bytes."""
        self._size.labels(name).set(size)

    def shared(self, name: str, count: int = 1) -> None:
        """Count look-ups that waited for a load under way instead of loading."""
        self._shared.labels(name).inc(count)

    def travelled(self, name: str, seconds: float) -> None:
        """Count one round trip to Redis."""
        self._trip.labels(name).observe(seconds)

    def loaded(self, name: str, seconds: float) -> None:
        """Count one load after a miss."""
        self._load.labels(name).observe(seconds)

    def hit_rate(self, name: str) -> float:
        """Return the part of this process' look-ups that were hits or stale hits; 0 before the first."""
        counts = {result: self._lookups.labels(name, result).value for result in self.RESULTS}
        total = sum(counts.values())
        return (counts["hit"] + counts["stale"]) / total if total else 0.0


class FlagMetrics:
    """Evaluations and changes of feature flags.

    Example:
        >>> metrics = Metrics()
        >>> FlagMetrics(metrics).evaluated("new_checkout", "on", "TARGETING_MATCH")
        >>> metrics.value("feature_flag_evaluations_total", {
        ...     "feature_flag_key": "new_checkout", "feature_flag_result_variant": "on",
        ...     "feature_flag_result_reason": "TARGETING_MATCH"})
        1.0
    """

    def __init__(self, metrics: Metrics) -> None:
        self._evaluations = metrics.counter(
            "feature_flag_evaluations",
            "Evaluations, by result.",
            ("feature_flag_key", "feature_flag_result_variant", "feature_flag_result_reason"),
        )
        self._changes = metrics.counter(
            "feature_flag_changes", "Changes of the definition.", ("feature_flag_key",)
        )

    def evaluated(self, key: str, variant: str, reason: str, count: int = 1) -> None:
        """Count *count* evaluations; an engine that counts for itself may hand over sums."""
        self._evaluations.labels(key, variant, reason).inc(count)

    def changed(self, key: str) -> None:
        """Count a change of the flag's definition."""
        self._changes.labels(key).inc()


class JobMetrics:
    """Runs of background jobs and migrations: how many, how long, how many wait.

    Example:
        >>> metrics = Metrics()
        >>> jobs = JobMetrics(metrics)
        >>> jobs.finished("send_receipt", "success", 0.4)
        >>> metrics.value("job_runs_total", {"job_name": "send_receipt", "outcome": "success"})
        1.0
    """

    def __init__(self, metrics: Metrics) -> None:
        self._runs = metrics.counter("job_runs", "Runs, by outcome.", ("job_name", "outcome"))
        self._duration = metrics.histogram(
            "job_duration", "Duration of runs.", ("job_name",), unit="seconds", buckets=_JOB_BUCKETS
        )
        self._active = metrics.gauge("job_active", "Runs under way.", ("job_name",))
        self._waiting = metrics.gauge("job_queue_depth", "Jobs waiting.", ("queue",), mode="max")
        self._dead = metrics.counter("job_dead_letters", "Jobs given up.", ("job_name",))
        self._migrations = metrics.counter(
            "migration_runs", "Migrations, by outcome.", ("operation", "outcome")
        )
        self._rows = metrics.counter("migration_rows", "Rows moved by migrations.", ("operation",))
        self._migration_time = metrics.histogram(
            "migration_duration",
            "Duration of migrations.",
            ("operation",),
            unit="seconds",
            buckets=_JOB_BUCKETS,
        )

    def started(self, name: str) -> None:
        """Count a run as under way."""
        self._active.labels(name).inc()

    def ended(self, name: str) -> None:
        """Take it off again, whatever came of it."""
        self._active.labels(name).dec()

    def finished(self, name: str, outcome: str, seconds: float) -> None:
        """Count a run: success, failure, retry or timeout."""
        self._runs.labels(name, outcome).inc()
        self._duration.labels(name).observe(seconds)

    def waiting(self, queue: str, depth: int) -> None:
        """Set how many jobs wait in *queue*."""
        self._waiting.labels(queue).set(depth)

    def dead_letter(self, name: str) -> None:
        """Count a job that was given up."""
        self._dead.labels(name).inc()

    def migrated(self, operation: str, outcome: str, seconds: float, rows: int = 0) -> None:
        """Count a schema or data migration: success or failure, and the rows it moved."""
        self._migrations.labels(operation, outcome).inc()
        self._migration_time.labels(operation).observe(seconds)
        if rows:
            self._rows.labels(operation).inc(rows)


class AIMetrics:
    """Calls to AI suppliers: duration, tokens, cost, success.

    Example:
        >>> metrics = Metrics()
        >>> AIMetrics(metrics).call("openai", "chat", "gpt-4o", 1.2, input_tokens=50, output_tokens=9)
        >>> metrics.value("gen_ai_client_token_usage_sum", {
        ...     "gen_ai_provider_name": "openai", "gen_ai_operation_name": "chat",
        ...     "gen_ai_request_model": "gpt-4o", "gen_ai_token_type": "output"})
        9.0
    """

    def __init__(self, metrics: Metrics) -> None:
        common = ("gen_ai_provider_name", "gen_ai_operation_name", "gen_ai_request_model")
        self._duration = metrics.histogram(
            "gen_ai_client_operation_duration", "Duration of AI calls.", (*common, "error_type"),
            unit="seconds", buckets=_AI_BUCKETS,
        )  # fmt: skip
        self._tokens = metrics.histogram(
            "gen_ai_client_token_usage",
            "Tokens per call.",
            (*common, "gen_ai_token_type"),
            buckets=_TOKEN_BUCKETS,
        )
        self._cost = metrics.counter(
            "gen_ai_client_cost", "Cost as estimated, in US dollars.", common, unit="usd"
        )

    def call(
        self,
        provider: str,
        operation: str,
        model: str,
        seconds: float,
        *,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost: float = 0.0,
        error_type: str = "",
    ) -> None:
        """Count one call.

        Args:
            provider: ``openai`` and so on.
            operation: ``chat``, ``embeddings`` and so on.
            model: The model that was asked for.
            seconds: How long it took.
            input_tokens: Tokens sent, 0 when not known.
            output_tokens: Tokens received, 0 when not known.
            cost: US dollars, 0 when not known.
            error_type: Class of the exception, empty when it went well.
        """
        self._duration.labels(provider, operation, model, error_type).observe(seconds)
        for kind, tokens in (("input", input_tokens), ("output", output_tokens)):
            if tokens:
                self._tokens.labels(provider, operation, model, kind).observe(tokens)
        if cost:
            self._cost.labels(provider, operation, model).inc(cost)


class BusinessMetrics:
    """Events of the business, such as orders placed and their worth.

    Example:
        >>> metrics = Metrics()
        >>> business = BusinessMetrics(metrics)
        >>> business.event("order_placed", value=49.9, unit="EUR")
        >>> metrics.value("business_value_total", {"event": "order_placed", "unit": "EUR"})
        49.9
    """

    def __init__(self, metrics: Metrics) -> None:
        self._events = metrics.counter("business_events", "Events, by outcome.", ("event", "outcome"))
        self._value = metrics.counter("business_value", "Worth of the events.", ("event", "unit"))

    def event(self, name: str, *, outcome: str = "success", value: float = 0.0, unit: str = "") -> None:
        """Count an event.

        Args:
            name: What happened: ``order_placed``, ``signup``.
            outcome: How it ended.
            value: What it is worth, 0 or more, in *unit*.
            unit: ``EUR``, ``items`` and so on.
        """
        self._events.labels(name, outcome).inc()
        if value:
            self._value.labels(name, unit).inc(value)
