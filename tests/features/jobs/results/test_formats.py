"""A job in each format that speech has: one file, decoded as a player does."""

import io
from pathlib import Path

import pytest
import soundfile

from proxy.audio.formats import FORMATS, MEDIA_TYPES
from tests.features.jobs import job_rig
from tests.proxy.api.inside import envelope
from tests.sound import PADDING_S, decoded
from tests.tones import words

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("format_", FORMATS)
async def test_the_words_of_all_steps_are_heard_in_order(tmp_path: Path, format_: str) -> None:
    async with job_rig.jobs_inside(tmp_path) as server:
        made = await job_rig.new_job(server, job_rig.text_of(4), response_format=format_)
        done = await job_rig.job_with(server, made["id"], "done", "failed")
        assert (done["status"], done["steps"], done["steps_done"]) == ("done", 4, 4), done
        whole = await job_rig.content(server, made["id"])
        assert whole.headers["content-type"] == MEDIA_TYPES[format_]
        heard = decoded(whole.content, format_)
        assert words(*heard) == job_rig.words_of(4)
        # Each step of the joined ones has the silence of its own encoder.
        joined = 4 if format_ in ("mp3", "aac") else 1
        assert 0 <= heard.seconds - done["seconds"] <= joined * PADDING_S[format_] + 0.001
        size = len(whole.content)
        part = await job_rig.content(server, made["id"], range=f"bytes=100-{size - 100}")
        assert (part.status_code, part.content) == (206, whole.content[100 : size - 99])
        assert len(await server.usage()) == 4, "an encoding costs nothing"


async def test_an_encoded_file_has_the_form_that_was_asked_for(tmp_path: Path) -> None:
    async with job_rig.jobs_inside(tmp_path) as server:
        thin, thick = [
            await job_rig.new_job(
                server, job_rig.text_of(2), response_format="opus", bitrate=kbit_s, sample_rate=16_000
            )
            for kbit_s in (16, 96)
        ]
        flac = await job_rig.new_job(server, job_rig.text_of(2), response_format="flac", sample_rate=48_000)
        for made in (thin, thick, flac):
            await job_rig.job_with(server, made["id"], "done")
        sizes = [len((await job_rig.content(server, made["id"])).content) for made in (thin, thick)]
        assert sizes[1] > 3 * sizes[0]
        file = soundfile.info(io.BytesIO((await job_rig.content(server, flac["id"])).content))
        assert (file.samplerate, file.format, file.channels) == (48_000, "FLAC", 1)
        assert abs(file.frames / 48_000 - (await job_rig.job(server, flac["id"]))["seconds"]) < 0.001


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"response_format": "opus", "bitrate": 320}, "bitrate"),
        ({"response_format": "flac", "bitrate": 64}, "bitrate"),
        ({"response_format": "opus", "sample_rate": 44_100}, "sample_rate"),
        ({"response_format": "aac", "bitrate": 9}, "bitrate"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": "ogg"}, "response_format"),
    ],
)
async def test_a_form_that_a_format_cannot_have_is_refused(
    tmp_path: Path, more: dict[str, object], field: str
) -> None:
    async with job_rig.jobs_inside(tmp_path) as server:
        answer = await job_rig.ask_job(server, "Hello.", **more)
        assert (answer.status_code, envelope(answer)["param"]) == (400, field)
