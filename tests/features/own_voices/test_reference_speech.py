"""Requests that bring the recording of their voice: heard in it, refused by name, and nothing is kept."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import Message

from plugins.tone.decode import decode, decode_timbres
from plugins.tone.timbre import measure
from proxy.audio.formats import FORMATS
from proxy.audio.recordings.derivation import SampleSpec, derive_sample
from proxy.audio.recordings.measures import rate_master
from proxy.engines.in_process import InProcessEngine
from proxy.features.consents import records as consents
from proxy.features.marks.clip_facts import find_clip
from proxy.features.own_voices.one_shot import OneShotSamples
from proxy.http.form import MOST_FILE_BYTES
from tests.proxy.api.inside import Inside, LeavingPeer, envelope, inside, inside_fixture
from tests.sound import decoded
from tests.speech_clips import wav

pytestmark = pytest.mark.slow

CONFIG = """
[server]
default_model = "tone"
[cache]
on = true
[engines.tone]
hosted = false
[engines.reads]
plugin = "tone"
hosted = false
needs_sample_text = true
[engines.deaf]
plugin = "tone"
hosted = false
speaks_samples = false
[engines.breaks]
plugin = "tone"
hosted = false
fail = "EngineFailed"
fail_at_s = 1.5
[engines.slow]
plugin = "tone"
hosted = false
pace = 1.0
[models]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
[plans.small]
"""
FIELDS = {"model": "tts-1", "input": "Hello there.", "consent": "true"}

server = inside_fixture(CONFIG)


async def sent(
    server: Inside, audio: bytes | None = None, headers: dict[str, str] | None = None, **more: Any
) -> httpx2.Response:
    """Send a form; a field of None is left out. Without `audio` the recording is a good one."""
    fields = {name: value for name, value in {**FIELDS, **more}.items() if value is not None}
    async with server.client(**(headers or {})) as client:
        return await client.post("/v1/audio/speech", data=fields, files={"reference_audio": audio or wav()})


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def nothing_is_left(server: Inside) -> bool:
    """Whether no engine, and nothing else in memory, has a recording or what was derived of one."""
    locals_ = [engine for _, engine in server.worker.engines.items() if isinstance(engine, InProcessEngine)]
    shelves = {repr(engine._samples.sample_cache) for engine in locals_}
    source = server.worker.open_features.context.samples.source
    assert isinstance(source, OneShotSamples)
    derived = [each for engine in locals_ for each in engine._samples.sample_cache._derived]
    return shelves == {"<SampleCache 0 recordings, 0 loans>"} and not derived and not source._recordings


async def test_the_voice_of_the_recording_is_heard_in_every_format(server: Inside) -> None:
    expected = measure([derive_sample(wav(), rate_master(wav()), SampleSpec(1.0, 30.0, 24_000))], 24_000)
    for audio_format in FORMATS:
        answer = await sent(server, response_format=audio_format)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-voxgate-voice"] == "reference_audio"
        assert answer.headers["x-voxgate-cache"] == "off"
        sound = decoded(answer.content, audio_format)
        assert decode(*sound) == ("Hello there.",)
        (timbre,) = decode_timbres(*sound)
        assert timbre.pitch_hz == pytest.approx(expected.pitch_hz, rel=0.01)
        assert timbre.seconds == pytest.approx(expected.seconds, abs=0.02)
        assert nothing_is_left(server)


async def test_a_form_has_a_tag_as_json_has(server: Inside) -> None:
    answers = [await sent(server, tag="ep:1"), await sent(server, headers={"x-voxgate-tag": "ep:2"})]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [row.tag for row in await server.usage()] == ["ep:2", "ep:1"]
    for refused in (await sent(server, tag="a b"), await sent(server, headers={"x-voxgate-tag": "a b"})):
        assert (refused.status_code, "tag" in str(envelope(refused)["param"])) == (400, True)
    assert nothing_is_left(server)


async def test_two_recordings_at_once_are_two_voices(server: Inside) -> None:
    answers = await asyncio.gather(
        *(sent(server, audio, response_format="wav") for audio in (wav("m3"), wav("f3"), wav("m3")))
    )
    pitches = [decode_timbres(*decoded(answer.content, "wav"))[0].pitch_hz for answer in answers]
    assert pitches[0] == pitches[2]
    assert pitches[1] > 1.2 * pitches[0]
    assert nothing_is_left(server)


async def test_all_fields_of_json_count_in_a_form(server: Inside) -> None:
    answer = await sent(
        server,
        input="The sea.",
        speed="2",
        pitch="0",
        seed="7",
        language="pt-BR",
        response_format="json",
        audio_format="wav",
        lexicon='{"sea": "ocean"}',
        cache="false",
        reference_text="I am the owner of this voice.",
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["language"] == "pt-BR"
    bare = await sent(server, input="The sea.", speed="2", lexicon='{"sea": "ocean"}', response_format="wav")
    assert decode(*decoded(bare.content, "wav"), 2.0) == ("The ocean.",)


WRONG: tuple[tuple[dict[str, Any], int, str, str], ...] = (
    ({"consent": None}, 400, "consent", "missing_required_parameter"),
    ({"consent": "cons_nobody"}, 404, "consent", "consent_not_found"),
    ({"input": None}, 400, "input", "missing_required_parameter"),
    ({"voice": "alloy"}, 400, "voice", "invalid_value"),
    ({"cache": "true"}, 400, "cache", "invalid_value"),
    ({"speed": "fast"}, 400, "speed", "invalid_value"),
    ({"speed": "9"}, 400, "speed", "invalid_value"),
    ({"seed": "1.5"}, 400, "seed", "invalid_value"),
    ({"response_format": "ogg"}, 400, "response_format", "invalid_value"),
    ({"model": ["tts-1", "tts-1"]}, 400, "model", "invalid_value"),
    ({"reference_text": "x" * 1001}, 400, "reference_text", "invalid_value"),
    ({"model": "nobody"}, 404, "model", "model_not_found"),
    ({"model": "deaf/standard"}, 400, "reference_audio", "voice_not_available"),
    ({"model": "reads/standard"}, 400, "reference_text", "reference_text_required"),
    ({"audio": b"garbage" * 100}, 400, "reference_audio", "invalid_audio"),
    ({"audio": bytes(MOST_FILE_BYTES + 1)}, 400, "reference_audio", "file_too_large"),
)


async def test_what_is_wrong_is_named(server: Inside) -> None:
    for more, status, param, code in WRONG:
        answer = await sent(server, **more)
        error = envelope(answer)
        assert (answer.status_code, error["param"], error["code"]) == (status, param, code), more
        assert nothing_is_left(server), more


async def test_a_form_without_a_recording_says_which_field_is_missing(server: Inside) -> None:
    async with server.client() as client:
        answer = await client.post("/v1/audio/speech", data=FIELDS, files={"reference_audio": b""})
    assert (answer.status_code, envelope(answer)["param"]) == (400, "reference_audio")


async def test_a_form_with_a_voice_and_no_recording_lacks_the_recording(server: Inside) -> None:
    """It is told so, and not that it has both."""
    async with server.client() as client:
        files = {name: (None, text) for name, text in {**FIELDS, "voice": "alloy"}.items()}
        error = envelope(await client.post("/v1/audio/speech", files=files))
    assert (error["param"], error["code"]) == ("reference_audio", "missing_required_parameter")
    assert "for other voices, send JSON" in error["message"]
    both = envelope(await sent(server, voice="alloy"))
    assert (both["param"], both["message"]) == ("voice", "Send 'voice' or 'reference_audio', not both.")


async def test_the_words_of_the_recording_open_a_model_that_needs_them(server: Inside) -> None:
    answer = await sent(server, model="reads/standard", reference_text="I am the owner of this voice.")
    assert answer.status_code == 200, answer.text


async def test_an_idempotency_key_is_refused_before_the_form_is_read(server: Inside) -> None:
    answer = await sent(server, headers={"idempotency-key": "again"})
    assert answer.status_code == 400
    assert envelope(answer)["param"] == "Idempotency-Key"
    assert "Nothing of a request" in envelope(answer)["message"]


async def test_a_plan_without_one_shot_refuses_forms_and_speaks_json(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, plan="small") as server:
        answer = await sent(server)
        assert (answer.status_code, envelope(answer)["code"]) == (403, "one_shot_not_allowed")
        assert (await server.speech()).status_code == 200


async def test_a_plan_with_it_allows_it(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG + "one_shot = true\n", plan="small") as server:
        assert (await sent(server)).status_code == 200


async def test_an_account_without_credits_has_nothing_decoded(tmp_path: Path) -> None:
    broke = 'one_shot = true\nallowance = 0\nprices.speech = { credits = 60, per = "minute" }\n'
    async with inside(tmp_path, CONFIG + broke, plan="small") as server:
        answer = await sent(server, b"no recording")
        assert (answer.status_code, envelope(answer)["code"]) == (429, "insufficient_quota")


async def test_an_account_without_credits_may_speak_for_nothing(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG + "one_shot = true\nallowance = 0\n", plan="small") as server:
        assert (await sent(server)).status_code == 200


async def test_a_plan_may_waive_the_consent(tmp_path: Path) -> None:
    waived = CONFIG + 'one_shot = true\nconsent = "waived"\n'
    async with inside(tmp_path, waived, plan="small") as server:
        assert (await sent(server, consent=None)).status_code == 200


async def test_a_consent_says_which_providers_may_receive_the_recording(tmp_path: Path) -> None:
    marked = CONFIG.replace("[engines.tone]", "[engines.tone]\nmarking = true")
    cloud = marked + '[engines.cloud]\nplugin = "openai"\nrecordings = "form"\nmodels = ["tts-1"]\n'
    async with inside(tmp_path, cloud) as server:
        body = {"name": "me", "language": "en", "statement": "I agree.", "providers": ["tone"]}
        made = await server.ask("POST", "/v1/audio/voice_consents", body=body)
        assert made.is_success, made.text
        consent = made.json()["id"]
        refused = await sent(server, model="cloud/tts-1", consent=consent)
        assert (refused.status_code, envelope(refused)["code"]) == (403, "consent_not_given")
        spoken = await sent(server, consent=consent)
        assert spoken.status_code == 200
        found = await find_clip(server.worker.store, spoken.headers["x-request-id"])
        record = await consents.get(server.worker.store, None, consent)
        assert record is not None
    assert found is not None
    assert found.facts.consents == (consents.record_digest(record),)


async def test_nothing_of_it_is_cached_or_written_down(server: Inside, tmp_path: Path) -> None:
    for _ in range(2):
        answer = await sent(server, reference_text="canary words")
        assert answer.headers["x-voxgate-cache"] == "off"
    (*rows,) = await server.usage()
    assert [row.voice for row in rows] == ["reference_audio"] * 2
    found = await asyncio.to_thread(contents, tmp_path)
    middle = len(wav()) // 2
    assert found
    assert not [data for data in found if b"canary words" in data or wav()[middle : middle + 400] in data]
    assert not server.worker.planner._decisions


async def raw(
    server: Inside, model: str, peer: LeavingPeer, on_sent: Callable[[Message], Awaitable[None]] | None = None
) -> list[Message]:
    """The ASGI messages of a long answer to a form."""
    request = httpx2.Request(
        "POST",
        "http://voxgate.test/v1/audio/speech",
        data={**FIELDS, "model": model, "input": "Words and more words. " * 9},
        files={"reference_audio": wav()},
    )
    headers = {"content-type": request.headers["content-type"]}
    return await server.raw_speech(request.read(), headers=headers, peer=peer, on_sent=on_sent)


async def test_an_engine_that_breaks_in_the_middle_leaves_nothing(server: Inside) -> None:
    messages = await raw(server, "breaks/standard", LeavingPeer())
    assert messages[-1]["more_body"], "the answer is broken off"
    (row,) = await server.usage()
    assert row.outcome == "failed"
    assert nothing_is_left(server)


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(server: Inside) -> None:
    peer, began = LeavingPeer(), asyncio.Event()

    async def note(message: Message) -> None:
        if message["type"] == "http.response.body":
            began.set()

    speaking = asyncio.create_task(raw(server, "slow/standard", peer, note))
    await asyncio.wait_for(began.wait(), 20.0)
    assert not nothing_is_left(server)
    peer.leave()
    await asyncio.wait_for(asyncio.wait([speaking]), 20.0)
    assert nothing_is_left(server)
    (row,) = await server.usage()
    assert row.outcome == "left"


async def test_json_speaks_as_ever_beside_it(server: Inside) -> None:
    assert decode(*decoded((await server.speech("Hello there.")).content, "mp3")) == ("Hello there.",)
