"""Kept answers of two machines with one database and one vault: a request is answered and charged once."""

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.file_store import shared_answers
from proxy.file_store.answers import AnswerRecording, StoredAnswers
from proxy.file_store.master_keys import rewrap_some
from proxy.file_store.objects import Folder
from proxy.file_store.sealing import sealed_bytes
from proxy.file_store.shared_answers import Lease, SharedAnswers
from proxy.file_store.vault import Vault
from proxy.storage import answer_claims
from proxy.storage.answer_claims import Claim
from proxy.storage.store import Statement, StorageFailed, StorageUnreachable, Store
from speech_engine import errors
from tests.databases import Postgres, postgres
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Halt, Scripted, spoken
from tests.proxy.file_store import buckets
from tests.proxy.file_store.buckets import Fault, faulty_store
from tests.proxy.file_store.idempotent import BODY, CONFIG, KEY, is_replay
from tests.proxy.file_store.test_answers_alone import HEADERS, erase, found, keep, request
from tests.proxy.file_store.vaults import key_text
from tests.tables import each_row
from tests.waiting import soon

pytestmark = pytest.mark.slow


class Site(NamedTuple):
    """Two machines, and the secret of an account. `vault` is the folder with their objects."""

    machines: tuple[Inside, Inside]
    vault: Path

    async def ask(self, number: int = 0, **more: object) -> httpx2.Response:
        return await self.machines[number].ask(
            "POST",
            "/v1/audio/speech",
            key=self.machines[0].key,
            body={**BODY, **more},
            **{"idempotency-key": KEY},
        )

    async def ask_raw(self, number: int) -> tuple[int, bytes]:
        """Return the status and the whole body, "" for one that was broken off."""
        machine = self.machines[number]
        client = machine._replace(key=self.machines[0].key)
        sent = await client.raw_speech(BODY, headers={"idempotency-key": KEY})
        is_whole = not sent[-1].get("more_body", False)
        return sent[0]["status"], b"".join(each.get("body", b"") for each in sent) if is_whole else b""

    @property
    def store(self) -> Store:
        return self.machines[0].worker.store

    async def claims(self) -> list[dict[str, Any]]:
        rows = await self.store.read("SELECT request, object, size, fence FROM answer_claims")
        return [dict(row) for row in rows]

    async def outcomes(self) -> list[str]:
        return sorted(row.outcome for row in await self.machines[0].usage())

    async def lapse(self) -> None:
        await self.store.write(Statement("UPDATE answer_claims SET lease = 0"))

    def local(self) -> list[Path]:
        return [*self.vault.parent.glob("?/data/idempotency/*")]

    def objects(self) -> list[Path]:
        return [*(self.vault / "answers").glob("*")]


@asynccontextmanager
async def site(folder: Path, url: str, engine: Scripted, more: str = "") -> AsyncIterator[Site]:
    key = folder / "key"
    key.write_text(b64encode(bytes(32)).decode())
    vault = more or f'folder = "{folder}/vault"'
    text = f'{CONFIG}\n[storage]\nurl = "{url}"\n[vault]\nmaster_key = "file:{key}"\n{vault}\n'
    places = [folder / name for name in ("a", "b")]
    for place in places:
        place.mkdir()
    text = text.replace("idempotency_mb = 1", "idempotency_mb = 16")
    async with (
        inside(places[0], text, {"one": engine}, name="ada") as a,
        inside(places[1], text, {"one": engine}, name="bob") as b,
    ):
        yield Site((a, b), folder / "vault")


@pytest.fixture
def url(shared_postgres: Postgres) -> AsyncIterator[str]:  # type: ignore[misc]  # a plain generator
    with shared_postgres.lent_schema() as schema:
        yield shared_postgres.url(search_path=schema)


def bucket(endpoint: str = "") -> str:
    at = buckets.section(endpoint=endpoint)
    return (
        f'store = "{at.store}"\nendpoint = "{at.endpoint}"\nregion = "us-east-1"\n'
        'access_key = "file:../key"\nsecret_key = "file:../key"\n'
    )


@pytest.mark.parametrize("place", ["folder", "bucket"])
async def test_another_machine_sends_the_same_answer(tmp_path: Path, url: str, place: str) -> None:
    engine = Scripted(*spoken(30.0))
    async with site(tmp_path, url, engine, bucket() if place == "bucket" else "") as servers:
        text = "So many words take thirty seconds. " * 20
        first, *again = [await servers.ask(number, input=text) for number in (0, 1, 0)]
        assert [is_replay(answer) for answer in (first, *again)] == [False, True, True]
        assert {answer.content for answer in again} == {first.content}
        assert len(first.content) == 2 * RATE_HZ * 30
        reused = await servers.ask(1, input="Something else.")
        assert (reused.status_code, envelope(reused)["code"]) == (422, "idempotency_key_reused")
        if place == "folder":
            (object_,) = servers.objects()
            assert object_.stat().st_size == sealed_bytes((await servers.claims())[0]["size"])
        assert servers.local() == []
    assert len(engine.jobs) == 1


async def test_sixteen_equal_requests_on_both_are_spoken_and_charged_once(tmp_path: Path, url: str) -> None:
    engine = Scripted(*spoken(2.0))
    async with site(tmp_path, url, engine) as servers:
        answers = await asyncio.gather(*(servers.ask(number % 2) for number in range(16)))
        heard = {answer.content for answer in answers if answer.status_code == 200}
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert {envelope(each)["code"] for each in answers if each.is_error} <= {"request_under_way"}
        assert (len(heard), await servers.outcomes()) == (1, ["finished"])
        assert is_replay(await servers.ask(1))


async def test_a_stall_of_the_database_charges_nothing_twice(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No renewal succeeds for as long as the stall. The answer goes on, since its lease lasts longer."""
    halt, is_away = Halt(), True
    renew = answer_claims.renew

    async def stalled(store: Store, claim: Claim) -> bool:
        if is_away:
            raise StorageUnreachable("away")
        return await renew(store, claim)

    monkeypatch.setattr(shared_answers, "RENEW_S", 0.01)
    monkeypatch.setattr(answer_claims, "renew", stalled)
    engine = Scripted(*spoken(1.0)[:-1], halt, spoken(1.0)[-1])
    async with site(tmp_path, url, engine) as servers:
        first = asyncio.create_task(servers.ask())
        await asyncio.wait_for(halt.is_there.wait(), 5)
        others = await asyncio.gather(*(servers.ask(number % 2) for number in range(16)))
        assert {answer.status_code for answer in others} == {409}
        is_away = False
        halt.goes_on.set()
        assert (await first).status_code == 200
        assert is_replay(await servers.ask(1))
        assert await servers.outcomes() == ["finished"]


@pytest.mark.soak
@pytest.mark.clock
@pytest.mark.parametrize("ends_s", [3, 16, 28])
async def test_a_stall_of_a_real_database_of_25_seconds_charges_nothing_twice(
    tmp_path: Path, ends_s: int
) -> None:
    """Equal requests come before, during and after it. The answer ends early or late in it, or after it."""
    started, *chunks, finished = spoken(ends_s / 10)
    paced = [step for chunk in chunks for step in (chunk, partial(asyncio.sleep, 1))]
    engine = Scripted(started, *paced, finished)
    asked: list[asyncio.Task[tuple[int, bytes]]] = []

    async def ask_some(servers: Site, number: int) -> None:
        asked.extend(asyncio.create_task(servers.ask_raw(each % 2)) for each in range(number))
        await asyncio.sleep(0.2)

    with postgres() as server:
        async with site(tmp_path, server.url(search_path=server.new_schema()), engine, bucket()) as servers:
            await ask_some(servers, 8)
            with server.frozen():
                await ask_some(servers, 4)
                await asyncio.sleep(25)
            await ask_some(servers, 4)
            answers = await asyncio.gather(*asked)
            assert {status for status, _ in answers} <= {200, 409, 503}
            whole = [content for status, content in answers if status == 200 and content]
            outcomes = await soon(servers.outcomes, within_s=10)
    assert outcomes.count("finished") == len({*whole}) <= 1
    # An answer that ends early is tried to be settled for 15 s. A failure is free, and frees the key.
    assert outcomes == ["finished"] or (ends_s, outcomes[0]) == (3, "failed")


@each_row("way", ["by its own clock", "by the database"])
async def test_an_owner_whose_lease_is_lost_ends_its_answer_and_pays_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    shared_postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    halt = Halt(1)
    engine = Scripted(*spoken(1.0)[:-1], halt, spoken(1.0)[-1])
    with shared_postgres.lent_schema() as schema, monkeypatch.context() as patched:
        place, address = tmp_path_factory.mktemp("lost"), shared_postgres.url(search_path=schema)
        async with site(place, address, engine) as servers:
            patched.setattr(shared_answers, "RENEW_S", 0.01)
            first = asyncio.create_task(
                servers.machines[0].raw_speech(BODY, headers={"idempotency-key": KEY})
            )
            await asyncio.wait_for(halt.is_there.wait(), 5)
            if way == "by its own clock":
                patched.setattr(Lease, "_end_of", staticmethod(lambda _began: 1.0))
                for _ in range(10):
                    await asyncio.sleep(0.01)
            else:
                await servers.store.write(Statement("UPDATE answer_claims SET fence = fence + 1"))
            patched.undo()
            halt.goes_on.set()
            broken = await first
            assert broken[-1].get("more_body", False) or broken[0]["status"] == 503
            assert (await servers.outcomes(), servers.objects()) == (["failed"], [])
            await servers.lapse()
            second = await servers.machines[1].ask(
                "POST", "/v1/audio/speech", key=servers.machines[0].key, body=BODY, **{"idempotency-key": KEY}
            )
            assert not is_replay(second)
            assert (await servers.outcomes(), len(servers.objects())) == (["failed", "finished"], 1)


@pytest.mark.clock
async def test_an_upload_that_fails_harms_no_answer_and_the_next_one_is_spoken(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_answers, "UPLOAD_S", 0.3)
    engine = Scripted(*spoken(0.5))
    async with faulty_store() as store, site(tmp_path, url, engine, bucket(store.url)) as servers:
        faults = {"slow": Fault("PUT", wait_s=0.6), "broken": Fault("PUT", status=500)}
        for fault in faults.values():
            store.fault = fault
            answer = await servers.ask()
            assert (is_replay(answer), len(answer.content)) == (False, RATE_HZ)
            assert await servers.claims() == []
        store.fault = None
        assert [is_replay(await servers.ask(number)) for number in (0, 1)] == [False, True]
        assert await servers.outcomes() == ["finished"] * 3
        store.fault = Fault("GET", status=500)
        away = await servers.ask(1)
        # To speak it again would charge it again.
        assert (away.status_code, envelope(away)["code"]) == (503, "vault_unavailable")
        assert "voxgate_answers_unrecorded_total 2.0" in servers.machines[0].worker.metrics.page_text()
    assert len(engine.jobs) == 3


async def test_without_its_settlement_or_its_object_an_answer_is_not_believed(
    tmp_path: Path, url: str
) -> None:
    """As after a kill between the two."""
    engine = Scripted(*spoken(0.5))
    async with site(tmp_path, url, engine) as servers:
        await servers.ask()
        (before,) = servers.objects()
        await servers.store.write(Statement("UPDATE usage SET outcome = 'failed'"))
        under_way = await servers.ask(1)
        assert envelope(under_way)["code"] == "request_under_way"
        await servers.lapse()
        for content in (b"", before.read_bytes()[:-1], None):
            assert not is_replay(await servers.ask(1))
            claim = (await servers.claims())[0]
            after = servers.vault / str(claim["object"])
            assert after != before
            # A damaged one is made anew, and so is a lost one.
            after.unlink() if content is None else after.write_bytes(content)
            await servers.lapse()
        assert [is_replay(await servers.ask(number)) for number in (0, 1)] == [False, True]


async def test_a_failure_frees_the_key_on_all_machines(tmp_path: Path, url: str) -> None:
    async def fail_once() -> None:
        if len(engine.jobs) == 1:
            raise errors.EngineFailed("x")

    engine = Scripted(fail_once, *spoken(0.5))
    async with site(tmp_path, url, engine) as servers:
        assert (await servers.ask()).status_code == 503
        assert [is_replay(await servers.ask(number)) for number in (1, 0)] == [False, True]


@pytest.fixture
async def alone(url: str, tmp_path: Path) -> AsyncIterator[tuple[SharedAnswers, Store, Folder]]:
    async with open_store(url, tmp_path) as store:
        section = VaultSection(master_key=key_text(), folder=str(tmp_path / "vault"))
        vault = Vault(store, section, tmp_path)
        assert isinstance(vault.objects, Folder)
        yield SharedAnswers(store, tmp_path / "answers", 1, 1, vault), store, vault.objects


Alone = tuple[SharedAnswers, Store, Folder]


async def left(alone: Alone) -> tuple[int, int]:
    """Count the claims and the objects."""
    _, store, objects = alone
    rows = await store.read("SELECT id FROM answer_claims")
    return len(rows), len(await objects.list("answers/"))


async def test_an_erased_voice_is_in_no_kept_answer_wherever_it_was_kept(alone: Alone) -> None:
    answers, store, objects = alone
    await keep(answers, store, request(1), "voice_a", before_close="voice_a")
    assert await left(alone) == (0, 0)
    await keep(answers, store, request(2), "voice_b", "voice_c")
    await keep(answers, store, request(3, account="acc_b"), "voice_d")
    assert await found(answers, request(4)) == b"sound"
    await answers.remove_voice("voice_c", is_late=True)
    await answers.remove_voice("voice_", is_late=True)
    assert await left(alone) == (1, 1)
    assert await found(answers, request(4, account="acc_b")) == b"sound"
    # It is erased before its object has a row: then no row names it.
    async with answers.claim(request(5)) as recording:
        assert isinstance(recording, AnswerRecording)
        recording.voices = ("voice_e",)
        recording.start_recording(HEADERS)
        await erase(store, "voice_e")
        await recording.complete()
        await recording.close(keep=True)
    assert (recording.is_stored, await left(alone)) == (False, (1, 1))
    # While the vault is away, the erasure waits.
    (objects.root / "answers").rename(objects.root / "away")
    (objects.root / "answers").touch()
    with pytest.raises(StorageFailed):
        await answers.remove_voice("voice_d", is_late=False)
    assert (await store.read("SELECT count(*) AS number FROM answer_claims"))[0]["number"] == 1


async def test_a_sweep_leaves_what_may_be_given_again(alone: Alone) -> None:
    answers, store, objects = alone
    for number in range(5):
        await keep(answers, store, request(number, account=f"acc_{number}"), sound=bytes(200_000))
    await keep(answers, store, request(5, account="acc_5"), "voice_a")
    await erase(store, "voice_a")
    await objects.put("answers/orphan", b"x")
    async with answers.claim(request(6, account="acc_6")):
        await store.write(Statement("UPDATE answer_claims SET lease = 0 WHERE object <> ''"))
        await answers.sweep()
        assert await left(alone) == (5, 5)
        two_days = time.time() - 2 * 86_400 - 1
        os.utime(objects.root / "answers" / "orphan", (two_days, two_days))
        await store.write(Statement("UPDATE answer_claims SET made = 1 WHERE account = 'acc_4'"))
        await answers.sweep()
        assert await left(alone) == (4, 3)
    assert await found(answers, request(9, account="acc_3")) == bytes(200_000)
    assert await found(answers, request(9, account="acc_0")) is None


async def test_a_claim_that_the_database_did_not_take_is_no_answer(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, *_ = alone

    async def away(*_arguments: object) -> bool:
        raise StorageUnreachable("away")

    with monkeypatch.context() as patched:
        patched.setattr(answer_claims, "add", away)
        with pytest.raises(StorageUnreachable):
            await found(answers, request(1))
    # The file of the time before the vault was shared counts, too.
    before = StoredAnswers(answers._store, answers._folder.root, 1, 1)
    await keep(before, answers._store, request(2))
    assert await found(answers, request(3)) == b"sound"


async def test_keys_of_answers_are_rewrapped_and_closed_accounts_have_none(
    alone: Alone, tmp_path: Path
) -> None:
    answers, store, objects = alone
    await keep(answers, store, request(1))
    both = VaultSection(key_text(2), (key_text(1),), folder=str(objects.root))
    vault = Vault(store, both, tmp_path)
    await rewrap_some(store, vault.masters)
    only = Vault(store, VaultSection(key_text(2), folder=str(objects.root)), tmp_path)
    assert await found(SharedAnswers(store, tmp_path / "other", 1, 1, only), request(2)) == b"sound"
    (table,) = [each for each in store.tables if each.name == "answer_claims"]
    await store.write(*(Statement(sql, {"id": "acc_a"}) for sql in table.closed_with))
    assert (await left(alone))[0] == 0
