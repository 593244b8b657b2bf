"""What is derived of a recording stays in memory for a moment, and is forgotten with its voice."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from policies.sample_quality import SampleQuality
from proxy.audio.recordings import derivation
from proxy.audio.recordings.master import make_master
from proxy.config.sections import VaultSection
from proxy.engines.sample_source import SampleUnavailable
from proxy.features.own_voices.sample_store import SampleStore
from proxy.file_store.vault import open_vault
from proxy.storage.store import Statement, Store
from proxy.telemetry.metrics import Metrics
from speech_engine import Language, ModelInfo
from tests.proxy.file_store.owned import add_voice
from tests.sound import tone

_INFO = ModelInfo(
    id="toy",
    languages=(Language("en"),),
    sample_rate_hz=24_000,
    speaks_samples=True,
    sample_s=(1.0, 4.0),
    sample_hz=16_000,
)
_QUALITY = SampleQuality(rating="high", speech_s=2.0, ends_s=2.0)


def _master(pitch_hz: int) -> bytes:
    return make_master(tone(pitch_hz, 2.0), 24_000, 2)


class ClipStore(NamedTuple):
    """A store of samples, and two recordings of an account."""

    samples: SampleStore
    digests: tuple[str, str]

    async def pcm(self, digest: str) -> bytes:
        return await self.samples.pcm("acc_a", digest, _INFO)


@pytest.fixture
async def sample_cache(store: Store, tmp_path: Path) -> AsyncIterator[ClipStore]:
    async with open_vault(store, tmp_path, VaultSection(), Metrics()) as vault:
        first, second = [await vault.put("acc_a", _master(pitch)) for pitch in (300, 500)]
        await add_voice(store, "acc_a", first, second)
        quality = msgspec.json.encode(_QUALITY).decode()
        await store.write(Statement("UPDATE samples SET quality = :quality", {"quality": quality}))
        yield ClipStore(SampleStore(store, vault), (first, second))


@contextmanager
def counted(
    monkeypatch: pytest.MonkeyPatch, begun: asyncio.Event | None = None, held: asyncio.Event | None = None
) -> Iterator[list[bytes]]:
    """The masters that are derived meanwhile. Each tells that it has `begun`, and waits for `held`."""
    seen: list[bytes] = []
    loop = asyncio.get_running_loop()
    really = derivation.derive_sample

    def derive(master: bytes, quality: SampleQuality, spec: derivation.SampleSpec) -> bytes:
        seen.append(master)
        if begun is not None and held is not None:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(held.wait(), loop).result(20)
        return really(master, quality, spec)

    with monkeypatch.context() as patched:
        patched.setattr(derivation, "derive_sample", derive)
        yield seen


async def test_it_is_derived_once_for_all_who_ask_one_after_the_other(
    sample_cache: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sample_cache.digests
    with counted(monkeypatch) as seen:
        found = [await sample_cache.pcm(digest) for digest in (one, other, one, one)]
    assert len(seen) == 2
    assert found[0] == found[2] == found[3] != found[1]
    assert len(found[0]) == pytest.approx(2 * 2 * 16_000, rel=0.1)


async def test_what_was_derived_is_forgotten_with_its_voice_and_the_others_stay(
    sample_cache: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sample_cache.digests
    await asyncio.gather(sample_cache.pcm(one), sample_cache.pcm(other))
    sample_cache.samples.forget_voice("voice_1", [one])
    with counted(monkeypatch) as seen:
        await sample_cache.pcm(other)
        assert seen == []
        await sample_cache.pcm(one)
        assert seen == [_master(300)]


async def test_what_is_being_derived_while_its_voice_goes_is_not_kept(
    sample_cache: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = sample_cache.digests
    begun, held = asyncio.Event(), asyncio.Event()
    with counted(monkeypatch, begun, held) as seen:
        under_way = asyncio.create_task(sample_cache.pcm(one))
        await begun.wait()
        sample_cache.samples.forget_voice("voice_1", [one])
        held.set()
        await under_way
        await sample_cache.pcm(one)
        assert len(seen) == 2


async def test_a_recording_that_no_voice_of_the_account_has_is_not_opened(sample_cache: ClipStore) -> None:
    with pytest.raises(SampleUnavailable, match="no recording"):
        await sample_cache.samples.pcm("acc_b", sample_cache.digests[0], _INFO)
