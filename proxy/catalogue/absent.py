"""What stands in for features that do not open: no saved words, no own voices, no clones, no erasures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from policies.lexicon import Words
from policies.plans import Terms
from proxy.catalogue.clones import PARAM, CloneRights, CloneTarget, Cloning, SavedClone
from proxy.catalogue.erasing import OwnedRecord
from proxy.catalogue.own_voices import NONE, Known, LibraryVoice
from proxy.catalogue.saved_words import WordRevisions
from proxy.catalogue.voice_records import VoiceRecord
from proxy.config.feature_switches import is_off, out_of_off
from proxy.config.sections import Config
from proxy.errors import InvalidRequest, NotFound
from proxy.storage.audit import Act
from proxy.storage.store import Statement
from proxy.storage.tombstones import Tombstone


class NoSavedWords:
    def configured(self, config: Config) -> Mapping[str, Words]:
        del config
        return {}

    async def revisions(self, account: str) -> WordRevisions:
        del account
        return ()

    async def texts(self, account: str) -> Mapping[str, str]:
        del account
        return {}


class NoOwnVoices:
    async def of_account(self, account: str, clones: Cloning, before: Known = NONE) -> Sequence[LibraryVoice]:
        del account, clones, before
        return ()

    async def of_operator(self, before: Known = NONE) -> Sequence[LibraryVoice]:
        del before
        return ()

    async def get(self, id_: str) -> VoiceRecord | None:
        del id_
        return None

    async def find_record(self, account: str | None, id_or_name: str) -> VoiceRecord | None:
        del account, id_or_name
        return None

    def open(self, record: VoiceRecord) -> VoiceRecord:
        return record


class NoClones:
    """Refuses each engine that a request names for a clone."""

    async def of_voices(self, voices: Collection[str]) -> Mapping[str, Sequence[SavedClone]]:
        del voices
        return {}

    async def is_clone(self, engine: str, voice: str) -> bool:
        del engine, voice
        return False

    def find_targets(self, engines: Iterable[str], credential: str = "") -> list[CloneTarget]:
        del credential
        if tuple(engines):
            message = is_off("clones", out_of_off("clones"))
            raise InvalidRequest(message, param=PARAM, code="feature_off")
        return []

    def check_targets(
        self, places: Iterable[CloneTarget], seconds: Sequence[float], rights: CloneRights
    ) -> None:
        del places, seconds, rights

    async def check_bill(
        self, account: str, terms: Terms, places: Iterable[CloneTarget], voice: str | None = None
    ) -> None:
        del account, terms, places, voice

    async def check_saved(
        self, record: VoiceRecord, engines: Iterable[str], terms: Terms | None, *, credential: str = ""
    ) -> list[CloneTarget]:
        del record, terms
        return self.find_targets(engines, credential)

    def statements(
        self, record: VoiceRecord, places: Iterable[CloneTarget], payer: str, tag: str = ""
    ) -> Sequence[Statement]:
        del record, places, payer, tag
        return ()

    def begin_clones(self, record: VoiceRecord) -> None:
        del record

    async def order(
        self,
        record: VoiceRecord,
        places: Iterable[CloneTarget],
        *,
        payer: str = "",
        tag: str = "",
        pays_again: bool = False,
    ) -> object:
        del record, places, payer, tag, pays_again
        return None


class NothingToErase:
    """The erasures of a server without voices and consents."""

    replayed = 0

    async def erase(self, record: OwnedRecord, act: Act | None = None) -> Tombstone | None:
        del record, act
        return None

    async def erase_voice(
        self, record: OwnedRecord, act: Act | None = None, *, by_owner: bool = False
    ) -> Tombstone:
        del act, by_owner
        raise NotFound(f"There is no {record.id}.")

    async def erase_account(self, account: str) -> None:
        del account

    async def sign_lines(self) -> None:
        pass

    async def forget(self, tombstone: Tombstone) -> bool:
        del tombstone
        return True


class NothingStored:
    """No speech was stored, so none is purged."""

    async def purge_voice(self, account: str | None, voice_id: str) -> None:
        del account, voice_id

    async def purge_lexicon(self, account: str) -> None:
        del account

    async def purge_account(self, account: str) -> None:
        del account
