"""Recordings that come with a request, for that request alone.

Engines get them under a random digest. At the end of the request, the digest becomes unknown, and the engines
drop all data that they derived.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from policies.sample_quality import SampleQuality
from proxy.audio.recordings.recording import UnusableRecording
from proxy.engines.engine_list import Engines
from proxy.engines.sample_source import SampleUnavailable
from proxy.features.own_voices.sample_store import SampleStore
from proxy.file_store.vault import Vault
from proxy.storage.store import Store
from speech_engine import EngineError, ModelInfo
from speech_engine.host.engine_stream import run_to_end

_log = structlog.get_logger()


class RequestRecording:
    """A recording of a request. `was_read` tells whether an engine has it, or had it."""

    def __init__(self, master: bytes, quality: SampleQuality) -> None:
        self.master = master
        self.quality = quality
        self.was_read = False


class OneShotSamples(SampleStore):
    """A source of recordings: those of the requests under way, and behind them the stored ones."""

    def __init__(self, store: Store, vault: Vault) -> None:
        super().__init__(store, vault)
        # By account and digest.
        self._recordings: dict[tuple[str, str], RequestRecording] = {}

    async def pcm(self, tenant: str, digest: str, info: ModelInfo) -> bytes:
        found_recording = self._recordings.get((tenant, digest))
        if found_recording is None:
            return await super().pcm(tenant, digest, info)
        found_recording.was_read = True
        try:
            return await asyncio.to_thread(_derive, found_recording, info)
        except UnusableRecording as error:
            raise SampleUnavailable(str(error)) from None

    @asynccontextmanager
    async def lend(self, account: str, recording: RequestRecording, engines: Engines) -> AsyncIterator[str]:
        """Lend a recording to the engines while the block runs. Gives a digest that cannot be guessed."""
        digest = f"once-{secrets.token_hex(16)}"
        self._recordings[account, digest] = recording
        try:
            yield digest
        finally:
            del self._recordings[account, digest]
            if recording.was_read:
                await run_to_end(_drop(engines, digest))


def _derive(recording: RequestRecording, info: ModelInfo) -> bytes:
    # Imported here: see proxy/audio/libraries.py.
    from proxy.audio.recordings.derivation import SampleSpec, derive_sample

    return derive_sample(recording.master, recording.quality, SampleSpec.of(info))


async def _drop(engines: Engines, digest: str) -> None:
    try:
        await engines.drop_samples([digest])
    except EngineError as error:
        # It stays in the host's memory until others need the room. Nothing can name it any more.
        _log.warning("sample.drop.failed", reason=error.reason)
