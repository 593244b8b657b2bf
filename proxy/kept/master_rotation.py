"""The change of the master key: every wrapped key is wrapped anew, some rows at a time. No file is touched.

A kill at any moment leaves rows of both keys, and both are configured: the next step goes on where it ended.
"""

from __future__ import annotations

import msgspec

from proxy.kept.master_keys import MasterKeySource
from proxy.kept.sealing import ACCOUNT_KEY_SUBJECT, MasterKeys, Tampered, blob_subject, row_subject
from proxy.storage import wrapped_keys
from proxy.storage.store import Statement, Store
from proxy.storage.wrapped_keys import MasterUse, WrappedKey

_ROWS_A_STEP = 500


class RotationStep(msgspec.Struct, frozen=True, kw_only=True):
    """What one step did. `damaged` rows cannot be opened by their own key, and stay as they are.

    `left` hang on an old key that is configured, the damaged ones among them; `missing` are keys that are not
    configured, and nothing of theirs can be opened.
    """

    master: str
    rewrapped: int
    damaged: int
    left: int
    missing: tuple[MasterUse, ...]


async def rotate_some(
    store: Store, source: MasterKeySource, skip: int = 0, limit: int = _ROWS_A_STEP
) -> RotationStep | None:
    """Wrap some keys anew with the newest master key. `skip` are the damaged rows of the steps before.

    Return None if nothing was ever sealed. Raises StorageFailed.
    """
    masters = source.read_if_any()
    if masters is None:
        return None
    prefixes = [master.prefix for master in masters.older]
    found = await wrapped_keys.list_by_masters(store, prefixes, skip, limit)
    statements = [statement for key in found if (statement := _rewrapped(masters, key)) is not None]
    if statements:
        await store.write(*statements)
    uses = await wrapped_keys.list_masters(store)
    return RotationStep(
        master=masters.newest.id.hex(),
        rewrapped=len(statements),
        damaged=len(found) - len(statements),
        left=sum(
            use.rows for use in uses if use.prefix != masters.newest.prefix and masters.knows(use.prefix)
        ),
        missing=tuple(use for use in uses if not masters.knows(use.prefix)),
    )


def _rewrapped(masters: MasterKeys, key: WrappedKey) -> Statement | None:
    try:
        subject = _subject(key)
        plain = masters.unwrap(key.wrapped, key.owner, subject)
    except Tampered:
        return None
    return wrapped_keys.replace_statement(key, masters.wrap(plain, key.owner, subject))


def _subject(key: WrappedKey) -> bytes:
    if key.table == "account_keys":
        return ACCOUNT_KEY_SUBJECT
    return blob_subject(key.row["digest"]) if key.table == "blobs" else row_subject(key.row["id"])
