"""HuBERT, which extracts the speech of a sound without its speaker. All voices share it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plugins.rvc.boot  # noqa: F401 - before transformers

# isort: split
import torch
from transformers import HubertConfig, HubertModel

from plugins.rvc.model_format import MODEL_FORMAT, HubertSizes, read_hubert_sizes
from speech_engine.host.weights import fill, read_tensors
from speech_engine.model_files import FolderContents, check_model

HUBERT_HZ = 16_000
V1_LAYER = 9
"""Voices of version 1 were trained on this layer, and voices of version 2 on the last one."""

_NORMS = {
    "encoder.pos_conv_embed.conv.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv_embed.conv.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
}
"""The names of a weight's parts in files from before torch 2."""
_POSITION = "encoder.pos_conv_embed.conv.weight"


# torch is not installed where types are checked.
class Hubert(torch.nn.Module):  # type: ignore[misc]
    """The network, and the projection that voices of version 1 need, if its file has one."""

    def __init__(self, sizes: HubertSizes) -> None:
        super().__init__()
        self.model = HubertModel(_config(sizes))
        self.final_proj: Any = None
        if sizes.projected:
            self.final_proj = torch.nn.Linear(sizes.hidden, sizes.projected)

    @property
    def device(self) -> Any:
        return self.model.device

    @property
    def dtype(self) -> Any:
        return self.model.dtype

    def forward(self, sounds: Any) -> tuple[Any | None, Any]:
        """Return the features of sounds (rows, samples) at HUBERT_HZ for voices of versions 1 and 2.

        Both are (rows, frames, width), fifty frames a second. Without `final_proj`, the first is None. The
        sounds must have one length, because the network has no padding.
        """
        hidden = self.model(sounds.to(self.dtype), output_hidden_states=True).hidden_states
        ninth = hidden[min(V1_LAYER, len(hidden) - 1)]
        return None if self.final_proj is None else self.final_proj(ninth), hidden[-1]


def load_hubert(folder: Path, device: str, precision: str = "float32") -> Hubert:
    """Read HuBERT from a model's folder. Raise UnusableModel with the fault of its files."""
    check_model(MODEL_FORMAT, folder)
    sizes = read_hubert_sizes(FolderContents(MODEL_FORMAT.files, folder))
    network = Hubert(sizes)
    fill(network, _named(read_tensors(folder / "model.safetensors")), "model.safetensors")
    network.eval().requires_grad_(False).to(device=device, dtype=getattr(torch, precision))
    return network


def _named(tensors: Mapping[str, Any]) -> dict[str, Any]:
    named = {_NORMS.get(name, name): tensor.float() for name, tensor in tensors.items()}
    return {name if name.startswith("final_proj.") else f"model.{name}": named[name] for name in named}


def _config(sizes: HubertSizes) -> HubertConfig:
    return HubertConfig(
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner,
        conv_dim=list(sizes.conv_widths),
        num_conv_pos_embeddings=sizes.positions,
        num_conv_pos_embedding_groups=sizes.groups,
        # These matter only in training.
        layerdrop=0.0,
        mask_time_prob=0.0,
        apply_spec_augment=False,
    )
