"""What a job is asked for: the fields of a request for speech, and a text that may be much longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from policies.plans import Terms
from proxy.errors import InvalidRequest
from proxy.features.jobs.pieces import Saying, saying_at
from proxy.speech import speech_request
from proxy.speech.speech_body import SpeechBody

MOST_INPUT = 1_000_000
MOST_BODY_BYTES = 8 * 1024 * 1024
FORMATS = ("mp3", "wav", "pcm")
"""Those whose sound can be joined as it is."""
_STEP_FORMATS = {"wav": "pcm"}
"""In what form a step of such a job is spoken."""


class JobBody(SpeechBody, frozen=True, kw_only=True):
    """The body of POST /v1/jobs: that of speech, with a text of up to a million characters."""

    kind: Annotated[Literal["speech"], Meta(description="speech")] = "speech"
    input: Annotated[
        str,
        Meta(
            min_length=1,
            description=f"a text of 1 to {MOST_INPUT} characters",
            extra_json_schema={"maxLength": MOST_INPUT},
        ),
    ]
    response_format: Annotated[
        str,
        Meta(description=f"one of {', '.join(FORMATS)}", extra_json_schema={"enum": [*FORMATS]}),
    ] = "mp3"


class SentFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a step's request but its text, as they were sent. `cast` are the names of its cast, and
    `request` is a digest of what was sent."""

    sent: dict[str, msgspec.Raw]
    cast: tuple[str, ...] = ()
    request: str = ""

    def __repr__(self) -> str:
        return "<SentFields>"


class SentJob(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a job: its text, its format, and the other fields of each step's request."""

    text: str
    format: str
    sent: dict[str, msgspec.Raw]

    def __repr__(self) -> str:
        return f"<SentJob of {len(self.text)} characters>"


_decode_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def parse_job(raw: bytes) -> SentJob:
    """Parse a body. Raises InvalidRequest with the field that is wrong, but for those that a step shows."""
    body = speech_request.parse(JobBody, raw)
    format_ = body.response_format.lower()
    if format_ not in FORMATS:
        raise InvalidRequest(
            f"Invalid value for 'response_format': of a job it must be one of {', '.join(FORMATS)}.",
            param="response_format",
        )
    if len(body.input) > MOST_INPUT:
        raise InvalidRequest(
            f"Invalid 'input': string too long. Expected a string with maximum length {MOST_INPUT}, "
            f"but got a string with length {len(body.input)} instead.",
            param="input",
            code="string_above_max_length",
        )
    for name, is_asked in (
        ("stream_format", body.stream_format != "audio"),
        ("provenance", body.provenance is not None),
    ):
        if is_asked:
            raise InvalidRequest(f"'{name}' is not for a job: its sound comes as a file.", param=name)
    sent = {name: value for name, value in _decode_values(raw).items() if name not in ("input", "kind")}
    sent["response_format"] = msgspec.Raw(msgspec.json.encode(_STEP_FORMATS.get(format_, format_)))
    return SentJob(text=body.input, format=format_, sent=sent)


class StepText(NamedTuple):
    """A piece as it is asked for. Its first `tags` characters say who goes on to speak in it, and how."""

    text: str
    tags: int = 0


def step_text(text: str, cast: Sequence[str], first: int, last: int, *, has_emotion: bool) -> StepText:
    """Return a piece of a text. A turn that goes on in it keeps its speaker, and perhaps its emotion."""
    saying = saying_at(text, cast, first, last) if first else Saying()
    tags = "".join(f"[{tag}] " for tag in (saying.name, saying.emotion if has_emotion else "") if tag)
    return StepText(tags + text[first:last], len(tags))


def step_body(fields: SentFields, piece: str) -> bytes:
    """Return the body of a piece of the text."""
    return msgspec.json.encode({**fields.sent, "input": piece})


def of_step(terms: Terms) -> Terms:
    """Return terms for a step: how long a request may be is not for the pieces of a text."""
    return replace(terms, is_for_job=True, max_characters=None, key=replace(terms.key, max_characters=None))
