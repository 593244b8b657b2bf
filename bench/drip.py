"""An upstream that speaks slowly: `python -m bench.drip PORT`: 20 pieces of the bench's clip, 50 ms apart."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bench.clip import clip

PIECES = 20
APART_S = 0.05
_SOUND = clip()


async def _speech(request: Request) -> Response:
    await request.body()
    return StreamingResponse(_dripping(), media_type="audio/mpeg")


async def _dripping() -> AsyncIterator[bytes]:
    size = len(_SOUND) // PIECES + 1
    for at in range(0, len(_SOUND), size):
        yield _SOUND[at : at + size]
        await asyncio.sleep(APART_S)


if __name__ == "__main__":
    app = Starlette(routes=[Route("/v1/audio/speech", _speech, methods=["POST"])])
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
