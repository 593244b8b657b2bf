"""The forms of a transcription and a translation, read once into a frozen request."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from policies.language import usual
from proxy.errors import InvalidRequest
from proxy.http.form import RequestForm, form_values, json_or_text
from proxy.speech import speech_request
from proxy.speech.usage_tag import Tag
from speech_engine.hearing import Task

FILE = "file"
TranscriptFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
TIMED: frozenset[str] = frozenset(("srt", "verbose_json", "vtt"))
"""The formats that have times."""
MOST_HINT_BYTES = 8 * 1024
"""Of the prompt and the keywords together."""
_MOST_LANGUAGES = 20

ModelName = Annotated[
    str, Meta(min_length=1, max_length=256, description="the id of a model that hears, see GET /v1/models")
]
Hint = Annotated[str, Meta(max_length=MOST_HINT_BYTES, description="a text of at most 8192 bytes")]
Language = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9-]{0,35}\Z", description="a language, such as en or pt-BR")
]


class _HearForm(msgspec.Struct, frozen=True, kw_only=True):
    model: ModelName
    prompt: Hint = ""
    response_format: Annotated[
        TranscriptFormat, Meta(description="one of json, text, srt, verbose_json, vtt")
    ] = "json"
    temperature: Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")] | None = None
    tag: Tag | None = None
    history: Annotated[bool, Meta(description="true or false")] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model} as {self.response_format}>"


class TranslationForm(_HearForm, frozen=True, kw_only=True):
    """A recording as a form, to be written down in English. The file `file` has it."""


class TranscriptionForm(_HearForm, frozen=True, kw_only=True):
    """A recording as a form, to be written down. The file `file` has it.

    Without `language`, the model finds it, among `languages` if there are any. `keywords` are words to
    expect. `timestamp_granularities` are for `verbose_json`. With `stream`, the text comes as events.
    """

    language: Language = ""
    languages: Annotated[
        tuple[Language, ...], Meta(max_length=_MOST_LANGUAGES, description="a list of at most 20 languages")
    ] = ()
    keywords: Annotated[
        tuple[Hint, ...], Meta(max_length=1000, description="a list of at most 1000 words")
    ] = ()
    timestamp_granularities: Annotated[
        tuple[Literal["word", "segment"], ...], Meta(max_length=2, description="a list of word and segment")
    ] = ()
    stream: Annotated[bool, Meta(description="true or false")] = False


_OF_OTHERS = ("chunking_strategy", "include", "known_speaker_names", "known_speaker_references")
"""Fields of OpenAI's that change nothing here. The answer lists those that were sent."""
_LISTS = ("languages", "keywords", "timestamp_granularities", "include")
_JSON = ("temperature", "stream", "history")
FIELDS = frozenset((*TranscriptionForm.__struct_fields__, *_OF_OTHERS))


class HearRequest(NamedTuple):
    """A request that was read. `form` is for the digest of its Idempotency-Key. If it `has_all_formats`, its
    transcript needs times in any case."""

    form: _HearForm
    task: Task
    language: str = ""
    languages: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    granularities: tuple[str, ...] = ()
    stream: bool = False
    ignored: tuple[str, ...] = ()
    has_all_formats: bool = False

    def __repr__(self) -> str:
        return f"<HearRequest {self.task} {self.form!r}>"

    @property
    def format(self) -> TranscriptFormat:
        return self.form.response_format

    @property
    def times(self) -> Literal["", "segments", "words"]:
        if "word" in self.granularities:
            return "words"
        return "segments" if self.has_all_formats or self.format in TIMED else ""


def hear_request(
    form: TranscriptionForm, task: Task = "transcribe", ignored: tuple[str, ...] = ()
) -> HearRequest:
    return HearRequest(
        form,
        task,
        usual(form.language),
        tuple(map(usual, form.languages)),
        form.keywords,
        form.timestamp_granularities,
        form.stream,
        ignored,
    )


def read_request(
    form: RequestForm, task: Task, as_: type[TranscriptionForm] = TranscriptionForm
) -> HearRequest:
    """Read a form. Raises InvalidRequest, which names the field."""
    texts = {name: values for name, values in form.fields.items() if values != [""]}
    ignored = tuple(sorted({name.partition("[")[0] for name in texts} & {*_OF_OTHERS}))
    own = {name: values for name, values in texts.items() if name.partition("[")[0] not in _OF_OTHERS}
    values: dict[str, Any] = form_values(RequestForm(own, {}), lists=_LISTS)
    values |= {name: json_or_text(values[name]) for name in _JSON if name in values}
    _refuse_speakers(values)
    if task == "translate":
        known = TranslationForm.__struct_fields__
        read = speech_request.read(TranslationForm, {key: values[key] for key in values if key in known})
        return _checked(HearRequest(read, task, ignored=(*ignored, *sorted(values.keys() - {*known}))))
    return _checked(hear_request(speech_request.read(as_, values), task, ignored))


def _refuse_speakers(values: dict[str, Any]) -> None:
    for field, of_speakers in (("response_format", "diarized_json"), ("model", "gpt-4o-transcribe-diarize")):
        if values.get(field) == of_speakers:
            raise InvalidRequest(
                f"Invalid value for '{field}': '{of_speakers}' tells speakers apart, and no model here does.",
                param=field,
                code="unsupported_value",
            )


def _checked(request: HearRequest) -> HearRequest:
    """Raise InvalidRequest for fields that do not go together."""
    format_, granularities = request.format, request.granularities
    if "word" in granularities and format_ != "verbose_json":
        raise InvalidRequest(
            f"'timestamp_granularities' is for response_format 'verbose_json', not for '{format_}'.",
            param="timestamp_granularities",
            code="unsupported_value",
        )
    if request.stream and format_ not in ("json", "text"):
        raise InvalidRequest(
            f"response_format '{format_}' cannot be streamed. Use 'json' or 'text', or leave out 'stream'.",
            param="response_format",
            code="unsupported_value",
        )
    hints = len("".join((request.form.prompt, *request.keywords)).encode())
    if hints > MOST_HINT_BYTES:
        raise InvalidRequest(
            f"Invalid value for 'prompt': with 'keywords' it has {hints} bytes; {MOST_HINT_BYTES} may be.",
            param="prompt",
        )
    return request
