"""Register the mark `spread`. Its arithmetic is loaded only when the mark is opened."""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine.plugin import Plugin, created_late


class SpreadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`strength` scales the mark: 2 doubles its amplitude, which is easier to find, and to hear."""

    strength: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] = 1.0


def voxgate_register() -> tuple[Plugin[SpreadSettings], ...]:
    # Late, because registering a plugin must not load numpy.
    create = created_late("plugins.spread.stream")
    return (Plugin(kind="mark", name="spread", settings=SpreadSettings, create=create),)
