"""An erasure that another worker or another server has begun: this one forgets too, and says when."""

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest

from proxy.catalogue.erasing import DerivedData, ForgetEverywhere
from proxy.features.erasure.erasure import Erasure
from proxy.file_store.vault import Vault
from speech_engine import EngineUnavailable
from tests.features.erasure.erasing import add_voice, erase, erasure_of, speaking
from tests.features.own_voices.test_engines_of_voices import sample_cache
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import Scripted, spoken
from tests.proxy.file_store.owned import Owned


def other_worker(server: Inside, folder: Path, spread: ForgetEverywhere | None = None) -> Erasure:
    """A worker without engines, which gets the deletion."""
    erasure = Erasure(server.worker.store, server.worker.open_features.context.find(Vault), folder, spread)
    erasure.derived_data = DerivedData()
    return erasure


async def test_engines_of_every_worker_have_dropped_the_recording_when_workers_have(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE) as server:
        voice = await clone(server)
        assert (await server.speech(voice=voice["id"], response_format="pcm")).status_code == 200
        assert sample_cache(server) == "<SampleCache 1 recordings, 0 loans>"
        other = other_worker(server, tmp_path, erasure_of(server.worker).forget)
        receipt = await other.erase_voice(Owned(voice["id"], server.account.id))
        assert receipt.completed is not None
        assert sample_cache(server) == "<SampleCache 0 recordings, 0 loans>"


async def test_an_engine_that_does_not_drop_it_keeps_the_receipt_open(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE) as server:
        voice, erasure = await clone(server), erasure_of(server.worker)
        things, is_silent = erasure.derived_data, True

        async def drop(digests: Collection[str]) -> None:
            if is_silent:
                raise EngineUnavailable("silent")
            await things.drop(digests)

        erasure.derived_data = things._replace(drop=drop)
        other = other_worker(server, tmp_path, erasure.forget)
        receipt = await other.erase_voice(Owned(voice["id"], server.account.id))
        assert (receipt.pending, receipt.completed) == (("workers",), None)
        is_silent = False
        (receipt,) = await other.finish_interrupted()
        assert receipt.completed is not None


async def test_what_fails_while_following_another_server_is_tried_until_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.erasure.erasure._RETRY_AFTER_S", 0.0)
    tried: list[str] = []

    class Files:
        async def remove_voice(self, voice: str, *, is_late: bool) -> None:
            assert is_late
            tried.append(voice)
            if len(tried) < 3:
                raise OSError(5, "the disk is away")

    async with speaking(tmp_path, Scripted(*spoken(0.2))) as server:
        record = await add_voice(server)
        assert (await erase(server, record)).completed is not None
        follower = other_worker(server, tmp_path)
        follower.derived_data = follower.derived_data._replace(files=(Files(),))
        for _ in range(5):
            await follower.follow_others()
        assert tried == [record.id] * 3


async def test_what_waits_for_a_provider_keeps_no_other_waiting(tmp_path: Path) -> None:
    """Three erasures wait for a provider at the same time, and not one after the other."""
    async with speaking(tmp_path, Scripted(*spoken(0.2))) as server:
        is_away, together = True, asyncio.Barrier(3)

        async def wait_for_providers(voice: str) -> bool:
            if is_away:
                return False
            await together.wait()
            return True

        erasure = erasure_of(server.worker)
        erasure.derived_data = erasure.derived_data._replace(wait_for_providers=wait_for_providers)
        for name in ("one", "two", "three"):
            assert (await erase(server, await add_voice(server, name))).pending == ("providers",)
        is_away = False
        async with asyncio.timeout(5):
            receipts = await erasure.finish_interrupted()
        assert [receipt.pending for receipt in receipts] == [()] * 3
