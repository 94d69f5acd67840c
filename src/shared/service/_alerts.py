"""Join the alerts to a service: judged by its metrics, told to its webhook, by one of its processes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from shared.errors import ConfigurationError
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.monitoring import SLO, Alert, FileLeaderLock, LeaseLeaderLock, Metrics, Notifier
    from shared.service._service import Service

__all__ = ["add_alerts", "leader_of"]

_DOES: Final = "alerts looked at by the service itself; health told when it changes"
_SHOWN: Final = ("ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET", "ALERT_INTERVAL_SECONDS")


def add_alerts(service: "Service", given: "Iterable[Alert | SLO]") -> None:
    """Look at *given* while the service runs; without any, tell of health where there is a webhook."""
    if not service.wants("alerts", _DOES):
        return
    alerts = tuple(given)
    if not alerts and service.settings.monitoring.ALERT_WEBHOOK_URL is None:
        reason = "no alerts given, ALERT_WEBHOOK_URL is not set"
        service.note(Part("alerts", _DOES, enabled=False, reason=reason))
        return
    from shared.monitoring import AlertEvaluator, Metrics

    metrics = service.runtime.find(Metrics)
    if metrics is None:
        raise ConfigurationError("alerts are judged by the metrics: switch METRICS_ENABLED on, or give none")
    leader = leader_of(service, metrics, "alerts")
    evaluator = AlertEvaluator(
        alerts,
        metrics=metrics,
        notifiers=_notifiers(service),
        service=service.settings.app.SERVICE_NAME,
        leader=leader,
        interval=service.settings.monitoring.ALERT_INTERVAL_SECONDS,
    )
    service.runtime.replace(AlertEvaluator, service.keep(AlertEvaluator, evaluator))
    service.on_dismantle(evaluator.watch_health(service.runtime.events))

    def begin() -> Any:
        evaluator.start()
        return end

    def end() -> None:
        evaluator.close()
        leader.close()

    service.on_start(begin)
    service.note(Part("alerts", _DOES, settings=service.show(*_SHOWN)))


def _notifiers(service: "Service") -> "list[Notifier]":
    from shared.monitoring import WebhookNotifier, log_notifier

    section = service.settings.monitoring
    if section.ALERT_WEBHOOK_URL is None:
        return [log_notifier]
    if section.ALERT_WEBHOOK_SECRET is None:
        raise ConfigurationError("ALERT_WEBHOOK_URL needs ALERT_WEBHOOK_SECRET: the receiver must know us")
    secret = section.ALERT_WEBHOOK_SECRET.get_secret_value()
    return [log_notifier, WebhookNotifier(str(section.ALERT_WEBHOOK_URL), secret=secret)]


def leader_of(service: "Service", metrics: "Metrics | None", what: str) -> "_GroupLeader | LeaseLeaderLock":
    """Return who tells: one process of the fleet where a Redis is set, else one of this machine."""
    from shared.cache import Lock, is_redis_url, lock_store
    from shared.monitoring import LeaseLeaderLock

    url = service.settings.redis.url
    if url is None or not is_redis_url(str(url)):
        return _GroupLeader(metrics, what)
    lock = Lock(f"{what}:{service.settings.app.SERVICE_NAME}", store=lock_store(str(url)))
    return LeaseLeaderLock(lock)


class _GroupLeader:
    """The first of the processes that share the metrics; a process without others leads itself."""

    def __init__(self, metrics: "Metrics | None", what: str = "alerts") -> None:
        self._metrics = metrics
        self._what = what
        self._lock: FileLeaderLock | None = None

    def acquire(self) -> bool:
        """Return whether this process tells."""
        if self._lock is None:
            folder = None if self._metrics is None else self._metrics.directory
            if folder is None:
                return True
            from shared.monitoring import FileLeaderLock

            self._lock = FileLeaderLock(folder / f"{self._what}.leader")
        return self._lock.acquire()

    def close(self) -> None:
        """Let another process tell."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()
