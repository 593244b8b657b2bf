"""Runs an engine in a process of its own: `python -m speech_engine.host PIPE_FD`. Needs grpcio."""
