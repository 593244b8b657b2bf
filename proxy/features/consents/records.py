"""Rows of consents: a speaker's agreement to a voice, its time, its uses and the permitted providers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from proxy.storage import audit, blobs
from proxy.storage.audit import Act
from proxy.storage.disk_names import account_name
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import decode_json, encode_json
from proxy.storage.store import Condition, Params, Row, Statement, Store
from proxy.storage.tables import Erasable, PathColumn, Table

ConsentKind = Literal["recording", "statement"]
Use = Literal["speech", "conversion", "training"]
"""The uses of a voice: speech, conversions from it or into it, and the training of a model."""
Words = Literal["match", "differs", "unsure", "unchecked"]
"""The result of the check of a consent's recording against its phrase."""
DEFAULT_USES: tuple[Use, ...] = ("speech", "conversion")
"""The uses of a consent that names none. Training must be named."""


TABLE = Table(
    "consents",
    sealed=True,
    recordings=("digest",),
    personal=True,
    paths=(PathColumn("account", account_name), PathColumn("digest")),
    erasable=Erasable(
        "cons_",
        digests="SELECT digest FROM consents WHERE id = :subject AND digest IS NOT NULL",
        deletes=("DELETE FROM consents WHERE id = :subject",),
        lock="UPDATE consents SET id = id WHERE id = :subject",
        only_if="NOT EXISTS (SELECT 1 FROM voices WHERE consent = :subject)",
    ),
)


class ConsentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A speaker's consent. Only the engines in `providers` may receive the voice (None: all), for `uses`
    alone.

    `made_by` is the id of the API key that sent it, or `control`. `digest` is that of the recording, if there
    is one, and `quality` its measured quality as JSON. An operator `accepted` the consent at this time. The
    speaker's name and the statement are in `sealed`.
    """

    id: str
    account: str
    kind: ConsentKind
    language: str
    digest: str | None = None
    seconds: float | None = None
    quality: str = "{}"
    providers: tuple[str, ...] | None = None
    uses: tuple[Use, ...] = DEFAULT_USES
    words: Words = "unchecked"
    accepted: int | None = None
    made_by: str
    created: int
    wrapped: str
    sealed: str

    def __repr__(self) -> str:
        return f"<ConsentRecord {self.id}, a {self.kind} of {self.account}>"


def _record(row: Row) -> ConsentRecord:
    providers = decode_json(row["providers"]) if row["providers"] else None
    uses = decode_json(row["uses"])
    return msgspec.convert({**row, "providers": providers, "uses": uses}, ConsentRecord)


ROWS = ListedTable("consents", ConsentRecord, read=_record)
get, count, page, place_of, of_account = ROWS.get, ROWS.count, ROWS.page, ROWS.place_of, ROWS.of_account
_SECOND_US = 1_000_000
_HAS_TIME = f"""
{blobs.IS_STORED} AND (SELECT COALESCE(SUM(seconds), 0) FROM consents WHERE account = :account)
    + COALESCE(CAST(:seconds AS DOUBLE PRECISION), 0) <= CAST(:most_s AS DOUBLE PRECISION)
"""
_CONSENT_WAS_ADDED = "EXISTS (SELECT 1 FROM consents WHERE id = :subject)"
_LOCK = "UPDATE consents SET id = id WHERE id = :id"
_IS_THERE = "EXISTS (SELECT 1 FROM consents WHERE id = :grant AND account = :granted_by)"
_NEEDED_BY = "SELECT id FROM voices WHERE consent = :subject ORDER BY created LIMIT 1"
_WAITS = """
accepted IS NULL AND words NOT IN ('match', 'differs')
    AND NOT EXISTS (SELECT 1 FROM hearings WHERE hearings.id = consents.id)
"""
IS_WAITING = Condition(_WAITS, {})
"""The condition of the consents that only an operator can judge: nothing is left to be heard of them."""
_ACCEPT = f"UPDATE consents SET accepted = :at WHERE id = :subject AND {_WAITS}"
_WAS_ACCEPTED = "EXISTS (SELECT 1 FROM consents WHERE id = :subject AND accepted = :at)"
_RESEAL = """
UPDATE consents SET wrapped = :wrapped, sealed = :sealed
WHERE id = :id AND account = :account AND sealed = :was RETURNING id
"""


async def add_consent(
    store: Store,
    record: ConsentRecord,
    most: int,
    act: Act | None = None,
    *,
    most_s: float = math.inf,
    also: Sequence[Statement] = (),
) -> bool:
    """Add a consent, and tell whether it was added. The statements of `also` are in the same commit.

    It is not added if the account has `most` consents, if its recordings would have more than `most_s`
    seconds, or if the recording of this one is gone.
    """
    row: Params = {
        **msgspec.structs.asdict(record),
        "providers": "" if record.providers is None else encode_json(record.providers),
        "uses": encode_json(record.uses),
    }
    held = blobs.lock_statements(record.account, record.digest)
    statements = ROWS.add_statements(row, most, Condition(_HAS_TIME, {"most_s": most_s}, held))
    answers = await store.write(*statements, *audit.insert_statements(act, _CONSENT_WAS_ADDED), *also)
    return bool(answers[len(statements) - 1])


async def accept_consent(store: Store, act: Act) -> None:
    """Accept a consent that waits, and add the operator's `act` to the audit. Another one stays as it is."""
    accept = Statement(_ACCEPT, {"at": act.at, "subject": act.subject})
    await store.write(accept, *audit.insert_statements(act, _WAS_ACCEPTED))


def consent_was_added(id_: str) -> Condition:
    """Return the condition that a consent was added, for statements in its commit."""
    return Condition(_CONSENT_WAS_ADDED, {"subject": id_})


def existence_condition(account: str, id_: str) -> Condition:
    """Return the condition that a consent of this account exists. It locks the row of the consent, so that it
    is not deleted while a voice with it is added."""
    row: Params = {"granted_by": account, "grant": id_}
    return Condition(_IS_THERE, row, (Statement(_LOCK, {"id": id_}),))


async def find_dependent_voice(store: Store, id_: str) -> str | None:
    """Return the id of the oldest voice that has this consent, or None."""
    rows = await store.read(_NEEDED_BY, {"subject": id_})
    return str(rows[0]["id"]) if rows else None


def record_digest(consent: ConsentRecord) -> str:
    """Return the digest by which receipts name a consent. It does not identify the speaker.

    The account can compute it: the SHA-256 of five lines, which are `voxgate/consent/v1` and the fields
    `kind`, `id`, `created_at` and `digest` of the API.
    """
    lines = (
        "voxgate/consent/v1",
        consent.kind,
        consent.id,
        str(consent.created // _SECOND_US),
        consent.digest or "",
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


async def replace_sealed_texts(store: Store, was: ConsentRecord, wrapped: str, sealed: str) -> bool:
    """Replace the sealed texts. Return False if the consent has changed since it was read."""
    row: Params = {
        "id": was.id,
        "account": was.account,
        "was": was.sealed,
        "wrapped": wrapped,
        "sealed": sealed,
    }
    (rows,) = await store.write(Statement(_RESEAL, row))
    return bool(rows)
