"""What makes, changes, exports and ends the voices of accounts, wired for a server and for a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from proxy.audio.recordings.decoder import Decoder, open_decoder
from proxy.audio.recordings.intake import RecordingIntake
from proxy.catalogue.clones import Cloning
from proxy.catalogue.erasing import Erasing
from proxy.catalogue.grants import Grants
from proxy.catalogue.sample_store import SampleStore
from proxy.features.own_voices.editor import LibraryEditor
from proxy.features.own_voices.export import VoiceExport, export_places
from proxy.features.own_voices.maker import VoiceMaker
from proxy.features.own_voices.retention import VoiceUse, open_voice_use
from proxy.helpers.places import FairPlaces
from proxy.kept.vault import Vault
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics


class VoiceWork(NamedTuple):
    """What works for voices as long as a worker lives, over every revision of the configuration."""

    vault: Vault
    decoder: Decoder
    intake: RecordingIntake
    samples: SampleStore
    use: VoiceUse
    exports: FairPlaces


class OwnedVoices(NamedTuple):
    """The handlers' way to voices of accounts. Each revision of the configuration has its own."""

    editor: LibraryEditor
    maker: VoiceMaker
    export: VoiceExport
    erasing: Erasing
    clones: Cloning


@asynccontextmanager
async def open_voice_work(store: Store, vault: Vault, metrics: Metrics) -> AsyncIterator[VoiceWork]:
    async with open_decoder() as decoder, open_voice_use(store, metrics) as use:
        yield VoiceWork(
            vault,
            decoder,
            RecordingIntake(decoder),
            SampleStore(store, vault),
            use,
            export_places(),
        )


def wire_voices(
    editor: LibraryEditor, work: VoiceWork, grants: Grants, erasing: Erasing, clones: Cloning
) -> OwnedVoices:
    maker = VoiceMaker(work.vault, editor, work.intake, grants, erasing, clones)
    return OwnedVoices(editor, maker, VoiceExport(editor.store, work.vault, work.exports), erasing, clones)
