"""An engine that repeats what it hears, window by window, and then plays what a test wrote down."""

from collections.abc import AsyncGenerator, AsyncIterator

from proxy.audio.formats import OUTPUT_RATE_HZ
from speech_engine import Audio, Event, Finished, SpeechJob, Started
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step


class Repeating(Scripted):
    """It gives silence, as long as what it heard, at a rate of its own. `heard` are the pieces so far."""

    def __init__(self, *script: Step, window: int = 1, rate_hz: int = RATE_HZ, **model: object) -> None:
        super().__init__(*script, **{"converts": True, "sample_rate_hz": rate_hz, **model})
        self.heard = 0
        self._window = window
        self._rate_hz = rate_hz

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        self.jobs.append(job)
        self.open += 1
        pieces: list[bytes] = []
        try:
            yield Started(self._rate_hz)
            async for piece in pcm:
                self.heard += 1
                pieces.append(piece)
                if len(pieces) == self._window:
                    yield self._sound(pieces)
                    pieces = []
            if pieces:
                yield self._sound(pieces)
            for step in self._script or (Finished(),):
                if isinstance(step, Exception):
                    raise step
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.open -= 1

    def _sound(self, pieces: list[bytes]) -> Audio:
        samples = sum(map(len, pieces)) // 2
        return Audio(0, bytes(2 * (samples * self._rate_hz // OUTPUT_RATE_HZ)))
