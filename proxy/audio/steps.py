"""The interface of the steps between an engine and the encoder, and how they are chained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class SoundFailed(Exception):
    """A step or an encoder broke. That is the server's fault, so the request fails and costs nothing."""


class Step(Protocol):
    """Takes and returns PCM, in order and in whole samples. A step may keep some sound back until `flush`.

    After `flush`, a step takes no more.
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
    """Take the sound that the steps still hold. The rest of one step goes through the steps after it."""
    pcm = b""
    for step in steps:
        pcm = (step.feed(pcm) if pcm else b"") + step.flush()
    return pcm
