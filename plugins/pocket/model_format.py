"""The files of a Pocket TTS model, and the check of its tensors. It does not need torch."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

from plugins.pocket.sizes import PUBLISHED, PocketSizes, shapes_of
from speech_engine.model_files import ModelContents, ModelFacts, ModelFile, ModelFormat, UnusableModel

_SPACES: Final = {"Regex": " {2,}"}
_MOST_TOKEN: Final = 256

_READING: Final = {
    "normalizer": ("Precompiled", "Replace", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Strip", "Prepend"),
    "pre_tokenizer": ("Metaspace",),
    "post_processor": (),
    "decoder": ("Metaspace", "Replace", "ByteFallback", "Fuse", "Strip"),
    "padding": (),
    "truncation": (),
}
"""The allowed steps of a vocabulary. Others may run endless patterns or add unknown tokens."""
_MEMBERS: Final = ("normalizers", "pretokenizers", "decoders")


def find_sizes(model: ModelContents, published: Sequence[PocketSizes] = PUBLISHED) -> PocketSizes:
    """Return the sizes of a model whose tensors are exactly those of a published one. Raise UnusableModel."""
    tensors = model.tensors("weights")
    fitting = [sizes for sizes in published if set(shapes_of(sizes)) == set(tensors)]
    if not fitting:
        raise _unknown(model, published)
    fault: UnusableModel | None = None
    for sizes in fitting:
        try:
            for name, shape in shapes_of(sizes).items():
                if model.expect("weights", name, shape).dtype not in ("F32", "F16", "BF16"):
                    raise UnusableModel(f"model.safetensors: its tensor {name} has no floats")
        except UnusableModel as wrong:
            fault = fault or wrong
        else:
            return sizes
    raise fault or _unknown(model, published)


def _unknown(model: ModelContents, published: Sequence[PocketSizes]) -> UnusableModel:
    has = set(model.tensors("weights"))
    nearest = min((set(shapes_of(sizes)) for sizes in published), key=lambda names: len(names ^ has))
    lacks, more = sorted(nearest - has), sorted(has - nearest)
    if lacks:
        return UnusableModel(f"model.safetensors: it has no tensor {lacks[0]}")
    return UnusableModel(f"model.safetensors: it has a tensor {more[0][:200]}, which no such model has")


def check_pocket(model: ModelContents) -> ModelFacts:
    """Compare the tensors with those of the published models. Raise UnusableModel."""
    sizes = find_sizes(model)
    check_tokenizer(model, sizes.tokens)
    return ModelFacts(languages=("en",) if sizes.is_english else (), extra_gb=0.6)


def check_tokenizer(model: ModelContents, tokens: int) -> None:
    """Raise UnusableModel for a vocabulary of another size, or with other steps."""
    content = model.json("tokenizer")
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise _wrong("it is not a vocabulary of the tokenizers library")
    for part, known in _READING.items():
        for each in _parts_in(content.get(part)):
            _judge_part(part, each, known)
    own = content["model"]
    if own.get("type") not in ("Unigram", "BPE") or own.get("dropout"):
        raise _wrong("its model must be Unigram or BPE, without dropout")
    found = _pieces(own)
    added = content.get("added_tokens") or ()
    if not isinstance(added, list | tuple) or not all(isinstance(each, dict) for each in added):
        raise _wrong("its added_tokens make no sense")
    found |= {each.get("content") for each in added}
    if len(found) != tokens or not all(isinstance(each, str) and len(each) <= _MOST_TOKEN for each in found):
        raise _wrong(f"it has {len(found):,} tokens; this model has {tokens:,}")


def _pieces(own: dict[str, Any]) -> set[Any]:
    vocabulary = own.get("vocab")
    try:
        if own["type"] == "BPE":
            numbers = set(dict(vocabulary).values())  # type: ignore[arg-type]
            if numbers != set(range(len(numbers))):
                raise _wrong("the numbers of its tokens make no sense")
            return set(dict(vocabulary))  # type: ignore[arg-type]
        pieces = [piece for piece, score in vocabulary if -1e6 < float(score) < 1e6]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise _wrong("its tokens make no sense") from None
    if len(pieces) != len(vocabulary or ()) or len(set(pieces)) != len(pieces):
        raise _wrong("it has a token twice, or scores that make no sense")
    return set(pieces)


def _judge_part(part: str, each: Any, known: Sequence[str]) -> None:
    type_ = each.get("type") if isinstance(each, dict) else each
    if type_ not in known:
        rule = f"be {' or '.join(known)}" if known else "not be there"
        raise _wrong(f"its {part} must {rule}; it is {str(type_)[:40]!r}")
    pattern = each.get("pattern", _SPACES) if isinstance(each, dict) else None
    if not isinstance(pattern, dict) or ("Regex" in pattern and pattern != _SPACES):
        raise _wrong(f"its {part} has a pattern other than runs of spaces")
    if type_ == "Precompiled" and not _is_map(each.get("precompiled_charsmap")):
        raise _wrong(f"its {part} has a map of characters that makes no sense")


def _is_map(encoded: Any) -> bool:
    """Return whether this is a valid map of characters. The library panics over others.

    It has the length of a table, the table of 32-bit numbers in blocks of 256, and texts in UTF-8.
    """
    try:
        data = base64.b64decode(encoded, validate=True)
        length = int.from_bytes(data[:4], "little")
        texts = data[4 + length :].decode()
    except (TypeError, ValueError):
        return False
    return 0 < length <= len(data) - 4 and length % 1024 == 0 and texts.endswith("\0")


def _parts_in(part: Any) -> list[Any]:
    """Return the steps of a part: the members of a Sequence, or the part itself."""
    if part is None:
        return []
    if isinstance(part, dict) and part.get("type") == "Sequence":
        members = [part[name] for name in _MEMBERS if name in part]
        if len(members) == 1 and isinstance(members[0], list):
            return members[0]
    return [part]


def _wrong(what: str) -> UnusableModel:
    return UnusableModel(f"tokenizer.json: {what}")


MODEL_FORMAT: Final = ModelFormat(
    files=(
        ModelFile(
            role="weights",
            kind="tensors",
            name="model.safetensors",
            most_bytes=2 * 1024**3,
        ),
        ModelFile(
            role="tokenizer",
            kind="tokenizer",
            name="tokenizer.json",
            sources=("tokenizer.json", "tokenizer.model"),
        ),
    ),
    listed_in="models",
    names_models=True,
    check=check_pocket,
)
