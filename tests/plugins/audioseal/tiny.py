"""An AudioSeal model with random weights: `python -m tests.plugins.audioseal.tiny FOLDER [pickles]`.

The tiny one has every part of the real one, in 600 KB. It marks, but nothing is found. `pickles` are as the
makers publish theirs: older names, norms apart from the weights, and settings of omegaconf beside them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from plugins.audioseal.model_format import FIXED, NetworkSizes
from plugins.audioseal.networks import build

# isort: split
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

TINY = NetworkSizes(dimension=8, filters=2, lstm=1)


def card(sizes: NetworkSizes = TINY, **changes: object) -> dict[str, Any]:
    seanet = {**FIXED, "dimension": sizes.dimension, "n_filters": sizes.filters, "lstm": sizes.lstm}
    return {"nbits": 16, "seanet": {**seanet, **changes}}


def write_model(folder: Path, *, are_pickles: bool = False) -> Path:
    """Write a model, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    networks = build(TINY)
    # As it is made, the mark would be as loud as any sound can be.
    for parameter in networks[0].decoder.model[-1].parameters():
        parameter.mul_(0.01)
    for network, name in zip(networks, ("generator", "detector"), strict=True):
        tensors = {key: value.clone().contiguous() for key, value in network.state_dict().items()}
        if are_pickles:
            saved = {"xp.cfg": OmegaConf.create(card()), "model": published(tensors)}
            torch.save(saved, folder / f"{name}_streaming.pth")
        else:
            save_file(tensors, folder / f"{name}.safetensors")
    (folder / "card.json").write_text(json.dumps(card()))
    return folder


def published(tensors: dict[str, Any]) -> dict[str, Any]:
    """Return tensors as in the makers' files."""
    old: dict[str, Any] = {}
    for name, tensor in tensors.items():
        stem = name.replace("inner_conv.", "").removesuffix(".weight")
        if "inner_conv.weight" not in name:
            old[name.replace("inner_conv.", "")] = tensor
            continue
        norm = tensor.norm(dim=tuple(range(1, tensor.ndim)), keepdim=True)
        old |= {f"{stem}.weight_g": norm, f"{stem}.weight_v": tensor * 3.0}
    return old


if __name__ == "__main__":
    write_model(Path(sys.argv[1]), are_pickles="pickles" in sys.argv[2:])
