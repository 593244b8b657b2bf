"""kill -9 during requests that are kept, on each kind of database: an entry may be lost, never a charge."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import NamedTuple

import httpx2
import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.features.history.records import HISTORY, HistoryStore, SealedRequest
from proxy.file_store.vault import Vault
from proxy.storage import usage
from tests.faults.processes import kill, worker
from tests.server import Server, running
from tests.tables import soak
from tests.waiting import LIMIT_S, until

CONFIG = """
[server]
default_model = "tone"
[storage]
url = "{url}"
[engines.tone]
hosted = false
[models]
tts-1 = ["tone/standard"]
[voices.alloy]
tone = "tone"
[plans.metered]
allowance = 1000000
prices.speech = {{ credits = 1, per = "second" }}
"""
TEXT = "A text of a few seconds, which is kept with its sound. " * 4
REQUESTS = 20


class Found(NamedTuple):
    """What is on record and on the disk: rows of usage, entries, blobs, and sealed files."""

    finished: set[str]
    entries: set[str]
    blobs: int
    objects: int
    is_clean: bool


@pytest.mark.parametrize("lives", [1, *soak(5)])
def test_a_kill_loses_no_charge_and_leaves_no_sound(
    tmp_path: Path, store_url: str, lives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose workers die more often than thrice a minute gives up, so it has several lives."""
    complete, key = set[str](), ""
    for life in range(lives):
        with running(tmp_path, CONFIG.format(url=store_url)) as live:
            key = key or live.mint_key("ada", plan="metered").secret
            for answers in (6,) if lives == 1 else (life + 1, life + 6, 16):
                complete |= _killed(live, key, answers)
            complete |= {last := _ask(live, key)}
            with live.client(key) as client:
                until(lambda: client.get(f"/v1/history/{last}").is_success)
    # Nothing waits for its row any more, nor for a restore, and no file for its end.
    monkeypatch.setattr("proxy.file_store.vault._UNUSED_US", 0)
    for kept_s in ("LEFT_OVER_S", "_HOUR_S"):
        monkeypatch.setattr(f"proxy.file_store.vault.{kept_s}", -3600.0)
    found = asyncio.run(_found(store_url, tmp_path / "data"))
    print(f"{len(complete)} answers, {len(found.finished)} charged, {len(found.entries)} entries")
    assert found.is_clean
    assert complete <= found.finished
    assert last in found.entries <= found.finished
    assert found.blobs == found.objects == len(found.entries)


def _killed(live: Server, key: str, answers: int) -> set[str]:
    """Ask for many things at once, kill the worker after so many answers, and return those that came
    whole."""
    enough, answered, victim = Event(), set[str](), worker(live)

    def ask() -> None:
        if id_ := _ask(live, key):
            answered.add(id_)
        if len(answered) >= answers:
            enough.set()

    with ThreadPoolExecutor(REQUESTS) as pool:
        asked = [pool.submit(ask) for _ in range(REQUESTS)]
        assert enough.wait(LIMIT_S)
        kill(victim)
        for each in asked:
            each.result()
    until(lambda: worker(live).pid != victim.pid)
    return answered


def _ask(live: Server, key: str) -> str:
    """Return the id of the request, or "" if its answer did not come whole."""
    body = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "pcm", "history": True}
    try:
        with live.client(key) as client:
            answer = client.post("/v1/audio/speech", json=body)
    except httpx2.TransportError:
        return ""
    assert answer.is_success, answer.text
    return str(answer.headers["x-request-id"])


async def _found(url: str, data: Path) -> Found:
    async with open_store(url, data) as store:
        vault = Vault(store, VaultSection(), data)
        history = HistoryStore(store, vault)
        await vault.tidy()
        rows = await usage.list_newest(store)
        (account,) = {row.account for row in rows}
        entries = await HISTORY.of_account(store, account)
        for entry in entries:
            assert vault.open_record(account, entry.id, entry.record, SealedRequest).body["input"] == TEXT
            assert len(await history.whole(account, entry.digest)) == entry.sound_bytes
        blobs = await store.read("SELECT digest FROM blobs")
        verdict = await verify(store)
    files = [path for path in (data / "voices").glob("*/*") if path.suffix != ".left"]
    finished = {row.id for row in rows if row.outcome == "finished" and row.credits}
    return Found(finished, {entry.id for entry in entries}, len(blobs), len(files), verdict.is_clean)
