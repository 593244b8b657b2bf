"""A file that a process gets piece by piece, so that neither side has all of it in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, nullcontext

from proxy.helpers.helper import Helper, Life
from speech_engine.host.pipe import ParentPipe


async def ask_of_file(
    helper: Helper, question: bytes, pieces: Callable[[], AsyncGenerator[bytes, None]], within_s: float
) -> bytes:
    """Return the answer to a question about a file. The process gets the question, each piece of the file as
    it is read, and an empty frame. Raises as `Helper.ask`, and what `pieces` raises."""

    async def send_file(life: Life) -> bytes:
        await life.send(question)
        async with aclosing(pieces()) as opened:
            async for piece in opened:
                if piece:
                    await life.send(piece)
        return await life.ask(b"")

    async with asyncio.timeout(within_s), nullcontext() if helper.spec.is_for_one else helper.turn:
        return await helper.run_with_process(send_file)


def file_pieces(pipe: ParentPipe) -> Iterator[bytes]:
    """Yield the pieces of the file behind a question, in the process. They end early if the server does."""
    while piece := pipe.read():
        yield piece
