"""POST /v1/audio/conversions: what was said is said again, charged by its length, and nothing of it stays."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.types import Message

from plugins.tone.decode import decode
from proxy.audio.formats import FORMATS, USUAL_FORMS, wav_header
from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.intake import RecordingIntake
from proxy.errors import InvalidRequest, NoPlace
from proxy.features.conversions import endpoint
from proxy.features.conversions.endpoint import ConversionSources
from proxy.features.conversions.form import ConversionForm, ConversionUpload
from proxy.features.jobs.kinds.conversion import kind
from proxy.features.transcriptions import long_recordings
from proxy.http.form import MOST_FILE_BYTES
from speech_engine import (
    ContentRefused,
    EngineError,
    Event,
    SpeechJob,
    Started,
    UnsupportedLanguage,
    UnsupportedText,
    UnusableSample,
)
from tests.proxy.api.inside import Inside, LeavingPeer, envelope, inside, inside_fixture
from tests.proxy.api.owning import agree, clone, new_key
from tests.proxy.api.scripted import RATE_HZ
from tests.proxy.audio.recordings.clips import Kind, encoded
from tests.proxy.speech_steps.repeating import Repeating
from tests.sound import decoded
from tests.tables import each_row
from tests.tones import of_seconds, tones

pytestmark = pytest.mark.slow

CONFIG = """
[server]
default_model = "tone"
[cache]
on = true
[engines.tone]
hosted = false
voices = ["tone", "other"]
[engines.cloud]
plugin = "openai"
models = ["tts-1"]
[engines.slow]
plugin = "tone"
hosted = false
pace = 1.0
[engines.breaks]
plugin = "tone"
hosted = false
fail = "EngineFailed"
fail_at_s = 0.5
[models]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
cloud = "alloy"
slow = "tone"
breaks = "tone"
[plans.small]
"""
PRICED = 'allowance = 1000\nprices.conversion = { credits = 60, per = "minute" }\n'
FIELDS = {"model": "tone/standard", "voice": "alloy", "consent": "true"}
TEXT = "Repeat what I said."


def recorded(text: str = TEXT, rate_hz: int = 24_000) -> bytes:
    pcm = tones(text)
    return wav_header(len(pcm) // 2, rate_hz) + pcm


server = inside_fixture(CONFIG)


async def sent(
    server: Inside, audio: bytes | None = None, headers: dict[str, str] | None = None, **more: Any
) -> httpx2.Response:
    """Send a form; a field of None is left out. Without `audio` the recording is a good one."""
    fields = {name: value for name, value in {**FIELDS, **more}.items() if value is not None}
    async with server.client(**(headers or {})) as client:
        return await client.post(
            "/v1/audio/conversions", data=fields, files={"file": recorded() if audio is None else audio}
        )


def seconds_of(answer: httpx2.Response, audio_format: str = "wav") -> float:
    samples, rate_hz = decoded(answer.content, audio_format)
    return float(len(samples)) / rate_hz


async def test_the_words_come_out_in_every_format(server: Inside) -> None:
    for audio_format in FORMATS:
        answer = await sent(server, response_format=audio_format)
        assert answer.status_code == 200, answer.text
        assert decode(*decoded(answer.content, audio_format)) == (TEXT,)
        assert answer.headers["x-voxgate-engine"] == "tone/standard"
        assert answer.headers["x-voxgate-voice"] == "alloy"
        assert answer.headers["x-voxgate-cache"] == "off"


async def test_an_answer_names_the_fields_of_speech_that_a_conversion_does_not_have(server: Inside) -> None:
    answer = await sent(server, speed="1.5", language="en", emotion="")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-ignored"] == "language, speed"
    assert "x-voxgate-ignored" not in (await sent(server)).headers


async def test_a_consent_that_is_no_id_is_told_what_it_must_be(server: Inside) -> None:
    message = (await sent(server, consent="false")).json()["error"]["message"]
    assert message == (
        "The consent 'false' does not exist. It must be the id of a consent, or true if who speaks agrees."
    )


async def test_it_is_exactly_as_long_as_the_recording(server: Inside) -> None:
    pcm = tones(TEXT)
    answer = await sent(server, response_format="pcm")
    assert len(answer.content) == len(pcm)


@pytest.mark.parametrize("rate_hz", [8000, 48_000])
async def test_a_recording_may_have_any_rate(server: Inside, rate_hz: int) -> None:
    data = recorded(rate_hz=rate_hz)
    answer = await sent(server, data, response_format="wav")
    assert seconds_of(answer) == pytest.approx((len(data) - len(wav_header(0))) / 2 / rate_hz, abs=0.001)


async def test_without_a_price_of_its_own_it_costs_what_speech_does(tmp_path: Path) -> None:
    by_time = 'allowance = 1000\nprices.speech = { credits = 120, per = "minute" }\n'
    async with inside(tmp_path, CONFIG + by_time, plan="small") as server:
        await sent(server, of_seconds(3.0))
        (row,) = await server.usage()
        assert row.credits == 6_000_000


async def test_speech_by_the_character_gives_no_free_conversions(tmp_path: Path) -> None:
    by_text = 'allowance = 1000\nprices.speech = { credits = 1, per = "character" }\n'
    async with inside(tmp_path, CONFIG + by_text, plan="small") as server:
        answer = await sent(server, b"it is not even decoded")
        assert (answer.status_code, envelope(answer)["code"]) == (403, "conversion_not_priced")


WRONG: tuple[tuple[dict[str, Any], int, str | None, str], ...] = (
    ({"audio": b""}, 400, "file", "invalid_audio"),
    ({"audio": b"garbage" * 100}, 400, "file", "invalid_audio"),
    ({"audio": wav_header(0)}, 400, "file", "invalid_audio"),
    ({"audio": of_seconds(3.0, level=0)}, 400, "file", "invalid_audio"),
    ({"audio": of_seconds(301.0)}, 400, "file", "recording_too_long"),
    ({"audio": bytes(MOST_FILE_BYTES + 1)}, 400, "file", "file_too_large"),
    ({"audio": bytes(11 * 1024 * 1024)}, 413, "file", "request_too_large"),
    ({"audio": of_seconds(360.0)}, 400, "file", "recording_too_long"),
    ({"consent": None}, 400, "consent", "missing_required_parameter"),
    ({"consent": "cons_nobody"}, 404, "consent", "consent_not_found"),
    ({"model": None}, 400, "model", "missing_required_parameter"),
    ({"model": "nobody"}, 404, "model", "model_not_found"),
    ({"model": "cloud/tts-1"}, 400, "model", "unsupported_model"),
    ({"voice": None}, 400, "voice", "missing_required_parameter"),
    ({"voice": "voice_of_others"}, 400, "voice", "voice_not_found"),
    ({"voice": ["alloy", "alloy"]}, 400, "voice", "invalid_value"),
    ({"pitch": "13"}, 400, "pitch", "invalid_value"),
    ({"pitch": "high"}, 400, "pitch", "invalid_value"),
    ({"pitch": "2"}, 400, "pitch", "unsupported_value"),
    ({"index_rate": "1.5"}, 400, "index_rate", "invalid_value"),
    ({"protect": "0.6"}, 400, "protect", "invalid_value"),
    ({"rms_mix_rate": "2"}, 400, "rms_mix_rate", "invalid_value"),
    ({"f0_method": "harvest"}, 400, "f0_method", "invalid_value"),
    ({"seed": "-1"}, 400, "seed", "invalid_value"),
    ({"response_format": "json"}, 400, "response_format", "invalid_value"),
    ({"provenance": "c2pa", "response_format": "opus"}, 400, "provenance", "invalid_value"),
)


async def test_what_is_wrong_is_named_and_costs_nothing(server: Inside) -> None:
    for more, status, param, code in WRONG:
        answer = await sent(server, **more)
        error = envelope(answer)
        assert (answer.status_code, error["param"], error["code"]) == (status, param, code), more
        assert ("mp3, opus or flac" in error["message"]) == (code in ("file_too_large", "request_too_large"))
    assert [row for row in await server.usage() if row.credits or row.outcome == "finished"] == []


async def test_of_a_model_and_a_voice_that_are_not_there_the_model_is_named(server: Inside) -> None:
    both: dict[str, Any] = {"model": "nothing/here", "voice": "nobody"}
    speech = await server.ask("POST", "/v1/audio/speech", body={**both, "input": "Hello."})
    for answer in (await sent(server, **both), speech):
        error = envelope(answer)
        assert (answer.status_code, error["param"], error["code"]) == (404, "model", "model_not_found")


async def test_the_list_of_models_says_which_convert_and_train_and_so_does_a_refusal(server: Inside) -> None:
    models = {each["id"]: each for each in (await server.ask("GET", "/v1/models")).json()["data"]}
    said = {name: (each.get("converts"), each.get("trains")) for name, each in models.items()}
    assert (said["tone/standard"], said["cloud/tts-1"]) == ((True, True), (None, None))
    message = envelope(await sent(server, model="cloud/tts-1"))["message"]
    assert message.startswith("cloud/tts-1 cannot convert recordings. ")
    assert "tone/standard" in message


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"model": "nobody"}, "model_not_found"),
        ({"model": "cloud/tts-1"}, "unsupported_model"),
        ({"voice": "nobody"}, "voice_not_found"),
        ({"pitch": "2"}, "unsupported_value"),
        ({"consent": "cons_nobody"}, "consent_not_found"),
    ],
)
async def test_what_is_refused_whatever_the_recording_is_costs_no_decoding(
    server: Inside, more: dict[str, Any], code: str
) -> None:
    assert envelope(await sent(server, b"no recording", **more))["code"] == code


async def test_a_voice_and_a_consent_of_another_account_are_as_unknown_as_none(server: Inside) -> None:
    key = await new_key(server, "zoe")
    voice, consent = await clone(server, "Zoe", key), await agree(server, key)
    for field, id_, code in (
        ("voice", voice["id"], "voice_not_found"),
        ("consent", consent["id"], "consent_not_found"),
    ):
        answer = await sent(server, **{field: id_})
        error = envelope(answer)
        assert (error["param"], error["code"]) == (field, code)
        assert "Zoe" not in error["message"]


async def test_an_unknown_text_is_passed_over_and_an_unknown_file_is_refused(server: Inside) -> None:
    assert (await sent(server, hobby="chess")).status_code == 200
    async with server.client() as client:
        files = {"file": recorded(), "other": recorded()}
        answer = await client.post("/v1/audio/conversions", data=FIELDS, files=files)
    assert (answer.status_code, envelope(answer)["param"]) == (400, "other")


async def test_a_recording_that_is_too_long_is_told_of_the_job_that_takes_it(server: Inside) -> None:
    message = envelope(await sent(server, of_seconds(301.0)))["message"]
    assert "/v1/jobs" in message
    assert "kind=conversion" in message


async def test_a_recording_of_a_high_rate_may_be_as_long_as_any(server: Inside) -> None:
    seconds, half = 152, np.full(48, 0.25)
    wave = np.tile(np.concatenate((half, -half)), seconds * 1000)
    answer = await sent(server, encoded(Kind("flac", "flac", "s16", 96_000), wave), response_format="mp3")
    assert answer.status_code == 200, answer.text


async def test_a_body_that_is_no_form_is_refused(server: Inside) -> None:
    answer = await server.ask("POST", "/v1/audio/conversions", body={"model": "tone/standard"})
    assert answer.status_code == 415


async def test_a_plan_may_waive_the_consent(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG + 'consent = "waived"\n', plan="small") as server:
        assert (await sent(server, consent=None)).status_code == 200


async def test_a_consent_says_which_providers_may_hear_it(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as server:
        body = {"name": "me", "language": "en", "statement": "I agree.", "providers": ["cloud"]}
        made = await server.ask("POST", "/v1/audio/voice_consents", body=body)
        assert (await sent(server, consent=made.json()["id"])).status_code == 200, "a local one always may"


async def test_fields_that_an_engine_does_not_know_are_named(server: Inside) -> None:
    answer = await sent(server, index_rate="0.5", f0_method="pm", rms_mix_rate="0.25")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-ignored"] == "f0_method, index_rate, rms_mix_rate"


async def test_a_key_answers_once_however_the_form_is_written(server: Inside) -> None:
    key = {"idempotency-key": "once"}
    first = await sent(server, headers=key, response_format="wav")
    again = await sent(server, headers=key, response_format="wav")
    assert first.content == again.content
    assert again.headers["x-voxgate-replayed"] == "true"
    assert len([*await server.usage()]) == 1
    other = await sent(server, recorded("Something else."), headers=key, response_format="wav")
    assert (other.status_code, envelope(other)["code"]) == (422, "idempotency_key_reused")


async def test_what_takes_long_for_a_large_file_holds_up_nobody(
    server: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, int] = {}

    def noting(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any) -> Any:
            threads[name] = threading.get_ident()
            return work(*given)

        return noted

    places = ((endpoint, "sha256"), (endpoint, "digest_of_fields"))
    jobs = [(kind, name) for name in ("sha256", "digest_of_fields")]
    cuts = [(long_recordings, name) for name in ("cut_stretches", "is_silent")]
    for module, name in (*places, *jobs, *cuts):
        named = f"{module.__name__}.{name}"
        monkeypatch.setattr(module, name, noting(named, getattr(module, name)))
    assert (await sent(server, headers={"idempotency-key": "one"})).status_code == 200
    async with server.client() as client:
        form = {**FIELDS, "kind": "conversion"}
        made = await client.post("/v1/jobs", data=form, files={"file": recorded()})
    assert made.status_code == 202
    assert len(threads) == 6
    assert threading.get_ident() not in threads.values()


async def test_two_recordings_of_one_account_are_converted_at_once(server: Inside) -> None:
    texts = ["The first one.", "The second one."]
    answers = await asyncio.gather(*(sent(server, recorded(each), response_format="wav") for each in texts))
    assert [decode(*decoded(each.content, "wav")) for each in answers] == [(text,) for text in texts]


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_nothing_of_it_is_written_down(server: Inside, tmp_path: Path) -> None:
    data = recorded("A canary sings here and nobody keeps it.")
    assert (await sent(server, data)).status_code == 200
    middle = len(data) // 2
    needle = data[middle : middle + 400]
    files = await asyncio.to_thread(contents, tmp_path)
    assert files
    assert not [file for file in files if needle in file]


async def test_the_room_for_recordings_is_bounded_and_given_back(
    server: Inside,
) -> None:
    context = server.worker.open_features.context
    most = 14_600_000
    room = ConversionSources(RecordingIntake(context.find(Decoder)), most_bytes=most)
    form = ConversionForm(model="tone/standard", voice="alloy")
    short = ConversionUpload(form, USUAL_FORMS["wav"], of_seconds(6.0))
    async with room.decode_source("acc_1", short, None):
        # The file counts beside its sound.
        assert room.places.taken_weight == len(short.audio) + 288_000
        with pytest.raises(NoPlace):
            async with room.decode_source("acc_2", short, None):
                pass
    async with room.decode_source("acc_2", short, None) as source:
        assert source.seconds == pytest.approx(6.0)
    with pytest.raises(InvalidRequest):
        async with room.decode_source("acc_2", short._replace(audio=b"no recording"), None):
            pass
    assert room.places.taken_weight == 0


async def test_half_of_the_room_for_recordings_is_for_accounts_that_have_none_there(server: Inside) -> None:
    context = server.worker.open_features.context
    room = ConversionSources(RecordingIntake(context.find(Decoder)), most_bytes=29_600_000)
    form = ConversionForm(model="tone/standard", voice="alloy")
    short = ConversionUpload(form, USUAL_FORMS["wav"], of_seconds(6.0))
    async with room.decode_source("acc_1", short, None):
        with pytest.raises(NoPlace):
            async with room.decode_source("acc_1", short, None):
                pass
        async with room.decode_source("acc_2", short, None):
            pass


async def test_as_many_as_a_plan_has_streams_are_converted_however_many_places_there_are(
    tmp_path: Path,
) -> None:
    async with inside(tmp_path, CONFIG + "streams = 8\n", plan="small") as server:
        answers = await asyncio.gather(*(sent(server, of_seconds(1.0)) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8


class Refusing(Repeating):
    def __init__(self, error: EngineError) -> None:
        super().__init__()
        self._error = error

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        yield Started(RATE_HZ)
        raise self._error


@each_row("kind", [ContentRefused, UnsupportedText, UnsupportedLanguage, UnusableSample])
async def test_what_an_engine_refuses_of_a_recording_is_the_file(
    tmp_path: Path, kind: type[EngineError]
) -> None:
    config = CONFIG + '[engines.one]\n[voices.v]\none = "v"\n'
    async with inside(tmp_path, config, {"one": Refusing(kind("No."))}) as server:
        answer = await sent(server, model="one/m", voice="v")
    assert (answer.status_code, envelope(answer)["param"]) == (400, "file")


async def raw(
    server: Inside, model: str, peer: LeavingPeer, began: asyncio.Event, audio: bytes | None = None
) -> list[Message]:
    """The ASGI messages of an answer, which is a long one without `audio`."""
    request = httpx2.Request(
        "POST",
        "http://voxgate.test/v1/audio/conversions",
        data={**FIELDS, "model": model, "response_format": "pcm"},
        files={"file": of_seconds(20.0) if audio is None else audio},
    )

    async def note(message: Message) -> None:
        if message["type"] == "http.response.body":
            began.set()

    headers = {"content-type": request.headers["content-type"]}
    return await server.raw_speech(
        request.read(), headers=headers, peer=peer, on_sent=note, path="/v1/audio/conversions"
    )
