"""RVC's networks, built from a voice's layout. The layout must have been checked before: it says how large
they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import plugins.rvc.boot  # noqa: F401 - before rvc

# isort: split
import torch
from rvc.lib.infer_pack import models

from plugins.rvc.voice_rules import Version

FRAMES_A_SECOND = 100

_CLASSES = {
    ("v1", True): models.SynthesizerTrnMs256NSFsid,
    ("v1", False): models.SynthesizerTrnMs256NSFsid_nono,
    ("v2", True): models.SynthesizerTrnMs768NSFsid,
    ("v2", False): models.SynthesizerTrnMs768NSFsid_nono,
}
_INTER_CHANNELS = 2


class Layout(NamedTuple):
    """What a voice's file says of its network. `config` has RVC's 18 values in their order."""

    version: Version
    has_pitch: bool
    rate_hz: int
    config: tuple[Any, ...]

    @property
    def hop(self) -> int:
        """The samples of a frame."""
        return self.rate_hz // FRAMES_A_SECOND

    @property
    def channels(self) -> int:
        """The width of the hidden sound, for which noise is drawn."""
        return int(self.config[_INTER_CHANNELS])


def build_generator(layout: Layout) -> Any:
    """Return the network of a layout with random weights: also `enc_q`, which only training needs."""
    config = [*layout.config[:-1], layout.rate_hz]
    with warnings.catch_warnings():
        # Of torch, about the older form of weight norms: the files of voices have their names.
        warnings.simplefilter("ignore")
        return _CLASSES[layout.version, layout.has_pitch](*config, is_half=False)


def fold_weight_norms(network: Any) -> None:
    """Multiply the norms of a generator's weights in, once. It cannot be trained after that."""
    network.dec.remove_weight_norm()
    network.flow.remove_weight_norm()


def tell_layers(network: Any, tick: Callable[[], None]) -> None:
    """Call `tick` after each layer of a network: on a processor a whole pass may take many seconds."""
    for layer in network.modules():
        if not any(layer.children()):
            layer.register_forward_hook(lambda *_told: tick())


def parameter_bytes(network: Any) -> int:
    """Return the memory of a network's numbers."""
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def on_meta() -> Any:
    """Return a context in which networks are built without memory and without random numbers."""
    return torch.device("meta")
