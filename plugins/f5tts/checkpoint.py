"""The networks of an F5-TTS model, built from its folder after a check of their sizes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import plugins.f5tts.boot  # noqa: F401 - before f5_tts and vocos

# isort: split
import torch
from f5_tts.model.backbones.dit import DiT
from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone

from plugins.f5tts import model_format
from speech_engine.host.weights import fill, read_tensors
from speech_engine.model_files import FolderContents, UnusableModel, check_model

Progress = Callable[[float, str], None]

_FFT = 1024


class Checkpoint(NamedTuple):
    """A model in memory. `vocabulary` has the number of each character."""

    network: Any
    vocoder: Any
    sizes: model_format.Sizes
    vocabulary: Mapping[str, int]


# torch is not installed where types are checked.
class Vocoder(torch.nn.Module):  # type: ignore[misc]
    """Vocos, which turns spectrograms into sound. Its parts have the names of its file."""

    def __init__(self, sizes: model_format.VocoderSizes) -> None:
        super().__init__()
        self.backbone = VocosBackbone(model_format.MELS, sizes.dim, sizes.inner, sizes.layers)
        self.head = ISTFTHead(sizes.dim, _FFT, model_format.HOP, padding="center")

    def forward(self, mels: Any) -> Any:
        return self.head(self.backbone(mels))


class _WideMoments(torch.nn.Module):  # type: ignore[misc]
    """The embedding of a moment in float32. In fewer bits, late moments would be equal."""

    def __init__(self, network: Any, precision: Any) -> None:
        super().__init__()
        self.network = network.float()
        self.precision = precision

    def forward(self, moments: Any) -> Any:
        return self.network(moments.float()).to(self.precision)


def load_checkpoint(
    folder: Path, version: str, precision: str, device: str, progress: Progress
) -> Checkpoint:
    """Read a model. Raise UnusableModel with the fault of its files."""
    progress(0.0, "checking the model")
    check_model(model_format.MODEL_FORMAT, folder)
    contents = FolderContents(model_format.MODEL_FORMAT.files, folder)
    sizes = model_format.read_sizes(contents)
    if (stated := model_format.stated_version(contents)) not in ("", version):
        raise UnusableModel(f'model.safetensors: its network is of {stated}: set version = "{stated}"')
    progress(0.1, "building the networks")
    network, vocoder = build_network(sizes, version), Vocoder(model_format.read_vocoder_sizes(contents))
    progress(0.4, "reading the weights")
    _fill(network, folder / "model.safetensors", "transformer.")
    _fill(vocoder, folder / "vocos.safetensors", "")
    progress(0.8, f"moving the model to {device}")
    return Checkpoint(
        network=_narrowed(network, getattr(torch, precision)).eval().requires_grad_(False).to(device),
        vocoder=vocoder.eval().requires_grad_(False).to(device),
        sizes=sizes,
        vocabulary=model_format.read_vocabulary(contents),
    )


def build_network(sizes: model_format.Sizes, version: str, *, is_masked: bool = True) -> Any:
    with warnings.catch_warnings():
        # It warns about the mask's memory. Without a mask, rows in company would differ from rows alone.
        warnings.simplefilter("ignore", UserWarning)
        return DiT(
            dim=sizes.dim,
            depth=sizes.layers,
            heads=sizes.heads,
            dim_head=sizes.head,
            ff_mult=sizes.inner // sizes.dim,
            mel_dim=model_format.MELS,
            text_num_embeds=sizes.vocabulary,
            text_dim=sizes.text_dim,
            text_mask_padding=version == "v1",
            pe_attn_head=None if version == "v1" else 1,
            qk_norm="rms_norm" if sizes.has_norms else None,
            conv_layers=sizes.text_layers,
            long_skip_connection=sizes.has_skip,
            attn_mask_enabled=is_masked,
        )


def _narrowed(network: Any, precision: Any) -> Any:
    """Give the layers of each step this precision. The other layers stay in float32."""
    if precision == torch.float32:
        return network
    network.to(precision)
    network.text_embed.float()
    network.rotary_embed.float()
    network.time_embed = _WideMoments(network.time_embed, precision)
    return network


def _fill(network: Any, file: Path, prefix: str) -> None:
    own = {
        name.removeprefix(prefix): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in read_tensors(file).items()
        if not name.startswith(model_format.V0_SIGN)
    }
    fill(network, own, file.name)
