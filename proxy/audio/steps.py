"""What every step between an engine and the encoder looks like, and how steps are chained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class SoundFailed(Exception):
    """A step or an encoder broke: the server's fault, so the request fails and nobody pays."""


class Step(Protocol):
    """PCM in, PCM out, in order; a step may hold some back until `flush`, after which it is spent.

    A `speech_engine.MarkStream` is one too. Chunks are whole samples.
    """

    def feed(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


def feed_through(steps: Sequence[Step], pcm: bytes) -> bytes:
    for step in steps:
        if not pcm:
            break
        pcm = step.feed(pcm)
    return pcm


def flush_through(steps: Sequence[Step]) -> bytes:
    """What the steps still hold; what one lets go passes through those after it."""
    pcm = b""
    for step in steps:
        pcm = (step.feed(pcm) if pcm else b"") + step.flush()
    return pcm
