"""The request of a dub: its files, its voices, and how its lines are fitted."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta
from msgspec.structs import replace

from proxy.audio.formats import OutputForm
from proxy.errors import InvalidRequest
from proxy.features.dubs.line_values import MOST_PACE, USUAL_PACE
from proxy.features.dubs.lines import DubLine
from proxy.features.jobs.core.again import cast_of
from proxy.features.jobs.core.fields import M4A, StepFields
from proxy.features.jobs.core.uploads import FileId
from proxy.http.body import Title
from proxy.speech import speech_request
from proxy.speech.speech_body import Bitrate, VoiceName, VoiceReference, read_voice
from proxy.speech.speech_request import Defaults
from proxy.speech.usage_tag import Tag

INPUT, SHORTS, ORIGINAL = "input_file_id", "short_file_id", "original_file_id"
FORMATS = ("flac", "wav", "opus", M4A, "mp3", "aac")
Result = Literal["track", "speech", "bed"]
_WITH_ORIGINAL_HZ, _WITHOUT_HZ = 48_000, 24_000
FILES = {"track": 0, "speech": 1, "bed": 2, "report.json": 3, "receipt.json": 4}
"""The number of each file in the rows of its job."""
_STEP_FIELDS = (
    "model",
    "language",
    "instructions",
    "lexicon",
    "seed",
    "emotion",
    "pitch",
    "check",
    "on_wrong",
)


class DubBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/jobs for a dub: subtitles that become a track as long as their video."""

    kind: Annotated[Literal["dub"], Meta(description="dub")]
    input_file_id: FileId
    short_file_id: FileId | None = None
    original_file_id: FileId | None = None
    original: Annotated[Literal["duck", "replace"], Meta(description="duck or replace")] = "duck"
    length_s: Annotated[float, Meta(gt=0, le=14_400, description="seconds, up to 14400")] | None = None
    model: Annotated[VoiceName, Meta(description="the id of a model, see GET /v1/models")]
    voice: Annotated[
        VoiceName | VoiceReference, Meta(description='a voice, or {"cast": {"Ana": "nova", "Ben": "onyx"}}')
    ]
    response_format: Annotated[
        Literal["flac", "wav", "opus", "m4a", "mp3", "aac"], Meta(description=f"one of {', '.join(FORMATS)}")
    ] = "flac"
    sample_rate: (
        Annotated[
            Literal[24000, 44100, 48000],
            Meta(description="24000, 44100 or 48000; 48000 with an original, or else 24000"),
        ]
        | None
    ) = None
    bitrate: Bitrate | None = None
    results: Annotated[
        list[Result], Meta(min_length=1, max_length=3, description="some of track, speech and bed")
    ] = msgspec.field(default_factory=lambda: ["track"])
    pace: Annotated[
        float, Meta(ge=1.0, le=MOST_PACE, description=f"the most pace of a line, 1.0 to {MOST_PACE}")
    ] = USUAL_PACE
    fill: Annotated[bool, Meta(description="true or false")] = False
    overlap: Annotated[bool, Meta(description="true or false")] = False
    title: Title = ""
    tag: Tag | None = None


class DubFields(StepFields, frozen=True, kw_only=True):
    """The sealed fields of a dub. `inputs` are the ids of its files, by the field that names each."""

    rate_hz: int
    inputs: dict[str, str]
    ducks: bool = False
    results: tuple[Result, ...] = ("track",)
    pace: float = USUAL_PACE
    fills: bool = False
    overlaps: bool = False


class DubText(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a dub: its lines, the samples of its track, and warnings about its subtitles. `mute` is the
    number of cues without words. If it `takes_first`, only the first channel of the original is used."""

    lines: list[DubLine]
    samples: int
    takes_first: bool = False
    mute: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        return sum(len(line.text) for line in self.lines)

    @property
    def all_warnings(self) -> tuple[str, ...]:
        mute = f"{self.mute} cues have sounds alone, and are not spoken"
        return (*self.warnings, *([mute] if self.mute else ()))

    @property
    def last_begin_s(self) -> float:
        return max(line.start_ms for line in self.lines) / 1000

    def with_length(self, seconds: float, rate_hz: int) -> DubText:
        """Return the text for a track of this length. Raises InvalidRequest."""
        if seconds <= self.last_begin_s:
            message = f"Invalid value for 'length_s': the last cue begins at {self.last_begin_s:g} s"
            raise InvalidRequest(f"{message}, and the track would have {seconds:g} s.", param="length_s")
        return replace(self, samples=max(1, round(seconds * rate_hz)))

    def __repr__(self) -> str:
        return f"<DubText of {len(self.lines)} lines>"


class _RawLines(msgspec.Struct):
    lines: list[msgspec.Raw]


def decode_line(data: bytes, number: int) -> DubLine:
    """Decode one line of an encoded text. To decode all lines takes five times as long."""
    return msgspec.json.decode(msgspec.json.decode(data, type=_RawLines).lines[number - 1], type=DubLine)


def parse_dub(raw: bytes, defaults: Defaults) -> tuple[DubBody, DubFields]:
    """Parse a body. Raises InvalidRequest with the wrong field."""
    body = speech_request.parse(DubBody, raw, defaults)
    values = speech_request.raw_fields(raw, 0)
    sent = {name: values[name] for name in _STEP_FIELDS if name in values}
    rate_hz = body.sample_rate or (_WITH_ORIGINAL_HZ if body.original_file_id else _WITHOUT_HZ)
    form = _output_form(body, rate_hz)
    sent |= {
        "model": _raw(body.model),
        "response_format": _raw("pcm"),
        "sample_rate": _raw(rate_hz),
        # A stored clip may be marked, and the marks of a dub come when its lines are fitted.
        "cache": msgspec.Raw(b"false"),
    }
    voices = dict[str, object]()
    if isinstance(body.voice, VoiceReference) and body.voice.cast is not UNSET:
        voices.update(read_voice(body.voice).cast)
    sent["voice"] = _raw({"cast": voices} if voices else body.voice)
    inputs = {INPUT: body.input_file_id, SHORTS: body.short_file_id, ORIGINAL: body.original_file_id}
    return body, DubFields(
        sent=sent,
        cast=tuple(voices),
        title=body.title,
        model=body.model,
        kbit_s=form.kbit_s,
        rate_hz=rate_hz,
        inputs={field: id_ for field, id_ in inputs.items() if id_ is not None},
        ducks=body.original_file_id is not None and body.original == "duck",
        results=tuple(dict.fromkeys(("track", *body.results))),
        pace=body.pace,
        fills=body.fill,
        overlaps=body.overlap,
    )


def with_bit_rates(form: OutputForm) -> OutputForm:
    """Return the form of answers that has the bit rates of this form."""
    return replace(form, format="aac") if form.format == M4A else form


def _output_form(body: DubBody, rate_hz: int) -> OutputForm:
    speech_fields = {
        "model": body.model,
        "voice": "any",
        "input": "-",
        "response_format": "aac" if body.response_format == M4A else body.response_format,
        "sample_rate": rate_hz,
        "bitrate": body.bitrate,
    }
    return speech_request.parse_speech(msgspec.json.encode(speech_fields), Defaults()).form


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def dub_step_body(fields: DubFields, line: DubLine) -> bytes:
    cast = cast_of(fields.sent)
    voice = cast.get(line.speaker) or next(iter(cast.values()), fields.sent["voice"])
    return msgspec.json.encode({**fields.sent, "voice": voice, "input": line.text})
