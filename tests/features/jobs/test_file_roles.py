"""A database in which the chapter of a file said what it is, as before its role did."""

import hashlib
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from proxy.features.jobs.core.encoded_records import EncodedBlob, list_encoded, list_file
from proxy.features.jobs.kinds.training import training_input
from proxy.storage.schema import known_migrations, migrate
from proxy.storage.store import ALWAYS, Statement
from speech_engine.training import FarPiece, FileRole
from tests.features.jobs.job_rig import content, job_with, jobs_inside, new_chapters
from tests.features.jobs.training import training_rig
from tests.features.jobs.training.training_rig import early_checkpoints
from tests.proxy.api.inside import Inside, inside
from tests.proxy.storage.notes import open_bare
from tests.waiting import soon

pytestmark = pytest.mark.slow

__all__ = ["early_checkpoints"]
BEFORE_ROLES = 26
_ROLES = {-1: "checkpoint", -2: "checkpoint_part", -3: "voice_part", -4: "onnx_part"}
_BACK = f"""
INSERT INTO job_encoded (job, chapter, number, account, digest, bytes, crc32, voices)
SELECT job, CASE role {" ".join(f"WHEN '{role}' THEN {number}" for number, role in _ROLES.items())}
    ELSE chapter END, number, account, digest, bytes, crc32, voices FROM job_encoded_after
"""


@pytest.fixture(autouse=True)
def few_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", training_rig.RECORDINGS)


async def upgrade_again(url: str, folder: Path) -> None:
    """Give the table of a stopped server its earlier shape, and let the migration convert that."""
    before = [
        sql for each in known_migrations()[:BEFORE_ROLES] for sql in each.statements if "job_encoded" in sql
    ]
    converting = known_migrations()[BEFORE_ROLES].statements
    store = await open_bare(url, folder)
    try:
        await store.write(
            Statement("ALTER TABLE job_encoded RENAME TO job_encoded_after"),
            Statement("DROP INDEX job_encoded_by_digest"),
            Statement("DROP INDEX job_encoded_by_voices"),
            *map(Statement, before),
            Statement(_BACK),
            Statement("DROP TABLE job_encoded_after"),
        )
        await store.write(*map(Statement, converting))
    finally:
        await store.close()


async def test_each_file_has_its_role_and_results_keep_their_chapters(
    new_store_url: str, tmp_path: Path
) -> None:
    store = await open_bare(new_store_url, tmp_path)
    try:
        await migrate(store, known_migrations()[:BEFORE_ROLES])
        await store.write(*(_old_row(chapter, number) for chapter in range(-4, 3) for number in (0, 1)))
        await migrate(store)
        for chapter, role in _ROLES.items():
            found = await list_file(store, "job_a", role)  # type: ignore[arg-type]
            assert [each.digest for each in found] == [f"{chapter}/0", f"{chapter}/1"]
            assert {each.chapter for each in found} == {0}
        assert [each.digest for each in await list_encoded(store, "job_a", 0)] == ["0/0", "0/1"]
        chapters = await list_encoded(store, "job_a", None)
        assert [each.digest for each in chapters] == ["1/0", "1/1", "2/0", "2/1"]
        assert msgspec.structs.replace(chapters[0], digest="") == EncodedBlob(
            job="job_a", chapter=1, number=0, account="acc_a", digest="", bytes=5, crc32=6, voices=" v "
        )
    finally:
        await store.close()


def _old_row(chapter: int, number: int) -> Statement:
    sql = "INSERT INTO job_encoded VALUES ('job_a', :chapter, :number, 'acc_a', :digest, 5, 6, ' v ')"
    return Statement(sql, {"chapter": chapter, "number": number, "digest": f"{chapter}/{number}"})


async def test_the_files_of_a_job_are_there_after_the_upgrade(tmp_path: Path, new_store_url: str) -> None:
    async with jobs_inside(tmp_path, new_store_url) as server:
        made = await new_chapters(server, response_format="flac", files="chapters")
        await job_with(server, made["id"], "done")
        before = await content(server, made["id"])
    await upgrade_again(new_store_url, tmp_path / "data")
    async with jobs_inside(tmp_path, new_store_url, name="ben") as again:
        after = await content(server._replace(worker=again.worker), made["id"])
        assert (after.status_code, after.content) == (200, before.content)


@pytest.mark.usefixtures("leaves_holds")
async def test_a_training_goes_on_from_its_checkpoint_after_the_upgrade(
    tmp_path: Path, new_store_url: str, early_checkpoints: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = training_rig.resumed_bytes(monkeypatch)
    text = training_rig.CONFIG.format(url=new_store_url, tone="delay_s = 0.02", jobs="")
    async with inside(tmp_path, text, {}, "metered") as server:
        id_ = await training_rig.new_training(server, await training_rig.voice_to_train(server), steps=90)
        await soon(lambda: list_file(server.worker.store, id_, "checkpoint"))
    await upgrade_again(new_store_url, tmp_path / "data")
    async with training_rig.trainings_inside(tmp_path, new_store_url, name="ben") as again:
        ours = server._replace(worker=again.worker)
        await _is_due(ours)
        shown = await job_with(ours, id_, "done", "failed")
        assert (shown["status"], shown["training"]["step"]) == ("done", 90)
        assert len(resumed) == 1
        assert resumed[0] > 100
        assert (await content(ours, id_)).content.startswith(b"tone as onnx")


async def _is_due(server: Inside) -> None:
    await server.worker.store.write(Statement("UPDATE job_steps SET due = asked, lease = 0"))


@pytest.mark.usefixtures("leaves_holds")
async def test_what_a_machine_has_brought_in_part_is_kept_for_the_rest(
    tmp_path: Path, new_store_url: str
) -> None:
    text = training_rig.CONFIG.format(url=new_store_url, tone="", jobs="")
    async with inside(tmp_path, text, {}, "metered") as server:
        training_rig.kind_of(server).runs_steps = False
        id_ = await training_rig.new_training(server, await training_rig.voice_to_train(server))
        await server.worker.store.write(Statement("UPDATE job_steps SET due = :far", {"far": 10**17}))
        await _bring(server, id_, b"beginning", 0)
    await upgrade_again(new_store_url, tmp_path / "data")
    async with training_rig.trainings_inside(tmp_path, new_store_url, name="ben") as again:
        await _bring(again, id_, b"end", 1, is_last=True)
        far, store = training_rig.kind_of(again).on_runners, again.worker.store
        assert [row.bytes for row in await far.list_checkpoint(id_)] == [9, 3]
        assert await far.read_voice(id_) == b"beginningend"
        assert [row.bytes for row in await list_file(store, id_, "onnx_part")] == [9, 3]
        assert await list_file(store, id_, "checkpoint_part") == []


async def _bring(server: Inside, job: str, data: bytes, number: int, *, is_last: bool = False) -> None:
    (step,) = await server.worker.store.read("SELECT id FROM job_steps WHERE job = :job", {"job": job})
    digest = hashlib.sha256(data).hexdigest()
    for role in get_args(FileRole):
        piece = FarPiece(role=role, number=number, data=data, digest=digest, is_last=is_last)
        await training_rig.kind_of(server).on_runners.store_message(job, step["id"], piece, ALWAYS)
