"""The contract of a mark: derive a class from `MarkContract`, and pytest runs it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from speech_engine.mark import PAYLOAD_BITS, Detection, Mark, MarkKey
from speech_engine.testing.rules import require

_KEY = MarkKey("key_a", b"a secret of some bytes")
_OTHER = MarkKey("key_b", b"another secret, as long")
_PAYLOADS = (0, 0x1234_5678, (1 << PAYLOAD_BITS) - 1)
_RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
_SAMPLE_BYTES = 2


class MarkContract:
    """The promises of every mark that has keys, with one test for each.

    `speech` gives clean speech of four seconds or longer, as PCM at 24 kHz.
    """

    rate_hz = 24_000

    def mark(self) -> AbstractAsyncContextManager[Mark]:
        """Create a mark for one test. The end of the block must free all that it took."""
        raise NotImplementedError("a mark's contract tests say how to create it")

    def speech(self) -> bytes:
        raise NotImplementedError("a mark's contract tests need speech")

    async def test_a_mark_is_found_with_its_payload(self) -> None:
        async with self.mark() as mark:
            for payload in _PAYLOADS:
                marked = _mark_speech(mark, self.speech(), self.rate_hz, payload)
                found = mark.detect(marked, self.rate_hz, [_OTHER, _KEY])
                require(found.key == _KEY.id, "a mark is found by its key")
                require(found.payload == payload, "a mark's payload is read")
                require(found.score >= found.threshold, "a found mark reaches the threshold")
                require(
                    0 < found.seconds <= len(marked) / _SAMPLE_BYTES / self.rate_hz, "a mark has a length"
                )

    async def test_no_other_mark_is_found(self) -> None:
        async with self.mark() as mark:
            marked = _mark_speech(mark, self.speech(), self.rate_hz, 7)
            found = mark.detect(marked, self.rate_hz, [_OTHER])
            require(_has_no_mark(found), "only a key's own mark is found")

    async def test_lengths_stay_at_every_rate_and_in_any_chunks(self) -> None:
        async with self.mark() as mark:
            speech = self.speech()
            for rate_hz in _RATES_HZ:
                # A chunk is one sample, an odd number of samples, or the whole. At most 200 are marked.
                for chunk in (2, 962, len(speech)):
                    part = speech[: 200 * chunk]
                    marked = _mark_speech(mark, part, rate_hz, 1, chunk)
                    require(len(marked) == len(part), "a mark adds no sample and takes none away")

    async def test_the_first_byte_comes_within_twenty_milliseconds(self) -> None:
        async with self.mark() as mark:
            for rate_hz in _RATES_HZ:
                stream = mark.open(rate_hz, _KEY, 1)
                first = stream.feed(self.speech()[: (rate_hz // 50 + 1) * _SAMPLE_BYTES])
                require(bool(first), "the first byte comes after 20 ms of sound at most")

    async def test_silence_stays_silence(self) -> None:
        async with self.mark() as mark:
            silence, speech = bytes(self.rate_hz), self.speech()
            for sound in (b"", bytes(2), silence):
                require(_mark_speech(mark, sound, self.rate_hz, 1) == sound, "digital silence keeps its bits")
            marked = _mark_speech(mark, silence + speech + silence, self.rate_hz, 1)
            require(marked.startswith(silence), "silence before speech keeps its bits")
            require(marked.endswith(silence), "silence after speech keeps its bits")

    async def test_what_no_mark_can_be_in_is_refused_or_has_none(self) -> None:
        async with self.mark() as mark:
            for sound in (b"", bytes(2), b"\1", bytes(self.rate_hz)):
                require(_has_no_mark(mark.detect(sound, self.rate_hz, [_KEY])), "nothing is found in nothing")
            require(
                _has_no_mark(mark.detect(self.speech(), self.rate_hz, [])), "nothing is found without keys"
            )
            for rate_hz, payload in (
                (4_000, 1),
                (96_000, 1),
                (self.rate_hz, -1),
                (self.rate_hz, 1 << PAYLOAD_BITS),
            ):
                require(_is_refused(mark, rate_hz, payload), "a wrong rate or payload is a ValueError")


def _mark_speech(mark: Mark, pcm: bytes, rate_hz: int, payload: int, chunk: int = 4800) -> bytes:
    stream = mark.open(rate_hz, _KEY, payload)
    chunks = [stream.feed(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
    return b"".join(chunks) + stream.flush()


def _has_no_mark(found: Detection) -> bool:
    return found.key is None and found.payload is None and found.score < found.threshold


def _is_refused(mark: Mark, rate_hz: int, payload: int) -> bool:
    try:
        mark.open(rate_hz, _KEY, payload)
    except ValueError:
        return True
    return False
