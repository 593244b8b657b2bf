"""`voxgate check` and `doctor`: plans that accounts have and the configuration lacks."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from proxy.config.addresses import is_postgres
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, wrong
from proxy.diagnosis.doctor.databases import ANSWER_S, open_to_read
from proxy.errors import CommandRefused
from proxy.kept import data_folder
from proxy.storage import accounts
from proxy.storage.store import StorageFailed

_MOVE = "move them: voxgate accounts set-plan ACCOUNT PLAN"


def missing_plans(config: Config) -> Iterator[Finding]:
    """Yield one finding for each missing plan. If neither a server nor the database answers, yield none."""
    try:
        counts = _count(config)
    except (CommandRefused, StorageFailed, sqlite3.Error):
        return
    for name, count in counts.items():
        if count and name not in config.plans:
            found = f"{count} account(s) are on it, and it is not configured: they are refused"
            yield wrong("plan", found, f"add [plans.{name}], or {_MOVE}", name=name)


def _count(config: Config) -> dict[str, int]:
    """Count the open accounts of each plan. The database is only read: it may be of an older voxgate."""
    # Imported here: the supervisor, which imports this module, needs no HTTP client.
    from proxy.processes.admin_client import ask_once

    if data_folder.is_held(Path(config.data)):
        answer = ask_once(config, "GET", "plans")
        configured: dict[str, int] = {row["name"]: row["accounts"] for row in answer["data"]}
        missing: dict[str, int] = answer["missing"]
        return configured | missing
    if is_postgres(config.storage.url):
        return asyncio.run(_in_postgres(config.storage.url))
    file = Path(config.data) / "voxgate.db"
    if not file.exists():
        return {}
    with closing(open_to_read(file)) as connection:
        return dict(connection.execute(accounts.BY_PLAN).fetchall())


async def _in_postgres(url: str) -> dict[str, int]:
    # Imported here: a server with SQLite needs no driver.
    from proxy.storage.postgres import PostgresStore

    store = await PostgresStore.open(url, ANSWER_S)
    try:
        return await accounts.by_plan(store)
    finally:
        await store.close()
