"""A voice in memory: its network, built from the bytes of its file, and the features of its recordings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import plugins.rvc.boot  # noqa: F401 - before rvc

# isort: split
import torch
from safetensors.torch import load

from plugins.rvc.generator import take_excitation
from plugins.rvc.networks import (
    Layout,
    build_generator,
    fold_weight_norms,
    on_meta,
    parameter_bytes,
)
from plugins.rvc.retrieval import Neighbours
from speech_engine.host.weights import fill
from speech_engine.model_files.safetensors import read_header

VECTORS = "index.vectors"


class VoiceFile(NamedTuple):
    """What a voice's file has: the tensors of its generator, and maybe the features of its recordings."""

    layout: Layout
    tensors: Mapping[str, Any]
    vectors: Any | None

    def __repr__(self) -> str:
        return f"<VoiceFile {self.layout.version} of {self.layout.rate_hz} Hz>"


class RvcVoice(NamedTuple):
    """A voice that can sound. `neighbours` has features of its own recordings, if there are any."""

    network: Any
    layout: Layout
    neighbours: Neighbours | None

    def __repr__(self) -> str:
        return f"<RvcVoice {self.layout.version} of {self.layout.rate_hz} Hz, {self.nbytes:,} bytes>"

    @property
    def nbytes(self) -> int:
        return parameter_bytes(self.network) + (self.neighbours.nbytes if self.neighbours else 0)


def read_voice(data: bytes) -> VoiceFile:
    """Read a voice's file. Raise UnusableModel with what is wrong with it."""
    read_header(BytesIO(data), len(data))
    layout = _layout(data)
    tensors = load(data)
    vectors = tensors.pop(VECTORS, None)
    return VoiceFile(layout, tensors, vectors)


def load_voice(data: bytes, device: str, precision: str = "float32") -> RvcVoice:
    """Build the network of a voice's file. Raise UnusableModel with what is wrong with the file."""
    file = read_voice(data)
    dtype = getattr(torch, precision)
    with on_meta():
        network = build_generator(file.layout)
    # What only training needs. Of its own file, a voice has no weights for it.
    del network.enc_q
    own = {name: tensor.float() for name, tensor in file.tensors.items()}
    fill(network, own, "the voice", assign=True)
    fold_weight_norms(network)
    network = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
    if file.layout.has_pitch:
        take_excitation(network)
    neighbours = None if file.vectors is None else Neighbours(file.vectors, device)
    return RvcVoice(network, file.layout, neighbours)


def _layout(data: bytes) -> Layout:
    length = int.from_bytes(data[:8], "little")
    told = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    config = json.loads(told["config"])
    return Layout(told["version"], told["f0"] == "1", int(told["sample_rate_hz"]), tuple(config))
