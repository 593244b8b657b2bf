"""The largest lawful request of every operation.

It has each text, list, map and number as large as the OpenAPI document allows. `LAWFUL` has what a schema
cannot say.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from proxy.audio.formats import wav_header
from proxy.http.form import MOST_FILE_BYTES
from tests import speech_clips
from tests.features.jobs.batches.rig import jsonl, line
from tests.proxy.audio.recordings.clips import wav
from tests.proxy.http.described import Document
from tests.proxy.http.every_endpoint import LAST, Everything, Operation, built

DROPPED = object()
"""A field that is left out of a request."""
_WORDS = "Word after word is said. "
NAMES = [f"{number:02} {'n' * 60}" for number in range(16)]
_TURNS = "".join(f"[{name}] {_WORDS}" for name in NAMES)
ENTRIES = {f"{number:04}{'w' * 95}": ("spoken " * 29)[:200] for number in range(1000)}
_INLINE = dict(list(ENTRIES.items())[:100])
_SPEECH = {
    "model": "tts-1",
    "voice": {"cast": dict.fromkeys(NAMES, "alloy")},
    "input": (_TURNS * 9)[:4096],
    "language": "en",
    "response_format": "wav",
    "audio_format": DROPPED,
    "stream_format": "audio",
    "bitrate": DROPPED,
    "emotion": DROPPED,
    "emotion_tags": "text",
    "input_type": "text",
    "pitch": DROPPED,
    "speed": 1,
    "provenance": DROPPED,
    "lexicon": _INLINE,
    "background": DROPPED,
}
_OF_MODEL = {"model": "tone/standard", "voice": "alloy", "consent": "true", "f0_method": DROPPED}
_OF_SOUND = {
    **dict.fromkeys(("pitch", "index_rate", "protect", "rms_mix_rate", "bitrate", "provenance"), DROPPED),
    **_OF_MODEL,
    "response_format": "wav",
}
_OF_EARS = {"model": "tone/ears", "stream": False, "keywords": DROPPED, "languages": DROPPED}
_VOICE = {"name": "{new}", "type": DROPPED, "language": "en"}
_CAST = {**_VOICE, "cast": dict.fromkeys(NAMES, "alloy"), "mix": DROPPED, "bindings": DROPPED}
_OF_CLIP = {**_VOICE, "consent": "{consent}", "engines": DROPPED, "prompt": DROPPED, "script_hint": DROPPED}
_AGREED = {"engines": ["tone"], "prices": {"speech": {"credits": 1, "per": "character"}}}
_HOOK = {"url": "http://127.0.0.1:9/" + "x" * 1981}
_ADDRESS = "n" * 60 + "@" + ".".join(["x" * 60] * 3) + ".example"
LAWFUL: Mapping[str, Mapping[str, Any]] = {
    "SpeechBody": _SPEECH,
    "ReferenceForm": {
        **_SPEECH,
        "model": "tone/standard",
        "input": (_WORDS * 200)[:4096],
        "consent": "true",
        "voice": DROPPED,
    },
    "JobBody": {
        **_SPEECH,
        "input": DROPPED,
        "chapters": [{"title": "t" * 200, "input": (_TURNS * 3)[:2000]}] * 500,
        "files": "chapters",
        **dict.fromkeys(("stream_format", "cover_file_id", "only"), DROPPED),
        "response_format": "mp3",
    },
    # The file of a book and of a dub is another test's.
    "BookBody": {
        **_SPEECH,
        **dict.fromkeys(("input", "chapters", "stream_format", "cover_file_id", "only"), DROPPED),
        "input_file_id": "file-none",
        "response_format": "m4b",
    },
    "DubBody": {
        **dict.fromkeys(("input_file_id", "short_file_id", "original_file_id"), "file-none"),
        "model": "tone/standard",
        "voice": "alloy",
        "bitrate": DROPPED,
    },
    "AgainBody": {
        "input_file_id": DROPPED,
        "only": DROPPED,
        "steps": [1],
        "words": {"nginx": "engine x"},
        "cast": DROPPED,
        "length_s": DROPPED,
        "keep_words": False,
        "preview": False,
    },
    "BatchJobBody": {"input_file_id": "{file}"},
    "NewFile": {"purpose": "batch"},
    "TrainingBody": {"voice": "{voice}", "model": "tone/standard"},
    "RouteQuestion": {**_SPEECH, "account": "owner"},
    "NewVoice": _CAST,
    "NewSavedVoice": {**_CAST, "account": "owner"},
    "ChangedVoice": {**_VOICE, "cast": DROPPED, "mix": DROPPED, "engines": DROPPED},
    "VoiceForm": _OF_CLIP,
    "SavedVoiceForm": {**_OF_CLIP, "account": "owner"},
    "VoiceModelForm": {"voice": "{voice}", "name": DROPPED, "consent": DROPPED, "format": DROPPED},
    "ClipForm": {"emotion": "sad"},
    "CutForm": {},
    "ConversionForm": _OF_SOUND,
    "ConversionJobForm": {**_OF_SOUND, "kind": "conversion"},
    "TranscriptionForm": _OF_EARS,
    "TranslationForm": {"model": "tone/ears"},
    "TranscriptionJobForm": {**_OF_EARS, "kind": "transcription"},
    "ConsentBody": {"language": "pt-BR", "providers": DROPPED},
    "NewWebhook": _HOOK,
    "WebhookUpdate": {**_HOOK, "is_on": True},
    "LexiconBody": {"words": ENTRIES},
    "NewLexicon": {"words": ENTRIES, "account": "owner"},
    "MeChange": {"preferred_voice": "{voice}", "favourite_voices": ["alloy"]},
    "NewSignIn": {"address": _ADDRESS},
    "Confirmation": {"token": "x" * 100, "code": DROPPED},
    "BatchBody": {"input_file_id": "{file}", "endpoint": "/v1/audio/speech", "completion_window": "24h"},
    "NewOrderBody": {"provider": "stripe", "pack": "small", "plan": DROPPED},
    "Closing": {"address": "{address}"},
    "NewInvitation": {"address": _ADDRESS, "account": DROPPED},
    "HostAnnouncement": {"address": "gpu1:7070", "machine": f"mch_{1:024x}"},
    "NewAccount": {"name": "{new}", "plan": "cached", "agreed": _AGREED},
    "AccountChange": {"plan": "cached", "agreed": _AGREED},
    "NewKey": {"account": "owner", "role": "host"},
    "NewCorrection": {"credits": 1e9},
    "NewRefund": {"credits": DROPPED},
    "Recloning": {"reclone": True},
    "NewClone": {"engine": "tone"},
    "NextRows": {"skip": 0},
}
"""What a schema cannot say: names of what there is, and fields that exclude each other. `{new}` is a new
name."""
LAWFUL = {**LAWFUL, "SavedVoiceModelForm": {**LAWFUL["VoiceModelForm"], "account": DROPPED}}
LAWFUL = {**LAWFUL, "AccountConsentBody": {**LAWFUL["ConsentBody"], "account": "owner"}}


def largest(document: Document, schema: Document) -> Any:
    """The largest value that a schema allows, by its types, bounds and choices alone."""
    return built(document, schema, _largest_of_type, lambda values: max(values, key=_size))


def body_of(document: Document, row: "Row", objects: Mapping[str, str]) -> dict[str, Any]:
    """The largest lawful body of this row. `objects` are the ids of things, by the names in braces."""
    if row.schema is None:
        return {**row.shape.fields}
    whole = largest(document, row.schema) | LAWFUL.get(row.schema_name, {}) | row.shape.fields
    return {
        field: objects.get(value[1:-1], value) if isinstance(value, str) and value[:1] == "{" else value
        for field, value in whole.items()
        if value is not DROPPED
    }


def _size(value: Any) -> int:
    return len(repr(value))


def _largest_of_type(document: Document, schema: Document) -> Any:
    match schema.get("type"):
        case "object":
            fields = {name: largest(document, of) for name, of in schema.get("properties", {}).items()}
            of = schema.get("additionalProperties")
            for number in range(schema.get("maxProperties", 0) if isinstance(of, dict) else 0):
                most = schema.get("propertyNames", {}).get("maxLength", 20)
                fields[f"{number:04}" + "k" * (most - 4)] = largest(document, of or {})
            return fields
        case "array":
            return [largest(document, schema["items"])] * schema.get("maxItems", 1)
        case "integer" | "number":
            return schema.get("maximum", 2**31)
        case "boolean":
            return True
        case "null":
            return None
    return _text(schema)


def _text(schema: Document) -> str:
    most = schema.get("maxLength", 20)
    words, numbers = (_WORDS * (most // len(_WORDS) + 1))[:most].rstrip(), "1," * (most // 2 - 1) + "1"
    texts = (words, "x" * most, "en", f"mch_{1:024x}", numbers)
    fitting = schema.get("pattern", "")
    return next(each for each in texts if re.search(fitting, each))


def unbounded(document: Document) -> Iterator[str]:
    """The fields of requests whose text, list or map has no limit."""
    for name in sorted(_of_requests(document)):
        for field, schema in document["components"]["schemas"][name].get("properties", {}).items():
            if any(_is_unbounded(each) for each in _parts(schema)):
                yield f"{name}.{field}"


def _of_requests(document: Document) -> set[str]:
    found, left = set[str](), [_bodies(document)]
    while left:
        for name in set(re.findall(r"'#/components/schemas/(\w+)'", repr(left.pop()))) - found:
            found.add(name)
            left.append(document["components"]["schemas"][name])
    return found


def _bodies(document: Document) -> list[Any]:
    return [each.get("requestBody") for methods in document["paths"].values() for each in methods.values()]


def _parts(schema: Any) -> Iterator[Document]:
    if isinstance(schema, dict):
        yield schema
        for name in ("anyOf", "allOf"):
            for each in schema.get(name, ()):
                yield from _parts(each)
        for name in ("items", "additionalProperties"):
            yield from _parts(schema.get(name))


def _is_unbounded(schema: Document) -> bool:
    limit = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}.get(
        schema.get("type", "")
    )
    known = {"enum", "const", "format", "properties", "required", "pattern", limit}
    return limit is not None and not known & schema.keys()


class Shape(NamedTuple):
    """What replaces fields of the largest body, and the files that it names, or that its form has. `more` is
    JSON of a member that nobody knows."""

    name: str
    fields: Mapping[str, Any]
    files: Mapping[str, tuple[str, bytes]] = {}
    more: bytes = b""


PLAIN = Shape("", {})
_KNOWN_CONTENTS = {"application/json", "multipart/form-data"}


class Row(NamedTuple):
    """A request of an operation: its JSON body, or with a `form` its fields and files."""

    operation: Operation
    schema: Document | None
    files: tuple[str, ...] = ()
    shape: Shape = PLAIN

    @property
    def name(self) -> str:
        name = f"{self.operation.id} as a form" if self.files and self.operation.schema else self.operation.id
        return f"{name}: {self.shape.name}" if self.shape.name else name

    @property
    def schema_name(self) -> str:
        return str((self.schema or {}).get("$ref", "")).rpartition("/")[2]


def rows_of(served: Everything) -> Iterator[Row]:
    # What lies within another thing goes before it.
    for operation in sorted(served.operations, key=_order):
        described = served.document["paths"][operation.path][operation.method.lower()]
        contents = described.get("requestBody", {}).get("content", {})
        assert contents.keys() <= _KNOWN_CONTENTS, f"{operation.id} has a body without a row"
        json_body = contents.get("application/json", {}).get("schema")
        if json_body is None and "multipart/form-data" not in contents:
            yield Row(operation, None)
        for schema in (json_body or {}).get("anyOf", [json_body] if json_body else []):
            yield Row(operation, schema)
        if form := contents.get("multipart/form-data", {}).get("schema"):
            parts = form.get("allOf", [form])
            files = tuple(parts[-1]["properties"])
            for fields in parts[0].get("anyOf", parts[:1]):
                yield Row(operation, fields if "$ref" in fields else None, files)


def _order(operation: Operation) -> tuple[bool, bool, bool, int]:
    is_deletion = operation.method == "DELETE"
    closes = operation.id in ("close_me", "close_account")
    return closes, operation.id in LAST, is_deletion, -operation.path.count("/") if is_deletion else 0


@cache
def recording(seconds: int, channels: int) -> bytes:
    """Speech of so many seconds as a WAV file of 48 kHz."""
    mono = np.frombuffer(speech_clips.wav()[len(wav_header(0)) :], np.int16)
    frames = np.resize(mono, seconds * 24_000).repeat(2 * channels)
    return wav(frames.tobytes(), 48_000, channels)


@cache
def lines(number: int) -> bytes:
    """A file of a batch with so many lines, of nearly ten megabytes in all."""
    text = _WORDS * (MOST_FILE_BYTES // number // len(_WORDS) - 10)
    return jsonl(*(line(f"{each:05}", text) for each in range(number)))
