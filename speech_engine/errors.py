"""How an engine says no. The class decides everything: the HTTP status, and whether another may try.

A message reaches the user only for the classes that are the user's to mend; it must never quote the text.
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """The base of all of them. `retry_after_s`, where known, is when a second try makes sense.

    `may_fall_back`: another engine may be asked. `may_retry`: this one may be asked again before any audio
    came, since it certainly did nothing, and bills nothing, for the first try.
    """

    may_fall_back: ClassVar[bool] = True
    may_retry: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class EngineFailed(EngineError):
    """The engine broke: a fault of ours or its own, not of the request."""


class EngineUnavailable(EngineError):
    """The engine is not there just now: starting, restarting, switched off, out of credit."""


class EngineBusy(EngineError):
    """The engine's queue is full."""


class EngineStumbled(EngineError):
    """The provider failed before it did anything, in a way that passes: a second try may do."""

    may_retry = True


class EngineLimited(EngineError):
    """The provider allows no more requests just now: so many a minute, or at the same time."""

    may_retry = True


class EngineUnauthorized(EngineError):
    """The provider does not accept our key, or what it may do. The operator's to mend, never a tenant's."""


class EngineExhausted(EngineError):
    """The provider's account has no credit left, or its plan is used up. The operator's to mend."""


class EngineTimeout(EngineError):
    """No audio came in time."""


class UnsupportedLanguage(EngineError):
    """The engine does not speak the language well enough."""


class UnsupportedText(EngineError):
    """The text has something this engine cannot speak; another might."""


class VoiceNotFound(EngineError):
    """The engine does not know the voice it was given."""


class ContentRefused(EngineError):
    """A moderation refusal: final, since asking the next engine would be going round it."""

    may_fall_back = False


class UnusableSample(EngineError):
    """A recording that cannot be spoken with: too short, too noisy, no speech."""

    may_fall_back = False


_BY_NAME: dict[str, type[EngineError]] = {
    cls.__name__: cls
    for cls in (
        EngineFailed,
        EngineUnavailable,
        EngineBusy,
        EngineStumbled,
        EngineLimited,
        EngineUnauthorized,
        EngineExhausted,
        EngineTimeout,
        UnsupportedLanguage,
        UnsupportedText,
        VoiceNotFound,
        ContentRefused,
        UnusableSample,
    )
}


def name_of(error: EngineError) -> str:
    """The name by which another process knows the error: its class, or the nearest parent in this module."""
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _BY_NAME), "EngineFailed")


def error_named(name: str, message: str, *, retry_after_s: float | None = None) -> EngineError:
    """The error another process described; a class this version does not know becomes EngineFailed."""
    return _BY_NAME.get(name, EngineFailed)(message, retry_after_s=retry_after_s)
