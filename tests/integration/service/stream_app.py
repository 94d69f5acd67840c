"""A service that streams for as long as somebody listens; run by the tests of this folder."""

import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from shared.service import install


async def stream(_request):
    async def chunks():
        while True:
            yield b"x" * 1024
            await asyncio.sleep(0.01)

    return StreamingResponse(chunks())


async def poll(request):
    while not await request.is_disconnected():  # noqa: ASYNC110 - Starlette has no event for it
        await asyncio.sleep(0.02)
    return PlainTextResponse("nobody reads this")


app = install(Starlette(routes=[Route("/stream", stream), Route("/poll", poll)]), service="streams")
