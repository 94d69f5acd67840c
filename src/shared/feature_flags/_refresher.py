"""Keeps what is in force as new as the store: with a thread, after a fork, and without any thread."""

import contextlib
import logging
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from shared.errors import ConfigurationError, InvalidArgumentError, SharedError
from shared.feature_flags._events import FlagStoreFailed
from shared.feature_flags._fork_gate import ForkGate
from shared.feature_flags._last_known_good import LastKnownGood
from shared.feature_flags._model import FlagDocument
from shared.feature_flags._store import FlagStore
from shared.runtime import Events, after_fork_in_child, current

__all__ = ["FlagRefresher", "RefreshStatus"]

_log: Final = logging.getLogger("shared.feature_flags")
_SLICE: Final = 0.5  # seconds after which a thread notices that it is to end
_REST: Final = 0.02  # seconds between two looks, however many hints there are
_STALE_AFTER: Final = 3  # intervals without a word from the store
_JITTER: Final = 0.1  # share of the interval
_PATIENCE: Final = 30.0  # seconds an explicit refresh waits for one under way


@dataclass(frozen=True, slots=True)
class RefreshStatus:
    """How new what is in force is.

    Attributes:
        revision: In force; None before anything was.
        source: ``store``, ``disk`` (the last known good) or ``none``.
        age: Seconds since the store last confirmed it; None while it never did.
        failures: Looks in a row that failed.
        error: Why the newest look failed; None when it did not.
        cause: ``unavailable``, ``refused`` (a bad document) or ``empty`` (it lost what it held).
        failed: Looks that failed since the beginning, by cause.

    Example:
        >>> RefreshStatus(revision=3, source="store", age=0.5).is_current
        True
    """

    revision: int | None = None
    source: Literal["store", "disk", "none"] = "none"
    age: float | None = None
    failures: int = 0
    error: str | None = None
    cause: Literal["unavailable", "refused", "empty"] | None = None
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_current(self) -> bool:
        """Whether the newest look at the store went well."""
        return self.source == "store" and self.error is None


class FlagRefresher:
    """Asks a store whether there is a newer revision, and puts it in force.

    A document that is not valid is refused whole, a store that is down or comes back empty
    changes nothing: what was in force stays so, ``FlagStoreFailed`` is told once, and the
    next look comes as usual. Nothing here raises. While nothing was in force yet, the last
    known good is taken from disk.

    A daemon thread looks, on every hint of the store and at the latest every *every*
    seconds. It is started with the first :meth:`poke` and again in a forked child. Where
    threads do not run, :meth:`poke` looks itself: call it whenever :attr:`due_at` has
    passed, as evaluation does.

    Args:
        store: What is asked.
        install: Puts a document in force, or raises a :class:`~shared.errors.SharedError`
            and changes nothing. Gets ``state`` (``live``, or ``stale`` for what the store does
            not confirm any more), and ``actor`` and ``reason`` of the newest change.
        every: Seconds between two looks, a tenth more or less; >= 0.01.
        last_known_good: Where to keep what was last in force.
        threads: Whether a thread may be started.
        on_thread: Told with ``needed`` whether every evaluation must call :meth:`check`: not
            while a thread runs.
        events: Who hears ``FlagStoreFailed``; those of the current runtime when None.
        clock: Monotonic seconds.
        draw: Gives numbers in ``[0, 1)``.

    Raises:
        InvalidArgumentError: *every* is out of range.

    Example:
        >>> from shared.feature_flags import Flag, FlagChanges, MemoryFlagStore
        >>> store, seen = MemoryFlagStore(), []
        >>> refresher = FlagRefresher(store, lambda found, **_: seen.append(found), threads=False)
        >>> _ = store.apply(FlagChanges({"beta": Flag("beta")}), actor="ada")
        >>> refresher.refresh(), [document.revision for document in seen], refresher.status().source
        (True, [1], 'store')
        >>> refresher.close()
    """

    def __init__(
        self,
        store: FlagStore,
        install: Callable[..., object],
        *,
        every: float = 15.0,
        last_known_good: LastKnownGood | None = None,
        threads: bool = True,
        on_thread: Callable[..., object] | None = None,
        events: Events | None = None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if not 0.01 <= every <= 86_400:
            msg = f"every is 0.01 to 86400 seconds, got {every!r}"
            raise InvalidArgumentError(msg)
        self.store: FlagStore = store
        self.every: float = every
        self.due_at: float = 0.0
        """When somebody must look, in seconds of the clock."""
        self._install = install
        self._kept = last_known_good
        self._threads = threads
        self._on_thread = on_thread or _unheard
        self._events = events
        self._clock = clock
        self._draw = draw
        self._document: FlagDocument | None = None
        self._revision: int | None = None
        self._is_stale = False
        self._source: Literal["store", "disk", "none"] = "none"
        self._confirmed_at: float | None = None
        self._refused: int | None = None
        self._began = False
        self._failures = 0
        self._failed = dict.fromkeys(("unavailable", "refused", "empty"), 0)
        self._error: str | None = None
        self._cause: Literal["unavailable", "refused", "empty"] | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._gate = ForkGate()
        self._looking = threading.Lock()
        self._looker: int | None = None
        after_fork_in_child(self)

    # -- for who evaluates -----------------------------------------------------------------

    def check(self) -> None:
        """Call :meth:`poke` when it is time."""
        if self._clock() >= self.due_at:
            self.poke()

    def poke(self) -> None:
        """See that somebody looks: start the thread, or look here when it does not run.

        Cheap while a look is under way; to be called when :attr:`due_at` has passed. The very
        first look is taken here, so that the first evaluation knows what the store says.
        """
        if self._stop.is_set():
            self.due_at = float("inf")
            return
        if not self._began:
            self.refresh()
        if self._threads and (self._thread is None or not self._thread.is_alive()):
            self.due_at = self._clock() + 2 * self.every
            if self._start():
                return
        self.due_at = self._clock() + self.every
        self._try_look()

    def refresh(self) -> bool:
        """Look at the store now; tell whether something else is in force. Never raises.

        Waits for a look that is under way, and tries a document that was refused again.
        """
        if self._looker == threading.get_ident():  # called by a listener to what it just installed
            return False
        if not self._looking.acquire(timeout=_PATIENCE):
            return False
        try:
            self._refused = None
            return self._look()
        finally:
            self._done()

    def status(self) -> RefreshStatus:
        """Return how new what is in force is."""
        confirmed = self._confirmed_at
        age = None if confirmed is None else max(0.0, self._clock() - confirmed)
        failed = dict(self._failed)
        return RefreshStatus(
            self._revision, self._source, age, self._failures, self._error, self._cause, failed
        )

    def close(self) -> None:
        """End the thread; what is in force stays so. The store is not closed. Safe to call twice."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=_PATIENCE)

    def after_fork(self) -> None:
        """Begin anew; the next :meth:`poke` starts a thread. Called in a forked child."""
        stopped = self._stop.is_set()
        self._stop = threading.Event()
        if stopped:
            self._stop.set()
        self._looking, self._looker = threading.Lock(), None
        self._thread = None
        self.due_at = 0.0
        self._on_thread(needed=True)

    # -- the thread ------------------------------------------------------------------------

    def _start(self) -> bool:
        name = f"flags-refresher-{id(self):x}"
        thread = threading.Thread(target=_run, args=(weakref.ref(self), self._stop), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started here: look without one
            self._threads = False
            return False
        self._thread = thread
        return True

    def _turn(self) -> float:
        """Look, and return the seconds until the next one is due."""
        self._try_look(told=True)
        pause = self.every * (1 + _JITTER * (2 * self._draw() - 1))
        # Passes only when this thread is held up, or not there any more.
        self.due_at = self._clock() + 2 * self.every
        return pause

    def _try_look(self, *, told: bool = False) -> None:
        if self._looking.acquire(blocking=False):
            try:
                if told:  # by the thread: nobody else needs to look
                    self._on_thread(needed=False)
                self._look()
            finally:
                self._done()

    def _done(self) -> None:
        self._looker = None
        self._looking.release()

    # -- one look --------------------------------------------------------------------------

    def _look(self) -> bool:
        self._looker, self._began = threading.get_ident(), True
        try:
            with self._gate:
                revision = self.store.revision()
            if revision == self._revision and self._source == "store":
                self._confirm()
                return False
            if revision == self._refused:
                return False
            with self._gate:
                document = self.store.load()
        except ConfigurationError as exc:
            return self._fail(exc, "refused")
        except Exception as exc:  # noqa: BLE001 - evaluation goes on whatever a store does
            return self._fail(exc, "unavailable")
        if document.revision == 0 and (self._revision or 0) > 0:
            return self._fail(f"{self.store.shown} came back empty", "empty")
        try:
            self._put(document, "live")
        except Exception as exc:  # noqa: BLE001 - refused whole, whatever is wrong with it
            self._refused = document.revision
            return self._fail(exc, "refused")
        self._revision, self._source = document.revision, "store"
        self._document = document
        self._confirm()
        self._keep(document)
        return True

    def _confirm(self) -> None:
        self._confirmed_at = self._clock()
        if self._is_stale and self._document is not None:
            with contextlib.suppress(SharedError):
                self._install(self._document, state="live", actor=None, reason=None)
                self._is_stale = False
        if self._error is not None:
            _log.info("flags are read from %s again", self.store.shown)
        self._failures, self._error, self._cause = 0, None, None
        self._refused = None

    def _fail(self, error: Exception | str, cause: Literal["unavailable", "refused", "empty"]) -> bool:
        """Note a look that failed; told when it is not what failed before."""
        shown = str(error) if isinstance(error, (SharedError, str)) else type(error).__name__
        is_new = (cause, shown) != (self._cause, self._error)
        self._failures += 1
        self._failed[cause] += 1
        self._error, self._cause = shown, cause
        if is_new:
            _log.warning("flags stay as they are: %s", shown, extra={"cause": cause})
            events = self._events if self._events is not None else current().events
            events.emit(FlagStoreFailed(shown, refused=cause == "refused"))
        if self._revision is None:
            return self._from_disk()
        self._grow_stale()
        return False

    def _grow_stale(self) -> None:
        """Mark what is in force when the store has not confirmed it for long."""
        age = self.status().age
        if self._is_stale or self._document is None or age is None or age <= _STALE_AFTER * self.every:
            return
        with contextlib.suppress(SharedError):  # it was in force: it compiles
            self._install(self._document, state="stale", actor=None, reason=None)
            self._is_stale = True

    def _put(self, document: FlagDocument, state: Literal["live", "stale"]) -> None:
        """Put *document* in force, with who changed it last and why."""
        actor = reason = None
        with contextlib.suppress(Exception):  # nice to know, and no more
            with self._gate:
                newest = self.store.history(limit=1)
            if newest and self._revision is not None:
                actor, reason = newest[0].actor, newest[0].reason
        self._install(document, state=state, actor=actor, reason=reason)
        self._is_stale = state == "stale"

    # -- the last known good ---------------------------------------------------------------

    def _from_disk(self) -> bool:
        if self._kept is None:
            return False
        try:
            document = self._kept.load()
            if document is None:
                return False
            self._install(document, state="stale", actor=None, reason=None)
        except Exception as exc:  # noqa: BLE001 - there are still the defaults in code
            _log.warning("the last known flags cannot be used: %s", _shown(exc))
            return False
        self._revision, self._source = document.revision, "disk"
        self._document, self._is_stale = document, True
        return True

    def _keep(self, document: FlagDocument) -> None:
        if self._kept is not None:
            try:
                self._kept.save(document)
            except SharedError as exc:
                _log.warning("%s", exc)


def _unheard(*, needed: bool) -> None:
    del needed


def _shown(error: Any) -> str:
    return str(error) if isinstance(error, SharedError) else type(error).__name__


def _run(reference: "weakref.ref[FlagRefresher]", stop: threading.Event) -> None:
    """Look until told to end, or nobody holds the refresher any more."""
    while not stop.is_set():
        refresher = reference()
        if refresher is None:
            return
        store, until = refresher.store, time.monotonic() + refresher._turn()  # noqa: SLF001
        del refresher
        while not stop.is_set() and reference() is not None and (left := until - time.monotonic()) > 0:
            began = time.monotonic()
            piece = min(left, _SLICE)
            if _hinted(store, piece):
                break
            stop.wait(max(0.0, piece - (time.monotonic() - began)))
        stop.wait(_REST)


def _hinted(store: FlagStore, timeout: float) -> bool:
    try:
        return store.wait_hint(timeout)
    except Exception:  # noqa: BLE001 - without hints the interval is what counts
        _log.debug("%s gives no hints: changes are seen at the interval", store.shown, exc_info=True)
        return False
