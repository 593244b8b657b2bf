"""The networks of a model, built from its folder after a comparison with the published models.

The package builds them. Its loaders are not used, because they fetch the addresses in a description.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from pocket_tts.models.flow_lm import FlowLMModel
from pocket_tts.models.mimi import build_mimi
from pocket_tts.models.tts_model import stamp_state_names
from pocket_tts.utils.config import Config

from plugins.pocket.model_format import MODEL_FORMAT, check_tokenizer, find_sizes
from plugins.pocket.sizes import FRAME, HEAD, LATENT, PUBLISHED, RATE_HZ, RATIOS, CodecSide, PocketSizes
from speech_engine.host.weights import fill, read_tensors
from speech_engine.model_files import FolderContents, UnusableModel

# Its warnings quote texts.
logging.getLogger("pocket_tts").setLevel(logging.ERROR)


class Networks(NamedTuple):
    """A model in memory: the language model makes latents of text, and the codec makes sound of latents."""

    sizes: PocketSizes
    language_model: Any
    codec: Any

    @property
    def tokenizer(self) -> Any:
        return self.language_model.conditioner.tokenizer


def load_networks(folder: Path, published: Sequence[PocketSizes] = PUBLISHED) -> Networks:
    """Read a model. Raise UnusableModel with the fault of its files."""
    contents = FolderContents(MODEL_FORMAT.files, folder)
    sizes = find_sizes(contents, published)
    check_tokenizer(contents, sizes.tokens)
    with torch.device("meta"):
        networks = build(sizes, folder / "tokenizer.json")
    tensors = read_tensors(folder / "model.safetensors")
    _fill(networks.language_model, tensors, "flow_lm.")
    _fill(networks.codec, tensors, "mimi.")
    if not networks.language_model.speaker_proj_weight.any():
        raise UnusableModel(
            "model.safetensors: this is the twin that knows no voices but its makers' own; for others, run "
            "voxgate voices own"
        )
    return networks


def build(sizes: PocketSizes, tokenizer: Path) -> Networks:
    """Return networks of these sizes with random weights."""
    config = Config(**description(sizes, tokenizer))
    try:
        model = FlowLMModel.from_pydantic_config(
            config.flow_lm, latent_dim=LATENT, insert_bos_before_voice=sizes.has_start
        )
    except Exception as error:  # noqa: BLE001 - the seam around tokenizers: it has no class of its own for a bad file
        raise UnusableModel(f"tokenizer.json: {str(error)[:200]}") from None
    model.speaker_proj_weight = torch.nn.Parameter(torch.zeros(sizes.dim, sizes.latent))
    codec = build_mimi(config.mimi)
    stamp_state_names(SimpleNamespace(flow_lm=model, mimi=codec))
    return Networks(sizes, model.eval().requires_grad_(False), codec.eval().requires_grad_(False))


def description(sizes: PocketSizes, tokenizer: Path) -> dict[str, Any]:
    """Return the package's configuration, without any address."""
    transformer = {
        "d_model": sizes.dim,
        "hidden_scale": 1,
        "dim_feedforward": sizes.inner,
        "max_period": 10_000,
        "num_heads": sizes.heads,
        "num_layers": sizes.layers,
        "attn_dim": sizes.heads * HEAD,
        "num_kv_heads": sizes.shared_heads,
    }
    table = {"dim": sizes.dim, "n_bins": sizes.tokens, "tokenizer": "json", "rank": sizes.rank or None}
    return {
        "flow_lm": {
            "dtype": "float32",
            "insert_bos_before_voice": sizes.has_start,
            "flow": {"dim": sizes.flow_dim, "depth": sizes.flow_layers, "type": sizes.flow},
            "transformer": transformer,
            "z_dim": sizes.z or None,
            "lookup_table": {**table, "tokenizer_path": str(tokenizer.absolute())},
        },
        "mimi": {
            "dtype": "float32",
            "sample_rate": RATE_HZ,
            "channels": 1,
            "frame_rate": RATE_HZ / FRAME,
            "inner_dim": sizes.latent,
            "outer_dim": sizes.decoder.width,
            "seanet": _convolutions(sizes.encoder),
            "transformer": _codec_transformer(sizes.encoder),
            "decoder_seanet": _convolutions(sizes.decoder),
            "decoder_transformer": _codec_transformer(sizes.decoder),
            "quantizer": {"dimension": LATENT, "output_dimension": sizes.decoder.width},
        },
    }


def _convolutions(side: CodecSide) -> dict[str, Any]:
    return {
        "dimension": side.width,
        "channels": 1,
        "n_filters": side.filters,
        "n_residual_layers": 1,
        "ratios": list(RATIOS),
        "kernel_size": side.kernel,
        "residual_kernel_size": 3,
        "last_kernel_size": 3,
        "dilation_base": 2,
        "pad_mode": "constant",
        "compress": 2,
    }


def _codec_transformer(side: CodecSide) -> dict[str, Any]:
    return {
        "d_model": side.width,
        "num_heads": side.heads,
        "num_layers": side.layers,
        "layer_scale": 0.01,
        "context": side.context,
        "dim_feedforward": side.inner,
        "input_dimension": side.width,
        "output_dimensions": (side.width,),
    }


def _fill(network: Any, tensors: Mapping[str, Any], prefix: str) -> None:
    own = {
        # A copy: the file must not be read in the middle of a step.
        name.removeprefix(prefix): torch.nn.Parameter(
            tensor.to(torch.float32, copy=True), requires_grad=False
        )
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    if not all(bool(tensor.isfinite().all()) for tensor in own.values()):
        raise UnusableModel("model.safetensors: it has numbers that are none")
    fill(network, own, "model.safetensors", assign=True)
    network.requires_grad_(False)
