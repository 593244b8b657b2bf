"""The inaudible mark of a dub: it is in the speech before that is mixed, so it is in the track, too."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
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
_FORMATS = (("flac", None), ("mp3", 64))


async def test_the_mark_is_found_in_track_and_speech(tmp_path: Path) -> None:
    assert await _found(tmp_path, "m3", [4.0]) == 4


@pytest.mark.soak
async def test_the_mark_is_found_in_twenty_of_twenty_dubs(tmp_path: Path) -> None:
    """By four voices, at paces from 1.0 to the most."""
    every_s = [2.6, 3.0, 3.4, 4.0, 4.6]
    for voice in ("m3", "m1", "f3", "f5"):
        folder = tmp_path / voice
        folder.mkdir()
        assert await _found(folder, voice, every_s) == 4 * len(every_s), voice


async def _found(folder: Path, voice: str, every_s: Sequence[float]) -> int:
    """Make a dub for each of these times between its lines, in each format. Return in how many tracks and
    stems the mark is found."""
    found, one = 0, Scripted(*_speech(voice), is_speech=True)
    async with jobs_inside(folder, one=one) as server:
        for seconds in every_s:
            film = original_of(4 * seconds + 1)
            for format_, kbit_s in _FORMATS:
                asked = {"model": "one", "voice": "one", "results": ["track", "speech"]}
                id_ = await new_dub(
                    server, _srt(seconds), film, **asked, response_format=format_, bitrate=kbit_s
                )
                for name in ("track", "speech"):
                    found += (await verdict(server, await file_of(server, id_, name)))["found"]
    return found


def _srt(every_s: float) -> str:
    times = [round(1000 * every_s * number) for number in range(5)]
    clocks = [f"00:00:{each // 1000:02},{each % 1000:03}" for each in times]
    cues = enumerate(pairwise(clocks), 1)
    return "".join(f"{n}\n{start} --> {end}\nText {n}.\n\n" for n, (start, end) in cues)


def _speech(voice: str) -> Iterator[Event]:
    heard = decoded(speech_clips.wav(voice), "wav")
    samples = (heard.samples[: 4 * heard.sample_rate_hz] * 32767).astype("<i2").tobytes()
    yield Started(heard.sample_rate_hz)
    for at in range(0, len(samples), 9600):
        yield Audio(0, samples[at : at + 9600])
    yield Finished()
