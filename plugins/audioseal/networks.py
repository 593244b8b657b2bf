"""AudioSeal's two networks, built from a model's folder after a check of their sizes."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

# Otherwise torch compiles each network again for each length of sound, which takes minutes.
os.environ.setdefault("NO_TORCH_COMPILE", "1")

# isort: split
import numpy as np
import torch
from audioseal.builder import (
    AudioSealDetectorConfig,
    AudioSealWMConfig,
    DecoderConfig,
    SEANetConfig,
    create_detector,
    create_generator,
)
from audioseal.libs.moshi.modules.streaming import StreamingModule

from plugins.audioseal.model_format import BITS, FIXED, HOP, MODEL_FORMAT, NetworkSizes, read_network_sizes
from plugins.audioseal.resampling import Floats
from speech_engine.host.weights import fill, read_tensors
from speech_engine.model_files import FolderContents, UnusableModel, check_model

_OLD_NAME: Final = re.compile(r"(?<=\.)(conv\.conv|convtr\.convtr)\.(?!inner_conv\.)")
"""An older name of tensors, which published checkpoints have."""
_NORMS: Final = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)
"""The names of a weight's lengths and directions, of older and newer versions of torch."""

_PIECE: Final = 10 * 16_000
"""The samples that the detector reads at once. More would take gigabytes."""


class Networks:
    """The generator, which marks streams, and the detector. Any thread may call both."""

    def __init__(self, generator: Any, detector: Any, threads: int) -> None:
        self._generator = generator
        self._detector = detector
        self._threads = threads
        self._lock = threading.Lock()
        # The package's own `streaming` does not reach these, because they are in containers of torch.
        self._parts = [part for part in generator.modules() if isinstance(part, StreamingModule)]

    def open_stream(self, payload: int) -> MarkedStream:
        return MarkedStream(self, payload)

    def new_states(self) -> list[Any]:
        # The package has no other way to have more than one stream.
        states = [part._init_streaming_state(1) for part in self._parts]  # noqa: SLF001
        for state in states:
            state.init_stream()
        return states

    def mark(self, samples: Floats, message: torch.Tensor, states: list[Any]) -> Floats:
        """Return the mark for a stream's next samples. Its `states` come from `new_states`, and change."""
        torch.set_num_threads(self._threads)  # for the calling thread only
        sound = torch.from_numpy(samples)[None, None]
        with self._lock, torch.inference_mode():
            for part, state in zip(self._parts, states, strict=True):
                part._streaming_state = state  # noqa: SLF001
            hidden = self._generator.msg_processor(self._generator.encoder(sound), message)
            added = self._generator.decoder(hidden)
        return np.asarray(added[0, 0].numpy(), np.float32)

    def hear(self, samples: Floats) -> tuple[Floats, Floats]:
        """Return for each sample the certainty of the mark, and its bits, above zero for a one."""
        torch.set_num_threads(self._threads)
        pieces = [samples[at : at + _PIECE] for at in range(0, len(samples), _PIECE)]
        with torch.inference_mode():
            padded = (torch.from_numpy(np.pad(piece, (0, -len(piece) % HOP))) for piece in pieces)
            outputs = [self._detector.detector(sound[None, None])[0].numpy() for sound in padded]
            parts = [each[:, : len(piece)] for each, piece in zip(outputs, pieces, strict=True)]
        whole = np.concatenate(parts, axis=1) if parts else np.zeros((2 + BITS, 0), np.float32)
        sure = 1 / (1 + np.exp(whole[0] - whole[1]))
        return np.asarray(sure, np.float32), whole[2:]


class MarkedStream:
    """The state of the generator for one stream."""

    def __init__(self, networks: Networks, payload: int) -> None:
        self._networks = networks
        bits = [payload >> place & 1 for place in range(BITS)]
        self._message = torch.tensor([bits])
        self._states = networks.new_states()

    def add_mark(self, samples: Floats) -> Floats:
        return self._networks.mark(samples, self._message, self._states)


def load_networks(folder: Path, threads: int) -> Networks:
    """Read a model. Raise UnusableModel with the fault of its files."""
    check_model(MODEL_FORMAT, folder)
    # mkldnn packs the weights again at each call, which makes the first sound three times as late.
    torch.backends.mkldnn.enabled = False
    sizes = read_network_sizes(FolderContents(MODEL_FORMAT.files, folder))
    generator, detector = build(sizes)
    for network, name in ((generator, "generator.safetensors"), (detector, "detector.safetensors")):
        try:
            fill(network, _plain(read_tensors(folder / name)), name)
        except KeyError as error:
            raise UnusableModel(f"{name}: {error}") from None
    networks = Networks(generator, detector, threads)
    networks.open_stream(0).add_mark(np.zeros(HOP, np.float32))
    return networks


def build(sizes: NetworkSizes) -> tuple[Any, Any]:
    """Return a generator and a detector of these sizes, with random weights."""
    seanet = SEANetConfig(
        dimension=sizes.dimension,
        n_filters=sizes.filters,
        lstm=sizes.lstm,
        activation_params={"alpha": 1.0},
        norm="none",
        norm_params={},
        **FIXED,
    )
    decoder = DecoderConfig(final_activation=None, final_activation_params=None, trim_right_ratio=1.0)
    generator = create_generator(AudioSealWMConfig(nbits=BITS, seanet=seanet, decoder=decoder))
    detector = create_detector(AudioSealDetectorConfig(nbits=BITS, seanet=seanet))
    return generator.eval().requires_grad_(False), detector.eval().requires_grad_(False)


def _plain(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors under their present names, with the norms of weights multiplied in."""
    named = {
        _OLD_NAME.sub(r"\1.inner_conv.", name): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    for length, direction in _NORMS:
        for name in [name for name in named if name.endswith(length)]:
            stem = name.removesuffix(length)
            sizes, directions = named.pop(name), named.pop(stem + direction)
            others = tuple(range(1, directions.ndim))
            norms = directions.norm(dim=others, keepdim=True)
            named[f"{stem}.weight"] = directions * (sizes / norms.clamp_min(1e-12))
    return named
