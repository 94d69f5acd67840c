"""What flags tell and are told: use, exposures, events of users, changes."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from shared.feature_flags._bucket import unit_id
from shared.feature_flags._detail import Detail
from shared.feature_flags._engine import Engine
from shared.feature_flags._events import FlagsChanged, FlagTracked
from shared.feature_flags._scope import block_of
from shared.feature_flags._usage import FlagUse, Meter
from shared.runtime import Events

if TYPE_CHECKING:
    from shared.feature_flags._refresher import RefreshStatus
    from shared.monitoring import Metrics

__all__ = ["Telling"]


class Telling:
    """The part of ``Flags`` that decides nothing."""

    if TYPE_CHECKING:

        def refresh_status(self) -> RefreshStatus: ...

    events: Events
    _engine: Engine
    _stops: list[Callable[[], object]]

    def details(self, context: Any = None, *, keys: Iterable[str] | None = None) -> dict[str, Detail]:
        """Return the answer of every flag, or of *keys*, for one context; not counted as evaluations.

        A required flag that cannot be evaluated has its ``error_code``; a key nobody knows is
        left out.

        Example:
            >>> from shared.feature_flags import Flags
            >>> Flags({"beta": True, "menu": False}).details(keys=["beta"])["beta"].reason
            'STATIC'
        """
        return self._engine.details(context, self._engine.snapshot if keys is None else keys)

    def usage(self) -> list[FlagUse]:
        """Return how often each flag yielded what in this process, since it began.

        Example:
            >>> from shared.feature_flags import Flags
            >>> Flags({"beta": True}).usage()
            []
        """
        return self._engine.counters.read()

    def measure(self, metrics: "Metrics") -> Callable[[], None]:
        """Show evaluations, changes and the age of what is in force in *metrics*; return what ends it.

        Evaluations are counted here and handed over when metrics are collected: counting
        costs no more than an increment. It ends with :meth:`close`, too.

        Example:
            >>> from shared.feature_flags import Flags
            >>> from shared.monitoring import Metrics
            >>> metrics, flags = Metrics(), Flags({"beta": True})
            >>> stop = flags.measure(metrics)
            >>> flags.is_enabled("beta")
            True
            >>> stop()
            >>> metrics.value("feature_flag_evaluations_total", {
            ...     "feature_flag_key": "beta", "feature_flag_result_variant": "on",
            ...     "feature_flag_result_reason": "STATIC"})
            1.0
        """
        meter = Meter(self._engine.counters, metrics)
        heard = self.events.subscribe(FlagsChanged, meter.changed)
        age = metrics.gauge(
            "flags_snapshot_age",
            "Since the store last confirmed the flags in force.",
            unit="seconds",
            mode="max",
        )

        failures = metrics.counter("flags_refresh_failures", "Looks at the store that failed.", ("cause",))
        told: dict[str, int] = {}

        def look() -> None:
            status = self.refresh_status()
            if status.age is not None:
                age.set(status.age)
            for cause, count in status.failed.items():
                failures.labels(cause).inc(max(0, count - told.get(cause, 0)))
                told[cause] = count

        remove = metrics.before_collection(look)

        def stop() -> None:
            remove()
            heard()
            meter.stop()

        self._stops.append(stop)
        return stop

    def track(self, event: str, context: Any = None, *, value: float | None = None, **fields: Any) -> None:
        """Tell listeners of ``FlagTracked`` that something happened which experiments count.

        Args:
            event: Its name.
            context: As :meth:`is_enabled`; its ``user_id`` is whose event it is.
            value: How much, where it is a quantity.
            fields: Anything else.

        Example:
            >>> from shared.feature_flags import Flags
            >>> from shared.runtime import Events
            >>> events = Events()
            >>> stop = events.subscribe(FlagTracked, lambda told: print(told.event, told.unit))
            >>> Flags(events=events).track("order_placed", "u-1", value=12.5)
            order_placed u-1
        """
        self.events.emit(FlagTracked(event, self.unit(context), value, fields))

    def unit(self, context: Any = None) -> str | None:
        """Return the id of the user that *context*, or the request, is about; None for nobody.

        Example:
            >>> from shared.feature_flags import Flags
            >>> Flags().unit({"user_id": 7}), Flags().unit()
            ('7', None)
        """
        return unit_id(self._engine.attributes(context, block_of(self._engine.counters)).get("user_id"))

    def feedback(
        self,
        key: str,
        variant: str | None = None,
        *,
        unit: Any = None,
        score: int | None = None,
        text: str | None = None,
    ) -> None:
        """Keep what somebody says about a feature, in the current runtime's log.

        As :func:`shared.feature_flags.feedback`, for these flags.

        Raises:
            InvalidArgumentError: Neither score nor text is given, something is out of range,
                or nobody is known.
            SharedError: The database could not take it.

        Example:
            >>> from shared.feature_flags import Flags
            >>> Flags({"new_menu": True}).feedback("new_menu", score=5)
            Traceback (most recent call last):
                ...
            shared.errors.InvalidArgumentError: feedback needs a unit: nobody is known in this request
        """
        from shared.feature_flags._adoption_accessors import keep_feedback

        keep_feedback(self, key, variant, unit=unit, score=score, text=text)

    def on_change(
        self, listener: Callable[[FlagsChanged], object], *, key: str | None = None
    ) -> Callable[[], None]:
        """Call *listener* after each change, of one flag or of any; return what ends it.

        Example:
            >>> from shared.feature_flags import Flag, FlagDocument, Flags
            >>> flags = Flags([Flag("beta")])
            >>> stop = flags.on_change(lambda change: print(change.keys), key="beta")
            >>> _ = flags.swap(FlagDocument({"beta": Flag("beta", default=True)}, revision=1))
            ('beta',)
            >>> stop()
        """

        def hear(change: FlagsChanged) -> None:
            if key is None or key in change.keys:
                listener(change)

        return self.events.subscribe(FlagsChanged, hear)
