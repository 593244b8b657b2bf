"""Usage: one row for each request that spoke or tried to, written once, never changed."""

from __future__ import annotations

from typing import Literal

import msgspec

from proxy.storage.store import Statement, Store

Outcome = Literal["finished", "left", "failed"]

_FOREVER = 2**63 - 1


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a request came to. `id` is the request's; `samples` are those written, at `sample_rate_hz`."""

    id: str
    account: str
    key: str
    started: int
    engine: str
    model: str
    voice: str
    language: str
    characters: int
    samples: int
    sample_rate_hz: int
    format: str
    outcome: Outcome
    first_byte_ms: int | None = None
    error: str | None = None


# Fields and columns are the same words; written down once, they cannot drift apart.
_COLUMNS = ", ".join(UsageRow.__struct_fields__)
_INSERT = f"""
INSERT INTO usage ({_COLUMNS}) VALUES ({", ".join(f":{name}" for name in UsageRow.__struct_fields__)})
ON CONFLICT (id) DO NOTHING RETURNING id
"""
_PERIOD = "started >= :since AND started < :until ORDER BY started DESC, id DESC LIMIT :limit"
_LIST = f"SELECT {_COLUMNS} FROM usage WHERE {_PERIOD}"
_LIST_OF_ACCOUNT = f"SELECT {_COLUMNS} FROM usage WHERE account = :account AND {_PERIOD}"


async def record(store: Store, row: UsageRow) -> bool:
    """Durable once it answers. False when the request is on record already: the first row stands."""
    (inserted,) = await store.write(Statement(_INSERT, msgspec.structs.asdict(row)))
    return bool(inserted)


async def list_(
    store: Store,
    *,
    account: str | None = None,
    since: int = 0,
    until: int = _FOREVER,
    limit: int = 1000,
) -> list[UsageRow]:
    """Requests started in `since <= started < until`, the newest first, `limit` at most."""
    period = {"since": since, "until": until, "limit": limit}
    if account is None:
        rows = await store.read(_LIST, period)
    else:
        rows = await store.read(_LIST_OF_ACCOUNT, {**period, "account": account})
    return msgspec.convert(rows, list[UsageRow])
