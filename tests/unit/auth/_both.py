"""Ask the asynchronous twin as if it were the synchronous one."""

import asyncio
import inspect


class Clock:
    """Seconds that a test moves."""

    def __init__(self, now=1_790_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


class Awaited:
    """An object whose coroutine methods are run to their end."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        method = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(method):
            return method

        def call(*args, **kwargs):
            return asyncio.run(method(*args, **kwargs))

        return call
