"""Lexicons as rows. policies/lexicon.py has the form of an entry."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from policies.lexicon import MOST_LEXICONS, MOST_WORDS, Words, usual_name, usual_words
from proxy.catalogue.saved_words import WordRevisions, read_words
from proxy.config.sections import Config
from proxy.errors import NotAllowed
from proxy.features.lexicons.section import SECTION
from proxy.storage import audit, library_revisions
from proxy.storage.audit import Act
from proxy.storage.listed_tables import lock_account
from proxy.storage.rows import encode_json
from proxy.storage.store import Params, Statement, Store
from proxy.storage.tables import Table
from speech_engine.redacted import Redacted

_SUMMARY = "account, name, size, revision, changed"
_OF_ACCOUNT = f"SELECT {_SUMMARY} FROM lexicons WHERE account = :account ORDER BY name"
_TEXTS = "SELECT name, words FROM lexicons WHERE account = :account"
_GET = f"SELECT {_SUMMARY}, words FROM lexicons WHERE account = :account AND name = :name"
_IS_THERE = "EXISTS (SELECT 1 FROM lexicons WHERE account = :of AND name = :name)"
_SET = f"""
INSERT INTO lexicons ({_SUMMARY}, words)
SELECT :account, :name, CAST(:size AS BIGINT), 1, :changed, :words
WHERE (SELECT count(*) FROM lexicons WHERE account = :account AND name <> :name) < :most
    AND (COALESCE(CAST(:revision AS BIGINT), 0) = 0 OR {_IS_THERE})
ON CONFLICT (account, name) DO UPDATE
SET words = excluded.words, size = excluded.size, revision = lexicons.revision + 1, changed = excluded.changed
WHERE lexicons.revision = COALESCE(CAST(:revision AS BIGINT), lexicons.revision)
RETURNING {_SUMMARY}
"""
_WAS_SET = "EXISTS (SELECT 1 FROM lexicons WHERE account = :of AND name = :name AND changed = :at)"
_DELETE = "DELETE FROM lexicons WHERE account = :account AND name = :name RETURNING name"


TABLE = Table(
    "lexicons",
    key=("account", "name"),
    closed_with=("DELETE FROM lexicons WHERE account = :id",),
)


class LexiconSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A lexicon without its words, which `size` counts. `revision` counts its changes, and `changed` is the
    time of the last one."""

    account: str
    name: str
    size: int
    revision: int
    changed: int


class LexiconRecord(Redacted, LexiconSummary, frozen=True, kw_only=True):
    words: Mapping[str, str]


class AccountWords:
    """The words of accounts, for the core: see `SavedWords`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def configured(self, config: Config) -> dict[str, Words]:
        return SECTION.of(config)

    async def revisions(self, account: str) -> WordRevisions:
        return await list_revisions(self._store, account)

    async def texts(self, account: str) -> dict[str, str]:
        return {row["name"]: row["words"] for row in await self._store.read(_TEXTS, {"account": account})}

    async def add_words(self, account: str, name: str, words: Words) -> None:
        store, usual = self._store, usual_name(name)
        before = await get_lexicon(store, account, usual)
        while True:
            joined = {**(before.words if before else {}), **usual_words(words)}
            revision = before.revision if before else 0
            if len(joined) <= MOST_WORDS and await put_lexicon(
                store, account, usual, joined, most=MOST_LEXICONS, revision=revision
            ):
                return
            found = await get_lexicon(store, account, usual)
            if found == before:
                raise NotAllowed(
                    f"The lexicon '{name}' has no room for these words.",
                    param="keep_words",
                    code="lexicon_full",
                )
            before = found  # somebody else has changed it meanwhile


async def list_revisions(store: Store, account: str) -> WordRevisions:
    """List the name, the revision and the time of each lexicon. The list differs after every change."""
    return tuple((each.name, each.revision, each.changed) for each in await list_of_account(store, account))


async def list_of_account(store: Store, account: str) -> list[LexiconSummary]:
    return msgspec.convert(await store.read(_OF_ACCOUNT, {"account": account}), list[LexiconSummary])


async def get_lexicon(store: Store, account: str, name: str) -> LexiconRecord | None:
    rows = await store.read(_GET, {"account": account, "name": name})
    if not rows:
        return None
    return msgspec.convert({**rows[0], "words": read_words(rows[0]["words"])}, LexiconRecord)


async def put_lexicon(
    store: Store,
    account: str,
    name: str,
    words: Mapping[str, str],
    *,
    most: int,
    act: Act | None = None,
    revision: int | None = None,
) -> LexiconSummary | None:
    """Save a lexicon under its name. None: the account has no room for one more, or the lexicon does not have
    this `revision` any more; 0 is that of none."""
    row: Params = {
        "account": account,
        "of": account,
        "name": name,
        "words": encode_json(words),
        "size": len(words),
        "changed": act.at if act else await store.now(),
        "most": most,
        "revision": revision,
    }
    _, rows, *_ = await store.write(
        lock_account(account),
        Statement(_SET, row),
        *audit.insert_statements(act, _WAS_SET, {"of": account, "name": name}),
        library_revisions.raise_statement(account),
    )
    return msgspec.convert(rows[0], LexiconSummary) if rows else None


async def delete_lexicon(store: Store, account: str, name: str, act: Act | None = None) -> bool:
    """Delete a lexicon, and tell whether there was one."""
    acts = audit.insert_statements(act, _IS_THERE, {"of": account, "name": name})
    *_, rows, _ = await store.write(
        *acts,
        Statement(_DELETE, {"account": account, "name": name}),
        library_revisions.raise_statement(account),
    )
    return bool(rows)
