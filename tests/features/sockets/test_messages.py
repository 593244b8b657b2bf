"""What a client of the native socket may send, and by which field all else is refused."""

import json
from typing import Any

import pytest

from proxy.errors import InvalidRequest, StorageUnavailable
from proxy.features.sockets.messages import (
    CancelMessage,
    ClientMessage,
    CloseMessage,
    ConfigMessage,
    DoneMessage,
    TextMessage,
    end_message,
    read_message,
    settings_of,
)
from proxy.features.sockets.utterances.values import PieceEnd, UtteranceSettings
from proxy.speech.speech_request import Defaults
from tests.tables import each_row

CONFIG = {"type": "session.config", "model": "tts-1", "voice": "alloy"}


def read(sent: object) -> ClientMessage:
    text = sent if isinstance(sent, (str, bytes)) else json.dumps(sent)
    return read_message(text)


def config(**fields: Any) -> UtteranceSettings:
    message = read({**CONFIG, **fields})
    assert isinstance(message, ConfigMessage)
    return settings_of(message, Defaults(), lambda: frozenset({"steps"}))


def test_each_message_is_read_as_what_it_is() -> None:
    text = read({"type": "input.text", "text": "Hello "})
    assert isinstance(text, TextMessage)
    assert text.text == "Hello "
    assert read({"type": "input.done", "anything": [1]}) == DoneMessage()
    assert read({"type": "input.cancel"}) == read({"type": "input.cancel", "played_ms": None})
    assert read({"type": "input.cancel", "played_ms": 1250}) == CancelMessage(1250)
    assert read({"type": "input.cancel", "played_ms": 1250.4}) == CancelMessage(1250.4)
    assert read({"type": "session.close"}) == CloseMessage()


def test_a_config_is_a_speech_request_without_a_text() -> None:
    request = config(speed=1.5, language="pt-br", lexicon="none", markdown="off", steps=4).request
    assert (request.speed, request.language, request.lexicon) == (1.5, "pt-BR", "none")
    assert (request.markdown, request.extra) == ("off", (("steps", "4"),))
    form = config().form
    assert (form.format, form.sample_rate_hz) == ("pcm", 24_000)


@each_row(
    "format_, rate",
    [
        *(("pcm", 8_000), ("mp3", 44_100), ("opus", 48_000), ("aac", 24_000), ("flac", 24_000)),
        *(("g711_ulaw", 8_000), ("g711_alaw", 8_000)),
    ],
)
def test_a_format_of_speech_is_one_of_sockets(format_: str, rate: int) -> None:
    form = config(response_format=format_, sample_rate=rate).form
    assert (form.format, form.sample_rate_hz) == (format_, rate)


def test_no_format_is_pcm() -> None:
    assert config(response_format=None).form == config().form


def test_what_asks_for_nothing_is_no_fault() -> None:
    config(check="off", stream_format="audio", background=False, history=None, input="", stream_audio=True)
    assert config(split_granularity="sentence") == config(split_granularity=None) == config()
    assert config().splits
    assert not config(split_granularity="none").splits


@each_row(
    "fields, param",
    [
        ({"model": 5}, "model"),
        ({"model": None}, "model"),
        ({"voice": ""}, "voice"),
        ({"voice": {"cast": {"Ana": "alloy"}}}, "voice"),
        ({"speed": 9}, "speed"),
        ({"language": "???"}, "language"),
        ({"response_format": "wav"}, "response_format"),
        ({"response_format": "WAV"}, "response_format"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": "ogg"}, "response_format"),
        ({"response_format": "g711_ulaw", "sample_rate": 16_000}, "sample_rate"),
        ({"bitrate": 64}, "bitrate"),
        ({"split_granularity": "clause"}, "split_granularity"),
        ({"split_granularity": 5}, "split_granularity"),
        ({"input_type": "html"}, "input_type"),
        ({"input_type": "ssml", "markdown": "auto"}, "markdown"),
        ({"lexicon": {"": "x"}}, "lexicon"),
        ({"check": "heard"}, "check"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"background": True}, "background"),
        ({"history": True}, "history"),
        ({"provenance": "c2pa"}, "provenance"),
        ({"word_times": "heard"}, "word_times"),
        ({"tag": "a tag\n"}, "tag"),
        ({"steps": "https://example.org"}, "steps"),
    ],
)
def test_a_config_is_refused_by_the_field_that_is_wrong(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        config(**fields)
    assert refused.value.param == param


@each_row(
    "sent, code, param",
    [
        ("", "invalid_json", None),
        ("Hello.", "invalid_json", None),
        ("[]", "invalid_json", None),
        ("null", "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ('{"type": "input.text", "text": "\\ud800"}', "invalid_json", None),
        ('{"type": "input.text", "text": "\\udc00 x"}', "invalid_json", None),
        ('{"type": "input.text", "text": "a"', "invalid_json", None),
        ('{"type":' + "[" * 100_000, "invalid_json", None),
        ("{" + ",".join(f'"a{n}":[]' for n in range(9_000)) + "}", "invalid_json", None),
        (b'{"type": "input.done"}', "invalid_message", None),
        ("{}", "missing_required_parameter", "type"),
        ('{"type": null}', "invalid_value", "type"),
        ('{"type": ["input.text"]}', "invalid_value", "type"),
        ('{"type": "input.speak"}', "invalid_value", "type"),
        ('{"type": "input.text"}', "missing_required_parameter", "text"),
        ('{"type": "input.text", "text": null}', "missing_required_parameter", "text"),
        ('{"type": "input.text", "text": {"a": "b"}}', "invalid_value", "text"),
        ('{"type": "input.cancel", "played_ms": -1}', "invalid_value", "played_ms"),
        ('{"type": "input.cancel", "played_ms": -0.5}', "invalid_value", "played_ms"),
        ('{"type": "input.cancel", "played_ms": 1e99}', "invalid_value", "played_ms"),
        ('{"type": "input.cancel", "played_ms": "1"}', "invalid_value", "played_ms"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_message_is_refused_by_what_is_wrong(sent: str | bytes, code: str, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(sent)
    assert (refused.value.code, refused.value.param) == (code, param)


@each_row(
    "sent",
    [
        {"type": "input.text", "text": "a secret", "played_ms": -1},
        {"type": "a secret"},
        {"type": "input.cancel", "played_ms": "a secret"},
        {**CONFIG, "instructions": ["a secret"]},
        {**CONFIG, "speed": "a secret"},
    ],
)
def test_no_error_and_no_repr_repeats_a_text(sent: dict[str, Any]) -> None:
    try:
        message = read(sent)
        shown = repr(message)
        if isinstance(message, ConfigMessage):
            shown = repr(settings_of(message, Defaults(), frozenset))
    except InvalidRequest as refused:
        shown = refused.message
    assert "secret" not in shown


def test_the_end_of_a_piece_says_whether_it_is_whole() -> None:
    whole, broken_off = PieceEnd(1, 48), PieceEnd(2, 24, StorageUnavailable())
    assert [end_message(each, 3).error for each in (whole, broken_off)] == [False, True]
