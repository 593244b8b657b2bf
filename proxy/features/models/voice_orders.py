"""What the process of one trained voice is told, and what it answers."""

from __future__ import annotations

import msgspec


class VoiceOrder(msgspec.Struct, frozen=True):
    """What is to be done: bring a voice that comes in files of these `roles`, or write the kept file in a
    `form`. `module` has the format's rules."""

    module: str
    roles: tuple[str, ...]
    most_bytes: int
    form: str = ""


class VoiceSaid(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it ended. `role` is the file that was refused, and `lacks` what could not be taken away here."""

    refused: str = ""
    role: str = ""
    lacks: tuple[str, ...] = ()
