"""The calls with times, by an engine that does not time words: they are computed when a sentence is over."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Message

from proxy.api.answering import MOST_LAST_BYTES
from tests.features.elevenlabs_api.test_speech import check_alignment, speak
from tests.proxy.api.inside import Inside, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, spoken
from tests.tables import each_row

CONFIG = """
[server]
default_model = "one/m"
[engines.one]
[voices.ana]
one = "v"
"""
SECONDS = 2
LONG = " ".join(["word"] * 800)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, CONFIG, {"one": Scripted(*spoken(SECONDS))}) as opened:
        yield opened


@each_row("path", ["with-timestamps", "stream/with-timestamps"])
async def test_signs_without_a_word_have_times_too(server: Inside, path: str) -> None:
    answer = await speak(server, f"ana/{path}?output_format=pcm_{RATE_HZ}", text="+")
    assert answer.status_code == 200, answer.text
    check_alignment(json.loads(answer.text.splitlines()[-1])["alignment"], "+", SECONDS)


async def test_little_is_left_to_send_when_a_stream_is_settled(server: Inside) -> None:
    sizes = []

    async def note(message: Message) -> None:
        sizes.append(len(message.get("body", b"")))

    path = "/elevenlabs/v1/text-to-speech/ana/stream/with-timestamps"
    sent = await server.raw_speech(
        {"text": LONG}, on_sent=note, headers={"xi-api-key": server.key}, path=path
    )
    lines = b"".join(message.get("body", b"") for message in sent).splitlines()
    check_alignment(json.loads(lines[-1])["alignment"], LONG, SECONDS)
    assert len(lines[-1]) > MOST_LAST_BYTES
    assert max(sizes) <= MOST_LAST_BYTES + 1000
