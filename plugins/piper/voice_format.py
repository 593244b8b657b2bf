"""The files of a Piper voice, and their check, which does not need onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from speech_engine.imported_voices import judge_graph
from speech_engine.model_files import (
    ModelContents,
    ModelFacts,
    ModelFile,
    ModelFormat,
    OnnxGraph,
    UnusableModel,
)
from speech_engine.model_files.onnx_windows import Reach, find_reach

INPUT, LENGTHS, SCALES, SPEAKER, OUTPUT = "input", "input_lengths", "scales", "sid", "output"
BEGIN, PAD, END = "^", "_", "$"

_RATES = (8_000, 48_000)
_MOST_BYTES = 512 * 1024 * 1024
_MOST_SYMBOLS = 4_096
_MOST_SPEAKERS = 10_000
_MOST_HOP = 4_096
_MOST_CLUSTERS = 256
_TAG = re.compile(r"[a-z]{2,3}([_-][A-Za-z0-9]{1,8}){0,4}")
_SPEAKER_NAME = re.compile(r"[\w .()+-]{1,80}")
_READINGS = ("espeak", "text")
_UNREAD = {"th": "Thai", "zh": "Chinese", "cmn": "Chinese", "ja": "Japanese", "he": "Hebrew", "ar": "Arabic"}
"""Languages that need their own reader, which the environment lacks."""


class VoiceConfig(NamedTuple):
    """The configuration of a voice. `speakers` are names in the order of their numbers. A voice that
    `takes_letters` gets letters in place of espeak-ng's sounds. `clusters` are sounds that count as one."""

    rate_hz: int
    language: str
    espeak_voice: str
    takes_letters: bool
    symbols: Mapping[str, tuple[int, ...]]
    speakers: tuple[str, ...]
    clusters: frozenset[tuple[str, ...]]
    noise: float
    length: float
    rhythm: float
    hop: int

    def __repr__(self) -> str:
        return f"<VoiceConfig {self.language}, {self.rate_hz} Hz, {len(self.speakers)} speakers>"


def read_config(model: ModelContents) -> VoiceConfig:
    """Return the configuration of a voice. Raise UnusableModel with its fault."""
    reading = model.value("config", "phoneme_type") or "espeak"
    espeak_voice = model.value("config", "espeak.voice")
    if not isinstance(espeak_voice, str) or not _TAG.fullmatch(espeak_voice):
        raise _fault("espeak.voice is no voice of espeak, such as en-us")
    unread = _UNREAD.get(re.split("[_-]", espeak_voice)[0])
    if unread or reading not in _READINGS:
        what = unread or f"the phoneme_type {str(reading)[:20]!r}"
        raise _fault(f"it is a voice for {what}, which this engine cannot read; it reads by espeak-ng")
    count = model.number("config", "num_speakers", 1, _MOST_SPEAKERS)
    unsaid_hop = model.value("config", "hop_length") is None
    return VoiceConfig(
        rate_hz=model.number("config", "audio.sample_rate", *_RATES),
        language=_language(model, espeak_voice),
        espeak_voice=espeak_voice,
        takes_letters=reading == "text",
        symbols=_symbols(model),
        speakers=_speakers(model, count),
        clusters=_clusters(model),
        noise=_scale(model, "noise_scale", 0.667),
        length=_scale(model, "length_scale", 1.0) or 1.0,
        rhythm=_scale(model, "noise_w", 0.8),
        hop=256 if unsaid_hop else model.number("config", "hop_length", 1, _MOST_HOP),
    )


def check_piper(model: ModelContents) -> ModelFacts:
    """Compare the graph's inputs and outputs with the configuration. Raise UnusableModel."""
    config = read_config(model)
    graph = model.graph("voice")
    speaker = ("I64", 1) if len(config.speakers) > 1 else ("", 0)
    needed = {INPUT: ("I64", 2), LENGTHS: ("I64", 1), SCALES: ("F32", 1), SPEAKER: speaker}
    judge_graph("voice.onnx", graph, needed, OUTPUT, "no voice of Piper has")
    _judge_embeddings("voice.onnx", graph, config)
    if model.has("decoder"):
        _judge_halves(model, needed)
        _judge_embeddings("encoder.onnx", model.graph("encoder"), config)
    voices = config.speakers if len(config.speakers) > 1 else ("",)
    return ModelFacts(languages=(config.language,), voices=voices, extra_gb=0.2)


def decoder_reach(model: ModelContents) -> Reach | None:
    """Return how far the decoder looks, in frames; None unless the voice was cut. Raise UnusableModel."""
    if not model.has("decoder"):
        return None
    reach = find_reach(model.graph("decoder"), next(iter(model.graph("encoder").outputs), ""))
    if reach is None:
        raise UnusableModel("decoder.onnx: it cannot work in windows; import the voice again")
    return reach


def _judge_halves(model: ModelContents, needed: Mapping[str, tuple[str, int]]) -> None:
    encoder = model.graph("encoder")
    frames = next(iter(encoder.outputs), "")
    judge_graph("encoder.onnx", encoder, needed, frames, "no voice of Piper has")
    passing = dict.fromkeys(encoder.outputs, ("F32", 3))
    judge_graph("decoder.onnx", model.graph("decoder"), passing, OUTPUT, "its encoder does not make")
    decoder_reach(model)


def _judge_embeddings(file: str, graph: OnnxGraph, config: VoiceConfig) -> None:
    """Refuse a table with fewer rows than the configuration has symbols or speakers."""
    most = max(number for numbers in config.symbols.values() for number in numbers)
    for tensor, rows in (("enc_p.emb.weight", most + 1), ("emb_g.weight", len(config.speakers))):
        info = graph.tensors.get(tensor)
        if info is not None and info.shape and info.shape[0] < rows:
            raise UnusableModel(f"{file}: its table {tensor} has {info.shape[0]} rows; {rows} are needed")


def _symbols(model: ModelContents) -> dict[str, tuple[int, ...]]:
    most = model.number("config", "num_symbols", 1, _MOST_SYMBOLS) - 1
    table = model.value("config", "phoneme_id_map")
    if not isinstance(table, dict) or not 0 < len(table) <= _MOST_SYMBOLS:
        raise _fault("phoneme_id_map must be a table of symbols")
    found: dict[str, tuple[int, ...]] = {}
    for symbol, numbers in table.items():
        if not 0 < len(symbol) <= 16 or not isinstance(numbers, list) or not 0 < len(numbers) <= 16:
            raise _fault("phoneme_id_map must have a short list of numbers for each symbol")
        if not all(type(number) is int and 0 <= number <= most for number in numbers):
            raise _fault(f"phoneme_id_map has numbers that are not from 0 to {most}")
        found[symbol] = tuple(numbers)
    for symbol in (BEGIN, PAD, END):
        if symbol not in found:
            raise _fault(f"phoneme_id_map has no {symbol!r}")
    return found


def _speakers(model: ModelContents, count: int) -> tuple[str, ...]:
    table = model.value("config", "speaker_id_map") or {}
    if not isinstance(table, dict) or len(table) > count:
        raise _fault("speaker_id_map must be a table with at most num_speakers names")
    names = {number: name for name, number in table.items() if type(number) is int}
    if len(names) != len(table) or not all(0 <= number < count for number in names):
        raise _fault(f"speaker_id_map must give each name a number of its own, below {count}")
    if not all(_SPEAKER_NAME.fullmatch(name) for name in table):
        raise _fault("speaker_id_map has a name that is too long or not printable")
    return tuple(names.get(number, str(number)) for number in range(count))


def _clusters(model: ModelContents) -> frozenset[tuple[str, ...]]:
    listed = model.value("config", "vowel_clusters") or []
    if not isinstance(listed, list) or len(listed) > _MOST_CLUSTERS:
        raise _fault("vowel_clusters must be a list of lists")
    for each in listed:
        is_short = isinstance(each, list) and 1 < len(each) <= 8
        if not is_short or not all(isinstance(part, str) and 0 < len(part) <= 8 for part in each):
            raise _fault("vowel_clusters must be a list of lists of symbols")
    return frozenset(tuple(each) for each in listed)


def _language(model: ModelContents, espeak_voice: str) -> str:
    code = model.value("config", "language.code") or espeak_voice
    if not isinstance(code, str) or not _TAG.fullmatch(code):
        raise _fault("language.code is no language, such as en_US")
    base, *rest = re.split("[_-]", code)
    return "-".join((base, *(part.upper() if len(part) == 2 else part for part in rest)))


def _scale(model: ModelContents, name: str, usual: float) -> float:
    value = model.value("config", f"inference.{name}")
    if value is None:
        return usual
    if type(value) not in (int, float) or not 0.0 <= value <= 4.0:
        raise _fault(f"inference.{name} must be a number from 0 to 4")
    return float(value)


def _fault(what: str) -> UnusableModel:
    return UnusableModel(f"voice.json: {what}")


def _half(role: str) -> ModelFile:
    name = f"{role}.onnx"
    return ModelFile(
        role=role, kind="onnx", name=name, most_bytes=_MOST_BYTES, is_optional=True, made_of="voice"
    )


MODEL_FORMAT = ModelFormat(
    files=(
        ModelFile(
            role="voice",
            kind="onnx",
            name="voice.onnx",
            sources=("*.onnx",),
            most_bytes=_MOST_BYTES,
            # Where the decoder begins, and what a speaker changes in it.
            cut_at=("dec.conv_pre.weight", "dec.cond.weight"),
        ),
        _half("encoder"),
        _half("decoder"),
        ModelFile(role="config", kind="json", name="voice.json", sources=("{main}.json",)),
    ),
    listed_in="voices",
    check=check_piper,
)
