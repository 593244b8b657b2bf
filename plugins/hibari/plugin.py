"""The front of the hibari engine: its settings, its names, and where its worker runs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine.imported_voices import OnnxSettings
from speech_engine.names import KnownName, Names
from speech_engine.plugin import Hosted, Plugin

VOICE = "heart"

_WHEEL = "hibari-tts==0.2.1 --hash=sha256:49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3"
_WOMEN = ("alloy", "marin", "nova", "sage", "shimmer")
_MEN = ("ash", "ballad", "cedar", "echo", "fable", "onyx", "verse")
_OPENAI_NAMES: Names = {
    # Kokoro's voice of this name is the speaker that hibari learned from.
    "coral": KnownName(VOICE, stands_in="same_speaker"),
    **{name: KnownName(VOICE, stands_in="same_gender") for name in _WOMEN},
    **{name: KnownName(VOICE, stands_in="other_gender") for name in _MEN},
}


class HibariSettings(OnnxSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A text has one thread: with more, the first sound would come hardly sooner."""

    threads: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1


HOSTED = Hosted(
    module="plugins.hibari.worker",
    packages=("onnxruntime>=1.31.1,<2", "numpy>=2,<3"),
    # Its network is in the package, so the hash of the package is checked.
    bare=(_WHEEL,),
    constraints="constraints.txt",
    imports=("hibari.g2p",),
    memory_mb=8_192,
)


def voxgate_register() -> tuple[Plugin[HibariSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="hibari",
            settings=HibariSettings,
            create=HOSTED,
            names=lambda _settings: _OPENAI_NAMES,
        ),
    )
