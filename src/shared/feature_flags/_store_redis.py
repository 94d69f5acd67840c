"""Flags in Redis or Valkey."""

import threading
from typing import Any, Final

from shared.cache import redis_client, redis_errors
from shared.config import ConnectionUrl
from shared.errors import FlagDocumentError, InvalidArgumentError
from shared.feature_flags._forms import Form, Step, Steps, empty_form, from_text, patched, to_text
from shared.feature_flags._hints_redis import RedisHints
from shared.feature_flags._store import FlagChange
from shared.feature_flags._store_base import StoreBase
from shared.runtime import after_fork_in_child

__all__ = ["RedisFlagStore"]

_NAMESPACE_MAX: Final = 100
_BATCH: Final = 200

# Keys: the hash of what is in force, the list of what was done. Arguments: the revision
# this was decided on, the channel, the rest of the line for the list, then field and body
# in turn, an empty body removing the field. Bodies pass as texts: cjson would turn empty
# lists into mappings. The clock is the server's.
_APPLY: Final = """
local revision = tonumber(redis.call('HGET', KEYS[1], 'revision') or '0')
if revision ~= tonumber(ARGV[1]) then return -1 end
local t = redis.call('TIME')
revision = revision + 1
redis.call('HSET', KEYS[1], 'revision', string.format('%.0f', revision))
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
local head = string.format('{"revision":%.0f,"at":%d.%06d,', revision, t[1], t[2])
redis.call('RPUSH', KEYS[2], head .. ARGV[3])
redis.call('PUBLISH', ARGV[2], string.format('%.0f', revision))
return revision
"""


class RedisFlagStore(StoreBase):
    """A store in Redis or Valkey, shared by all processes that use the server.

    A write is one script: it takes the next revision only from the one it was decided on.
    All keys share a slot, so a cluster serves it. Changes are told by pub/sub, as a hint.
    The server should write to disk (AOF), or what it forgets is the history; readers keep
    what they know when it comes back empty. Close it when done.

    Args:
        url: As for :func:`shared.cache.redis_client`.
        namespace: Which set of flags; several services may share one server.
        prefix: Before every key.
        timeout: Longest wait for an answer, in seconds.

    Raises:
        ConfigurationError: The URL is not one of Redis.
        InvalidArgumentError: *namespace* is no text of 1 to 100 printable characters
            without braces.

    Example:
        >>> store = RedisFlagStore("redis://:secret@127.0.0.1:6379/0", namespace="orders")
        >>> store.shown
        'redis://:***@127.0.0.1:6379/0'
        >>> store.close()
    """

    def __init__(
        self, url: str, *, namespace: str = "default", prefix: str = "shared:", timeout: float = 1.0
    ) -> None:
        good = 1 <= len(namespace) <= _NAMESPACE_MAX and namespace.isprintable()
        if not good or "{" in namespace or "}" in namespace:
            msg = f"namespace is a text of 1 to {_NAMESPACE_MAX} printable characters without braces"
            raise InvalidArgumentError(msg)
        self._url = ConnectionUrl(url)
        self.shown: str = self._url.masked
        base = f"{prefix}{{flags:{namespace}}}"
        self._now_key, self._log_key, self._channel = f"{base}:now", f"{base}:log", f"{base}:changed"
        self._keep: dict[str, Any] = {"timeout": timeout, "connect_timeout": timeout}
        self._lock = threading.Lock()
        self._client: Any = None if "+cluster" in url else redis_client(url, **self._keep)
        self._hints = RedisHints(self._connected, self._channel)
        after_fork_in_child(self)

    def revision(self) -> int:
        """See :meth:`FlagStore.revision`."""
        with redis_errors(self._url):
            found = self._connected().hget(self._now_key, "revision")
        return self._number(found)

    def now(self) -> float:
        """See :meth:`FlagStore.now`: the server's time."""
        with redis_errors(self._url):
            seconds, micro = self._connected().time()
        return float(seconds) + float(micro) / 1e6

    def wait_hint(self, timeout: float) -> bool:
        """See :meth:`FlagStore.wait_hint`."""
        return self._hints.wait(timeout)

    def close(self) -> None:
        """See :meth:`FlagStore.close`."""
        self._hints.close()
        if self._client is not None:
            self._client.close()

    def after_fork(self) -> None:
        """Begin with a lock of its own; called in a forked child."""
        self._lock = threading.Lock()

    # -- the steps of an engine ------------------------------------------------------------

    def _connected(self) -> Any:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = redis_client(self._url, **self._keep)
        return self._client

    def _read(self) -> tuple[int, Form]:
        with redis_errors(self._url):
            found = self._connected().hgetall(self._now_key)
        form, revision = empty_form(), 0
        for field, body in found.items():
            kind, _, key = _text(field).partition(":")
            if kind == "revision":
                revision = self._number(body)
            elif kind in ("flag", "segment"):
                form[f"{kind}s"][key] = from_text(body, where=f"{kind} {key!r} of {self.shown}")
        return revision, form

    def _commit(self, revision: int, steps: Steps, actor: str, reason: str) -> int | None:
        line = {
            "actor": actor,
            "reason": reason,
            "steps": [[s.kind, s.key, s.before, s.after] for s in steps],
        }
        arguments: list[Any] = [revision, self._channel, to_text(line)[1:]]
        for step in steps:
            body = "" if step.after is None else to_text(step.after)
            arguments += [f"{step.kind}:{step.key}", body]
        with redis_errors(self._url):
            script = self._connected().register_script(_APPLY)
            written = int(script(keys=[self._now_key, self._log_key], args=arguments))
        return None if written < 0 else written

    def _changes(self, key: str | None, limit: int) -> list[FlagChange]:
        found: list[FlagChange] = []
        for line in self._lines():
            for kind, name, before, after in line["steps"]:
                if key is None or name == key:
                    found.append(
                        FlagChange(
                            line["revision"],
                            name,
                            line["actor"],
                            line["reason"],
                            line["at"],
                            before,
                            after,
                            kind,
                        )
                    )
            if len(found) >= limit:
                break
        return found[:limit]

    def _form_at(self, revision: int) -> Form | None:
        newest, form = self._read()
        if revision > newest:
            return None
        oldest = newest
        for line in self._lines():  # the newest first
            if line["revision"] <= revision:
                return form
            form = patched(form, [Step(*step) for step in line["steps"]], back=True)
            oldest = line["revision"] - 1
        return form if oldest <= revision else None

    def _lines(self) -> Any:
        """Give the lines of the history, the newest first, a batch at a time."""
        with redis_errors(self._url):
            end = int(self._connected().llen(self._log_key))
        while end > 0:
            begin = max(0, end - _BATCH)
            with redis_errors(self._url):
                batch = self._connected().lrange(self._log_key, begin, end - 1)
            for raw in reversed(batch):
                yield self._line(raw)
            end = begin

    def _line(self, raw: Any) -> dict[str, Any]:
        line = from_text(raw, where=f"the history of {self.shown}")
        if isinstance(line, dict) and {"revision", "at", "actor", "reason", "steps"} <= set(line):
            return line
        raise FlagDocumentError(["no line of a history"], subject=f"the history of {self.shown}")

    def _number(self, raw: Any) -> int:
        try:
            return int(raw or 0)
        except ValueError as exc:
            raise FlagDocumentError(["revision: a number expected"], subject=self.shown) from exc


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
