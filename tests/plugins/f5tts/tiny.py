"""A random F5-TTS model: `python -m tests.plugins.f5tts.tiny FOLDER [thai] [pickled]`, where torch is.

The tiny one has every part of a real one, in 2 MB. What it says is noise. Benches make one of full size.
"""

import string
import sys
from pathlib import Path
from typing import Any, NamedTuple

import plugins.f5tts.boot  # noqa: F401 - before f5_tts and vocos

# isort: split
import torch
from safetensors.torch import save_file

from plugins.f5tts.checkpoint import Vocoder, build_network
from plugins.f5tts.model_format import Sizes, VocoderSizes

THAI = "".join(chr(code) for code in range(0x0E01, 0x0E4F) if not 0x0E3B <= code <= 0x0E3F)
LETTERS = string.ascii_letters + string.digits + ".,;:!?'\"()-" + "áàâãçéêíóôõúñüÁÉÍÓÚÇÃ¿¡"


class ModelSize(NamedTuple):
    """How large a random model is. `characters` is the least number in its vocabulary."""

    dim: int
    layers: int
    head: int
    text_dim: int
    text_layers: int
    characters: int
    vocoder_dim: int
    vocoder_layers: int


TINY = ModelSize(64, 2, 32, 32, 2, 0, 32, 2)
FULL = ModelSize(1024, 22, 64, 512, 4, 2545, 512, 8)
"""The sizes of the published F5TTS_v1_Base, whose network has 337 million numbers, and of vocos-mel-24khz."""


def write_model(
    folder: Path,
    *,
    is_thai: bool = False,
    is_pickled: bool = False,
    version: str = "v1",
    size: ModelSize = TINY,
) -> Path:
    """Write a model of this size, and return its folder; also as the project pickles one, if `is_pickled`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    characters = list(dict.fromkeys([" ", *LETTERS, *(THAI if is_thai else ""), "ni3", "hao3"]))
    characters += [f"x{number}" for number in range(len(characters), size.characters)]
    (folder / "vocab.txt").write_text("".join(f"{each}\n" for each in characters), encoding="utf-8")
    network = _filled(_network(size, len(characters), version))
    vocoder = _filled(Vocoder(VocoderSizes(size.vocoder_dim, 3 * size.vocoder_dim, size.vocoder_layers)))
    # As it is made, the small one is nearly silent.
    vocoder.head.out.weight.data.mul_(6.0)
    tensors = {f"ema_model.transformer.{name}": value for name, value in network.state_dict().items()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model_1.safetensors")
    sound = {name: value.contiguous() for name, value in vocoder.state_dict().items()}
    save_file(sound, folder / "vocos.safetensors")
    if is_pickled:
        state = {**tensors, "initted": torch.tensor(True), "step": torch.tensor(1)}
        torch.save({"ema_model_state_dict": state}, folder / "model_1.pt")
        torch.save(vocoder.state_dict(), folder / "vocos.bin")
    return folder


def _network(size: ModelSize, characters: int, version: str) -> Any:
    sizes = Sizes(
        vocabulary=characters,
        dim=size.dim,
        layers=size.layers,
        heads=size.dim // size.head,
        head=size.head,
        inner=2 * size.dim,
        text_dim=size.text_dim,
        text_layers=size.text_layers,
        has_norms=False,
        has_skip=False,
    )
    return build_network(sizes, version)


def _filled(network: Any) -> Any:
    """Give numbers to what is made as zeros alone: with these, a network would answer with its question."""
    for name, parameter in network.named_parameters():
        if ".grn." in name:
            # In a trained model they may be large, and padding would then count for much.
            torch.nn.init.normal_(parameter, std=1.0)
        elif not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


if __name__ == "__main__":
    write_model(Path(sys.argv[1]), is_thai="thai" in sys.argv[2:], is_pickled="pickled" in sys.argv[2:])
