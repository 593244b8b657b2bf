"""The lines of a batch's file: each is a request for speech with a name of the client's own."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from proxy.audio.formats import FORMATS
from proxy.errors import InvalidRequest
from proxy.features.jobs.core.records import MOST_WANTED
from proxy.speech.speech_request import MAX_BODY_BYTES, is_utf8

ENDPOINT = "/v1/audio/speech"
MOST_LINES = MOST_WANTED
"""The most lines of a file, and also the most blank lines."""
MOST_REPORTED_FAULTS = 50
"""The most faults of a file that are reported."""

_MOST_LINE_BYTES = MAX_BODY_BYTES + 8 * 1024
"""The most bytes of a line, which has a body and a few short texts. A longer line is not decoded."""
_MOST_STEM_CHARACTERS = 100
_UNSAFE = re.compile(r"[^\w.\- ]+")
_REQUIRED_FIELDS = ("model", "input", "voice")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class BatchLine(msgspec.Struct, frozen=True):
    custom_id: Annotated[str, Meta(min_length=1, max_length=256)]
    method: msgspec.Raw
    url: msgspec.Raw
    body: msgspec.Raw

    def __repr__(self) -> str:
        return "<BatchLine>"


_NONE = msgspec.Raw(b"null")


class _LineBody(msgspec.Struct, frozen=True):
    """The fields of a line's request that are read. Other fields are never built."""

    model: msgspec.Raw = _NONE
    input: msgspec.Raw = _NONE
    voice: msgspec.Raw = _NONE
    response_format: msgspec.Raw = _NONE
    audio_format: msgspec.Raw = _NONE
    stream_format: msgspec.Raw = _NONE
    provenance: msgspec.Raw = _NONE


class LineFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file cannot be spoken, as OpenAI reports it. `line` counts from 1."""

    code: str
    line: int | None = None
    message: str
    param: str | None = None


class ReadFile(NamedTuple):
    """The lines of a file: the first byte of each and the one after its last, and the characters of all
    inputs together. They are complete only if there are no `faults`."""

    lines: list[tuple[int, int]]
    characters: int
    faults: list[LineFault]


_decode_line = msgspec.json.Decoder(BatchLine).decode
_decode_body = msgspec.json.Decoder(_LineBody).decode
_decode_any = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_file(data: bytes) -> ReadFile:
    """Read all lines of a file. Call it in a thread: it reads each byte."""
    lines, faults, seen = list[tuple[int, int]](), list[LineFault](), dict[str, int]()
    characters, blank = 0, 0
    for number, (first, last) in enumerate(_line_ranges(data), 1):
        raw = data[first:last]
        if not raw.strip():
            blank += 1
            if blank <= MOST_LINES:
                continue
        if max(blank, len(lines) + len(faults) + 1) > MOST_LINES:
            message = f"A batch has at most {MOST_LINES} lines, and as many blank ones."
            faults.append(LineFault(code="too_many_lines", line=number, message=message))
            break
        found = _read_line(raw, number, seen)
        if isinstance(found, LineFault):
            faults.append(found)
            if len(faults) == MOST_REPORTED_FAULTS:
                break
        else:
            lines.append((first, last))
            characters += found
    if not lines and not faults:
        faults.append(LineFault(code="empty_file", message="The file has no lines."))
    return ReadFile(lines, characters, faults)


def _line_ranges(data: bytes) -> Iterator[tuple[int, int]]:
    first = len(BOM_UTF8) if data.startswith(BOM_UTF8) else 0
    while first < len(data):
        last = data.find(b"\n", first)
        if last < 0:
            last = len(data)
        yield first, last
        first = last + 1


def _read_line(raw: bytes, number: int, seen: dict[str, int]) -> int | LineFault:
    """Return the characters of a line's input, or its fault. `seen` has the number of the first line of each
    `custom_id`."""

    def fault(code: str, message: str, param: str | None = None) -> LineFault:
        return LineFault(code=code, line=number, message=f"Line {number}: {message}", param=param)

    if len(raw) > _MOST_LINE_BYTES:
        return fault("request_too_large", f"it has more than {_MOST_LINE_BYTES} bytes.", "body")
    try:
        line = _decode_line(raw)
    except _UNREADABLE:
        return _unreadable(raw, number)
    before = seen.setdefault(line.custom_id, number)
    if before != number:
        return fault("duplicate_custom_id", f"its custom_id is that of line {before}, too.", "custom_id")
    if _text_or_empty(line.method) != "POST":
        return fault("invalid_method", "'method' must be POST.", "method")
    if _text_or_empty(line.url) != ENDPOINT:
        return fault("invalid_url", f"'url' must be {ENDPOINT}, the endpoint of the batch.", "url")
    return _read_body(line.body, fault)


def _read_body(raw: msgspec.Raw, fault: Callable[[str, str, str], LineFault]) -> int | LineFault:
    if len(memoryview(raw)) > MAX_BODY_BYTES:
        return fault("request_too_large", f"'body' has more than {MAX_BODY_BYTES} bytes.", "body")
    try:
        body = _decode_body(raw)
    except _UNREADABLE:
        return fault("invalid_type", "'body' must be an object.", "body")
    for name in _REQUIRED_FIELDS:
        if bytes(getattr(body, name)) == b"null":
            return fault("missing_required_parameter", f"'body.{name}' is missing.", f"body.{name}")
    return len(_text_or_empty(body.input))


def _unreadable(raw: bytes, number: int) -> LineFault:
    """Return the fault of a line that cannot be decoded: it is no object, or a field is missing or wrong."""
    try:
        fields = _decode_any(raw)
    except _UNREADABLE:
        message = f"Line {number}: it is {'no JSON object' if is_utf8(raw) else 'not in UTF-8'}."
        return LineFault(code="invalid_json_line", line=number, message=message)
    for name in BatchLine.__struct_fields__:
        if name not in fields:
            message = f"Line {number}: '{name}' is missing."
            return LineFault(code="missing_required_parameter", line=number, message=message, param=name)
    message = f"Line {number}: 'custom_id' must be a text of 1 to 256 characters."
    return LineFault(code="invalid_custom_id", line=number, message=message, param="custom_id")


def _text_or_empty(raw: msgspec.Raw) -> str:
    """Return a text. For other JSON values, which are never built, return ""."""
    try:
        return msgspec.json.decode(raw, type=str)
    except _UNREADABLE:
        return ""


def decode_line(raw: bytes) -> BatchLine:
    return _decode_line(raw)


def request_body(raw: bytes) -> bytes:
    """Return the request of a line. Raises InvalidRequest for fields that a batch does not support."""
    body = bytes(decode_line(raw).body)
    fields = _decode_body(body)
    for name, usual in (("stream_format", b'"audio"'), ("provenance", b"null")):
        if bytes(getattr(fields, name)) not in (usual, b"null"):
            raise InvalidRequest(f"'{name}' is not for a batch: its sound comes as files.", param=name)
    return body


def named_lines(raws: Iterable[bytes]) -> list[tuple[str, str]]:
    """Return the `custom_id` of each line, and the name of its sound in a zip file. The names differ even if
    case is ignored."""
    named, seen = list[tuple[str, str]](), set[str]()
    for number, raw in enumerate(raws, 1):
        line = decode_line(raw)
        stem = _UNSAFE.sub("_", line.custom_id)[:_MOST_STEM_CHARACTERS].strip(" .") or "line"
        suffix = _suffix(line.body)
        while f"{stem}.{suffix}".lower() in seen:
            stem = f"{stem}~{number}"
        seen.add(f"{stem}.{suffix}".lower())
        named.append((line.custom_id, f"{stem}.{suffix}"))
    return named


def _suffix(body: msgspec.Raw) -> str:
    """Return the format of a line. A line with an unknown format has failed, and has no sound."""
    fields = _decode_body(body)
    format_ = _text_or_empty(fields.response_format).lower()
    if format_ == "json":
        format_ = _text_or_empty(fields.audio_format).lower()
    return format_ if format_ in FORMATS else "mp3"
