"""Reads the files of strangers in confined processes, one for each file. They begin with `receive_file`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar

import msgspec

from proxy.audio.recordings.apart import MOST_TRIES, read_apart
from proxy.audio.recordings.recording import Undecoded
from proxy.file_store.sealed_blobs import StoredFile
from proxy.helpers.helper import Helper, HelperSpec, Life
from proxy.helpers.limiter import FairLimiter

_AGAIN_WITHIN_S = 4.0
_MOST_ANSWER_BYTES = 16 * 1024 * 1024
_T = TypeVar("_T")


class FileReader:
    """Gives the files of a worker to processes of `module`. Close it by `aclose`."""

    module: str
    within_s = 60.0

    def __init__(self, limiter: FairLimiter) -> None:
        self._limiter = limiter
        spec = HelperSpec(
            module=self.module,
            is_for_one=True,
            most_tries=MOST_TRIES,
            again_within_s=_AGAIN_WITHIN_S,
            most_answer_bytes=_MOST_ANSWER_BYTES,
        )
        self.helper = Helper(spec)

    async def read_file(
        self,
        account: str,
        order: msgspec.Struct,
        file: StoredFile,
        decode: Callable[[bytes], _T | Undecoded],
        *,
        waits: bool = False,
    ) -> _T:
        """Return the answer of a process to an order. Raises UnusableRecording, DecodingFailed, NoPlace and
        VaultFailed."""
        async with self._limiter.hold_turn(account, waits=waits):
            reading = self.helper.run_with_process(partial(send_file, order, file), within_s=self.within_s)
            return await read_apart(reading, decode)

    async def aclose(self) -> None:
        await self.helper.close()


async def send_file(order: msgspec.Struct, file: StoredFile, life: Life) -> bytes:
    """Send an order, and the file once the process is confined. Return the first part of its answer. Raises
    HelperFailed, VaultFailed."""
    await life.ask(msgspec.msgpack.encode(order))
    async with aclosing(file.parts(range(file.size))) as parts:
        async for part in parts:
            if part:
                await life.send(part)
    return await life.ask(b"")
