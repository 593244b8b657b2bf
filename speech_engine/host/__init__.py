"""Runs an engine in a process of its own: `python -m speech_engine.host PIPE_FD`. Needs grpcio."""

import gc
import sys

if __name__ in sys.orig_argv:
    # A host begins here: while it imports, also torch, the collector would only search again and again.
    gc.disable()
