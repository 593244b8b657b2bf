"""RVC's networks, built from a checked layout of a voice, which gives their sizes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import plugins.rvc.boot  # noqa: F401 - before rvc

# isort: split
import torch
from rvc.lib.infer_pack import models

from plugins.rvc.voice_rules import VoiceLayout

_CLASSES = {
    ("v1", True): models.SynthesizerTrnMs256NSFsid,
    ("v1", False): models.SynthesizerTrnMs256NSFsid_nono,
    ("v2", True): models.SynthesizerTrnMs768NSFsid,
    ("v2", False): models.SynthesizerTrnMs768NSFsid_nono,
}


def build_generator(layout: VoiceLayout) -> Any:
    """Return the network of a layout with random weights, and with `enc_q`, which only training needs."""
    config = [*layout.config[:-1], layout.rate_hz]
    with warnings.catch_warnings():
        # torch warns about the older form of weight norms, but the files of voices have its names.
        warnings.simplefilter("ignore")
        return _CLASSES[layout.version, layout.has_pitch](*config, is_half=False)


def fold_weight_norms(network: Any) -> None:
    """Multiply a generator's weights by their norms. After that it cannot be trained."""
    network.dec.remove_weight_norm()
    network.flow.remove_weight_norm()


def tell_layers(network: Any, tick: Callable[[], None]) -> None:
    """Call `tick` after each layer of a network, because a whole pass may take many seconds on a CPU."""
    for layer in network.modules():
        if not any(layer.children()):
            layer.register_forward_hook(lambda *_layer_args: tick())


def parameter_bytes(network: Any) -> int:
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def on_meta() -> Any:
    """Return a context in which networks are built without memory and without random numbers."""
    return torch.device("meta")
