"""Store a recording: first its sealed file, then the row that names it. If the row is not written, the file
is dropped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy.catalogue.voice_records import VoiceRecord
from proxy.errors import Conflict
from proxy.features.consents.grants import Grants
from proxy.file_store.vault import Vault
from proxy.storage.store import ALWAYS, Condition

R = TypeVar("R")

TRIES = 3
"""How often a write is tried that simultaneous changes may prevent."""


async def store_recording(
    vault: Vault,
    account: str,
    master: bytes,
    add_row: Callable[[str], Awaitable[R | None]],
    raise_reason: Callable[[], Awaitable[None]],
) -> R:
    """Put a recording into the vault, and return the row that `add_row` writes with its digest.

    If `add_row` returns None, `raise_reason` raises the reason. If it finds none, everything is tried again.
    Raises Conflict at last.
    """
    for _ in range(TRIES):
        # A simultaneous erasure of a voice with the same recording may delete the file. Then it is put again.
        digest = await vault.put(account, master)
        try:
            added = await add_row(digest)
        except BaseException:
            await vault.drop(account, [digest])
            raise
        if added is not None:
            return added
        await vault.drop(account, [digest])
        await raise_reason()
    raise Conflict("The account is being changed by others; send it again.")


def consent_condition(voice: VoiceRecord, grants: Grants) -> Condition:
    """Return the condition under which a recording may be added to a voice: its consent exists, if it has
    one."""
    if voice.account is None or voice.consent is None:
        return ALWAYS
    return grants.existence_condition(voice.account, voice.consent)
