"""The front of the comparer: its settings, and where its worker runs."""

from __future__ import annotations

import msgspec

from speech_engine.plugin import Hosted, Plugin


class ResemblyzerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`threads` of the processor may work on one comparison."""

    threads: int = 1


HOSTED = Hosted(
    module="plugins.resemblyzer.worker",
    # The wheel brings the trained network. Its other requirements are a compiler, and libraries for files
    # and pictures; the few lines of it that are needed stand here.
    packages=("torch==2.13.0", "numpy>=2,<3", "webrtcvad-wheels==2.0.14.post1"),
    bare=("resemblyzer==0.1.4",),
    constraints="constraints.txt",
)


def voxgate_register() -> tuple[Plugin[ResemblyzerSettings], ...]:
    return (Plugin(kind="comparer", name="resemblyzer", settings=ResemblyzerSettings, create=HOSTED),)
