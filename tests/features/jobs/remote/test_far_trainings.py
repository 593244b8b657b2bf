"""Trainings on rented machines: begun once, gone on with run by run, paid once, and gone with their voice."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec
import pytest
from msgspec.structs import replace

from plugins.tone.voice_format import read_voice
from proxy.errors import NotFound, StorageUnavailable
from proxy.features.admin.verify import verify
from proxy.features.jobs.core.encoded_records import EncodedBlob, Role, list_file
from proxy.features.jobs.kinds.training import training_input
from proxy.features.jobs.kinds.training.ending import TrainingEnds
from proxy.features.jobs.kinds.training.trainings import Trainings
from proxy.features.jobs.remote.links import (
    MOST_TRAINING_READS,
    SAMPLES_PATH,
    TRAININGS_PATH,
    Links,
    TrainingEndpoint,
)
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage import trained_models
from proxy.storage.store import Statement
from speech_engine import EngineUnavailable
from speech_engine.host import remote_training, remote_worker
from speech_engine.runner import RunnerLimits
from speech_engine.training import FarPiece, TrainingEnd, TrainingProgress
from tests.databases import postgresql_in_soak
from tests.features.jobs.job_rig import content, job, job_with
from tests.features.jobs.remote import remote_rig
from tests.features.jobs.remote.remote_rig import far, runs, sweeping
from tests.features.jobs.remote.rented import LIMITS, USD, Rented, rented
from tests.features.jobs.remote.training_lines import URL, Lines, short_runs
from tests.features.jobs.training import training_rig
from tests.features.own_voices.test_clips import added
from tests.proxy.api.inside import Inside, envelope
from tests.proxy.api.owning import agree, send
from tests.speech_engine.host.simulated_time import simulated
from tests.waiting import soon

pytestmark = pytest.mark.slow

__all__ = ["short_runs"]
MICRO = 1_000_000
PLANS = """
[plans.paying]
allowance = 1000
prices.training = {{ credits = 400, per = "job" }}
[plans.many]
"""
SLOW, BRISK = b'{"delay_s": 0.05}', b'{"delay_s": 0.02}'


@pytest.fixture(autouse=True)
def few_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", training_rig.RECORDINGS)
    monkeypatch.setattr(remote_training, "PAUSE_S", 0.01)


class Rig(NamedTuple):
    server: Inside
    machines: Rented
    lines: Lines

    @property
    def path(self) -> str:
        """The path of the newest link."""
        training_ = self.machines.works[self.machines.begun[-1]].training
        assert training_ is not None
        return training_.url.removeprefix(URL)

    async def begun(self, **more: Any) -> tuple[str, str]:
        """Return a voice, and the job of its training."""
        voice = await training_rig.voice_to_train(self.server)
        return voice, await training_rig.new_training(self.server, voice, model="far", **more)

    async def standing(self, **more: Any) -> tuple[str, str]:
        """Return a voice, and the job of a training whose machine does nothing. Its run is open."""
        self.machines.stands_still = True
        begun = await self.begun(**more)
        await soon(lambda: runs(self.server), lambda found: "running" in found.values())
        return begun

    async def coming(self, job_: str) -> list[EncodedBlob]:
        found = []
        for role in get_args(Role)[1:]:
            found += await list_file(self.server.worker.store, job_, role)
        return found


@asynccontextmanager
async def training(
    folder: Path,
    url: str = "sqlite",
    settings: bytes = b"{}",
    limits: RunnerLimits = LIMITS,
    public_url: str = URL,
    **options: Any,
) -> AsyncIterator[Rig]:
    lines = Lines()
    async with rented(settings, limits, line=lines.open) as machines:
        config = f"{remote_rig.CONFIG}{PLANS}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(remote_rig, "CONFIG", config)
            options = {"plan": "paying", "public_url": public_url, **options}
            async with far(folder, url, machines=machines, **options) as (server, _):
                lines.servers.append(server)
                yield Rig(server, machines, lines)
                patch.setattr("proxy.features.jobs.core.steps._CANCEL_WAIT_S", 0.1)
                for row in await server.worker.store.read("SELECT id FROM jobs WHERE state = 'open'"):
                    await server.ask("POST", f"/v1/jobs/{row['id']}/cancel")
                await sweeping(server).sweep()
                await training_rig.bills_of(server).sweep()


async def test_a_voice_is_trained_elsewhere_and_charged_once(tmp_path: Path, store_url: str) -> None:
    async with training(tmp_path, store_url) as rig:
        voice, id_ = await rig.begun()
        shown = await job_with(rig.server, id_, "done", "failed")
        assert (shown["status"], shown["training"]["step"]) == ("done", 20), shown
        store = rig.server.worker.store
        (model,) = await trained_models.list_of_voice(store, rig.server.account.id, voice)
        assert (model.origin, model.format) == ("training", "tone")
        head, _, rest = (await content(rig.server, id_)).content.partition(b"\n")
        assert (head, read_voice(rest).step) == (b"tone as onnx", 20)
        await training_rig.bills_of(rig.server).sweep()
        (row,) = await rig.server.usage()
        assert (row.kind, row.credits, row.job) == ("training", training_rig.PRICE, id_)
        assert (await verify(store)).is_clean
        assert await rig.coming(id_) == []
        # What the machine has cost is the operator's, beside it.
        assert list((await runs(rig.server)).values()) == ["done"]
        (cost,) = await store.read("SELECT sum(micro_usd) AS usd FROM costs WHERE account <> ''")
        assert cost["usd"] == USD * MICRO
        account = rig.server.account.id
        for by, name, usd in (("job", id_, USD), ("account", account, USD), ("engine", "far", 2 * USD)):
            groups = (await rig.server.administer("GET", f"usage?by={by}")).json()["data"]
            assert {group["name"]: group["cost_usd"] for group in groups}[name] == usd, by
        # Neither who it is for nor what is learnt stands in the work itself.
        (work,) = [machine for machine in rig.machines.works.values() if machine.training is not None]
        assert rig.server.account.id not in msgspec.json.encode(work).decode()
        assert work.samples == ()


async def test_a_training_goes_on_in_as_many_runs_as_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three quarters of a run's time are for steps, and all runs together make the voice of one."""
    # The steps alone take that long, and each process its start.
    short, steps = replace(LIMITS, most_s=6.0), b'{"delay_s": 0.09}'
    monkeypatch.setattr("proxy.features.jobs.kinds.training.trainings.WAITS_S", 0.01)
    async with training(tmp_path, settings=steps, limits=short) as rig:
        _, id_ = await rig.begun(steps=60)
        shown = await job_with(rig.server, id_, "done", "failed")
        assert (shown["status"], shown["training"]["step"]) == ("done", 60), shown
        states = list((await runs(rig.server)).values())
        assert len(states) > 1
        assert states == ["lost"] * (len(states) - 1) + ["done"]
        best = read_voice((await content(rig.server, id_)).content.partition(b"\n")[2])
        assert best.step == 53, "the first of the best, whatever run it was in"
        progress = [told.step for told in rig.lines.told if isinstance(told, TrainingProgress)]
        assert any(0 < step < 60 for step in progress)
        assert len([piece for piece in rig.lines.pieces if piece.role == "checkpoint"]) == len(states) - 1


async def test_a_piece_whose_answer_was_lost_is_sent_again(tmp_path: Path, short_runs: None) -> None:
    async with training(tmp_path, settings=BRISK) as rig:
        rig.lines.lost = 3
        _, id_ = await rig.begun(steps=30)
        shown = await job_with(rig.server, id_, "done", "failed")
        assert (shown["status"], shown["training"]["step"]) == ("done", 30), shown
        assert rig.lines.lost == 0
        await training_rig.bills_of(rig.server).sweep()
        assert await rig.coming(id_) == []


async def test_a_server_that_starts_again_finds_its_training(tmp_path: Path) -> None:
    lines = Lines()
    async with rented(line=lines.open) as machines:
        machines.may_end.clear()
        machines.ends_at_once = ("hello.",)
        config = f"{remote_rig.CONFIG}{PLANS}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(remote_rig, "CONFIG", config)
            options: dict[str, Any] = {"plan": "paying", "public_url": URL, "machines": machines}
            async with far(tmp_path, **options) as (server, _):
                lines.servers.append(server)
                rig = Rig(server, machines, lines)
                _, id_ = await rig.begun()
                await soon(lambda: runs(server), lambda found: list(found.values()) == ["running"])
                held = await training_rig.hold_of(server, id_)
                assert held is not None
                # With its process, what it has in memory would be gone.
                server.worker.open_features.context.ledger.holds.drop(held.request, server.account.id)
            async with far(tmp_path, name="ben", **options) as (second, _):
                lines.servers.append(second)
                machines.may_end.set()
                ours = server._replace(worker=second.worker)
                shown = await job_with(ours, id_, "done", "failed")
                assert (shown["status"], shown["training"]["step"]) == ("done", 20), shown
                assert len(machines.begun) == 2, "the introduction, and one run"
                await training_rig.bills_of(second).sweep()
                (row,) = [row for row in await ours.usage() if row.kind == "training"]
                assert row.credits == training_rig.PRICE


@postgresql_in_soak
async def test_a_canceled_training_ends_elsewhere(tmp_path: Path, store_url: str) -> None:
    async with training(tmp_path, store_url, SLOW) as rig:
        _, id_ = await rig.begun(steps=2000)
        await soon(lambda: any(isinstance(told, TrainingProgress) and told.step for told in rig.lines.told))
        await rig.server.ask("POST", f"/v1/jobs/{id_}/cancel")
        await sweeping(rig.server).sweep()
        assert list((await runs(rig.server)).values()) == ["canceled"]
        assert rig.machines.alive == set()
        await training_rig.bills_of(rig.server).sweep()
        assert await training_rig.hold_of(rig.server, id_) is None
        assert (await rig.lines.get(rig.path)).status_code == 404


async def test_an_erased_voice_is_learnt_no_more_and_nothing_of_it_is_left(
    tmp_path: Path, store_url: str, short_runs: None
) -> None:
    async with training(tmp_path, store_url, BRISK) as rig:
        voice, id_ = await rig.begun(steps=2000)
        await soon(lambda: list_file(rig.server.worker.store, id_, "checkpoint"))
        assert (await rig.server.ask("DELETE", f"/v1/audio/voices/{voice}")).is_success
        await soon(
            lambda: job(rig.server, id_),
            lambda found: found["status"] == "failed" and (not rig.machines.alive),
        )
        assert (await job(rig.server, id_))["error_code"] == "voice_erased"
        # A machine that is late brings nothing back.
        body = msgspec.msgpack.encode(_piece(b"late"))
        assert (await rig.lines.post(rig.path, body)).status_code == 404
        # A piece whose commit was under way beside the erasure goes with the sweep.
        await training_rig.bills_of(rig.server).sweep()
        assert await rig.coming(id_) == []


async def test_what_does_not_follow_or_is_damaged_is_nothing(tmp_path: Path) -> None:
    async with training(tmp_path) as rig:
        _, id_ = await rig.standing()
        for body in (
            b"",
            b"\xc1",
            msgspec.msgpack.encode({"type": "train", "order": {}}),
            msgspec.msgpack.encode(_piece(b"first", number=1)),
            msgspec.msgpack.encode(_piece(b"first", number=-1)),
            msgspec.msgpack.encode(_piece(b"first", number=1 << 40)),
            msgspec.msgpack.encode(replace(_piece(b"first"), digest="0" * 64)),
            msgspec.msgpack.encode(_piece(b"first"))[:-1],
        ):
            assert (await rig.lines.post(rig.path, body)).status_code == 404, body[:40]
        assert (await rig.lines.post(rig.path, bytes(5 << 20))).status_code == 413
        first, second = msgspec.msgpack.encode(_piece(b"a")), msgspec.msgpack.encode(_piece(b"b", number=1))
        for body in (first, second, second, first):
            assert (await rig.lines.post(rig.path, body)).status_code == 200
        # The late double of one that came long ago takes nothing away.
        assert len(await rig.coming(id_)) == 2
        gap = msgspec.msgpack.encode(_piece(b"c", number=3))
        assert (await rig.lines.post(rig.path, gap)).status_code == 404
        other = msgspec.msgpack.encode(_piece(b"d"))
        assert (await rig.lines.post(rig.path, other)).status_code == 200
        # Who begins a file anew has nothing of the old one.
        (piece,) = await rig.coming(id_)
        assert piece.bytes == 1
        # A machine that asks anew begins it again.
        assert (await rig.lines.get(rig.path)).status_code == 200
        assert await rig.coming(id_) == []


@simulated
async def test_a_server_that_no_machine_reaches_is_no_reason_to_rent_on(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.features.jobs.kinds.training.trainings.WAITS_S", 0.01)
        patch.setattr("policies.tasks.FIRST_DELAY_S", 0.01)
        patch.setattr("proxy.features.jobs.kinds.training.trainings.MOST_TRIES", 2)
        async with training(tmp_path) as rig:
            rig.lines.is_away = True
            _, id_ = await rig.begun()
            shown = await job_with(rig.server, id_, "failed")
            assert shown["error_code"] == "internal_error"
            assert len(await runs(rig.server)) == 2


@postgresql_in_soak
async def test_a_machine_that_can_never_train_is_rented_once(tmp_path: Path, store_url: str) -> None:
    async with training(tmp_path, store_url) as rig:
        rig.machines.remote_worker._trainer = None
        _, id_ = await rig.begun()
        shown = await job_with(rig.server, id_, "failed")
        assert shown["error_code"] == "internal_error"
        assert len(await runs(rig.server)) == 1


async def test_whatever_fails_at_a_machine_is_a_run_without_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def train(*_: object) -> None:
        raise EngineUnavailable("The card is away.", retry_after_s=1.0)

    monkeypatch.setattr(remote_worker, "train", train)
    monkeypatch.setattr("proxy.features.jobs.kinds.training.trainings.WAITS_S", 0.01)
    monkeypatch.setattr("proxy.features.jobs.kinds.training.trainings.MOST_TRIES", 2)
    async with training(tmp_path) as rig:
        _, id_ = await rig.begun()
        assert (await job_with(rig.server, id_, "failed"))["error_code"] == "internal_error"
        assert len(await runs(rig.server)) == 2


async def test_a_server_that_stops_at_the_end_keeps_what_the_machine_has_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_come = asyncio.Event()

    async def stand_still(*_: object) -> None:
        has_come.set()
        await asyncio.Event().wait()

    async with training(tmp_path) as rig:
        monkeypatch.setattr(TrainingEnds, "end_with_voice", stand_still)
        await rig.begun()
        await has_come.wait()
        (kind,) = [kind for kind in rig.server.worker.task_kinds if isinstance(kind, Trainings)]
        await kind.close()
        assert list((await runs(rig.server)).values()) == ["done"]


async def test_machines_that_are_lost_but_got_on_are_no_failed_tries(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.features.jobs.kinds.training.trainings.WAITS_S", 0.01)
        patch.setattr("proxy.features.jobs.kinds.training.trainings.MOST_TRIES", 2)
        patch.setattr("proxy.features.jobs.kinds.training.on_runners.CHECKPOINT_EVERY_STEPS", 10)
        patch.setattr("policies.tasks.FIRST_DELAY_S", 0.01)
        async with training(tmp_path, settings=b'{"delay_s": 0.001}') as rig:
            _, id_ = await rig.begun(steps=100)
            seen: list[list[EncodedBlob]] = []

            for lost in range(2):
                # Each machine tells its first checkpoint, and nothing after it.
                rig.lines.is_lost = is_lost = threading.Event()
                await soon(
                    lambda: list_file(rig.server.worker.store, id_, "checkpoint"),
                    lambda found: found and found not in seen,
                )
                seen.append(await list_file(rig.server.worker.store, id_, "checkpoint"))
                assert len(await runs(rig.server)) == lost + 1
                losing = asyncio.create_task(rig.machines.remote_worker.cancel(rig.machines.begun[-1]))
                await asyncio.sleep(0)
                is_lost.set()
                await losing
            rig.lines.is_lost = None
            shown = await job_with(rig.server, id_, "done", "failed")
            assert (shown["status"], shown["training"]["step"]) == ("done", 100), shown
            assert len(await runs(rig.server)) == 3


async def test_a_recording_that_came_after_the_run_began_does_not_leave_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row does not name it, so an erasure would not find that machine."""
    monkeypatch.setattr("proxy.features.jobs.kinds.training.trainings.WAITS_S", 0.1)
    async with training(tmp_path) as rig:
        rig.machines.may_answer.clear()
        voice, id_ = await rig.begun()

        rig.lines.may_ask.clear()
        await soon(lambda: runs(rig.server))
        await added(rig.server, voice, training_rig.RECORDINGS)
        rig.lines.may_ask.set()
        rig.machines.may_answer.set()
        shown = await job_with(rig.server, id_, "done", "failed")
        assert shown["status"] == "done", shown
        rows = await rig.server.worker.store.read(
            "SELECT samples FROM remote_runs WHERE step <> '' ORDER BY number"
        )
        assert [len(row["samples"].split()) for row in rows] == [
            training_rig.RECORDINGS,
            training_rig.RECORDINGS + 1,
        ]


async def test_what_is_being_fetched_stays_here_when_its_run_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.jobs.remote.links._LOOK_EVERY_S", 0.0)
    async with training(tmp_path) as rig:
        await rig.standing()
        whole = (await rig.lines.get(rig.path)).content
        context = rig.server.worker.open_features.context
        links = Links(context.find(Vault), URL)
        door = TrainingEndpoint(context.store, links, training_rig.kind_of(rig.server).on_runners)
        token = rig.path.removeprefix(TRAININGS_PATH)
        given: list[bytes] = []
        over = "UPDATE remote_runs SET over_at = {} WHERE step <> ''"

        async def give() -> None:
            async with door._open_training(token, is_sent=True) as frames:
                async for frame in frames:
                    given.append(frame)
                    await context.store.write(Statement(over.format("-over_at")))

        with pytest.raises(NotFound):
            await give()
        await context.store.write(Statement(over.format("abs(over_at)")))
        assert 0 < len(b"".join(given)) < len(whole)


async def test_a_run_learns_only_so_often(tmp_path: Path) -> None:
    async with training(tmp_path) as rig:
        await rig.standing()
        heads = [(await rig.lines.get(rig.path, "HEAD")).status_code for _ in range(MOST_TRAINING_READS)]
        assert heads == [200] * MOST_TRAINING_READS, "they use up no read"
        statuses = [(await rig.lines.get(rig.path)).status_code for _ in range(MOST_TRAINING_READS + 1)]
        assert statuses == [200] * MOST_TRAINING_READS + [404]


async def test_a_database_that_is_away_is_no_end_for_a_machine(tmp_path: Path) -> None:
    async with training(tmp_path) as rig:
        await rig.standing()
        for failure in (VaultFailed("it is away"), StorageUnavailable()):

            async def ask(*_: object, why: Exception = failure, **_named: object) -> None:
                raise why

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(training_input.TrainingInput, "training_inputs", ask)
                assert (await rig.lines.get(rig.path)).status_code == 503
        # A run that is open goes on to its end, whatever its account may do now.
        await rig.server.worker.store.write(Statement("UPDATE accounts SET suspended = 1"))
        assert (await rig.lines.get(rig.path)).status_code == 200
        await rig.server.worker.store.write(Statement("UPDATE accounts SET suspended = NULL"))


async def test_a_server_that_stops_does_not_wait_for_a_machine(tmp_path: Path) -> None:
    async with training(tmp_path) as rig:
        _, id_ = await rig.standing()
        (kind,) = [kind for kind in rig.server.worker.task_kinds if isinstance(kind, Trainings)]
        began = asyncio.get_running_loop().time()
        await kind.close()
        assert asyncio.get_running_loop().time() - began < kind.closing_s / 2
        steps = await rig.server.worker.store.read(
            "SELECT lease FROM job_steps WHERE job = :job", {"job": id_}
        )
        assert [row["lease"] for row in steps] == [0], "another worker may follow it at once"


async def test_an_account_has_few_machines_at_a_time(tmp_path: Path) -> None:
    async with training(tmp_path, plan="many") as rig:
        rig.machines.stands_still = True
        voice = await training_rig.voice_to_train(rig.server)
        for _ in range(4):
            await training_rig.new_training(rig.server, voice, model="far", steps=2_000)
        await soon(lambda: runs(rig.server), lambda found: len(found) == 2)
        (kind,) = [kind for kind in rig.server.worker.task_kinds if isinstance(kind, Trainings)]
        for _ in range(3):
            await kind.look()
        assert "2 under way" in repr(kind)
        assert len(await runs(rig.server)) == 2


async def test_the_end_of_a_checkpoint_is_taken_twice(tmp_path: Path, store_url: str) -> None:
    """Its answer may be lost, when it already is the checkpoint."""
    async with training(tmp_path, store_url) as rig:
        _, id_ = await rig.standing()
        last = msgspec.msgpack.encode(_piece(b"end", number=1, is_last=True))
        for body in (msgspec.msgpack.encode(_piece(b"beginning")), last, last):
            assert (await rig.lines.post(rig.path, body)).status_code == 200
        store = rig.server.worker.store
        assert [row.bytes for row in await list_file(store, id_, "checkpoint")] == [9, 3]
        assert len(await rig.coming(id_)) == 2
        other = msgspec.msgpack.encode(_piece(b"other", number=1, is_last=True))
        assert (await rig.lines.post(rig.path, other)).status_code == 404


async def test_of_a_voice_that_is_being_erased_nothing_is_taken(tmp_path: Path, store_url: str) -> None:
    """The tombstone comes first: until the erasure has reached the run, it is open."""
    async with training(tmp_path, store_url) as rig:
        voice, id_ = await rig.standing()
        erased = "INSERT INTO erasures (subject, account, began) VALUES (:voice, :account, 1)"
        of_voice = {"account": rig.server.account.id, "voice": voice}
        await rig.server.worker.store.write(Statement(erased, of_voice))
        body = msgspec.msgpack.encode(_piece(b"late", is_last=True))
        assert (await rig.lines.post(rig.path, body)).status_code == 404
        assert await rig.coming(id_) == []


async def test_a_link_opens_nothing_else(tmp_path: Path) -> None:
    async with training(tmp_path) as rig:
        await rig.standing()
        token = rig.path.removeprefix(TRAININGS_PATH)
        never = await rig.lines.get(f"{TRAININGS_PATH}never")
        for path in (f"{TRAININGS_PATH}{token}0", f"{TRAININGS_PATH}{token[:-1]}", f"{SAMPLES_PATH}{token}"):
            found = await rig.lines.get(path)
            assert (found.status_code, found.content) == (404, never.content), path
        given = await rig.lines.get(rig.path)
        assert given.headers["cache-control"] == "no-store"


async def test_without_a_public_address_nothing_is_trained_elsewhere(tmp_path: Path) -> None:
    async with training(tmp_path, public_url="") as rig:
        voice = await training_rig.voice_to_train(rig.server)
        answer = await training_rig.ask_training(rig.server, voice, model="far")
        assert (answer.status_code, envelope(answer)["code"]) == (400, "unsupported_model")


async def test_a_plan_that_keeps_recordings_here_trains_nothing_elsewhere(tmp_path: Path) -> None:
    async with training(tmp_path, plan="local") as rig:
        voice = await training_rig.voice_to_train(rig.server)
        answer = await training_rig.ask_training(rig.server, voice, model="far")
        assert (answer.status_code, envelope(answer)["code"]) == (400, "unsupported_model")


async def test_who_speaks_has_to_agree_to_the_runner(tmp_path: Path) -> None:
    async with training(tmp_path) as rig:
        rig.machines.stands_still = True
        for providers, status in ((["here"], 403), (["rented"], 202)):
            consent = await agree(rig.server, uses=["speech", "training"], providers=providers)
            answer = await send(rig.server, {"name": f"Ana {status}", "consent": consent["id"]})
            voice = answer.json()["id"]
            for number in range(training_rig.RECORDINGS - 1):
                await added(rig.server, voice, number)
            answer = await training_rig.ask_training(rig.server, voice, model="far")
            assert answer.status_code == status, answer.text
            if status == 403:
                assert (envelope(answer)["code"], envelope(answer)["param"]) == ("consent_not_given", "voice")


async def test_a_training_ends_at_what_a_job_may_cost_and_costs_its_account_nothing(
    tmp_path: Path, short_runs: None
) -> None:
    async with training(tmp_path, settings=BRISK, more="job_usd = 1.3") as rig:
        _, id_ = await rig.begun(steps=2000)
        shown = await job_with(rig.server, id_, "failed")
        assert shown["error_code"] == "job_budget_used_up"
        assert len(await runs(rig.server)) == 2
        await training_rig.bills_of(rig.server).sweep()
        assert [row for row in await rig.server.usage() if row.kind == "training"] == []


async def test_runs_that_are_too_short_for_a_step_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = remote_training._Relay.run

    def run_late(relay: remote_training._Relay) -> TrainingEnd:
        relay.stop_soon()
        return run(relay)

    monkeypatch.setattr(remote_training._Relay, "run", run_late)
    monkeypatch.setattr("proxy.features.jobs.kinds.training.trainings.WAITS_S", 0.01)
    monkeypatch.setattr("proxy.features.jobs.kinds.training.trainings.MOST_TRIES", 2)
    async with training(tmp_path, settings=SLOW) as rig:
        _, id_ = await rig.begun()
        shown = await job_with(rig.server, id_, "failed")
        assert shown["error_code"] == "internal_error"
        assert len(await runs(rig.server)) == 2


def _piece(data: bytes, number: int = 0, *, is_last: bool = False) -> FarPiece:
    digest = hashlib.sha256(data).hexdigest()
    return FarPiece(role="checkpoint", number=number, data=data, digest=digest, is_last=is_last)
