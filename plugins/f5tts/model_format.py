"""The files of an F5-TTS model, and the check of its sizes before a network is built. It does not need torch.

A checkpoint's `config.yaml` is not read, because the sizes follow from the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from speech_engine.model_files import ModelContents, ModelFacts, ModelFile, ModelFormat, UnusableModel

RATE_HZ = 24_000
HOP = 256
FRAMES_A_SECOND = RATE_HZ / HOP
MELS = 100
MOST_S = 30.0
"""The longest sound of the training: a recording and the text after it."""
SAMPLE_S = (3.0, 12.0)

STEPS = {"": 16, "-turbo": 7, "-hd": 32}
"""The number of steps of a checkpoint's models, by the ends of their names."""

V0_SIGN = "mel_spec."
"""The names of tensors that only code of v0 wrote. They are not needed."""

_FFT = 1024
_KERNEL = 7
_FREQUENCIES = 256
"""The width of the embedding of a moment, before the network's own layers."""
_GROUPS = 16
_LETTERS = {
    "th": tuple("กคชดบพมลแเ"),
    "ar": tuple("ابتم"),
    "ru": tuple("абвг"),
    "uk": tuple("абвг"),
    "el": tuple("αβγ"),
    "he": tuple("אבג"),
    "hi": tuple("कतनम"),
    "ja": tuple("のには"),
    "ko": tuple("이다는"),
    "vi": tuple("ạếđ"),
    "yo": tuple("ẹọṣ"),
    "zh": ("ni3", "hao3"),
}
"""Letters that a vocabulary for a language has; for other languages it is an "a". Every vocabulary has some
letters of most scripts: that of the published model has half of the Thai ones."""


class Sizes(NamedTuple):
    """The sizes of the network that makes spectrograms. `head` is the width of one head. With `has_norms`,
    queries and keys are normalised."""

    vocabulary: int
    dim: int
    layers: int
    heads: int
    head: int
    inner: int
    text_dim: int
    text_layers: int
    has_norms: bool
    has_skip: bool


class VocoderSizes(NamedTuple):
    dim: int
    inner: int
    layers: int


def read_sizes(model: ModelContents) -> Sizes:
    """Return the sizes by the tensors and the vocabulary. Raise UnusableModel."""
    tensors = model.tensors("weights")
    if not any(name.startswith("transformer.transformer_blocks.") for name in tensors):
        raise UnusableModel("model.safetensors: it is no F5-TTS model: it has no transformer_blocks")
    block = "transformer.transformer_blocks.0."
    rows, text_dim = _shape(model, "transformer.text_embed.text_embed.weight", 2)
    _, dim = _shape(model, "transformer.proj_out.weight", 2)
    inner, _ = _shape(model, f"{block}attn.to_q.weight", 2)
    head = 2 * _shape(model, "transformer.rotary_embed.inv_freq", 1)[0]
    sizes = Sizes(
        vocabulary=len(read_vocabulary(model)),
        dim=_within("dim", dim, 16, 4096),
        layers=_within("layers", _count(tensors, "transformer.transformer_blocks."), 1, 128),
        heads=_within("heads", inner // head, 1, 128),
        head=_within("width of a head", head, 4, 512),
        inner=_within("inner width", _shape(model, f"{block}ff.ff.0.0.weight", 2)[0], 16, 32_768),
        text_dim=_within("text width", text_dim, 8, 4096),
        text_layers=_within("text layers", _count(tensors, "transformer.text_embed.text_blocks."), 0, 64),
        has_norms=f"{block}attn.q_norm.weight" in tensors,
        has_skip="transformer.long_skip_connection.weight" in tensors,
    )
    if rows != sizes.vocabulary + 1:
        raise UnusableModel(
            f"vocab.txt: it has {sizes.vocabulary:,} lines, but the model has {rows - 1:,} characters: "
            "take the vocab.txt with which it was trained"
        )
    if sizes.dim % _GROUPS or inner % head or sizes.inner % sizes.dim or sizes.text_dim % 2:
        raise UnusableModel("model.safetensors: its widths do not fit each other")
    return sizes


def read_vocabulary(model: ModelContents) -> dict[str, int]:
    """Return each character with its number: the line on which it stands. Raise UnusableModel."""
    # Some editors begin a text with a byte order mark.
    lines = model.text("vocabulary").removeprefix("\ufeff").split("\n")
    if lines[-1] == "":
        del lines[-1]
    numbers = {line: number for number, line in enumerate(lines)}
    if len(numbers) != len(lines) or " " not in numbers or len(lines) > 1 << 20:
        raise UnusableModel("vocab.txt: it must have one character on each line, no two alike, and a space")
    return numbers


def stated_version(model: ModelContents) -> str:
    """Return the version by the tensors, or "", as for most models. Raise UnusableModel."""
    tensors = model.tensors("weights")
    if any(name.startswith(V0_SIGN) for name in tensors):
        return "v0"
    return "v1" if "transformer.transformer_blocks.0.attn.q_norm.weight" in tensors else ""


def read_vocoder_sizes(model: ModelContents) -> VocoderSizes:
    tensors = model.tensors("vocoder")
    if "backbone.embed.weight" not in tensors:
        raise UnusableModel("vocos.safetensors: these are not the weights of Vocos (vocos-mel-24khz)")
    found = model.expect("vocoder", "backbone.embed.weight", (None, MELS, _KERNEL))
    inner = model.expect("vocoder", "backbone.convnext.0.pwconv1.weight", (None, None))
    sizes = VocoderSizes(
        dim=_within("width of Vocos", found.shape[0], 8, 4096),
        inner=_within("inner width of Vocos", inner.shape[0], 8, 16_384),
        layers=_within("layers of Vocos", _count(tensors, "backbone.convnext."), 1, 64),
    )
    for layer in range(sizes.layers):
        model.expect("vocoder", f"backbone.convnext.{layer}.pwconv1.weight", (sizes.inner, sizes.dim))
        model.expect("vocoder", f"backbone.convnext.{layer}.pwconv2.weight", (sizes.dim, sizes.inner))
    model.expect("vocoder", "head.out.weight", (_FFT + 2, sizes.dim))
    model.expect("vocoder", "head.istft.window", (_FFT,))
    return sizes


def written_languages(tags: tuple[str, ...], vocabulary: Mapping[str, int]) -> tuple[str, ...]:
    """Return the languages that a vocabulary can write."""
    return tuple(
        tag for tag in tags if vocabulary.keys() >= set(_LETTERS.get(tag.split("-")[0].lower(), ("a",)))
    )


def check_f5(model: ModelContents) -> ModelFacts:
    """Compare the tensors' shapes with one another and with the vocabulary. Raise UnusableModel."""
    sizes = read_sizes(model)
    dim, text = sizes.dim, "transformer.text_embed.text_blocks."
    shapes: Mapping[str, tuple[int | None, ...]] = {
        "transformer.proj_out.weight": (MELS, dim),
        "transformer.input_embed.proj.weight": (dim, 2 * MELS + sizes.text_dim),
        "transformer.input_embed.conv_pos_embed.conv1d.0.weight": (dim, dim // _GROUPS, 31),
        "transformer.time_embed.time_mlp.0.weight": (dim, _FREQUENCIES),
        "transformer.norm_out.linear.weight": (2 * dim, dim),
        **{f"{text}{layer}.pwconv1.weight": (None, sizes.text_dim) for layer in range(sizes.text_layers)},
    }
    for layer in range(sizes.layers):
        block = f"transformer.transformer_blocks.{layer}."
        shapes = {
            **shapes,
            f"{block}attn_norm.linear.weight": (6 * dim, dim),
            **{f"{block}attn.to_{part}.weight": (sizes.heads * sizes.head, dim) for part in "qkv"},
            f"{block}ff.ff.0.0.weight": (sizes.inner, dim),
        }
    for name, shape in shapes.items():
        model.expect("weights", name, shape)
    read_vocoder_sizes(model)
    # Beside the weights: 64 seconds in a step, with and without the text, in a dozen places of a layer.
    frames = 2 * 64 * FRAMES_A_SECOND
    return ModelFacts(extra_gb=0.5 + 12 * frames * max(sizes.inner, 3 * dim) * 4 / 1e9)


def _shape(model: ModelContents, name: str, dimensions: int) -> tuple[int, ...]:
    return model.expect("weights", name, (None,) * dimensions).shape


def _count(names: Mapping[str, object], prefix: str) -> int:
    beginning = re.compile(re.escape(prefix) + r"(\d{1,4})\.")
    found = [int(match[1]) for name in names if (match := beginning.match(name))]
    return max(found, default=-1) + 1


def _within(what: str, number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise UnusableModel(
            f"its tensors tell an absurd {what}: {number:,}; {least} to {most:,} are possible"
        )
    return number


MODEL_FORMAT = ModelFormat(
    files=(
        ModelFile(
            role="weights",
            kind="tensors",
            name="model.safetensors",
            sources=("model.safetensors", "model_*.safetensors", "model.pt", "model_*.pt"),
            roots=("ema_model_state_dict", ""),
            strip=("ema_model.",),
            # Only training needs these.
            ignore=("initted", "step"),
        ),
        ModelFile(role="vocabulary", kind="text", name="vocab.txt"),
        ModelFile(
            role="vocoder",
            kind="tensors",
            name="vocos.safetensors",
            sources=("vocos.safetensors", "vocos.pt", "vocos.bin", "pytorch_model.bin"),
            ignore=("feature_extractor.",),
            most_bytes=1024**3,
        ),
    ),
    names_models=True,
    variants=tuple(STEPS),
    check=check_f5,
)
