"""The server's own tasks: one turn that breaks is told of, and the next one comes."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.config.sections import Server, VaultSection
from proxy.file_store.shared_answers import open_answers
from proxy.file_store.vault import Vault
from proxy.storage.store import Store
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics
from tests.speech_engine.host.simulated_time import simulated

SECRET = "what a user sent"


async def test_a_turn_that_breaks_is_logged_without_its_words_and_counted() -> None:
    metrics, turns, third = Metrics(), 0, asyncio.Event()

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            third.set()
        raise ZeroDivisionError(SECRET)

    with capture_logs() as logs:
        repeated = RepeatingTask("a task", turn, 0.0, metrics)
        async with asyncio.timeout(10):
            await third.wait()
        await repeated.aclose()
    assert {(line["event"], line["log_level"], line["task"]) for line in logs} == {
        ("background.turn.failed", "error", "a task")
    }
    assert SECRET not in repr(logs)
    assert type(logs[0]["exc_info"]).__name__ == "ZeroDivisionError"
    assert f'voxgate_background_failures_total{{task="a task"}} {turns:.1f}' in metrics.page_text()


async def test_closing_ends_a_turn_in_the_middle() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def turn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    repeated = RepeatingTask("a task", turn, 0.0, Metrics())
    await begun.wait()
    async with asyncio.timeout(10):
        await repeated.aclose()
    assert ended.is_set()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@simulated
async def test_kept_answers_are_swept_again_after_a_sweep_that_broke(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps, loop, again = 0, asyncio.get_running_loop(), asyncio.Event()

    def sweep(*_arguments: object, **_options: object) -> None:
        nonlocal sweeps
        sweeps += 1
        if sweeps == 1:
            raise ValueError(SECRET)
        loop.call_soon_threadsafe(again.set)

    monkeypatch.setattr("proxy.file_store.locked_files.sweep", sweep)
    monkeypatch.setattr("proxy.file_store.shared_answers._SWEEP_S", 0.01)
    metrics, vault = Metrics(), Vault(store, VaultSection(), tmp_path)
    async with open_answers(store, tmp_path, Server(idempotency_mb=1), vault, metrics), asyncio.timeout(10):
        await again.wait()
    assert 'voxgate_background_failures_total{task="sweep of kept answers"} 1.0' in metrics.page_text()
