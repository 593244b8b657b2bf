"""A host's side of the quarantine: texts that may have killed a host run alone, and killers do not run.

The supervisor decides which they are. It sees only digests: under a key of its own, a digest tells nothing
about the text to those who read it elsewhere. An account's text is a suspect for that account alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from speech_engine.errors import UnsupportedText
from speech_engine.work import Speak, Work

DIGEST_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode

KILLER = "Invalid 'input': the engine's process ends each time it speaks this text."


class Suspects:
    """The verdicts on texts. `digest` is empty for work that no other process could repeat."""

    def __init__(self, key: bytes = b"") -> None:
        self._key = key
        self._alone: frozenset[bytes] = frozenset()
        self._refused: frozenset[bytes] = frozenset()

    def __repr__(self) -> str:
        return f"<Suspects: {len(self._alone)} alone, {len(self._refused)} refused>"

    def update(self, alone: Iterable[bytes], refused: Iterable[bytes]) -> None:
        self._alone, self._refused = frozenset(alone), frozenset(refused)

    def digest(self, work: Work) -> bytes:
        if not isinstance(work, Speak):
            return b""
        job = work.job
        texts = [segment.spoken for segment in job.segments]
        said = _encode((job.tenant, job.model, job.voice, job.language, texts, job.pronunciations))
        return hashlib.blake2b(said, key=self._key, digest_size=DIGEST_BYTES).digest()

    def runs_alone(self, digest: bytes) -> bool:
        """Tell whether a text may only run alone. Raises UnsupportedText if it may not run."""
        if digest in self._refused:
            raise UnsupportedText(KILLER)
        return digest in self._alone
