"""What a listener hears of several voices in one answer of a real server: all words, once, in order, by the
right voice."""

import base64

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.tone.decode import decode
from plugins.tone.frames import SYMBOL_S, frame_symbols
from proxy.audio.formats import FORMATS
from tests.proxy.speech.relay import ears
from tests.proxy.speech.relay.voices import PAUSE_S
from tests.server import Server
from tests.sound import decoded

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("audio_format", FORMATS)
def test_a_dialogue_is_spoken_by_its_cast_word_for_word_and_equally_loud(
    server: Server, audio_format: str
) -> None:
    answer = ears.ask(server, ears.DIALOGUE, response_format=audio_format)
    assert answer.status_code == 200
    assert ears.heard(answer.content, audio_format) == ears.SPOKEN
    sound = decoded(answer.content, audio_format)
    levels = [
        ears.loudness(turn, sound.sample_rate_hz) for turn in ears.turns(sound.samples, sound.sample_rate_hz)
    ]
    assert max(levels) - min(levels) < 1.0
    assert answer.headers["x-voxgate-engine"] == "quiet/standard, loud/standard, usual/standard"
    assert answer.headers["x-voxgate-voice"] == "ana+ben+olga"


def test_each_part_is_as_fast_as_the_whole_is_asked_to_be(server: Server) -> None:
    answer = ears.ask(server, ears.DIALOGUE, response_format="json", audio_format="wav", speed=1.5).json()
    sound = decoded(base64.b64decode(answer["audio_base64"]), "wav")
    frames = decode(sound.samples, sound.sample_rate_hz, speed=1.5)
    assert [tuple(frame.split(":")) for frame in frames] == ears.SPOKEN
    before = sum(len(frame_symbols(f"{voice}:{words}")) for voice, words in ears.SPOKEN[:-1])
    begin = ((before + 7 + 2 * (2 + len("ana:"))) * SYMBOL_S + 3 * PAUSE_S) / 1.5
    then = next(word for word in answer["words"] if word["word"] == "Then")
    assert then["start_seconds"] == pytest.approx(begin, abs=0.02)


@settings(max_examples=15, deadline=None)
@given(
    dialogue=st.lists(
        st.tuples(st.sampled_from(sorted(ears.CAST)), st.sampled_from(ears.LINES)), min_size=1, max_size=7
    )
)
def test_any_dialogue_is_heard_as_it_is_written(server: Server, dialogue: list[tuple[str, str]]) -> None:
    text = "\n".join(f"[{name}] {line}" for name, line in dialogue)
    answer = ears.ask(server, text, response_format="wav", language="en")
    assert ears.heard(answer.content, "wav") == [(ears.CAST[name], line) for name, line in dialogue]


def test_three_languages_by_three_engines_in_one_stream(server: Server) -> None:
    answer = ears.ask(server, ears.MIXED, voice="world", language="auto", response_format="wav")
    assert answer.status_code == 200, answer.text
    found = ears.heard(answer.content, "wav")
    assert " ".join(words for _, words in found).split() == ears.MIXED.split()
    assert [voice for voice, _ in found] == ["nova", "malee", "nova", "ben", "nova"]
    assert answer.headers["x-voxgate-engine"] == "loud/standard, quiet/standard, usual/standard"
    assert (answer.headers["x-voxgate-voice"], answer.headers["x-voxgate-language"]) == ("world+ben", "en")


@pytest.mark.parametrize("language", [None, "en"])
def test_only_who_asks_for_it_is_spoken_by_sentence(server: Server, language: str | None) -> None:
    more = {} if language is None else {"language": language}
    answer = ears.ask(server, ears.MIXED, voice="world", response_format="pcm", **more)
    assert {voice for voice, _ in ears.heard(answer.content, "pcm")} == {"nova"}


def test_a_route_that_is_not_for_sentences_leaves_them_to_the_main_language(server: Server) -> None:
    text = (
        "This is English, and it goes on being English for quite a while. Καλημέρα σας, τι κάνετε; Now that "
        "was Greek, for which there is a route, but none that would take a sentence out of another text."
    )
    answer = ears.ask(server, text, voice="world", language="auto", response_format="pcm")
    assert {voice for voice, _ in ears.heard(answer.content, "pcm")} == {"nova"}
    (row,) = ears.server_rows(server, 1)
    assert row["engine"] == "loud"


def test_a_cast_may_speak_several_languages(server: Server) -> None:
    text = f"[Ana] Listen. [World] {ears.MIXED}"
    cast = {"Ana": "ana", "World": "world"}
    answer = ears.ask(server, text, voice={"cast": cast}, language="auto", response_format="pcm")
    found = ears.heard(answer.content, "pcm")
    assert found[0] == ("ana", "Listen.")
    assert [voice for voice, _ in found[1:]] == ["nova", "malee", "nova", "ben", "nova"]


@pytest.mark.parametrize("audio_format", ["wav", "opus"])
def test_words_point_into_the_users_text_and_into_the_sound(server: Server, audio_format: str) -> None:
    answer = ears.ask(server, ears.DIALOGUE, response_format="json", audio_format=audio_format).json()
    said = [words for _, sentence in ears.SPOKEN for words in sentence.split()]
    assert [word["word"] for word in answer["words"]] == said
    for word in answer["words"]:
        assert ears.DIALOGUE[word["source_start"] : word["source_end"]] == word["word"]
    starts = [word["source_start"] for word in answer["words"]]
    assert starts == sorted(set(starts))
    times = [word["start_seconds"] for word in answer["words"]]
    assert times == sorted(set(times))
    # The first word of the last turn begins behind all that was said before it, a preamble and its name.
    before = sum(len(frame_symbols(f"{voice}:{words}")) for voice, words in ears.SPOKEN[:-1])
    begin = (before + 7 + 2 * (2 + len("ana:"))) * SYMBOL_S + 3 * PAUSE_S
    assert answer["words"][said.index("Then")]["start_seconds"] == pytest.approx(begin, abs=0.02)
    assert answer["voice_used"] == "ana+ben+olga"
    assert answer["model_used"] == "quiet/standard, loud/standard, usual/standard"
    assert answer["usage"]["characters"] == len(ears.DIALOGUE)
    assert ears.heard(base64.b64decode(answer["audio_base64"]), audio_format) == ears.SPOKEN


def test_events_carry_the_same_bytes(server: Server) -> None:
    events = ears.ask(server, ears.DIALOGUE, response_format="wav", stream_format="sse").text
    audio = b"".join(
        base64.b64decode(line.split('"audio":"')[1].split('"')[0])
        for line in events.splitlines()
        if '"speech.audio.delta"' in line
    )
    assert ears.heard(audio, "wav") == ears.SPOKEN
    assert '"speech.audio.done"' in events


def test_a_failing_engine_is_replaced_within_its_part_alone(server: Server) -> None:
    cast = {"Ana": "ana", "Eve": "eve"}
    answer = ears.ask(
        server, "[Ana] One. [Eve] Two. [Ana] Three.", voice={"cast": cast}, response_format="mp3"
    )
    assert ears.heard(answer.content, "mp3") == [("ana", "One."), ("ben", "Two."), ("ana", "Three.")]
    (row,) = ears.server_rows(server, 1)
    assert (row["engine"], row["outcome"]) == ("quiet+usual", "finished")


def test_a_later_part_that_breaks_breaks_the_answer(server: Server) -> None:
    cast = {"Ana": "ana", "Pip": "pip"}
    with pytest.raises(httpx2.RemoteProtocolError):
        ears.ask(server, "[Ana] One. [Pip] Two, and some more. [Ana] Three.", voice={"cast": cast})
    (row,) = ears.server_rows(server, 1)
    assert (row["engine"], row["outcome"], row["error"]) == ("quiet+breaking", "failed", "engine_unavailable")


def test_the_same_key_gives_the_same_dialogue(server: Server) -> None:
    headers = {"idempotency-key": "a dialogue"}
    body = {"model": "all", "voice": {"cast": ears.CAST}, "input": ears.DIALOGUE, "response_format": "mp3"}
    with server.client() as client:
        first, again = (client.post("/v1/audio/speech", json=body, headers=headers) for _ in range(2))
    assert first.content == again.content
    assert again.headers["x-voxgate-replayed"] == "true"
