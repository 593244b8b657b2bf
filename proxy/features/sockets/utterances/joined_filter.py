"""A filter of sound that goes on from piece to piece, so that a mark is found in pieces of one word, too."""

from __future__ import annotations

from msgspec.structs import replace

from proxy.speech.call import SpeechCall
from proxy.speech.sound_filter import OpenFilter, SoundFilter


class JoinedFilter:
    """The `SoundFilter` of an utterance. If it `goes_on`, all pieces have the one that the first has opened.
    Then a piece must not begin before all sound of the one before is made."""

    def __init__(self, filter_: SoundFilter) -> None:
        self.key, self.headers = filter_.key, filter_.headers
        self._filter = filter_
        self._opened: OpenFilter | None = None

    @property
    def goes_on(self) -> bool:
        return self._opened is not None

    def join(self, call: SpeechCall) -> SpeechCall:
        """Return the call of a piece, with this filter."""
        assert call.plan.treatment is not None, "it is filtered"
        return replace(call, plan=replace(call.plan, treatment=replace(call.plan.treatment, filter=self)))

    async def open(self, sample_rate_hz: int, within_s: float) -> OpenFilter:
        if self._opened is not None:
            return self._opened
        opened = await self._filter.open(sample_rate_hz, within_s)
        self._opened = opened if getattr(opened, "goes_on", False) else None
        return opened
