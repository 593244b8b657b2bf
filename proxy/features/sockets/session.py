"""A session on the native socket: its utterances, one after the other, each spoken while its text comes.

Two tasks share it. One reads at all times, so that an interruption is not missed. The other one speaks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from policies.markdown.reading import Reading
from proxy.errors import InvalidRequest, RequestFailed, StorageUnavailable
from proxy.features.sockets.messages import (
    AudioCancelledMessage,
    AudioDoneMessage,
    AudioStartMessage,
    CancelMessage,
    CancelReason,
    CloseMessage,
    ConfigMessage,
    DoneMessage,
    ErrorMessage,
    ServerMessage,
    SessionDoneMessage,
    TextMessage,
    as_text,
    read_message,
)
from proxy.features.sockets.utterances.utterance import Utterance
from proxy.features.sockets.utterances.utterances import Utterances
from proxy.features.sockets.utterances.values import (
    Interrupted,
    PieceEnd,
    PieceStart,
    PlacedWord,
    UtteranceEnd,
)
from proxy.http.socket import Socket
from proxy.speech.speech_request import Defaults
from proxy.storage.store import StorageFailed

CONFIG_S = 10.0
"""A socket that has no config after so long is closed."""
MOST_FAULTS = 20
"""So many wrong messages close the socket."""
MOST_WAITING = 20
"""So many utterances may wait behind the one that is spoken."""
MOST_WAITING_CHARACTERS = 20_000
"""The most text of those together."""

ASKED_FOR, LEAVING, REFUSED = 1000, 1001, 1008
"""Codes with which a socket is closed."""


class SessionParts(NamedTuple):
    """What a session needs of the newest revision of the configuration."""

    utterances: Utterances
    defaults: Callable[[], Awaitable[Defaults]]
    client_fields: Callable[[], frozenset[str]]


class _Closing(NamedTuple):
    code: int
    reason: str = ""


class _Turn:
    """An utterance from its first text on. Its texts wait here until it begins."""

    def __init__(self, config: ConfigMessage) -> None:
        self.config = config
        self.texts: list[str] = []
        self.utterance: Utterance | None = None
        self.has_begun = asyncio.Event()
        """It has an utterance, or will have none."""
        self.has_ended = asyncio.Event()
        """No more text comes."""
        self.is_cancelled = self.is_over = False

    def add_text(self, text: str) -> None:
        """Raises InvalidRequest, and adds nothing. The text of an utterance that has failed is nothing."""
        if self.utterance is None:
            self.texts.append(text)
        elif not self.is_over:
            self.utterance.add(text)

    def end_text(self) -> None:
        self.has_ended.set()
        if self.utterance is not None:
            self.utterance.end()

    def begin(self, utterance: Utterance) -> None:
        """Raises InvalidRequest if the texts that waited are too long together."""


class NativeSession:
    def __init__(self, socket: Socket, newest: Callable[[], SessionParts]) -> None:
        self._socket = socket
        self._newest = newest
        self._config: ConfigMessage | None = None
        self._turns = deque[_Turn]()
        self._has_turn = asyncio.Event()
        self._index = 0
        self._faults = 0
        self._is_closing = False
