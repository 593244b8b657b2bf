"""Both networks in onnxruntime."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plugins.openvoice.graphs import MadeGraph, converter, embedder
from plugins.openvoice.model_format import MODEL_FORMAT, find_sizes
from plugins.openvoice.sizes import OpenVoiceSizes
from plugins.openvoice.sound import spectrum_of
from speech_engine.host.onnx_network import GraphNetwork, StopSwitch
from speech_engine.host.stoppable import wait_stoppable
from speech_engine.model_files import FolderContents


class Stretch(NamedTuple):
    """A part of a recording: its spectrum (bands, frames), its noise (width, frames), and the voice in it.
    The frames from `first` to `end` are decoded."""

    spectrum: Any
    noise: Any
    source: Any
    first: int
    end: int

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Stretches with equal ones may be converted together."""
        return self.spectrum.shape[1], self.first, self.end


class Networks:
    """The converter and the embedder. Several threads may run them. A run of the converter has `threads`.
    `tick` is called while a run goes on: on a busy processor it takes longer than a host may be silent."""

    def __init__(
        self,
        converting: MadeGraph,
        embedding: MadeGraph,
        sizes: OpenVoiceSizes,
        threads: int = 1,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.sizes = sizes
        self._tick = tick
        self._threads = ThreadPoolExecutor()
        self._converter = GraphNetwork(*converting, threads)
        self._embedder = GraphNetwork(*embedding)

    def convert(self, stretches: Sequence[Stretch], targets: Sequence[Any]) -> Any:
        """Return the sound (rows, samples) of stretches of equal lengths in their target voices."""
        values = {
            "spectrum": np.stack([each.spectrum for each in stretches]),
            "noise": np.stack([each.noise for each in stretches]),
            "source": np.stack([each.source for each in stretches])[..., None],
            "target": np.stack(targets)[..., None],
            "first": np.array([stretches[0].first]),
            "end": np.array([stretches[0].end]),
        }
        return self._run(self._converter, "sound", values)[:, 0]

    def embed(self, sound: Any) -> Any:
        """Return the voice in a sound: `sizes.voice` numbers."""
        values = {"spectrum": np.ascontiguousarray(spectrum_of(sound).T[None])}
        return self._run(self._embedder, "voice", values)[0, 0]

    def _run(self, network: GraphNetwork, output: str, values: Mapping[str, Any]) -> Any:
        switch = StopSwitch()
        running = self._threads.submit(network.run, [output], values, switch)
        return wait_stoppable(running, switch.stop, self._tick)[0]


def load_networks(folder: Path, threads: int, tick: Callable[[], None]) -> Networks:
    """Load an imported model. Raise UnusableModel."""
    contents = FolderContents(MODEL_FORMAT.files, folder)
    sizes = find_sizes(contents)
    file = MODEL_FORMAT.files[0]
    data = np.fromfile(folder / file.name, np.uint8)
    tensors = {
        name: data[info.begin : info.begin + info.bytes].view("<f4").reshape(info.shape)
        for name, info in contents.tensors(file.role).items()
    }
    graphs = converter(tensors, sizes), embedder(tensors, sizes)
    # The runtime copies the weights, and the file would be in memory a third time.
    del data, tensors
    networks = Networks(*graphs, sizes, threads, tick)
    del graphs
    _give_back()
    return networks


def _give_back() -> None:
    """Give the memory that only loading took back to the system, if the C library can."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
