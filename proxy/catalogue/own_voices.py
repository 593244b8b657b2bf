"""The interface of the voices that accounts and the operator have saved. A feature stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from policies.routing import Binding, Voice
from proxy.catalogue.voice_records import VoiceRecord
from proxy.storage.sample_record import SampleRecord
from proxy.storage.trained_model import TrainedModel

_VOICE_BYTES = 1500
"""The bytes of a voice in all the tables of a library, without its members and recordings."""
_ITEM_BYTES = 200


class SavedClone(NamedTuple):
    """A voice's clone on an engine. It has a `binding` for routing if it speaks or will speak."""

    engine: str
    state: str
    error: str
    binding: Binding | None


class VoiceParts(NamedTuple):
    """A voice's data in other tables. Only `providers` may receive the voice, and only for the `uses`; None
    allows all.

    `consent` is the digest of the consent's record, and `trained` are its models, one for each format.
    """

    samples: Sequence[SampleRecord] = ()
    providers: tuple[str, ...] | None = None
    clones: Sequence[SavedClone] = ()
    consent: str = ""
    uses: tuple[str, ...] | None = None
    trained: Sequence[TrainedModel] = ()


NO_PARTS = VoiceParts()


class LibraryVoice(NamedTuple):
    """A voice of a library. `row` is the record as the database has it, `record` has its opened texts."""

    row: VoiceRecord
    parts: VoiceParts
    record: VoiceRecord
    voice: Voice

    @property
    def weight(self) -> int:
        """Its approximate size in bytes."""
        record, parts = self.record, self.parts
        texts = (record.name, record.description, record.sealed, *record.tags, *record.texts)
        texts += tuple(sample.sealed for sample in parts.samples)
        lists = (record.members, record.mix, record.labels, parts.samples, parts.clones, parts.trained)
        return _VOICE_BYTES + _ITEM_BYTES * sum(map(len, lists)) + sum(map(len, texts))


VoicesById = Mapping[str, LibraryVoice]
NO_VOICES: VoicesById = {}


class OwnVoices(Protocol):
    """The saved voices. These bodies are those of a server without the feature."""

    async def of_account(self, account: str, known: VoicesById = NO_VOICES) -> Sequence[LibraryVoice]:
        """Return the voices of an account with their clones, the newest first.

        `known` has those of the last read. A voice that cannot be opened has no texts, and its id as its
        name.
        """
        del account, known
        return ()

    async def of_operator(self, known: VoicesById = NO_VOICES) -> Sequence[LibraryVoice]:
        """Return the voices that the operator saved for all accounts, the newest first."""
        del known
        return ()

    async def get(self, id_: str) -> VoiceRecord | None:
        del id_
        return None

    async def find_record(self, account: str | None, id_or_name: str) -> VoiceRecord | None:
        """Return a row of the account, or of the operator without one, by its id or its readable name."""
        del account, id_or_name
        return None

    def open(self, record: VoiceRecord) -> VoiceRecord:
        """Return a voice with its texts, or without them if they cannot be opened."""
        return record
