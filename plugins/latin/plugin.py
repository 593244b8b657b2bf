"""Register the front-end `latin`, for English, Spanish, French, Italian and Portuguese."""

from __future__ import annotations

from speech_engine.plugin import NoSettings, Plugin, created_late


def voxgate_register() -> tuple[Plugin[NoSettings], ...]:
    # Late, because registering a plugin must not compile its rules.
    create = created_late("plugins.latin.front_end")
    return (Plugin(kind="front_end", name="latin", settings=NoSettings, create=create),)
