"""Tables whose rows are listed: whose they are, which of them take room, and where a page begins."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import NEWEST, PagePlace
from proxy.storage.store import Condition, Statement, Store
from tests.proxy.storage.notes import open_bare

_TABLES = (
    Statement("CREATE TABLE accounts (id TEXT PRIMARY KEY, closed BIGINT)"),
    Statement("INSERT INTO accounts (id, closed) VALUES ('ada', NULL), ('bob', NULL), ('gone', 1)"),
    Statement(
        "CREATE TABLE letters (id TEXT PRIMARY KEY, account TEXT, day BIGINT NOT NULL, read_on BIGINT, "
        "grams DOUBLE PRECISION)"
    ),
)


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    account: str | None = "ada"
    day: int = 1
    read_on: int | None = None
    grams: float | None = None
    stamps: tuple[str, ...] = ()


LETTERS = ListedTable("letters", WebhookRequest, at="day", without=("stamps",), listed="day >= :since")


@pytest.fixture
async def store(new_store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_bare(new_store_url, tmp_path)
    await opened.write(*_TABLES)
    yield opened
    await opened.close()


async def add(
    store: Store, letter: WebhookRequest, most: int | None = None, only_if: str = "1 = 1"
) -> WebhookRequest | None:
    row = msgspec.structs.asdict(letter)
    del row["stamps"]
    *_, rows = await store.write(*LETTERS.add_statements(row, most, Condition(only_if, {})))
    return LETTERS.read(rows[0]) if rows else None


async def test_a_row_is_added_as_it_is(store: Store) -> None:
    for letter in (WebhookRequest(id="a"), WebhookRequest(id="b", account=None, read_on=2, grams=0.5)):
        assert await add(store, letter) == letter == await LETTERS.get(store, letter.account, letter.id)
    assert await LETTERS.get(store, "bob", "a") is None


async def test_an_account_has_no_more_rows_than_it_may(store: Store) -> None:
    await add(store, WebhookRequest(id="other", account="bob"))
    added = await asyncio.gather(*(add(store, WebhookRequest(id=str(number)), 3) for number in range(6)))
    assert len([each for each in added if each]) == 3 == await LETTERS.count(store, "ada")


async def test_neither_a_closed_account_nor_an_untrue_condition_gets_a_row(store: Store) -> None:
    assert await add(store, WebhookRequest(id="a", account="gone")) is None
    assert await add(store, WebhookRequest(id="a"), only_if="1 = 0") is None
    assert await LETTERS.page(store, None, NEWEST, 9, {"since": 0}) == []


async def test_a_page_goes_on_behind_its_place(store: Store) -> None:
    # Two of each day, so that a page may end between them.
    letters = [WebhookRequest(id=f"{n}", account=("ada", "bob")[n % 3 == 0], day=n // 2) for n in range(9)]
    for letter in letters:
        await add(store, letter)
    own = [each for each in letters[::-1] if each.account == "ada"]
    assert await LETTERS.of_account(store, "ada") == own
    place = NEWEST
    for letter in own[:-1]:
        assert await LETTERS.page(store, "ada", place, 1, {"since": 0}) == [letter]
        place = PagePlace(letter.day, letter.id)
        assert await LETTERS.place_of(store, "ada", letter.id) == place
        assert await LETTERS.place_of(store, "bob", letter.id) is None
    assert await LETTERS.page(store, None, NEWEST, 9, {"since": 2}) == letters[:3:-1]
