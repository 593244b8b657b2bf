"""Rows of saved voices: of an account, or of the operator for all accounts.

A row has its personal texts sealed. `seals` opens them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.catalogue.voice_records import DAY_US, DESCRIPTION_FIELDS, VoiceRecord
from proxy.features.own_voices.seals import without_texts
from proxy.storage import accounts, audit, blobs, library_revisions
from proxy.storage.audit import Act
from proxy.storage.disk_names import account_name
from proxy.storage.listed_tables import ListedTable
from proxy.storage.rows import columns, decode_json, encode_json
from proxy.storage.sample_record import TRAINING, SampleRecord
from proxy.storage.store import ALWAYS, AlreadyExists, Condition, Params, Row, Statement, Store
from proxy.storage.tables import Erasable, PathColumn, Table
from proxy.storage.tombstones import is_erased_sql
from proxy.storage.turns import MOST_ROWS

TABLE = Table(
    "voices",
    owner="coalesce(account, '')",
    sealed=True,
    personal=True,
    paths=(PathColumn("account", account_name),),
    erasable=Erasable(
        "voice_",
        """
        SELECT digest FROM (
            SELECT voice, digest FROM samples UNION ALL SELECT voice, digest FROM trained_models
            UNION SELECT voice, digest FROM former_models
        ) AS files WHERE voice = :subject
        """,
        (
            "DELETE FROM samples WHERE voice = :subject",
            "DELETE FROM trained_models WHERE voice = :subject",
            "DELETE FROM former_models WHERE voice = :subject",
            "DELETE FROM voices WHERE id = :subject",
        ),
        lock="UPDATE voices SET id = id WHERE id = :subject",
    ),
    # The erasure of a clip changes the sound of its voice.
    erased_with=(
        "UPDATE voices SET revision = revision + 1 "
        "WHERE id = (SELECT voice FROM samples WHERE id = :subject AND id <> '')",
    ),
    # The other voices of a closed account are erased, which deletes more than rows.
    closed_with=("DELETE FROM voices WHERE account = :id AND kind = 'cast'",),
)

_JSON = ("members", "tags", "labels", "compared")
_CHANGED = (*DESCRIPTION_FIELDS, "members", "wrapped", "sealed", "revision")


def _record(row: Row) -> VoiceRecord:
    values = {**row, **{column: decode_json(row[column]) for column in _JSON}}
    if values["kind"] == "mix":
        values["mix"], values["members"] = values["members"], {}
    values["compared"] = values["compared"] or None
    return msgspec.convert(values, VoiceRecord)


ROWS = ListedTable("voices", VoiceRecord, read=_record, without=("mix", "texts", "part", "recognised"))
get, count, page, place_of, of_account = ROWS.get, ROWS.count, ROWS.page, ROWS.place_of, ROWS.of_account
_OF_OPERATOR = f"{ROWS.select} account IS NULL ORDER BY created DESC, id DESC"
_NAMED = f"{ROWS.select} coalesce(account, '') = :account AND name = :name"
# If the name of one voice equals the id of another, the id wins.
_FIND = f"""
{ROWS.select} coalesce(account, '') = :account AND (id = :id_or_name OR name = :id_or_name)
ORDER BY CASE WHEN id = :id_or_name THEN 0 ELSE 1 END LIMIT 1
"""
# A name is stored as text or as a digest, and must be free in both forms.
_IS_FREE = """
NOT EXISTS (SELECT 1 FROM voices
    WHERE account = :account AND name = CAST(:other_name AS TEXT))
"""
_UPDATE = f"""
UPDATE voices SET {", ".join(f"{name} = {ROWS.placeholders[name]}" for name in _CHANGED)}
WHERE id = :id AND revision = :was AND sealed = :was_sealed AND {_IS_FREE}
RETURNING {ROWS.columns}
"""
# If the same commit did not add the voice, it adds no sample.
_INSERT_SAMPLE = f"""
INSERT INTO samples ({columns(SampleRecord)})
SELECT :voice, :number, :account, :digest, :tag, CAST(:seconds AS DOUBLE PRECISION), :quality,
    :id, :wrapped, :sealed
WHERE EXISTS (SELECT 1 FROM voices WHERE id = :voice AND account = :account)
"""
# Clips for trainings have a limit of their own.
_IS_FOR_SAME_USE = f"(tag = '{TRAINING}') = (CAST(:tag AS TEXT) = '{TRAINING}')"
_IS_NEW = "NOT EXISTS (SELECT 1 FROM samples WHERE samples.id = CAST(:id AS TEXT))"
# It runs after `_HOLD_VOICE`, so that simultaneous clips get different numbers, and both count.
_ADD_CLIP = f"""
INSERT INTO samples ({columns(SampleRecord)})
SELECT :voice, (SELECT coalesce(max(number), 0) + 1 FROM samples WHERE voice = :voice), :account, :digest,
    :tag, CAST(:seconds AS DOUBLE PRECISION), :quality, :id, :wrapped, :sealed
WHERE EXISTS (SELECT 1 FROM voices WHERE id = :voice AND account = :account AND kind = 'sample')
AND (SELECT count(*) FROM samples WHERE voice = :voice AND {_IS_FOR_SAME_USE}) < CAST(:most AS BIGINT)
AND NOT {is_erased_sql(":id")} AND {blobs.IS_STORED} AND {{only_if}} RETURNING number
"""
_RAISE_VOICE_REVISION = """
UPDATE voices SET revision = revision + 1
WHERE id = :voice AND EXISTS (SELECT 1 FROM samples WHERE id = :id AND id <> '')
"""
_CLIP_WAS_ADDED = "EXISTS (SELECT 1 FROM samples WHERE id = :subject AND id <> '')"
_RAISE_LIBRARY_REVISION = """
INSERT INTO library_revisions (account, number) SELECT coalesce(account, ''), 1 FROM voices WHERE id = :id
ON CONFLICT (account) DO UPDATE SET number = library_revisions.number + 1
"""
_VOICE_WAS_ADDED = "EXISTS (SELECT 1 FROM voices WHERE id = :subject)"
# Every change of a voice locks its row before the revision of its library.
_HOLD_VOICE = "UPDATE voices SET id = id WHERE id = :id"
_DELETE = "DELETE FROM voices WHERE id = :id RETURNING id"
_NOTE_USED = "UPDATE voices SET used = :day WHERE id = :id AND coalesce(used, 0) < :day"
# `used` is the beginning of the day on which the voice last spoke: it may have spoken at the end of this day.
_UNUSED = f"""
{ROWS.select} account = :account AND kind IN ('sample', 'mix')
AND created < :before AND coalesce(used + {DAY_US}, 0) < :before LIMIT :limit
"""


async def of_operator(store: Store) -> list[VoiceRecord]:
    """List the operator's voices, the newest first. There may be thousands, so a thread converts them."""
    rows = await store.read_long(_OF_OPERATOR)
    return await asyncio.to_thread(lambda: [_record(row) for row in rows])


async def find_by_name(store: Store, account: str | None, name: str) -> VoiceRecord | None:
    """Find the voice with this stored name: the account's, or without an account the operator's. The stored
    name of a sealed voice is a digest."""
    rows = await store.read(_NAMED, {"account": account or "", "name": name})
    return _record(rows[0]) if rows else None


async def find_by_id_or_name(store: Store, account: str | None, id_or_name: str) -> VoiceRecord | None:
    """Find a voice of the account, or of the operator without an account, by its id or its readable name."""
    rows = await store.read(_FIND, {"account": account or "", "id_or_name": id_or_name})
    return _record(rows[0]) if rows else None


async def add_voice(
    store: Store,
    record: VoiceRecord,
    *,
    other_name: str | None = None,
    most: int | None = None,
    digest: str | None = None,
    only_if: Condition = ALWAYS,
    with_statements: Sequence[Statement] = (),
    act: Act | None = None,
) -> VoiceRecord | None:
    """Add a voice, in one commit with the statements `with_statements`. These must do nothing if the voice is
    not added.

    None: the account has `most` voices, the recording of `digest` is gone, or `only_if` is untrue, which
    every voice with a consent must have. `other_name` is the name as a digest if the record has it as text,
    and the other way round. Raises AlreadyExists if the name or the id is taken.
    """
    assert record.consent is None or only_if is not ALWAYS, "a voice must not outlive its consent"
    # The rows that the voice needs are locked first, so the INSERT sees a simultaneous deletion.
    needs = Condition(
        f"{_IS_FREE} AND {blobs.IS_STORED} AND {only_if.sql}",
        {**only_if.params, "other_name": other_name, "digest": digest},
        (*only_if.locks, *blobs.lock_statements(record.account, digest)),
    )
    adding = ROWS.add_statements(_values(record), most, needs)
    answers = await store.write(
        *adding,
        *with_statements,
        *audit.insert_statements(act, _VOICE_WAS_ADDED),
        library_revisions.raise_statement(record.account),
    )
    rows = answers[len(adding) - 1]
    if (
        not rows
        and other_name is not None
        and await find_by_name(store, record.account, other_name) is not None
    ):
        raise AlreadyExists("voices.name")
    return _record(rows[0]) if rows else None


async def update_voice(
    store: Store,
    before: VoiceRecord,
    after: VoiceRecord,
    other_name: str | None = None,
    act: Act | None = None,
) -> VoiceRecord | None:
    """Change a voice. None: it has changed since `before`, or `other_name` is taken (see `add_voice`).
    Raises AlreadyExists if the name of the row is taken."""
    old: Params = {"was": before.revision, "was_sealed": before.sealed}
    row: Params = {**_values(after), **old, "other_name": other_name}
    rows, *_ = await store.write(
        Statement(_UPDATE, row),
        *audit.insert_statements(act, _VOICE_WAS_ADDED),
        library_revisions.raise_statement(after.account),
    )
    return _record(rows[0]) if rows else None


async def delete_voice(store: Store, id_: str, act: Act | None = None) -> bool:
    *_, rows = await store.write(
        Statement(_HOLD_VOICE, {"id": id_}),
        *audit.insert_statements(act, _VOICE_WAS_ADDED),
        Statement(_RAISE_LIBRARY_REVISION, {"id": id_}),
        accounts.unprefer_statement(id_),
        Statement(_DELETE, {"id": id_}),
    )
    return bool(rows)


def sample_statement(record: SampleRecord) -> Statement:
    """Return the statement that adds a sample in the commit of its voice."""
    return Statement(_INSERT_SAMPLE, msgspec.structs.asdict(record))


async def add_clip(
    store: Store,
    record: SampleRecord,
    most: int,
    only_if: Condition,
    act: Act | None = None,
    with_statements: Sequence[Statement] = (),
) -> bool:
    """Add a clip with the next number to a voice, and tell whether it was added. See `add_voice` for
    `with_statements`.

    It is not added if the voice is gone, is not made of a recording, or has `most` recordings. It is not
    added either if this recording is gone, the clip was erased before, or `only_if` is untrue. Raises
    AlreadyExists if the id is taken.
    """
    row: Params = {**only_if.params, **msgspec.structs.asdict(record), "most": most}
    held = (
        *only_if.locks,
        *blobs.lock_statements(record.account, record.digest),
        Statement(_HOLD_VOICE, {"id": record.voice}),
    )
    answers = await store.write(
        *held,
        Statement(_ADD_CLIP.format(only_if=only_if.sql), row),
        Statement(_RAISE_VOICE_REVISION, {"voice": record.voice, "id": record.id}),
        *with_statements,
        *audit.insert_statements(act, _CLIP_WAS_ADDED),
        library_revisions.raise_statement(record.account),
    )
    return bool(answers[len(held)])


async def add_training_clips(
    store: Store, rows: Sequence[SampleRecord], most: int, only_if: Condition
) -> None:
    """Add clips of one voice for trainings, in one commit. See `add_clip`; a clip that is there already is
    not added again."""
    voice = rows[0].voice
    digests = sorted({row.digest for row in rows})
    held = (
        *only_if.locks,
        *(each for digest in digests for each in blobs.lock_statements(rows[0].account, digest)),
        Statement(_HOLD_VOICE, {"id": voice}),
    )
    sql = _ADD_CLIP.format(only_if=f"{only_if.sql} AND {_IS_NEW}")
    adding = [Statement(sql, {**only_if.params, **msgspec.structs.asdict(row), "most": most}) for row in rows]
    await store.write(*held, *adding)


def voice_was_added(id_: str) -> Condition:
    """Return the condition that a new voice was added, for statements in its commit."""
    return Condition(_VOICE_WAS_ADDED, {"subject": id_})


def clip_was_added(id_: str) -> Condition:
    return Condition(_CLIP_WAS_ADDED, {"subject": id_})


async def note_voices_used(store: Store, ids: Sequence[str], day: int) -> None:
    """Note that voices spoke on a day, given by its beginning in microseconds."""
    rows = [Statement(_NOTE_USED, {"id": id_, "day": day}) for id_ in sorted(ids)]
    for first in range(0, len(rows), MOST_ROWS):
        await store.write(*rows[first : first + MOST_ROWS])


async def list_unused(store: Store, account: str, before: int, limit: int) -> list[VoiceRecord]:
    """List voices of the account, of a recording or a mix, that were made before `before`, in microseconds,
    and have not spoken since."""
    parameters: Params = {"account": account, "before": before, "limit": limit}
    return [_record(row) for row in await store.read(_UNUSED, parameters)]


def _values(record: VoiceRecord) -> dict[str, Any]:
    """Return the columns of a voice. If it is sealed, its texts are only in `sealed`."""
    row = without_texts(record) if record.is_sealed else record
    values = {name: getattr(row, name) for name in ROWS.placeholders}
    values["members"] = row.mix if row.kind == "mix" else row.members
    values["compared"] = row.compared or {}
    return values | {name: encode_json(values[name]) for name in _JSON}
