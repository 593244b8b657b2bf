"""A session on the native socket: its utterances, one after the other, each spoken while its text comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from proxy.errors import InvalidRequest, RequestFailed
from proxy.features.sockets.messages import (
    AudioCancelledMessage,
    AudioDoneMessage,
    AudioStartMessage,
    CancelMessage,
    CloseMessage,
    ConfigMessage,
    DoneMessage,
    ErrorMessage,
    ServerMessage,
    SessionDoneMessage,
    SpokenUsage,
    TextMessage,
    as_text,
    read_message,
)
from proxy.features.sockets.utterances.utterance import (
    MOST_CHARACTERS,
    Interrupted,
    PieceEnd,
    PieceStart,
    PlacedWord,
    Utterance,
    UtteranceEnd,
    Utterances,
)
from proxy.http.socket import Socket

CONFIG_S = 10.0
"""A socket without a config is closed after so long."""
MOST_FAULTS = 20
"""A client with so many wrong messages is not going to get better."""

_DONE, _LEAVING, _NO_MORE = 1000, 1001, 1008


class _Closing(NamedTuple):
    code: int
    reason: str = ""
