"""Both faces of the cache under the same tests."""

import asyncio
import inspect

from shared.cache import AsyncCache, Cache


class Hand:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


class Face:
    """A cache whose methods are called and, where it is asynchronous, awaited."""

    def __init__(self, cache, runner=None):
        self.cache = cache
        self._runner = runner

    def __getattr__(self, name):
        found = getattr(self.cache, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            result = found(*args, **kwargs)
            if not inspect.isawaitable(result):
                return result

            async def wait():
                return await result

            return self._runner.run(wait())

        return call

    def settle(self):
        """Wait for what is being loaded behind."""
        if self._runner is None:
            self.cache._runner.settle()
            return

        async def wait():
            await asyncio.gather(*self.cache._behind)

        self._runner.run(wait())


class Makes:
    """Makes faces of caches of one kind, and closes them."""

    def __init__(self, url, *, is_async):
        self.url = url
        self._runner = asyncio.Runner() if is_async else None
        self._made = []

    def __call__(self, url=None, **options):
        kind = Cache if self._runner is None else AsyncCache
        options = {"timeout": 10.0, "subscribe": False, "jitter": 0.0} | options
        made = Face(kind(url or self.url, **options), self._runner)
        self._made.append(made)
        return made

    def close(self):
        for each in self._made:
            each.close()
        if self._runner is not None:
            self._runner.close()
