"""Lexicons as rows: the words of accounts. policies/lexicon.py says what an entry may be."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from proxy.storage import audit
from proxy.storage.audit import Act
from proxy.storage.rows import decode_json, encode_json
from proxy.storage.store import Params, Row, Statement, Store

_COLUMNS = "account, name, words, revision, changed"
_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM lexicons WHERE account = :account ORDER BY name"
_STANDING = "SELECT name, revision, changed FROM lexicons WHERE account = :account ORDER BY name"
_TEXTS = "SELECT name, words FROM lexicons WHERE account = :account"
_GET = f"SELECT {_COLUMNS} FROM lexicons WHERE account = :account AND name = :name"
# The first statement changes nothing. If a database runs several writes at once, it makes the next write
# of the same account wait. So two lexicons cannot both take the last free place.
_HOLD = "UPDATE accounts SET id = id WHERE id = :account"
_SET = f"""
INSERT INTO lexicons ({_COLUMNS})
SELECT :account, :name, :words, 1, :changed
WHERE (SELECT count(*) FROM lexicons WHERE account = :account AND name <> :name) < :most
ON CONFLICT (account, name) DO UPDATE
SET words = excluded.words, revision = lexicons.revision + 1, changed = excluded.changed
RETURNING {_COLUMNS}
"""
_WAS_SET = "EXISTS (SELECT 1 FROM lexicons WHERE account = :of AND name = :name AND changed = :at)"
_DELETE = "DELETE FROM lexicons WHERE account = :account AND name = :name RETURNING name"
_IS_THERE = "EXISTS (SELECT 1 FROM lexicons WHERE account = :of AND name = :name)"


class LexiconRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A lexicon. `revision` counts its changes, `changed` is the time of the last one."""

    account: str
    name: str
    words: Mapping[str, str]
    revision: int
    changed: int

    def __repr__(self) -> str:
        return f"<LexiconRecord {self.name} of {self.account}, {len(self.words)} words>"


async def revisions(store: Store, account: str) -> tuple[tuple[str, int, int], ...]:
    """List name, revision and time of each lexicon. The list differs after every change."""
    rows = await store.read(_STANDING, {"account": account})
    return tuple((row["name"], row["revision"], row["changed"]) for row in rows)


async def texts(store: Store, account: str) -> dict[str, str]:
    """Read the words of each lexicon as text, for `read_words`: an account may have very many."""
    return {row["name"]: row["words"] for row in await store.read(_TEXTS, {"account": account})}


def read_words(text: str) -> dict[str, str]:
    words: dict[str, str] = decode_json(text)
    return words


async def of_account(store: Store, account: str) -> list[LexiconRecord]:
    """List the lexicons of an account by name."""
    return [_record(row) for row in await store.read(_OF_ACCOUNT, {"account": account})]


async def get(store: Store, account: str, name: str) -> LexiconRecord | None:
    rows = await store.read(_GET, {"account": account, "name": name})
    return _record(rows[0]) if rows else None


async def put(
    store: Store, account: str, name: str, words: Mapping[str, str], *, most: int, act: Act | None = None
) -> LexiconRecord | None:
    """Save a lexicon under its name. None means that the account has no room for one more."""
    row: Params = {
        "account": account,
        "name": name,
        "words": encode_json(words),
        "changed": act.at if act else await store.now(),
        "most": most,
    }
    _, rows, *_ = await store.write(
        Statement(_HOLD, {"account": account}),
        Statement(_SET, row),
        *audit.insert_statements(act, _WAS_SET, {"of": account, "name": name}),
    )
    return _record(rows[0]) if rows else None


async def delete(store: Store, account: str, name: str, act: Act | None = None) -> bool:
    """Delete a lexicon, and tell whether it was there."""
    acts = audit.insert_statements(act, _IS_THERE, {"of": account, "name": name})
    *_, rows = await store.write(*acts, Statement(_DELETE, {"account": account, "name": name}))
    return bool(rows)


def _record(row: Row) -> LexiconRecord:
    return msgspec.convert({**row, "words": read_words(row["words"])}, LexiconRecord)
