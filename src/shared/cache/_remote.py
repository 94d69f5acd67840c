"""The tier in Redis: which commands are sent, and what the replies mean."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import orjson

from shared.cache._frame import VERSION_BYTES, Frame, FrameError, unpack
from shared.cache._keys import Keys
from shared.cache._options import CacheOptions
from shared.cache._steps import Command, Plan, RunScript, Send

__all__ = ["RemoteTier"]

TAG_LIFE: Final = 30 * 86400 * 1000  # ms; a tag that is gone makes its entries misses, never stale ones

# Stores a loaded value if the one who loaded it still may: an invalidation, or somebody
# who lost patience, has taken the lease away. Without a value it only gives the lease back.
FILL: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[2])
return 1
"""


class RemoteTier:
    """Plans over Redis for one cache. Holds the generation: the part of every key that ``clear`` changes."""

    def __init__(self, options: CacheOptions, *, clock: Callable[[], float]) -> None:
        self.keys: Keys = Keys(options.namespace, options.prefix)
        self.instance: str = os.urandom(8).hex()  # so that a process does not hear itself
        self._options = options
        self._clock = clock
        self._generation = ""
        self._ask_again = 0.0  # monotonic seconds
        self._clears = 0  # of this process

    def recheck(self) -> None:
        """Ask for the generation before the next command: somebody may have cleared."""
        self._ask_again = 0.0

    def ready(self) -> Plan[str]:
        """Return the generation, asking for it when the last answer is old."""
        now = self._clock()
        if now >= self._ask_again:
            fresh = os.urandom(VERSION_BYTES).hex()
            name, before = self.keys.generation, self._clears
            replies = yield Send((("SET", name, fresh, "NX"), ("GET", name)))
            if before == self._clears:  # or the answer is older than what this process did meanwhile
                self._generation = (replies[1] or fresh.encode()).decode("ascii", "replace")
                self._ask_again = now + self._options.max_staleness
        return self._generation

    def fetch(self, key: str) -> Plan[Frame | None]:
        """Return what is stored under *key* and valid."""
        generation = yield from self.ready()
        replies = yield Send((("GET", self.keys.entry(key, generation)),))
        return (yield from self.valid(replies[0]))

    def valid(self, data: bytes | None) -> Plan[Frame | None]:
        """Return the frame in *data* if it is one and its tags have not been invalidated."""
        if data is None:
            return None
        frame = unpack(data, max_bytes=int(self._options.max_value_bytes))
        if frame.tags:
            replies = yield Send(tuple(("GET", self.keys.tag(name)) for name, _ in frame.tags))
            if any(reply != version for reply, (_, version) in zip(replies, frame.tags, strict=True)):
                return None
        return frame

    def fetch_many(self, keys: Sequence[str]) -> Plan[dict[str, Frame | None]]:
        """Return what is stored under each of *keys*, unreadable ones as None."""
        generation = yield from self.ready()
        replies = yield Send(tuple(("GET", self.keys.entry(key, generation)) for key in keys))
        frames: dict[str, Frame | None] = {}
        for key, data in zip(keys, replies, strict=True):
            frames[key] = self._readable(data)
        names = sorted({name for frame in frames.values() if frame is not None for name, _ in frame.tags})
        if names:
            answers = yield Send(tuple(("GET", self.keys.tag(name)) for name in names))
            versions = dict(zip(names, answers, strict=True))
            for key, frame in frames.items():
                if frame is not None and any(versions[name] != version for name, version in frame.tags):
                    frames[key] = None
        return frames

    def _readable(self, data: bytes | None) -> Frame | None:
        if data is None:
            return None
        try:
            return unpack(data, max_bytes=int(self._options.max_value_bytes))
        except FrameError:
            return None

    def versions(self, tags: Sequence[str]) -> Plan[tuple[tuple[str, bytes], ...]]:
        """Return the version of each tag, giving one to those that have none."""
        if not tags:
            return ()
        commands: list[Command] = []
        for tag in tags:
            name = self.keys.tag(tag)
            fresh = os.urandom(VERSION_BYTES)
            commands += [("SET", name, fresh, "NX", "PX", TAG_LIFE), ("GET", name)]
        replies = yield Send(tuple(commands))
        return tuple((tag, replies[2 * at + 1] or b"") for at, tag in enumerate(tags))

    def take_lease(self, key: str, token: str) -> Plan[tuple[bool, bytes | None]]:
        """Try to become the one who loads *key*; tell whether, and what is stored by now."""
        generation = yield from self.ready()
        entry, lease = self.keys.entry(key, generation), self.keys.lease(key, generation)
        milliseconds = max(1, int(self._options.lease * 1000))
        replies = yield Send((("SET", lease, token, "NX", "PX", milliseconds), ("GET", entry)))
        return bool(replies[0]), replies[1]

    def steal_lease(self, key: str, token: str) -> Plan[None]:
        """Become the one who loads *key*, whoever was it before."""
        generation = yield from self.ready()
        milliseconds = max(1, int(self._options.lease * 1000))
        yield Send((("SET", self.keys.lease(key, generation), token, "PX", milliseconds),))

    def fill(self, key: str, token: str, data: bytes = b"", life: float = 0.0) -> Plan[bool]:
        """Store what was loaded under the lease and end it; tell whether it was still held."""
        names = (self.keys.entry(key, self._generation), self.keys.lease(key, self._generation))
        reply = yield RunScript(FILL, names, (token, data, max(1, int(life * 1000))))
        return bool(reply)

    def store(self, values: Iterable[tuple[str, bytes, float]]) -> Plan[None]:
        """Store each ``(key, frame, seconds)`` and tell the other processes."""
        generation = yield from self.ready()
        commands: list[Command] = []
        changed: list[str] = []
        for key, data, life in values:
            milliseconds = max(1, int(life * 1000))
            commands += [
                ("SET", self.keys.entry(key, generation), data, "PX", milliseconds),
                ("DEL", self.keys.lease(key, generation)),
            ]
            changed.append(key)
        yield Send((*commands, self._tell("keys", changed)))

    def change(self, keys: Sequence[str], tags: Sequence[str], *, clear: bool) -> Plan[int]:
        """Take away keys, tags' entries, or everything; return how many of the keys were there."""
        if clear:
            generation = os.urandom(VERSION_BYTES).hex()
            yield Send((("SET", self.keys.generation, generation), self._tell("clear", [])))
            self._clears += 1
            self._generation = generation
            return 0
        generation = (yield from self.ready()) if keys else ""
        commands: list[Command] = [("DEL", self.keys.entry(key, generation)) for key in keys]
        commands += [("DEL", self.keys.lease(key, generation)) for key in keys]
        commands += [("SET", self.keys.tag(tag), os.urandom(VERSION_BYTES), "PX", TAG_LIFE) for tag in tags]
        if keys:
            commands.append(self._tell("keys", keys))
        if tags:
            commands.append(self._tell("tags", tags))
        replies = yield Send(tuple(commands))
        return sum(map(int, replies[: len(keys)]))

    def _tell(self, kind: str, names: Sequence[str]) -> Command:
        return ("PUBLISH", self.keys.channel, orjson.dumps([self.instance, kind, list(names)]))
