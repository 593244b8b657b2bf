"""A vocabulary of sentencepiece (`.model`), turned into the JSON of the tokenizers library.

So no reader in C++ ever meets an unknown file: it is read here, with bounds, where it is imported.
The tokens and their numbers stay; pieces that stand for no text (marks, the unknown) get names that no text
has, since the other library would find them in one.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any, Final, NamedTuple

from speech_engine.model_declarations import UnusableModel
from speech_engine.model_files import protobuf

_MODEL: Final = protobuf.message_fields(
    single={2: "trainer", 3: "normalizer", 4: "self_test", 5: "denormalizer"}, repeated={1: "pieces"}
)
_PIECE: Final = protobuf.message_fields({1: "piece", 2: "score", 3: "type"})
_NORMALIZER: Final = protobuf.message_fields(
    {1: "name", 2: "map", 3: "has_prefix", 4: "has_single_spaces", 5: "escapes_spaces", 6: "rules"}
)
_TRAINER_ONCE: Final = {3: "model_type", 24: "suffixes", 35: "has_bytes", 53: "delimiter"}
_TRAINER: Final = protobuf.message_fields(
    _TRAINER_ONCE, {number: f"field {number}" for number in range(1, 56) if number not in _TRAINER_ONCE}
)

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)
_UNIGRAM: Final = 1
_SPACE: Final = "▁"
_HIDDEN: Final = "\uffff"
"""A code point that is no character. It begins the names of pieces that stand for no text."""
_MOST_PIECES: Final = 1_000_000
_MOST_MAP_BYTES: Final = 4 * 1024 * 1024


class _Piece(NamedTuple):
    text: str
    score: float
    kind: int


class _Normalizer(NamedTuple):
    """How a text is made ready. The defaults are sentencepiece's."""

    map: bytes = b""
    has_prefix: bool = True
    has_single_spaces: bool = True


def tokenizer_json(data: memoryview) -> bytes:
    """Return the JSON of a sentencepiece model of the kind Unigram. Raise UnusableModel."""
    reader = protobuf.MessageReader()
    pieces: list[_Piece] = []
    normalizer, has_bytes, model_type = _Normalizer(), False, _UNIGRAM
    for name, value in reader.fields(data, _MODEL, "the model"):
        if name == "pieces":
            if len(pieces) == _MOST_PIECES:
                raise UnusableModel(f"it has more than {_MOST_PIECES:,} pieces")
            pieces.append(_read_piece(reader, value, len(pieces)))
        elif name == "trainer":
            model_type, has_bytes = _read_trainer(reader, value)
        elif name == "normalizer":
            normalizer = _read_normalizer(reader, value)
    if model_type != _UNIGRAM:
        raise UnusableModel("it is a sentencepiece model of another kind than Unigram")
    unknown = [number for number, piece in enumerate(pieces) if piece.kind == _UNKNOWN]
    if len(unknown) != 1:
        raise UnusableModel("it must have exactly one piece for what is unknown")
    if len({piece.text for piece in pieces}) != len(pieces):
        raise UnusableModel("it has a piece twice")
    content = {
        "version": "1.0",
        "added_tokens": _added_tokens(pieces),
        "normalizer": _normalizer_json(normalizer),
        "pre_tokenizer": _metaspace_json(normalizer),
        "decoder": _decoder_json(normalizer, has_bytes=has_bytes),
        "model": {
            "type": "Unigram",
            "unk_id": unknown[0],
            "vocab": [[piece.text, piece.score] for piece in pieces],
            "byte_fallback": has_bytes,
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _read_piece(reader: protobuf.MessageReader, value: protobuf.Value, number: int) -> _Piece:
    text, score, kind = "", 0.0, _NORMAL
    for name, each in reader.fields(protobuf.bytes_of(value), _PIECE, "a piece"):
        if name == "piece":
            text = protobuf.text_of(each)
        elif name == "score":
            score = _float(each)
        else:
            kind = protobuf.number_of(each)
    if not text or _HIDDEN in text or not _NORMAL <= kind <= _BYTE or not math.isfinite(score):
        raise UnusableModel(f"its piece {number} makes no sense")
    if kind in (_UNKNOWN, _CONTROL, _UNUSED):
        text = f"{_HIDDEN}{number}"
    return _Piece(text, score, kind)


def _read_trainer(reader: protobuf.MessageReader, value: protobuf.Value) -> tuple[int, bool]:
    model_type, has_bytes = _UNIGRAM, False
    for name, each in reader.fields(protobuf.bytes_of(value), _TRAINER, "the trainer"):
        if name == "model_type":
            model_type = protobuf.number_of(each)
        elif name == "has_bytes":
            has_bytes = bool(protobuf.number_of(each))
        elif name == "suffixes" and protobuf.number_of(each):
            raise UnusableModel("it has its spaces at the ends of words, which voxgate does not know")
        elif name == "delimiter" and len(protobuf.bytes_of(each)):
            raise UnusableModel("it cuts texts at a mark of its own, which voxgate does not know")
    return model_type, has_bytes


def _read_normalizer(reader: protobuf.MessageReader, value: protobuf.Value) -> _Normalizer:
    found: dict[str, Any] = {}
    for name, each in reader.fields(protobuf.bytes_of(value), _NORMALIZER, "the normalizer"):
        if name == "map":
            found[name] = bytes(protobuf.bytes_of(each))
            if len(found[name]) > _MOST_MAP_BYTES:
                raise UnusableModel(f"its map of characters has more than {_MOST_MAP_BYTES:,} bytes")
        elif name in ("has_prefix", "has_single_spaces"):
            found[name] = bool(protobuf.number_of(each))
        elif name == "escapes_spaces" and not protobuf.number_of(each):
            raise UnusableModel("it leaves spaces as they are, which voxgate does not know")
    return _Normalizer(**found)


def _float(value: protobuf.Value) -> float:
    data = protobuf.bytes_of(value)
    if len(data) != 4:
        raise UnusableModel("it has a score that is no number")
    return float(struct.unpack("<f", data)[0])


def _added_tokens(pieces: list[_Piece]) -> list[dict[str, Any]]:
    """Return the pieces that are found before all others, wherever they stand."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return [
        {"id": number, "content": piece.text.replace(_SPACE, " "), **flags}
        for number, piece in enumerate(pieces)
        if piece.kind == _USER
    ]


def _normalizer_json(normalizer: _Normalizer) -> dict[str, Any] | None:
    steps: list[dict[str, Any]] = []
    if normalizer.map:
        steps.append(
            {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(normalizer.map).decode()}
        )
    if normalizer.has_single_spaces:
        steps.append({"type": "Strip", "strip_left": True, "strip_right": True})
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    return {"type": "Sequence", "normalizers": steps} if steps else None


def _metaspace_json(normalizer: _Normalizer) -> dict[str, Any]:
    prefix = "always" if normalizer.has_prefix else "never"
    return {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": prefix, "split": False}


def _decoder_json(normalizer: _Normalizer, *, has_bytes: bool) -> dict[str, Any]:
    if not has_bytes:
        return _metaspace_json(normalizer)
    steps: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if normalizer.has_prefix:
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": steps}
