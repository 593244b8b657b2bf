"""docs/http.md: the endpoints, the fields and the headers that there are, and no others."""

from __future__ import annotations

import base64
import io
import re
import wave
from collections.abc import Iterator
from pathlib import Path

import msgspec
from starlette.routing import Route

from proxy.app import open_worker
from proxy.audio.formats import MEDIA_TYPES
from proxy.config.config_toml import Config
from proxy.engines.registry import Registry
from proxy.speech.speech_body import SpeechBody
from tests.docs import pages
from tests.server import Server

_PAGE = "http.md"


async def test_every_endpoint_is_documented(tmp_path: Path) -> None:
    table = pages.rows(pages.section(pages.doc(_PAGE), "Endpoints"))
    documented = [name for row in table for code in pages.codes(row[0]) for name in _meant(code)]
    async with open_worker(Config(data=str(tmp_path)), Registry({}, [])) as worker:
        routes = [endpoint.route for endpoint in worker.endpoints]
    # Engines are among them only when they are running beside the server, as they are here.
    assert sorted(documented) == sorted(name for route in routes for name in _names(route))


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
    table = pages.rows(pages.section(pages.doc(_PAGE), "Headers of an answer"))
    documented = {code for row in table for code in pages.codes(row[0])}
    answer = shipped.speech("Hello.")
    assert answer.status_code == 200
    sent = {name for name in answer.headers if name.startswith(("x-", "openai-"))}
    assert sent <= documented
    # Two come with failures only, three where there is a limit (this key has none), two when sent again, one
    # for administrators, one with a field that no model follows,
    # one where an engine lacks a voice.
    limited = {f"x-ratelimit-{name}-requests" for name in ("limit", "remaining", "reset")}
    assert documented - sent == {
        *("retry-after", "x-should-retry", "x-voxgate-replayed", "x-voxgate-route", "x-voxgate-ignored"),
        *("x-voxgate-substitute", "x-voxgate-replay-of"),
        *limited,
    }


def test_a_wav_inside_json_has_true_sizes(shipped: Server) -> None:
    answer = shipped.speech("Hello.", response_format="json", audio_format="wav").json()
    audio = base64.b64decode(answer["audio_base64"])
    assert int.from_bytes(audio[4:8], "little") == len(audio) - 8
    with wave.open(io.BytesIO(audio)) as file:
        samples = file.readframes(file.getnframes())
    # A tag and a signed manifest follow the samples, and the sizes of all three are true.
    assert audio[44:].startswith(samples)
    assert audio[44 + len(samples) :].startswith(b"LIST")


def _meant(code: str) -> Iterator[str]:
    """What one code of the table stands for: each method before its path, and the other name of the path."""
    *methods, path = code.replace(",", "").split()
    for method in methods:
        yield f"{method} {path}"
        if path.startswith("/v1/audio/voices"):
            yield f"{method} {path.replace('/audio', '')}"


def _names(route: Route) -> list[str]:
    path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
    return [f"{method} {path}" for method in sorted((route.methods or {"GET"}) - {"HEAD"})]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return "required"
    if field.name == "language":
        return "none"  # which is what its empty text means
    if isinstance(field.default, float) and field.name == "pitch":
        return f"{field.default:g}"
    return "none" if field.default is None else str(field.default)
