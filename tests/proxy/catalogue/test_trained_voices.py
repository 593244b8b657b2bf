"""Trained models of voices, on both databases: written only for a voice that is there, and gone with it."""

from pathlib import Path

import msgspec
import pytest

from proxy.catalogue.trained_voice_store import TrainedVoiceStore
from proxy.catalogue.voice_records import Kind, VoiceRecord
from proxy.config.sections import VaultSection
from proxy.features.erasure import tombstone_rows
from proxy.features.erasure.erasure import open_erasure
from proxy.features.own_voices import records
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage import library_revisions, trained_models
from proxy.storage.store import AlreadyExists, Condition, Statement, Store
from proxy.storage.tombstones import Tombstone
from proxy.storage.trained_model import TrainedModel
from proxy.telemetry.metrics import Metrics
from tests.proxy.file_store.owned import Owned, add_account, add_voice

ACCOUNT = "acc_a"
FILE, OTHER = b"a model" * 1000, b"another model" * 1000


@pytest.fixture
def vault(store: Store, tmp_path: Path) -> Vault:
    return Vault(store, VaultSection(), tmp_path)


@pytest.fixture
def trained(store: Store, vault: Vault) -> TrainedVoiceStore:
    return TrainedVoiceStore(store, vault)


async def put(
    store: Store, trained: TrainedVoiceStore, voice: str, data: bytes = FILE, format_: str = "tone"
) -> TrainedModel:
    model = await trained.put(ACCOUNT, voice, format_, data)
    await store.write(*trained.statements(model))
    return model


async def _revision(store: Store, voice: str) -> object:
    return (await store.read("SELECT revision FROM voices WHERE id = :id", {"id": voice}))[0]["revision"]


async def test_a_voice_has_one_model_of_each_format(store: Store, trained: TrainedVoiceStore) -> None:
    voice = await add_voice(store, ACCOUNT)
    before = (await library_revisions.read_revisions(store, [ACCOUNT])).get(ACCOUNT, 0)
    first = await put(store, trained, voice)
    second = await put(store, trained, voice, OTHER)
    third = await put(store, trained, voice, format_="rvc")
    assert not await trained.is_stored(first)
    assert await trained.is_stored(second)
    assert list(await trained.of_voice(ACCOUNT, voice)) == [third, second]
    assert await trained_models.list_of_account(store, ACCOUNT) == {voice: [third, second]}
    assert await trained.read(ACCOUNT, voice, "tone") == OTHER
    assert await _revision(store, voice) == 4
    assert (await library_revisions.read_revisions(store, [ACCOUNT]))[ACCOUNT] == before + 3
    assert await trained_models.find_size(store, ACCOUNT, second.digest) == len(OTHER)


async def test_another_account_has_none_of_it(store: Store, trained: TrainedVoiceStore) -> None:
    voice = await add_voice(store, ACCOUNT)
    model = await put(store, trained, voice)
    assert not await trained.of_voice("acc_b", voice)
    assert await trained_models.find_size(store, "acc_b", model.digest) is None
    with pytest.raises(VaultFailed, match="no model of the format tone"):
        await trained.read("acc_b", voice, "tone")
    strangers = await trained.put("acc_b", voice, "rvc", FILE)
    await store.write(*trained.statements(strangers))
    assert not await trained.is_stored(strangers)


@pytest.mark.parametrize("account", [ACCOUNT, None])
async def test_a_new_voice_has_its_model_in_one_commit(
    store: Store, trained: TrainedVoiceStore, account: str | None
) -> None:
    await add_account(store, ACCOUNT)
    kind: Kind = "catalogue" if account is None else "cast"
    record = VoiceRecord(id="voice_1", account=account, name="Ana", kind=kind, revision=1, created=1)
    model = await trained.put(account or "", "voice_1", "tone", FILE, origin="import")
    with_statements = [trained_models.insert_statement(model)]
    digest = None if account is None else model.digest
    made = await records.add_voice(store, record, with_statements=with_statements, digest=digest)
    assert made == record
    assert list(await trained.of_voice(account or "", "voice_1")) == [model]
    assert await trained_models.list_formats(store, ["voice_1", "voice_2"]) == {"voice_1": ["tone"]}
    refused = await trained.put(account or "", "voice_2", "tone", OTHER, origin="import")
    other = msgspec.structs.replace(record, id="voice_2")
    with_statements = [trained_models.insert_statement(refused)]
    with pytest.raises(AlreadyExists):  # its name is taken
        await records.add_voice(store, other, with_statements=with_statements)
    assert not await trained.is_stored(refused)


@pytest.mark.parametrize("lack", ["the voice", "its erasure", "the file", "the condition"])
async def test_a_model_is_written_only_if_all_that_it_needs_is_there(
    store: Store, vault: Vault, trained: TrainedVoiceStore, lack: str
) -> None:
    voice = await add_voice(store, ACCOUNT)
    model = await trained.put(ACCOUNT, voice, "tone", FILE)
    only_if = Condition("1 = 1", {})
    if lack == "the voice":
        await store.write(Statement("DELETE FROM voices"))
    elif lack == "its erasure":
        gone = Tombstone(subject=voice, account=ACCOUNT, digests=(), began=1)
        await tombstone_rows.erase_subject(store, gone)
        await add_voice(store, ACCOUNT, id_=voice)  # as a restored backup may bring it back
    elif lack == "the file":
        await vault.drop(ACCOUNT, [model.digest])
    else:
        only_if = Condition("1 = 0", {})
    await store.write(*trained.statements(model, only_if))
    assert not await trained.is_stored(model)
    await trained.drop(model)
    with pytest.raises(VaultFailed):
        await vault.open(ACCOUNT, model.digest)


async def test_the_vault_keeps_what_a_row_names_and_forgets_the_rest(
    store: Store, vault: Vault, trained: TrainedVoiceStore
) -> None:
    voice = await add_voice(store, ACCOUNT)
    kept, left = await put(store, trained, voice), await trained.put(ACCOUNT, voice, "rvc", OTHER)
    await store.write(Statement("UPDATE blobs SET created = 1"))
    await vault.tidy()
    assert await vault.open(ACCOUNT, kept.digest) == FILE
    with pytest.raises(VaultFailed):
        await vault.open(ACCOUNT, left.digest)
    await trained.drop(kept)
    assert await vault.open(ACCOUNT, kept.digest) == FILE


async def test_an_erased_voice_takes_its_models(
    store: Store, vault: Vault, trained: TrainedVoiceStore, tmp_path: Path
) -> None:
    recording = await vault.put(ACCOUNT, b"a recording" * 100)
    voice = await add_voice(store, ACCOUNT, recording)
    model = await put(store, trained, voice)
    async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
        receipt = await erasure.erase_voice(Owned(voice, ACCOUNT))
    assert set(receipt.digests) == {recording, model.digest}
    assert await store.read("SELECT id FROM trained_models") == []
    with pytest.raises(VaultFailed):
        await vault.open(ACCOUNT, model.digest)


async def test_an_erasure_names_what_the_voice_had_before(
    store: Store, vault: Vault, trained: TrainedVoiceStore, tmp_path: Path
) -> None:
    recording = await vault.put(ACCOUNT, b"a recording" * 100)
    voice = await add_voice(store, ACCOUNT, recording)
    first = await put(store, trained, voice)
    second = await trained.put(ACCOUNT, voice, first.format, b"another" * 100)
    await store.write(*trained.statements(second))
    async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
        receipt = await erasure.erase_voice(Owned(voice, ACCOUNT))
    assert set(receipt.digests) == {recording, first.digest, second.digest}
    assert await store.read("SELECT voice FROM former_models") == []
