"""The mark of one answer, an inaudible sign in its sound. The worker makes it: 0.2 ms for 100 ms of sound."""

from __future__ import annotations

from collections.abc import Callable

from speech_engine import EngineUnavailable
from speech_engine.mark import MarkStream


class AnswerMark:
    """The mark of one answer. After `flush`, its output is as long as its input. Raises EngineUnavailable."""

    def __init__(self, name: str, stream: MarkStream) -> None:
        self._name, self._stream = name, stream
        self.goes_on: bool = getattr(stream, "goes_on", False)

    def feed(self, pcm: bytes) -> bytes:
        return self._step(self._stream.feed, pcm)

    def flush(self) -> bytes:
        return self._step(self._stream.flush)

    def _step(self, step: Callable[..., bytes], *pcm: bytes) -> bytes:
        try:
            return step(*pcm)
        except Exception as error:  # noqa: BLE001 - the seam around a plugin: its class only
            reason = f"the mark {self._name} failed: {type(error).__name__}"
            raise EngineUnavailable(f"The sound could not be marked: {reason}", retry_after_s=2.0) from None
