"""Kept answers of two machines with one database and one vault: a request is answered once, and charged once."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from proxy.config.sections import VaultSection
from proxy.features.all import open_store
from proxy.file_store import shared_answers
from proxy.file_store.answers import AnswerRecording
from proxy.file_store.shared_answers import Lease, SharedAnswer, SharedAnswers
from proxy.file_store.vault import Vault
from proxy.storage import answer_claims, tombstones
from proxy.storage.answer_claims import Claim
from proxy.storage.store import Statement, StorageFailed, StorageUnreachable, Store
from proxy.storage.tombstones import Tombstone
from tests.databases import Postgres
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, spoken
from tests.proxy.file_store import buckets
from tests.proxy.file_store.buckets import Fault, faulty_store
from tests.proxy.file_store.idempotent import BODY, CONFIG, KEY, is_replay
from tests.proxy.file_store.test_answers_alone import HEADERS, found, keep, request
from tests.proxy.file_store.vaults import key_text
from tests.tables import each_row


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

    @property
    def store(self) -> Store:
        return self.machines[0].worker.store

    async def claims(self) -> list[dict[str, object]]:
        rows = await self.store.read("SELECT request, object, size, fence FROM answer_claims")
        return [dict(row) for row in rows]

    async def outcomes(self) -> list[str]:
        return sorted(row.outcome for row in await self.machines[0].usage())

    async def lapse(self) -> None:
        await self.store.write(Statement("UPDATE answer_claims SET lease = 0"))

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
        'access_key = "env:K"\nsecret_key = "env:S"\n'
    )


@pytest.mark.parametrize("place", ["folder", "bucket"])
async def test_another_machine_sends_the_same_answer(
    tmp_path: Path, url: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Scripted(*spoken(30.0))
    async with site(tmp_path, url, engine, bucket() if place == "bucket" else "") as servers:
        first, *again = [await servers.ask(number) for number in (0, 1, 0)]
        assert [is_replay(answer) for answer in (first, *again)] == [False, True, True]
        assert {answer.content for answer in again} == {first.content}
        assert len(first.content) == 2 * RATE_HZ * 30
        reused = await servers.ask(1, input="Something else.")
        assert (reused.status_code, envelope(reused)["code"]) == (422, "idempotency_key_reused")
        if place == "folder":
            (object_,) = servers.objects()
            assert object_.stat().st_size == (await servers.claims())[0]["size"]
        assert not [*tmp_path.glob("?/data/idempotency/*")]
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
    speaks, may_end, is_away = asyncio.Event(), asyncio.Event(), True
    renew = answer_claims.renew

    async def stalled(store: Store, claim: Claim) -> bool:
        if is_away:
            raise StorageUnreachable("away")
        return await renew(store, claim)

    async def pause() -> None:
        speaks.set()
        await may_end.wait()

    monkeypatch.setattr(shared_answers, "RENEW_S", 0.01)
    monkeypatch.setattr(answer_claims, "renew", stalled)
    engine = Scripted(*spoken(1.0)[:-1], pause, spoken(1.0)[-1])
    async with site(tmp_path, url, engine) as servers:
        first = asyncio.create_task(servers.ask())
        await asyncio.wait_for(speaks.wait(), 5)
        others = await asyncio.gather(*(servers.ask(number % 2) for number in range(16)))
        assert {answer.status_code for answer in others} == {409}
        is_away = False
        may_end.set()
        assert (await first).status_code == 200
        assert is_replay(await servers.ask(1))
        assert await servers.outcomes() == ["finished"]


@each_row("way", ["by its own clock", "by the database"])
async def test_an_owner_whose_lease_is_lost_ends_its_answer_and_pays_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    shared_postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    speaks, may_end = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        if len(engine.jobs) == 1:
            speaks.set()
            await may_end.wait()

    engine = Scripted(*spoken(1.0)[:-1], pause, spoken(1.0)[-1])
    with shared_postgres.lent_schema() as schema, monkeypatch.context() as patched:
        place, address = tmp_path_factory.mktemp("lost"), shared_postgres.url(search_path=schema)
        async with site(place, address, engine) as servers:
            patched.setattr(shared_answers, "RENEW_S", 0.01)
            first = asyncio.create_task(
                servers.machines[0].raw_speech(BODY, headers={"idempotency-key": KEY})
            )
            await asyncio.wait_for(speaks.wait(), 5)
            if way == "by its own clock":
                patched.setattr(Lease, "_end_of", staticmethod(lambda _began: 1.0))
                await asyncio.sleep(0.1)
            else:
                await servers.store.write(Statement("UPDATE answer_claims SET fence = fence + 1"))
            patched.undo()
            may_end.set()
            broken = await first
            assert broken[-1].get("more_body", False) or broken[0]["status"] == 503
            assert (await servers.outcomes(), servers.objects()) == (["failed"], [])
            await servers.lapse()
            second = await servers.machines[1].ask(
                "POST", "/v1/audio/speech", key=servers.machines[0].key, body=BODY, **{"idempotency-key": KEY}
            )
            assert not is_replay(second)
            assert (await servers.outcomes(), len(servers.objects())) == (["failed", "finished"], 1)
