"""Register the front-end `latin`, for Portuguese, Spanish and English."""

from __future__ import annotations

import msgspec

from speech_engine.plugin import Plugin, created_late


class LatinSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


def voxgate_register() -> tuple[Plugin[LatinSettings], ...]:
    # Late, because registering a plugin must not compile its rules.
    create = created_late("plugins.latin.front_end")
    return (Plugin(kind="front_end", name="latin", settings=LatinSettings, create=create),)
