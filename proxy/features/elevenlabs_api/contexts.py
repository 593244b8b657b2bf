"""What the messages of a socket mean for its contexts. A context is one answer of an agent; several may be
under way on a socket. Pure: a message in, steps out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from proxy.features.elevenlabs_api.messages import ContextMessage
from speech_engine.redacted import Redacted

MOST_OPEN = 5
"""The most contexts that a client may have open. One that it has closed, and that still speaks, is not
counted."""
UNNAMED = "default"
"""The context of messages that name none."""

Doing = Literal["open", "say", "flush", "finish", "stop", "too_many", "is_closed", "close_socket"]


class Step(Redacted, msgspec.Struct, frozen=True):
    """What to do with a context: `open` it, `say` more text, `flush` what is there, `finish` when it is all
    said, or `stop` now. It may be one of `too_many`, or `is_closed` and takes no text."""

    doing: Doing
    context: str
    text: str = ""
    settings: Mapping[str, Any] | None = None


class Contexts(Protocol):
    """The contexts of one socket."""

    def steps(self, message: ContextMessage) -> list[Step]:
        """Return what a message means, in this order."""
        ...

    def forget(self, context: str) -> None:
        """Forget a context that has ended."""
        ...

    def oldest_closed(self) -> str | None:
        """Return the context that still speaks, and that the client closed before all others."""
        ...


class _State:
    __slots__ = ("is_closed", "is_flushed")

    def __init__(self) -> None:
        self.is_closed = False
        self.is_flushed = False
        """Whether the last message was a flush without text."""


class ManyContexts:
    """The contexts of `multi-stream-input`. With `is_auto`, each message is spoken as it comes, and words of
    two messages are never joined."""

    def __init__(self, *, is_auto: bool) -> None:
        self._is_auto = is_auto
        self._known: dict[str, _State] = {}
        self._closed: dict[str, None] = {}

    def steps(self, message: ContextMessage) -> list[Step]:
        if message.close_socket:
            return self._end()
        id_, text = message.context_id or UNNAMED, message.text or ""
        state = self._known.get(id_)
        if state is None:
            # A flush, a close or a keep-alive of a context that never opened means nothing.
            if not text:
                return []
            if len(self._known) - len(self._closed) >= MOST_OPEN:
                return [Step("too_many", id_)]
            state = self._known[id_] = _State()
            steps = [Step("open", id_, settings=message.voice_settings)]
        elif state.is_closed:
            if message.close_context:
                return [self._stop(id_)]
            return [Step("is_closed", id_)] if text.strip() else []
        else:
            steps = []
        steps += self._words(id_, state, text, is_flush=bool(message.flush))
        if message.close_context:
            is_whole = state.is_flushed or bool(text.strip())
            steps.append(self._close(id_, state) if is_whole else self._stop(id_))
        return steps

    def forget(self, context: str) -> None:
        self._known.pop(context, None)
        self._closed.pop(context, None)

    def oldest_closed(self) -> str | None:
        return next(iter(self._closed), None)

    def _words(self, id_: str, state: _State, text: str, *, is_flush: bool) -> list[Step]:
        steps = []
        if text.strip():
            state.is_flushed = False
            steps += _said(id_, text, is_auto=self._is_auto)
        elif is_flush:
            state.is_flushed = True
        if is_flush and not (self._is_auto and steps):
            steps.append(Step("flush", id_))
        return steps

    def _close(self, id_: str, state: _State) -> Step:
        state.is_closed = True
        self._closed[id_] = None
        return Step("finish", id_)

    def _stop(self, id_: str) -> Step:
        self.forget(id_)
        return Step("stop", id_)

    def _end(self) -> list[Step]:
        """Finish what was flushed, stop the rest, and then close the socket."""
        steps = []
        for id_, state in list(self._known.items()):
            if not state.is_closed:
                steps.append(self._close(id_, state) if state.is_flushed else self._stop(id_))
        return [*steps, Step("close_socket", "")]


class OneContext:
    """The only context of `stream-input`. It has no name, and ends with an empty text."""

    def __init__(self, *, is_auto: bool) -> None:
        self._is_auto = is_auto
        self._is_open = False
        self._is_ended = False

    def steps(self, message: ContextMessage) -> list[Step]:
        if self._is_ended:
            return []
        steps, text = [], message.text
        if not self._is_open:
            self._is_open = True
            steps.append(Step("open", "", settings=message.voice_settings))
        if text and text.strip():
            steps += _said("", text, is_auto=self._is_auto)
        if message.flush:
            steps.append(Step("flush", ""))
        if text == "" or message.close_socket:
            self._is_ended = True
            steps.append(Step("finish", ""))
        return steps

    def forget(self, context: str) -> None:
        """It is over with the socket."""

    def oldest_closed(self) -> str | None:
        return None


def _said(id_: str, text: str, *, is_auto: bool) -> list[Step]:
    if not is_auto:
        return [Step("say", id_, text)]
    return [Step("say", id_, text if text[-1].isspace() else f"{text} "), Step("flush", id_)]
