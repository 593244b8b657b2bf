"""The speaker of a request that names a voice, but no model and no language."""

from __future__ import annotations

from typing import NamedTuple

from policies.routing import Voice, voice_text


class NamedSpeaker(NamedTuple):
    """A voice, with the gender of the engine's voice that speaks. `alias_of` is the name that owns the
    engine's voice, or "". `spoken` is the engine and its id of the voice, or None if nothing speaks."""

    voice: Voice
    alias_of: str
    spoken: tuple[str, str] | None


def first_binding_key(voice: Voice) -> tuple[str, str] | None:
    return (voice.bindings[0].engine, voice_text(voice.bindings[0].voice)) if voice.bindings else None
