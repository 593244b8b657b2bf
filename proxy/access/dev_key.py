"""The key of `make serve`: made once, kept in data/dev-key (0600), and printed again next time."""

from __future__ import annotations

import os
from pathlib import Path

from policies.plans import UNLIMITED
from proxy.storage import accounts, api_key, key_records
from proxy.storage.accounts import Account
from proxy.storage.store import Store

_ACCOUNT = "dev"


async def ensure(store: Store, data: Path) -> str:
    """The key that still works, or a new one."""
    file = data / "dev-key"
    kept = file.read_text().strip() if file.exists() else ""
    if api_key.is_well_formed(kept):
        standing = await key_records.by_hash(store, api_key.digest(kept))
        if standing is not None and standing.revoked is None and standing.closed is None:
            return kept
    account = await _open_account(store)
    secret = api_key.mint()
    await key_records.create(store, secret, key_records.NewKeyRecord(account=account.id, name="make serve"))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as written:
        written.write(secret.reveal() + "\n")
    return secret.reveal()


async def _open_account(store: Store) -> Account:
    """dev, or where that was closed dev-2 and so on: closed is for good, and its keys are dead."""
    number = 1
    while True:
        name = _ACCOUNT if number == 1 else f"{_ACCOUNT}-{number}"
        account = await accounts.get(store, name)
        if account is None:
            return await accounts.create(store, name=name, plan=UNLIMITED.name)
        if account.closed is None:
            return account
        number += 1
