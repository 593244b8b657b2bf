"""The runs of an engine elsewhere: none begins twice, and each is charged once. On each kind of database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from policies.cycles import start_of_day
from proxy.config.sections import VaultSection
from proxy.errors import DayUsedUp, JobUsedUp, from_engine
from proxy.features.jobs.remote import records, runs
from proxy.features.jobs.remote.links import Links
from proxy.features.jobs.remote.records import Ceilings, Run
from proxy.features.jobs.remote.runs import RunnerMetrics, Runs
from proxy.features.jobs.remote.work import SpeechPiece
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement, StorageUnreachable, Store
from speech_engine import (
    EngineFailed,
    EngineUnavailable,
    EngineVoice,
    Finished,
    Segment,
    Speak,
    SpeechJob,
    UnsupportedRequest,
)
from speech_engine.host.messages import Failed
from speech_engine.host.remote_pieces import FarIntroduction, RemoteFrame
from speech_engine.runner import RemotePiece, RemoteSample
from tests.features.jobs.remote.rented import MOST_USD, USD, Rented, rented
from tests.waiting import soon

pytestmark = pytest.mark.slow

MICRO = 1_000_000
NO_CEILINGS = Ceilings(1000 * MICRO, 1000 * MICRO)
JOB = SpeechJob(
    id="request",
    tenant="acct_a",
    model="standard",
    voice=EngineVoice("tone"),
    segments=(Segment("Word one.", 0, 9),),
    language="en",
    of_job="job_1",
    step="job_1_5_00001.0",
)
PIECE = SpeechPiece("job_1_5_00001.0.far", "digest", JOB)


class Rig:
    """The runs of one engine over a store, and the machines."""

    def __init__(self, store: Store, machines: Rented, ceilings: Ceilings = NO_CEILINGS) -> None:
        self.store = store
        self.machines = machines
        self.registry = CollectorRegistry()
        self.metrics = RunnerMetrics(self.registry)
        self.runs = self.another(ceilings)

    def another(self, ceilings: Ceilings = NO_CEILINGS, engine: str = "far") -> Runs:
        """What another worker would have."""
        links, metrics = Links(Vault(self.store, VaultSection(), Path())), self.metrics
        return Runs(self.store, engine, "rented", self.machines, ceilings, links, metrics)

    async def latest(self) -> Run:
        run = await records.find_latest_run(self.store, PIECE.name)
        assert run is not None
        return run

    async def leave(self, piece: SpeechPiece) -> None:
        """Ask for a piece, and leave as soon as its name is known, as a killed worker would."""
        asking = asyncio.create_task(self.runs.frames(piece))
        await soon(
            lambda: records.find_latest_run(self.store, piece.name),
            lambda run: run is not None and run.state == "running",
        )
        asking.cancel()
        await asyncio.wait([asking])

    async def costs(self) -> dict[str, int]:
        rows = await self.store.read("SELECT request, micro_usd FROM costs ORDER BY request")
        return {row["request"]: row["micro_usd"] for row in rows}

    async def pass_(self, *moments: str) -> None:
        """Let moments of all runs be past: `asked_by`, `over_at`, `ended`."""
        for moment in moments:
            await self.store.write(
                Statement(f"UPDATE remote_runs SET {moment} = 1 WHERE {moment} IS NOT NULL")
            )


@asynccontextmanager
async def rig(store: Store, ceilings: Ceilings = NO_CEILINGS) -> AsyncIterator[Rig]:
    async with rented() as machines:
        opened = Rig(store, machines, ceilings)
        yield opened
        assert machines.doubles == []


def is_whole(frames: list[RemoteFrame]) -> bool:
    return isinstance(frames[0], FarIntroduction) and isinstance(frames[-1], Finished)


async def test_without_an_address_of_ours_what_does_not_fit_is_refused(store: Store) -> None:
    async with rig(store) as at:
        at.machines.limits = replace(at.machines.limits, most_bytes=1000)
        piece = PIECE._replace(samples=(RemoteSample(digest="abc", pcm=b"12" * 1000),))
        with pytest.raises(UnsupportedRequest, match="too long for the runner") as refused:
            await at.runs.frames(piece)
        assert "server.public_url" in refused.value.reason
        assert (at.machines.begun, await records.find_latest_run(store, PIECE.name)) == ([], None)


async def test_a_piece_runs_once_and_is_charged_once(store: Store) -> None:
    async with rig(store) as at:
        first = await at.runs.frames(PIECE)
        assert is_whole(first)
        # Whoever was killed before its sound was kept asks again, and gets the same.
        assert await at.another().frames(PIECE) == first
        assert at.machines.begun == [f"{PIECE.name}.1"]
        assert await at.costs() == {f"{PIECE.name}.1": USD * MICRO}
        assert (await at.latest()).state == "done"
        sent = at.machines.works[f"{PIECE.name}.1"].work
        assert isinstance(sent, Speak)
        assert (sent.job.tenant, sent.job.of_job, sent.job.step) == ("server", "", "")


async def test_a_run_without_a_known_cost_is_charged_at_the_most(store: Store) -> None:
    async with rig(store) as at:
        at.machines.usd = None
        await at.runs.frames(PIECE)
        assert await at.costs() == {f"{PIECE.name}.1": MOST_USD * MICRO}


async def test_who_comes_after_a_kill_looks_at_the_run_that_is_there(store: Store) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        assert (await at.latest()).state == "running"
        at.machines.may_end.set()
        assert is_whole(await at.another().frames(PIECE))
        assert at.machines.begun == [f"{PIECE.name}.1"]


async def test_two_holders_begin_one_run(store: Store) -> None:
    async with rig(store) as at:
        results = await asyncio.gather(
            *(at.another().frames(PIECE) for _ in range(8)), return_exceptions=True
        )
        assert at.machines.begun == [f"{PIECE.name}.1"]
        assert all(isinstance(each, (list, EngineUnavailable)) for each in results), results
        assert any(isinstance(each, list) for each in results)


@pytest.mark.parametrize("fate", ["lost", "nothing"])
async def test_what_may_have_begun_is_not_begun_again_before_it_surely_is_over(
    store: Store, fate: str
) -> None:
    async with rig(store) as at:
        at.machines.submits = [fate]
        with pytest.raises(EngineUnavailable, match="not known"):
            await at.runs.frames(PIECE)
        for _ in range(2):
            with pytest.raises(EngineUnavailable, match="being begun") as failure:
                await at.another().frames(PIECE)
        assert failure.value.retry_after_s is not None
        assert 0 < failure.value.retry_after_s <= 60
        await at.pass_("asked_by")
        with pytest.raises(EngineUnavailable, match="not known") as failure:
            await at.another().frames(PIECE)
        assert failure.value.retry_after_s is not None
        assert 60 < failure.value.retry_after_s <= 660
        assert len(at.machines.begun) == (fate == "lost")
        await at.pass_("over_at")
        at.machines.alive.clear()
        assert is_whole(await at.another().frames(PIECE))
        assert at.machines.begun[-1] == f"{PIECE.name}.2"
        # Nobody knows of the first one: it is charged as if it had run to its last second.
        assert await at.costs() == {
            f"{PIECE.name}.1": MOST_USD * MICRO,
            f"{PIECE.name}.2": USD * MICRO,
        }


async def test_what_was_begun_without_an_answer_is_found_by_its_key(store: Store) -> None:
    async with rig(store) as at:
        at.machines.submits, at.machines.finds = ["lost"], "yes"
        with pytest.raises(EngineUnavailable):
            await at.runs.frames(PIECE)
        await at.pass_("asked_by")
        assert is_whole(await at.another().frames(PIECE))
        assert at.machines.begun == [f"{PIECE.name}.1"]


async def test_what_surely_was_not_begun_costs_nothing_and_begins_at_once(store: Store) -> None:
    async with rig(store) as at:
        at.machines.submits, at.machines.finds = ["nothing", "refused"], "yes"
        with pytest.raises(EngineUnavailable):
            await at.runs.frames(PIECE)
        await at.pass_("asked_by")
        with pytest.raises(EngineUnavailable, match="No machine is free") as failure:
            await at.runs.frames(PIECE)
        assert failure.value.retry_after_s == 3.0
        assert is_whole(await at.runs.frames(PIECE))
        assert at.machines.begun == [f"{PIECE.name}.3"]
        assert await at.costs() == {f"{PIECE.name}.3": USD * MICRO}


async def test_nobody_begins_a_second_run_while_the_provider_is_away(store: Store) -> None:
    async with rig(store) as at:
        at.machines.submits, at.machines.finds = ["lost"], "away"
        with suppress(EngineUnavailable):
            await at.runs.frames(PIECE)
        await at.pass_("asked_by")
        with pytest.raises(EngineUnavailable):
            await at.runs.frames(PIECE)
        assert (await at.latest()).state == "starting"


@pytest.mark.parametrize("how", ["expired", "gone at once"])
async def test_a_result_that_is_gone_is_made_anew_and_both_are_charged(store: Store, how: str) -> None:
    async with rig(store) as at:
        await at.runs.frames(PIECE)
        if how == "expired":
            await at.pass_("ended")
        else:
            at.machines.forgotten.add(f"{PIECE.name}.1")
            with pytest.raises(EngineFailed):
                await at.runs.frames(PIECE)
        assert is_whole(await at.runs.frames(PIECE))
        assert at.machines.begun == [f"{PIECE.name}.1", f"{PIECE.name}.2"]
        assert await at.costs() == {f"{PIECE.name}.{number}": USD * MICRO for number in (1, 2)}


async def test_the_result_of_another_text_is_not_taken(store: Store) -> None:
    async with rig(store) as at:
        await at.runs.frames(PIECE)
        assert is_whole(await at.runs.frames(PIECE._replace(digest="another")))
        assert at.machines.begun == [f"{PIECE.name}.{number}" for number in (1, 2)]


async def test_another_text_ends_the_run_of_the_old_one_first(store: Store) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        at.machines.may_end.set()
        newer = PIECE._replace(digest="another", job=replace(JOB, segments=(Segment("Word two.", 0, 9),)))
        assert is_whole(await at.runs.frames(newer))
        assert at.machines.canceled == [f"{PIECE.name}.1"]
        assert await at.costs() == {f"{PIECE.name}.{number}": USD * MICRO for number in (1, 2)}


async def test_a_failure_of_the_engine_is_told_and_the_next_try_begins_anew(store: Store) -> None:
    async with rig(store) as at:
        no_voice = PIECE._replace(job=replace(JOB, voice=EngineVoice("nobody")))
        for number in (1, 2):
            frames = await at.runs.frames(no_voice)
            assert isinstance(frames[-1], Failed)
            assert frames[-1].error == "VoiceNotFound"
            assert (await at.latest()).state == "failed"
            assert len(at.machines.begun) == number


async def test_a_result_of_another_version_is_a_failure(store: Store) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        key = f"{PIECE.name}.1"
        await soon(lambda: at.machines.is_over(key))
        at.machines.spoil(key, RemotePiece(number=0, data=b"\x91\x81\xa4type\xa3new", is_last=True))
        at.machines.may_end.set()
        with pytest.raises(EngineFailed) as failure:
            await at.runs.frames(PIECE)
        assert "another version" in failure.value.detail
        assert await at.costs() == {key: USD * MICRO}


@pytest.mark.parametrize("broken", [{"is_last": False}, {"number": 1}], ids=["last", "first"])
async def test_a_result_without_its_first_or_last_piece_is_lost_and_the_next_try_begins_anew(
    store: Store, broken: dict[str, Any]
) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        key = f"{PIECE.name}.1"
        await soon(lambda: at.machines.is_over(key))
        answer = at.machines.remote_worker.find(key)
        assert answer is not None
        at.machines.spoil(key, replace(answer.pieces[-1], **broken))
        at.machines.may_end.set()
        with pytest.raises(EngineFailed) as failure:
            await at.runs.frames(PIECE)
        assert failure.value.detail.startswith("lost: ")
        assert (await at.latest()).state == "lost"
        assert is_whole(await at.runs.frames(PIECE))
        assert at.machines.begun == [key, f"{PIECE.name}.2"]
        assert await at.costs() == dict.fromkeys(at.machines.begun, USD * MICRO)


async def test_a_result_over_the_limit_ends_its_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        key = f"{PIECE.name}.1"
        await soon(lambda: at.machines.is_over(key))
        # A run past its time is looked at once more: without a limit it would be lost at this look.
        await at.pass_("over_at")
        monkeypatch.setattr(runs, "_MOST_RESULT_BYTES", 100)
        with pytest.raises(EngineFailed) as failure:
            await at.runs.frames(PIECE)
        assert failure.value.detail == "failed: the result is too long"
        assert at.machines.canceled == [key]
        assert await at.costs() == {key: USD * MICRO}


async def test_a_run_is_refused_if_its_row_took_too_long(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may soon ask what became of it, so a late `submit` could make two."""
    clock, real = SimpleNamespace(now=0.0), records.begin_run

    async def begin(to: Store, run: Run, ceilings: Ceilings) -> bool:
        clock.now += runs.SUBMIT_S
        return await real(to, run, ceilings)

    async with rig(store) as at:
        with monkeypatch.context() as slow:
            slow.setattr(records, "begin_run", begin)
            slow.setattr(runs, "time", SimpleNamespace(monotonic=lambda: clock.now))
            with pytest.raises(EngineUnavailable, match="database was too slow"):
                await at.runs.frames(PIECE)
        assert (at.machines.begun, (await at.latest()).state) == ([], "refused")
        # It holds no money, and the next one begins at once.
        assert is_whole(await at.runs.frames(PIECE))
        assert await at.costs() == {f"{PIECE.name}.2": USD * MICRO}


async def test_no_run_begins_over_the_ceiling_of_its_job(store: Store) -> None:
    async with rig(store, Ceilings(1000 * MICRO, int(MOST_USD * MICRO))) as at:
        await at.runs.frames(PIECE)
        next_ = PIECE._replace(name="job_1_5_00002.0.far")
        with pytest.raises(JobUsedUp) as failure:
            await at.runs.frames(next_)
        told = from_engine(failure.value)
        assert (told.status, told.code) == (403, "job_budget_used_up")
        # Another job has its own.
        other = PIECE._replace(name="job_2_5_00001.0.far", job=replace(JOB, of_job="job_2"))
        assert is_whole(await at.runs.frames(other))
        assert len(at.machines.begun) == 2


async def test_no_run_begins_over_the_ceiling_of_a_day(store: Store) -> None:
    async with rig(store, Ceilings(int(MOST_USD * MICRO), 1000 * MICRO)) as at:
        await at.runs.frames(PIECE)
        next_ = PIECE._replace(name="job_1_5_00002.0.far")
        with pytest.raises(DayUsedUp) as failure:
            await at.runs.frames(next_)
        assert failure.value.retry_after_s is not None
        assert 0 < failure.value.retry_after_s <= 86_400
        assert at.machines.begun == [f"{PIECE.name}.1"]
        # What was spent on the day before counts no longer, neither for the engine nor for the account.
        day = start_of_day(await store.now())
        await store.write(Statement("UPDATE costs SET at = :before", {"before": day - 1}))
        assert is_whole(await at.runs.frames(next_))


async def test_one_account_uses_no_more_than_its_share_of_a_day(store: Store) -> None:
    """Half of the day, or what is configured, and all of it while nobody else is there."""
    day = int(4 * MOST_USD * MICRO)
    runs = 0
    for share, accounts, most in ((None, 1, 4), (None, 2, 2), (int(MOST_USD * MICRO), 1, 1), (day, 2, 4)):
        async with rig(store, Ceilings(day, 1000 * MICRO, share)) as at:
            await store.write(Statement("DELETE FROM costs"), Statement("DELETE FROM accounts"))
            for number in range(accounts + 1):
                closed = "1" if number == accounts else "NULL"
                columns = "INSERT INTO accounts (id, name, plan, created, closed)"
                values = f"VALUES (:id, :id, 'free', 0, {closed})"
                await store.write(Statement(f"{columns} {values}", {"id": f"acct_{number}"}))
            at.machines.usd = MOST_USD
            told, begun = "", -1
            while not told:
                begun, runs = begun + 1, runs + 1
                job = replace(JOB, tenant="acct_0", of_job=f"job_{runs}", step=f"job_{runs}_5_00001.0")
                piece = PIECE._replace(name=f"job_{runs}_5_00001.0.far", job=job)
                try:
                    await at.runs.frames(piece)
                except DayUsedUp as used_up:
                    told, left_s = used_up.message, used_up.retry_after_s
            assert (begun, "for this account" in told) == (most, most < 4), (share, accounts)
            assert left_s is not None
            assert 0 < left_s <= (3_600 if most < 4 else 86_400)
            if most < 4:
                # Another account, and what introduces the engine, have the rest of the day.
                other = PIECE._replace(name=f"other_{runs}", job=replace(JOB, tenant="b", of_job=f"b_{runs}"))
                assert is_whole(await at.runs.frames(other))
                assert await at.runs.frames(PIECE._replace(name=f"hello.far.{runs}", job=None))


async def test_what_an_account_holds_may_come_free(store: Store) -> None:
    async with rig(store, Ceilings(1000 * MICRO, 1000 * MICRO, int(MOST_USD * MICRO))) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        with pytest.raises(EngineUnavailable, match="held for other work"):
            await at.runs.frames(PIECE._replace(name="job_1_5_00002.0.far"))
        at.machines.may_end.set()


async def test_runs_that_begin_at_once_do_not_pass_a_ceiling_together(store: Store) -> None:
    async with rig(store, Ceilings(int(3 * MOST_USD * MICRO), 1000 * MICRO)) as at:
        at.machines.may_end.clear()
        pieces = [
            PIECE._replace(name=f"job_1_5_{number:05}.0.far", job=replace(JOB, tenant=f"acct_{number}"))
            for number in range(10)
        ]
        ceilings = Ceilings(int(3 * MOST_USD * MICRO), 1000 * MICRO)
        asking = [asyncio.create_task(at.another(ceilings).frames(piece)) for piece in pieces]
        await soon(lambda: sum(task.done() for task in asking) == 7)
        assert len(at.machines.begun) == 3
        at.machines.may_end.set()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert sum(isinstance(each, EngineUnavailable) for each in ended) == 7


async def test_a_recording_leaves_only_while_it_is_kept(store: Store) -> None:
    async with rig(store) as at:
        run = Run(
            id="p.1",
            piece="p",
            number=1,
            engine="far",
            runner="rented",
            account="acct_a",
            job="",
            step="",
            content="d",
            samples=" gone ",
            begun=5,
            asked_by=5,
            over_at=5,
            most_micro_usd=1,
        )
        assert not await records.begin_run(store, run, NO_CEILINGS)
        assert await records.begin_run(store, replace(run, samples=""), NO_CEILINGS)
        assert at.machines.begun == []


async def test_who_leaves_while_the_provider_is_asked_still_notes_the_name(store: Store) -> None:
    async with rig(store) as at:
        at.machines.may_answer.clear()
        asking = asyncio.create_task(at.runs.frames(PIECE))
        await soon(lambda: at.machines.begun)
        asking.cancel()
        at.machines.may_answer.set()
        await asyncio.wait([asking])
        assert (await at.latest()).state == "running"


async def test_what_a_recording_has_made_is_forgotten_by_the_provider(store: Store) -> None:
    async with rig(store) as at:
        await at.runs.frames(PIECE)
        await store.write(Statement("UPDATE remote_runs SET samples = ' one two '"))
        await at.runs.drop_samples(["three"])
        assert at.machines.canceled == []
        await at.runs.drop_samples(["two"])
        assert at.machines.canceled == [f"{PIECE.name}.1"]
        # It cost what it cost, once.
        assert await at.costs() == {f"{PIECE.name}.1": USD * MICRO}
        assert is_whole(await at.runs.frames(PIECE))
        assert len(at.machines.begun) == 2


async def test_an_erasure_waits_for_what_may_have_begun(store: Store) -> None:
    async with rig(store) as at:
        at.machines.submits = ["lost"]
        with suppress(EngineUnavailable):
            await at.runs.frames(PIECE)
        await store.write(Statement("UPDATE remote_runs SET samples = ' one '"))
        for _ in range(2):
            with pytest.raises(EngineUnavailable):
                await at.runs.drop_samples(["one"])
            await at.pass_("asked_by")
        await at.pass_("over_at")
        await at.runs.drop_samples(["one"])
        assert (await at.latest()).state == "lost"


async def test_a_run_is_charged_by_one_of_two_who_see_its_end(store: Store) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        run = await at.latest()
        assert await records.end_run(store, run, "done", 7)
        assert not await records.end_run(store, run, "lost", 9)
        assert await at.costs() == {run.id: 7}
        assert (await at.latest()).micro_usd == 7


async def test_a_result_that_is_there_is_waited_for_while_the_provider_is_away(store: Store) -> None:
    async with rig(store) as at:
        first = await at.runs.frames(PIECE)
        await at.pass_("asked_by", "over_at")
        at.machines.away = 3
        assert await at.another().frames(PIECE) == first
        assert len(at.machines.begun) == 1


async def test_a_run_that_nobody_can_look_at_is_lost_when_it_surely_is_over(store: Store) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        await at.pass_("asked_by", "over_at")
        at.machines.away, at.machines.usd = 1, None
        with pytest.raises(EngineFailed):
            await at.another().frames(PIECE)
        # Should it run in spite of all, the next one does not begin beside it.
        assert at.machines.alive == set()
        assert (await at.latest()).state == "lost"
        assert await at.costs() == {f"{PIECE.name}.1": MOST_USD * MICRO}


async def test_a_result_that_can_be_had_no_more_is_not_waited_for(store: Store) -> None:
    async with rig(store) as at:
        await at.runs.frames(PIECE)
        at.machines.away = 1_000_000
        asking = asyncio.create_task(at.another().frames(PIECE))
        await soon(lambda: at.machines.away < 1000000)
        at.machines.limits = msgspec.structs.replace(at.machines.limits, kept_s=0.0)
        with pytest.raises(EngineFailed):
            async with asyncio.timeout(30.0):
                await asking
        assert (await at.latest()).state == "lost"
        assert await at.costs() == {f"{PIECE.name}.1": USD * MICRO}


@pytest.mark.parametrize("usd", [float("inf"), float("nan"), 1e300, -0.01])
async def test_what_is_no_price_is_charged_at_the_most(store: Store, usd: float) -> None:
    async with rig(store) as at:
        at.machines.usd = usd
        await at.runs.frames(PIECE)
        assert await at.costs() == {f"{PIECE.name}.1": MOST_USD * MICRO}


async def test_a_result_without_a_frame_is_none(store: Store) -> None:
    async with rig(store) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        key = at.machines.begun[0]
        await soon(lambda: at.machines.is_over(key))
        at.machines.spoil(key, RemotePiece(number=0, data=b"\x90", is_last=True))
        at.machines.may_end.set()
        with pytest.raises(EngineFailed):
            await at.runs.frames(PIECE)
        assert (await at.latest()).state == "failed"
        # The next try is another run.
        assert is_whole(await at.runs.frames(PIECE))


async def test_a_recording_is_forgotten_as_long_as_the_provider_may_have_it(store: Store) -> None:
    """Longer than its result can be had; and an erasure that was broken off goes on where it was."""
    async with rig(store) as at:
        for number in range(3):
            await at.runs.frames(PIECE._replace(name=f"job_1_0000{number}_5.0.far"))
        at.machines.limits = msgspec.structs.replace(at.machines.limits, kept_s=0.0)
        await store.write(Statement("UPDATE remote_runs SET samples = ' one ', state = 'failed'"))
        at.machines.cancels_left = 2
        with pytest.raises(EngineUnavailable):
            await at.runs.drop_samples(["one"])
        assert len(at.machines.canceled) == 2
        at.machines.cancels_left = None
        await at.runs.drop_samples(["one"])
        assert sorted(at.machines.canceled) == sorted(at.machines.begun)
        await at.runs.drop_samples(["one"])
        assert len(at.machines.canceled) == 3


async def test_the_ceiling_of_a_job_is_that_of_each_engine(store: Store) -> None:
    most = Ceilings(1000 * MICRO, int(MOST_USD * MICRO))
    async with rig(store, most) as at:
        at.machines.may_end.clear()
        await at.leave(PIECE)
        other = at.another(most, "other")
        at.machines.ends_at_once = ("job_1_5_00001.0.other",)
        assert is_whole(await other.frames(PIECE._replace(name="job_1_5_00001.0.other")))


async def test_the_name_is_written_although_the_database_was_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = records.write_run_name, [1]

    async def name(to: Store, run: Run, called: str) -> None:
        if left and left.pop():
            raise StorageUnreachable("It is away.")
        await real(to, run, called)

    monkeypatch.setattr(records, "write_run_name", name)
    async with rig(store) as at:
        assert is_whole(await at.runs.frames(PIECE))
        assert left == []
