"""The key of `make serve`. It is made once, saved in data/dev-key (0600), and printed at each start."""

from __future__ import annotations

import os
from pathlib import Path

from policies.plans import UNLIMITED
from proxy.storage import accounts, api_key, key_records
from proxy.storage.accounts import Account
from proxy.storage.store import Store

_ACCOUNT = "dev"


async def ensure_dev_key(store: Store, data: Path) -> str:
    """Return the saved key if it still works, or a new one."""
    file = data / "dev-key"
    saved = file.read_text().strip() if file.exists() else ""
    if api_key.is_well_formed(saved):
        record = await key_records.find_by_hash(store, api_key.digest(saved))
        if record is not None and record.revoked is None and record.closed is None:
            return saved
    account = await _open_account(store)
    secret = api_key.mint()
    await key_records.create(store, secret, key_records.NewKeyRecord(account=account.id, name="make serve"))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as key_file:
        key_file.write(secret.reveal() + "\n")
    return secret.reveal()


async def revoke_dev_key(store: Store, data: Path) -> bool:
    """Revoke the saved key before others can reach the server. Return whether it worked until now."""
    file = data / "dev-key"
    saved = file.read_text().strip() if file.exists() else ""
    if not api_key.is_well_formed(saved):
        return False
    record = await key_records.find_by_hash(store, api_key.digest(saved))
    is_alive = record is not None and record.revoked is None and record.closed is None
    if record is not None and is_alive:
        await key_records.revoke(store, record.id)
    return is_alive


async def _open_account(store: Store) -> Account:
    """Open the account `dev`, or `dev-2` and so on: a closed account never opens again."""
    number = 1
    while True:
        name = _ACCOUNT if number == 1 else f"{_ACCOUNT}-{number}"
        account = await accounts.get(store, name)
        if account is None:
            return await accounts.create(store, name=name, plan=UNLIMITED.name)
        if account.closed is None:
            return account
        number += 1
