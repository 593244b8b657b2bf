"""What the messages of a socket mean for its contexts. A context is one answer of an agent; several may be
under way on a socket. Pure: a message in, steps out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from proxy.errors import InvalidRequest
from proxy.features.elevenlabs_api.messages import ContextMessage
from speech_engine.redacted import Redacted

MOST_OPEN = 5
"""The most contexts that a client may have open. One that it has closed, and that still speaks, is not
counted."""
_MOST_FAILED = 100
"""The most failed contexts whose names are remembered."""
_UNNAMED = "default"
"""The context of messages that name none."""

Action = Literal["open", "say", "flush", "finish", "stop", "close_socket"]


class ContextStep(Redacted, msgspec.Struct, frozen=True):
    """What to do with a context: `open` it, `say` more text, `flush` what is there, `finish` when it is all
    said, or `stop` now."""

    action: Action
    context: str
    text: str = ""
    settings: Mapping[str, Any] | None = None


class ContextRefused(InvalidRequest):
    """A message that its context cannot take. If the context `is_over`, it was never opened."""

    def __init__(self, message: str, code: str, context: str, *, is_over: bool = False) -> None:
        super().__init__(message, param="context_id", code=code)
        self.context = context
        self.is_over = is_over


class Contexts:
    """The contexts of `multi-stream-input`. With `is_auto`, each message is spoken as it comes, and words of
    two messages are never joined."""

    def __init__(self, *, is_auto: bool) -> None:
        self._is_auto = is_auto
        # Each open context, and whether all its text was flushed: such a context is
        # finished when it is closed, and another one is stopped.
        self._open: dict[str, bool] = {}
        # Contexts that the client closed and that still speak, the oldest first.
        self._closed: dict[str, None] = {}
        # Contexts that failed before the client has closed them, the oldest first.
        self._failed: dict[str, None] = {}

    def read_steps(self, message: ContextMessage) -> list[ContextStep]:
        """Return what a message means, in this order. Raises ContextRefused."""
        if message.close_socket:
            return [*map(self._close, list(self._open)), ContextStep("close_socket", "")]
        id_, text = message.context_id or _UNNAMED, message.text or ""
        if id_ in self._failed or id_ in self._closed:
            return self._steps_after_close(id_, message)
        steps = []
        if id_ not in self._open:
            # A flush, a close or a keep-alive of a context that never opened means nothing.
            if not text:
                return []
            self._check_room(id_)
            self._open[id_] = False
            steps.append(ContextStep("open", id_, settings=message.voice_settings))
        if text.strip():
            self._open[id_] = False
        elif message.flush:
            self._open[id_] = True
        steps += _text_steps(
            id_, text, is_new=bool(steps), is_auto=self._is_auto, is_flush=bool(message.flush)
        )
        if message.close_context:
            # Text that comes with the close is said, too.
            self._open[id_] |= bool(text.strip())
            steps.append(self._close(id_))
        return steps

    def end_context(self, context: str, *, has_failed: bool = False) -> None:
        """Note that a context is over. If it has failed, what still comes for it means nothing."""
        is_open = self._open.pop(context, None) is not None
        self._closed.pop(context, None)
        if has_failed and is_open:
            self._note_failed(context)

    def oldest_closed(self, *, other_than: str) -> str | None:
        """Return the context that still speaks, and that the client closed before all others. `other_than` is
        left out."""
        return next((each for each in self._closed if each != other_than), None)

    def _close(self, id_: str) -> ContextStep:
        """Close an open context. What was flushed is still said."""
        if self._open.pop(id_):
            self._closed[id_] = None
            return ContextStep("finish", id_)
        return ContextStep("stop", id_)

    def _steps_after_close(self, id_: str, message: ContextMessage) -> list[ContextStep]:
        """Return what is meant for a context that was closed, or has failed."""
        if message.close_context:
            has_failed = id_ in self._failed
            self._failed.pop(id_, None)
            self._closed.pop(id_, None)
            return [] if has_failed else [ContextStep("stop", id_)]
        if id_ in self._failed:
            return []
        if (message.text or "").strip():
            raise ContextRefused("This context is closed, and takes no more text.", "context_closed", id_)
        return []

    def _check_room(self, id_: str) -> None:
        if len(self._open) >= MOST_OPEN:
            self._note_failed(id_)
            fault = f"This socket has {MOST_OPEN} open contexts, and that is the most. Close one."
            raise ContextRefused(fault, "max_active_conversations", id_, is_over=True)

    def _note_failed(self, id_: str) -> None:
        self._failed[id_] = None
        if len(self._failed) > _MOST_FAILED:
            del self._failed[next(iter(self._failed))]


class OneContext(Contexts):
    """The only context of `stream-input`. It has no name, and ends with an empty text."""

    def __init__(self, *, is_auto: bool) -> None:
        super().__init__(is_auto=is_auto)
        self._has_begun = self._is_over = False

    def read_steps(self, message: ContextMessage) -> list[ContextStep]:
        if self._is_over:
            return []
        steps, text = [], message.text
        if not self._has_begun:
            self._has_begun = True
            steps.append(ContextStep("open", "", settings=message.voice_settings))
        steps += _text_steps(
            "", text or "", is_new=bool(steps), is_auto=self._is_auto, is_flush=bool(message.flush)
        )
        if text == "" or message.close_socket:
            self._is_over = True
            steps.append(ContextStep("finish", ""))
        return steps

    def end_context(self, context: str, *, has_failed: bool = False) -> None:
        del context, has_failed
        self._is_over = True


def _text_steps(id_: str, text: str, *, is_new: bool, is_auto: bool, is_flush: bool) -> list[ContextStep]:
    steps = []
    if text.strip() or (text and not is_new):
        # Blanks in an open context may be within an element of SSML.
        steps.append(ContextStep("say", id_, f"{text} " if is_auto and not text[-1].isspace() else text))
    if is_flush or (is_auto and text.strip()):
        steps.append(ContextStep("flush", id_))
    return steps
