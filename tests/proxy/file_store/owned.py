"""Helpers: rows of what an account owns, for tests that are about seals and erasure, not about voices."""

import secrets
from typing import NamedTuple

from proxy.file_store.vault import SealedRecord
from proxy.storage.store import Statement, Store

NOTHING = SealedRecord("", "")

_VOICE = """
INSERT INTO voices (id, account, name, kind, revision, created, members, tags, description, wrapped, sealed)
VALUES (:id, :account, :name, 'sample', 1, 1, '{}', '[]', '', :wrapped, :sealed)
"""
_SAMPLE = """
INSERT INTO samples (voice, number, account, digest, seconds) VALUES (:id, :number, :account, :digest, 1.0)
"""
_CONSENT = """
INSERT INTO consents (id, account, kind, language, digest, made_by, created, wrapped, sealed)
VALUES (:id, :account, 'recording', 'en', :digest, 'key_1', 1, :wrapped, :sealed)
"""
_ACCOUNT = """
INSERT INTO accounts (id, name, plan, created, anchor, agreed)
VALUES (:id, :id, 'free', 1, 1, '{}') ON CONFLICT (id) DO NOTHING
"""


class Owned(NamedTuple):
    """A voice or a consent, as an erasure takes it."""

    id: str
    account: str | None


async def add_account(store: Store, account: str) -> None:
    await store.write(Statement(_ACCOUNT, {"id": account}))


async def add_voice(
    store: Store, account: str, *digests: str, id_: str = "", record: SealedRecord = NOTHING
) -> str:
    """Add a voice of these recordings, and return its id."""
    await add_account(store, account)
    id_ = id_ or f"voice_{secrets.token_hex(12)}"
    row = {"id": id_, "account": account, "name": id_, "wrapped": record.wrapped, "sealed": record.sealed}
    samples = [
        Statement(_SAMPLE, {"id": id_, "account": account, "number": number, "digest": digest})
        for number, digest in enumerate(digests)
    ]
    await store.write(Statement(_VOICE, row), *samples)
    return id_


async def add_consent(
    store: Store, account: str, digest: str, *, id_: str = "", record: SealedRecord = NOTHING
) -> str:
    """Add a consent with this recording, and return its id."""
    await add_account(store, account)
    id_ = id_ or f"cons_{secrets.token_hex(12)}"
    row = {
        "id": id_,
        "account": account,
        "digest": digest,
        "wrapped": record.wrapped,
        "sealed": record.sealed,
    }
    await store.write(Statement(_CONSENT, row))
    return id_


def needs(voice: str, consent: str) -> Statement:
    """Let a voice need a consent."""
    return Statement("UPDATE voices SET consent = :consent WHERE id = :id", {"id": voice, "consent": consent})
