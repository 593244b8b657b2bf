"""The end of an answer, kept back while it goes out: its last bytes wait for the settlement."""

from __future__ import annotations

from proxy.audio.formats import Chunk

_TAIL_BYTES = 64
"""Of the answer, always kept back, so that the last chunk is never empty: it goes out only when the
settlement is on disk."""


class Tail:
    """`rest` is what is kept back just now."""

    def __init__(self) -> None:
        self.rest = Chunk()

    def __repr__(self) -> str:
        return f"<Tail {self.rest!r}>"

    def less(self, chunk: Chunk) -> Chunk:
        """The chunk, after what was kept back before, less what is kept back now: bytes and samples alike."""
        whole = self.rest + chunk
        kept = min(len(whole.data), _TAIL_BYTES)
        given = len(whole.data) - kept
        samples = whole.samples * given // max(1, len(whole.data))
        rate_hz = whole.sample_rate_hz
        self.rest = Chunk(whole.data[given:], whole.samples - samples, rate_hz)
        return Chunk(whole.data[:given], samples, rate_hz)
