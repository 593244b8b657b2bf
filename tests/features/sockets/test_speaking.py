"""Utterances on the native socket over a real port: what is heard, interrupted and charged."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.features.sockets.native import Spoken, Talker, at, rows
from tests.server import Server
from tests.sound import PADDING_S, Heard, decoded
from tests.tables import each_row
from tests.tones import words

RATE_HZ = 24_000
TEXT = "Good morning. It is up! Shall we?"


def said(spoken: Spoken, format_: str = "pcm", rate_hz: int = RATE_HZ) -> str:
    heard = decoded(spoken.sound, format_, rate_hz)
    return " ".join(words(heard.samples, heard.sample_rate_hz) or [])


def by_words(text: str) -> list[str]:
    """As a language model writes it: each word comes with the blank before it."""
    first, *rest = text.split(" ")
    return [first, *(f" {word}" for word in rest)]


def expect_usage(server: Server, spoken: Spoken) -> None:
    """What the socket says is the sum of its rows."""
    found = rows(server, spoken.utterance)
    usage = spoken.end["usage"]
    assert usage["characters"] == sum(each["characters"] for each in found)
    assert usage["seconds"] == pytest.approx(sum(each["audio_ms"] for each in found) / 1000, abs=0.01)
    assert {each["format"] for each in found} <= {"pcm"}


def test_a_text_that_comes_word_by_word_is_spoken_whole_and_in_order(plain_server: Server) -> None:
    with at(plain_server) as talker:
        spoken = talker.speak(*by_words(TEXT))
    starts, ends = spoken.having("audio.start"), spoken.having("audio.done")
    assert said(spoken) == TEXT
    assert "".join(each["sentence_text"] for each in starts).split() == TEXT.split()
    assert [each["sentence_index"] for each in starts] == [*range(len(starts))]
    assert starts[0]["sentence_text"].strip() == "Good morning."
    assert {(each["format"], each["sample_rate"]) for each in starts} == {("pcm", RATE_HZ)}
    assert sum(each["total_bytes"] for each in ends) == len(spoken.sound)
    assert not any(each["error"] for each in ends)
    assert spoken.end["total_sentences"] == len(starts) == len(ends)
    assert spoken.end["check"] == "unchecked"
    assert starts[0]["start_ms"] == 0
    assert "substitute" not in starts[0]
    expect_usage(plain_server, spoken)


def test_a_socket_speaks_one_utterance_after_another_each_with_its_config(plain_server: Server) -> None:
    with at(plain_server) as talker:
        first = talker.speak("One is here.")
        talker.config(sample_rate=16_000)
        talker.texts("Two is here.")
        talker.config(speed=2)
        assert talker.error()["code"] == "utterance_under_way"
        talker.done()
        second = talker.spoken()
        # Two that are sent ahead wait for their turn.
        talker.texts("Three.")
        talker.done()
        talker.texts("Four.")
        talker.done()
        third, fourth = talker.spoken(), talker.spoken()
    assert said(first) == "One is here."
    assert said(second, rate_hz=16_000) == "Two is here."
    assert [said(each, rate_hz=16_000) for each in (third, fourth)] == ["Three.", "Four."]
    assert [each.end["utterance_index"] for each in (first, second, third, fourth)] == [0, 1, 2, 3]


FORMATS = [
    *(("mp3", 24_000), ("mp3", 44_100), ("opus", 48_000), ("aac", 24_000), ("flac", 24_000)),
    *(("pcm", 8_000), ("g711_ulaw", 8_000), ("g711_alaw", 8_000)),
]


def test_the_sound_of_an_utterance_is_one_stream_of_its_format(plain_server: Server) -> None:
    with ThreadPoolExecutor() as threads:
        for _ in threads.map(lambda row: _expect_one_stream(plain_server, *row), FORMATS):
            pass


def _expect_one_stream(server: Server, format_: str, rate_hz: int) -> None:
    with at(server, response_format=format_, sample_rate=rate_hz) as talker:
        spoken = talker.speak("One is. ", "Two is. ", "Three.")
    heard: Heard = decoded(spoken.sound, format_, rate_hz)
    seconds = spoken.end["usage"]["seconds"]
    assert heard.sample_rate_hz == (48_000 if format_ == "opus" else rate_hz), format_
    assert -0.01 <= heard.seconds - seconds <= PADDING_S[format_] + 0.1, format_
    assert heard.loudness > 0.005, format_
    assert {each["format"] for each in spoken.having("audio.start")} == {format_}
    assert spoken.end["total_sentences"] > 1
    expect_usage(server, spoken)


def test_without_a_split_an_utterance_is_spoken_at_its_end(plain_server: Server) -> None:
    with at(plain_server, split_granularity="none") as talker:
        talker.texts(*by_words(TEXT))
        talker.cancel()
        nothing = talker.spoken()
        spoken = talker.speak(*by_words(TEXT))
    assert nothing.types == ["audio.cancelled"]
    assert nothing.end["text_remaining"] == TEXT
    assert spoken.end["total_sentences"] == 1
    assert said(spoken) == TEXT


LONG = "He counted the boats, and then he counted them again. One of them was missing, and no one knew why. "


def _interrupted(talker: Talker, seconds: float, text: str = LONG * 3, **fields: int) -> Spoken:
    """Interrupt a text after so many seconds of sound."""
    talker.texts(*by_words(text))
    sound, messages = bytearray(), []
    while len(sound) < 2 * RATE_HZ * seconds:
        got = talker.next()
        assert got is not None
        if isinstance(got, bytes):
            sound += got
        else:
            messages.append(got)
    return talker.interrupt(Spoken(messages, bytes(sound), 0.0), **fields)


@each_row("played_ms", [None, 0, 400, 400.5, 1500])
def test_an_interruption_tells_what_was_heard_and_is_paid_for_what_was_sent(
    played_ms: float | None, plain_server: Server
) -> None:
    with at(plain_server) as talker:
        fields: dict[str, Any] = {} if played_ms is None else {"played_ms": played_ms}
        spoken = _interrupted(talker, 1.5, **fields)
        after = talker.speak("Go on.")
    end = spoken.end
    assert (end["type"], end["reason"], end["utterance_index"]) == ("audio.cancelled", "client_cancel", 0)
    assert end["text_spoken"] + end["text_remaining"] == LONG * 3
    assert end["sent_ms"] == pytest.approx(len(spoken.sound) / 2 / RATE_HZ * 1000, abs=1)
    if played_ms is not None:
        pcm = np.frombuffer(spoken.sound, "<i2")[: int(played_ms) * RATE_HZ // 1000]
        heard = "".join(words(_whole_frames(pcm), RATE_HZ) or [])
        assert end["text_spoken"].replace(" ", "").startswith(heard.replace(" ", ""))
    expect_usage(plain_server, spoken)
    assert said(after) == "Go on."
    assert after.end["utterance_index"] == 1


def _whole_frames(pcm: np.ndarray) -> np.ndarray:
    return pcm.astype(np.float32) / 32_768


def test_a_text_that_is_too_long_is_an_error_and_the_rest_is_spoken(plain_server: Server) -> None:
    with at(plain_server) as talker:
        talker.texts("One is here. ")
        talker.read_until("audio.start")
        talker.texts("x" * 20_000)
        refused = talker.read_until("error").end["error"]
        talker.done()
        spoken = talker.spoken()
    assert refused["param"] in ("text", "input")
    assert spoken.end["type"] == "session.done"


def test_a_failed_utterance_ends_with_an_error_and_the_socket_speaks_on(plain_server: Server) -> None:
    with at(plain_server, voice="tone/fail") as talker:
        talker.texts("One is here. And then ")
        failed = talker.read_until("error")
        assert failed.end["error"]["code"] == "engine_unavailable"
        assert failed.end["utterance_index"] == 0
        talker.texts("this is dropped.")
        talker.done()
        assert talker.spoken().end["usage"] == {"characters": 0, "seconds": 0.0}
        talker.config(voice="tone/tone")
        assert said(talker.speak("Two is here.")) == "Two is here."


def test_an_unknown_voice_fails_the_utterance_alone(plain_server: Server) -> None:
    with at(plain_server, voice="nobody") as talker:
        talker.texts("One is here. ")
        talker.done()
        ended = talker.spoken()
        assert ended.messages[0]["error"]["param"] == "voice"
        assert ended.end["type"] == "session.done"


def test_ssml_is_spoken_piece_by_piece_and_its_faults_end_the_utterance(plain_server: Server) -> None:
    sent = 'One <sub alias="two">2</sub> three. <break time="500ms"/> <p>Four five.</p> Six.'
    with at(plain_server, input_type="ssml") as talker:
        spoken = talker.speak(*by_words(sent))
        interrupted = _interrupted(talker, 0.5, text=sent, played_ms=400)
        wrong = talker.speak("One is right. Two <b>is not</b>.")
        broken = talker.speak("<p>One is right. And this is two.</p>")
        rooted = talker.speak("<speak>One is right.</speak>")
        silent = talker.speak('<break time="500ms"/>')
    assert said(spoken) == "One two three. Four five. Six."
    assert spoken.messages[0]["sentence_text"].strip() == 'One <sub alias="two">2</sub> three.'
    assert interrupted.end["text_spoken"] + interrupted.end["text_remaining"] == sent
    assert interrupted.end["text_spoken"].startswith("One")
    assert [each["error"]["code"] for each in wrong.having("error")] == ["unsupported_ssml"]
    assert "column 5" in wrong.having("error")[0]["error"]["message"]
    assert [each["error"]["code"] for each in broken.having("error")] == ["invalid_ssml"]
    assert rooted.having("error")[0]["error"]["param"] == "text"
    assert "leave it out" in rooted.having("error")[0]["error"]["message"]
    assert silent.types == ["session.done"]


def test_an_interruption_after_the_end_tells_what_was_heard_of_the_last_second(plain_server: Server) -> None:
    text = "One is here. Two is there."
    with at(plain_server) as talker:
        spoken = talker.speak(text)
        talker.cancel(played_ms=300)
        late = talker.spoken().end
        talker.cancel(played_ms=300)
        again = talker.spoken().end
        assert said(talker.speak("Go on.")) == "Go on."
    assert spoken.end["type"] == "session.done"
    assert (late["type"], late["utterance_index"]) == ("audio.cancelled", 0)
    assert late["text_spoken"] == "One"
    assert late["text_spoken"] + late["text_remaining"] == text
    assert late["usage"] == spoken.end["usage"]
    assert late["sent_ms"] == pytest.approx(len(spoken.sound) / 2 / RATE_HZ * 1000, abs=1)
    assert (again["utterance_index"], again["text_spoken"], again["text_remaining"]) == (1, "", "")


def test_what_a_closed_session_still_says_can_be_interrupted(plain_server: Server) -> None:
    with at(plain_server) as talker:
        talker.texts(LONG * 3)
        talker.send({"type": "session.close"})
        talker.read_until("audio.start")
        talker.texts("This is dropped.")
        talker.cancel(played_ms=0)
        ended = talker.read_until()
    assert [each["type"] for each in ended.messages][-1] == "audio.cancelled"
    assert ended.messages[-1]["text_remaining"] == LONG * 3
    assert talker.code == 1000
