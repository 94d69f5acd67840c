"""Cache-aside: one caller loads, the others are given what it loaded."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

from shared.cache._core import MISSING, CacheCore
from shared.cache._flight import Flight
from shared.cache._frame import Frame, FrameError
from shared.cache._keys import check_key
from shared.cache._memory import Entry
from shared.cache._options import Storing
from shared.cache._steps import Aside, Follow, Landing, Load, Pause, Plan
from shared.errors import InfrastructureError

__all__ = ["load_or_read"]

_FIRST_PAUSE = 0.01  # seconds between looks at another process's load
_LONGEST_PAUSE = 0.1

Loader = Callable[[], Any]
_NOTHING = Landing(None)  # nothing was loaded


def load_or_read(core: CacheCore, key: str, loader: Loader, how: Storing, owner: object) -> Plan[Any]:
    """Return the value of *key*, loading it when nobody has; a fresh copy in memory was not found.

    Args:
        core: The cache.
        key: Of the value.
        loader: Loads it.
        how: How it is kept.
        owner: The thread or task that asks.
    """
    check_key(key)
    entry = core.memory.find(key, core.clock())
    if entry is not None:  # it has grown stale
        value = core.value(entry, how.serializer)
        if value is not MISSING:
            core.tally.add("memory_hits")
            core.tally.add("stale_hits")
            yield Aside(partial(_refresh, core, key, loader, how), behind=True)
            return value
    while True:
        flight, leads = core.flights.join(key, how.tags, owner)
        if leads:
            return (yield from _lead(core, flight, loader, how))
        if flight.owner == owner:  # the loader asks for what it loads
            return (yield from _load(core, loader))
        landing = yield Follow(flight, core.options.wait)
        if landing is None:
            return (yield from _load(core, loader))
        value = MISSING
        if landing.kept is not None:
            value = core.value(landing.kept, how.serializer)
        if value is not MISSING:
            core.tally.add("misses")
            core.tally.add("loads_prevented")
            return value


def _load(core: CacheCore, loader: Loader) -> Plan[Any]:
    core.tally.add("loads")
    began = core.clock()
    try:
        return (yield Load(loader))
    except BaseException:
        core.tally.add("load_failures")
        raise
    finally:
        if core.on_load is not None:
            core.on_load(core.clock() - began)


def _lead(core: CacheCore, flight: Flight, loader: Loader, how: Storing) -> Plan[Any]:
    """Read or load for everybody who follows *flight*."""
    try:
        value, landing = yield from _find_or_load(core, flight, loader, how)
    except Exception as exc:
        core.flights.land(flight, _failure(exc))
        raise
    except BaseException:  # cancelled: those who follow were not
        core.flights.land(flight, _success(_NOTHING))
        raise
    core.flights.land(flight, _success(landing))
    if isinstance(landing.kept, Entry) and core.clock() >= landing.kept.stale_at:
        core.tally.add("stale_hits")
        yield Aside(partial(_refresh, core, flight.key, loader, how), behind=True)
    return value


def _success(landing: Landing) -> Callable[["Future[Any]"], object]:
    return lambda future: future.set_result(landing)


def _failure(error: Exception) -> Callable[["Future[Any]"], object]:
    return lambda future: future.set_exception(error)


def _find_or_load(core: CacheCore, flight: Flight, loader: Loader, how: Storing) -> Plan[tuple[Any, Landing]]:
    key = flight.key
    value = core.near(key, how.serializer, fresh=True)
    entry = core.memory.find(key, core.clock())
    if value is not MISSING and entry is not None:  # stored since the caller looked
        return value, Landing(entry)
    fill = core.memory.expect(key)
    try:
        found, value, token = yield from _ask_remote(core, key, fill, how)
        if found is not None:
            core.tally.add("remote_hits")
            return value, Landing(found)
        core.tally.add("misses")
        return (yield from _load_and_keep(core, flight, loader, how, fill=fill, token=token))
    finally:
        core.memory.forget(fill)


def _ask_remote(core: CacheCore, key: str, fill: Any, how: Storing) -> Plan[tuple[Entry | None, Any, str]]:
    """Return what Redis has, or the token of the lease under which to load; neither without Redis."""
    if core.remote is None:
        return None, MISSING, ""
    try:
        entry, value = yield from core.fetch(key, fill, how.serializer)
        if entry is not None:
            return entry, value, ""
        return (yield from _await_lease(core, key, fill, how))
    except InfrastructureError:
        core.failed()
        entry = core.memory.find(key, core.clock(), unchecked=True)
        if entry is not None:
            value = core.value(entry, how.serializer)
            if value is not MISSING:
                return entry, value, ""
        return None, MISSING, ""


def _await_lease(core: CacheCore, key: str, fill: Any, how: Storing) -> Plan[tuple[Entry | None, Any, str]]:
    """Become the one process that loads *key*, or wait for what another one loads."""
    remote = core.remote
    assert remote is not None  # noqa: S101  # nosec B101 - for the type checker
    token, pause = os.urandom(12).hex(), _FIRST_PAUSE
    give_up = core.clock() + core.options.wait
    waited = False
    while True:
        taken, data = yield from remote.take_lease(key, token)
        try:
            entry, value = core.keep((yield from remote.valid(data)), fill, how.serializer)
        except FrameError:
            core.tally.add("unreadable")
            entry, value = None, MISSING
        if entry is not None:
            if taken:
                yield from remote.fill(key, token)
            if waited:
                core.tally.add("loads_prevented")
            return entry, value, ""
        if taken:
            return None, MISSING, token
        if core.clock() >= give_up:
            yield from remote.steal_lease(key, token)
            return None, MISSING, token
        waited = True
        yield Pause(pause * (0.5 + core.rng() / 2))
        pause = min(_LONGEST_PAUSE, pause * 2)


def _load_and_keep(
    core: CacheCore, flight: Flight, loader: Loader, how: Storing, *, fill: Any, token: str
) -> Plan[tuple[Any, Landing]]:
    # The versions are those from before the load: an invalidation during it must win.
    versions, token = yield from _versions(core, how, token)
    try:
        value = yield from _load(core, loader)
        ttl = how.ttl if value is not None else how.negative_ttl
        payload = core.encode(value, how)
    except GeneratorExit:
        raise
    except BaseException:
        if token:
            yield Aside(partial(_give_back, core, flight.key, token), behind=False)
        raise
    kept = how if value is not None else replace(how, stale=0.0)
    frame = core.frame(payload, kept, versions, how.ttl if ttl is None else ttl)
    if ttl is None or not core.fits(payload):
        if token:
            yield from _give_back(core, flight.key, token)
    elif (yield from _fill_remote(core, flight.key, token, frame)):
        core.memory.put(fill, core.entry(frame))
    copy = core.value(frame, how.serializer)  # what a hit would give: the first caller sees no other type
    return (value if copy is MISSING else copy), Landing(frame)


def _versions(core: CacheCore, how: Storing, token: str) -> Plan[tuple[Any, str]]:
    plain = tuple((tag, b"") for tag in how.tags)
    if core.remote is None or not token:
        return plain, token
    try:
        return (yield from core.remote.versions(how.tags)), token
    except InfrastructureError:
        core.failed()
        return plain, ""


def _fill_remote(core: CacheCore, key: str, token: str, frame: Frame) -> Plan[bool]:
    """Give Redis what was loaded; tell whether this process may keep it."""
    if core.remote is None:
        return True
    if not token:  # Redis was away when the load began: what it holds may be older
        core.outage.owe((key,))
        return True
    try:
        life = frame.expires_at - core.wall()
        return (yield from core.remote.fill(key, token, core.packed(frame), life))
    except InfrastructureError:
        core.defer((key,))
        return True


def _give_back(core: CacheCore, key: str, token: str) -> Plan[None]:
    """End a lease without storing; when that fails it ends by itself."""
    if core.remote is None:
        return
    try:
        yield from core.remote.fill(key, token)
    except InfrastructureError:
        core.failed()


def _refresh(core: CacheCore, key: str, loader: Loader, how: Storing) -> Plan[None]:
    """Load *key* anew behind a caller who was given the old value, unless somebody does already."""
    flight, leads = core.flights.join(key, how.tags, object())
    if not leads:
        return
    fill = core.memory.expect(key)
    landing = _NOTHING
    try:
        token = ""
        if core.remote is not None:
            token = os.urandom(12).hex()
            taken, _ = yield from core.remote.take_lease(key, token)
            if not taken:
                return
        _, landing = yield from _load_and_keep(core, flight, loader, how, fill=fill, token=token)
    finally:
        core.memory.forget(fill)
        core.flights.land(flight, _success(landing))
