"""What a server has: the shapes that lists come in, and what becomes of an engine whose server has none."""

from typing import Any

import pytest

from fakes.openai import habits
from plugins.openai import lists
from speech_engine import EngineFailed, EngineForbidden, EngineStumbled, VoiceInfo
from tests.plugins.openai.upstream import pair
from tests.tables import each_row

JOE = VoiceInfo(id="joe", name="joe")
OWN = VoiceInfo(id="own", name="own", is_cloned=True)


@each_row(
    ("answer", "voices"),
    [
        ({"voices": ["joe", "joe"]}, (JOE,)),
        ({"voices": [{"id": "joe", "name": "joe"}]}, (JOE,)),
        ({"object": "list", "data": [{"id": "joe"}]}, (JOE,)),
        ({"voices": [{"voice_id": "joe", "name": "Joe"}]}, (VoiceInfo(id="joe", name="Joe"),)),
        (["joe"], (JOE,)),
        (
            {"voices": ["joe", "ann"], "uploaded_voices": [{"name": "own"}, "joe"]},
            (VoiceInfo(id="joe", name="joe", is_cloned=True), lists.voice_named("ann"), OWN),
        ),
        (
            {"voices": [{"id": "joe", "name": "Joe", "language": "pt-BR", "gender": "male"}]},
            (VoiceInfo(id="joe", name="Joe", language="pt-BR", gender="male"),),
        ),
        ({"voices": [{"id": 7}, None, [], {"id": " "}, "", {"id": " joe ", "name": None}]}, (JOE,)),
        ({"voices": "joe"}, ()),
        ({"voices": None, "data": []}, ()),
        ("joe", ()),
        (None, ()),
    ],
)
def test_voices_in_every_shape(answer: Any, voices: tuple[VoiceInfo, ...]) -> None:
    assert lists.voices(answer) == voices


@each_row(
    ("answer", "ids"),
    [
        ({"data": [{"id": "kokoro"}, {"id": "f5"}, {"id": "f5"}]}, ("kokoro", "f5")),
        ({"models": [{"id": "kokoro", "name": "Kokoro"}]}, ("kokoro",)),
        (None, ()),
    ],
)
def test_models_in_every_shape(answer: Any, ids: tuple[str, ...]) -> None:
    assert lists.model_ids(answer) == ids


def test_where_some_models_say_that_they_speak_the_others_do_not() -> None:
    assert lists.speech_models(("gpt-5", "tts-1", "gpt-4o-mini-TTS")) == ("tts-1", "gpt-4o-mini-TTS")
    assert lists.speech_models(("kokoro", "f5")) == ("kokoro", "f5")


async def test_a_body_that_is_no_json_is_no_list() -> None:
    async with pair("kokoro") as (engine, provider):
        provider.fail("garbage", path="/models", count=2)
        with pytest.raises(EngineFailed, match="not JSON"):
            await engine.refresh()


@each_row(
    ("server", "models", "voices"),
    [
        ("", ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"), lists.BUILT_IN),
        ("vllm", ("Qwen/Qwen3-TTS",), ("vivian", "mine")),
        ("kokoro", ("kokoro",), habits.KOKORO_VOICES),
        ("speaches", ("speaches-ai/Kokoro-82M-v1.0-ONNX",), habits.KOKORO_VOICES),
        ("odd", ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"), lists.BUILT_IN),
    ],
)
async def test_each_kind_of_server_tells_what_it_has(
    server: str, models: tuple[str, ...], voices: tuple[str, ...]
) -> None:
    async with pair(server) as (engine, _):
        assert engine.models() == ()
        await engine.refresh()
        assert tuple(model.id for model in engine.models()) == models
        assert tuple(voice.id for voice in engine.voices()) == voices


async def test_a_list_in_the_settings_is_not_asked_for() -> None:
    async with pair("kokoro", models=("mine",), voices=("me",)) as (engine, _):
        await engine.refresh()
        assert [model.id for model in engine.models()] == ["mine"]
        assert engine.voices() == (lists.voice_named("me"),)


async def test_a_server_without_any_list_is_there_all_the_same() -> None:
    async with pair("no-such-server", models=("mine",)) as (engine, provider):
        await engine.refresh()
        assert [seen.status for seen in provider.seen] == [404] * 4
        assert [voice.id for voice in engine.voices()] == list(lists.BUILT_IN)


async def test_a_known_list_stays_known_while_the_server_is_down() -> None:
    async with pair("kokoro") as (engine, provider):
        await engine.refresh()
        known = (engine.models(), engine.voices())
        provider.fail("truncated", path="/models", count=2)
        with pytest.raises(EngineFailed):
            await engine.refresh()
        assert (engine.models(), engine.voices()) == known


@each_row(("status", "was_listed"), [(403, False), (404, False), (404, True)])
async def test_a_key_that_may_list_nothing_may_still_speak(status: int, was_listed: bool) -> None:
    async with pair("kokoro") as (engine, provider):
        if was_listed:
            await engine.refresh()
        known = (engine.models(), engine.voices())
        provider.fail("5xx", status=status, path="/models", count=2)
        provider.fail("5xx", status=status, path="/voices", count=2)
        await engine.refresh()
        assert [seen.status for seen in provider.seen[-4:]] == [404, status, status, 404]
        assert (engine.models(), engine.voices()) == known


async def test_a_key_that_may_list_no_more_says_so() -> None:
    async with pair("kokoro") as (engine, provider):
        await engine.refresh()
        known = (engine.models(), engine.voices())
        provider.fail("5xx", status=403, path="/models", count=2)
        with pytest.raises(EngineForbidden):
            await engine.refresh()
        assert (engine.models(), engine.voices()) == known


async def test_a_server_that_is_down_says_so() -> None:
    async with pair("speaches") as (engine, provider):
        provider.fail("5xx", path="/audio/models")
        with pytest.raises(EngineStumbled):
            await engine.refresh()
