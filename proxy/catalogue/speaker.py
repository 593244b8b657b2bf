"""Who speaks for a name, if a request says no more."""

from __future__ import annotations

from typing import NamedTuple

from policies.routing import Voice, voice_text


class NamedSpeaker(NamedTuple):
    """A voice with the gender that is heard, and the name whose alias it then is, or "". `spoken` is the
    engine, and its id of the voice that speaks."""

    voice: Voice
    alias_of: str
    spoken: tuple[str, str] | None


def spoken_by(voice: Voice) -> tuple[str, str] | None:
    return (voice.bindings[0].engine, voice_text(voice.bindings[0].voice)) if voice.bindings else None
