"""Join feature flags: the same for the length of a request or a task, in health, metrics and the log."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from shared.api import Job
from shared.logging import get_logger
from shared.service._adoption import keep_adoption
from shared.service._alerts import leader_of
from shared.service._explain import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.api import Exchange, RequestFinished
    from shared.feature_flags import FlagsChanged
    from shared.service._service import Service

__all__ = ["FLAGS", "add_flags", "flags_scope"]

FLAGS: Final = (
    "feature flags stay the same for the length of a request; changes logged, and told to the webhook"
)
_SETTINGS: Final = (
    "FLAGS_STORE_URL",
    "FLAGS_FILE",
    "FLAGS_REFRESH_SECONDS",
    "FLAGS_LAST_KNOWN_GOOD",
    "FLAGS_STRICT",
    "FLAGS_ENV_OVERRIDES",
    "FLAGS_ADOPTION",
)
_ROOM: Final = "shared.feature_flags"


def add_flags(service: "Service") -> Part:
    """Pin flags in requests, in the layer that is about to be installed; return what to note.

    A service that never imports the room pays for one look-up per request.
    """
    if "feature_flags" in service.without:
        return Part("feature_flags", FLAGS, enabled=False, reason="without='feature_flags'")
    service.jobs.insert(0, _FlagsJob())
    service.on_start(lambda: _begin(service))
    return Part("feature_flags", FLAGS, settings=service.show(*_SETTINGS))


def add_worker_flags(service: "Service") -> None:
    """The same for a worker, whose tasks :func:`flags_scope` surrounds."""
    if service.wants("feature_flags", FLAGS):
        service.on_start(lambda: _begin(service))
        service.note(Part("feature_flags", FLAGS, settings=service.show(*_SETTINGS)))


def flags_scope(service: "Service") -> AbstractContextManager[Any]:
    """Return a block in which flags stay, for one piece of work of a worker."""
    if "feature_flags" in service.without or _ROOM not in sys.modules:
        return nullcontext()
    from shared.feature_flags import get_flags

    return get_flags().request_scope()


class _FlagsJob(Job):
    """Begins a scope with every request and ends it with the answer."""

    def on_request(self, exchange: "Exchange") -> None:
        """Pin the flags in force; a websocket may live for days and is left alone."""
        if _ROOM in sys.modules and exchange.protocol != "websocket":
            from shared.feature_flags import get_flags

            get_flags().begin_request()

    def on_finish(self, event: "RequestFinished") -> None:
        """End the scope, where it began on this thread."""
        if _ROOM in sys.modules and event.protocol != "websocket":
            from shared.feature_flags import get_flags

            get_flags().end_request()


def _begin(service: "Service") -> "Callable[[], None] | None":
    """Build the flags at start-up, so that a wrong variable stops the start and not a request."""
    configured = service.is_set("FLAGS_STORE_URL", "FLAGS_FILE", "FLAGS_STRICT", "FLAGS_ADOPTION")
    if _ROOM not in sys.modules and not configured:
        return None
    from shared.feature_flags import FlagsChanged, get_flags

    flags = get_flags()
    flags.refresh()
    log = get_logger(_ROOM)

    def changed(event: "FlagsChanged") -> None:
        log.info(
            "flags changed",
            revision=event.revision,
            flags=list(event.keys[:50]),
            actor=event.actor,
            reason=event.reason,
        )

    forget = keep_adoption(service, flags)
    unsubscribe = service.runtime.events.subscribe(FlagsChanged, changed)
    stop_telling = _tell_changes(service)
    watched = flags.is_following
    if watched:
        service.health.add("feature_flags", flags.check, critical=False)

    def end() -> None:
        forget()
        unsubscribe()
        stop_telling()
        if watched:
            service.health.remove("feature_flags")

    return end


def _tell_changes(service: "Service") -> "Callable[[], None]":
    """Post changes, signed, to the webhook of the alerts where there is one; by one process of the fleet."""
    section = service.settings.monitoring
    if section.ALERT_WEBHOOK_URL is None or section.ALERT_WEBHOOK_SECRET is None:
        return lambda: None
    from shared.feature_flags import FlagChangeNotifier
    from shared.monitoring import Metrics, WebhookNotifier

    secret = section.ALERT_WEBHOOK_SECRET.get_secret_value()
    leader = leader_of(service, service.runtime.find(Metrics), "flag-changes")
    notifier = FlagChangeNotifier(
        WebhookNotifier(str(section.ALERT_WEBHOOK_URL), secret=secret),
        service=service.settings.app.SERVICE_NAME,
        leader=leader,
        events=service.runtime.events,
    )

    def stop() -> None:
        notifier.close()
        leader.close()

    return stop
