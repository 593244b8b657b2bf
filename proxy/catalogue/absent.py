"""What stands in for features that do not open: no saved words, no own voices, no clones, no erasures.

The bodies are in the interfaces.
"""

from __future__ import annotations

from collections.abc import Iterable

from policies.plans import Terms
from proxy.catalogue.clones import PARAM, CloneTarget, Cloning
from proxy.catalogue.erasing import Erasing, OwnedRecord, Purges
from proxy.catalogue.own_voices import OwnVoices
from proxy.catalogue.saved_words import SavedWords
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.feature_switches import is_off, out_of_off
from proxy.errors import InvalidRequest, NotFound
from proxy.storage.audit import Act
from proxy.storage.tombstones import Tombstone


class NoSavedWords(SavedWords): ...


class NoOwnVoices(OwnVoices): ...


class NoClones(Cloning):
    """Refuses each engine that a request names for a clone."""

    def find_targets(self, engines: Iterable[str], credential: str = "") -> list[CloneTarget]:
        del credential
        if tuple(engines):
            message = is_off("clones", out_of_off("clones"))
            raise InvalidRequest(message, param=PARAM, code="feature_off")
        return []

    async def check_saved(
        self, record: VoiceRecord, engines: Iterable[str], terms: Terms | None, *, credential: str = ""
    ) -> list[CloneTarget]:
        del record, terms
        return self.find_targets(engines, credential)


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
