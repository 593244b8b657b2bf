"""The account behind the fake: its voices, its files, its limit of requests a minute, and its clock."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from itertools import count

import msgspec

SYSTEM_VOICES = ("English_expressive_narrator", "Portuguese_SentimentalLady", "Thai_male_1_sample8")
UNUSED_S = 7 * 24 * 3600.0

_VOICE_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{6,254}[A-Za-z0-9]\Z")
_FIRST_FILE = 2**53 + 1
"""An odd number, too large for a float. An id that went through a float becomes the id of another file."""


class ClonedVoice(msgspec.Struct):
    """A voice. Its first speech takes the fee. Then it is listed and stays; else it lives for a week."""

    made_at: float
    is_listed: bool = False


class File(msgspec.Struct):
    purpose: str
    seconds: float | None
    name: str = ""


class Account:
    """A MiniMax account. `rpm` is the most requests for speech in a minute; None sets no limit.

    `fees` counts the clones for which it took its fee.
    """

    def __init__(self, clock: Callable[[], float] = time.time, rpm: int | None = None) -> None:
        self.clock = clock
        self.rpm = rpm
        self.voices: dict[str, ClonedVoice] = {}
        self.files: dict[int, File] = {}
        self.fees = 0
        self._gone: set[str] = set()
        self._requests: deque[float] = deque()
        self._numbers = count(_FIRST_FILE, 2)

    def __repr__(self) -> str:
        return f"<Account of {len(self.voices)} voices, {len(self.files)} files>"

    def may_ask(self) -> bool:
        now = self.clock()
        while self._requests and self._requests[0] <= now - 60.0:
            self._requests.popleft()
        if self.rpm is not None and len(self._requests) >= self.rpm:
            return False
        self._requests.append(now)
        return True

    def keep(self, purpose: str, seconds: float | None, name: str = "") -> int:
        number = next(self._numbers)
        self.files[number] = File(purpose, seconds, name)
        return number

    def speak_with(self, voice: str) -> bool:
        """Note that a voice is used. Return False if the account does not have it."""
        self._expire()
        if voice in SYSTEM_VOICES:
            return True
        if voice not in self.voices:
            return False
        known = self.voices[voice]
        self.fees += not known.is_listed
        known.is_listed = True
        return True

    def listed(self) -> list[str]:
        self._expire()
        return [voice for voice, known in self.voices.items() if known.is_listed]

    def is_free(self, voice: str) -> bool:
        self._expire()
        return voice not in self.voices and voice not in self._gone and voice not in SYSTEM_VOICES

    def add(self, voice: str) -> None:
        self.voices[voice] = ClonedVoice(self.clock())

    def remove(self, voice: str) -> bool:
        """Delete a voice. Its id cannot be used again. Return False if there is no such voice."""
        if self.voices.pop(voice, None) is None:
            return False
        self._gone.add(voice)
        return True

    def _expire(self) -> None:
        oldest = self.clock() - UNUSED_S
        for voice, known in list(self.voices.items()):
            if not known.is_listed and known.made_at <= oldest:
                self.remove(voice)


def is_voice_id(voice: object) -> bool:
    return isinstance(voice, str) and _VOICE_ID.match(voice) is not None
