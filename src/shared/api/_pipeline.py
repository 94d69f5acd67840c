"""The compiled request layer of one application, as its users see it."""

import time
from collections.abc import Callable, Iterable

from shared.api._exchange import RequestFinished
from shared.api._jobs import AccessSink, InFlight, Job
from shared.api._options import LayerOptions
from shared.api._plan import Plan
from shared.runtime import Runtime

__all__ = ["Pipeline"]


class Pipeline(Plan):
    """The compiled plan of one application's request layer.

    Args:
        options: What to do.
        runtime: Made current during each request; the one in force when None.
        access: Where access lines go; :class:`shared.logging.AccessLog` of the
            runtime when None and the options ask for a log.
        jobs: Further jobs, in the order in which they decide.
        observers: Called with :class:`RequestFinished` after each exchange.
        in_flight: Told of each exchange from its first to its last moment; may be set later.
        clock: Monotonic seconds.

    Thread-safe; holds no state of any request.

    Example:
        >>> pipeline = Pipeline(LayerOptions(max_body_bytes=1000))
        >>> stop = pipeline.observe(lambda event: print(event.method, event.route, event.status))
        >>> stop()
    """

    def __init__(
        self,
        options: LayerOptions | None = None,
        *,
        runtime: Runtime | None = None,
        access: AccessSink | None = None,
        jobs: Iterable[Job] = (),
        observers: Iterable[Callable[[RequestFinished], object]] = (),
        in_flight: InFlight | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(
            options,
            runtime=runtime,
            access=access,
            jobs=jobs,
            observers=observers,
            in_flight=in_flight,
            clock=clock,
        )

    def observe(self, observer: Callable[[RequestFinished], object]) -> Callable[[], None]:
        """Call *observer* with :class:`RequestFinished` after each exchange from now on.

        Returns:
            A function that ends it; calling it again does nothing.
        """
        self._observers = (*self._observers, observer)

        def stop() -> None:
            self._observers = tuple(other for other in self._observers if other is not observer)

        return stop
