"""A network in onnxruntime, and the switch that ends its runs. Workers that have onnxruntime import this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from speech_engine.errors import EngineFailed
from speech_engine.model_files.onnx_outputs import integer_output

MOST_S = 300
"""The longest sound of one piece. A network that makes more of it is broken, or made to harm."""

_FAULTS = tuple(
    each for each in vars(faults).values() if isinstance(each, type) and issubclass(each, Exception)
)
"""The runtime's errors have no class in common."""
_FATAL_ONLY = 4
"""The level at which onnxruntime logs only fatal errors: other messages could quote a text."""


class StopSwitch:
    """Ends a run of a network, from another thread. The network stops after the operator that it computes.

    `threads` are those that the run may have. `ahead_s` is the sound that its listener has ahead. An engine
    that knows where the words of a piece begin tells it in `word_samples`, for the sound that it makes. One
    that has gone on behind the first cut of a piece tells the sounds of the next piece in `sounds_taken`.
    """

    def __init__(self) -> None:
        self.word_samples: Sequence[float] = ()
        self.sounds_taken = 0
        self.renew(1)

    def renew(self, threads: int, ahead_s: float = 0.0) -> None:
        """Prepare for another run: a switch ends one run only."""
        self.threads = threads
        self.ahead_s = ahead_s
        self.options = onnxruntime.RunOptions()

    def stop(self) -> None:
        self.options.terminate = True


class OnnxNetwork:
    """A loaded network. Several threads may run it. `inputs` and `outputs` are names.

    It is loaded for one thread, and once more for `threads` if these are more: onnxruntime cannot change the
    number later. `integers` is a value of whole numbers inside of it, which becomes an output.
    """

    def __init__(self, file: Path, threads: int = 1, integers: str = "") -> None:
        # The file is loaded from memory, so that a path in it leads to no other file.
        data = file.read_bytes() + (integer_output(integers) if integers else b"")
        self._use({count: _session(data, count) for count in sorted({1, threads})})

    def _use(self, sessions: Mapping[int, Any]) -> None:
        self._sessions = sessions
        self._first = next(iter(sessions.values()))
        self.inputs = frozenset(each.name for each in self._first.get_inputs())
        self.outputs = tuple(each.name for each in self._first.get_outputs())

    def run(self, outputs: Sequence[str], values: Mapping[str, Any], stop: StopSwitch) -> Any:
        """Return some outputs, which are arrays, for these arrays. Raise EngineFailed."""
        session = self._sessions.get(stop.threads, self._first)
        try:
            return session.run(outputs, values, stop.options)
        except _FAULTS as error:
            raise EngineFailed(f"The model's network failed: {type(error).__name__}.") from None

    def sound(
        self, output: str, values: Mapping[str, Any], rate_hz: float, stop: StopSwitch
    ) -> NDArray[np.float32]:
        """Return one output, a sound at `rate_hz`, as `run` does."""
        return self.sound_and([output], values, rate_hz, stop)[0]

    def sound_and(
        self, outputs: Sequence[str], values: Mapping[str, Any], rate_hz: float, stop: StopSwitch
    ) -> list[NDArray[Any]]:
        """Return outputs of which the first one is a sound at `rate_hz`, as `run` does."""
        first, *others = self.run(outputs, values, stop)
        sound = np.asarray(first, np.float32).reshape(-1)
        if len(sound) > MOST_S * rate_hz:
            raise EngineFailed(f"The model's network made more than {MOST_S} seconds of one sentence.")
        return [sound, *others]


class GraphNetwork(OnnxNetwork):
    """A network whose graph is in memory. Its weights are arrays that are not in the graph. Each run has so
    many `threads`."""

    def __init__(self, graph: bytes, weights: Mapping[str, Any], threads: int = 1) -> None:
        self._use({threads: _session(graph, threads, weights)})


def _session(data: bytes, threads: int, weights: Mapping[str, Any] = MappingProxyType({})) -> Any:
    options = onnxruntime.SessionOptions()
    # A number of our own: with its default, it would bind threads to cores, which a host may not.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # The arena keeps the memory of the longest piece. Without it, the system's allocator keeps four times as
    # much, as pieces differ in length, and a run takes a tenth longer.
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in weights.values()]
        options.add_external_initializers(list(weights), values)
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _FAULTS as error:
        raise EngineFailed("onnxruntime does not take the model.", detail=str(error)[:300]) from None
