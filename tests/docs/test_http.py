"""docs/http.md: the fields, the formats and the headers that there are, and no others."""

import base64
import io
import wave

import msgspec

from proxy.audio.formats import MEDIA_TYPES
from proxy.speech.speech_body import SpeechBody
from tests.docs import pages
from tests.server import Server

_PAGE = "http.md"


def test_every_field_of_a_speech_request_is_documented() -> None:
    table = pages.rows(pages.section(pages.doc(_PAGE), "POST /v1/audio/speech"))
    documented = {pages.codes(row[0])[0]: row[1].strip("`") for row in table}
    actual = {field.encode_name: _default(field) for field in msgspec.structs.fields(SpeechBody)}
    assert documented == actual


def test_every_format_is_documented_with_its_content_type() -> None:
    table = pages.rows(pages.section(pages.doc(_PAGE), "What comes back"))
    documented = {pages.codes(row[0])[0]: pages.codes(row[1])[0] for row in table}
    assert documented == {**MEDIA_TYPES, "json": "application/json"}


def test_every_header_of_our_own_is_documented(shipped: Server) -> None:
    table = pages.rows(pages.section(pages.doc("reference/http.md"), "Headers of answers"))
    documented = {pages.codes(row[0])[0] for row in table}
    answer = shipped.speech("Hello.")
    assert answer.status_code == 200
    sent = {name for name in answer.headers if name.startswith(("x-", "openai-"))}
    assert sent - {"x-accel-buffering", "x-content-type-options"} <= documented


def test_a_wav_inside_json_has_true_sizes(shipped: Server) -> None:
    answer = shipped.speech("Hello.", response_format="json", audio_format="wav").json()
    audio = base64.b64decode(answer["audio_base64"])
    assert int.from_bytes(audio[4:8], "little") == len(audio) - 8
    with wave.open(io.BytesIO(audio)) as file:
        samples = file.readframes(file.getnframes())
    # A tag and a signed manifest follow the samples, and the sizes of all three are true.
    assert audio[44:].startswith(samples)
    assert audio[44 + len(samples) :].startswith(b"LIST")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return "required"
    if field.name == "language":
        return "none"  # which is what its empty text means
    if isinstance(field.default, float) and field.name == "pitch":
        return f"{field.default:g}"
    return "none" if field.default is None else str(field.default)
