"""What must go when a voice, the words or the whole of an account change. Features have it."""

from __future__ import annotations

from typing import Protocol


class Purges(Protocol):
    """What was made by voices and words as they were."""

    async def purge_voice(self, account: str | None, voice_id: str) -> None:
        """Drop what this voice spoke for the account, or without one for all."""
        ...

    async def purge_lexicon(self, account: str) -> None:
        """Drop what was spoken by an account's words."""
        ...

    async def purge_account(self, account: str) -> None:
        """Drop all that an account was given."""
        ...
