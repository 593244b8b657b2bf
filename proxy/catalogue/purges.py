"""The data to drop when a voice, a lexicon or an account changes. Features hold it."""

from __future__ import annotations

from typing import Protocol


class Purges(Protocol):
    """The speech that was made with earlier voices and words."""

    async def purge_voice(self, account: str | None, voice_id: str) -> None:
        """Drop the speech by this voice, of the account or, without one, of all accounts."""
        ...

    async def purge_lexicon(self, account: str) -> None:
        """Drop the speech with an account's lexicons."""
        ...

    async def purge_account(self, account: str) -> None:
        """Drop all speech of an account."""
        ...
