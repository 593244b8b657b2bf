"""A speech request, parsed once: every limit, every lenient form, and no input that breaks the parser."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies import lexicon
from proxy.audio.formats import FORMATS, USUAL_FORMS, OutputForm
from proxy.errors import InvalidRequest
from proxy.features.lexicons.endpoints import LexiconBody
from proxy.speech import speech_body, speech_request
from proxy.speech.speech_request import Defaults, SpeechRequest
from tests.tables import each_row

NAMES = speech_body.SpeechBody.__struct_fields__
SECRET = "the cat sat on seventeen mats"
WHOLE: dict[str, Any] = {"model": "gpt-4o-mini-tts", "input": "Hello.", "voice": "alloy"}


def parse(body: object, defaults: Defaults | None = None) -> SpeechRequest:
    return speech_request.parse_speech(json.dumps(body).encode(), defaults or Defaults())


def refused(body: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    return caught.value


def test_three_fields_are_enough() -> None:
    request = parse(WHOLE)
    assert (request.model, request.text, request.voice) == ("gpt-4o-mini-tts", "Hello.", "alloy")
    assert (request.form.format, request.answer, request.speed, request.pitch) == ("mp3", "audio", 1.0, 0.0)
    assert (request.language, request.emotion, request.seed) == (None, None, None)


def test_the_repr_does_not_show_the_text() -> None:
    assert SECRET not in repr(parse({**WHOLE, "input": SECRET}))


@each_row(
    ("field", "value", "read_as"),
    [
        ("input", "x" * 4096, "x" * 4096),
        ("input", "😀" * 4096, "😀" * 4096),
        ("input", " . ", " . "),
        ("speed", 0.25, 0.25),
        ("speed", 4, 4.0),
        ("speed", None, 1.0),
        ("pitch", -12, -12.0),
        ("pitch", 12.0, 12.0),
        ("seed", 0, 0),
        ("seed", 2**32 - 1, 2**32 - 1),
        ("emotion", "x" * 64, "x" * 64),
        *(("emotion", written, None) for written in ("neutral", "Neutral", "NEUTRAL")),
        ("voice", {"id": "alloy", "name": "ignored"}, "alloy"),
        ("voice", "x" * 256, "x" * 256),
        ("language", "auto", None),
        ("language", "Auto", None),
        ("language", "", None),
        ("language", None, None),
        ("language", "th", "th"),
        ("language", "PT-br", "pt-BR"),
        ("language", "es-419", "es-419"),
        ("language", "zh-Hant-TW", "zh-Hant-TW"),
        ("response_format", None, USUAL_FORMS["mp3"]),
        *((("response_format", name, USUAL_FORMS[name])) for name in FORMATS),
        ("response_format", "OPUS", USUAL_FORMS["opus"]),
        ("response_format", "Wav", USUAL_FORMS["wav"]),
        ("sample_rate", 48_000, OutputForm("mp3", 48_000, is_usual=False)),
        ("sample_rate", None, USUAL_FORMS["mp3"]),
        ("bitrate", 160, OutputForm("mp3", 24_000, 160, is_usual=False)),
        ("stream_format", None, "audio"),
        ("stream_format", "sse", "sse"),
    ],
)
def test_a_value_within_the_limits_is_taken(field: str, value: object, read_as: object) -> None:
    request = parse({**WHOLE, field: value})
    seen = {"input": "text", "stream_format": "answer"} | dict.fromkeys(
        ("response_format", "sample_rate", "bitrate"), "form"
    )
    assert getattr(request, seen.get(field, field)) == read_as


@each_row(
    ("field", "value", "code"),
    [
        ("input", "x" * 4097, "string_above_max_length"),
        ("input", "", "invalid_value"),
        ("input", " \n\t\u3000", "invalid_value"),
        ("input", 17, "invalid_value"),
        ("input", ["x"], "invalid_value"),
        ("input", None, "missing_required_parameter"),
        ("model", None, "missing_required_parameter"),
        ("model", "", "invalid_value"),
        ("model", "x" * 257, "invalid_value"),
        ("voice", None, "missing_required_parameter"),
        ("voice", "", "invalid_value"),
        ("voice", {}, "invalid_value"),
        ("voice", {"id": ""}, "invalid_value"),
        ("voice", {"id": 7}, "invalid_value"),
        ("voice", ["alloy"], "invalid_value"),
        ("speed", 0.24, "invalid_value"),
        ("speed", 4.01, "invalid_value"),
        ("speed", "1.0", "invalid_value"),
        ("speed", True, "invalid_value"),
        ("speed", 10**300, "invalid_value"),
        ("pitch", 12.01, "invalid_value"),
        ("seed", -1, "invalid_value"),
        ("seed", 2**32, "invalid_value"),
        ("seed", 0.5, "invalid_value"),
        ("seed", True, "invalid_value"),
        ("emotion", "", "invalid_value"),
        ("emotion", "x" * 65, "invalid_value"),
        ("language", "x", "invalid_value"),
        ("language", "english", "invalid_value"),
        ("language", "en_US", "invalid_value"),
        ("language", "en\n", "invalid_value"),
        ("language", "en-US\r\nx: y", "invalid_value"),
        ("language", "auto\n", "invalid_value"),
        ("language", "en" + "-abcdefgh" * 4, "invalid_value"),
        ("instructions", "x" * 4097, "string_above_max_length"),
        ("response_format", "ogg", "invalid_value"),
        ("response_format", "", "invalid_value"),
        ("response_format", 3, "invalid_value"),
        ("sample_rate", 32_000, "invalid_value"),
        ("sample_rate", "16000", "invalid_value"),
        ("bitrate", 7, "invalid_value"),
        ("bitrate", 321, "invalid_value"),
        ("bitrate", 64.5, "invalid_value"),
        ("stream_format", "SSE", "invalid_value"),
        ("stream_format", "", "invalid_value"),
    ],
)
def test_a_value_past_a_limit_names_its_field(field: str, value: object, code: str) -> None:
    failure = refused({**WHOLE, field: value})
    assert (failure.param, failure.code, failure.status) == (field, code, 400)
    assert f"'{field}'" in failure.message
    assert "type " not in failure.message.replace(f"'{field}'", ""), "a client is told values, not types"
    assert len(failure.message) < 400


def test_a_cast_is_names_and_their_voices_in_order() -> None:
    request = parse({**WHOLE, "voice": {"cast": {"Ben": "onyx", "Ana": "nova"}}})
    assert (request.voice, request.cast) == ("", (("Ben", "onyx"), ("Ana", "nova")))


@each_row(
    ("voice", "field"),
    [
        ({"cast": {}}, "voice.cast"),
        ({"cast": {f"n{number}": "nova" for number in range(17)}}, "voice.cast"),
        ({"cast": {"": "nova"}}, "voice.cast"),
        ({"cast": {"Ana": "nova", "ANA": "onyx"}}, "voice.cast"),
        ({"cast": {"[Ana]": "nova"}}, "voice.cast"),
        ({"cast": {"Ana": ""}}, "voice"),
        ({"cast": {"Ana": 7}}, "voice"),
        ({"cast": ["Ana"]}, "voice"),
        ({"cast": {"Ana": "nova"}, "id": "onyx"}, "voice"),
        ({"cast": None}, "voice"),
    ],
)
def test_a_voice_that_is_no_cast_names_its_field(voice: object, field: str) -> None:
    failure = refused({**WHOLE, "voice": voice})
    assert (failure.param, failure.status) == (field, 400)
    assert f"'{field}'" in failure.message


@each_row(
    ("sent", "is_by_sentence"), [("auto", True), ("Auto", True), ("", False), ("en", False), (None, False)]
)
def test_only_auto_asks_for_each_sentence_in_its_language(sent: str | None, is_by_sentence: bool) -> None:
    assert parse({**WHOLE, "language": sent}).by_sentence == is_by_sentence


@each_row("field", ["model", "input", "voice"])
def test_a_missing_field_is_named(field: str) -> None:
    failure = refused({key: value for key, value in WHOLE.items() if key != field})
    assert (failure.param, failure.code) == (field, "missing_required_parameter")
    assert failure.message == f"Missing required parameter: '{field}'."


def test_keys_nobody_knows_are_ignored() -> None:
    assert parse({**WHOLE, "zzz": True, "": None, "stream": None}) == parse(WHOLE)
    body = json.dumps(WHOLE).encode()
    assert speech_request.parse_speech(body[:-1] + b', "\xff": 1}', Defaults()) == parse(WHOLE)


def test_fields_of_other_servers_are_told_as_ignored() -> None:
    request = parse({**WHOLE, "stream": True, "volume_multiplier": 2, "zzz": 1, "ref_audio": [1]})
    assert request.ignored == ("ref_audio", "stream", "volume_multiplier")
    assert msgspec.structs.replace(request, ignored=()) == parse(WHOLE)


def test_instructions_are_kept_and_blank_ones_are_none() -> None:
    assert parse({**WHOLE, "instructions": "x" * 4096}).instructions == "x" * 4096
    for text in ("", "  ", None):
        assert parse({**WHOLE, "instructions": text}) == parse(WHOLE)


def test_the_last_of_a_key_sent_twice_counts() -> None:
    body = b'{"model": 1, "model": "tts-1", "input": "a", "input": "b", "voice": "alloy"}'
    request = speech_request.parse_speech(body, Defaults())
    assert (request.model, request.text) == ("tts-1", "b")


def test_json_answers_take_their_own_audio_format() -> None:
    assert (parse({**WHOLE, "response_format": "JSON"}).answer) == "json"
    assert parse({**WHOLE, "response_format": "json"}).form.format == "mp3"
    assert parse({**WHOLE, "response_format": "json", "audio_format": "FLAC"}).form.format == "flac"
    for wrong in ("json", "ogg", 1):
        failure = refused({**WHOLE, "response_format": "json", "audio_format": wrong})
        assert failure.param == "audio_format"


def test_json_cannot_come_as_events() -> None:
    failure = refused({**WHOLE, "response_format": "json", "stream_format": "sse"})
    assert failure.param == "stream_format"


@each_row(
    ("model", "answer"),
    [
        ("tts-1", "audio"),
        ("tts-1-hd", "audio"),
        ("tts-1-hd-1106", "audio"),
        ("gpt-4o-mini-tts", "sse"),
        ("x/y", "sse"),
    ],
)
def test_openais_older_models_answer_events_with_plain_audio(model: str, answer: str) -> None:
    assert parse({**WHOLE, "model": model, "stream_format": "sse"}).answer == answer


def test_defaults_fill_what_is_absent_or_null_and_nothing_else() -> None:
    defaults = Defaults("tts-1", "nova")
    filled = parse({"input": "Hi.", "model": None}, defaults)
    assert (filled.model, filled.voice) == ("tts-1", "nova")
    given_ = parse({**WHOLE}, defaults)
    assert (given_.model, given_.voice) == (WHOLE["model"], WHOLE["voice"])
    with pytest.raises(InvalidRequest):
        parse({**WHOLE, "voice": ""}, defaults)


@each_row(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"model": "a"} {}',
        b"\xff\xfe{}",
        b"\x00",
        b'{"input": NaN}',
        b'{"speed": 1e999}',
        b'{"speed": Infinity}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b'{"input": "\\ud800"}',
        b'{"input": "\xed\xa0\x80"}',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x": ' * 5000 + b"1" + b"}" * 5000,
        '{"input": "caf\u00e9"}'.encode("latin-1"),
        b"model=tts-1&input=x",
    ],
)
def test_a_body_that_is_no_json_object_says_so(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        speech_request.parse_speech(body, Defaults())
    assert (caught.value.code, caught.value.param) == ("invalid_json", None)


@each_row(
    ("encoding", "says"),
    [
        *((name, "it is not in UTF-8. Windows PowerShell") for name in ("latin-1", "utf-16", "utf-16-le")),
        *((name, "it is not in UTF-8. Windows PowerShell") for name in ("utf-16-be", "utf-32")),
        ("utf-8", "Expected one JSON object"),
    ],
)
def test_a_body_in_another_encoding_is_told_so(encoding: str, says: str) -> None:
    body = '{"model": "tts-1", "voice": "alloy", "input": "Größe"'
    body += "" if encoding == "utf-8" else "}"
    with pytest.raises(InvalidRequest, match=says) as caught:
        speech_request.parse_speech(body.encode(encoding), Defaults())
    assert (caught.value.code, caught.value.param) == ("invalid_json", None)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**30, 10**31)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from([SECRET, "\ud800", "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
close = st.fixed_dictionaries(
    {"input": st.just(SECRET)},
    optional={name: json_values | st.just(WHOLE.get(name)) for name in NAMES if name != "input"},
)
anything = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), json_values, max_size=8)


def never_breaks(body: bytes) -> None:
    try:
        request = speech_request.parse_speech(body, Defaults())
    except InvalidRequest as failure:
        assert failure.param is None or failure.param in NAMES  # noqa: PT017 - either way out is right
        assert SECRET not in failure.message  # noqa: PT017
        return
    assert 1 <= len(request.text) <= speech_body.MAX_INPUT
    assert request.form.format in FORMATS
    assert 0.25 <= request.speed <= 4.0
    assert request.language is None or request.language.replace("-", "").isalnum()


@given(st.one_of(anything, close))
@example({**WHOLE, "language": "en\n"})
@example({**WHOLE, "speed": 10**400})
@settings(max_examples=min(100, settings().max_examples), deadline=None)
def test_any_fields_are_a_request_or_a_refusal(body: dict[str, Any]) -> None:
    never_breaks(json.dumps(body).encode())


@given(st.one_of(st.binary(max_size=200), json_values.map(lambda value: json.dumps(value).encode())))
@settings(max_examples=min(100, settings().max_examples), deadline=None)
def test_any_bytes_are_a_request_or_a_refusal(body: bytes) -> None:
    never_breaks(body)


@given(st.data())
@settings(max_examples=min(100, settings().max_examples), deadline=None)
def test_a_damaged_body_is_a_request_or_a_refusal(data: st.DataObject) -> None:
    body = bytearray(json.dumps({**WHOLE, "input": SECRET, "speed": 1.5, "language": "pt-BR"}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    never_breaks(bytes(body))


SMALL = b",".join([b'{"a": []}'] * 200_000)
MANY = {
    "an unknown field": (b'{"words": {"a": "b"}, "x": [' + SMALL + b"]}", ""),
    "unknown fields": (
        b'{"words": {"a": "b"}, ' + b",".join(b'"%x": []' % n for n in range(150_000)) + b"}",
        "",
    ),
    "a field of a wrong type": (b'{"words": [' + SMALL + b"]}", "Invalid value for 'words': it must be an"),
    "within a field": (b'{"words": {"a": [' + SMALL + b"]}}", "Invalid value for 'words': it must be an"),
}


@pytest.mark.clock
@each_row(("body", "says"), MANY.values(), ids=MANY)
def test_what_no_field_takes_is_never_built(body: bytes, says: str) -> None:
    took_s = []
    for _ in range(3):
        began = time.thread_time()
        try:
            assert speech_request.parse(LexiconBody, body).words == {"a": "b"}
            assert not says
        except InvalidRequest as refusal:
            assert says
            assert refusal.message.startswith(says)  # noqa: PT017
        took_s.append(time.thread_time() - began)
    assert min(took_s) < 0.05


def test_the_words_of_a_job_are_checked_once_for_all_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, fault = list[int](), lexicon.words_fault

    def noted(words: lexicon.Words, most: int) -> str | None:
        checked.append(len(words))
        return fault(words, most)

    monkeypatch.setattr(lexicon, "words_fault", noted)
    words = {f"checked{number}": "once" for number in range(100)}
    steps = [parse({**WHOLE, "input": f"Step {number}.", "lexicon": words}) for number in range(500)]
    assert [each.lexicon for each in steps] == [words] * 500
    assert checked == [100]
    refused({**WHOLE, "lexicon": {**words, "one": "too many"}})
    refused({**WHOLE, "lexicon": {**words, "one": "too many"}})
    assert checked == [100, 101, 101]
