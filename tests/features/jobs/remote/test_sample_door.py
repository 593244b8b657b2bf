"""Recordings that do not fit into a runner's request: whoever has the link of an open run gets one, and
nobody else."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from msgspec.structs import replace
from starlette.types import Message

from proxy.features.jobs.remote import links
from proxy.features.jobs.remote.links import MOST_SAMPLE_READS, SAMPLES_PATH, Links
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement
from speech_engine.runner import RemoteSample
from tests.features.jobs.job_rig import content, job_with, new_job, said
from tests.features.jobs.remote.remote_rig import far, runs
from tests.features.jobs.remote.rented import LIMITS, Rented, rented
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.owning import clone
from tests.waiting import soon

pytestmark = pytest.mark.slow

URL = "https://voxgate.test"
FEW = replace(LIMITS, most_bytes=20_000)


class Rig(NamedTuple):
    server: Inside
    machines: Rented

    async def get(self, path: str) -> httpx2.Response:
        return await self.server.ask("GET", path, key="")

    async def running(self) -> tuple[str, RemoteSample]:
        """Begin a job of a voice that was cloned, whose run does not end. Return both's ids."""
        voice = (await clone(self.server))["id"]
        self.machines.may_end.clear()
        await new_job(self.server, "Word 0.", model="far", voice=voice)
        await soon(lambda: runs(self.server), lambda found: list(found.values()) == ["running"])
        (sample,) = self.machines.works[self.machines.begun[-1]].samples
        return voice, sample

    async def is_nothing(self, path: str) -> bool:
        """Whether this is answered as what never was."""
        never, found = await self.get(f"{SAMPLES_PATH}never"), await self.get(path)
        assert never.status_code == 404
        assert found.content == never.content
        return found.status_code == 404


@asynccontextmanager
async def fetching(folder: Path, url: str = "sqlite", public_url: str = URL) -> AsyncIterator[Rig]:
    """A worker, and machines that fetch from it."""
    rigs: list[Rig] = []

    async def fetch(sample: RemoteSample) -> bytes:
        answer = await rigs[0].get(path_of(sample))
        assert answer.status_code == 200
        return answer.content

    async with rented(limits=FEW, fetch=fetch) as machines:
        async with far(folder, url, machines=machines, public_url=public_url) as (server, _):
            rigs.append(Rig(server, machines))
            yield rigs[0]
            machines.may_end.set()


def path_of(sample: RemoteSample) -> str:
    assert sample.url.startswith(f"{URL}{SAMPLES_PATH}")
    return sample.url.removeprefix(URL)


async def test_the_far_end_fetches_what_did_not_fit(tmp_path: Path, store_url: str) -> None:
    async with fetching(tmp_path, store_url) as rig:
        voice = (await clone(rig.server))["id"]
        made = await new_job(rig.server, "Word 0.", model="far", voice=voice)
        assert (await job_with(rig.server, made["id"], "done", "failed"))["status"] == "done"
        assert said((await content(rig.server, made["id"])).content) == ["Word 0."]
        (sample,) = rig.machines.works[rig.machines.begun[-1]].samples
        assert (sample.pcm, sample.size > 40_000) == (b"", True)
        # Its run is over, and with it the link.
        assert await rig.is_nothing(path_of(sample))
        assert rig.server.account.id not in sample.url


async def test_a_link_leads_to_the_recording_of_its_own_run(tmp_path: Path) -> None:
    async with fetching(tmp_path) as rig:
        _, sample = await rig.running()
        answer = await rig.get(path_of(sample))
        assert answer.status_code == 200
        assert len(answer.content) == sample.size
        assert hashlib.sha256(answer.content).hexdigest() == sample.sha256
        assert answer.headers["cache-control"] == "no-store"


async def test_what_we_have_not_made_leads_nowhere(tmp_path: Path) -> None:
    async with fetching(tmp_path) as rig:
        _, sample = await rig.running()
        path = path_of(sample)
        said_, _, proof = path.rpartition("/")[2].partition(".")
        other = "0" if proof[0] != "0" else "1"
        for wrong in (
            proof,
            said_,
            f"{said_}.",
            f".{proof}",
            f"{said_}.{other}{proof[1:]}",
            f"{said_}.{proof}0",
            f"{said_[:-4]}AAAA.{proof}",
            f"{said_}.{proof}%C3%A9",
            f"{'A' * 2000}.{proof}",
        ):
            assert await rig.is_nothing(f"{SAMPLES_PATH}{wrong}"), wrong
        assert (await rig.get(path)).status_code == 200


async def test_a_link_of_another_run_or_recording_leads_nowhere(tmp_path: Path) -> None:
    async with fetching(tmp_path) as rig:
        _, sample = await rig.running()
        links, key = Links(rig.server.worker.open_features.context.find(Vault), URL), rig.machines.begun[-1]
        ours = await links.link_sample(key, "standard", sample)
        assert ours.url == sample.url
        for made in (
            await links.link_sample(rig.machines.begun[0], "standard", sample),
            await links.link_sample(f"{key}0", "standard", sample),
            await links.link_sample(key, "nobody", sample),
            await links.link_sample(key, "standard", replace(sample, digest="0" * 64)),
            await links.link_sample(key, "standard", replace(sample, digest="%")),
        ):
            assert await rig.is_nothing(path_of(made))


@pytest.mark.parametrize("values", ["over_at = 1", "ended = 1, state = 'canceled'"])
async def test_a_link_ends_with_its_run(tmp_path: Path, store_url: str, values: str) -> None:
    async with fetching(tmp_path, store_url) as rig:
        _, sample = await rig.running()
        assert (await rig.get(path_of(sample))).status_code == 200
        await rig.server.worker.store.write(Statement(f"UPDATE remote_runs SET {values}"))
        assert await rig.is_nothing(path_of(sample))
        await rig.server.worker.store.write(
            Statement("UPDATE remote_runs SET over_at = 1, ended = 1, state = 'lost'")
        )


async def test_a_link_ends_with_its_voice(tmp_path: Path, store_url: str) -> None:
    async with fetching(tmp_path, store_url) as rig:
        voice, sample = await rig.running()
        assert (await rig.server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200
        assert await rig.is_nothing(path_of(sample))


async def test_a_recording_whose_voice_is_erased_stops_leaving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "_BLOCK_BYTES", 10_000)
    async with fetching(tmp_path) as rig:
        voice, sample = await rig.running()
        sent: list[bytes] = []

        async def erase(message: Message) -> None:
            sent.append(message.get("body", b""))
            if len(b"".join(sent)) == 10_000:
                assert (await rig.server.ask("DELETE", f"/v1/audio/voices/{voice}")).status_code == 200

        await rig.server.raw_speech(b"", on_sent=erase, path=path_of(sample), method="GET")
        assert len(b"".join(sent)) == 10_000 < sample.size


async def test_a_recording_whose_row_alone_is_gone_does_not_leave(tmp_path: Path) -> None:
    async with fetching(tmp_path) as rig:
        _, sample = await rig.running()
        await rig.server.worker.store.write(Statement("UPDATE samples SET digest = 'another'"))
        assert await rig.is_nothing(path_of(sample))


async def test_one_recording_leaves_a_few_times_and_no_more(tmp_path: Path) -> None:
    async with fetching(tmp_path) as rig:
        _, sample = await rig.running()
        statuses = {}
        for _ in range(MOST_SAMPLE_READS):
            head = await rig.server.ask("HEAD", path_of(sample), key="")
            assert (head.status_code, head.content) == (200, b""), "it uses up no read"
        for number in range(MOST_SAMPLE_READS + 2):
            statuses[number] = (await rig.get(path_of(sample))).status_code
        # The far end has fetched it once.
        assert list(statuses.values()).count(200) == MOST_SAMPLE_READS - 1
        assert await rig.is_nothing(path_of(sample))


async def test_downloads_at_the_same_time_are_each_counted(tmp_path: Path) -> None:
    async with fetching(tmp_path) as rig:
        _, sample = await rig.running()
        answers = [*await asyncio.gather(*(rig.get(path_of(sample)) for _ in range(4)))]
        answers += [await rig.get(path_of(sample)) for _ in range(MOST_SAMPLE_READS)]
        # The far end has fetched it once.
        assert [answer.status_code for answer in answers].count(200) == MOST_SAMPLE_READS - 1


async def test_downloads_that_wait_are_not_sent_after_the_limit(tmp_path: Path) -> None:
    async with fetching(tmp_path) as rig:
        _, sample = await rig.running()
        # The far end has fetched it once. Two reads are left for four downloads at the same time.
        for _ in range(MOST_SAMPLE_READS - 3):
            assert (await rig.get(path_of(sample))).status_code == 200
        answers = await asyncio.gather(*(rig.get(path_of(sample)) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 404, 404]


async def test_a_key_is_not_asked_for_and_none_helps(tmp_path: Path) -> None:
    async with fetching(tmp_path) as rig:
        answer = await rig.server.ask("GET", f"{SAMPLES_PATH}never")
        assert (answer.status_code, envelope(answer)["code"]) == (404, "not_found")
        assert (await rig.server.ask("POST", f"{SAMPLES_PATH}never", key="")).status_code == 401
