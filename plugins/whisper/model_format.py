"""The files of a Whisper model in the form of CTranslate2, and their check, which needs nothing else.

CTranslate2 trusts the numbers in its file, so each is checked here before a network is built.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from speech_engine.model_files import (
    ModelContents,
    ModelFacts,
    ModelFile,
    ModelFormat,
    TensorInfo,
    UnusableModel,
)

WINDOW_FRAMES, MOST_TOKENS = 1_500, 448
"""Of one window: half a minute of sound, and its text with the prompt."""
_HEAD_WIDTH = 64

_VERSION, _SPEC = 6, "WhisperSpec"
_TYPES = ("F32", "I8", "I16", "I32", "F16", "BF16")
_MOST_TENSORS, _MOST_DIMENSIONS, _MOST_WORDS = 10_000, 4, 100_000
_MULTILINGUAL = 51_865
"""The words of the smallest vocabulary with languages. CTranslate2 knows it by that, too."""
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
_SPECIAL = {"<|endoftext|>", "<|startoftranscript|>", "<|startofprev|>", "<|notimestamps|>"}
_TIMES = ("<|0.00|>", "<|30.00|>")


class _Cursor:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.at = 0

    def take(self, form: str) -> tuple[Any, ...]:
        try:
            values = struct.unpack_from(f"<{form}", self._data, self.at)
        except struct.error:
            raise UnusableModel("it is cut off, or no model of CTranslate2") from None
        self.at += struct.calcsize(f"<{form}")
        return values

    def text(self) -> str:
        return str(self.take(f"{self.take('H')[0]}s")[0][:-1].decode("ascii", "replace"))


def read_tensors(data: memoryview) -> Mapping[str, TensorInfo]:
    """Return all tensors of a model of CTranslate2, by name. Raise UnusableModel with the fault."""
    file = _Cursor(data)
    if file.take("I")[0] != _VERSION or file.text() != _SPEC:
        raise UnusableModel(f"it is no {_SPEC} in version {_VERSION} of CTranslate2's files")
    found: dict[str, TensorInfo] = {}
    _revision, tensors = file.take("II")
    if tensors > _MOST_TENSORS:
        raise UnusableModel(f"it has {tensors:,} tensors; {_MOST_TENSORS:,} are allowed")
    for _ in range(tensors):
        name, rank = file.text(), file.take("B")[0]
        if rank > _MOST_DIMENSIONS or name in found or not name.isprintable():
            raise UnusableModel("it has a tensor with an absurd shape or name")
        shape = file.take(f"{rank}I")
        kind, size = file.take("BI")
        found[name] = info = TensorInfo(_TYPES[min(kind, len(_TYPES) - 1)], shape, file.at)
        if kind >= len(_TYPES) or not info.numbers or info.bytes != size or file.at + size > len(data):
            raise UnusableModel(f"its tensor {name[:80]} has not as many bytes as its shape says")
        file.at += size
    for _ in range(file.take("I")[0]):
        _other_name, _name = file.text(), file.text()
    if file.at != len(data):
        raise UnusableModel("it has bytes that belong to no tensor")
    return found


def check_whisper(model: ModelContents) -> ModelFacts:
    words = _vocabulary(model)
    _check_tokenizer(model, words)
    _check_shapes(model, len(words))
    for name in ("suppress_ids", "suppress_ids_begin"):
        if (numbers := model.value("config", name)) is not None and not _are_words(numbers, words):
            raise UnusableModel(f"config.json: {name} must be numbers of words")
    return ModelFacts(languages=_languages(model, words), extra_gb=0.25)


def _vocabulary(model: ModelContents) -> Sequence[str]:
    has_json = model.has("vocabulary")
    if not has_json and not model.has("words"):
        raise UnusableModel("vocabulary.json is missing, and so is vocabulary.txt")
    words = model.json("vocabulary") if has_json else model.text("words").removesuffix("\n").split("\n")
    is_list = isinstance(words, list) and len(words) <= _MOST_WORDS
    if not is_list or not all(isinstance(word, str) for word in words) or {*_SPECIAL, *_TIMES} - {*words}:
        raise UnusableModel("vocabulary: it is no list of Whisper's words")
    first, last = (words.index(each) for each in _TIMES)
    if first != words.index("<|notimestamps|>") + 1 or last != first + WINDOW_FRAMES:
        raise UnusableModel("vocabulary: its times are not where Whisper has them")
    return words


def _check_tokenizer(model: ModelContents, words: Sequence[str]) -> None:
    """Refuse the tokenizer of another model: its numbers would be read as other words."""
    known, added = model.value("tokenizer", "model.vocab"), model.value("tokenizer", "added_tokens")
    if not isinstance(known, dict) or not isinstance(added, list):
        raise UnusableModel("tokenizer.json: it has no vocabulary")
    contents = [each for each in added if isinstance(each, dict) and isinstance(each.get("content"), str)]
    known = known | {each["content"]: each.get("id") for each in contents}
    for word, number in known.items():
        if type(number) is not int or not 0 <= number < len(words) or words[number] != word:
            raise UnusableModel("tokenizer.json: it is the tokenizer of another model: its words differ")
    if missing := _SPECIAL - known.keys():
        raise UnusableModel(f"tokenizer.json: it has no {min(missing)}")


def _check_shapes(model: ModelContents, words: int) -> None:
    """Check the shape of each tensor that the network has, and that its heads are in it."""
    tensors = model.tensors("model")
    width, bands, *_ = (*tensors.get("encoder/conv1/weight", TensorInfo("F32", ())).shape, 0, 0)
    if not 2 <= width <= 4_096 or bands not in (80, 128):
        raise UnusableModel("model.bin: its tensor encoder/conv1/weight is missing or has another shape")
    model.expect("model", "encoder/conv1/weight", (width, bands, 3))
    model.expect("model", "encoder/conv2/weight", (width, width, 3))
    model.expect("model", "encoder/position_encodings/encodings", (WINDOW_FRAMES, width))
    model.expect("model", "decoder/position_encodings/encodings", (MOST_TOKENS, width))
    model.expect("model", "decoder/embeddings/weight", (words, width))
    layers = 0
    for side in ("encoder", "decoder"):
        first = f"{side}/layer_{{}}/ffn/linear_0/weight"
        layers = next(number for number in count() if first.format(number) not in tensors)
        for layer in range(max(1, layers)):
            for name, shape in _layer_shapes(side, width):
                model.expect("model", f"{side}/layer_{layer}/{name}", shape)
        model.expect("model", f"{side}/layer_norm/gamma", (width,))
    heads = model.value("config", "alignment_heads")
    if not isinstance(heads, list) or not heads or not all(_is_head(each, layers, width) for each in heads):
        raise UnusableModel("config.json: alignment_heads must be pairs of a layer of the decoder and a head")


def _layer_shapes(side: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    linear = {"self_attention": (3, 1), "ffn": ()}
    if side == "decoder":
        linear["attention"] = (1, 2, 1)
    for name, rows in linear.items():
        yield f"{name}/layer_norm/gamma", (width,)
        for number, times in enumerate(rows):
            yield f"{name}/linear_{number}/weight", (times * width, width)
            yield f"{name}/linear_{number}/bias", (times * width,)
    yield "ffn/linear_0/weight", (4 * width, width)
    yield "ffn/linear_1/weight", (width, 4 * width)


def _is_head(pair: Any, layers: int, width: int) -> bool:
    is_pair = isinstance(pair, list) and len(pair) == 2 and all(type(each) is int for each in pair)
    return is_pair and 0 <= pair[0] < layers and 0 <= pair[1] < max(1, width // _HEAD_WIDTH)


def _languages(model: ModelContents, words: Sequence[str]) -> tuple[str, ...]:
    if len(words) < _MULTILINGUAL:
        # Its configuration may name languages all the same.
        return ("en",)
    numbers = model.value("config", "lang_ids")
    if not _are_words(numbers, words):
        raise UnusableModel("config.json: lang_ids must be numbers of words")
    found = [_LANGUAGE.fullmatch(words[number]) for number in numbers]
    if not found or not all(found):
        raise UnusableModel("config.json: lang_ids has a number that is no language's")
    return tuple(each[1] for each in found if each)


def _are_words(numbers: Any, words: Sequence[str]) -> bool:
    """Return whether these are numbers of words: CTranslate2 writes there without looking."""
    return isinstance(numbers, list) and all(type(each) is int and 0 <= each < len(words) for each in numbers)


MODEL_FORMAT = ModelFormat(
    files=(
        ModelFile(role="model", kind="own", name="model.bin", most_bytes=4 * 1024**3, reader=read_tensors),
        ModelFile(role="config", kind="json", name="config.json"),
        ModelFile(role="tokenizer", kind="json", name="tokenizer.json"),
        ModelFile(role="vocabulary", kind="json", name="vocabulary.json", is_optional=True),
        ModelFile(role="words", kind="text", name="vocabulary.txt", is_optional=True),
    ),
    hears=True,
    check=check_whisper,
)
