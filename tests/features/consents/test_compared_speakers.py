"""The speaker of a sample is compared with the speaker of its consent, where a comparer is configured."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.audio.recordings.decoder import Decoder
from speech_engine import Context, Plugin, SpeakerScale
from tests import speech_clips
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import clone, send
from tests.waiting import soon

pytestmark = pytest.mark.slow

CONFIG = f'{TONE}\n[consent]\noperator = "Acme"\ncomparer = "exact"\n'


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


class ExactComparer:
    """One speaker never says anything twice in another way."""

    scale = SpeakerScale(same=0.85, other=0.7)

    def compare(self, one: bytes, other: bytes) -> float:
        return 1.0 if one == other else 0.25


@asynccontextmanager
async def _create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[ExactComparer]:
    yield ExactComparer()


PLUGIN: Plugin[Any] = Plugin(kind="comparer", name="exact", settings=NoSettings, create=_create)


async def consent(server: Inside) -> str:
    fields = {"name": "Ana", "language": "en"}
    answer = await send(server, fields, path="/v1/audio/voice_consents", file="recording")
    id_: str = answer.json()["id"]
    return id_


@pytest.mark.parametrize(("voice", "said", "score"), [("m3", "same", 1.0), ("f3", "other", 0.25)])
async def test_the_answer_and_its_score_are_on_record(
    tmp_path: Path, voice: str, said: str, score: float
) -> None:
    async with inside(tmp_path, CONFIG, more={("comparer", "exact"): PLUGIN}) as server:
        fields = {"name": "Ana", "consent": await consent(server)}
        made = await send(server, fields, speech_clips.wav(voice))
        assert made.status_code == 200, made.text
        assert made.json()["speaker"] == {"answer": said, "score": score}
        # A statement has no speaker.
        assert "speaker" not in await clone(server, "stated")


async def test_two_people_in_a_recording_are_refused_before_a_consent_is_asked_for(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, more={("comparer", "exact"): PLUGIN}) as server:
        # To this comparer, the halves of a recording are of two people.
        refused = await send(server, {}, speech_clips.long_wav(), path="/v1/audio/voice_quality")
        assert (refused.status_code, envelope(refused)["param"]) == (400, "audio_sample")
        assert "two people speak in it: record one of them alone" in envelope(refused)["message"]


async def test_an_operator_may_refuse_other_speakers(tmp_path: Path) -> None:
    text = f'{CONFIG}other_speaker = "refuse"\n'
    async with inside(tmp_path, text, more={("comparer", "exact"): PLUGIN}) as server:
        fields = {"name": "Ana", "consent": await consent(server)}
        refused = await send(server, fields, speech_clips.wav("f3"))
        error = envelope(refused)
        assert (refused.status_code, error["code"], error["param"]) == (403, "other_speaker", "audio_sample")
        assert (await server.ask("GET", "/v1/voices?mine=true")).json()["data"] == []
        assert (await send(server, fields)).status_code == 200
        told = await server.ask("GET", "/v1/audio/voice_consents/phrases?language=pt-BR")
        assert "Acme" in told.json()["phrase"]


@pytest.mark.parametrize("refuses", [True, False])
async def test_another_recording_of_the_voice_is_compared_too(tmp_path: Path, refuses: bool) -> None:
    text = f'{CONFIG}other_speaker = "refuse"\n' if refuses else CONFIG
    async with inside(tmp_path, text, more={("comparer", "exact"): PLUGIN}) as server:
        fields = {"name": "Ana", "consent": await consent(server)}
        path = f"/v1/audio/voices/{(await send(server, fields)).json()['id']}/samples"
        plain = {"emotion": "neutral"}
        same = await send(server, plain, path=path, file="file")
        assert same.json()["speaker"] == {"answer": "same", "score": 1.0}
        other = await send(server, plain, speech_clips.wav("f3"), path=path, file="file")
        if refuses:
            error = envelope(other)
            assert (other.status_code, error["code"], error["param"]) == (403, "other_speaker", "file")
        else:
            assert other.json()["speaker"] == {"answer": "other", "score": 0.25}
        listed = (await server.ask("GET", path)).json()["data"]
        assert [each["speaker"]["answer"] for each in listed] == ["same", "same", *["other"][refuses:]]


async def test_a_consent_that_is_deleted_meanwhile_is_not_found(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, more={("comparer", "exact"): PLUGIN}) as server:
        agreed = await consent(server)
        decoder = server.worker.open_features.context.find(Decoder)
        async with decoder.turn(server.account.id):
            # It has found its consent, and waits for its turn.
            making = asyncio.create_task(send(server, {"name": "Ana", "consent": agreed}))
            await soon(lambda: decoder._places.taken_weight == 2)
            await server.ask("DELETE", f"/v1/audio/voice_consents/{agreed}")
        answer = await making
        assert (answer.status_code, envelope(answer)["code"]) == (404, "consent_not_found")
