"""Claims of requests with an Idempotency-Key as rows of PostgreSQL, where several machines share a vault.

A claim has a lease by the database's clock. Its owner writes under its fence.
"""

from __future__ import annotations

import msgspec

from proxy.storage.rows import columns, decode_json, encode_json
from proxy.storage.store import Params, Statement, Store
from proxy.storage.tombstones import is_erased_sql

LEASE_S = 60
_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
_LEASE = f"{_NOW} + {LEASE_S * 1_000_000}"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The claim of a request. `id` is a digest of account and key, and `body_digest` that of the body.

    `object` is the name of the sealed answer, "" until it is stored, `wrapped` its key, and `size` its plain
    bytes. `fence` rises with each owner.
    """

    id: str
    account: str
    request: str
    body_digest: str
    voices: tuple[str, ...] = ()
    object: str = ""
    wrapped: str = ""
    size: int = 0
    fence: int = 1
    is_leased: bool = True


_COLUMNS = columns(Claim).replace("is_leased", f"lease > {_NOW} AS is_leased")
_LIST = f"SELECT {_COLUMNS} FROM answer_claims WHERE"
_UPDATE = f"UPDATE answer_claims SET lease = {_LEASE}"
_OURS = "WHERE id = :id AND fence = :fence"
_ADD = f"""
INSERT INTO answer_claims (id, account, request, body_digest, made, lease)
VALUES (:id, :account, :request, :body_digest, {_NOW}, {_LEASE}) ON CONFLICT (id) DO NOTHING RETURNING id
"""
_TAKE_OVER = f"""
{_UPDATE}, fence = fence + 1, request = :request, body_digest = :body_digest, made = {_NOW},
voices = '[]', object = '', wrapped = '', size = 0 {_OURS} AND lease <= {_NOW} RETURNING id
"""
_ERASED = f"""
EXISTS (SELECT 1 FROM json_array_elements_text(CAST({{voices}} AS JSON)) AS each (voice)
WHERE {is_erased_sql("each.voice")})
"""
_WRITE_ANSWER = f"""
{_UPDATE}, voices = :voices, object = :object, wrapped = :wrapped, size = :size
{_OURS} AND NOT {_ERASED.format(voices=":voices")} RETURNING id
"""
_OF_VOICE = f"{_LIST} strpos(voices, CAST(:voice AS TEXT)) > 0"
# Claims with a lease are left out: their owners may settle at this moment. The newest ones that fit stay.
_STALE = f"""
{_LIST} lease <= {_NOW} AND (
    object = '' OR made < {_NOW} - CAST(:stored AS BIGINT) OR {_ERASED.format(voices="voices")}
    OR id IN (
        SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY made DESC, id) AS total FROM answer_claims) AS a
        WHERE total > CAST(:room AS BIGINT)
    )
) LIMIT 1000
"""


async def add(store: Store, claim: Claim) -> bool:
    """Add a claim with a lease. Return False if there is one."""
    return await _write(store, _ADD, claim)


async def get(store: Store, id_: str) -> Claim | None:
    rows = await _list(store, f"{_LIST} id = :id", {"id": id_})
    return rows[0] if rows else None


async def take_over(store: Store, claim: Claim) -> bool:
    """Replace a claim without a lease, and raise its fence. Return False if it has a lease or another
    fence."""
    return await _write(store, _TAKE_OVER, claim)


async def renew(store: Store, claim: Claim) -> bool:
    """Renew a lease. Return False if it is lost."""
    return await _write(store, f"{_UPDATE} {_OURS} RETURNING id", claim)


async def write_answer(store: Store, claim: Claim) -> bool:
    """Write the name and the key of the sealed answer. Return False if the lease is lost or a voice is
    erased."""
    return await _write(store, _WRITE_ANSWER, claim)


async def drop(store: Store, claim: Claim) -> None:
    """Delete a claim, if it still has this fence."""
    await _write(store, f"DELETE FROM answer_claims {_OURS} RETURNING id", claim)


async def list_of_voice(store: Store, voice: str) -> list[Claim]:
    return await _list(store, _OF_VOICE, {"voice": encode_json(voice)})


async def list_stale(store: Store, stored_us: int, room: int) -> list[Claim]:
    """List claims without a lease to delete: those that are older than `stored_us`, have no answer or one by
    an erased voice, and the oldest ones beyond `room` bytes."""
    return await _list(store, _STALE, {"stored": stored_us, "room": room})


async def _list(store: Store, sql: str, params: Params) -> list[Claim]:
    rows = await store.read(sql, params)
    return [msgspec.convert({**row, "voices": decode_json(row["voices"])}, Claim) for row in rows]


async def _write(store: Store, sql: str, claim: Claim) -> bool:
    params = {**msgspec.structs.asdict(claim), "voices": encode_json(claim.voices)}
    (rows,) = await store.write(Statement(sql, params))
    return bool(rows)
