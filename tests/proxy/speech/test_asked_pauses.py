"""The pauses that a text asks for: how long they are, what is said around them, and what they cost."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import numpy as np
import pytest

from speech_engine import Audio, Finished, Language, Started, Word, Words
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound
from tests.proxy.speech.relay.voices import PAUSE_S, said
from tests.proxy.speech_steps.repeating import Repeating
from tests.sound import PADDING_S, decoded

CONFIG = """
[server]
default_model = "all"
[cache]
on = true
[engines.one]
[engines.two]
[engines.padded]
[engines.second]
[models]
all = ["one/m", "two/m", "padded/m"]
[voices.ana]
one = "v"
[voices.ben]
two = "v"
[voices.pad]
padded = "v"
[voices.anna]
second = "v"
[[routes]]
language = "th"
candidates = ["two/m"]
sentences = true
voice = "ben"
[[routes]]
language = "de"
candidates = ["one/m"]
post = [{ engine = "second", voice = "anna" }]
[plans.paid]
allowance = 100000
prices.speech = { credits = 1, per = "second" }
"""
PART_S = 0.4
CAST = {"cast": {"Ana": "ana", "Ben": "ben"}}
QUIET = Audio(0, bytes(round(0.2 * RATE_HZ) * 2))
CLOSE_S = 0.02


class Faithful(Repeating):
    """It repeats the sound itself."""

    def _sound(self, pieces: list[bytes]) -> Audio:
        return Audio(0, b"".join(pieces))


class World(NamedTuple):
    server: Inside
    engines: dict[str, Scripted]

    async def ask(self, text: str, **more: Any) -> httpx2.Response:
        for engine in self.engines.values():
            engine.jobs.clear()
        fields = {"voice": "ana", "response_format": "wav", "cache": False, **more}
        answer = await self.server.speech(text, model="all", **fields)
        assert answer.status_code == 200, answer.text
        return answer

    def texts(self) -> list[str]:
        """What the engines were asked to say, in the order of their names and then of time."""
        return [said(job) for engine in self.engines.values() for job in engine.jobs]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    timed = [Started(RATE_HZ), Words((Word(0, 0, 3),)), *sound(PART_S), Finished()]
    english = Language("en"), Language("pt"), Language("de")
    engines = {
        "one": Scripted(*timed, languages=english, emotions=("happy", "sad"), times_words=True),
        "two": Scripted(*timed, languages=(*english, Language("th")), times_words=True),
        "padded": Scripted(Started(RATE_HZ), QUIET, *sound(PART_S), QUIET, Finished()),
        "second": Faithful(),
    }
    async with inside(tmp_path, CONFIG, engines, plan="paid") as server:
        yield World(server, {name: engines[name] for name in ("one", "two", "padded")})


def silences(data: bytes, audio_format: str = "wav") -> list[float]:
    """The seconds of each silence between sounds, and last of that at the end."""
    samples, rate_hz = decoded(data, audio_format)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    gaps = np.diff(loud)
    found = [float(gap) / rate_hz for gap in gaps[gaps > 0.03 * rate_hz]]
    return [*found, float(len(samples) - loud[-1] - 1) / rate_hz]


def close(*seconds: float) -> list[Any]:
    return [pytest.approx(each, abs=CLOSE_S) for each in seconds]


_TWO = ["One.", "Two."]
_ENDS = "One. [pause 1s]"
CASES: dict[str, tuple[str, dict[str, Any], list[float], list[str]]] = {
    "seconds": ("One. [pause 0.5s] Two.", {}, [0.5, 0], _TWO),
    "milliseconds": ("One. [pause 500ms] Two.", {}, [0.5, 0], _TWO),
    "Kokoro's": ("One. [pause:0.5s] Two.", {}, [0.5, 0], _TWO),
    "capital letters": ("One. [PAUSE 1S] Two.", {}, [1.0, 0], _TWO),
    "without blanks": ("One[pause 0.5s]two", {}, [0.5, 0], ["One", "two"]),
    "many blanks": ("One. [pause   0.5 s] Two.", {}, [0.5, 0], _TWO),
    "short": ("One. [pause 60ms] Two.", {}, [0.06, 0], _TWO),
    "two in a row": ("One. [pause 0.5s] [pause 0.25s] Two.", {}, [0.75, 0], _TWO),
    "signs between": ("One. [pause 0.5s] … [pause 0.25s] Two.", {}, [0.75, 0], _TWO),
    "an emoji between": ("One. [pause 0.5s] 😀 [pause 0.25s] Two.", {}, [0.75, 0], _TWO),
    "three parts": ("One. [pause 0.5s] Two. [pause 1s] Ten.", {}, [0.5, 1.0, 0], [*_TWO, "Ten."]),
    "before the first word": ("[pause 2s] One. [pause 0.5s] Two.", {}, [0.5, 0], _TWO),
    "behind the last word": ("One. [pause 0.5s] Two. [pause 1s]", {}, [0.5, 1.0], _TWO),
    "only behind the last word": (_ENDS, {}, [1.0], ["One."]),
    "full stop behind it": ("One [pause 0.5s].", {}, [0.5], ["One"]),
    "twice as fast": ("One. [pause 1s] Two.", {"speed": 2.0}, [1.0, 0], _TWO),
    "another rate": ("One. [pause 0.5s] Two.", {"sample_rate": 8000}, [0.5, 0], _TWO),
    "an engine's own silence": ("One. [pause 0.5s] Two.", {"voice": "pad"}, [0.5, 0.2], _TWO),
    "shorter than its own silence": ("One. [pause 0.1s] Two.", {"voice": "pad"}, [0.1, 0.2], _TWO),
    "its own silence at the end": (_ENDS, {"voice": "pad"}, [1.0], ["One."]),
    "a cast": ("[Ana] One. [pause 0.5s] [Ben] Two.", {"voice": CAST}, [0.5 + PAUSE_S, 0], _TWO),
    "behind a name": ("[Ana] One. [Ben] [pause 0.5s] Two.", {"voice": CAST}, [0.5 + PAUSE_S, 0], _TWO),
    "within a turn": ("Ana: One. [pause 0.5s] Two.", {"voice": CAST}, [0.5, 0], _TWO),
    "a turn of a pause": (
        "[Ana] One. [Ben] [pause 0.5s] [Ana] Two.",
        {"voice": CAST},
        [0.5 + PAUSE_S, 0],
        _TWO,
    ),
    "emotions": ("[happy] One. [pause 0.5s] [sad] Two.", {}, [0.5, 0], _TWO),
    "between two tags": ("One. [happy] [pause 0.5s] [sad] Two.", {}, [0.5, 0], _TWO),
    "emotions left out": ("[sad] One. [pause 0.5s] [happy] Two.", {"voice": "ben"}, [0.5, 0], _TWO),
    "refused emotions": ("One. [pause 0.5s] Two.", {"emotion_tags": "refuse"}, [0.5, 0], _TWO),
    "bold words": ("**One.** [pause 0.5s] *Two.*", {}, [0.5, 0], _TWO),
    "within bold words": ("**One. [pause 0.5s] Two.**", {}, [0.5, 0], _TWO),
    "a list": ("- One.\n- [pause 0.5s] Two.", {}, [0.5, 0], _TWO),
    "a language": ("Um. [pause 0.5s] Dois.", {"language": "pt"}, [0.5, 0], ["Um.", "Dois."]),
    "a post-step": ("One. [pause 0.5s] Two.", {"language": "de"}, [0.5, 0], _TWO),
    "several languages": (
        "Good morning. [pause 0.5s] สวัสดีครับ ยินดีต้อนรับ.",
        {"language": "auto"},
        [0.5 + PAUSE_S, 0],
        ["Good morning.", "สวัสดีครับ ยินดีต้อนรับ."],
    ),
    "no number": ("[pause] One.", {}, [0], ["[pause] One."]),
    "minutes": ("[pause 5 minutes] One.", {}, [0], ["[pause 5 minutes] One."]),
    "negative": ("[pause -1s] One.", {}, [0], ["[pause -1s] One."]),
    "an exponent": ("[pause 1e9s] One.", {}, [0], ["[pause 1e9s] One."]),
    "a link": ("One [pause 1s](x)", {"markdown": "off"}, [0], ["One [pause 1s](x)"]),
    "tags are text": ("[pause 1s] One.", {"emotion_tags": "text"}, [0], ["[pause 1s] One."]),
}


async def test_a_pause_is_as_long_as_the_text_asks_and_is_not_read(
    world: World, subtests: pytest.Subtests
) -> None:
    assert len(CASES) == 40
    for case, (text, more, seconds, words) in CASES.items():
        with subtests.test(case):
            answer = await world.ask(text, **more)
            assert silences(answer.content) == close(*seconds)
            assert world.texts() == words


async def test_every_format_has_the_pauses(world: World, subtests: pytest.Subtests) -> None:
    for audio_format, padding_s in PADDING_S.items():
        for text, seconds in (("One. [pause 0.5s] Two.", [0.5, 0.0]), (_ENDS, [1.0])):
            with subtests.test(f"{audio_format} {text}"):
                answer = await world.ask(text, response_format=audio_format)
                *between, end = silences(answer.content, audio_format)
                assert between == close(*seconds[:-1])
                assert -CLOSE_S <= end - seconds[-1] <= padding_s + CLOSE_S


async def test_words_behind_a_pause_are_moved_by_it(world: World, subtests: pytest.Subtests) -> None:
    text = "One. [pause 0.5s] Two. [pause 1s] Ten."
    begins = [0.0, PART_S + 0.5, 2 * PART_S + 1.5]
    told = (await world.ask(text, response_format="json", audio_format="wav")).json()
    assert [each["start_seconds"] for each in told["words"]] == close(*begins)
    assert [text[each["source_start"] : each["source_end"]] for each in told["words"]] == [
        *("One", "Two", "Ten")
    ]
    assert silences(base64.b64decode(told["audio_base64"])) == close(0.5, 1.0, 0)
    for stream_format in ("sse", "words"):
        with subtests.test(stream_format):
            answer = await world.ask(text, response_format="pcm", stream_format=stream_format)
            events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
            pcm = b"".join(base64.b64decode(event.get("audio", "")) for event in events)
            assert silences(pcm, "pcm") == close(0.5, 1.0, 0)
            if stream_format == "words":
                words = [word for event in events for word in event.get("words", [])]
                assert [word["start_seconds"] for word in words] == close(*begins)


async def test_a_pause_is_charged_as_it_was_estimated(world: World) -> None:
    texts = ["One. Two.", "One. [pause 5s] Two.", "One. Two. [pause 5s]"]
    rows, estimates = list[float](), list[float]()
    for text in texts:
        body = {"model": "all", "voice": "ana", "input": text}
        estimate = await world.server.ask("POST", "/v1/audio/speech/estimate", body=body)
        estimates.append(estimate.json()["credits"])
        await world.ask(text)
        rows.append((await world.server.usage())[0].credits / 10**6)
    assert rows == close(PART_S, 2 * PART_S + 5, PART_S + 5)
    assert [each - estimates[0] for each in estimates[1:]] == [pytest.approx(5, abs=0.5)] * 2


async def test_the_cache_has_each_pause(world: World) -> None:
    texts = ["One. [pause 0.5s] Two.", "One. [pause 0.6s] Two.", "One. Two."]
    for state in ("miss", "hit"):
        answers = [await world.ask(text, cache=True) for text in texts]
        assert [each.headers["x-voxgate-cache"] for each in answers] == [state] * 3
        assert [silences(each.content)[0] for each in answers] == close(0.5, 0.6, 0)


async def test_the_plan_of_another_text_does_not_read_a_pause(world: World) -> None:
    for text in ("Five.", _ENDS, "Six.", _ENDS, "[pause 1s] Six."):
        await world.ask(text)
        assert world.texts() == [text.replace("[pause 1s]", "").strip()]


async def test_bad_pauses_are_refused(world: World, subtests: pytest.Subtests) -> None:
    long = "One. " + "[pause 10s] Two. " * 6
    cases = [
        ("One. [pause 11s]", "pause_too_long", "character 5"),
        ("One. [pause 10.001s]", "pause_too_long", "character 5"),
        (f"One. [pause {'9' * 400}s]", "pause_too_long", "character 5"),
        (f"{long}[pause 1s]", "pause_too_long", f"character {len(long)}"),
        ("[pause 1s]", "invalid_value", "nothing to say"),
        ("[pause 1s] … [pause 500ms]", "invalid_value", "nothing to say"),
        ("[happy] [pause 1s]", "invalid_value", "nothing to say"),
        ("a[pause 1ms]" * 300, "invalid_value", "300 parts"),
    ]
    for text, code, words in cases:
        with subtests.test(text[:40]):
            answer = await world.server.speech(text, model="all", voice="ana")
            error = envelope(answer)
            assert (answer.status_code, error["code"], error["param"]) == (400, code, "input")
            assert words in error["message"]
    await world.ask(long)
