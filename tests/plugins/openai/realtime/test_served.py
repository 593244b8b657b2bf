"""A real server in front of the fake: nothing wrong is heard at its port."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import httpx2
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


class Chain(NamedTuple):
    fake: FakeProgram
    back: Server


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with running_fake() as fake:
        engines = fake.engine() + fake.engine("quick", 'check = "fast"')
        with running(tmp_path_factory.mktemp("back"), _BACK + engines, environ=ENVIRON) as back:
            yield Chain(fake, back)


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
