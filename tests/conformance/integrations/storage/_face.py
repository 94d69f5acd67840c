"""One way to call a storage, whichever face is behind it."""

import asyncio
import inspect


class Face:
    """Calls a storage, synchronous or not, and waits for the answer."""

    def __init__(self, storage, runner=None):
        self.storage = storage
        self._runner = runner

    def __getattr__(self, name):
        method = getattr(self.storage, name)

        def call(*args, **kwargs):
            found = method(*args, **kwargs)
            return self._runner.run(_awaited(found)) if inspect.isawaitable(found) else found

        return call

    def read(self, key, **options):
        """Return the pieces of a download."""
        if self._runner is None:
            with self.storage.stream(key, **options) as download:
                return list(download)

        async def pieces():
            async with await self.storage.stream(key, **options) as download:
                return [piece async for piece in download]

        return self._runner.run(pieces())

    def keys(self, prefix=""):
        """Return the keys of all objects."""
        if self._runner is None:
            return [one.key for one in self.storage.iterate(prefix)]

        async def listed():
            return [one.key async for one in self.storage.iterate(prefix)]

        return self._runner.run(listed())


async def _awaited(found):
    return await found


def runner():
    return asyncio.Runner()
