"""The networks of an XTTS model, built from its folder after a check of their sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import plugins.xtts.boot  # noqa: F401 - before TTS

# isort: split
import torch
from TTS.encoder.models.resnet import ResNetSpeakerEncoder
from TTS.tts.layers.xtts.gpt import GPT
from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder

from plugins.xtts.decoder_sizes import SPEAKER, DecoderSizes, read_decoder_sizes
from plugins.xtts.model_format import MODEL_FORMAT, SAMPLE_HZ, Sizes, read_sizes, spoken_languages
from speech_engine.host.weights import fill, read_tensors
from speech_engine.model_files import FolderContents, ModelContents, UnusableModel, check_model

Progress = Callable[[float, str], None]

_KNOWN_EXTRAS = ("gpt.gpt_inference.", "gpt.gpt.wte.")
"""Second names of tensors in the same file."""


class Sampling(NamedTuple):
    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float


class Conditioning(NamedTuple):
    """The use of recordings: `recording_s` of each, and `gpt_s` of all together in chunks of `chunk_s`. With
    `raises_level`, each recording is brought to the same peak."""

    gpt_s: int
    chunk_s: int
    recording_s: int
    raises_level: bool


class Checkpoint(NamedTuple):
    """A model in memory. `languages` are the model's own names."""

    gpt: Any
    decoder: Any
    mel_stats: Any
    sizes: Sizes
    sampling: Sampling
    conditioning: Conditioning
    languages: tuple[str, ...]
    vocabulary: Path


def load_checkpoint(folder: Path, device: str, progress: Progress) -> Checkpoint:
    """Read a model. Raise UnusableModel with the fault of its files."""
    progress(0.0, "checking the model")
    check_model(MODEL_FORMAT, folder)
    contents = FolderContents(MODEL_FORMAT.files, folder)
    sizes = read_sizes(contents)
    progress(0.1, "building the networks")
    gpt, decoder = _language_model(sizes), _decoder(sizes.dim, read_decoder_sizes(contents, sizes.dim))
    progress(0.4, "reading the weights")
    tensors = read_tensors(folder / "model.safetensors")
    _fill(gpt, tensors, "gpt.")
    _fill(decoder, tensors, "hifigan_decoder.")
    progress(0.8, f"moving the model to {device}")
    # Multiply the weights by their norms once, and not at each chunk of speech.
    for module in decoder.waveform_decoder.modules():
        if torch.nn.utils.parametrize.is_parametrized(module, "weight"):
            torch.nn.utils.parametrize.remove_parametrizations(module, "weight")
    return Checkpoint(
        gpt=gpt.eval().requires_grad_(False).to(device),
        decoder=decoder.eval().requires_grad_(False).to(device),
        mel_stats=tensors["mel_stats"],
        sizes=sizes,
        sampling=_sampling(contents),
        conditioning=_conditioning(contents),
        languages=spoken_languages(contents),
        vocabulary=folder / "vocab.json",
    )


def _language_model(sizes: Sizes) -> Any:
    return GPT(
        layers=sizes.layers,
        model_dim=sizes.dim,
        heads=sizes.heads,
        start_text_token=sizes.start_text,
        stop_text_token=sizes.stop_text,
        max_text_tokens=sizes.most_text,
        max_mel_tokens=sizes.most_codes,
        max_prompt_tokens=sizes.most_prompt,
        number_text_tokens=sizes.vocabulary,
        num_audio_tokens=sizes.codes,
        start_audio_token=sizes.start_code,
        stop_audio_token=sizes.stop_code,
        use_perceiver_resampler=True,
    )


def _decoder(dim: int, sizes: DecoderSizes) -> Any:
    decoder = HifiDecoder(
        decoder_input_dim=dim,
        resblock_kernel_sizes_decoder=list(sizes.kernels),
        resblock_dilation_sizes_decoder=[[1, 3, 5] for _ in sizes.kernels],
        upsample_initial_channel_decoder=sizes.channels,
    )
    decoder.speaker_encoder = ResNetSpeakerEncoder(
        input_dim=64,
        proj_dim=SPEAKER,
        log_input=True,
        use_torch_spec=True,
        audio_config=decoder.speaker_encoder_audio_config,
        layers=list(sizes.blocks),
        num_filters=list(sizes.filters),
    )
    return decoder


def _fill(network: Any, tensors: Mapping[str, Any], prefix: str) -> None:
    own = {
        name.removeprefix(prefix): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix) and not name.startswith(_KNOWN_EXTRAS)
    }
    fill(network, own, "model.safetensors")


def _sampling(contents: ModelContents) -> Sampling:
    return Sampling(
        temperature=_bounded(contents, "temperature", 0.75, 0.01, 10.0),
        top_k=int(_bounded(contents, "top_k", 50, 1, 10_000)),
        top_p=_bounded(contents, "top_p", 0.85, 0.001, 1.0),
        repetition_penalty=_bounded(contents, "repetition_penalty", 10.0, 0.1, 100.0),
    )


def _conditioning(contents: ModelContents) -> Conditioning:
    gpt_s = int(_bounded(contents, "gpt_cond_len", 30, 1, 600))
    return Conditioning(
        gpt_s=gpt_s,
        chunk_s=min(gpt_s, int(_bounded(contents, "gpt_cond_chunk_len", 4, 1, 60))),
        recording_s=int(_bounded(contents, "max_ref_len", 30, 1, 600)),
        raises_level=contents.value("config", "sound_norm_refs") is True,
    )


def _bounded(contents: ModelContents, name: str, default: float, least: float, most: float) -> float:
    value = contents.value("config", name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UnusableModel(f"config.json: {name} must be a number from {least} to {most}")
    return float(value)


__all__ = ["SAMPLE_HZ", "Checkpoint", "Conditioning", "Sampling", "load_checkpoint"]
