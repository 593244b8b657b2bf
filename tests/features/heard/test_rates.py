"""How often voices are heard wrong: counted, written, shown, forgotten, and used to choose a candidate."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from policies.misheard import Misheard, move_misheard_last
from policies.routing import Candidate, Voice
from proxy.features.erasure.tombstone_rows import erase_subject
from proxy.features.heard.rates import DAY_US, MisheardRates
from proxy.features.heard.records import UNSETTLED, CheckedSpan
from proxy.speech.part import Part
from proxy.speech.part_check import WrongWords
from proxy.speech_steps.check_totals import CheckResult, PartVerdict
from proxy.storage.rows import insert, insert_sql
from proxy.storage.store import Statement, StorageFailed, Store
from proxy.storage.tombstones import Tombstone
from tests.features.heard.listeners import ANA, candidate, part
from tests.proxy.api.inside import TONE, inside
from tests.tables import each_row

pytestmark = pytest.mark.both_stores

ONE, TWO = candidate(model="one"), candidate(model="two")
BOAT = WrongWords(0, 4, "the boat", "a goat")


def whose(id_: str, **more: Any) -> Voice:
    return Voice(id=id_, name=id_, **more)


def note(
    rates: MisheardRates,
    result: CheckResult,
    words: int,
    by: Candidate = ONE,
    voice: Voice = ANA,
    again: int = 0,
) -> None:
    verdict = PartVerdict(result, () if result == "right" else (BOAT,))
    rates.count_words(part("The boat.", by=by, voice=voice, again=again), words, verdict, "ears/base")


async def test_words_are_summed_up_by_voice_and_shown_once_they_are_enough(store: Store) -> None:
    rates = MisheardRates(store)
    note(rates, "right", 300, again=1)
    note(rates, "wrong", 100, again=2)
    await rates.write_counts()
    assert not await rates.find_rates("ana")
    note(rates, "unsure", 100, again=1)
    note(rates, "right", 900, by=TWO)
    await rates.write_counts()
    two, one = await rates.find_rates("ana")
    assert (two.model, two.words, two.wrong_per_thousand) == ("two", 900, 0.0)
    assert (one.model, one.words, one.wrong_per_thousand, one.unsure_per_thousand) == ("one", 500, 4.0, 4.0)
    assert (one.engine, one.language, one.recogniser, one.again) == ("e", "en", "ears/base", 3)
    assert one.usual_per_thousand == pytest.approx(2000 / 1400, abs=0.01)
    assert [each.words for each in await rates.of_models()] == [900, 500]
    assert not await rates.find_rates("bob")


async def test_a_voice_of_a_request_alone_has_no_rate(store: Store) -> None:
    rates = MisheardRates(store)
    note(rates, "wrong", 600, voice=whose("request", trained=(("f", "d"),)))
    await rates.write_counts()
    assert await rates.of_models() == []


async def test_the_rates_of_an_erased_voice_go_and_do_not_come_back(store: Store) -> None:
    rates = MisheardRates(store)
    own = whose("voice_1", trained=(("f", "d"),))
    note(rates, "right", 600, voice=own)
    await rates.write_counts()
    assert len(await rates.find_rates("voice_1")) == 1
    gone = Tombstone(subject="voice_1", account="acc_1", digests=(), began=await store.now())
    assert await erase_subject(store, gone)
    assert await rates.of_models() == []
    note(rates, "right", 600, voice=own)
    await rates.write_counts()
    assert await rates.of_models() == []


class Full:
    """A store that is full for a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_full = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, *statements: Statement) -> Any:
        if self.is_full:
            raise StorageFailed("full")
        return await self._store.write(*statements)


async def test_what_could_not_be_written_is_written_later_and_old_days_go(store: Store) -> None:
    full = Full(store)
    rates = MisheardRates(full)
    for number in range(150):
        note(rates, "right", 10, voice=whose(f"v{number}"))
    with pytest.raises(StorageFailed):
        await rates.write_counts()
    full.is_full = False
    note(rates, "right", 5)
    await rates.write_counts()
    (found,) = await rates.of_models()
    assert found.words == 1505
    await store.write(Statement("UPDATE heard_rates SET day = day - :days", {"days": 91 * DAY_US}))
    for _ in range(2):
        note(rates, "right", 7)
        await rates.write_counts()
    (found,) = await rates.of_models()
    assert found.words == 14, "old rows go a hundred at a time"


async def test_old_claims_of_killed_requests_go(store: Store) -> None:
    rates, now = MisheardRates(store), await store.now()
    rows = [("killed", 91, UNSETTLED, 1), ("lately", 60, UNSETTLED, 1), ("settled", 91, 0, 1)]
    for name, days, charged_ms, free_ms in rows:
        row = CheckedSpan(name, "ada", now - days * DAY_US, charged_ms, free_ms)
        await store.write(insert(insert_sql("heard_spans", CheckedSpan), row))
    note(rates, "right", 10)
    await rates.write_counts()
    left = await store.read("SELECT request FROM heard_spans ORDER BY request")
    assert [row["request"] for row in left] == ["lately", "settled"]


@each_row(
    ("wrong", "words", "order"),
    [
        ((30, 2), (1000, 1000), "two one"),
        ((30, 20), (1000, 1000), "one two"),
        ((1, 0), (30, 1000), "one two"),  # too few words to tell
        ((2, 30), (1000, 1000), "one two"),
    ],
)
def test_a_model_that_is_heard_wrong_far_more_often_comes_later(
    wrong: tuple[int, int], words: tuple[int, int], order: str
) -> None:
    names = (ONE.model.name, TWO.model.name)
    rates = {name: Misheard(*pair) for name, *pair in zip(names, wrong, words, strict=True)}
    assert " ".join(each.model.info.id for each in move_misheard_last((ONE, TWO), rates)) == order


def test_only_neighbours_of_one_kind_change_places() -> None:
    robot = candidate(model="robot", is_trained=False)
    rates = {ONE.model.name: Misheard(90, 1000), TWO.model.name: Misheard(1, 1000)}
    rates[robot.model.name] = Misheard(0, 1000)
    other = candidate(model="other")
    found = move_misheard_last((ONE, other, TWO, robot), rates)
    assert [each.model.info.id for each in found] == ["one", "other", "two", "robot"]
    assert [each.model.info.id for each in move_misheard_last((ONE, TWO, robot), rates)] == [
        "two",
        "one",
        "robot",
    ]
    low, high = Misheard(10, 1000).bounds
    assert (low, high) == pytest.approx((0.00544, 0.0183), abs=1e-4)
    assert Misheard(0, 0).bounds == (0.0, 1.0)


async def test_a_checked_plan_has_the_better_candidate_first(store: Store) -> None:
    rates = MisheardRates(store)
    made = Part(ANA, "en", (ONE, TWO), 0, 9, 1.0, 9)
    assert rates.with_order(made) is made
    note(rates, "right", 1000, by=TWO)
    for _ in range(30):
        note(rates, "wrong", 40)
    await rates.write_counts()
    assert [each.model.info.id for each in rates.with_order(made).candidates] == ["two", "one"]
    other = replace(made, voice=whose("bob"))
    assert rates.with_order(other).candidates == other.candidates


async def test_a_voice_and_an_operator_see_the_rates(tmp_path: Path) -> None:
    async with inside(tmp_path, TONE) as server:
        rates = server.worker.open_features.context.find(MisheardRates)
        assert "misheard" not in (await server.ask("GET", "/v1/audio/voices/alloy")).json()
        note(rates, "wrong", 500, voice=whose("alloy"))
        await rates.write_counts()
        (shown,) = (await server.ask("GET", "/v1/audio/voices/alloy")).json()["misheard"]
        assert (shown["words"], shown["recogniser"], shown["wrong_per_thousand"]) == (500, "ears/base", 4.0)
        listed = (await server.ask("GET", "/v1/audio/voices")).json()["data"]
        assert not any("misheard" in each for each in listed)
        (model,) = (await server.administer("GET", "misheard")).json()["data"]
        assert (model["engine"], model["model"], model["words"]) == ("e", "one", 500)
        assert (await server.ask("GET", "/admin/misheard")).status_code == 403
