"""What a listener hears of several voices in one answer: a real server, engines of different loudness, and
ears that know whose each sentence was."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray

from plugins.tone.decode import decode
from plugins.tone.frames import SYMBOL_S, frame_symbols
from proxy.audio.formats import FORMATS
from proxy.audio.loudness import Meter, lufs
from tests.server import Server, running
from tests.sound import decoded

CONFIG = """
[server]
default_model = "all"
[engines.quiet]
plugin = "tone"
voices = ["ana", "malee"]
says_voice = true
level_db = -14
[engines.usual]
plugin = "tone"
voices = ["ben"]
says_voice = true
sample_rate_hz = 16000
[engines.loud]
plugin = "tone"
voices = ["nova", "olga"]
says_voice = true
level_db = 6
sample_rate_hz = 48000
[engines.failing]
plugin = "tone"
voices = ["eve"]
fail = "EngineFailed"
[engines.breaking]
plugin = "tone"
voices = ["pip"]
fail = "EngineFailed"
fail_at_s = 0.5
[models]
all = ["failing/standard", "breaking/standard", "loud/standard", "quiet/standard", "usual/standard"]
[[routes]]
language = "th"
candidates = ["quiet/standard"]
sentences = true
[[routes]]
language = "ru"
candidates = ["usual/standard"]
sentences = true
voice = "ben"
[[routes]]
language = "el"
candidates = ["usual/standard"]
[voices.world]
loud = "nova"
quiet = "malee"
[voices.ana]
quiet = "ana"
[voices.ben]
usual = "ben"
[voices.olga]
loud = "olga"
[voices.eve]
failing = "eve"
usual = "ben"
[voices.pip]
breaking = "pip"
usual = "ben"
"""
CAST = {"Ana": "ana", "Ben": "ben", "Olga": "olga"}
DIALOGUE = (
    "[Ana] Good evening, and welcome. Tonight we talk about the sea. "
    "[Olga] Thank you. It is larger than anybody thinks, and it is louder too. "
    "[Ben] Is it? I have only seen a lake, and that was a very quiet one, far from here. "
    "[Ana] Then let us begin with lakes, with rivers, and with all that is wet."
)
SPOKEN = [
    ("ana", "Good evening, and welcome."),
    ("ana", "Tonight we talk about the sea."),
    ("olga", "Thank you."),
    ("olga", "It is larger than anybody thinks, and it is louder too."),
    ("ben", "Is it?"),
    ("ben", "I have only seen a lake, and that was a very quiet one, far from here."),
    ("ana", "Then let us begin with lakes, with rivers, and with all that is wet."),
]
MIXED = (
    "Let me tell you how people greet each other in other parts of the world, and how they go on from there. "
    "สวัสดีครับ ยินดีต้อนรับสู่กรุงเทพ That was Thai, as you will have heard, and it is spoken in Bangkok and far "
    "beyond. Здравствуйте, дорогие друзья, как ваши дела? And that was Russian, with which I come to the end."
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("relay"), CONFIG) as server:
        yield server


def ask(server: Server, text: str, **more: object) -> Any:
    body = {"model": "all", "voice": {"cast": CAST}, "input": text, **more}
    with server.client() as client:
        return client.post("/v1/audio/speech", json=body)


def heard(data: bytes, audio_format: str) -> list[tuple[str, str]]:
    """Who said what, sentence by sentence."""
    sound = decoded(data, audio_format)
    frames = decode(sound.samples, sound.sample_rate_hz)
    return [(voice, words) for voice, _, words in (frame.partition(":") for frame in frames)]


def turns(samples: NDArray[np.float32], rate_hz: int) -> list[NDArray[np.float32]]:
    """The sound of each voice's turn, cut where the lengths of its sentences say, and a little more."""
    ends = np.cumsum([len(frame_symbols(f"{voice}:{words}")) * SYMBOL_S for voice, words in SPOKEN])
    cuts = [
        0.0,
        *(ends[at] for at, (one, other) in enumerate(pairwise(SPOKEN)) if one[0] != other[0]),
        ends[-1],
    ]
    return [samples[round((a + 0.1) * rate_hz) : round((b - 0.1) * rate_hz)] for a, b in pairwise(cuts)]


def loudness(samples: NDArray[np.float32], rate_hz: int) -> float:
    meter = Meter(rate_hz)
    meter.feed(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    found = lufs(meter.powers)
    assert found is not None
    return found


@pytest.mark.parametrize("audio_format", FORMATS)
def test_a_dialogue_is_spoken_by_its_cast_word_for_word_and_equally_loud(
    server: Server, audio_format: str
) -> None:
    answer = ask(server, DIALOGUE, response_format=audio_format)
    assert answer.status_code == 200
    assert heard(answer.content, audio_format) == SPOKEN
    sound = decoded(answer.content, audio_format)
    levels = [loudness(turn, sound.sample_rate_hz) for turn in turns(sound.samples, sound.sample_rate_hz)]
    assert max(levels) - min(levels) < 1.0
    assert answer.headers["x-voxgate-engine"] == "quiet/standard, loud/standard, usual/standard"
    assert answer.headers["x-voxgate-voice"] == "ana+ben+olga"


def test_the_first_words_that_were_ever_heard_of_a_voice_are_at_its_level_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running(tmp_path_factory.mktemp("fresh"), CONFIG) as server:
        answers = [ask(server, DIALOGUE, response_format="pcm").content for _ in range(3)]
    measured = [
        [loudness(turn, 24_000) for turn in turns(decoded(answer, "pcm").samples, 24_000)]
        for answer in answers
    ]
    assert all(max(levels) - min(levels) < 1.0 for levels in measured)
    # What was learned is kept: the same words are exactly as loud from then on.
    assert measured[1] == pytest.approx(measured[2], abs=0.05)
    assert measured[0] == pytest.approx(measured[1], abs=0.5)


def test_without_levelling_they_would_be_far_apart(server: Server) -> None:
    """The test's own ears: the engines do differ by as much as the configuration says."""
    alone = {
        name: decoded(
            ask(
                server, "[Ana] This is how loud I am when I speak alone.", voice=name, response_format="pcm"
            ).content,
            "pcm",
        )
        for name in ("ana", "olga")
    }
    levels = {name: loudness(sound.samples, 24_000) for name, sound in alone.items()}
    assert levels["olga"] - levels["ana"] == pytest.approx(20, abs=1.5)


def test_three_languages_by_three_engines_in_one_stream(server: Server) -> None:
    answer = ask(server, MIXED, voice="world", language="auto", response_format="wav")
    assert answer.status_code == 200, answer.text
    found = heard(answer.content, "wav")
    assert " ".join(words for _, words in found).split() == MIXED.split()
    assert [voice for voice, _ in found] == ["nova", "malee", "nova", "ben", "nova"]
    assert answer.headers["x-voxgate-engine"] == "loud/standard, quiet/standard, usual/standard"
    assert (answer.headers["x-voxgate-voice"], answer.headers["x-voxgate-language"]) == ("world", "en")


@pytest.mark.parametrize("language", [None, "en"])
def test_only_who_asks_for_it_is_spoken_by_sentence(server: Server, language: str | None) -> None:
    more = {} if language is None else {"language": language}
    answer = ask(server, MIXED, voice="world", response_format="pcm", **more)
    assert {voice for voice, _ in heard(answer.content, "pcm")} == {"nova"}


def test_a_route_that_is_not_for_sentences_leaves_them_to_the_main_language(server: Server) -> None:
    text = (
        "This is English, and it goes on being English for quite a while. Καλημέρα σας, τι κάνετε; Now that "
        "was Greek, for which there is a route, but none that would take a sentence out of another text."
    )
    answer = ask(server, text, voice="world", language="auto", response_format="pcm")
    assert {voice for voice, _ in heard(answer.content, "pcm")} == {"nova"}
    (row,) = server_rows(server, 1)
    assert row["engine"] == "loud"


def server_rows(server: Server, count: int) -> list[dict[str, Any]]:
    with server.client() as client:
        rows: list[dict[str, Any]] = client.get("/v1/usage", params={"limit": count}).json()["data"]
        return rows


def test_a_cast_may_speak_several_languages(server: Server) -> None:
    text = f"[Ana] Listen. [World] {MIXED}"
    cast = {"Ana": "ana", "World": "world"}
    answer = ask(server, text, voice={"cast": cast}, language="auto", response_format="pcm")
    found = heard(answer.content, "pcm")
    assert found[0] == ("ana", "Listen.")
    assert [voice for voice, _ in found[1:]] == ["nova", "malee", "nova", "ben", "nova"]


@pytest.mark.parametrize("audio_format", ["wav", "opus"])
def test_words_point_into_the_users_text_and_into_the_sound(server: Server, audio_format: str) -> None:
    answer = ask(server, DIALOGUE, response_format="json", audio_format=audio_format).json()
    said = [words for _, sentence in SPOKEN for words in sentence.split()]
    assert [word["word"] for word in answer["words"]] == said
    for word in answer["words"]:
        assert DIALOGUE[word["source_start"] : word["source_end"]] == word["word"]
    starts = [word["source_start"] for word in answer["words"]]
    assert starts == sorted(set(starts))
    times = [word["start_seconds"] for word in answer["words"]]
    assert times == sorted(set(times))
    # The first word of the last turn begins behind all that was said before it, a preamble and its name.
    before = sum(len(frame_symbols(f"{voice}:{words}")) for voice, words in SPOKEN[:-1])
    begin = (before + 7 + 2 * (2 + len("ana:"))) * SYMBOL_S
    assert answer["words"][said.index("Then")]["start_seconds"] == pytest.approx(begin, abs=0.02)
    assert answer["voice_used"] == "ana+ben+olga"
    assert answer["model_used"] == "quiet/standard, loud/standard, usual/standard"
    assert answer["usage"]["characters"] == len(DIALOGUE)
    assert heard(base64.b64decode(answer["audio_base64"]), audio_format) == SPOKEN


def test_events_carry_the_same_bytes(server: Server) -> None:
    events = ask(server, DIALOGUE, response_format="wav", stream_format="sse").text
    audio = b"".join(
        base64.b64decode(line.split('"audio":"')[1].split('"')[0])
        for line in events.splitlines()
        if '"speech.audio.delta"' in line
    )
    assert heard(audio, "wav") == SPOKEN
    assert '"speech.audio.done"' in events


def test_a_failing_engine_is_replaced_within_its_part_alone(server: Server) -> None:
    cast = {"Ana": "ana", "Eve": "eve"}
    answer = ask(server, "[Ana] One. [Eve] Two. [Ana] Three.", voice={"cast": cast}, response_format="mp3")
    assert heard(answer.content, "mp3") == [("ana", "One."), ("ben", "Two."), ("ana", "Three.")]
    (row,) = server_rows(server, 1)
    assert (row["engine"], row["outcome"]) == ("quiet+usual", "finished")


def test_a_later_part_that_breaks_breaks_the_answer(server: Server) -> None:
    cast = {"Ana": "ana", "Pip": "pip"}
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(server, "[Ana] One. [Pip] Two, and some more. [Ana] Three.", voice={"cast": cast})
    (row,) = server_rows(server, 1)
    assert (row["engine"], row["outcome"], row["error"]) == ("quiet+breaking", "failed", "engine_unavailable")


def test_the_same_key_gives_the_same_dialogue(server: Server) -> None:
    headers = {"idempotency-key": "a dialogue"}
    body = {"model": "all", "voice": {"cast": CAST}, "input": DIALOGUE, "response_format": "mp3"}
    with server.client() as client:
        first, again = (client.post("/v1/audio/speech", json=body, headers=headers) for _ in range(2))
    assert first.content == again.content
    assert again.headers["x-voxgate-replayed"] == "true"
