"""The server's own account for samples, so that their usage is no customer's."""

from __future__ import annotations

from msgspec.structs import replace

from policies.plans import UNLIMITED, Terms, build_terms
from proxy.access.callers import Caller
from proxy.storage import accounts, api_key, key_records
from proxy.storage.key_records import NewKeyRecord
from proxy.storage.store import Store

NAME = "samples"
_KEY = "samples of voices"
TERMS: Terms = replace(build_terms(UNLIMITED), one_shot=False)
"""No plan's limits, and nothing costs credits."""
_FIND = """
SELECT keys.id, keys.account, accounts.name, accounts.closed, accounts.anchor FROM accounts
LEFT JOIN keys ON keys.account = accounts.id AND keys.name = :key AND keys.revoked IS NULL
WHERE accounts.name = :name
"""


async def open_account(store: Store) -> Caller:
    """Return the caller of the account `samples`, or of `samples-2` and so on if customers have these names.

    Its key is shown to nobody, so only the server uses it.
    """
    number = 1
    while True:
        name = NAME if number == 1 else f"{NAME}-{number}"
        rows = await store.read(_FIND, {"name": name, "key": _KEY})
        if not rows:
            account = await accounts.create(store, name=name, plan=UNLIMITED.name)
            await key_records.create(store, api_key.mint(), NewKeyRecord(account=account.id, name=_KEY))
            continue
        row = rows[0]
        if row["id"] is not None and row["closed"] is None:
            return Caller(row["account"], row["id"], UNLIMITED.name, "speech", anchor=row["anchor"])
        number += 1
