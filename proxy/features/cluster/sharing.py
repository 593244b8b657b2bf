"""Checks at each start that machines share keys and vault: a machine that could not open the files of another
one does not start."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from proxy.config.config_toml import Config
from proxy.features.cluster import machines
from proxy.features.cluster.machines import LIVES_S, Machine
from proxy.features.cluster.vault_identity import vault_identity
from proxy.features.marks.ring_source import needed_rings
from proxy.features.marks.stored_rings import StoredRings
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage import wrapped_keys
from proxy.storage.store import StorageFailed, Store

AGAIN_S = 1.0
FORMER_FILE = "machine"
"""A file in the data folder. It has the id of the last machine that used the folder, the name of its host,
and the folder's path."""
_SETTINGS = {"master": "vault.master_key", "mark": "marking.keys"}
_ROTATION_STEPS = (
    "a new key first joins the old ones on all machines, then it becomes the newest, then the old one goes"
)

_log = structlog.get_logger()


def find_faults(mine: Machine, other: Machine) -> Iterator[str]:
    """Yield why a machine must not start beside another one."""
    if mine.kind == other.kind == "server":
        for where, each in (("here", mine), (f"on machine {other.name}", other)):
            if each.limits == "memory":
                yield (
                    f"limits.url: requests a minute are counted in memory {where}, and machine {other.name} "
                    "lives; name one Redis on all machines"
                )
    for kind, setting in _SETTINGS.items():
        # The newest key of each list is the first.
        ours, theirs = (each.key_ids.get(kind, []) for each in (mine, other))
        if theirs and theirs[0] not in ours:
            yield (
                f"{setting}: the newest {kind} key of machine {other.name}, {theirs[0]}, is not known here; "
                f"{_ROTATION_STEPS}"
            )
        if ours and ours[0] not in theirs:
            yield (
                f"{setting}: machine {other.name} does not know the newest {kind} key of this one, "
                f"{ours[0]}; {_ROTATION_STEPS}"
            )


class Sharing:
    """Lets one machine join the others at its start.

    `describe` returns this machine's row as it is now. It gets the other living machines, so that the name
    can differ from theirs.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        rings: StoredRings,
        config: Config,
        describe: Callable[[Sequence[Machine]], Machine],
    ) -> None:
        self._store = store
        self._vault = vault
        self._rings = rings
        self._config = config
        self._describe = describe

    async def join(self) -> None:
        """Put the row of this machine, if it shares everything with the living ones. Raises StorageFailed.

        A killed machine counts as living for LIVES_S. So a machine with a fault causes a refusal only once it
        was seen again, or after that time.
        """
        last_seen: dict[str, int] = {}
        for tries in itertools.count():
            async with self.locked():
                registered = await machines.list_all(self._store)
                await self._rings.refresh()
                former = await asyncio.to_thread(self._read_former)
                living = [each for each in registered if each.is_alive and each.id != former]
                mine = self._describe(living)
                if any(each.id == mine.id for each in registered):
                    return  # another worker of this machine has joined
                faults = await self._faults(mine, living)
                if not any(faults.values()):
                    await self._register(mine, living)
                    return
            # If a machine with a fault has renewed its row since the last look, it lives.
            is_seen_again = any(
                faults[each.id] and last_seen.get(each.id, each.seen) != each.seen for each in living
            )
            # Each try takes AGAIN_S, which is one second.
            if tries > LIVES_S or is_seen_again:
                raise StorageFailed("; ".join(dict.fromkeys(itertools.chain(*faults.values()))))
            last_seen = {each.id: each.seen for each in living}
            await asyncio.sleep(AGAIN_S)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the database's lock. Meanwhile no other process starts or migrates."""
        # Imported here: a server with SQLite needs no driver.
        from proxy.storage.postgres import migrating

        async with migrating(self._config.storage.url):
            yield

    async def prepare(self) -> None:
        """Make the keys that no setting names. Raises StorageFailed."""
        await self._rings.ensure(needed_rings(self._config))
        await self._rings.refresh()

    async def _faults(self, mine: Machine, living: Sequence[Machine]) -> dict[str, list[str]]:
        """Return the faults with each living machine, by its id. Log it if the vault is a new one.

        Raises StorageFailed, also for every fault of a `voxgate worker`'s own keys or vault.
        """
        if mine.kind == "worker":
            await self._check_masters()
        shared_vault, own_vault = await machines.vault_id(self._store), await self._own_vault()
        faults = {each.id: [*find_faults(mine, each)] for each in living}
        if shared_vault is None or own_vault == shared_vault:
            return faults
        folder = self._vault.objects.where
        setting = "vault.store" if self._config.vault.store else "vault.folder"
        if mine.kind == "worker":
            raise VaultFailed(f"{setting}: {folder} is not the vault of this database; name its server's")
        for each in living:
            faults[each.id].append(
                f"{setting}: {folder} is not the vault of machine {each.name}; name one folder or bucket "
                "that all machines share"
            )
        if not living:
            _log.warning("vault.taken_over", folder=folder, reason="it is another vault than before")
        return faults

    async def _check_masters(self) -> None:
        """Raise VaultFailed if a `voxgate worker` lacks a master key of its server, which may be down."""
        masters = self._vault.masters
        keys = masters.read_if_any()
        if keys is None:
            raise VaultFailed(f"{masters.missing}; give this worker the key of its server")
        for use in await wrapped_keys.list_masters(self._store):
            if not keys.knows(use.prefix):
                raise VaultFailed(
                    f"vault.master_key: key {use.id} sealed what the server keeps, and is not configured here"
                )

    async def _register(self, mine: Machine, living: Sequence[Machine]) -> None:
        if mine.kind == "server":
            await machines.put_vault_id(self._store, await self._own_vault(may_make=True))
            try:
                await self._vault.ensure_masters()
            except VaultFailed as error:
                _log.warning("vault.master_key.missing", reason=str(error))
            await self.prepare()
        await machines.remove_machine(self._store, await asyncio.to_thread(self._read_former))
        file = Path(self._config.data) / FORMER_FILE
        await asyncio.to_thread(file.write_text, "\n".join([mine.id, *self._folder_identity()]), "utf-8")
        await machines.put_machine(self._store, self._describe(living))

    def _read_former(self) -> str:
        """Return the id of the machine that had the data folder before. As this process has the folder now,
        that machine is dead. "": there was none, or the folder is a copy of that machine's."""
        try:
            id_, *place = (Path(self._config.data) / FORMER_FILE).read_text("utf-8", "replace").splitlines()
        except (OSError, ValueError):
            return ""
        return id_ if place == self._folder_identity() else ""

    def _folder_identity(self) -> list[str]:
        return [socket.gethostname(), self._config.data]

    async def _own_vault(self, *, may_make: bool = False) -> str:
        return await vault_identity(self._vault.objects, may_make=may_make)
