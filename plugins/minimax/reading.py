"""Turn the bytes of an answer into audio and the number of units billed.

This file knows no network: the bytes may be split anywhere. The last event of a stream repeats the whole clip
unless the request excludes that, and MiniMax may ignore the request. So the audio of the last event is played
only if no other audio came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from plugins.minimax.api import decoded
from plugins.minimax.wire import SpeechAnswer
from speech_engine import EngineFailed, EngineStumbled
from speech_engine.cloud import EventStream

_MOST_BYTES = 1024 * 1024
"""The limit of an answer in one piece without its audio, which is passed on as it comes."""
_AUDIO = re.compile(rb'"audio"\s*:\s*"(?=[^"])')
_STATUS_OF_LAST = 2
_SENTINEL = b"[DONE]"
_BLANKS = b" \t\r\n"
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


class SpeechReader:
    """A reader of one answer.

    `judge` raises the error that an answer reports. `units` is the number that MiniMax billed, or None
    before MiniMax has said it.
    """

    def __init__(self, judge: Callable[[SpeechAnswer], None]) -> None:
        self.units: int | None = None
        self.is_over = False
        self._judge = judge
        self._has_sound = False
        self._stream: EventStream | None = None
        self._is_one_object = False
        self._whole = bytearray()
        self._odd_digit: bytes | None = None  # the odd digit so far, inside the audio of a whole answer

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the audio that this piece completes. Raises the classes of `speech_engine.errors`."""
        if self._stream is not None:
            yield from self._events(self._stream.feed(piece))
            return
        if self._odd_digit is not None:
            digits, end, piece = (self._odd_digit + piece).partition(b'"')
            even = len(digits) - (0 if end else len(digits) % 2)
            yield from self._decode_hex(digits[:even].decode("latin-1"))
            self._odd_digit = None if end else digits[even:]
            piece = end + piece
        self._whole += piece
        if len(self._whole) > _MOST_BYTES:
            raise EngineFailed("MiniMax's answer is longer than any that makes sense.")
        if not self._is_one_object and (start := self._whole.lstrip(_BLANKS)):
            # A JSON object in place of events is an answer without streaming, or the refusal of a stream.
            self._is_one_object = start.startswith(b"{")
            if not self._is_one_object:
                self._stream = EventStream()
                yield from self._events(self._stream.feed(bytes(start)))
        if self._is_one_object and self._odd_digit is None and (found := _AUDIO.search(self._whole)):
            piece = bytes(self._whole[found.end() :])
            del self._whole[found.end() :]
            self._odd_digit = b""
            yield from self.feed(piece)

    def flush(self) -> Iterator[bytes]:
        """Yield the audio that is left after the last bytes. Raises EngineFailed if the end is missing."""
        if self._stream is not None:
            yield from self._events(self._stream.flush())
        elif self._whole:
            yield from self._read_event(bytes(self._whole), is_whole=True)
        if not self.is_over:
            raise EngineFailed("MiniMax's answer was cut off before its end.")
        if not self._has_sound:
            # This has been seen under bursts of requests. The same request succeeds a little later.
            raise EngineStumbled("MiniMax answered without any audio.")

    def _events(self, events: list[bytes]) -> Iterator[bytes]:
        for event in events:
            if not self.is_over and event.strip() != _SENTINEL:
                yield from self._read_event(event)

    def _read_event(self, data: bytes, *, is_whole: bool = False) -> Iterator[bytes]:
        answer = decoded(SpeechAnswer, data)
        if is_whole and answer.base_resp is None:
            raise EngineFailed("MiniMax's answer is not what it promises.")
        self._judge(answer)
        if answer.extra_info is not None and answer.extra_info.usage_characters is not None:
            self.units = answer.extra_info.usage_characters
        status = answer.data.status if answer.data else None
        self.is_over = is_whole or status == _STATUS_OF_LAST
        if not (self.is_over and self._has_sound):
            yield from self._decode_hex((answer.data and answer.data.audio) or "")

    def _decode_hex(self, digits: str) -> Iterator[bytes]:
        try:
            audio = bytes.fromhex(digits)
        except ValueError:
            raise EngineFailed("MiniMax sent audio that is not in hexadecimal.") from None
        if audio:
            self._has_sound = True
            yield audio


def billed_characters(text: str) -> int:
    """Count a Han character as 2 and everything else as 1, blanks and pause marks too.

    MiniMax does so, as far as its published answers show. If it says what it billed, that number is used.
    """
    return len(text) + len(_HAN.findall(text))
