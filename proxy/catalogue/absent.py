"""Stand-ins for features that are off: no saved words, no own voices, no erasures.

Most bodies are those of the interfaces.
"""

from __future__ import annotations

from proxy.catalogue.erasing import Erasing, OwnedRecord, Purges
from proxy.catalogue.own_voices import OwnVoices
from proxy.catalogue.saved_words import SavedWords
from proxy.errors import NotFound
from proxy.storage.audit import Act
from proxy.storage.tombstones import Tombstone


class NoSavedWords(SavedWords): ...


class NoOwnVoices(OwnVoices): ...


class NothingToErase(Erasing):
    """The erasures of a server without voices and consents."""

    replayed = 0

    async def erase_voice(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Tombstone:
        del act, by_owner
        raise NotFound(f"There is no {record.id}.")

    async def sign_lines(self) -> None:
        pass


class NothingStored(Purges): ...
