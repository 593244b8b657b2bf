"""Parses the request of a job: the fields of a request for speech, with a text that may be much longer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from proxy.config.fields import missing_parameter
from proxy.errors import InvalidRequest, RequestTooLarge
from proxy.features.jobs.core import covers
from proxy.features.jobs.core.choice import Only, chosen_chapters
from proxy.features.jobs.core.fields import ENCODED, FORMATS, M4B, Chapter, Files, StepFields, step_format
from proxy.features.jobs.core.m4b_facts import KBITS, Quality
from proxy.features.jobs.core.previews import LeftOut
from proxy.features.jobs.core.uploads import FileId
from proxy.features.jobs.texts.chapters import ITEMS, MOST_CHAPTERS, read_chapters
from proxy.features.jobs.texts.pieces import Saying
from proxy.http.body import Title
from proxy.speech import speech_request
from proxy.speech.planning import MOST_JOB_PAUSES_S
from proxy.speech.speech_body import SpeechBody, one_of
from proxy.speech.speech_request import Defaults
from proxy.speech.split_text import check_pauses

MOST_INPUT = 1_000_000
MOST_BODY_BYTES = 8 * 1024 * 1024
_MOST_INDENT_CHARACTERS = 100


class JobBody(SpeechBody, frozen=True, kw_only=True):
    """The body of POST /v1/jobs: that of speech, with a text of up to a million characters, or chapters."""

    kind: Annotated[
        Literal["speech"], Meta(description="speech, batch or training, or in a form conversion")
    ] = "speech"
    input: Annotated[
        str,
        Meta(
            min_length=1,
            description=f"a text of 1 to {MOST_INPUT} characters",
            extra_json_schema={"maxLength": MOST_INPUT},
        ),
    ] = msgspec.field(default_factory=str)  # an empty text is no default: none may be sent
    chapters: (
        Annotated[
            list[dict[str, Any]],
            Meta(
                min_length=1,
                max_length=MOST_CHAPTERS,
                description=f'1 to {MOST_CHAPTERS} chapters {{"title": "…", "input": "…"}}',
                extra_json_schema=ITEMS,
            ),
        ]
        | None
    ) = None
    files: Annotated[Files, Meta(description="one or chapters")] = "one"
    only: Only | None = None
    title: Title = ""
    quality: Annotated[Quality, Meta(description="small, standard or best, for m4b")] = "standard"
    cover_file_id: FileId | None = None
    response_format: Annotated[str, one_of(FORMATS)] = "mp3"

    def __repr__(self) -> str:
        return f"<JobBody {self.model}>"


class FileLayout(msgspec.Struct, frozen=True, kw_only=True):
    """The layout of a text that was read from a file. `gaps` are the places at which a section begins, with
    the seconds of silence before it. `paragraph_s` is the silence between paragraphs. `holds` are the
    uploaded files that the job holds, with the field that names each. `own` is read by the kind of the job
    alone."""

    gaps: tuple[tuple[int, float], ...] = ()
    paragraph_s: float = 0.0
    left_out: tuple[LeftOut, ...] = ()
    holds: dict[str, str] = {}
    own: msgspec.Raw = msgspec.Raw(b"null")

    def pauses(self, text: str, pieces: Sequence[tuple[int, int]]) -> Iterator[tuple[int, float]]:
        """Yield the numbers of steps that have a pause before them, with its seconds."""
        gaps = dict(self.gaps)
        for number, (start, _) in enumerate(pieces, 1):
            if start in gaps:
                yield number, gaps[start]
            elif self.paragraph_s and number > 1 and text[max(0, start - 2) : start] == "\n\n":
                yield number, self.paragraph_s


class JobFields(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a job: its text, its format, and the other fields of each step's request."""

    text: str
    format: str
    sent: dict[str, msgspec.Raw]
    chapters: tuple[Chapter, ...] = ()
    files: Files = "one"
    kbit_s: int | None = None
    tag: str | None = None
    title: str = ""
    only: str = ""
    cover: str = ""
    layout: FileLayout = FileLayout()

    @property
    def field(self) -> str:
        return "chapters" if self.chapters else "input"

    @property
    def chosen(self) -> Sequence[int]:
        """The numbers of the chosen chapters, or none for all. Raises InvalidRequest."""
        return chosen_chapters(self.only, len(self.chapters)) if self.only else ()

    @property
    def spoken_chapters(self) -> Sequence[Chapter]:
        return [self.chapters[number - 1] for number in self.chosen] or self.chapters

    @property
    def characters(self) -> int:
        """The characters of the chosen chapters, or of the text."""
        return sum(each.end - each.start for each in self.spoken_chapters) or len(self.text)

    def __repr__(self) -> str:
        return f"<JobFields of {len(self.text)} characters>"


_JOB_FIELDS = (
    *("input", "kind", "background", "chapters", "files", "only", "quality", "tag", "title"),
    covers.FIELD,
)
"""Fields that no step's request has."""


def _refuse_fields(body: JobBody, format_: str, values: dict[str, msgspec.Raw]) -> None:
    """Raise InvalidRequest for fields that no job takes, or no job of this format."""
    if body.input_type != "text":
        raise InvalidRequest(
            "'input_type' can only be text for a job, which cuts its text into steps.",
            param="input_type",
            code="unsupported_value",
        )
    for name, is_wanted in (
        ("stream", bytes(values.get("stream", b"")) == b"true"),
        ("stream_format", body.stream_format != "audio"),
        ("provenance", body.provenance is not None),
    ):
        if is_wanted:
            raise InvalidRequest(f"'{name}' is not for a job: its sound comes as a file.", param=name)
    if body.cover_file_id is not None and format_ != M4B:
        raise InvalidRequest(f"'{covers.FIELD}' is for m4b: no other format has a cover.", param=covers.FIELD)


def parse_job(raw: bytes, defaults: Defaults) -> JobFields:
    """Parse a body. Raises InvalidRequest, which names the wrong field. Some fields are checked later, with a
    step's request."""
    body = speech_request.parse(JobBody, raw, defaults, MOST_BODY_BYTES)
    format_ = body.response_format.lower()
    if format_ not in FORMATS:
        raise InvalidRequest(
            f"Invalid value for 'response_format': of a job it must be one of {', '.join(FORMATS)}.",
            param="response_format",
        )
    text, chapters = _read_text(body)
    if body.emotion_tags != "text":
        check_pauses(text, MOST_JOB_PAUSES_S, "chapters" if chapters else "input")
    values = _sent_fields(raw, len(text))
    _refuse_fields(body, format_, values)
    sent = {name: value for name, value in values.items() if name not in _JOB_FIELDS}
    # Each step's request has these fields.
    if sum(len(memoryview(value)) for value in sent.values()) > speech_request.MAX_BODY_BYTES:
        raise RequestTooLarge(
            f"The fields beside 'input' and 'chapters' have more than {speech_request.MAX_BODY_BYTES} bytes."
        )
    for name, given in (("model", body.model), ("voice", body.voice)):
        if bytes(sent.get(name, b"null")) == b"null":
            sent[name] = msgspec.Raw(msgspec.json.encode(given))
    sent["response_format"] = msgspec.Raw(msgspec.json.encode(step_format(format_)))
    kbit_s = None
    if format_ in ENCODED:
        # An audiobook has the rates of PCM, and the bit rates of its quality.
        form = speech_request.form_value("pcm" if format_ == M4B else format_, body)
        kbit_s = KBITS[body.quality] if format_ == M4B else form.kbit_s
        sent |= {"sample_rate": msgspec.Raw(b"%d" % form.sample_rate_hz), "bitrate": msgspec.Raw(b"null")}
    return JobFields(
        text=text,
        format=format_,
        sent=sent,
        chapters=chapters,
        files=body.files,
        kbit_s=kbit_s,
        tag=body.tag,
        title=body.title,
        only=body.only or "",
        cover=body.cover_file_id or "",
        layout=FileLayout(holds={body.cover_file_id: covers.FIELD} if body.cover_file_id else {}),
    )


def _read_text(body: JobBody) -> tuple[str, tuple[Chapter, ...]]:
    """Return the whole text, and its chapters if it has any. Raises InvalidRequest."""
    if body.chapters is None:
        if not body.input:
            raise missing_parameter("input", ", or 'chapters'.")
        if body.files != "one":
            raise InvalidRequest("'files' cannot be chapters: there are no 'chapters'.", param="files")
        text, chapters, field = body.input, tuple[Chapter, ...](), "input"
    else:
        if body.input:
            raise InvalidRequest("'chapters' cannot be beside 'input': send one of them.", param="chapters")
        (text, chapters), field = read_chapters(body.chapters), "chapters"
    if len(text) > MOST_INPUT:
        what = "string" if field == "input" else "texts"
        raise InvalidRequest(
            f"Invalid '{field}': {what} too long. Expected a {what} with maximum length {MOST_INPUT}, "
            f"but got a {what} with length {len(text)} instead.",
            param=field,
            code="string_above_max_length",
        )
    return text, chapters


def _sent_fields(raw: bytes, characters: int) -> dict[str, msgspec.Raw]:
    """Return the fields of a body as they were sent. Its text has so many characters. Raises
    InvalidRequest."""
    try:
        return speech_request.raw_fields(raw, characters)
    except UnicodeDecodeError:
        # The body was parsed before, so only the name of an unknown field can be wrong.
        raise InvalidRequest(
            "We could not parse the JSON body of your request: the name of a field is no UTF-8.",
            code="invalid_json",
        ) from None


def step_text(
    text: str, cast: Sequence[str], begin: int, piece: tuple[int, int], saying: Saying
) -> tuple[str, int]:
    """Return the text of a step's request, and the length of the tags at its beginning. The tags repeat the
    speaker and the emotion of the turn that goes on in the piece. The chapter of the piece begins at
    `begin`."""
    (first, last), name = piece, saying.name
    before = text[max(begin, first - _MOST_INDENT_CHARACTERS) : first].rstrip(" \t")
    if cast and first > begin and not name and before[-1:] not in ("\n", "["):
        # At the beginning of a piece, a word from the middle of a line could be taken for the name of a
        # speaker.
        name = cast[0]
    tags = "".join(f"[{tag}] " for tag in (name, saying.emotion) if tag)
    return tags + text[first:last], len(tags)


def step_body(fields: StepFields, piece: str) -> bytes:
    return msgspec.json.encode({**fields.sent, "input": piece})
