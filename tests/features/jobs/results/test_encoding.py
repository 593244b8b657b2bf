"""The last step of a job that is encoded: killed, canceled, erased in its middle, and what it leaves."""

import asyncio
from pathlib import Path

import pytest

from proxy.features.admin.verify import verify
from proxy.features.erasure.tombstone_rows import erase_subject
from proxy.features.jobs.core import encoding, file_writer
from proxy.features.jobs.core.encoded_records import EncodedBlob
from proxy.features.jobs.core.encoding import FileSteps
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement, Store
from proxy.storage.tombstones import Tombstone
from tests.databases import postgresql_in_soak
from tests.features.erasure.erasing import erasure_of
from tests.features.jobs.job_kills import expect_one_of_each
from tests.features.jobs.job_rig import (
    content,
    job,
    job_with,
    jobs_inside,
    kind_of,
    new_chapters,
    new_job,
    text_of,
    words_of,
)
from tests.features.jobs.test_retention import retention
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.owning import clone
from tests.sound import decoded
from tests.tones import words

pytestmark = pytest.mark.slow

POINTS = {
    "sqlite": ("before encoded", "after encoded", "before file rows"),
    "postgresql": ("in encoding", "after file rows"),
}


@pytest.fixture
def small_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_writer, "BLOB_BYTES", 8192)


class Encoding:
    """The last step of a server's jobs, which stops after its first blob until it may go on."""

    def __init__(self, server: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_there, self.goes_on = asyncio.Event(), asyncio.Event()
        self.by = list[FileWriter]()
        (self.kind,) = [kind for kind in server.worker.task_kinds if isinstance(kind, FileSteps)]
        put = FileWriter.put

        async def put_and_wait(writer: FileWriter, *arguments: object) -> EncodedBlob:
            self.by.append(writer)
            row = await put(writer, *arguments)  # type: ignore[arg-type]
            self.is_there.set()
            await self.goes_on.wait()
            return row

        monkeypatch.setattr(FileWriter, "put", put_and_wait)


async def blobs(store: Store) -> set[str]:
    return {row["digest"] for row in await store.read("SELECT digest FROM blobs")}


def files(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "data" / "voices").rglob("*") if path.is_file()}


async def test_a_long_file_is_kept_in_pieces_and_read_as_one(tmp_path: Path, small_blobs: None) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await new_job(server, text_of(6), response_format="flac")
        await job_with(server, made["id"], "done", "failed")
        rows = await server.worker.store.read("SELECT bytes FROM job_encoded ORDER BY number")
        assert len(rows) > 3
        whole = (await content(server, made["id"])).content
        assert sum(row["bytes"] for row in rows) == len(whole)
        assert words(*decoded(whole, "flac")) == words_of(6)
        border = rows[0]["bytes"]
        part = await content(server, made["id"], range=f"bytes={border - 3}-{border + 2}")
        assert part.content == whole[border - 3 : border + 3]


@postgresql_in_soak
async def test_the_sound_of_steps_stays_beside_the_file(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store = server.worker.store
        made = await new_job(server, text_of(3), response_format="opus")
        other = await new_job(server, text_of(2), response_format="wav")
        for each in (made, other):
            await job_with(server, each["id"], "done")
        before = await job(server, made["id"]), (await content(server, made["id"])).content
        # Each job's text, what is told of five steps, five sounds, and a file.
        assert len(await blobs(store)) == 2 + 5 + 5 + 1
        await retention(server).delete_old()
        # A job that is said again takes the sounds over.
        assert len(await blobs(store)) == 2 + 5 + 5 + 1
        assert files(tmp_path) == await blobs(store)
        assert (await job(server, made["id"]), (await content(server, made["id"])).content) == before
        assert (await server.ask("GET", f"/v1/jobs/{made['id']}/subtitles")).status_code == 200
        assert words(*decoded((await content(server, other["id"])).content, "wav")) == words_of(2)
        assert (await server.ask("DELETE", f"/v1/jobs/{made['id']}")).status_code == 200
        assert (await server.ask("DELETE", f"/v1/jobs/{other['id']}")).status_code == 200
        assert await blobs(store) == files(tmp_path) == set()
        assert await store.read("SELECT * FROM job_encoded") == []


@postgresql_in_soak
@pytest.mark.parametrize("ending", ["cancel", "delete"])
async def test_an_end_in_mid_encoding_leaves_nothing_of_it(
    tmp_path: Path, store_url: str, small_blobs: None, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    # The step that is halted ends after the answer.
    monkeypatch.setattr("proxy.features.jobs.core.steps._CANCEL_WAIT_S", 0.1)
    async with jobs_inside(tmp_path, store_url) as server:
        store, halted = server.worker.store, Encoding(server, monkeypatch)
        made = await new_job(server, text_of(6), response_format="flac")
        await halted.is_there.wait()
        shown = await job(server, made["id"])
        assert (shown["status"], shown["steps_done"]) == ("running", 6), "it ends with its file alone"
        known = await blobs(store)
        ended = halted.kind.ended
        if ending == "cancel":
            assert (await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")).status_code == 200
        else:
            assert (await server.ask("DELETE", f"/v1/jobs/{made['id']}")).status_code == 200
        halted.goes_on.set()
        await ended.wait()
        assert await store.read("SELECT * FROM job_encoded") == []
        assert len(await blobs(store)) == (len(known) - 1 if ending == "cancel" else 0)
        assert files(tmp_path) == await blobs(store)
        if ending == "delete":
            return
        refused = await content(server, made["id"])
        assert (refused.status_code, "try the job again" in envelope(refused)["message"]) == (409, True)
        await server.ask("POST", f"/v1/jobs/{made['id']}/retry")
        done = await job_with(server, made["id"], "done", "failed")
        assert (done["status"], len(await server.usage())) == ("done", 6)
        assert words(*decoded((await content(server, made["id"])).content, "flac")) == words_of(6)


@pytest.mark.parametrize("has_heard", [True, False])
async def test_a_voice_that_is_erased_in_mid_encoding_is_in_no_file(
    tmp_path: Path, store_url: str, small_blobs: None, monkeypatch: pytest.MonkeyPatch, has_heard: bool
) -> None:
    """Also where another server has erased it, and the sound that this one reads is still there."""
    async with jobs_inside(tmp_path, store_url) as server:
        store, voice = server.worker.store, (await clone(server))["id"]
        sample, halted = await blobs(store), Encoding(server, monkeypatch)
        made = await new_job(server, text_of(6), response_format="flac", voice=voice)
        await halted.is_there.wait()
        if has_heard:
            assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
            await erasure_of(server.worker).finish_interrupted()
        else:
            tombstone = Tombstone(
                subject=voice, account=server.account.id, digests=(), began=await store.now(), pending=()
            )
            assert await erase_subject(store, tombstone)
        halted.goes_on.set()
        failed = await job_with(server, made["id"], "done", "failed")
        assert (failed["status"], "erased" in failed["error"]) == ("failed", True)
        assert await store.read("SELECT * FROM job_encoded") == []
        assert (await content(server, made["id"])).status_code == 409
        await retention(server).delete_old()
        openable = await store.read("SELECT digest FROM blobs WHERE wrapped <> ''")
        assert len({row["digest"] for row in openable} - sample) == 1, "the text"


async def test_an_erasure_takes_the_files_in_which_the_voice_speaks(tmp_path: Path, store_url: str) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store, voice = server.worker.store, (await clone(server))["id"]
        made = await new_chapters(server, response_format="opus", voice=voice, files="chapters")
        other = await new_job(server, text_of(1), response_format="opus")
        for each in (made, other):
            await job_with(server, each["id"], "done")
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        await erasure_of(server.worker).finish_interrupted()
        rows = await store.read("SELECT job FROM job_encoded")
        assert [row["job"] for row in rows] == [other["id"]]
        assert files(tmp_path) == await blobs(store)
        assert (await content(server, made["id"])).status_code == 409
        assert (await content(server, other["id"])).status_code == 200


async def test_who_has_lost_its_lease_writes_no_file(
    tmp_path: Path, store_url: str, small_blobs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        store, halted = server.worker.store, Encoding(server, monkeypatch)
        made = await new_job(server, text_of(3), response_format="flac")
        await halted.is_there.wait()
        await store.write(
            Statement("UPDATE job_steps SET fence = fence + 1, lease = 0 WHERE kind = 'file'"),
        )
        ended = halted.kind.ended
        halted.goes_on.set()
        await ended.wait()
        done = await job_with(server, made["id"], "done", "failed")
        assert done["status"] == "done"
        (step,) = await store.read("SELECT fence, state FROM job_steps WHERE kind = 'file'")
        assert (step["fence"], step["state"]) == (3, "done")
        assert words(*decoded((await content(server, made["id"])).content, "flac")) == words_of(3)
        assert (await verify(store)).is_clean


@postgresql_in_soak
@pytest.mark.parametrize("keep_s", [0.0, 3600.0])
async def test_a_blob_is_kept_however_long_an_encoding_takes(
    tmp_path: Path, store_url: str, small_blobs: None, monkeypatch: pytest.MonkeyPatch, keep_s: float
) -> None:
    """The vault drops after an hour what nothing names. What is dropped all the same is made anew: that is
    noticed while the rest is encoded, and at the latest before the end."""
    async with jobs_inside(tmp_path, store_url) as server:
        store, vault = server.worker.store, server.worker.open_features.context.find(Vault)
        monkeypatch.setattr(encoding, "_PROTECT_EVERY_S", keep_s)
        halted = Encoding(server, monkeypatch)
        made = await new_job(server, text_of(6), response_format="flac")
        await halted.is_there.wait()
        ended = halted.kind.ended
        await store.write(Statement("UPDATE blobs SET created = 0"))
        await vault.tidy()
        halted.goes_on.set()
        await ended.wait()
        assert (await job(server, made["id"]))["status"] == "running"
        if not keep_s:
            assert halted.by.count(halted.by[0]) == 1, "it makes no more of what is to be made anew"
        halted.kind.look_now()
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        assert words(*decoded((await content(server, made["id"])).content, "flac")) == words_of(6)
        rows = await store.read(
            "SELECT min(created) AS created FROM blobs WHERE digest IN (SELECT digest FROM job_encoded)"
        )
        assert rows[0]["created"] > 0


async def test_of_a_job_that_was_killed_in_its_last_step_the_file_is_whole(
    tmp_path: Path, store_url: str
) -> None:
    points = POINTS[store_url.partition(":")[0]]
    await expect_one_of_each(tmp_path, store_url, [(point, 1) for point in points], 3, "flac")


@postgresql_in_soak
async def test_a_job_that_was_cut_short_is_encoded_when_it_has_been_tried_again(
    tmp_path: Path, store_url: str
) -> None:
    async with jobs_inside(tmp_path, store_url) as server:
        steps, store = kind_of(server), server.worker.store
        steps.most_at_once = 0
        made = await new_job(server, text_of(3), response_format="opus")
        assert (await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")).status_code == 200
        rows = await store.read("SELECT DISTINCT state FROM job_steps")
        assert [row["state"] for row in rows] == ["canceled"]
        assert (await server.ask("POST", f"/v1/jobs/{made['id']}/retry")).status_code == 200
        (step,) = await store.read("SELECT state FROM job_steps WHERE kind = 'file'")
        assert step["state"] == "later"
        steps.most_at_once = 4
        steps.look_now()
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        assert words(*decoded((await content(server, made["id"])).content, "opus")) == words_of(3)
