"""The front of beep, which the server reads: light imports only, and what its worker needs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine import Hosted, Plugin


class BeepSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The engine's section in config.toml. A wrong value is refused with its description."""

    letter_ms: Annotated[int, msgspec.Meta(ge=20, le=100, description="a number from 20 to 100")] = 80
    slots: Annotated[int, msgspec.Meta(ge=1, description="at least 1")] = 4


def voxgate_register() -> tuple[Plugin[BeepSettings], ...]:
    hosted = Hosted(
        "voxgate_beep.worker",
        packages=("anyascii>=0.3.2,<1",),
        constraints="constraints.txt",
        imports=("anyascii",),
    )
    return (Plugin(kind="engine", name="beep", settings=BeepSettings, create=hosted),)
