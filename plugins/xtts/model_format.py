"""The files of an XTTS model, and the check of its sizes, which does not need torch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

from plugins.xtts.decoder_sizes import SPEAKER, read_decoder_sizes
from speech_engine.model_files import ModelContents, ModelFacts, ModelFile, ModelFormat, UnusableModel

SAMPLE_HZ = 22_050
"""The rate of the model's recordings."""
RATE_HZ = 24_000
HOP = 256
CODE_SAMPLES = 1024
"""The samples that one code stands for, at SAMPLE_HZ."""
FIRST_CODES, NEXT_CODES = 10, 8
"""The fewest codes for the first and for a later piece of a row's sound. With twenty more, a full batch would
be late. A listener with enough sound gets longer pieces anyway."""
CONTEXT_FRAMES, UNSETTLED_FRAMES = 13, 4
"""The frames of context on each side of a frame, and the last frames, which still change."""
LATENTS = 32
MELS = 80
STUDIO_LATENTS, STUDIO_SPEAKER = "gpt_cond_latent", "speaker_embedding"
"""The names of a voice's tensors in the file of the model's own voices."""

_LETTERS = {"th": "ก", "ar": "ا", "ru": "а", "hi": "क"}
"""A vocabulary without this letter does not know the language, even if the configuration lists it."""

_READING: Mapping[str, tuple[str, ...]] = {
    "normalizer": ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents"),
    "pre_tokenizer": ("Whitespace", "WhitespaceSplit", "BertPreTokenizer", "Punctuation", "Digits"),
    "post_processor": (),
    "padding": (),
    "truncation": (),
}
"""The allowed steps of a vocabulary. Others may run endless patterns or add unknown tokens."""


class Sizes(NamedTuple):
    """The sizes of the language model. `start_text`, `stop_text` and `space` are numbers of tokens."""

    layers: int
    dim: int
    heads: int
    most_codes: int
    most_text: int
    most_prompt: int
    codes: int
    start_code: int
    stop_code: int
    vocabulary: int
    start_text: int
    stop_text: int
    space: int


def read_sizes(model: ModelContents) -> Sizes:
    """Return the sizes that the configuration and the vocabulary name. Raise UnusableModel."""

    def number(name: str, least: int, most: int) -> int:
        return model.number("config", f"model_args.gpt_{name}", least, most)

    vocabulary = token_ids(model)
    codes = number("num_audio_tokens", 3, 1 << 16)
    sizes = Sizes(
        layers=number("layers", 1, 128),
        dim=number("n_model_channels", 8, 4096),
        heads=number("n_heads", 1, 128),
        most_codes=number("max_audio_tokens", 16, 8192),
        most_text=number("max_text_tokens", 16, 8192),
        most_prompt=number("max_prompt_tokens", 1, 1024),
        codes=codes,
        start_code=number("start_audio_token", 0, codes - 1),
        stop_code=number("stop_audio_token", 0, codes - 1),
        vocabulary=max(vocabulary.values()) + 1,
        start_text=_token(vocabulary, "[START]"),
        stop_text=_token(vocabulary, "[STOP]"),
        space=_token(vocabulary, "[SPACE]"),
    )
    if sizes.dim % sizes.heads:
        raise UnusableModel("config.json: gpt_n_model_channels cannot be divided by gpt_n_heads")
    return sizes


def token_ids(model: ModelContents) -> dict[str, int]:
    """Return the vocabulary: each token with its number. Raise UnusableModel."""
    content = model.json("vocabulary")
    found: dict[str, Any] = {}
    try:
        found.update(content["model"]["vocab"])
        found.update({each["content"]: each["id"] for each in content.get("added_tokens", ())})
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UnusableModel("vocab.json: it is not a vocabulary of the tokenizers library") from None
    if not found or not all(type(number) is int and 0 <= number < 1 << 20 for number in found.values()):
        raise UnusableModel("vocab.json: the numbers of its tokens make no sense")
    return found


def spoken_languages(model: ModelContents) -> tuple[str, ...]:
    """Return the configuration's languages that the vocabulary knows, by the model's own names."""
    known = token_ids(model)
    return tuple(
        language
        for language in model.strings("config", "languages")
        if f"[{language}]" in known and _LETTERS.get(language, "[STOP]") in known
    )


def check_xtts(model: ModelContents) -> ModelFacts:
    """Compare the tensors' shapes with the configuration and the vocabulary. Raise UnusableModel."""
    if model.value("config", "model_args.gpt_use_perceiver_resampler") is not True:
        raise UnusableModel("config.json: this is no XTTS-v2 model; version 1 is not supported")
    for name, fixed in (
        ("input_sample_rate", SAMPLE_HZ),
        ("output_sample_rate", RATE_HZ),
        ("output_hop_length", HOP),
        ("gpt_code_stride_len", CODE_SAMPLES),
        ("d_vector_dim", SPEAKER),
    ):
        model.number("config", f"model_args.{name}", fixed, fixed)
    sizes = read_sizes(model)
    _check_reading(model)
    languages = spoken_languages(model)
    if not languages:
        raise UnusableModel("vocab.json: it knows none of the languages in config.json")
    _check_language_model(model, sizes)
    read_decoder_sizes(model, sizes.dim)
    model.expect("weights", "mel_stats", (MELS,))
    studio_voices(model, sizes.dim)
    tags = tuple(bcp47_of(language) for language in languages)
    # 32 rows of a thousand positions, and the memory of one step.
    positions = 32 * 1024
    return ModelFacts(languages=tags, extra_gb=0.5 + positions * 2 * sizes.layers * sizes.dim * 4 / 1e9)


def studio_voices(model: ModelContents, dim: int) -> dict[str, str]:
    """Return the voices that come with a model: their names by their ids. Raise UnusableModel."""
    tensors = model.tensors("speakers") if model.has("speakers") else ()
    names = dict.fromkeys(tensor.rpartition(".")[0] for tensor in tensors)
    for name in names:
        model.expect("speakers", f"{name}.{STUDIO_LATENTS}", (1, LATENTS, dim))
        model.expect("speakers", f"{name}.{STUDIO_SPEAKER}", (1, SPEAKER, 1))
    return {_id_of(name): name for name in names}


def _id_of(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.replace("ı", "i")).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-") or name


def bcp47_of(language: str) -> str:
    """Return the tag for the model's own name of a language."""
    return "zh" if language == "zh-cn" else language


def _check_language_model(model: ModelContents, sizes: Sizes) -> None:
    dim = sizes.dim
    shapes: Mapping[str, tuple[int | None, ...]] = {
        "text_embedding.weight": (sizes.vocabulary, dim),
        "text_head.weight": (sizes.vocabulary, dim),
        "mel_embedding.weight": (sizes.codes, dim),
        "mel_head.weight": (sizes.codes, dim),
        "mel_pos_embedding.emb.weight": (sizes.most_codes + 3, dim),
        "text_pos_embedding.emb.weight": (sizes.most_text + 2, dim),
        "conditioning_perceiver.latents": (LATENTS, dim),
        "final_norm.weight": (dim,),
        **{f"gpt.h.{layer}.attn.c_attn.weight": (dim, 3 * dim) for layer in range(sizes.layers)},
        **{f"gpt.h.{layer}.mlp.c_fc.weight": (dim, 4 * dim) for layer in range(sizes.layers)},
        **{f"conditioning_encoder.attn.{layer}.qkv.weight": (3 * dim, dim, 1) for layer in range(6)},
        "conditioning_encoder.init.weight": (dim, MELS, 1),
    }
    for name, shape in shapes.items():
        model.expect("weights", f"gpt.{name}", shape)
    if f"gpt.gpt.h.{sizes.layers}.attn.c_attn.weight" in model.tensors("weights"):
        raise UnusableModel(f"config.json: gpt_layers is {sizes.layers}, but model.safetensors has more")


def _check_reading(model: ModelContents) -> None:
    """Raise UnusableModel for a vocabulary with steps that XTTS does not have."""
    content = model.json("vocabulary")
    for part, known in _READING.items():
        for type_ in _types_in(content.get(part)):
            if type_ not in known:
                rule = f"be {' or '.join(known)}" if known else "not be there"
                raise UnusableModel(f"vocab.json: its {part} must {rule}; it is {str(type_)[:40]!r}")
    if content["model"].get("type", "BPE") != "BPE" or content["model"].get("dropout"):
        raise UnusableModel("vocab.json: its model must be BPE, without dropout")


def _types_in(part: Any) -> list[Any]:
    """Return the type of a part of a vocabulary, or all types of a sequence."""
    if part is None:
        return []
    if not isinstance(part, dict):
        return [part]
    members = part.get("normalizers", part.get("pretokenizers")) if part.get("type") == "Sequence" else None
    if not isinstance(members, list):
        return [part.get("type")]
    return [each.get("type") if isinstance(each, dict) else each for each in members]


def _token(vocabulary: Mapping[str, int], token: str) -> int:
    if token not in vocabulary:
        raise UnusableModel(f"vocab.json: it has no token {token}")
    return vocabulary[token]


MODEL_FORMAT = ModelFormat(
    files=(
        ModelFile(
            role="weights",
            kind="tensors",
            name="model.safetensors",
            sources=("model.safetensors", "model.pth", "best_model.pth", "best_model_*.pth"),
            roots=("model", ""),
            strip=("xtts.",),
            # A second copy of the language model's layers, and tensors that only training needs.
            ignore=("dvae.", "torch_mel_spectrogram_", "gpt.gpt_inference.", "gpt.gpt.wte."),
            stand_ins=(
                "TTS.tts.configs.xtts_config.XttsConfig",
                "TTS.tts.configs.xtts_config.XttsArgs",
                "TTS.tts.configs.xtts_config.XttsAudioConfig",
                # Where earlier releases had them.
                "TTS.tts.models.xtts.XttsArgs",
                "TTS.tts.models.xtts.XttsAudioConfig",
                "TTS.config.shared_configs.BaseDatasetConfig",
            ),
        ),
        ModelFile(role="config", kind="json", name="config.json"),
        ModelFile(role="vocabulary", kind="json", name="vocab.json"),
        ModelFile(
            role="speakers",
            kind="tensors",
            name="speakers.safetensors",
            sources=("speakers_xtts.pth", "speakers.safetensors"),
            is_optional=True,
            most_bytes=256 * 1024**2,
        ),
    ),
    names_models=True,
    check=check_xtts,
)
