"""What a `voxgate worker` shares with its server: the database, the sealed recordings, and their keys.

It refuses to start where one of them is another's: it would take steps that it can neither read nor keep.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from proxy.config.config_toml import Config, ConfigError
from proxy.kept.vault import VaultFailed, recording_path, recordings_folder
from proxy.kernel import Kernel
from proxy.storage import blobs, wrapped_keys

_LOOKED_AT = 20
"""The newest recordings, of which one has to be in the folder: some may have been lost."""


def check_settings(config: Config) -> None:
    """Raise ConfigError if the configuration shares nothing with a server."""
    if config.storage.url == "sqlite":
        raise ConfigError("storage.url: a worker needs its server's PostgreSQL; SQLite is one server's own")
    if not config.vault.folder:
        raise ConfigError(
            "vault.folder: a worker keeps sound where its server finds it; name the folder that both share"
        )


async def check(kernel: Kernel) -> None:
    """Raise VaultFailed if the database needs other master keys, or its recordings are elsewhere."""
    masters = kernel.vault.masters
    keys = masters.read_if_any()
    if keys is None:
        raise VaultFailed(f"{masters.missing}; give this worker the key of its server")
    for use in await wrapped_keys.list_masters(kernel.store):
        if not keys.knows(use.prefix):
            raise VaultFailed(
                f"vault.master_key: key {use.id} sealed what the server keeps, and is not configured here"
            )
    newest = await blobs.list_newest(kernel.store, _LOOKED_AT)
    section, data = kernel.config.vault, Path(kernel.config.data)
    paths = [recording_path(section, data, account, digest) for account, digest in newest]
    if paths and not await asyncio.to_thread(lambda: any(path.exists() for path in paths)):
        raise VaultFailed(
            f"vault.folder: {recordings_folder(section, data)} has none of the newest recordings; name the "
            "folder of the server"
        )
