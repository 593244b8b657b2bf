"""The time to the first audio of a conversion, which is longer where an engine hears it all first."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from speech_engine import Audio, Event, Finished, SpeechJob, Started
from tests.features.conversions.test_conversions import sent
from tests.features.conversions.test_money import SCRIPTED
from tests.proxy.api.inside import envelope, inside
from tests.proxy.speech_steps.repeating import Repeating
from tests.speech_engine.host.simulated_time import simulated
from tests.tones import of_seconds

IMPATIENT = SCRIPTED.replace("[server]", "[server]\nfirst_audio_s = 0.3")


class HearsAll(Repeating):
    """It hears a recording to its end, and then works on it at ten times its speed."""

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        self.jobs.append(job)
        heard = b"".join([piece async for piece in pcm])
        await asyncio.sleep(len(heard) / 48_000 / 10)
        yield Started(24_000)
        yield Audio(0, heard)
        yield Finished()


@pytest.mark.parametrize(("hears_all_first", "status"), [(True, 200), (False, 503)])
@simulated
async def test_who_hears_all_first_has_more_time_for_a_longer_recording(
    tmp_path: Path, hears_all_first: bool, status: int
) -> None:
    one = HearsAll(hears_all_first=hears_all_first)
    async with inside(tmp_path, IMPATIENT, {"one": one}, plan="priced") as server:
        assert (await sent(server, of_seconds(0.5), model="one/m")).status_code == 200
        answer = await sent(server, of_seconds(8.0), model="one/m")
    assert answer.status_code == status
    assert status == 200 or envelope(answer)["code"] == "engine_timeout"
    short, long = (job.deadline_s for job in one.jobs)
    assert (long - short > 1.5) == hears_all_first
