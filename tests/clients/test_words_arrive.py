"""Every word arrives once and in its order, in every format and by every way that an answer is sent."""

import base64
import json
from collections.abc import Callable
from itertools import cycle, product
from typing import Any

import pytest
from openai import OpenAI

from tests.clients.servers import FORMATS, AudioFormat, Servers, texts
from tests.tables import soak

# One blank between sentences, so that what is heard can be joined to exactly what was sent.
_MIXED = (
    "Hello, world. Grüße aus Köln! Olá, São Paulo? Привет, мир. สวัสดีครับ ยินดีต้อนรับ. 你好,世界。 "
    "नमस्ते दुनिया। مرحبا بالعالم. Ẹ kú àárọ̀. 안녕하세요. 12:30, 50 % & <b>more</b>. Done 😀."
)
_PHRASES = (
    "the quick brown fox jumps over the lazy dog",
    "o coração não se engana, São João",
    "how vexingly quick daft zebras jump",
    "ภาษาไทย 我能吞下玻璃",
    "съешь ещё булок",
)

_Ask = Callable[[OpenAI, str, AudioFormat], bytes]


def _buffered(sdk: OpenAI, text: str, audio_format: AudioFormat) -> bytes:
    return sdk.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input=text, response_format=audio_format
    ).content


def _streamed(sdk: OpenAI, text: str, audio_format: AudioFormat) -> bytes:
    with sdk.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input=text, response_format=audio_format
    ) as answer:
        return b"".join(answer.iter_bytes())


def _events(sdk: OpenAI, text: str, audio_format: AudioFormat) -> bytes:
    with sdk.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts",
        voice="alloy",
        input=text,
        response_format=audio_format,
        stream_format="sse",
    ) as answer:
        events = [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]
    assert events[-1]["type"] == "speech.audio.done"
    return b"".join(base64.b64decode(event["audio"]) for event in events[:-1])


def _json(sdk: OpenAI, text: str, audio_format: AudioFormat) -> bytes:
    answer = sdk.audio.speech.create(
        model="gpt-4o-mini-tts",
        voice="alloy",
        input=text,
        extra_body={"response_format": "json", "audio_format": audio_format},
    )
    body = json.loads(answer.content)
    # The words, cut out of the text by their places in it, are the text again.
    assert [word["word"] for word in body["words"]] == text.split()
    assert body["audio_format"] == audio_format
    return base64.b64decode(body["audio_base64"])


WAYS: dict[str, _Ask] = {"buffered": _buffered, "streamed": _streamed, "events": _events, "json": _json}


def _with_soak(*few: tuple[AudioFormat, str]) -> list[Any]:
    """Formats with ways of sending: these, and in `make soak` all."""
    return [*few, *soak(*(pair for pair in product(FORMATS, WAYS) if pair not in few))]


@pytest.mark.parametrize(("audio_format", "way"), _with_soak(*zip(FORMATS, cycle(WAYS))))
def test_mixed_scripts_arrive_word_for_word(servers: Servers, way: str, audio_format: AudioFormat) -> None:
    heard = _heard(servers, way, _MIXED, audio_format)
    assert len(heard) > 5
    assert " ".join(heard) == _MIXED


# Four minutes of sound take a codec that loses something as many seconds.
_CHARACTERS = dict.fromkeys(FORMATS, 4000) | {"mp3": 1000, "opus": 1000, "aac": 1000}


@pytest.mark.parametrize(
    ("audio_format", "way"), _with_soak(("mp3", "streamed"), ("wav", "json"), ("pcm", "events"))
)
def test_a_long_text_arrives_whole_and_in_order(
    servers: Servers, way: str, audio_format: AudioFormat
) -> None:
    sentences = _long(_CHARACTERS[audio_format])
    text = " ".join(sentences)
    assert len(text) == _CHARACTERS[audio_format]
    assert _heard(servers, way, text, audio_format) == sentences


def _heard(servers: Servers, way: str, text: str, audio_format: AudioFormat) -> tuple[str, ...]:
    return texts(WAYS[way](servers.shut.sdk, text, audio_format), audio_format)


def _long(characters: int) -> tuple[str, ...]:
    """Numbered, so that a sentence lost, doubled or moved is seen; the last one fills up."""
    sentences: list[str] = []
    left = characters
    while left > 0:
        number = len(sentences) + 1
        sentence = f"Sentence {number} says {_PHRASES[number % len(_PHRASES)]}."
        if left < 2 * len(sentence):
            sentence = sentence[:-1].ljust(left - 1, "x") + "."
        sentences.append(sentence)
        left -= len(sentence) + 1
    return tuple(sentences)
