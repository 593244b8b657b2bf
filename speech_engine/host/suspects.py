"""The quarantine of a host: a text that may have killed a host runs alone, and one that surely has is
refused.

The supervisor decides which texts these are. It sees only digests. They have a random key that only the
supervisor and its hosts know, so no other reader can test a text against them. An account's text is a suspect
for that account alone. The suspect of a conversion is the voice, since the recording has not come yet when
the digest is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from speech_engine.errors import EngineError, UnsupportedOption, UnsupportedText, UnusableSample
from speech_engine.work import Convert, Hear, Speak, Work

DIGEST_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode

KILLER = "Invalid 'input': the engine's process ends each time it speaks this text."
KILLER_RECORDING = "Invalid 'file': the engine's process ends each time it hears this recording."
KILLER_VOICE = "Invalid 'voice': the engine's process ends each time it converts into this voice."


def killer_error(work: Work) -> EngineError:
    """Return the error of work that kills its host."""
    if isinstance(work, Hear):
        return UnusableSample(KILLER_RECORDING)
    if isinstance(work, Convert):
        return UnsupportedOption(KILLER_VOICE, detail="voice")
    return UnsupportedText(KILLER)


class Suspects:
    """The verdicts on texts.

    `digest()` returns b"" for work on voices: such work is never a suspect.
    """

    def __init__(self, key: bytes = b"") -> None:
        self._key = key
        self._alone: frozenset[bytes] = frozenset()
        self._refused: frozenset[bytes] = frozenset()

    def update(self, alone: Iterable[bytes], refused: Iterable[bytes]) -> None:
        self._alone, self._refused = frozenset(alone), frozenset(refused)

    def digest(self, work: Work) -> bytes:
        if isinstance(work, Hear):
            encoded = _encode((work.job.tenant, work.job.model, work.job.recording))
        elif isinstance(work, Convert):
            encoded = _encode((work.job.tenant, work.job.model, work.job.voice))
        elif isinstance(work, Speak):
            job = work.job
            texts = [segment.spoken for segment in job.segments]
            encoded = _encode((job.tenant, job.model, job.voice, job.language, texts, job.pronunciations))
        else:
            return b""
        return hashlib.blake2b(encoded, key=self._key, digest_size=DIGEST_BYTES).digest()

    def runs_alone(self, work: Work, digest: bytes) -> bool:
        """Tell whether work may only run alone. Raises the error of `killer_error` if the work is refused."""
        if digest in self._refused:
            raise killer_error(work)
        return digest in self._alone
