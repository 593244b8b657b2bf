"""The recording of a voice, as a row. `file_store/vault.py` opens its sealed file."""

from __future__ import annotations

import msgspec

from speech_engine.redacted import Redacted

NOT_MEASURED = "{}"
TRAINING = "training"
"""The tag of a clip that only trainings use. No voice speaks with it."""


class SampleRecord(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A recording of a voice. `quality` has its measurements as JSON, and `tag` its emotion.

    The first sample of a voice has no `id`, and its words are sealed with the voice. Any other sample is a
    clip, with its own sealed words.
    """

    voice: str
    number: int
    account: str
    digest: str
    tag: str = ""
    seconds: float
    quality: str = NOT_MEASURED
    id: str = ""
    wrapped: str = ""
    sealed: str = ""

    @property
    def is_for_training(self) -> bool:
        return self.tag == TRAINING
