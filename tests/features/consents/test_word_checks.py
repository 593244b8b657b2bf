"""The words of a consent's recording: heard after it was stored, told, counted, and refused if asked for."""

import asyncio
from pathlib import Path

import pytest

from plugins.whisper import plugin as whisper
from policies.routing import Model
from policies.tasks import SECOND_US
from proxy.catalogue.recognition import LocalRecognition, OwnRecording, OwnTranscript
from proxy.config.finding import NO_RESULTS
from proxy.config.sections import VaultSection
from proxy.engines.registry import Registry
from proxy.features.consents import hearings
from proxy.features.consents.feature import check_words
from proxy.features.consents.hearings import COUNTED, HearingRow, Hearings, HearingUse, WordChange
from proxy.features.consents.rules import phrase
from proxy.features.erasure.erasure import Erasure
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement, Store
from speech_engine import EngineFailed
from speech_engine.hearing import HEARING_HZ
from tests.features.transcriptions.ears import Ears, said, whole
from tests.proxy.api.inside import TONE, Inside, envelope, inside
from tests.proxy.api.owning import agree, send
from tests.proxy.config.files import load
from tests.proxy.file_store.owned import Owned, add_consent
from tests.proxy.http.described import operation
from tests.tables import each_row
from tests.waiting import soon

pytestmark = pytest.mark.both_stores

PATH = "/v1/audio/voice_consents"
CONFIG = f"{TONE}\n[webhooks]\non = true\nallow = ['hooks.test']\n[engines.scripted]\nhosted = false\n"
PLUGINS = Registry({("engine", each.name): each for each in whisper.voxgate_register()}, [])
OFF = "[features]\noff = ['transcriptions', 'jobs', 'books', 'dubs', 'estimates']\n"
REFUSES = '[consent]\nwords = "refuse"\n'
PHRASE = phrase("en", "voxgate") or ""
HALF = " ".join(PHRASE.split()[:12])
DENIED = PHRASE.replace("I am", "I am not").replace("I consent", "I do not consent")


async def consent(server: Inside, language: str = "en") -> str:
    answer = await send(server, {"name": "Ana", "language": language}, path=PATH, file="recording")
    assert (answer.status_code, answer.json()["words"]) == (200, "unchecked"), answer.text
    id_: str = answer.json()["id"]
    return id_


async def heard_words(server: Inside, id_: str) -> str:
    """What is on record once nothing is left to be heard."""

    async def none_left() -> bool:
        return not await server.worker.store.read("SELECT id FROM hearings")

    await soon(none_left)
    entry = (await server.ask("GET", f"{PATH}/{id_}")).json()
    assert entry["words_checked"] is (entry["words"] != "unchecked")
    return str(entry["words"])


async def new_voice(server: Inside, id_: str, name: str = "Ana") -> tuple[int, str]:
    answer = await send(server, {"name": name, "consent": id_})
    return answer.status_code, "" if answer.status_code == 200 else envelope(answer)["code"]


async def test_a_recording_is_heard_and_its_account_is_told(tmp_path: Path) -> None:
    ears, provider = Ears(hears_well=("en",)), Ears(hears_well=("en",), is_local=False)
    config = CONFIG.replace("[engines.scripted]", "[engines.cloud]\nhosted = false\n[engines.scripted]")
    async with inside(tmp_path, config, engines={"cloud": provider, "scripted": ears}) as server:
        body = {"name": "h", "url": "http://hooks.test/", "event_types": ["consent.heard"]}
        assert (await server.ask("POST", "/v1/webhook_endpoints", body=body)).status_code == 200
        for text, found in ((PHRASE, "match"), (DENIED, "differs"), (HALF, "unsure")):
            ears.script = whole(said(text))
            id_ = await consent(server)
            assert await heard_words(server, id_) == found
            told = await server.worker.store.read("SELECT type, data FROM webhook_deliveries")
            assert [row["type"] for row in told if id_ in row["data"]] == ["consent.heard"]
            assert await new_voice(server, id_, found) == (200, ""), "the words are on record alone"
        assert {job.urgency for job in ears.jobs} == {"idle"}
        assert await heard_words(server, await consent(server, "sv")) == "unchecked", "there is no phrase"
        assert len(ears.jobs) == 3

        async def use_up() -> None:
            await server.worker.store.write(Statement("UPDATE free_hearing SET seconds = 600"))

        ears.script = (use_up, *whole(said(PHRASE)))
        late = await consent(server)
        assert await heard_words(server, late) == "unchecked"
        assert late not in str(await server.worker.store.read("SELECT data FROM webhook_deliveries"))
        assert provider.jobs == []


async def test_who_refuses_other_words_waits_for_them(tmp_path: Path) -> None:
    halt = asyncio.Event()
    ears = Ears(halt.wait, *whole(said("Good evening to you all.")))
    async with inside(tmp_path, CONFIG + REFUSES, engines={"scripted": ears}) as server:
        id_ = await consent(server)
        early = await send(server, {"name": "Ana", "consent": id_})
        assert (early.status_code, envelope(early)["code"]) == (409, "consent_not_heard_yet")
        assert early.headers["x-should-retry"] == "true"
        assert int(early.headers["retry-after"]) > 0
        assert (await server.administer("GET", "consents?waits=true")).json()["data"] == []
        too_early = await server.administer("POST", f"consents/{id_}/accept")
        assert (too_early.status_code, envelope(too_early)["code"]) == (409, "consent_not_heard_yet")
        halt.set()
        assert await heard_words(server, id_) == "unsure", "the model is not known to hear well"
        assert await new_voice(server, id_) == (403, "consent_waits")
        listed = (await server.administer("GET", "consents?waits=true")).json()["data"]
        assert [(each["id"], each["accepted_at"]) for each in listed] == [(id_, None)]
        assert await new_voice(server, (await agree(server))["id"], "Eve") == (403, "consent_waits")
        await server.worker.store.write(Statement("UPDATE consents SET words = 'differs'"))
        assert await new_voice(server, id_, "Bea") == (403, "consent_words_differ")
        document = (await server.ask("GET", "/openapi.json")).json()
        names = (
            "create_voice",
            "update_voice",
            "clone_voice",
            "create_job",
            "add_voice_sample",
            "bring_voice_model",
            "create_conversion",
            "create_speech",
        )
        refusals = {"403", "409"}
        assert [name for name in names if refusals - {*operation(document, name)["responses"]}] == []


class Listener(LocalRecognition):
    """It hears each recording as the phrase, once `before` was awaited. `failures` come first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.before = asyncio.Event()
        self.before.set()
        self.began = asyncio.Event()

    def may_hear(self, language: str) -> bool:
        return language != "tlh"

    async def hear(
        self, recording: OwnRecording, within_s: float, model: Model | None = None
    ) -> OwnTranscript:
        self.began.set()
        await self.before.wait()
        if self.failures:
            raise self.failures.pop(0)
        return OwnTranscript(PHRASE, is_reliable=True)


async def recording(held: HearingRow) -> OwnRecording | None:
    return OwnRecording(held.id, held.account, bytes(2 * HEARING_HZ * 250), "en")


async def change(_held: HearingRow, text: OwnTranscript | None) -> WordChange:
    sql = f"UPDATE consents SET words = 'match' WHERE id = :wish AND {COUNTED.sql}"
    return WordChange(() if text is None else (Statement(sql),))


async def tasks_of(store: Store, ears: Listener, *consents: str) -> Hearings:
    tasks = Hearings(store, ears)
    tasks.uses["cons"] = HearingUse(recording, change)
    for id_ in consents:
        await store.write(*tasks.queue_statements(id_, "acc_a", "en"))
    return tasks


async def words_of(store: Store) -> dict[str, str]:
    return {row["id"]: row["words"] for row in await store.read("SELECT id, words FROM consents")}


async def test_an_account_is_heard_for_so_long_a_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [await add_consent(store, "acc_a", f"d{number}", id_=f"cons_{number}") for number in range(4)]
    # All of them are heard before one is counted: the commit decides.
    ears = Listener()
    ears.before.clear()
    tasks = await tasks_of(store, ears, *ids[:3])
    tasks.most_at_once = 3
    await tasks.look()
    await ears.began.wait()
    ears.before.set()
    await tasks.finish()
    assert sorted((await words_of(store)).values()) == ["match", "match", "unchecked", "unchecked"]
    assert await store.read("SELECT seconds FROM free_hearing") == [{"seconds": 500.0}]
    tasks = await tasks_of(store, Listener(AssertionError("it is not heard")), ids[3])
    await tasks.look()
    await tasks.finish()
    assert await store.read("SELECT id FROM hearings") == []
    monkeypatch.setattr(hearings, "_DAY_US", SECOND_US * 3)
    tasks = await tasks_of(store, Listener(), ids[3])
    await tasks.look()
    await tasks.finish()
    assert (await words_of(store))[ids[3]] == "match", "another day has begun"
    assert await store.read("SELECT seconds FROM free_hearing") == [{"seconds": 250.0}]


@each_row("what", ["erased", "lost", "closed"])
async def test_words_are_not_stored_once_their_recording_is_gone(
    store: Store, tmp_path: Path, what: str
) -> None:
    id_ = await add_consent(store, "acc_a", "d1")
    ears = Listener()
    ears.before.clear()
    tasks = await tasks_of(store, ears, id_)
    await tasks.look()
    await ears.began.wait()
    if what == "erased":
        await Erasure(store, Vault(store, VaultSection(), tmp_path), tmp_path).erase(Owned(id_, "acc_a"))
        await add_consent(store, "acc_a", "d1", id_=id_)
    else:
        gone = {"lost": "UPDATE hearings SET fence = fence + 1", "closed": hearings.TABLE.closed_with[0]}
        await store.write(Statement(gone[what], {"id": "acc_a"}))
    ears.before.set()
    await tasks.finish()
    assert await words_of(store) == {id_: "unchecked"}
    assert await store.read("SELECT seconds FROM free_hearing") == []
    await store.write(Statement("DELETE FROM consents"), Statement("DELETE FROM hearings"))


async def test_a_recording_that_no_model_hears_is_given_up(store: Store) -> None:
    id_ = await add_consent(store, "acc_a", "d1")
    tasks = await tasks_of(store, Listener(*[EngineFailed("")] * 9), id_)
    assert tasks.queue_statements("cons_2", "acc_a", "tlh") == ()
    for tries in range(1, 6):
        assert await tasks.is_waiting(id_)
        await store.write(Statement("UPDATE hearings SET due = 0"))
        await tasks.look()
        await tasks.finish()
        rows = await store.read("SELECT tries FROM hearings")
        assert [row["tries"] for row in rows] == ([tries] if tries < 5 else [])
    assert await words_of(store) == {id_: "unchecked"}


async def test_one_that_must_be_heard_is_not(store: Store) -> None:
    """Who keeps the ears busy with other recordings gets no voice by that."""
    id_ = await add_consent(store, "acc_a", "d1")
    tasks = await tasks_of(store, Listener(*[EngineFailed("")] * 9), id_)
    tasks.must_hear = True
    for _ in range(8):
        await store.write(Statement("UPDATE hearings SET due = 0"))
        await tasks.look()
        await tasks.finish()
    assert await tasks.is_waiting(id_)


@each_row(
    ("text", "verdicts"),
    [
        (TONE, []),
        (TONE + REFUSES, ["wrong"]),
        (TONE.replace("hosted = false", "hosted = false\nhears = true") + REFUSES, []),
        (TONE + "[engines.whisper]\n" + REFUSES, []),
        (
            f"{TONE}{OFF}[engines.whisper]\n{REFUSES}",
            ["wrong"],
        ),
    ],
)
def test_check_finds_a_refusal_without_ears(tmp_path: Path, text: str, verdicts: list[str]) -> None:
    config = load(tmp_path, text)
    assert [each.verdict for each in check_words(config, PLUGINS, NO_RESULTS)] == verdicts
