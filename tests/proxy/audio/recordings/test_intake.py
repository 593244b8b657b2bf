"""What a sender learns of a recording that was taken."""

import msgspec
import pytest

from proxy.audio.recordings.decoder import Decoder
from proxy.audio.recordings.intake import RecordingIntake
from proxy.audio.recordings.recording import SpeechRecording
from tests.proxy.audio.recordings.speech import master_of, speech


class CuttingDecoder(Decoder):
    """Takes each file for a longer one than it is."""

    async def decode(self, data: bytes) -> SpeechRecording:
        return msgspec.structs.replace(await super().decode(data), is_cut=True)


@pytest.mark.parametrize(("decoder", "is_told"), [(Decoder, False), (CuttingDecoder, True)])
async def test_who_sends_too_much_is_told_what_is_kept(decoder: type[Decoder], is_told: bool) -> None:
    made = decoder(at_once=1, waiting=1)
    try:
        async with RecordingIntake(made).accept_upload(
            "acc_1", master_of(await speech()), "audio_sample"
        ) as accepted:
            told = [reason for reason in accepted.quality.reasons if "first 5 minutes" in reason]
    finally:
        await made.close()
    assert bool(told) == is_told
