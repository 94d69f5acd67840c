"""See how a service is doing: health, lifecycle, metrics, traces and alerts.

Nothing here knows a web framework; the faces send what these objects answer.
Importing the room loads the standard library only.
"""

from shared.monitoring._accessors import (
    cleanup_old_metrics,
    get_error_tracker,
    get_health_registry,
    get_health_status,
    get_lifecycle,
    get_metrics,
    get_performance_metrics,
    get_performance_recorder,
    get_tracer,
)
from shared.monitoring._alert import (
    Alert,
    BurnRateAlert,
    DegradationAlert,
    Finding,
    Notification,
    Severity,
    ThresholdAlert,
)
from shared.monitoring._answer import HttpAnswer
from shared.monitoring._builtin_checks import disk_check, memory_check, threshold_check
from shared.monitoring._check import (
    CheckCallable,
    CheckOutcome,
    CheckResult,
    HealthCheck,
    HealthSource,
    HealthStatus,
)
from shared.monitoring._dashboard import render_dashboard
from shared.monitoring._endpoints import DetailPolicy, HealthEndpoints
from shared.monitoring._error_report import ErrorFrame, ErrorReport
from shared.monitoring._error_tracking import ErrorReporter, ErrorTracker
from shared.monitoring._evaluator import AlertEvaluator, FileLeaderLock, LeaderLock
from shared.monitoring._events import (
    CheckChanged,
    DrainFinished,
    HealthChanged,
    LifecycleChanged,
    ReadinessChanged,
)
from shared.monitoring._health_metrics import health_metrics
from shared.monitoring._http_metrics import FinishedRequest, HttpMetrics
from shared.monitoring._introspection import ReportOnSignal, RuntimeReport
from shared.monitoring._leader import LeaseLeaderLock
from shared.monitoring._lifecycle import Lifecycle, LifecycleState
from shared.monitoring._loop import EventLoopMonitor
from shared.monitoring._metric_collect import Reading
from shared.monitoring._metric_definition import DURATION_BUCKETS, MetricDefinition
from shared.monitoring._metric_family import Counter, Gauge, Histogram
from shared.monitoring._metrics import Metrics
from shared.monitoring._monitor import monitor_api_call, monitor_task_execution
from shared.monitoring._notify import EmailNotifier, Notifier, WebhookNotifier, log_notifier
from shared.monitoring._otel import OpenTelemetryBridge
from shared.monitoring._performance import PerformanceRecorder
from shared.monitoring._process_metrics import ProcessMetrics, build_info
from shared.monitoring._registry import HealthRegistry
from shared.monitoring._report import HealthReport
from shared.monitoring._request_tracing import RequestTracing
from shared.monitoring._resilience_metrics import ResilienceMetrics
from shared.monitoring._rollup import Rollup, RollupKey, bound_of, bucket_of
from shared.monitoring._rollup_store import MemoryRollupStore, RollupStore
from shared.monitoring._room_metrics import (
    AIMetrics,
    BusinessMetrics,
    CacheMetrics,
    DatabaseMetrics,
    FlagMetrics,
    JobMetrics,
)
from shared.monitoring._rules import render_alertmanager, render_rules
from shared.monitoring._sentry import SentryReporter, scrub_sentry_event
from shared.monitoring._signals import DrainOnSignal
from shared.monitoring._slo import (
    SLI,
    SLO,
    BurnWindow,
    Selector,
    availability,
    latency,
    seconds_of,
    task_success,
)
from shared.monitoring._span import FinishedSpan, Span, SpanKind
from shared.monitoring._span_export import BatchExporter, OtlpSender
from shared.monitoring._supplier_metrics import EmailMetrics, PaymentMetrics
from shared.monitoring._tracer import SpanExporter, Tracer, is_sampled

__all__ = [
    "DURATION_BUCKETS",
    "SLI",
    "SLO",
    "AIMetrics",
    "Alert",
    "AlertEvaluator",
    "BatchExporter",
    "BurnRateAlert",
    "BurnWindow",
    "BusinessMetrics",
    "CacheMetrics",
    "CheckCallable",
    "CheckChanged",
    "CheckOutcome",
    "CheckResult",
    "Counter",
    "DatabaseMetrics",
    "DegradationAlert",
    "DetailPolicy",
    "DrainFinished",
    "DrainOnSignal",
    "EmailMetrics",
    "EmailNotifier",
    "ErrorFrame",
    "ErrorReport",
    "ErrorReporter",
    "ErrorTracker",
    "EventLoopMonitor",
    "FileLeaderLock",
    "Finding",
    "FinishedRequest",
    "FinishedSpan",
    "FlagMetrics",
    "Gauge",
    "HealthChanged",
    "HealthCheck",
    "HealthEndpoints",
    "HealthRegistry",
    "HealthReport",
    "HealthSource",
    "HealthStatus",
    "Histogram",
    "HttpAnswer",
    "HttpMetrics",
    "JobMetrics",
    "LeaderLock",
    "LeaseLeaderLock",
    "Lifecycle",
    "LifecycleChanged",
    "LifecycleState",
    "MemoryRollupStore",
    "MetricDefinition",
    "Metrics",
    "Notification",
    "Notifier",
    "OpenTelemetryBridge",
    "OtlpSender",
    "PaymentMetrics",
    "PerformanceRecorder",
    "ProcessMetrics",
    "ReadinessChanged",
    "Reading",
    "ReportOnSignal",
    "RequestTracing",
    "ResilienceMetrics",
    "Rollup",
    "RollupKey",
    "RollupStore",
    "RuntimeReport",
    "Selector",
    "SentryReporter",
    "Severity",
    "Span",
    "SpanExporter",
    "SpanKind",
    "ThresholdAlert",
    "Tracer",
    "WebhookNotifier",
    "availability",
    "bound_of",
    "bucket_of",
    "build_info",
    "cleanup_old_metrics",
    "disk_check",
    "get_error_tracker",
    "get_health_registry",
    "get_health_status",
    "get_lifecycle",
    "get_metrics",
    "get_performance_metrics",
    "get_performance_recorder",
    "get_tracer",
    "health_metrics",
    "is_sampled",
    "latency",
    "log_notifier",
    "memory_check",
    "monitor_api_call",
    "monitor_task_execution",
    "render_alertmanager",
    "render_dashboard",
    "render_rules",
    "scrub_sentry_event",
    "seconds_of",
    "task_success",
    "threshold_check",
]
