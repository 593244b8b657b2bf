"""RVC in a host of its own, as a server runs it: many clients, some of whom leave, and hosts that die."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from speech_engine import Audio, Convert, EngineUnavailable
from speech_engine.errors import EngineError, UnsupportedRequest, UnusableSample, VoiceNotFound
from speech_engine.host.engine_stream import EngineStream
from tests.plugins.rvc.kept_host import GIVEN_HZ, RATES_HZ, kept_host, recording
from tests.proxy.engines.test_dispatch import shows
from tests.speech_engine.host.fakes import read

CLIENTS = 6
MOST_LSB = 2


def difference(one: bytes, other: bytes) -> int:
    left, right = (np.frombuffer(each, "<i2").astype(np.int32) for each in (one, other))
    assert left.shape == right.shape
    return int(np.abs(left - right).max())


async def until_heard(stream: EngineStream) -> None:
    while not isinstance(await stream.next_event(), Audio):
        pass


class Stalled:
    """A recording of which nothing comes, until it is over."""

    def __init__(self) -> None:
        self.is_begun = asyncio.Event()
        self.is_over = asyncio.Event()

    def __aiter__(self) -> Stalled:
        return self

    async def __anext__(self) -> bytes:
        self.is_begun.set()
        await self.is_over.wait()
        raise StopAsyncIteration


async def test_each_layout_streams_at_its_own_rate_and_as_long_as_the_recording() -> None:
    pcm = recording(8.3)
    async with kept_host() as kept:
        for voice, rate_hz in enumerate(RATES_HZ):
            pieces = await kept.convert(voice, pcm)
            assert sum(map(len, pieces)) // 2 == len(pcm) // 2 * rate_hz // GIVEN_HZ
            # After one second, two, five, and the rest.
            assert len(pieces) >= 4
        # Each voice came once.
        assert len(kept.source.asked) == len(RATES_HZ)


async def test_clients_with_three_voices_hear_what_each_hears_alone() -> None:
    asked = [(number % 3, recording(2.0 + 0.9 * number, number)) for number in range(CLIENTS)]
    async with kept_host() as kept:
        alone = [b"".join(await kept.convert(*each, seed=number)) for number, each in enumerate(asked)]
        together = await asyncio.gather(
            *(kept.convert(*each, seed=number) for number, each in enumerate(asked))
        )
        again = b"".join(await kept.convert(*asked[0], seed=0))
    for pieces, one in zip(together, alone, strict=True):
        assert difference(b"".join(pieces), one) <= MOST_LSB
    assert again == alone[0]
    assert len(set(alone)) == CLIENTS


async def test_of_a_killed_host_who_heard_something_is_lost_and_who_is_in_line_hears_its_next_life() -> None:
    short, long = recording(1.5), recording(40.0)
    async with kept_host(slots=1) as kept:
        alone = b"".join(await kept.convert(1, short))
        first = kept.open(0, long)
        await until_heard(first)
        waiting = asyncio.create_task(kept.convert(1, short))
        await shows(kept.engine, running=1, waiting=1)
        kept.kill()
        with pytest.raises(EngineUnavailable):
            await read(first)
        assert b"".join(await waiting) == alone
        assert kept.lives == 2
        # The new process had to get the voice again.
        assert kept.source.asked.count(kept.source.asked[0]) == 2


async def test_a_conversion_that_had_begun_without_a_sound_is_refused_and_not_tried_again() -> None:
    async with kept_host() as kept:
        short = recording(0.5)
        alone = await kept.convert(0, short)
        pcm = Stalled()
        reading = asyncio.create_task(read(kept.engine.open(Convert(kept.job(0, short)), pcm=pcm)))
        await pcm.is_begun.wait()
        await shows(kept.engine, running=1, waiting=0)
        kept.kill()
        with pytest.raises(EngineUnavailable):
            await reading
        pcm.is_over.set()
        assert await kept.convert(0, short) == alone


async def test_a_client_that_leaves_frees_its_slot_and_its_rows() -> None:
    long = recording(40.0)
    async with kept_host(slots=1) as kept:
        for voice in (0, 1, 2):
            stream = kept.open(voice, long)
            await until_heard(stream)
            await stream.close()
        assert b"".join(await kept.convert(0, recording(1.0)))
        report = await kept.engine.health()
        assert (report.running, report.waiting) == (0, 0)
        rows = [each for name, each in report.figures.items() if name.startswith("rows_")]
        assert rows
        assert not any(rows)


async def test_a_voice_that_is_erased_ends_its_conversions_and_no_others() -> None:
    long = recording(30.0)
    async with kept_host() as kept:
        others = asyncio.create_task(kept.convert(1, long))
        stream = kept.open(0, long)
        await until_heard(stream)
        digest = kept.voices[0].digest
        del kept.source.by_tenant["acc_1"][digest]
        await kept.engine.drop_samples([digest])
        with pytest.raises(VoiceNotFound):
            await read(stream)
        assert sum(map(len, await others)) // 2 == len(long) // 2 * RATES_HZ[1] // GIVEN_HZ
        with pytest.raises(EngineError, match="cannot be had"):
            await kept.convert(0, long)


async def test_what_cannot_be_converted_is_refused_by_name() -> None:
    async with kept_host() as kept:
        with pytest.raises(UnusableSample, match="empty"):
            await kept.convert(0, b"")
        with pytest.raises(UnsupportedRequest, match="without pitch"):
            await kept.convert(1, recording(0.5), pitch=2.0)
        with pytest.raises(UnsupportedRequest, match="index_rate"):
            await kept.convert(0, recording(0.5), extra={"index_rate": 2.0})
        assert b"".join(await kept.convert(0, recording(0.5)))
