"""The front of the tone engine, a test engine whose sound can be decoded to its exact text."""

from __future__ import annotations

from typing import Annotated

import msgspec

from plugins.tone.voice_format import TRAINED_FORMAT
from plugins.tone.voices import Behaviour, Fault
from speech_engine.plugin import Hosted, Plugin

NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class ToneSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of the engine. README.md says what each does.

    The settings that `Behaviour` has, too, count for all voices in `voices`. With `fail_form`, a trained
    voice leaves in no form but its own.
    """

    sample_rate_hz: Annotated[int, msgspec.Meta(ge=8_000, le=48_000)] = 24_000
    slots: Annotated[int, msgspec.Meta(ge=1)] = 4
    voices: tuple[str, ...] = ("tone",)
    delay_s: NotNegative = 0.0
    pace: NotNegative = 0.0
    fail: Fault = ""
    fail_at_s: NotNegative = 0.0
    fail_form: bool = False
    level_db: Annotated[float, msgspec.Meta(ge=-40, le=7)] = 0.0
    says_voice: bool = False
    speaks_samples: bool = True
    needs_sample_text: bool = False
    mixes: bool = True
    clones: bool = True
    hears: bool = False

    def behaviour(self) -> Behaviour:
        return msgspec.convert(self, Behaviour, from_attributes=True)


def voxgate_register() -> tuple[Plugin[ToneSettings], ...]:
    hosted = Hosted("plugins.tone.worker", in_process=True, trainer="plugins.tone.trainer")
    return (
        Plugin(
            kind="engine",
            name="tone",
            settings=ToneSettings,
            create=hosted,
            trained_format=TRAINED_FORMAT,
        ),
    )
