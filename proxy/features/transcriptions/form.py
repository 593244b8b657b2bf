"""The forms of a transcription and a translation, read once into a frozen request."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from policies.language import canonical_tag
from proxy.errors import InvalidRequest
from proxy.http.form import RequestForm, form_values, json_or_text
from proxy.speech import speech_request
from proxy.speech.usage_tag import Tag
from speech_engine.hearing import Task
from speech_engine.redacted import Redacted

FILE = "file"
TranscriptFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
TIMED_FORMATS: frozenset[str] = frozenset(("srt", "verbose_json", "vtt"))
"""The formats that have times."""
MOST_HINT_BYTES = 8 * 1024
"""The most bytes of the prompt and the keywords together."""
_MOST_LANGUAGES = 20

ModelName = Annotated[
    str, Meta(min_length=1, max_length=256, description="the id of a model that hears, see GET /v1/models")
]
Hint = Annotated[str, Meta(max_length=MOST_HINT_BYTES, description="a text of at most 8192 bytes")]
Language = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9-]{0,35}\Z", description="a language, such as en or pt-BR")
]


class _HearForm(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    model: ModelName
    prompt: Hint = ""
    response_format: Annotated[
        TranscriptFormat, Meta(description="one of json, text, srt, verbose_json, vtt")
    ] = "json"
    temperature: Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1")] | None = None
    tag: Tag | None = None
    history: Annotated[bool, Meta(description="true or false")] | None = None


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


_FIELDS_OF_OTHERS = (
    # OpenAI
    *("chunking_strategy", "include", "known_speaker_names", "known_speaker_references"),
    # Speaches, Groq, Mistral, ElevenLabs
    *("hotwords", "vad_filter", "without_timestamps", "url", "context_bias", "diarize", "num_speakers"),
    *("tag_audio_events", "seed"),
)
"""Fields of known servers that change nothing here, unless `_DIARIZATION` refuses a value. The answer lists
those that were sent."""
_LIST_FIELDS = ("languages", "keywords", "timestamp_granularities")
_JSON_FIELDS = ("temperature", "stream", "history")
_DIARIZATION = (
    ("response_format", "diarized_json"),
    ("model", "gpt-4o-transcribe-diarize"),
    ("diarize", "true"),
)
FIELDS = frozenset((*TranscriptionForm.__struct_fields__, *_FIELDS_OF_OTHERS))


class HearRequest(Redacted, msgspec.Struct, frozen=True):
    """A request that was read. `form` is for the digest of its Idempotency-Key, too. A job's request
    `has_all_formats`: its result may be fetched in each, so its transcript needs times."""

    form: TranscriptionForm
    task: Task
    ignored: tuple[str, ...] = ()
    has_all_formats: bool = False

    @property
    def format(self) -> TranscriptFormat:
        return self.form.response_format

    @property
    def times(self) -> Literal["", "segments", "words"]:
        if "word" in self.form.timestamp_granularities:
            return "words"
        return "segments" if self.has_all_formats or self.format in TIMED_FORMATS else ""


def read_request(
    form: RequestForm, task: Task, as_: type[TranscriptionForm] = TranscriptionForm
) -> HearRequest:
    """Read a form. Raises InvalidRequest, which names the field."""
    texts = {name: values for name, values in form.fields.items() if values != [""]}
    for field, refused in _DIARIZATION:
        if texts.get(field) == [refused]:
            raise _unsupported(field, f"'{refused}' tells speakers apart, and no model here does")
    fields = (TranslationForm if task == "translate" else as_).__struct_fields__
    own = {name: values for name, values in texts.items() if name.partition("[")[0] in fields}
    ignored = sorted({name.partition("[")[0] for name in texts.keys() - own.keys()})
    values = form_values(RequestForm(own, {}), lists=_LIST_FIELDS)
    values |= {name: json_or_text(str(values[name])) for name in _JSON_FIELDS if name in values}
    parsed = speech_request.read(as_, values)
    language, languages = canonical_tag(parsed.language), tuple(map(canonical_tag, parsed.languages))
    parsed = replace(parsed, language=language, languages=languages)
    _check_together(parsed)
    return HearRequest(parsed, task, tuple(ignored))


def _check_together(form: TranscriptionForm) -> None:
    """Raise InvalidRequest for fields that do not go together."""
    format_ = form.response_format
    if "word" in form.timestamp_granularities and format_ != "verbose_json":
        raise _unsupported("timestamp_granularities", f"'word' is for 'verbose_json', not for '{format_}'")
    if form.stream and format_ not in ("json", "text"):
        message = f"'{format_}' cannot be streamed. Use 'json' or 'text', or leave out 'stream'"
        raise _unsupported("response_format", message)
    hints = len("".join((form.prompt, *form.keywords)).encode())
    if hints > MOST_HINT_BYTES:
        message = (
            f"Invalid value for 'prompt': with 'keywords' it has {hints} bytes; {MOST_HINT_BYTES} may be."
        )
        raise InvalidRequest(message, param="prompt")


def _unsupported(field: str, fault: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{field}': {fault}.", param=field, code="unsupported_value")
