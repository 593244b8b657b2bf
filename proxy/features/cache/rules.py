"""The rules of the cache: which requests use it, which answers it stores, and which sound the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from speech_engine import Voice


class PostUse(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The engine that repeats a part for the post-step of a route. Its fields mean what those of
    `SpeakerUse` mean."""

    voice: str
    revision: str
    model: str
    checkpoint: str
    engine_voice: Voice
    credential: str
    pitch: float
    settings: str
    extra: tuple[tuple[str, str], ...] = ()


class SpeakerUse(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A part of a text, and everything about its speaker that changes the sound.

    If `end` is 0, the part ends with the text. `revision` is the voice's, `checkpoint` is the model's, and
    `engine_voice` is the voice that the engine gets. `lexicon` stands for the entries in force, and
    `settings` for the configuration. `pause_s` is the silence after the part. `instructions` and `extra` are
    empty if the model follows none.
    """

    start: int
    end: int
    language: str
    voice: str
    revision: str
    model: str
    checkpoint: str
    engine_voice: Voice
    credential: str
    front_end: str
    front_end_revision: str
    lexicon: str
    settings: tuple[str, ...] = ()
    pause_s: float = 0.0
    emotion: str | None = None
    instructions: str = ""
    extra: tuple[tuple[str, str], ...] = ()
    post: PostUse | None = None


def uses_cache(is_requested: bool | None, is_planned: bool, is_configured: bool) -> bool:
    """Tell whether a request uses the cache. If it does not say (None), its plan or the configuration may
    switch the cache on."""
    return (is_planned or is_configured) if is_requested is None else is_requested


def patience_s(first_audio_s: float) -> float:
    """Return how long to wait for a disk or for an equal request. The rest of the time is for speaking."""
    return first_audio_s / 2


def name_without_text(account: str, sound: Sequence[object], parts: Sequence[SpeakerUse]) -> bytes:
    """Return the name of the sound without its text. The clip's name is the `tag` of this name and the text.

    Only equal sound has an equal name.
    """
    return msgspec.msgpack.encode((account, sound, parts))


def tag(secret: bytes, data: bytes) -> str:
    """Return a keyed hash of the data, from which the data cannot be read or guessed."""
    # A keyed hash, not HMAC: HMAC would let other threads of the process go first, even for short data.
    return hashlib.blake2b(data, key=secret, digest_size=32).hexdigest()
