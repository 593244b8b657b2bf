"""The deletion of a consent that a voice needs, or begins to need at that moment."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.audio.recordings.decoder import open_decoder
from proxy.audio.recordings.intake import RecordingIntake
from proxy.catalogue.erasing import OwnedRecord
from proxy.catalogue.recognition import LocalRecognition
from proxy.config.sections import ConsentSection, VaultSection
from proxy.errors import Conflict, NotFound
from proxy.feature_list import open_store
from proxy.features.consents.comparison import SpeakerComparison
from proxy.features.consents.consent_store import ConsentStore
from proxy.features.consents.hearings import Hearings
from proxy.features.erasure.erasure import Erasure
from proxy.file_store.vault import Vault
from proxy.storage.audit import Act
from proxy.storage.store import Store
from tests.proxy.file_store.owned import add_consent, add_voice, needs

ACCOUNT = "acc_a"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store("sqlite", tmp_path) as opened:
        yield opened


@pytest.fixture
async def consents(store: Store, tmp_path: Path) -> AsyncIterator[ConsentStore]:
    vault = Vault(store, VaultSection(), tmp_path)
    comparison, hearings = SpeakerComparison(ConsentSection(), None), Hearings(store, LocalRecognition())
    async with open_decoder() as decoder:
        erase = Erasure(store, vault, tmp_path).erase
        yield ConsentStore(store, vault, RecordingIntake(decoder), comparison, erase, hearings)


async def test_a_consent_that_a_voice_needs_is_not_deleted(store: Store, consents: ConsentStore) -> None:
    id_ = await add_consent(store, ACCOUNT, "d1")
    voice = await add_voice(store, ACCOUNT)
    await store.write(needs(voice, id_))
    consent = await consents.find_consent(ACCOUNT, id_)
    with pytest.raises(Conflict, match=voice):
        await consents.delete(consent)
    await store.write(needs(voice, ""))
    await consents.delete(consent)
    with pytest.raises(NotFound, match=id_):
        await consents.delete(consent)


async def test_a_voice_that_begins_to_need_it_is_named(store: Store, consents: ConsentStore) -> None:
    id_ = await add_consent(store, ACCOUNT, "d1")
    voice = await add_voice(store, ACCOUNT)

    async def refused(record: OwnedRecord, act: Act | None = None) -> None:
        await store.write(needs(voice, record.id))

    consents._erase = refused
    with pytest.raises(Conflict, match=voice):
        await consents.delete(await consents.find_consent(ACCOUNT, id_))
