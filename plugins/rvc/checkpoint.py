"""A voice in memory: its network, built from the bytes of its file, and the features of its recordings."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import plugins.rvc.boot  # noqa: F401 - before rvc

# isort: split
import torch
from safetensors.torch import load

from plugins.rvc import networks
from plugins.rvc.generator import take_excitation
from plugins.rvc.retrieval import Neighbours
from plugins.rvc.voice_rules import VECTORS, VoiceLayout, layout_of, work_of_a_frame
from speech_engine.host.weights import fill
from speech_engine.model_files.safetensors import read_tensors_and_texts

_USUAL_WORK = 470_000_000
"""The multiplications of a frame of most voices: version 2, with pitch, at 40 kHz."""
_HEARING = 0.2
"""HuBERT's share of the cost of a second of such a voice."""
_VECTORS_OF_A_SECOND = 600_000
"""A search of this many vectors costs as much as a second of such a voice."""


class RvcVoice(NamedTuple):
    """A loaded voice. `neighbours` has the features of its recordings, if there are any."""

    network: Any
    layout: VoiceLayout
    neighbours: Neighbours | None

    def __repr__(self) -> str:
        return f"<RvcVoice {self.layout.version} of {self.layout.rate_hz} Hz, {self.nbytes:,} bytes>"

    @property
    def nbytes(self) -> int:
        return networks.parameter_bytes(self.network) + (self.neighbours.nbytes if self.neighbours else 0)

    @property
    def cost(self) -> float:
        """The cost of a second of this voice, in seconds of a usual voice: at least 1."""
        sounding = (1.0 - _HEARING) * work_of_a_frame(self.layout.config) / _USUAL_WORK
        searching = len(self.neighbours) / _VECTORS_OF_A_SECOND if self.neighbours else 0.0
        return max(1.0, _HEARING + sounding + searching)


def read_voice(data: bytes) -> tuple[VoiceLayout, dict[str, Any], Any | None]:
    """Return the layout of a voice's file, the generator's tensors, and maybe features of its recordings.

    Raise UnusableModel with the file's fault.
    """
    _, metadata = read_tensors_and_texts(BytesIO(data), len(data))
    tensors = load(data)
    vectors = tensors.pop(VECTORS, None)
    return layout_of(metadata), tensors, vectors


def load_voice(
    data: bytes, device: str, precision: str = "float32", tick: Callable[[], None] = lambda: None
) -> RvcVoice:
    """Build the network of a voice's file. Raise UnusableModel with the file's fault.

    `tick` is called while the network is built, and later after each of its layers.
    """
    layout, tensors, vectors = read_voice(data)
    tick()
    dtype = getattr(torch, precision)
    with networks.on_meta():
        network = networks.build_generator(layout)
    # Only training needs `enc_q`. The file has no weights for it.
    del network.enc_q
    own = {}
    for name, tensor in tensors.items():
        own[name] = tensor.float()
        tick()
    fill(network, own, "the voice", assign=True)
    tick()
    networks.fold_weight_norms(network)
    tick()
    network = network.eval().requires_grad_(False).to(device=device, dtype=dtype)
    tick()
    if layout.has_pitch:
        take_excitation(network)
    networks.tell_layers(network, tick)
    neighbours = None if vectors is None else Neighbours(vectors, device, tick)
    return RvcVoice(network, layout, neighbours)
