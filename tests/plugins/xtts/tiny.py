"""A tiny XTTS model with random weights: `python -m tests.plugins.xtts.tiny FOLDER [thai]`, where torch is.

It has every part of a real one, in 3 MB. What it says is noise.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import plugins.xtts.boot  # noqa: F401 - before TTS

# isort: split
import torch
from safetensors.torch import save_file
from TTS.encoder.models.resnet import ResNetSpeakerEncoder
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
DIM, CODES = 64, 66


def write_model(folder: Path, *, is_thai: bool = False, most_codes: int = 120) -> Path:
    """Write a model of its own sizes, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    languages = [*LANGUAGES, "th"] if is_thai else LANGUAGES
    vocabulary = _vocabulary(languages, THAI if is_thai else "")
    tokens = vocabulary["model"]["vocab"]
    sizes = {
        "gpt_layers": 2,
        "gpt_n_model_channels": DIM,
        "gpt_n_heads": 2,
        "gpt_max_audio_tokens": most_codes,
        "gpt_max_text_tokens": 202,
        "gpt_max_prompt_tokens": 70,
        "gpt_num_audio_tokens": CODES,
        "gpt_start_audio_token": CODES - 2,
        "gpt_stop_audio_token": CODES - 1,
        "gpt_code_stride_len": 1024,
        "gpt_use_perceiver_resampler": True,
        "input_sample_rate": 22050,
        "output_sample_rate": 24000,
        "output_hop_length": 256,
        "decoder_input_dim": DIM,
        "d_vector_dim": 512,
    }
    config = {"model": "xtts", "languages": languages, "model_args": sizes, "top_k": 50, "top_p": 0.85}
    config |= {"temperature": 0.75, "repetition_penalty": 10.0, "gpt_cond_len": 12, "gpt_cond_chunk_len": 4}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    save_file(_tensors(len(tokens), tokens, most_codes), folder / "model.safetensors")
    return folder


def _vocabulary(languages: list[str], more: str) -> dict[str, Any]:
    special = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{each}]" for each in languages), "[START]"]
    letters = [chr(code) for code in range(33, 127)] + list("áàâãäåçéèêëíîïñóôõöúüýāœß") + list(more)
    tokens = {token: number for number, token in enumerate(dict.fromkeys(special + letters))}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "added_tokens": [{"id": tokens[each], "content": each, "special": True, **flags} for each in special],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": tokens, "merges": []},
    }


def _tensors(vocabulary: int, tokens: dict[str, int], most_codes: int) -> dict[str, Any]:
    torch.manual_seed(0)
    gpt = GPT(
        layers=2,
        model_dim=DIM,
        heads=2,
        start_text_token=tokens["[START]"],
        stop_text_token=tokens["[STOP]"],
        max_text_tokens=202,
        max_mel_tokens=most_codes,
        max_prompt_tokens=70,
        number_text_tokens=vocabulary,
        num_audio_tokens=CODES,
        start_audio_token=CODES - 2,
        stop_audio_token=CODES - 1,
        use_perceiver_resampler=True,
    )
    decoder = HifiDecoder(
        decoder_input_dim=DIM,
        resblock_kernel_sizes_decoder=[3],
        resblock_dilation_sizes_decoder=[[1, 3, 5]],
        upsample_initial_channel_decoder=32,
    )
    decoder.speaker_encoder = ResNetSpeakerEncoder(
        input_dim=64,
        proj_dim=512,
        log_input=True,
        use_torch_spec=True,
        audio_config=decoder.speaker_encoder_audio_config,
        layers=[1, 1, 1, 1],
        num_filters=[4, 8, 8, 16],
    )
    # As they are made, all codes are about as likely, and the vocoder is nearly silent.
    torch.nn.init.normal_(gpt.mel_head.weight, std=0.3)
    torch.nn.init.normal_(gpt.mel_head.bias, std=0.3)
    gpt.mel_head.bias.data[CODES - 1] = -1.0
    for part in decoder.waveform_decoder.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            for parameter in part.parameters():
                parameter.data.mul_(2.0)
    named = {f"gpt.{name}": value for name, value in gpt.state_dict().items()}
    named |= {f"hifigan_decoder.{name}": value for name, value in decoder.state_dict().items()}
    named["mel_stats"] = torch.ones(80)
    return {name: value.clone().contiguous() for name, value in named.items()}


if __name__ == "__main__":
    write_model(Path(sys.argv[1]), is_thai="thai" in sys.argv[2:])
