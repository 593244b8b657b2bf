"""Voices with recordings of several emotions, and which of them one hears in the tone engine's speech."""

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from plugins.tone.decode import decode, decode_timbres
from policies.sample_quality import SampleQuality
from proxy.audio.recordings.master import make_master
from proxy.features.own_voices import records
from proxy.file_store.vault import Vault
from proxy.storage.sample_record import SampleRecord
from proxy.storage.store import Statement, Store
from tests.sound import decoded, tone

PITCHES_HZ = {"": 110, "happy": 300, "sad": 200}
"""What tells a recording in the speech of the tone engine."""
_SECONDS = 4.0
_QUALITY = SampleQuality(rating="high", speech_s=_SECONDS, ends_s=_SECONDS)
_PLAIN = "UPDATE samples SET digest = :digest, seconds = :seconds, quality = :quality WHERE voice = :voice"


class Felt(NamedTuple):
    """The words, and the tag of the recordings with which each part was spoken."""

    words: str
    tags: tuple[str, ...]


async def add_recordings(
    store: Store, vault: Vault, account: str, voice: str, tags: Collection[str] = tuple(PITCHES_HZ)
) -> None:
    """Give a saved voice recordings that are tones, each of the pitch of its tag. The plain one is first."""
    for number, tag in enumerate(tags):
        row = SampleRecord(
            voice=voice,
            number=number,
            account=account,
            digest=await vault.put(account, make_master(tone(PITCHES_HZ[tag], _SECONDS), 24_000, 2)),
            tag=tag,
            seconds=_SECONDS,
            quality=msgspec.json.encode(_QUALITY).decode(),
        )
        insert = records.sample_statement(row)
        await store.write(insert if tag else Statement(_PLAIN, insert.params))


def felt(body: bytes, audio_format: str = "wav") -> Felt:
    sound = decoded(body, audio_format)
    pitches = [timbre.pitch_hz for timbre in decode_timbres(*sound)]
    nearest = [min(PITCHES_HZ, key=lambda tag: abs(PITCHES_HZ[tag] - pitch)) for pitch in pitches]
    return Felt(" ".join(decode(*sound)), tuple(nearest))
