"""Buckets that no server can use: a start and `voxgate doctor` name what is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.diagnosis.doctor.databases import count_missing
from proxy.file_store import objects
from proxy.file_store.vault import Vault, object_name
from proxy.storage import blobs
from proxy.storage.store import Store
from tests.commands import command
from tests.features.cluster.rig import key
from tests.programs import present
from tests.proxy.file_store.buckets import (
    BUCKET,
    Fault,
    FaultyStore,
    faulty_store,
    make_bucket,
    s3_address,
    section,
)
from tests.server import ALONE, running
from tests.tables import each_row

pytestmark = pytest.mark.slow

REFUSES = "vault.access_key is wrong, or may not read and write"


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyStore]:
    present(s3_address)
    async with faulty_store() as opened:
        yield opened


def settings(folder: Path, bucket: str, endpoint: str) -> str:
    (folder / "key").write_text(key(1))
    vault = BUCKET.format(bucket=bucket, endpoint=endpoint).format(folder=folder)
    return f'{ALONE}\n[vault]\n{vault}\nmaster_key = "file:{folder}/key"\n'


@each_row(
    "fault, says",
    [
        pytest.param(Fault("PUT", status=403), REFUSES, id="read-only"),
        pytest.param(Fault(status=401), REFUSES, id="wrong keys"),
        pytest.param(Fault("GET", "list-type", status=403), REFUSES, id="may not list"),
        pytest.param(Fault("PUT", status=507), "507", id="full"),
        pytest.param(Fault(status=500), "500", id="answers 500"),
        pytest.param(Fault("GET", "check-", cuts=True), "fails", id="cuts bodies"),
        pytest.param(Fault(wait_s=20), "fails", id="slow"),
    ],
)
async def test_the_doctor_names_a_bucket_that_fails(
    faulty: FaultyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, says: str
) -> None:
    if fault.wait_s:
        monkeypatch.setattr(objects, "_TRY_S", 1.0)
    monkeypatch.setattr(objects, "_PAUSE_S", 0.0)
    faulty.fault = fault
    file = tmp_path / "config.toml"
    file.write_text(settings(tmp_path, make_bucket(), faulty.url))
    done = await asyncio.to_thread(command, file, "doctor", "--json", check=False)
    found = [each for each in json.loads(done.stdout)["data"] if each["check"] == "vault"]
    assert [each["state"] for each in found] == ["wrong"]
    assert "vault.store" in found[0]["found"]
    assert says in found[0]["found"]


async def test_a_server_with_wrong_keys_does_not_start(faulty: FaultyStore, tmp_path: Path) -> None:
    faulty.fault = Fault(status=403)
    text = settings(tmp_path, make_bucket(), faulty.url)

    def start() -> None:
        with running(tmp_path, text):
            pytest.fail("it started")

    with pytest.raises(AssertionError, match=REFUSES):
        await asyncio.to_thread(start)


async def test_a_recording_that_a_late_list_lacks_is_not_missing(
    faulty: FaultyStore, tmp_path: Path, store: Store
) -> None:
    """Neither the doctor nor a tidying believes a list that lacks the newest objects."""
    behind = section(endpoint=faulty.url)
    vault = Vault(store, behind, tmp_path)
    await vault.put("acc_a", b"one")
    faulty.fault = Fault("GET", "list-type", is_late=True)
    await vault.objects.list()
    digest = await vault.put("acc_a", b"the newest one")
    assert len(await vault.objects.list()) == 1, "the list is late"
    await vault.tidy()
    assert await vault.open("acc_a", digest) == b"the newest one"
    names = [object_name(each) for each in await blobs.list_all(store)]
    assert len(names) == 2
    assert await count_missing(vault.objects, names) == 0
    (newest,) = (name for name in names if digest in name)
    await vault.objects.remove(newest)
    assert await count_missing(vault.objects, names) == 1
