"""Run a test on the mailer for threads and on the one for coroutines."""

import asyncio

from shared.integrations.email import AsyncMailer, Mailer


class Sync:
    """The mailer for threads."""

    def __init__(self, backend, **options):
        self.mailer = Mailer(backend, **options)

    def send(self, message):
        try:
            return self.mailer.send(message)
        finally:
            self.mailer.close()

    def send_many(self, messages, **options):
        try:
            return self.mailer.send_many(messages, **options)
        finally:
            self.mailer.close()


class Async:
    """The mailer for coroutines behind the same face."""

    def __init__(self, backend, **options):
        self.mailer = AsyncMailer(backend, **options)

    def send(self, message):
        async def main():
            async with self.mailer:
                return await self.mailer.send(message)

        return asyncio.run(main())

    def send_many(self, messages, **options):
        async def main():
            async with self.mailer:
                return await self.mailer.send_many(messages, **options)

        return asyncio.run(main())


BOTH = {"threads": Sync, "coroutines": Async}
