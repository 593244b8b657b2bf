"""The inaudible mark of a dub: it is in the speech before that is mixed, so it is in the track, too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from speech_engine import Audio, Event, Finished, Started
from tests import speech_clips
from tests.features.dubs.rig import file_of, new_dub, original_of
from tests.features.jobs.job_rig import jobs_inside
from tests.features.marks.test_detection import verdict
from tests.proxy.api.scripted import Scripted
from tests.sound import decoded

pytestmark = pytest.mark.slow
SRT = "".join(
    f"{number}\n00:00:{4 * number:02},000 --> 00:00:{4 * number + 3:02},400\nText {number}.\n\n"
    for number in range(4)
)


def _speech() -> Iterator[Event]:
    heard = decoded(speech_clips.wav(), "wav")
    samples = (heard.samples[: 4 * heard.sample_rate_hz] * 32767).astype("<i2").tobytes()
    yield Started(heard.sample_rate_hz)
    for at in range(0, len(samples), 9600):
        yield Audio(0, samples[at : at + 9600])
    yield Finished()


async def test_the_mark_is_found_in_track_and_speech(tmp_path: Path, subtests: pytest.Subtests) -> None:
    one = Scripted(*_speech(), is_speech=True)
    async with jobs_inside(tmp_path, one=one) as server:
        for format_, kbit_s in (("flac", None), ("mp3", 64)):
            id_ = await new_dub(
                server,
                SRT,
                original_of(17.0),
                model="one",
                voice="one",
                results=["track", "speech"],
                response_format=format_,
                bitrate=kbit_s,
            )
            for name in ("track", "speech"):
                with subtests.test(f"{format_} {name}"):
                    file = await file_of(server, id_, name)
                    assert (await verdict(server, file))["found"] is True
