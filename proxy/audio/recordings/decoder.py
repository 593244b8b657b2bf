"""The server's side of decoding: a process for each file, and at most a few at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import structlog

from proxy.audio.recordings import recording
from proxy.audio.recordings.apart import MOST_TRIES, read_apart
from proxy.helpers.helper import Helper, HelperSpec
from proxy.helpers.limiter import FairLimiter

MOST_AT_ONCE = 2
"""The most recordings that are decoded at once. Each may have 43 MB in memory, and the data made from it."""
MOST_WAITING = 8
"""The most callers that wait. Each may have an upload of 10 MiB in memory."""
MOST_OF_ACCOUNT = 3  # callers of one account, waiting or not

WITHIN_S = 30.0  # of one recording

_SPEC = HelperSpec(
    module="proxy.audio.recordings.decoding_child",
    is_for_one=True,
    keeps_spare=True,
    most_tries=MOST_TRIES,
    most_answer_bytes=3 * recording.MOST_SAMPLES + 4096,  # samples of 3 bytes, and the other fields
)

_log = structlog.get_logger()
_decode_answer = msgspec.msgpack.Decoder(recording.Decoded | recording.Undecoded).decode


class Decoder:
    """Decodes uploads. `open_decoder` opens and closes it."""

    def __init__(
        self, *, at_once: int = MOST_AT_ONCE, waiting: int = MOST_WAITING, within_s: float = WITHIN_S
    ) -> None:
        """A process limits its own processor time. `within_s` also ends a process that only waits."""
        self._places = FairLimiter(
            "uploads to decode", places=at_once + waiting, of_account=MOST_OF_ACCOUNT, at_once=at_once
        )
        self._within_s = within_s
        self._helper = Helper(_SPEC)
        self._has_warned = False

    def turn(self, account: str, *, waits: bool = False) -> AbstractAsyncContextManager[None]:
        """Wait for a turn, and have it during the block, until the recording needs no more memory.

        Raises NoPlace if too many wait already, unless it `waits` for a place, too. Only callers whose
        uploads have a quota of their own may do that.
        """
        return self._places.hold_turn(account, waits=waits)

    async def decode(self, data: bytes) -> recording.SpeechRecording:
        """Decode an upload, within a turn. Raises UnusableRecording and DecodingFailed.

        If it is cancelled, the process is killed.
        """
        return await asyncio.to_thread(_recording, await self.decode_samples(data))

    async def decode_samples(self, data: bytes) -> recording.Decoded:
        """Decode an upload to bare samples, as `decode` does."""
        made = await read_apart(self._helper.ask(data, within_s=self._within_s), checked_sound)
        if made.lacks and not self._has_warned:
            self._has_warned = True
            _log.warning("decoder.confinement.missing", what=[lack[:40] for lack in made.lacks[:5]])
        return made

    async def close(self) -> None:
        await self._helper.close()


def checked_sound(answer: bytes) -> recording.Decoded | recording.Undecoded:
    """Return the child's validated answer: a hostile file may control the child that decodes it. Raises
    MsgspecError."""
    made = _decode_answer(answer)
    if isinstance(made, recording.Undecoded):
        return made
    samples, rest = divmod(len(made.pcm), made.sample_bytes) if made.sample_bytes in (2, 3) else (0, 0)
    is_sound = (
        0 < samples <= recording.MOST_SAMPLES
        and rest == 0
        and recording.LEAST_RATE_HZ <= made.rate_hz <= recording.MOST_RATE_HZ
        and 1 <= made.channels <= recording.MOST_CHANNELS
        and made.codec.isidentifier()
        and len(made.codec) <= 20
    )
    return made if is_sound else recording.Undecoded("lost")


def _recording(made: recording.Decoded) -> recording.SpeechRecording:
    from proxy.audio.recordings.master import make_master

    return recording.SpeechRecording(
        master=make_master(made.pcm, made.rate_hz, made.sample_bytes),
        rate_hz=made.rate_hz,
        seconds=len(made.pcm) / made.sample_bytes / made.rate_hz,
        channels=made.channels,
        codec=made.codec,
        is_cut=made.is_cut,
    )


@asynccontextmanager
async def open_decoder(shared: Iterable[object] = ()) -> AsyncIterator[Decoder]:
    """Yield the decoder that an earlier feature has `shared`, or a new one.

    A feature that opens one shares it with later features.
    """
    if (found := next((each for each in shared if isinstance(each, Decoder)), None)) is not None:
        yield found
        return
    decoder = Decoder()
    try:
        yield decoder
    finally:
        await decoder.close()
