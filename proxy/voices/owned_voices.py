"""What makes, changes, exports and ends the voices of accounts, wired for a server and for a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from proxy.audio.recordings.decoder import Decoder, open_decoder
from proxy.catalogue.library_editor import LibraryEditor
from proxy.config.sections import Config
from proxy.engines.registry import Registry
from proxy.kept.vault import Vault
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics
from proxy.voices.clone_orders import CloneOrders
from proxy.voices.comparison import SpeakerComparison, open_comparison
from proxy.voices.consent_keeper import ConsentKeeper
from proxy.voices.erasure import Erasure
from proxy.voices.recording_intake import RecordingIntake
from proxy.voices.retention import VoiceUse, open_voice_use
from proxy.voices.sample_store import SampleStore
from proxy.voices.voice_export import VoiceExport
from proxy.voices.voice_maker import VoiceMaker


class VoiceWork(NamedTuple):
    """What works for voices as long as a worker lives, over every revision of the configuration."""

    vault: Vault
    decoder: Decoder
    intake: RecordingIntake
    comparison: SpeakerComparison
    samples: SampleStore
    use: VoiceUse


class OwnedVoices(NamedTuple):
    """The handlers' way to voices of accounts. Each revision of the configuration has its own."""

    editor: LibraryEditor
    maker: VoiceMaker
    consents: ConsentKeeper
    export: VoiceExport
    erasure: Erasure
    clones: CloneOrders


@asynccontextmanager
async def open_voice_work(
    store: Store, vault: Vault, registry: Registry, config: Config, metrics: Metrics
) -> AsyncIterator[VoiceWork]:
    async with (
        open_decoder() as decoder,
        open_comparison(registry, config) as comparison,
        open_voice_use(store, metrics) as use,
    ):
        yield VoiceWork(vault, decoder, RecordingIntake(decoder), comparison, SampleStore(store, vault), use)


def wire_voices(editor: LibraryEditor, work: VoiceWork, erasure: Erasure, clones: CloneOrders) -> OwnedVoices:
    consents = ConsentKeeper(editor.store, work.vault, work.intake, work.comparison, erasure)
    maker = VoiceMaker(work.vault, editor, work.intake, consents, erasure, clones)
    return OwnedVoices(editor, maker, consents, VoiceExport(editor.store, work.vault), erasure, clones)
