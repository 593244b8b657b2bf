"""Which manifest is given, signed or refused, with a scripted signer and the rows of one clip."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from proxy.config.sections import Config
from proxy.features.marks import manifest_records as manifests
from proxy.features.marks.clip_facts import ClipFacts, ClipSpeaker, FactsRow
from proxy.features.marks.manifest import ManifestFacts
from proxy.features.marks.manifest_records import StoredManifest
from proxy.features.marks.manifests import RESTAMP_AFTER_US, Manifests
from proxy.features.marks.ring_source import RingSource
from proxy.features.marks.section import MARK_KEYS, MarkingSection
from proxy.features.marks.signer import Signer, SignerUnavailable
from proxy.features.marks.signing import Signed
from proxy.file_store.key_ring import add_key
from proxy.file_store.master_keys import VaultFailed
from proxy.storage.rows import encode_json
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Statement
from tests.proxy.storage.notes import migrated

_USAGE = """
INSERT INTO usage (id, account, key, started, engine, model, voice, language, characters, samples,
  sample_rate_hz, format, outcome)
VALUES (:id, 'a', 'k', 1, 'e', 'm', 'v', 'en', 1, 1, 24000, 'pcm', 'finished')
"""
_RECEIPT = "INSERT INTO receipts (request, account, facts) VALUES (:request, :account, :facts)"


class ScriptedSigner(Signer):
    """A signer without processes. `is_away` lets it sign nothing."""

    is_away = False
    has_stamps = True
    stamps_next = True
    signed = 0

    @property
    def can_stamp(self) -> bool:
        return self.has_stamps

    async def sign_digest(self, facts: ManifestFacts, digest: bytes) -> Signed:
        assert facts.speakers
        assert len(digest) == 32
        if self.is_away:
            raise SignerUnavailable
        self.signed += 1
        await asyncio.sleep(0)
        return Signed(f"manifest {self.signed}".encode(), is_stamped=self.stamps_next)


store = migrated(SqliteStore)


@pytest.fixture
def signer() -> ScriptedSigner:
    return ScriptedSigner(CollectorRegistry())


@pytest.fixture
def served(store: SqliteStore, signer: ScriptedSigner, tmp_path: Path) -> Manifests:
    made = Manifests(store, signer)
    revise(made, tmp_path)
    return made


def revise(made: Manifests, data: Path, *, is_on: bool = True) -> None:
    made.revise(Config(features={"marking": MarkingSection(manifests=is_on)}, data=str(data)))


async def clip(store: SqliteStore, request: str, place: str = "sidecar") -> None:
    facts = ClipFacts(
        sha256="ab" * 32,
        bytes=2,
        format="pcm",
        samples=1,
        sample_rate_hz=24_000,
        speakers=(ClipSpeaker("e/m", ""),),
        language="en",
        manifest=place,  # type: ignore[arg-type]  # one of the three, by the test
        made=1,
    )
    row = FactsRow(request, "a", encode_json(facts))
    await store.write(
        Statement(_USAGE, {"id": request}),
        Statement(_RECEIPT, {"request": row.request, "account": row.account, "facts": row.facts}),
    )


async def test_a_manifest_is_signed_once_for_all_who_ask_at_the_same_time(
    served: Manifests, store: SqliteStore, signer: ScriptedSigner
) -> None:
    await clip(store, "req_1")
    id_ = served.id_of("req_1")
    assert await asyncio.gather(*(served.find_manifest(id_) for _ in range(3))) == [b"manifest 1"] * 3
    assert await served.find_manifest(id_) == b"manifest 1"
    assert signer.signed == 1


async def test_only_a_clip_with_a_manifest_beside_it_has_one(
    served: Manifests, store: SqliteStore, signer: ScriptedSigner
) -> None:
    for request, place in (("req_1", "embedded"), ("req_2", "")):
        await clip(store, request, place)
        assert await served.find_manifest(served.id_of(request)) is None
    assert await served.find_manifest(served.id_of("req_3")) is None
    await clip(store, "req_4")
    other = served.id_of("req_4")
    moved = other.replace("req_4", "req_1")
    for wrong in (other[:-1], f"{other[:-1]}x", f"{other[:-1]}é", moved, "req_4", ""):
        assert await served.find_manifest(wrong) is None
    assert signer.signed == 0


async def test_one_without_a_stamp_is_signed_again_after_a_while_and_while_there_is_a_stamper(
    served: Manifests, store: SqliteStore, signer: ScriptedSigner
) -> None:
    await clip(store, "req_1")
    id_, now = served.id_of("req_1"), await store.now()

    async def keep(ago: int, *, is_stamped: bool = False) -> None:
        await store.write(Statement("DELETE FROM manifests"))
        await manifests.save_manifest(store, "req_1", StoredManifest(b"kept", now - ago, is_stamped))

    await keep(RESTAMP_AFTER_US // 2)
    assert await served.find_manifest(id_) == b"kept"
    await keep(2 * RESTAMP_AFTER_US, is_stamped=True)
    assert await served.find_manifest(id_) == b"kept"
    await keep(2 * RESTAMP_AFTER_US)
    signer.has_stamps = False
    assert await served.find_manifest(id_) == b"kept"
    signer.has_stamps, signer.is_away = True, True
    assert await served.find_manifest(id_) == b"kept"
    signer.is_away = False
    assert await served.find_manifest(id_) == b"manifest 1"


async def test_a_signer_that_is_away_is_told_where_nothing_is_kept(
    served: Manifests, store: SqliteStore, signer: ScriptedSigner
) -> None:
    await clip(store, "req_1")
    signer.is_away = True
    with pytest.raises(SignerUnavailable):
        await served.find_manifest(served.id_of("req_1"))


async def test_without_keys_an_address_is_unknown_only_where_none_was_ever_given(
    store: SqliteStore, signer: ScriptedSigner, tmp_path: Path
) -> None:
    made = Manifests(store, signer)
    revise(made, tmp_path, is_on=False)
    assert not (tmp_path / MARK_KEYS).exists()
    assert (made.id_of("req_1"), await made.find_manifest(f"req_1-{'0' * 32}")) == ("", None)
    (tmp_path / MARK_KEYS).write_text("spoilt")
    revise(made, tmp_path)
    with pytest.raises(SignerUnavailable):
        await made.find_manifest(f"req_1-{'0' * 32}")


async def test_lost_and_older_keys_still_find_what_they_have_made(
    served: Manifests, store: SqliteStore, tmp_path: Path
) -> None:
    await clip(store, "req_1")
    old = served.id_of("req_1")
    add_key(tmp_path / MARK_KEYS)
    revise(served, tmp_path)
    assert served.id_of("req_1") != old
    assert await served.find_manifest(old) == b"manifest 1"
    (tmp_path / MARK_KEYS).unlink()
    revise(served, tmp_path)
    assert served.id_of("req_1") == ""
    assert await served.find_manifest(old) == b"manifest 1"


def test_a_file_of_keys_is_made_where_one_may_be_and_never_anew(tmp_path: Path) -> None:
    config, source = Config(data=str(tmp_path)), RingSource()
    assert source.read(config, may_make=False) is None
    assert not (tmp_path / MARK_KEYS).exists()
    ring = source.read(config, may_make=True)
    assert ring is not None
    # A server that makes nothing new needs its old keys.
    again = RingSource().read(config, may_make=False)
    assert again is not None
    assert again.newest == ring.newest
    (tmp_path / MARK_KEYS).unlink()
    with pytest.raises(VaultFailed, match="is gone"):
        source.read(config, may_make=True)
    assert not (tmp_path / MARK_KEYS).exists()
