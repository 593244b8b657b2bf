"""An XTTS model with random weights: `python -m tests.plugins.xtts.tiny FOLDER [KIND…]`, where torch is.

A KIND is `thai`, `pickled`, or `speakers`: with voices of its own, as coqui-tts keeps them.

The tiny one has every part of a real one, in 3 MB. What it says is noise. Benches make one of full size.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import plugins.xtts.boot  # noqa: F401 - before TTS

# isort: split
import torch
from safetensors.torch import save_file
from TTS.config.shared_configs import BaseDatasetConfig
from TTS.encoder.models.resnet import ResNetSpeakerEncoder
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.layers.xtts.gpt import GPT
from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder

LANGUAGES = [
    "en",
    "es",
    "fr",
    "de",
    "it",
    "pt",
    "pl",
    "tr",
    "ru",
    "nl",
    "cs",
    "ar",
    "zh-cn",
    "hu",
    "ko",
    "ja",
    "hi",
]
THAI = "กขคงจชซดตถทนบปผพฟมยรลวสหอฮะาิีึืุูเแโใไำ่้๊๋์ั็"


class ModelSize(NamedTuple):
    """How large a random model is. `tokens` is the least number in its vocabulary."""

    layers: int
    dim: int
    heads: int
    codes: int
    most_codes: int
    most_text: int
    tokens: int
    kernels: tuple[int, ...]
    channels: int
    speaker_layers: tuple[int, ...]
    speaker_filters: tuple[int, ...]


TINY = ModelSize(2, 64, 2, 66, 120, 202, 0, (3,), 32, (1, 1, 1, 1), (8, 8, 8, 16))
FULL = ModelSize(30, 1024, 16, 1026, 605, 402, 6681, (3, 7, 11), 512, (3, 4, 6, 3), (32, 64, 128, 256))
"""The sizes of the published XTTS-v2: its language model has 441 million numbers."""


def write_model(
    folder: Path,
    *,
    is_thai: bool = False,
    is_pickled: bool = False,
    has_speakers: bool = False,
    size: ModelSize = TINY,
) -> Path:
    """Write a model of this size, and return its folder; also as coqui-tts pickles one, if `is_pickled`."""
    folder.mkdir(parents=True, exist_ok=True)
    languages = [*LANGUAGES, "th"] if is_thai else LANGUAGES
    vocabulary = _vocabulary(languages, THAI if is_thai else "", size.tokens)
    tokens = vocabulary["model"]["vocab"]
    sizes = {
        "gpt_layers": size.layers,
        "gpt_n_model_channels": size.dim,
        "gpt_n_heads": size.heads,
        "gpt_max_audio_tokens": size.most_codes,
        "gpt_max_text_tokens": size.most_text,
        "gpt_max_prompt_tokens": 70,
        "gpt_num_audio_tokens": size.codes,
        "gpt_start_audio_token": size.codes - 2,
        "gpt_stop_audio_token": size.codes - 1,
        "gpt_code_stride_len": 1024,
        "gpt_use_perceiver_resampler": True,
        "input_sample_rate": 22050,
        "output_sample_rate": 24000,
        "output_hop_length": 256,
        "decoder_input_dim": size.dim,
        "d_vector_dim": 512,
    }
    config = {"model": "xtts", "languages": languages, "model_args": sizes, "top_k": 50, "top_p": 0.85}
    config |= {"temperature": 0.75, "repetition_penalty": 10.0, "gpt_cond_len": 12, "gpt_cond_chunk_len": 4}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    tensors = _tensors(tokens, size)
    save_file(tensors, folder / "model.safetensors")
    speakers = {
        name: {"gpt_cond_latent": torch.randn(1, 32, size.dim), "speaker_embedding": torch.randn(1, 512, 1)}
        for name in ("Ana Florence", "Camilla Holmström")
    }
    if has_speakers:
        torch.save(speakers, folder / "speakers_xtts.pth")
    if is_pickled:
        torch.save({"config": _coqui_config(folder), "model": tensors, "step": 1}, folder / "model.pth")
    return folder


def _coqui_config(folder: Path) -> XttsConfig:
    config = XttsConfig(datasets=[BaseDatasetConfig(formatter="coqui")])
    config.load_json(str(folder / "config.json"))
    return config


def _vocabulary(languages: list[str], more: str, least: int) -> dict[str, Any]:
    special = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{each}]" for each in languages), "[START]"]
    letters = [chr(code) for code in range(33, 127)] + list("áàâãäåçéèêëíîïñóôõöúüýāœß") + list(more)
    tokens = {token: number for number, token in enumerate(dict.fromkeys(special + letters))}
    tokens |= {f"[unused{number}]": number for number in range(len(tokens), least)}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "added_tokens": [{"id": tokens[each], "content": each, "special": True, **flags} for each in special],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": tokens, "merges": []},
    }


def _tensors(tokens: dict[str, int], size: ModelSize) -> dict[str, Any]:
    torch.manual_seed(0)
    gpt = GPT(
        layers=size.layers,
        model_dim=size.dim,
        heads=size.heads,
        start_text_token=tokens["[START]"],
        stop_text_token=tokens["[STOP]"],
        max_text_tokens=size.most_text,
        max_mel_tokens=size.most_codes,
        max_prompt_tokens=70,
        number_text_tokens=len(tokens),
        num_audio_tokens=size.codes,
        start_audio_token=size.codes - 2,
        stop_audio_token=size.codes - 1,
        use_perceiver_resampler=True,
    )
    decoder = HifiDecoder(
        decoder_input_dim=size.dim,
        resblock_kernel_sizes_decoder=list(size.kernels),
        resblock_dilation_sizes_decoder=[[1, 3, 5] for _ in size.kernels],
        upsample_initial_channel_decoder=size.channels,
    )
    decoder.speaker_encoder = ResNetSpeakerEncoder(
        input_dim=64,
        proj_dim=512,
        log_input=True,
        use_torch_spec=True,
        audio_config=decoder.speaker_encoder_audio_config,
        layers=list(size.speaker_layers),
        num_filters=list(size.speaker_filters),
    )
    # As they are made, all codes are about as likely, and the small vocoder is nearly silent.
    louder = 2.0 if size.channels == TINY.channels else 1.0
    torch.nn.init.normal_(gpt.mel_head.weight, std=0.3)
    torch.nn.init.normal_(gpt.mel_head.bias, std=0.3)
    gpt.mel_head.bias.data[size.codes - 1] = -1.0
    for part in decoder.waveform_decoder.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            for parameter in part.parameters():
                parameter.data.mul_(louder)
    named = {f"gpt.{name}": value for name, value in gpt.state_dict().items()}
    named |= {f"hifigan_decoder.{name}": value for name, value in decoder.state_dict().items()}
    named["mel_stats"] = torch.ones(80)
    return {name: value.clone().contiguous() for name, value in named.items()}


if __name__ == "__main__":
    kinds = sys.argv[2:]
    write_model(
        Path(sys.argv[1]),
        is_thai="thai" in kinds,
        is_pickled="pickled" in kinds,
        has_speakers="speakers" in kinds,
    )
