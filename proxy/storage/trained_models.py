"""The rows of trained models, for the features that write them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.storage import blobs, library_revisions
from proxy.storage.rows import columns, in_list
from proxy.storage.store import ALWAYS, Condition, Params, Row, Statement, Store
from proxy.storage.tombstones import NOT_ERASED
from proxy.storage.trained_model import TrainedModel

VOICE_EXISTS = "EXISTS (SELECT 1 FROM voices WHERE id = :voice)"
VOICE_IS_OF_ACCOUNT = "EXISTS (SELECT 1 FROM voices WHERE id = :voice AND coalesce(account, '') = :account)"
"""SQL that is true while the voice `:voice` exists and `:account` owns it. The operator is ""."""


_COLUMNS = columns(TrainedModel)
_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM trained_models WHERE account = :account ORDER BY voice, format"
_OF_VOICE = (
    f"SELECT {_COLUMNS} FROM trained_models WHERE account = :account AND voice = :voice ORDER BY format"
)
_BYTES = "SELECT bytes FROM trained_models WHERE account = :account AND digest = :digest LIMIT 1"
_FORMATS = "SELECT voice, format FROM trained_models WHERE voice IN ({voices}) ORDER BY voice, format"
_PUT = f"""
INSERT INTO trained_models ({_COLUMNS})
SELECT CAST(:id AS TEXT), CAST(:voice AS TEXT), CAST(:account AS TEXT), CAST(:format AS TEXT),
    CAST(:digest AS TEXT), CAST(:bytes AS BIGINT), CAST(:origin AS TEXT), CAST(:created AS BIGINT)
WHERE {NOT_ERASED} AND {VOICE_IS_OF_ACCOUNT}
    AND {blobs.IS_STORED} AND {{only_if}}
ON CONFLICT (voice, format) DO UPDATE SET id = excluded.id, digest = excluded.digest,
    bytes = excluded.bytes, origin = excluded.origin, created = excluded.created
"""
_NOTE_FORMER = """
INSERT INTO former_models (voice, digest)
SELECT voice, digest FROM trained_models WHERE voice = :voice AND format = :format AND digest <> :digest
ON CONFLICT (voice, digest) DO NOTHING
"""
"""This also runs if the model is then refused: the erasure covers the voice's models in any case."""
_IS_STORED = "SELECT 1 AS is_there FROM trained_models WHERE id = :id"


async def list_of_account(store: Store, account: str) -> dict[str, list[TrainedModel]]:
    found: dict[str, list[TrainedModel]] = {}
    for row in await store.read(_OF_ACCOUNT, {"account": account}):
        found.setdefault(row["voice"], []).append(_record(row))
    return found


async def list_of_voice(store: Store, account: str, voice: str) -> list[TrainedModel]:
    return [_record(row) for row in await store.read(_OF_VOICE, {"account": account, "voice": voice})]


async def list_formats(store: Store, voices: Sequence[str]) -> dict[str, list[str]]:
    """List the formats of the models of these voices, by voice."""
    found: dict[str, list[str]] = {}
    if voices:
        names, params = in_list(voices)
        for row in await store.read(_FORMATS.format(voices=names), params):
            found.setdefault(row["voice"], []).append(row["format"])
    return found


async def find_size(store: Store, account: str, digest: str) -> int | None:
    """Return the bytes of a model's file, or None if no voice of the account has it."""
    rows = await store.read(_BYTES, {"account": account, "digest": digest})
    return int(rows[0]["bytes"]) if rows else None


async def is_stored(store: Store, id_: str) -> bool:
    return bool(await store.read(_IS_STORED, {"id": id_}))


def put_statements(model: TrainedModel, only_if: Condition = ALWAYS) -> Sequence[Statement]:
    """Return the statements that give a voice a model in place of its model of this format, and raise the
    voice's revision. They do nothing if the voice or the file is gone, or if `only_if` is false. Its last
    statement locks the revision of the library."""
    row: Params = {**only_if.params, **msgspec.structs.asdict(model)}
    return (
        *only_if.locks,
        *blobs.lock_statements(model.account, model.digest),
        lock_voice_statement(model.voice),
        Statement(_NOTE_FORMER, {"voice": model.voice, "format": model.format, "digest": model.digest}),
        Statement(_PUT.format(only_if=only_if.sql), row),
        raise_voice_revision_statement(model.voice, f"EXISTS ({_IS_STORED})", id=model.id),
        library_revisions.raise_statement(model.account),
    )


def insert_statement(model: TrainedModel) -> Statement:
    """Return the statement that gives a new voice its model, in the commit of that voice."""
    return Statement(_PUT.format(only_if=ALWAYS.sql), msgspec.structs.asdict(model))


def _record(row: Row) -> TrainedModel:
    return msgspec.convert(row, TrainedModel)


_LOCK_VOICE = "UPDATE voices SET id = id WHERE id = :voice"
_RAISE_REVISION = "UPDATE voices SET revision = revision + 1 WHERE id = :voice AND {only_if}"


def lock_voice_statement(voice: str) -> Statement:
    """Return the statement that locks a voice's row. It comes before the library's revision is raised."""
    return Statement(_LOCK_VOICE, {"voice": voice})


def raise_voice_revision_statement(voice: str, only_if: str, **params: str) -> Statement:
    """Return the statement that raises a voice's revision, if the SQL `only_if` is true."""
    return Statement(_RAISE_REVISION.format(only_if=only_if), {"voice": voice, **params})
