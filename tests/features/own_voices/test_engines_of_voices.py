"""Voices that people own, as engines speak them: by whom it is heard, and what an engine keeps of whom."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from plugins.tone.decode import decode, decode_timbres
from plugins.tone.timbre import Timbre, measure
from proxy.audio.formats import FORMATS
from proxy.audio.recordings.derivation import SampleSpec, derive_sample
from proxy.audio.recordings.measures import rate_master
from proxy.engines.in_process import InProcessEngine
from tests.proxy.api.inside import TONE, Inside, envelope, inside, inside_fixture
from tests.proxy.api.owning import agree, new_key, send
from tests.replies import json_of
from tests.sound import decoded
from tests.speech_clips import wav

pytestmark = pytest.mark.slow

CONFIG = TONE.replace("hosted = false", "hosted = false\nvoices = ['tone', 'other']")
REST = """
[engines.reads]
plugin = "tone"
hosted = false
needs_sample_text = true
"""

server = inside_fixture(CONFIG + REST)


async def owned(server: Inside, by: str, key: str | None = None, **more: object) -> dict[str, Any]:
    """A voice made of a recording of this voice of espeak."""
    consent = await agree(server, key)
    return json_of(
        await send(server, {"name": f"voice of {by}", "consent": consent["id"], **more}, wav(by), key)
    )


@cache
def expected(by: str) -> Timbre:
    """What tone measures of the recording, if the server gives it whole."""
    return measure([derive_sample(wav(by), rate_master(wav(by)), SampleSpec(1.0, 30.0, 24_000))], 24_000)


async def heard(server: Inside, voice: object, audio_format: str = "wav", **more: Any) -> Timbre:
    answer = await server.speech("Hello there.", voice=voice, response_format=audio_format, **more)
    assert answer.status_code == 200, answer.text
    sound = decoded(answer.content, audio_format)
    assert decode(*sound) == ("Hello there.",)
    (timbre,) = decode_timbres(*sound)
    return timbre


def sample_cache(server: Inside, engine: str = "tone") -> str:
    live = server.worker.engines[engine]
    assert isinstance(live, InProcessEngine)
    return repr(live._samples.sample_cache)


async def test_each_voice_is_heard_as_itself_in_every_format(server: Inside) -> None:
    voices = {by: await owned(server, by) for by in ("m3", "f3")}
    for by, voice in voices.items():
        # The other voice is another sound, but no other format.
        for audio_format in FORMATS if by == "m3" else ("wav",):
            timbre = await heard(server, voice["id"], audio_format)
            assert list(timbre) == pytest.approx(list(expected(by)), rel=0.02, abs=0.01)
    assert expected("f3").pitch_hz > 1.2 * expected("m3").pitch_hz
    assert sample_cache(server) == "<SampleCache 2 recordings, 0 loans>"


async def test_a_mix_and_a_saved_mix_of_owned_voices_are_between_them(server: Inside) -> None:
    low, high = await owned(server, "m3"), await owned(server, "f3")
    mix = [{"id": low["id"], "weight": 3}, {"id": high["id"], "weight": 1}]
    between = 0.75 * expected("m3").pitch_hz + 0.25 * expected("f3").pitch_hz
    assert (await heard(server, {"mix": mix})).pitch_hz == pytest.approx(between, rel=0.02)
    saved = await server.ask("POST", "/v1/audio/voices", body={"name": "blend", "mix": mix})
    assert saved.status_code == 200, saved.text
    assert (await heard(server, "blend")).pitch_hz == pytest.approx(between, rel=0.02)


async def test_a_model_that_needs_the_words_asks_for_them(server: Inside) -> None:
    mute, read = (
        await owned(server, "m3"),
        await owned(server, "f3", ref_text="I am the owner of this voice."),
    )
    refused = await server.speech(voice=mute["id"], model="reads/standard")
    assert (refused.status_code, envelope(refused)["code"]) == (400, "reference_text_required")
    assert (await heard(server, read["id"], model="reads/standard")).pitch_hz > 0


async def test_where_all_models_need_the_words_they_are_asked_for_at_once(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG.replace("hosted = false", REST.partition('"tone"\n')[2])) as server:
        fields = {"name": "Ana", "consent": (await agree(server))["id"]}
        answer = await send(server, fields)
        error = envelope(answer)
        assert (answer.status_code, error["code"], error["param"]) == (
            400,
            "reference_text_required",
            "ref_text",
        )
        made = await send(server, {**fields, "ref_text": "I am the owner of this voice."})
        assert made.status_code == 200, made.text
        assert (await heard(server, made.json()["id"])).pitch_hz > 0


async def test_what_is_deleted_leaves_the_engines_and_the_same_bytes_of_another_stay(server: Inside) -> None:
    other = await new_key(server, "bob")
    mine, theirs = await owned(server, "m3"), await owned(server, "m3", other)
    assert (await heard(server, mine["id"])).pitch_hz > 0
    body = {"model": "tts-1", "voice": theirs["id"], "input": "Hello there.", "response_format": "wav"}
    assert (await server.ask("POST", "/v1/audio/speech", key=other, body=body)).status_code == 200
    assert sample_cache(server) == "<SampleCache 2 recordings, 0 loans>"
    deleted = await server.ask("DELETE", f"/v1/audio/voices/{mine['id']}")
    assert deleted.status_code == 200, deleted.text
    assert sample_cache(server) == "<SampleCache 1 recordings, 0 loans>"
    gone = await server.speech(voice=mine["id"])
    assert (gone.status_code, envelope(gone)["code"]) == (400, "voice_not_found")
    assert (await server.ask("POST", "/v1/audio/speech", key=other, body=body)).status_code == 200


async def test_nobody_speaks_with_the_voice_of_another_account_alone_or_in_a_mix(server: Inside) -> None:
    theirs = await owned(server, "m3", await new_key(server, "bob"))
    for voice in (
        theirs["id"],
        theirs["name"],
        {"mix": [{"id": theirs["id"]}]},
        {"cast": {"Bob": theirs["id"]}},
    ):
        answer = await server.speech("[Bob] Hello there.", voice=voice)
        assert (answer.status_code, envelope(answer)["code"]) == (400, "voice_not_found")
    assert sample_cache(server) == "<SampleCache 0 recordings, 0 loans>"
