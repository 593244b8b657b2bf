"""The holds of an utterance on each store, and what an outage of the database does to it."""

import asyncio
from pathlib import Path

import pytest

from speech_engine import Finished, Started
from tests.databases import Postgres, postgres
from tests.faults.books import live_holds
from tests.features.sockets.utterances.rig import RATE_HZ, Rig, Spoken, rig
from tests.features.sockets.utterances.test_endings import ONE, config, outcomes, two
from tests.fixtures import opened
from tests.proxy.api.scripted import Halt, sound
from tests.waiting import soon

both_stores = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)
pytestmark = pytest.mark.slow


def _at(url: str) -> str:
    return f'{config()}[storage]\nurl = "{url}"\n'


async def _is_free(one: Rig, url: str, folder: Path) -> None:
    assert " 0 live" in repr(one.server.worker.ledger)
    assert await asyncio.to_thread(live_holds, url, folder / "data") == 0


async def _begun(one: Rig) -> Spoken:
    """The first piece speaks, and the next one is made ahead."""
    speech = await one.begin(ONE * 3)
    await speech.ear.has_sound(0.2)
    return speech


@both_stores
async def test_nothing_is_held_after_an_interruption_and_a_loss(tmp_path: Path, store_url: str) -> None:
    halt = Halt()
    engines = two(Started(RATE_HZ), *sound(0.5), halt, Finished())
    async with rig(tmp_path, _at(store_url), engines=engines, plan="paid") as one:
        speech = await _begun(one)
        assert " 0 live" not in repr(one.server.worker.ledger)
        told = await speech.interrupt()
        rows = await one.check(told, speech.utterance.id)
        assert (outcomes(rows), rows[0].samples > 0) == (["left"], True)
        await _is_free(one, store_url, tmp_path)
        lost = await _begun(one)
        await lost.lose(0.5)
        (row,) = await one.rows(lost.utterance.id)
        assert row.samples / RATE_HZ == pytest.approx(lost.ear.seconds / 2, abs=0.01)
        await _is_free(one, store_url, tmp_path)


own_postgres = opened(postgres)


async def test_an_outage_at_the_settlement_makes_the_piece_free_and_ends_the_utterance(
    tmp_path: Path, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last sound of a piece goes out after its settlement. Without one, nothing is charged, ever."""
    monkeypatch.setattr("proxy.ledger.pending_writes.WRITE_LIMIT_S", 1.0)
    monkeypatch.setattr("proxy.ledger.pending_writes.RETRY_S", 0.1)
    halt = Halt()
    engines, url = two(Started(RATE_HZ), *sound(0.5), halt, Finished()), own_postgres.url()
    async with rig(tmp_path, _at(url), engines=engines, plan="paid") as one:
        speech = await one.begin(ONE)
        speech.utterance.end()
        await speech.ear.has_sound(0.2)
        await halt.is_there.wait()
        await asyncio.to_thread(own_postgres.stop)
        halt.goes_on.set()
        end = await speech.task
        assert end.failure is not None
        assert (end.failure.status, end.failure.code) == (503, "storage_unavailable")
        assert (end.usage.characters, end.usage.seconds, end.ends_socket) == (0, 0.0, False)
        (told,) = speech.ear.ends
        assert told.failure is end.failure
        await asyncio.to_thread(own_postgres.start)
        rows = await soon(one.rows)
        assert [(row.outcome, row.credits) for row in rows] == [("failed", 0)]
        await one.check(end)
        await _is_free(one, url, tmp_path)
