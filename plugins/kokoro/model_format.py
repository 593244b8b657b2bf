"""The files of a Kokoro model, and their check, which does not need onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from plugins.kokoro.thai_rules import network_sounds
from speech_engine.imported_voices import judge_graph
from speech_engine.model_files import (
    ModelContents,
    ModelFacts,
    ModelFile,
    ModelFormat,
    OnnxGraph,
    UnusableModel,
)

TOKENS, STYLES, SOUNDS, SPEED = ("tokens", "input_ids"), ("style", "ref_s"), ("audio", "waveform"), "speed"
"""The names of the inputs and of the sound. Exports choose one of several."""
STYLE_SIZE = 256
MOST_TOKENS = 510
"""The longest piece, without the pad at either end. A voice has a style for each length up to this one."""

OPERATORS = tuple(
    ("com.microsoft", name)
    for name in ("DynamicQuantizeLSTM", "FastGelu", "SkipLayerNormalization", "FusedMatMul")
)
"""The operators that onnxruntime uses when it quantises Kokoro's network."""

_LENGTHS_OPERATORS = ({"Cast"}, {"Clip", "Max"}, {"Round"}, {"Div"}, {"ReduceSum"}, {"Sigmoid"})
"""The operators that make the lengths of the sounds, the last one first. They divide by the speed."""
_INT64 = 7
_MOST_SYMBOLS = 4_096
_MOST_WORDS, _LONGEST_WORD, _LONGEST_READING = 200_000, 100, 1_000
_VOICE = re.compile(r"([a-z])([fm])(_[a-z0-9]{1,40})?")


class Reading(NamedTuple):
    """A language of Kokoro's voices, and espeak-ng's name of it; without that, it has no reader here.

    `accent` tells its voices from other voices of the language. One that `has_words` is read by the model's
    dictionary, and espeak-ng reads English words in it.
    """

    tag: str
    name: str
    espeak: str = ""
    accent: str = ""
    has_words: bool = False


READINGS: Mapping[str, Reading] = {
    "a": Reading("en-US", "American English", "en-us", accent="American"),
    "b": Reading("en-GB", "British English", "en-gb-x-rp", accent="British"),
    "e": Reading("es", "Spanish", "es"),
    "f": Reading("fr-FR", "French", "fr"),
    "h": Reading("hi", "Hindi", "hi"),
    "i": Reading("it", "Italian", "it"),
    "p": Reading("pt-BR", "Brazilian Portuguese", "pt-br", accent="Brazilian"),
    "t": Reading("th", "Thai", "en-us", has_words=True),
    "j": Reading("ja", "Japanese"),
    "z": Reading("zh", "Mandarin"),
}
"""By the first letter of a voice's name. The second one is its gender."""


class StyleVoice(NamedTuple):
    """A voice: its styles lie in the file from `begin`, one of each length after the other."""

    name: str
    gender: str
    reading: Reading
    styles: int
    begin: int


class GraphNames(NamedTuple):
    """The graph's names of the inputs for tokens and style, of the sound, and of the lengths of sounds in
    frames. These may be absent, or `inner`: no output of the file."""

    tokens: str
    style: str
    sound: str
    lengths: str = ""
    inner: str = ""


class KokoroModel(NamedTuple):
    """The contents of the files. `words` have their sounds as the dictionary writes them."""

    symbols: Mapping[str, int]
    voices: tuple[StyleVoice, ...]
    names: GraphNames
    words: Mapping[str, str] = MappingProxyType({})

    def __repr__(self) -> str:
        return f"<KokoroModel of {len(self.voices)} voices>"


def read_model(model: ModelContents) -> KokoroModel:
    """Read the model's files. Raise UnusableModel with their fault."""
    symbols = _symbols(model)
    voices = tuple(_voice(model, name) for name in model.tensors("voices"))
    if not any(voice.reading.espeak for voice in voices):
        raise UnusableModel("voices.npz: it has no voice of a language that this engine can read")
    words = _words(model, symbols) if model.has("words") else {}
    if not words and any(voice.reading.has_words for voice in voices):
        raise UnusableModel("words.json is missing: it has the words of a voice's language with their sounds")
    return KokoroModel(symbols, voices, _graph_names(model.graph("model")), words)


def check_kokoro(model: ModelContents) -> ModelFacts:
    made = read_model(model)
    tags = dict.fromkeys(voice.reading.tag for voice in made.voices if voice.reading.espeak)
    return ModelFacts(languages=tuple(tags), voices=tuple(voice.name for voice in made.voices), extra_gb=0.5)


def _symbols(model: ModelContents) -> dict[str, int]:
    # Files with the alphabet alone have no n_token. A number that the network does not have ends its run.
    has_count = model.value("config", "n_token") is not None
    count = model.number("config", "n_token", 2, _MOST_SYMBOLS) if has_count else _MOST_SYMBOLS
    table = model.value("config", "vocab")
    if not isinstance(table, dict) or not 0 < len(table) <= count:
        raise UnusableModel("config.json: vocab must be a table of at most n_token symbols")
    for symbol, number in table.items():
        if len(symbol) != 1 or type(number) is not int or not 0 < number < count:
            raise UnusableModel("config.json: vocab must give single symbols numbers from 1, below n_token")
    return table


def _voice(model: ModelContents, name: str) -> StyleVoice:
    parts = _VOICE.fullmatch(name)
    reading = READINGS.get(parts[1]) if parts else None
    if parts is None or reading is None:
        raise UnusableModel(f"voices.npz: {name[:80]} is no name of a voice, such as af_heart")
    info = model.expect("voices", name, (None, 1, STYLE_SIZE))
    if info.dtype != "F32" or not 1 <= info.shape[0] <= MOST_TOKENS + 1:
        raise UnusableModel(f"voices.npz: {name} must have up to {MOST_TOKENS + 1} styles of 32-bit floats")
    gender = "female" if parts[2] == "f" else "male"
    return StyleVoice(name, gender, reading, info.shape[0], info.begin)


def _words(model: ModelContents, symbols: Mapping[str, int]) -> dict[str, str]:
    words = model.json("words")
    if not isinstance(words, dict) or not 0 < len(words) <= _MOST_WORDS:
        raise UnusableModel(f"words.json: it must be a table of at most {_MOST_WORDS:,} words")
    for word, sounds in words.items():
        if (
            not isinstance(sounds, str)
            or len(word) > _LONGEST_WORD
            or not 0 < len(sounds) <= _LONGEST_READING
        ):
            raise UnusableModel(f"words.json: {word[:40]!r} is too long, or has no sounds")
    unknown = set(network_sounds("".join(words.values()))) - symbols.keys()
    if unknown:
        raise UnusableModel(f"words.json: {sorted(unknown)[0]!r} is a sound that config.json does not have")
    return words


def _graph_names(graph: OnnxGraph) -> GraphNames:
    tokens, style = (
        next((name for name in names if name in graph.inputs), names[0]) for names in (TOKENS, STYLES)
    )
    floats = [name for name, value in graph.outputs.items() if value.dtype == "F32"]
    sound = floats[0] if len(floats) == 1 else next(filter(graph.outputs.__contains__, SOUNDS), "")
    sound = sound or next(iter(graph.outputs), "")
    needed = {tokens: ("I64", 2), style: ("F32", 2), SPEED: ("F32", 1)}
    judge_graph("model.onnx", graph, needed, sound, "Kokoro does not have")
    told = [name for name, value in graph.outputs.items() if value.dtype in ("I64", "I32") and name != sound]
    if len(told) == 1:
        return GraphNames(tokens, style, sound, told[0])
    inner = _lengths(graph)
    return GraphNames(tokens, style, sound, inner, "" if inner in graph.outputs else inner)


def _lengths(graph: OnnxGraph) -> str:
    """Return the value that the operators of the lengths make, or "" if there is none, or more than one."""
    nodes_by_output = {name: node for node in graph.nodes for name in node.outputs}

    def is_made_so(name: str) -> bool:
        for operators in _LENGTHS_OPERATORS:
            node = nodes_by_output.get(name)
            if node is None or node.operator not in operators:
                return False
            name = node.inputs[0]
        return True

    rounded = [
        node for node in graph.nodes if node.operator == "Cast" and node.attributes.get("to") == _INT64
    ]
    found = [node.outputs[0] for node in rounded if is_made_so(node.outputs[0])]
    return found[0] if len(found) == 1 else ""


MODEL_FORMAT = ModelFormat(
    files=(
        ModelFile(
            role="model",
            kind="onnx",
            name="model.onnx",
            sources=("model.onnx", "kokoro*.onnx", "*.onnx"),
            most_bytes=1024 * 1024 * 1024,
            # torch writes the stretching of each sound to its length as a Loop.
            may_repeat=True,
            operators=OPERATORS,
        ),
        ModelFile(
            role="voices",
            kind="npz",
            name="voices.npz",
            sources=("voices*.npz", "voices*.bin", "[a-z][fm]_*.npy"),
            most_bytes=256 * 1024 * 1024,
        ),
        ModelFile(role="config", kind="json", name="config.json", sources=("config.json", "vocab.json")),
        ModelFile(
            role="words",
            kind="json",
            name="words.json",
            sources=("words.json", "ipa.json"),
            most_bytes=8 * 1024 * 1024,
            is_optional=True,
        ),
    ),
    check=check_kokoro,
)
