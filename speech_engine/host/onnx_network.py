"""A network in onnxruntime, and the switch that ends its runs. Workers that have that library import this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from speech_engine.errors import EngineFailed

_FAULTS = tuple(
    each for each in vars(faults).values() if isinstance(each, type) and issubclass(each, Exception)
)
"""The runtime's errors have no class in common."""
_NOT_TOLD = 4
"""The level of onnxruntime's log that tells nothing but its end: a message could quote what is spoken."""


class StopSwitch:
    """Ends a run of a network, from another thread. The network stops after the operator that it computes."""

    def __init__(self) -> None:
        self.options = onnxruntime.RunOptions()

    def __repr__(self) -> str:
        return f"<StopSwitch {'on' if self.options.terminate else 'off'}>"

    def stop(self) -> None:
        self.options.terminate = True


class OnnxNetwork:
    """A loaded network. Several threads may run it. `inputs` are the names of what it takes."""

    def __init__(self, file: Path, threads: int) -> None:
        """Load a file that was checked at its import. Raise EngineFailed."""
        options = onnxruntime.SessionOptions()
        # A number of our own: with its default, it would bind threads to cores, which a host may not.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _NOT_TOLD
        # Texts differ in length. What it keeps for the longest one so far would never be given back.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # From memory: so no path in the file can lead anywhere.
        data = file.read_bytes()
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except _FAULTS as error:
            raise EngineFailed("onnxruntime does not take the model.", detail=str(error)[:300]) from None
        self.inputs = frozenset(each.name for each in self._session.get_inputs())

    def __repr__(self) -> str:
        return f"<OnnxNetwork of {len(self.inputs)} inputs>"

    def run(self, output: str, values: Mapping[str, Any], stop: StopSwitch) -> Any:
        """Return one output, an array, for these arrays. Raise EngineFailed."""
        try:
            return self._session.run([output], values, stop.options)[0]
        except _FAULTS as error:
            raise EngineFailed(f"The model's network failed: {type(error).__name__}.") from None
