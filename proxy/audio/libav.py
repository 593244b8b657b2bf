"""Keeps libav from starting threads in this process."""

from __future__ import annotations

import ctypes

from av import _core


def forbid_threads() -> None:
    """Let libav work in the thread that calls it, in all that is opened after this call.

    PyAV gives each encoder and each resampler a filter graph, and offers no number of threads for it. A graph
    starts a thread for each core, up to 15, which costs an answer more time than it saves.
    """
    force_count = getattr(ctypes.CDLL(_core.__file__), "av_cpu_force_count", None)
    if force_count is not None:  # a build of PyAV may hide it
        force_count(1)
