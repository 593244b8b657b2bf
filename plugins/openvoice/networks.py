"""Both networks in onnxruntime, and a voice as one of them hears it.

A voice is biometric, so it is stored in memory only. The host stores it under the recordings' digests and the
model's name, and deletes it with them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from plugins.openvoice.graphs import MadeGraph, made_graphs
from plugins.openvoice.layers import PUBLISHED
from plugins.openvoice.model_format import MODEL_FORMAT, RATE_HZ, check_tensors
from plugins.openvoice.sound import floats, spectrum_of, speech_in
from speech_engine.errors import UnusableSample
from speech_engine.host.onnx_network import GraphNetwork, StopSwitch
from speech_engine.host.stoppable import wait_stoppable
from speech_engine.model_files import FolderContents

SAMPLE_S: Final = (3.0, 30.0)
_STRETCH_S: Final = 10.0
_DO: Final = "Give a recording in which one person speaks for ten seconds or more."


class ToneVoice(NamedTuple):
    """The tone of a voice, as the networks know it."""

    numbers: Any

    def __repr__(self) -> str:
        return f"<ToneVoice of {len(self.numbers)} numbers>"

    @property
    def nbytes(self) -> int:
        return int(self.numbers.nbytes)


class Stretch(NamedTuple):
    """A part of a recording: its spectrum (bands, frames), its noise (width, frames), the voice in it, and
    the voice that it gets. The frames from `first` to `end` are decoded."""

    spectrum: Any
    noise: Any
    source: Any
    target: Any
    first: int
    end: int

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Stretches with equal ones may be converted together."""
        return self.spectrum.shape[1], self.first, self.end


class Networks:
    """The converter and the embedder. Several threads may run them. A run of the converter has `threads`.
    The noise of a frame has `width` numbers. `tick` is called while a run goes on: on a busy processor it
    takes longer than a host may be silent."""

    def __init__(
        self,
        converting: MadeGraph,
        embedding: MadeGraph,
        width: int,
        threads: int = 1,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._converter = GraphNetwork(*converting, threads)
        self._embedder = GraphNetwork(*embedding)
        self.width = width
        self._tick = tick
        self._threads = ThreadPoolExecutor()

    def convert(self, stretches: Sequence[Stretch]) -> Any:
        """Return the sound (rows, samples) of stretches of equal lengths."""
        spectra, noises, sources, targets, firsts, ends = zip(*stretches, strict=True)
        values = {
            "spectrum": np.stack(spectra),
            "noise": np.stack(noises),
            "source": np.stack(sources)[..., None],
            "target": np.stack(targets)[..., None],
            "first": np.array(firsts[:1]),
            "end": np.array(ends[:1]),
        }
        return self._run(self._converter, "sound", values)[:, 0]

    def embed(self, sound: Any) -> Any:
        """Return the numbers of the voice in a sound."""
        values = {"spectrum": np.ascontiguousarray(spectrum_of(sound).T[None])}
        return self._run(self._embedder, "voice", values)[0, 0]

    def make_voice(self, recordings: Sequence[bytes]) -> ToneVoice:
        """Make a voice of recordings, 16-bit mono at RATE_HZ. Raise UnusableSample if too little is said in
        them."""
        speech = np.concatenate([speech_in(floats(each)) for each in recordings])
        if not len(speech):
            raise UnusableSample(f"The recordings are silent. {_DO}")
        seconds = len(speech) / RATE_HZ
        if seconds < SAMPLE_S[0]:
            few = f"The recordings have {seconds:.1f} seconds of speech; {SAMPLE_S[0]:g} are needed."
            raise UnusableSample(f"{few} {_DO}")
        # Equal stretches: each has half of the longest one, or all there is.
        stretches = np.array_split(speech, -(-len(speech) // round(_STRETCH_S * RATE_HZ)))
        return ToneVoice(np.mean([self.embed(each) for each in stretches], axis=0, dtype=np.float32))

    def _run(self, network: GraphNetwork, output: str, values: Mapping[str, Any]) -> Any:
        switch = StopSwitch()
        running = self._threads.submit(network.run, [output], values, switch)
        return wait_stoppable(running, switch.stop, self._tick)[0]


def load_networks(folder: Path, threads: int, tick: Callable[[], None]) -> Networks:
    """Load an imported model. Raise UnusableModel."""
    contents = FolderContents(MODEL_FORMAT.files, folder)
    check_tensors(contents, PUBLISHED)
    file = MODEL_FORMAT.files[0]
    data = np.fromfile(folder / file.name, np.uint8)
    tensors = {
        name: data[info.begin : info.begin + info.bytes].view("<f4").reshape(info.shape)
        for name, info in contents.tensors(file.role).items()
    }
    made = made_graphs(tensors, PUBLISHED)
    # The runtime copies the weights, and the file would be in memory a third time.
    del data, tensors
    networks = Networks(*made, PUBLISHED.width, threads, tick)
    del made
    # Most of the memory was for loading alone: the system gets it back, if the C library can.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return networks
