"""Recordings: what the server is asked, what its answers become, and what is no answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError

from fakes.elevenlabs import KEY
from fakes.elevenlabs import fake as elevenlabs
from fakes.forms import Form, form_of
from fakes.openai.app import provider
from fakes.openai.habits import HABITS
from fakes.provider import RequestRecord
from fakes.serving import served
from plugins.openai.presets import PRESETS
from plugins.openai.settings import OpenAISettings
from speech_engine import (
    HEARING_HZ,
    Engine,
    EngineError,
    EngineExhausted,
    EngineFailed,
    EngineLimited,
    EngineStumbled,
    EngineTimeout,
    EngineUnauthorized,
    Finished,
    ProviderCount,
    Transcript,
    UnsupportedRequest,
    UnusableSample,
    recording_pieces,
)
from speech_engine.pcm import wav_file
from speech_engine.testing import HearingContract
from speech_engine.testing.hearing_contract import segments
from tests.features.transcriptions.ears import heard, recorded
from tests.plugins.openai.upstream import Pair, pair
from tests.proxy.api.inside import inside
from tests.tables import each_row
from tests.tones import recording, transcript

TEXTS = ("Hello there, world.", "It is late!", "Good night.")
MODELS = ("whisper-1", "gpt-transcribe")


@asynccontextmanager
async def _ears(**settings: Any) -> AsyncIterator[Engine]:
    async with pair(transcribes=MODELS, models=("tts-1",), **settings) as (engine, _):
        yield engine


class TestWhisper(HearingContract):
    model = "whisper-1"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _ears()

    async def recording(self) -> bytes:
        return recording(*self.texts)


class TestTheNewestModel(TestWhisper):
    model = "gpt-transcribe"


def asked(seen: RequestRecord) -> Form:
    return form_of(seen.headers["content-type"], seen.body)


async def _failure(made: Pair, pcm: bytes, **fields: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await transcript(made.engine, pcm, **{"model": "whisper-1", **fields})
    return caught.value


@each_row(
    ("model", "fields", "sent"),
    [
        ("gpt-transcribe", {}, {}),
        (
            "gpt-transcribe",
            {"languages": ("pt-BR", "en"), "keywords": ("Ana", "Zoë B."), "prompt": "A talk."},
            {"languages[]": ["pt", "en"], "keywords[]": ["Ana", "Zoë B."], "prompt": ["A talk."]},
        ),
        ("gpt-transcribe", {"language": "th", "languages": ("en",)}, {"languages[]": ["th"]}),
        (
            "whisper-1",
            {"language": "pt-BR", "keywords": ("Ana", "Zoë"), "prompt": "A talk.", "temperature": 0.2},
            {
                "language": ["pt"],
                "prompt": ["A talk. Ana, Zoë"],
                "temperature": ["0.2"],
                "response_format": ["verbose_json"],
                "timestamp_granularities[]": ["segment"],
            },
        ),
        ("whisper-1", {"languages": ("en", "fr"), "times": ""}, {}),
        (
            "whisper-1",
            {"times": "words"},
            {"response_format": ["verbose_json"], "timestamp_granularities[]": ["segment", "word"]},
        ),
    ],
)
async def test_a_model_is_asked_for_what_it_can_do(
    model: str, fields: dict[str, Any], sent: dict[str, list[str]]
) -> None:
    async with pair(transcribes=MODELS) as (engine, fake):
        await transcript(engine, recording("One."), model=model, **fields)
    (seen,) = fake.seen
    assert seen.path == "/v1/audio/transcriptions"
    assert asked(seen).lists == {"model": [model], **sent}
    (file,) = asked(seen).files
    assert (file.field, file.name, file.media_type) == ("file", "recording.wav", "audio/wav")


async def test_times_and_numbers_are_those_of_the_answer_and_words_have_their_marks() -> None:
    pcm = recording(*TEXTS)
    async with pair(transcribes=MODELS) as (engine, _):
        events = await transcript(engine, pcm, model="whisper-1", times="words")
    found = segments(events)
    assert [each.text for each in found] == [TEXTS[0], f" {TEXTS[1]}", f" {TEXTS[2]}"]
    assert [word.text for word in found[0].words] == ["Hello", "there,", "world."]
    assert {(each.language, each.avg_logprob, each.no_speech, each.tokens) for each in found} == {
        ("en", -0.25, 0.01, (50364, 1))
    }
    seconds = len(pcm) / 32_000
    assert found[0].start_s == pytest.approx(0.5, abs=0.03)
    assert found[-1].end_s == pytest.approx(seconds)
    assert events[0] == ProviderCount(seconds)
    assert events[-1] == Finished(seconds)


async def test_a_translation_is_english_without_times_of_words() -> None:
    async with pair(transcribes=MODELS) as made:
        pcm = recording("Olá.")
        events = await transcript(
            made.engine, pcm, model="whisper-1", task="translate", language="pt", times="words"
        )
        (seen,) = made.provider.seen
        assert isinstance(await _failure(made, pcm, model="gpt-transcribe", task="translate"), EngineError)
    assert (seen.path, asked(seen).lists.get("language")) == ("/v1/audio/translations", None)
    (found,) = segments(events)
    assert (found.text, found.language, found.words) == ("OLÁ.", "en", ())


async def test_a_long_recording_goes_in_pieces_whose_times_are_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording_pieces, "MOST_PIECE_S", 4.0)
    pcm = recording(*TEXTS, *TEXTS)
    async with pair(transcribes=MODELS) as (engine, fake):
        events = await transcript(engine, pcm, model="whisper-1", times="words")
        plain = await transcript(engine, pcm, model="gpt-transcribe")
    assert len(fake.seen) > 4
    found = segments(events)
    assert [each.text.strip() for each in found] == [*TEXTS, *TEXTS]
    assert "".join(each.text for each in segments(plain)) == " ".join([*TEXTS, *TEXTS])
    starts_s = [each.start_s for each in found]
    apart = [later - earlier for earlier, later in zip(starts_s[:3], starts_s[3:], strict=True)]
    assert apart == pytest.approx([len(recording(*TEXTS)) / 32_000] * 3, abs=0.03)
    counts = [event.units for event in events if isinstance(event, ProviderCount)]
    heard_s = [event.up_to_s for event in events if isinstance(event, Transcript)]
    assert counts == heard_s == sorted(counts)
    assert events[-1] == Finished(len(pcm) / 32_000)


@each_row(
    ("fault", "more", "cls"),
    [
        ("429", {"retry_after": "3"}, EngineLimited),
        ("429", {"code": "insufficient_quota"}, EngineExhausted),
        ("5xx", {"status": 503}, EngineStumbled),
        ("5xx", {"status": 500}, EngineFailed),
        ("5xx", {"status": 400, "code": "audio_too_short"}, UnusableSample),
        ("5xx", {"status": 413}, UnsupportedRequest),
        ("error_in_200", {}, EngineFailed),
        ("garbage", {}, EngineFailed),
        ("truncated", {"after_bytes": 9}, EngineFailed),
        ("hang_before", {}, EngineTimeout),
        *(
            ("wrong_codec", {"code": code}, EngineFailed)
            for code in ("", "nan", "endless", "nanoseconds", "huge", "long", "untimed")
        ),
    ],
)
async def test_what_is_no_transcript_gives_none(
    fault: Any, more: dict[str, Any], cls: type[EngineError]
) -> None:
    async with pair(transcribes=MODELS) as made:
        made.provider.fail(fault, path="/audio/transcriptions", **more)
        error = await _failure(made, recording("A secret."), deadline_s=0.3)
        assert type(error) is cls
        assert "secret" not in repr(error)
        events = await transcript(made.engine, recording("One."), model="whisper-1")
        assert [each.text for each in segments(events)] == ["One."]


async def test_a_wrong_key_and_a_recording_that_is_too_short_are_told_apart() -> None:
    async with pair(transcribes=MODELS) as made:
        assert type(await _failure(made, bytes(100))) is UnusableSample
    async with pair(transcribes=MODELS, api_key="wrong") as made:
        assert type(await _failure(made, recording("One."))) is EngineUnauthorized


async def test_the_server_is_told_when_its_client_leaves() -> None:
    async with pair(transcribes=MODELS) as (engine, fake):
        fake.fail("hang_before", path="/audio/transcriptions")
        hearing = asyncio.create_task(transcript(engine, recording("One."), model="whisper-1"))
        await fake.until(lambda: fake.open == 1)
        hearing.cancel()
        await fake.until(lambda: fake.open == 0)
        assert fake.seen[0].left_at is not None
        assert (await asyncio.gather(hearing, return_exceptions=True))[0].__class__ is asyncio.CancelledError


HEARING_PRESETS = [name for name, preset in PRESETS.items() if "transcribes" in preset.settings]


@each_row("preset", HEARING_PRESETS)
async def test_a_presets_model_hears_at_its_hosts_fake(preset: Any) -> None:
    """Each is asked all that its description allows."""
    async with pair(preset, preset=preset) as (engine, _):
        await engine.refresh()
        ears = [model for model in engine.models() if model.hears]
        assert {model.id for model in engine.models() if model.speaks}.isdisjoint(HABITS[preset].hearing)
        (model,) = ears[:1]
        times = "words" if model.times_words else ""
        more = {"language": "en", "prompt": "A talk.", "keywords": ("Ana",), "temperature": 0.0}
        events = await transcript(engine, recording(*TEXTS), model=model.id, times=times, **more)
        if model.translates:
            await transcript(engine, recording("One."), model=model.id, task="translate")
    assert "".join(each.text for each in segments(events)) == " ".join(TEXTS)


def test_what_a_model_can_do_is_known_by_its_name() -> None:
    settings = OpenAISettings(transcribes=("gpt-transcribe", "whisper-1"))
    models = map(settings.hearing_model, ("gpt-transcribe", "whisper-1", "Systran/faster-whisper-tiny.en"))
    known = {
        model.id: (model.times_words, model.translates, model.languages[0].tag, model.shutdown_date)
        for model in models
    }
    assert known == {
        "gpt-transcribe": (False, False, "*", ""),
        "whisper-1": (True, True, "*", "2027-02-26"),
        "Systran/faster-whisper-tiny.en": (True, False, "en", ""),
    }
    assert settings.hearing_model("whisper-1").units_a_minute == 60.0


async def test_models_that_hear_are_not_among_those_that_speak() -> None:
    async with pair("azure", transcribes=("my-speech",), key_header="api-key") as (engine, _):
        await engine.refresh()
        assert [(model.id, model.hears) for model in engine.models()] == [("my-speech", True)]
    with pytest.raises(ValueError, match="transcribes"):
        OpenAISettings(models=("a",), transcribes=("a",))


async def test_openais_library_proves_the_fake() -> None:
    file = ("a.wav", wav_file(recording(*TEXTS), HEARING_HZ), "audio/wav")
    async with served(provider()) as fake:
        async with AsyncOpenAI(base_url=f"{fake.url}/v1", api_key="k", max_retries=0) as client:
            made = client.audio.transcriptions
            newest = await made.create(model="gpt-transcribe", file=file, languages=["en"], keywords=["Ana"])
            verbose = await made.create(
                model="whisper-1",
                file=file,
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
            )
            with pytest.raises(BadRequestError):
                await made.create(model="gpt-transcribe", file=file, response_format="verbose_json")
    assert newest.text == verbose.text == " ".join(TEXTS)
    assert [each.code for each in newest.languages or ()] == ["en"]
    assert [each.text.strip() for each in verbose.segments or ()] == [*TEXTS]
    assert [each.word for each in verbose.words or ()][:3] == ["Hello", "there", "world"]


_CONFIG = """
[engines.scribe]
plugin = "elevenlabs"
api_key = "{key}"
base_url = "{scribe}"
[engines.scribe.costs]
"*" = {{ usd = 0.006, per = "minute" }}
[engines.up]
plugin = "openai"
base_url = "{url}/v1"
models = ["tts-1"]
transcribes = ["gpt-transcribe", "whisper-1"]
[engines.up.costs]
"*" = {{ usd = 0.0001, per = "unit" }}
[models]
ears = ["up/gpt-transcribe", "scribe/scribe_v2", "up/whisper-1"]
"""


async def test_a_server_asks_the_next_provider_and_none_without_times_for_subtitles(tmp_path: Path) -> None:
    wav = recorded("One two. Three four.")
    async with served(elevenlabs()) as scribe, served(provider()) as up:
        config = _CONFIG.format(key=KEY, scribe=scribe.url, url=up.url)
        async with inside(tmp_path, config) as server:
            scribe.provider.fail("wrong_codec", path="speech-to-text")
            srt = await heard(server, wav, response_format="srt")
            plain = await heard(server, wav)
            rows = await server.usage()
    assert (srt.status_code, srt.headers["x-voxgate-engine"]) == (200, "up/whisper-1"), srt.text
    assert "One two." in srt.text
    assert (plain.json()["text"], plain.headers["x-voxgate-engine"]) == (
        "One two. Three four.",
        "up/gpt-transcribe",
    )
    seconds = rows[0].samples / rows[0].sample_rate_hz
    # Scribe's unusable answer was billed, too.
    assert sorted(row.micro_usd for row in rows) == pytest.approx([100 * seconds, 200 * seconds], abs=2)
