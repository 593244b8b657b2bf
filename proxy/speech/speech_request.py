"""The speech request: OpenAI's JSON is parsed here, once, into frozen values. Nothing checks them again.

A field's description is also the text of its 400. The OpenAPI document comes from the same structs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec

from policies import language, lexicon
from policies.lexicon import MOST_INLINE_WORDS, NO_LEXICON, Words
from policies.reading import Code, Markdown
from policies.text_tags import NEUTRAL, EmotionTags
from proxy.audio.formats import FORMATS, USUAL_FORMS, OutputForm, find_form
from proxy.config import fields
from proxy.config.fields import missing_parameter
from proxy.config.sections import Server
from proxy.errors import InvalidRequest
from proxy.helpers.outside import outside
from proxy.speech.client_fields import NO_EXTRA_FIELDS, Extra, read_extra
from proxy.speech.json_size import ESCAPE_BYTES, MOST_STRUCTURE, json_size
from proxy.speech.part_check import CheckKind, OnWrong
from proxy.speech.speech_body import (
    FORMAT_NAMES,
    SpeechBody,
    VoiceFields,
    check_provenance,
    check_text,
    read_voice,
)
from speech_engine.redacted import Redacted

MAX_BODY_BYTES = 256 * 1024
_NO_SSE = ("tts-1", "tts-1-1106", "tts-1-hd", "tts-1-hd-1106")

AnswerKind = Literal["audio", "sse", "words", "json", "background"]
"""The form of the answer. With `background`, the answer has no sound, which is made later."""

SOURCE_HZ = 24_000


class SourceSound(Redacted, msgspec.Struct, frozen=True, eq=False):
    """A recording that a request brings in place of a text: 16-bit mono at `SOURCE_HZ`.

    `digest` is the SHA-256 of the `file` that was sent. An engine that is not local gets the recording only
    if it is in `receivers`; None allows all engines. `consent` is the digest of the speaker's consent record,
    or "".
    """

    pcm: bytes
    seconds: float
    digest: str
    receivers: tuple[str, ...] | None = None
    consent: str = ""
    file: bytes = b""

    @property
    def was_read_to_the_end(self) -> bool:
        """Whether an engine that has it has heard its end: all of it is there at once."""
        return True


class SpeechRequest(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A request for the pipeline. `voice` is "" when a `cast` or a `mix` speaks. With `by_sentence`, each
    sentence is spoken in its own language. `extra` has the fields that only some models take, and `ignored`
    the names of fields that no model takes. With `provenance`, the answer is a whole file with a signed
    manifest in it. With `hears_words`, a local recogniser times the words of a JSON answer.
    """

    model: str
    text: str
    voice: str
    form: OutputForm
    answer: AnswerKind
    speed: float
    language: str | None
    pitch: float
    emotion: str | None
    seed: int | None
    emotion_tags: EmotionTags = "drop"
    lexicon: str | Words | None = None
    cache: bool | None = None
    cast: tuple[tuple[str, str], ...] = ()
    mix: tuple[tuple[str, float], ...] = ()
    by_sentence: bool = False
    markdown: Markdown = "auto"
    code: Code = "skip"
    instructions: str = ""
    extra: Extra = ()
    ignored: tuple[str, ...] = ()
    provenance: Literal["c2pa"] | None = None
    source: SourceSound | None = None
    tag: str = ""
    history: bool = False
    check: CheckKind | Literal["off"] | None = None
    on_wrong: OnWrong = "send"
    hears_words: bool = False


UNPLANNED = {"text": "", "tag": ""}
"""The fields that a stored plan omits, and the values in their place."""


class Defaults(msgspec.Struct, frozen=True):
    """The model and voice for requests that name none. If one is None, a request must name its own."""

    model: str | None = None
    voice: str | None = None

    @classmethod
    def of(cls, server: Server) -> Defaults:
        return cls(server.default_model, server.default_voice) if server.fill_missing else cls()

    def preferring(self, voice: str) -> Defaults:
        """Return the defaults of a caller with this voice; "" is none."""
        return msgspec.structs.replace(self, voice=voice) if voice else self


_NO_DEFAULTS = Defaults()
_decode_speech = msgspec.json.Decoder(SpeechBody).decode
_decode_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_OWN_FIELDS = frozenset(SpeechBody.__struct_fields__)
_MOST_LEXICONS = 8  # whose check is remembered: each step of a job brings that of the job
_LARGE_BYTES = 64 * 1024  # a smaller body is always decoded within milliseconds


def parse_speech(
    body: bytes, defaults: Defaults, client_fields: Callable[[], frozenset[str]] = frozenset
) -> SpeechRequest:
    """Parse a body. Raises InvalidRequest with the first field that is wrong. `client_fields` returns
    those that models take beyond ours; it is called if one was sent."""
    parsed = _speech_body(body, defaults)
    check_text(parsed)
    answer, format_ = _answer_of(parsed)
    form = form_value(format_, parsed) if parsed.sample_rate or parsed.bitrate else USUAL_FORMS[format_]
    extra, ignored = NO_EXTRA_FIELDS
    try:
        json_fields = raw_fields(body)
    except UnicodeDecodeError:
        json_fields = {}  # only the name of an unknown field can be no text
    if not json_fields.keys() <= _OWN_FIELDS:
        extra, ignored = read_extra(json_fields, client_fields() - _OWN_FIELDS)
    if parsed.input_type == "ssml":
        parsed = outside("proxy.text_rules.ssml_body", "body_of_ssml", _no_ssml)(parsed, json_fields)
    if parsed.markdown == "on" or parsed.word_times is not None:
        ignored += _unfollowed_fields(parsed, answer)
    tag = parsed.language
    voice_fields = VoiceFields(parsed.voice) if isinstance(parsed.voice, str) else read_voice(parsed.voice)
    return SpeechRequest(
        model=parsed.model,
        text=parsed.input,
        voice=voice_fields.voice,
        form=form,
        answer=answer,
        speed=parsed.speed,
        language=None if tag.lower() in ("", "auto") else language.canonical_tag(tag),
        pitch=parsed.pitch,
        emotion=None if parsed.emotion is None else _emotion(parsed.emotion),
        seed=parsed.seed,
        emotion_tags=parsed.emotion_tags,
        lexicon=None if parsed.lexicon is None else _lexicon(parsed.lexicon),
        cast=voice_fields.cast,
        mix=voice_fields.mix,
        by_sentence=tag.lower() == "auto",
        markdown="off" if parsed.markdown == "off" else "auto",
        code=parsed.code,
        cache=parsed.cache,
        instructions=(parsed.instructions or "").strip(),
        extra=extra,
        ignored=ignored,
        provenance=parsed.provenance,
        tag=parsed.tag or "",
        history=parsed.history is True,
        check=parsed.check,
        on_wrong=parsed.on_wrong,
        hears_words=parsed.word_times is not None and answer == "json",
    )


def _no_ssml(_body: SpeechBody, _sent: Mapping[str, msgspec.Raw]) -> SpeechBody:
    raise InvalidRequest("This server reads no SSML.", param="input_type", code="feature_off")


def _answer_of(body: SpeechBody) -> tuple[AnswerKind, str]:
    """Return the kind of the answer, and the format of its sound. Raises InvalidRequest."""
    format_: str = body.response_format
    if format_ not in FORMAT_NAMES:
        format_ = _format(format_, "response_format", FORMAT_NAMES)
    answer: AnswerKind = body.stream_format
    if format_ == "json":
        if answer != "audio":
            raise InvalidRequest(
                f"'stream_format' cannot be {answer} with response_format json: JSON is one whole answer.",
                param="stream_format",
            )
        answer, format_ = "json", _format(body.audio_format, "audio_format", FORMATS)
    elif answer == "sse" and body.model in _NO_SSE:
        answer = "audio"  # OpenAI has no SSE for these, and clients know how to read bytes instead
    if body.background or body.provenance is not None:
        answer = _rare_answer(body, answer, format_)
    return answer, format_


def _unfollowed_fields(body: SpeechBody, answer: AnswerKind) -> tuple[str, ...]:
    times = ("word_times",) if body.word_times is not None and answer not in ("json", "background") else ()
    return ("markdown", *times) if body.markdown == "on" else times


def _lexicon(value: str | dict[str, str]) -> str | Words | None:
    if isinstance(value, str):
        name = value.strip()
        return NO_LEXICON if name.lower() == NO_LEXICON else name or None
    return checked_words(value, "lexicon", MOST_INLINE_WORDS) if value else None


def checked_words(entries: dict[str, str], field: str, most: int) -> Words:
    """Check the entries of a lexicon, and return them in the stored form. Raises InvalidRequest."""
    return _checked_words(tuple(entries.items()), field, most)


@lru_cache(_MOST_LEXICONS)
def _checked_words(entries: tuple[tuple[str, str], ...], field: str, most: int) -> Words:
    words = dict(entries)
    if (wrong := lexicon.words_fault(words, most)) is not None:
        raise InvalidRequest(f"Invalid value for '{field}': it must be {wrong}.", param=field)
    return lexicon.usual_words(words)


def _speech_body(body: bytes, defaults: Defaults) -> SpeechBody:
    if len(body) <= _LARGE_BYTES:
        try:
            return _decode_speech(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # A field is missing, null or wrong. Read one by one, it is filled in or named.
    return parse(SpeechBody, body, defaults, MAX_BODY_BYTES)


def parse(
    type_: type[fields.T], body: bytes, defaults: Defaults = _NO_DEFAULTS, most_bytes: int = _LARGE_BYTES
) -> fields.T:
    """Parse any JSON body of up to `most_bytes` as its struct. Raises InvalidRequest with the first field
    that is wrong."""
    return read(type_, _fill(_known_fields(type_, body, most_bytes), defaults))


def raw_fields(body: bytes, known_characters: int = 0) -> dict[str, msgspec.Raw]:
    """Return all fields of a body, undecoded. Raises InvalidRequest if they are far too large, not counting
    `known_characters` of the known fields, and what msgspec raises for a body that is no object."""
    if len(body) > _LARGE_BYTES:
        structure, characters = json_size(body, 2 * MOST_STRUCTURE)
        if structure > 2 * MOST_STRUCTURE or characters - known_characters > 2 * MAX_BODY_BYTES:
            raise InvalidRequest(
                "The JSON body of your request has too much in fields that are not known here.",
                code="invalid_json",
            )
    return _decode_values(body)


def _known_fields(type_: type[msgspec.Struct], body: bytes, most_bytes: int) -> dict[str, Any]:
    """Return the decoded fields of a body that its struct has. Other fields are never decoded. Raises
    InvalidRequest."""
    decoded: dict[str, Any] = {}
    room, most_characters = MOST_STRUCTURE, most_bytes // ESCAPE_BYTES
    try:
        raw = _decoder(type_)(body)
        for field in fields.fields_of(type_):
            value = getattr(raw, field.name)
            if value is msgspec.UNSET:
                continue
            if len(body) > MOST_STRUCTURE:
                structure, characters = json_size(memoryview(value), room)
                room -= structure
                if room >= 0 and characters > most_characters and len(body) > _LARGE_BYTES:
                    raise InvalidRequest(
                        f"Invalid '{field.key}': too long. It has more than {most_characters} characters.",
                        param=field.key,
                        code="string_above_max_length",
                    )
            # A value that is too large stays raw. No field takes raw values, so it becomes an ordinary fault.
            decoded[field.key] = value if room < 0 else _decoded_value(field, value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if not is_utf8(body):
            raise InvalidRequest(
                "We could not parse the JSON body of your request: it is not in UTF-8. "
                "Windows PowerShell sends UTF-8 with -ContentType 'application/json; charset=utf-8'.",
                code="invalid_json",
            ) from None
        raise InvalidRequest(
            "We could not parse the JSON body of your request. Expected one JSON object, "
            'such as {"model": "tts-1", "input": "Hello.", "voice": "alloy"} for speech.',
            code="invalid_json",
        ) from None
    return decoded


def is_utf8(text: bytes) -> bool:
    """Tell whether JSON is in UTF-8. In UTF-16, each bracket has a NUL beside it."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in text[:2]


@lru_cache
def _decoder(type_: type[msgspec.Struct]) -> Callable[[bytes], msgspec.Struct]:
    known = [
        (field.name, msgspec.Raw, msgspec.field(default=msgspec.UNSET, name=field.key))
        for field in fields.fields_of(type_)
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Sent", known)).decode


def _decoded_value(field: fields.Field, raw: msgspec.Raw) -> Any:
    if len(memoryview(raw)) <= _LARGE_BYTES:
        return msgspec.json.decode(raw)
    if field.has_choices:
        return raw  # msgspec would repeat it in its message
    try:
        return msgspec.json.decode(raw, type=field.type)
    except msgspec.ValidationError:
        return raw


def read(type_: type[fields.T], raw: dict[str, Any]) -> fields.T:
    """Read an object, of JSON or of a form, as its struct. Raises InvalidRequest with the first fault."""
    try:
        return fields.read_struct(type_, raw, null_is_absent=True)
    except fields.FieldFaults as error:
        fault = error.faults[0]
    if fault.kind == "missing":
        raise missing_parameter(fault.field)
    if fault.kind == "unknown":
        raise InvalidRequest(
            f"Unknown parameter: '{fault.field[:80]}'; it must be {fault.expected}.",
            param=fault.field[:80],
            code="unknown_parameter",
        )
    raise _invalid(fault)


def _fill(raw: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    for key, default in (("model", defaults.model), ("voice", defaults.voice)):
        if raw.get(key) is None and default is not None:
            raw[key] = default
    return raw


def _invalid(fault: fields.FieldFault) -> InvalidRequest:
    # Numbers and switches are shown as they came. Texts are not: they could be the text to speak.
    is_number = isinstance(fault.value, (int, float)) and fault.field != "input"
    shown = f"; got {str(fault.value)[:40]}" if is_number else ""
    return InvalidRequest(
        f"Invalid value for '{fault.field}': it must be {fault.expected}{shown}.", param=fault.field
    )


def _rare_answer(body: SpeechBody, answer: AnswerKind, format_: str) -> AnswerKind:
    if body.provenance is not None:
        check_provenance(answer, format_)
    if not body.background:
        return answer
    if answer != "audio":
        field = "response_format" if answer == "json" else "stream_format"
        raise InvalidRequest(
            f"'{field}' cannot be {answer} with 'background': its sound comes as a file.", param=field
        )
    return "background"


def _format(name: str, field: str, known: tuple[str, ...]) -> str:
    lowered = name.lower()
    if lowered not in known:
        raise InvalidRequest(
            f"Invalid value for '{field}': it must be one of {', '.join(known)}.", param=field
        )
    return lowered


def _emotion(word: str) -> str | None:
    """Return an emotion in small letters, or None for the neutral one: no model has to know that."""
    lowered = word.lower()
    return None if lowered == NEUTRAL else lowered


def form_value(format_: str, body: SpeechBody) -> OutputForm:
    """Return the form of the sound of a request, in this format. Raises InvalidRequest."""
    form = find_form(format_, body.sample_rate, body.bitrate)
    if isinstance(form, fields.FieldFault):
        raise _invalid(form._replace(value=getattr(body, form.field)))
    return form
