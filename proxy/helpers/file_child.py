"""A child process that reads one file of a stranger: it is confined before the first byte."""

from __future__ import annotations

from proxy.helpers.job_confinement import confine_job
from speech_engine.host.pipe import ParentPipe

PARSER_CPU_S = 20
PARSER_MB = 512
"""The processor time of a parser of texts, and its memory."""


def receive_file(pipe: ParentPipe, most_cpu_s: int = PARSER_CPU_S, memory_mb: int = PARSER_MB) -> bytes:
    """Drop the access to files, programs and the network, and then receive the file, part by part. All code
    that the work needs must be loaded before: Python loads some at its first use."""
    confine_job(most_cpu_s, memory_mb)
    pipe.write(b"")  # ready: the file may come
    file = bytearray()
    while part := pipe.read():
        file += part
    return bytes(file)
