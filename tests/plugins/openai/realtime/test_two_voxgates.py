"""A real server in front of the fake: nothing wrong is heard at its port, nor behind another voxgate."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_args

import httpx2
import openai
import pytest

from fakes.realtime.script import OtherWords
from tests.commands import command
from tests.plugins.openai.realtime.programs import ENVIRON, FakeProgram, running_fake
from tests.plugins.openai.realtime.texts import LINES, ORDERS, Line
from tests.server import Server, running
from tests.sound import decoded
from tests.tones import words

_BACK = """
[server]
default_model = "tts-1"
first_audio_s = 60
[models]
"tts-1" = ["realtime/gpt-realtime-2.1-mini"]
"fast" = ["quick/gpt-realtime-2.1-mini"]
[voices.alloy]
realtime = "alloy"
quick = "alloy"
[voices.onyx]
realtime = "onyx"
[plans.paid]
allowance = 1000
prices.speech = { credits = 1, per = "second" }
"""
_FRONT = """
[server]
default_model = "tts-1"
first_audio_s = 60
[engines.up]
plugin = "openai"
base_url = "{url}/v1"
api_key = "env:UPSTREAM_KEY"
formats = ["mp3", "opus", "aac", "pcm"]
models = ["tts-1"]
[models]
"tts-1" = ["up/tts-1"]
[voices.alloy]
up = "alloy"
"""
Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: tuple[Format, ...] = get_args(Format)


class Chain(NamedTuple):
    fake: FakeProgram
    back: Server
    front: Server


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folders = [tmp_path_factory.mktemp(name) for name in ("back", "front")]
    with running_fake() as fake:
        engines = fake.engine() + fake.engine("quick", 'check = "fast"')
        with running(folders[0], _BACK + engines, environ=ENVIRON) as back:
            environ = {"UPSTREAM_KEY": back.key}
            with running(folders[1], _FRONT.format(url=back.url), environ=environ) as front:
                yield Chain(fake, back, front)


def _heard(data: bytes, format_: str = "pcm") -> list[str] | None:
    sound = decoded(data, format_)
    return words(sound.samples, sound.sample_rate_hz)


class _Outcome(NamedTuple):
    status: int
    code: str
    heard: list[str] | None


async def _speak(client: httpx2.AsyncClient, line: Line) -> _Outcome:
    body = {
        "model": "tts-1",
        "voice": "alloy",
        "input": line.text,
        "language": line.language,
        "response_format": "pcm",
    }
    answer = await client.post("/v1/audio/speech", json=body)
    if answer.is_error:
        return _Outcome(answer.status_code, answer.json()["error"]["code"], [])
    return _Outcome(200, "", await asyncio.to_thread(_heard, answer.content))


async def _speak_all(server: Server, lines: tuple[Line, ...]) -> list[_Outcome]:
    places = asyncio.Semaphore(6)
    headers = {"authorization": f"Bearer {server.key}"}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=120) as client:

        async def one(line: Line) -> _Outcome:
            async with places:
                return await _speak(client, line)

        return await asyncio.gather(*map(one, lines))


async def test_strict_never_lets_other_words_be_heard(chain: Chain) -> None:
    chance = random.Random(1)
    reworded = chance.sample(LINES, 40)
    kinds = get_args(OtherWords)
    misdeeds: list[dict[str, Any]] = [
        {"do": kinds[number % len(kinds)], "text": line.text, "count": 1 + number % 2}
        for number, line in enumerate(reworded)
    ]
    obeyed = [{"do": "obey", "text": line.text} for line in ORDERS if line not in reworded]
    chain.fake.script([*misdeeds, *obeyed])
    outcomes = await _speak_all(chain.back, LINES)
    assert (len(LINES), len(ORDERS), len({line.language for line in LINES})) == (200, 52, 5)
    wrong = [
        (line, outcome)
        for line, outcome in zip(LINES, outcomes, strict=True)
        if outcome.status == 200 and outcome.heard != [line.text]
    ]
    assert wrong == []
    twice = {line.text for line, misdeed in zip(reworded, misdeeds, strict=True) if misdeed["count"] == 2}
    refused = {line.text for line, outcome in zip(LINES, outcomes, strict=True) if outcome.status != 200}
    assert refused == twice
    assert Counter(outcome.code for outcome in outcomes) == {"": 180, "unsupported_text": 20}


@pytest.mark.parametrize("format_", ["mp3", "wav"])
def test_every_word_comes_through_two_voxgates(chain: Chain, format_: Format) -> None:
    expect_every_word(chain, format_)


def expect_every_word(chain: Chain, format_: Format) -> None:
    with openai.OpenAI(base_url=f"{chain.front.url}/v1", api_key=chain.front.key, max_retries=0) as sdk:
        answer = sdk.audio.speech.create(
            model="tts-1", voice="alloy", input="Hello there. Who are you?", response_format=format_
        )
    assert _heard(answer.content, format_) == ["Hello there.", "Who are you?"]


def test_what_is_refused_behind_is_refused_in_front(chain: Chain) -> None:
    chain.fake.script([{"do": "answer", "text": "How far is it", "count": 2}])
    answer = chain.front.speech("How far is it?")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_text")


def test_what_was_heard_before_other_words_is_charged_and_the_answer_breaks(chain: Chain) -> None:
    chain.fake.script([{"do": "greet", "text": "Hello again", "count": 2}])
    body = {
        "model": "tts-1",
        "voice": "alloy",
        "input": "Goodbye now. Hello again.",
        "response_format": "pcm",
    }
    received = bytearray()
    with chain.back.client(chain.back.mint_key("payer", plan="paid").secret) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            _receive(client, body, received)
        row = client.get("/v1/usage").json()["data"][0]
    assert _heard(bytes(received)) == ["Goodbye now."]
    assert (row["outcome"], row["error"]) == ("failed", "unsupported_text")
    assert float(row["credits"]) == pytest.approx(len(received) / 48_000, rel=0.1)


def _receive(client: httpx2.Client, body: dict[str, str], received: bytearray) -> None:
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        for piece in answer.iter_bytes():
            received += piece


def test_a_voice_that_is_not_there_is_told(chain: Chain) -> None:
    answer = chain.back.speech("Hello.", voice="onyx")
    assert answer.headers["x-voxgate-voice"] == "onyx"
    assert answer.headers["x-voxgate-substitute"] == "cedar"
    assert "x-voxgate-substitute" not in chain.back.speech("Hello.").headers


def test_check_says_when_a_model_ends_and_when_nothing_is_compared(chain: Chain) -> None:
    text = chain.back.config.read_text()
    ended = text.replace("realtime/gpt-realtime-2.1-mini", "realtime/gpt-realtime")
    ended = ended.replace(chain.fake.url, "https://api.openai.com").replace('"fast"\n', '"off"\n')
    other = chain.back.config.with_name("ended.toml")
    other.write_text(ended.replace('"env:REALTIME_KEY"', '"sk"'))
    told = command(other, "check", "--json", check=False).stdout
    assert "realtime/gpt-realtime end" in told
    assert "2027-01-20" in told
    assert "check is off" in told
