"""The key of `make serve`. It is made once, saved in data/dev-key (0600), and printed at each start."""

from __future__ import annotations

import os
from pathlib import Path

from policies.plans import UNLIMITED
from proxy.storage import accounts, api_key, key_records
from proxy.storage.accounts import Account
from proxy.storage.store import Store

_ACCOUNT = "dev"
_FILE = "dev-key"


async def ensure_dev_key(store: Store, data: Path) -> str:
    """Return the saved key if it still works, or a new one."""
    if found := await _find_working_key(store, data):
        return found[0]
    account = await _open_account(store)
    secret = api_key.mint()
    await key_records.create(store, secret, key_records.NewKeyRecord(account=account.id, name="make serve"))
    descriptor = os.open(data / _FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as key_file:
        key_file.write(secret.reveal() + "\n")
    return secret.reveal()


async def revoke_dev_key(store: Store, data: Path) -> bool:
    """Revoke the saved key before others can reach the server. Return whether it worked until now."""
    if found := await _find_working_key(store, data):
        await key_records.revoke(store, found[1])
    return found is not None


async def _find_working_key(store: Store, data: Path) -> tuple[str, str] | None:
    """Return the saved key and its id, if it still works."""
    file = data / _FILE
    saved = file.read_text().strip() if file.exists() else ""
    record = None
    if api_key.is_well_formed(saved):
        record = await key_records.find_by_hash(store, api_key.digest(saved))
    return (saved, record.id) if record and record.revoked is None and record.closed is None else None


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
