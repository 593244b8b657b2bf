"""Introductions as rows: the models and voices that engines on other machines have named, at workers and
runners."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NoBase64

from proxy.storage.store import Params, Statement, Store

_KEEP = """
INSERT INTO introductions (engine, subject, hello, said)
VALUES (:engine, :subject, :hello, CAST(:said AS BIGINT))
ON CONFLICT (engine) DO UPDATE SET subject = excluded.subject, hello = excluded.hello, said = excluded.said
"""
_OF_ENGINE = "SELECT hello FROM introductions WHERE engine = :engine AND subject = :subject"
_OF_WORKERS = "SELECT engine, hello FROM introductions WHERE subject = '' AND said >= :since"


async def store_introduction(store: Store, engine: str, hello: bytes, subject: str = "") -> None:
    """Store the introduction of an engine in place of an older one. `subject` names its runner, "" for a
    worker."""
    values: Params = {"engine": engine, "subject": subject, "hello": b64encode(hello).decode()}
    await store.write(Statement(_KEEP, {**values, "said": await store.now()}))


async def find_introduction(store: Store, engine: str, subject: str) -> bytes | None:
    """Return the introduction of an engine at this runner, or None."""
    rows = await store.read(_OF_ENGINE, {"engine": engine, "subject": subject})
    try:
        return b64decode(rows[0]["hello"], validate=True) if rows else None
    except NoBase64:
        return None


async def list_of_workers(store: Store, since: int) -> dict[str, bytes]:
    """Return the introductions of engines at workers that are not older than `since`, by engine."""
    rows = await store.read(_OF_WORKERS, {"since": since})
    return {row["engine"]: b64decode(row["hello"]) for row in rows}
