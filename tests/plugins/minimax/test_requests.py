"""The exact JSON that leaves us: MiniMax passes over a field whose name is wrong: nothing else shows one."""

from typing import Any

import pytest

from speech_engine import EngineFailed, EngineVoice, Mix, Pronunciation, Sample, Samples, Voice, VoiceNotFound
from speech_engine.testing import collect
from tests.plugins.minimax.rig import MODEL, VOICE, error_of, rig, speech_job
from tests.tables import each_row

STREAMED: dict[str, Any] = {
    "model": MODEL,
    "text": "Hello there. How are you?",
    "stream": True,
    "stream_options": {"exclude_aggregated_audio": True},
    "output_format": "hex",
    "voice_setting": {"speed": 1.0, "vol": 1.0, "pitch": 0, "voice_id": VOICE},
    "audio_setting": {"sample_rate": 24000, "format": "pcm", "channel": 1},
    "language_boost": "English",
}


def _but(**changes: Any) -> dict[str, Any]:
    """STREAMED with these fields instead; inside an object, too. None takes a field out."""
    body = dict(STREAMED)
    for name, value in changes.items():
        old = body.pop(name, None)
        if value is not None:
            body[name] = {**old, **value} if isinstance(old, dict) else value
    return body


@each_row(
    ("settings", "change", "body"),
    [
        pytest.param({}, {}, STREAMED, id="plain"),
        pytest.param(
            {},
            {"formats": ("mp3",)},
            _but(audio_setting={"format": "mp3", "bitrate": 128000}),
            id="mp3 passes through",
        ),
        pytest.param({"stream": False}, {}, _but(stream=False, stream_options=None), id="in one answer"),
        pytest.param(
            {},
            {"speed": 1.5, "pitch": -2.6, "emotion": "sad"},
            _but(voice_setting={"speed": 1.5, "pitch": -3, "emotion": "sad"}),
            id="speed, whole semitones, emotion",
        ),
        pytest.param({}, {"language": "en-NG"}, STREAMED, id="Nigerian English is English"),
        pytest.param({}, {"language": "th"}, _but(language_boost="Thai"), id="Thai"),
        pytest.param({}, {"language": "yo"}, _but(language_boost="auto"), id="Yoruba has no name there"),
        pytest.param(
            {"volume": 2.5, "text_normalization": True, "bitrate": 64000},
            {"formats": ("opus", "mp3")},
            _but(
                voice_setting={"vol": 2.5, "text_normalization": True},
                audio_setting={"format": "mp3", "bitrate": 64000},
            ),
            id="what the operator set",
        ),
        pytest.param(
            {"pronunciations": ["omg/oh my god"]},
            {},
            _but(pronunciation_dict={"tone": ["omg/oh my god"]}),
            id="pronunciations",
        ),
        pytest.param(
            {"pronunciations": ["omg/oh my god"]},
            {
                "pronunciations": (
                    Pronunciation("处理", "pinyin", "(chu3)(li3)"),
                    Pronunciation("AC/DC", "pinyin", "(ei1)"),
                )
            },
            _but(pronunciation_dict={"tone": ["omg/oh my god", "处理/(chu3)(li3)"]}),
            id="a lexicon's beside them, but none with a slash of its own",
        ),
    ],
)
async def test_the_body_is_exactly(
    settings: dict[str, Any], change: dict[str, Any], body: dict[str, Any]
) -> None:
    async with rig(**settings) as running:
        await collect(running.engine, speech_job("Hello there.", "How are you?", **change))
        assert running.bodies() == [body]
        assert type(running.bodies()[0]["voice_setting"]["pitch"]) is int
        assert running.fake.unknown == []


async def test_a_blend_is_sent_as_weights_without_a_voice() -> None:
    mix = Mix(((EngineVoice(VOICE), 3.0), (EngineVoice("Thai_male_1_sample8"), 1.0)))
    async with rig() as running:
        await collect(running.engine, speech_job("Hello.", voice=mix))
        (body,) = running.bodies()
        assert running.fake.unknown == []
    assert body["timbre_weights"] == [
        {"voice_id": VOICE, "weight": 75},
        {"voice_id": "Thai_male_1_sample8", "weight": 25},
    ]
    assert "voice_id" not in body["voice_setting"]


@each_row(
    "voice",
    [
        Samples((Sample("digest"),)),
        Mix(()),
        Mix(((Samples((Sample("digest"),)), 1.0),)),
        Mix(tuple((EngineVoice(VOICE), 1.0) for _ in range(5))),
        Mix(((EngineVoice(VOICE), 0.0),)),
    ],
)
async def test_a_voice_that_it_cannot_have_is_not_even_sent(voice: Voice) -> None:
    async with rig() as running:
        error = await error_of(running.engine, speech_job("Hello.", voice=voice))
        assert isinstance(error, VoiceNotFound)
        assert running.provider.seen == []


async def test_a_model_that_it_does_not_have_is_not_even_sent() -> None:
    async with rig() as running:
        error = await error_of(running.engine, speech_job("Hello.", model="speech-9"))
        assert isinstance(error, EngineFailed)
        assert running.provider.seen == []


@each_row(
    ("path", "group_id", "address"),
    [
        ("", "", ("/v1/t2a_v2", "")),
        ("/v1/", "1234", ("/v1/t2a_v2", "GroupId=1234")),
        ("/gateway/minimax", "", ("/gateway/minimax/v1/t2a_v2", "")),
    ],
)
async def test_where_it_asks(path: str, group_id: str, address: tuple[str, str]) -> None:
    async with rig() as other, rig(base_url=other.at.url + path, group_id=group_id) as running:
        await collect(running.engine, speech_job("Hello."))
        (seen,) = other.provider.seen
    assert (seen.path, seen.query) == address
    assert seen.headers["authorization"] == "Bearer fake-minimax-key"
    assert seen.headers["content-type"] == "application/json"
