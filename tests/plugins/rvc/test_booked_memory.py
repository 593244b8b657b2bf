"""What is booked for an engine of RVC beside its weights: all that its host keeps, as it is usually set."""

from plugins.rvc.model_format import EXTRA_GB
from plugins.rvc.plugin import RvcSettings
from speech_engine.host.sample_cache import MODEL_BYTES

STEP_GB = 2.0
"""A step's sound in the widest layer, and the windows that wait."""


def test_the_memory_that_is_booked_has_room_for_voices_for_their_files_and_for_a_step() -> None:
    assert RvcSettings().voices_mb / 1024 + MODEL_BYTES / 2**30 + STEP_GB <= EXTRA_GB
