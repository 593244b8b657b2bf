"""Tombstones as rows: the voices and consents that were erased, and what is still to be done for each.

Whatever is derived of a voice asks for its tombstone in its own commit, by `NOT_ERASED`, before it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from proxy.storage import audit, consents
from proxy.storage.audit import Act
from proxy.storage.rows import decode_json, encode_json
from proxy.storage.store import Params, Row, Statement, Store

NOT_ERASED = "NOT EXISTS (SELECT 1 FROM erasures WHERE subject = :voice)"
"""SQL for a write that is derived of a voice: true as long as nobody has erased it."""

_COLUMNS = "subject, account, digests, began, completed, pending"
# The first one stays: its time is that of the erasure.
_INSERT = f"""
INSERT INTO erasures ({_COLUMNS})
SELECT :subject, :account, :digests, CAST(:began AS BIGINT), NULL, :pending WHERE {{only_if}}
ON CONFLICT (subject) DO NOTHING RETURNING subject
"""
_WAS_INSERTED = "EXISTS (SELECT 1 FROM erasures WHERE subject = :subject AND began = :began)"
_NEEDED_BY = "SELECT id FROM voices WHERE consent = :subject ORDER BY created LIMIT 1"
_UNNEEDED = "NOT EXISTS (SELECT 1 FROM voices WHERE consent = :subject)"
_GET = f"SELECT {_COLUMNS} FROM erasures WHERE subject = :subject AND account = :account"
_ANY = "SELECT subject FROM erasures WHERE subject IN ({names})"
_PENDING = f"SELECT {_COLUMNS} FROM erasures WHERE completed IS NULL AND began < :before ORDER BY began"
_DIGESTS = "SELECT account, digests FROM erasures WHERE digests <> '[]'"
_SINCE = f"SELECT {_COLUMNS} FROM erasures WHERE began >= :since ORDER BY began"
_NOTE = "UPDATE erasures SET pending = :pending WHERE subject = :subject AND completed IS NULL"
_COMPLETE = """
UPDATE erasures SET pending = '[]', completed = :completed WHERE subject = :subject AND completed IS NULL
"""
# What was said about it when it was made or changed: its name, for one.
_SCRUB_AUDIT = "UPDATE audit SET details = '{}' WHERE subject = :subject"
_DELETE_SAMPLES = "DELETE FROM samples WHERE voice = :subject"
_DELETE_VOICE = "DELETE FROM voices WHERE id = :subject"
_DELETE_CONSENT = f"DELETE FROM consents WHERE id = :subject AND {_WAS_INSERTED}"
_DIGESTS_OF_VOICE = "SELECT digest FROM samples WHERE voice = :subject"
_DIGEST_OF_CONSENT = "SELECT digest FROM consents WHERE id = :subject AND digest IS NOT NULL"
_OF_ACCOUNT = """
SELECT id FROM voices WHERE account = :account UNION ALL SELECT id FROM consents WHERE account = :account
"""


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """The erasure of a voice or a consent. `digests` are its recordings. `pending` names what is not done."""

    subject: str
    account: str
    digests: tuple[str, ...]
    began: int
    completed: int | None = None
    pending: tuple[str, ...] = ()

    @property
    def is_of_voice(self) -> bool:
        return self.subject.startswith("voice_")


async def digests_of(store: Store, subject: str) -> tuple[str, ...]:
    """List the recordings of a voice or a consent."""
    sql = _DIGESTS_OF_VOICE if subject.startswith("voice_") else _DIGEST_OF_CONSENT
    return tuple(sorted({row["digest"] for row in await store.read(sql, {"subject": subject})}))


async def erase(store: Store, tombstone: Tombstone, doom: Sequence[Statement], act: Act | None) -> bool:
    """Put a tombstone, and delete what it is for: all in one commit, or nothing.

    Return False if the subject was erased before, or if it is a consent that a voice needs.
    """
    row: Params = {
        "subject": tombstone.subject,
        "account": tombstone.account,
        "digests": encode_json(tombstone.digests),
        "began": tombstone.began,
        "pending": encode_json(tombstone.pending),
    }
    subject: Params = {"subject": tombstone.subject, "began": tombstone.began}
    only_if = "CAST(1 AS BIGINT) = 1" if tombstone.is_of_voice else _UNNEEDED
    deletes = (_DELETE_SAMPLES, _DELETE_VOICE) if tombstone.is_of_voice else (_DELETE_CONSENT,)
    held = () if tombstone.is_of_voice else consents.hold_statements(tombstone.subject)
    answers = await store.write(
        *held,
        Statement(_INSERT.format(only_if=only_if), row),
        *audit.insert_statements(act, _WAS_INSERTED, {"began": tombstone.began}),
        Statement(_SCRUB_AUDIT, {"subject": tombstone.subject}),
        *(Statement(sql, subject) for sql in deletes),
        *(doom if tombstone.is_of_voice else ()),
    )
    return bool(answers[len(held)])


async def get(store: Store, account: str, subject: str) -> Tombstone | None:
    """Return the tombstone of something that this account had."""
    rows = await store.read(_GET, {"subject": subject, "account": account})
    return _tombstone(rows[0]) if rows else None


async def list_known(store: Store, subjects: Iterable[str]) -> set[str]:
    """List those of these subjects that have a tombstone."""
    return await _named(store, _ANY, subjects)


async def needed_by(store: Store, consent: str) -> str | None:
    """Return a voice that needs this consent, or None."""
    rows = await store.read(_NEEDED_BY, {"subject": consent})
    return str(rows[0]["id"]) if rows else None


async def list_digests(store: Store) -> set[tuple[str, str]]:
    """List account and digest of the recordings of all that was erased."""
    rows = await store.read_long(_DIGESTS)
    return {(row["account"], digest) for row in rows for digest in decode_json(row["digests"])}


async def list_pending(store: Store, before: int) -> list[Tombstone]:
    """List the erasures from before then that are not complete, the oldest first."""
    return [_tombstone(row) for row in await store.read(_PENDING, {"before": before})]


async def list_since(store: Store, since: int) -> list[Tombstone]:
    """List the erasures since then, the oldest first."""
    return [_tombstone(row) for row in await store.read(_SINCE, {"since": since})]


async def list_of_account(store: Store, account: str) -> list[str]:
    """List the ids of what an account has that can be erased."""
    return [row["id"] for row in await store.read(_OF_ACCOUNT, {"account": account})]


async def note_pending(store: Store, subject: str, pending: Iterable[str]) -> None:
    """Note what an erasure still waits for."""
    await store.write(Statement(_NOTE, {"subject": subject, "pending": encode_json(tuple(pending))}))


async def complete(store: Store, subject: str) -> None:
    """Note that an erasure is complete."""
    await store.write(Statement(_COMPLETE, {"subject": subject, "completed": await store.now()}))


async def _named(store: Store, sql: str, subjects: Iterable[str]) -> set[str]:
    names = {f"subject{number}": subject for number, subject in enumerate(sorted(set(subjects)))}
    if not names:
        return set()
    rows = await store.read(sql.format(names=", ".join(f":{name}" for name in names)), names)
    return {row["subject"] for row in rows}


def _tombstone(row: Row) -> Tombstone:
    lists = {column: decode_json(row[column]) for column in ("digests", "pending")}
    return msgspec.convert({**row, **lists}, Tombstone)
