"""The errors of an engine. The class decides the HTTP status, and whether another engine may try.

The user sees a message only if the user can correct the error. A message must never quote the text, and
never has a provider's code or words: those are the `detail`, which only the operator reads.
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """The base class. `retry_after_s` says when a second try makes sense, if that is known. `detail` is for
    the operator alone: the provider's status and code.

    `may_fall_back`: the server may ask another engine. `may_retry`: the server may ask this engine again
    before any audio came. The first try certainly had no effect and is free.
    """

    may_fall_back: ClassVar[bool] = True
    may_retry: ClassVar[bool] = False

    def __init__(self, message: str, *, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.retry_after_s = retry_after_s

    @property
    def reason(self) -> str:
        """The message with its detail, for the operator's logs and commands."""
        return f"{self.message.rstrip('.')} ({self.detail})." if self.detail else self.message


class EngineFailed(EngineError):
    """The engine broke: the fault is in the server or the engine, not in the request."""


class EngineCannot(EngineFailed):
    """The engine has no way to do this kind of work, or its key or account may not: no second try helps.

    The server raises it if the engine lacks the method.
    """


class EngineUnavailable(EngineError):
    """The engine is not available now: starting, restarting, switched off, out of credit."""


class EngineBusy(EngineError):
    """The engine's queue is full."""


class EngineStumbled(EngineError):
    """The provider failed for a moment, before it did anything: a second try may succeed."""

    may_retry = True


class EngineLimited(EngineError):
    """The provider allows no more requests now: in a minute, or at the same time."""

    may_retry = True


class EngineUnauthorized(EngineError):
    """The provider does not accept the key or its permissions. The operator must correct this."""


class EngineForbidden(EngineUnauthorized):
    """The provider takes the key, and does not let it do this: a 403. The key may lack a permission, or the
    provider may not like this text. So it counts like a fault, and the next key is tried."""


class EngineExhausted(EngineError):
    """The provider's account has no credit left, or its plan is used up. The operator must act."""


class EngineTimeout(EngineError):
    """No audio came in time."""


class UnsupportedLanguage(EngineError):
    """The engine does not speak the language well enough."""


class UnsupportedText(EngineError):
    """The text has something that this engine cannot speak; another engine might."""


class UnsupportedInstructions(EngineError):
    """The instructions are more than this model takes; another model might."""


class UnsupportedOption(EngineError):
    """The model does not support an option, or not with this voice; another model might. `detail` is the name
    of the option's field."""


class UnsupportedRequest(EngineError):
    """The provider does not take this request, and does not name the fault; another provider might.

    It does not count against the provider's health, and the provider does not bill it.
    """


class VoiceNotFound(EngineError):
    """The engine does not know the voice of the job."""


class NoCloneRoom(EngineError):
    """The provider's account has no room for one more clone. The account itself is well and may speak."""


class CloneNameUsed(EngineError):
    """The provider once had a clone of this name. Only another name can be used."""


class ContentRefused(EngineError):
    """A refusal by moderation. The refusal is final: another engine must not be used to avoid it."""

    may_fall_back = False


class UnusableSample(EngineError):
    """The recording is of no use: too short, too noisy, or without speech."""

    may_fall_back = False


_BY_NAME: dict[str, type[EngineError]] = {
    name: kind
    for name, kind in tuple(globals().items())
    if isinstance(kind, type) and issubclass(kind, EngineError) and kind is not EngineError
}


def name_of(error: EngineError) -> str:
    """Return the error's name for another process: its class, or the nearest parent in this module."""
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _BY_NAME), "EngineFailed")


def error_named(
    name: str, message: str, *, detail: str = "", retry_after_s: float | None = None
) -> EngineError:
    """Return the error that another process described; an unknown class becomes EngineFailed."""
    return _BY_NAME.get(name, EngineFailed)(message, detail=detail, retry_after_s=retry_after_s)
