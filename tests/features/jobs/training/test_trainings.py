"""Trainings of a whole worker: asked for, paid once, heard, broken off, gone on with, and erased."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from plugins.tone.voice_format import read_voice
from proxy.catalogue.library import Library
from proxy.features.admin.verify import verify
from proxy.features.jobs.core import opening
from proxy.features.jobs.core.encoded_records import list_file
from proxy.features.jobs.kinds.training import records, trainings
from proxy.storage import trained_models
from proxy.storage.blobs import find as find_blob
from proxy.storage.store import Statement
from proxy.storage.trained_model import TrainedModel
from tests.databases import postgresql_in_soak
from tests.features.jobs.job_rig import job, job_with
from tests.features.jobs.training import training_rig
from tests.proxy.api.inside import Inside
from tests.replies import json_of
from tests.waiting import soon

pytestmark = pytest.mark.slow


async def model_of(server: Inside, voice: str) -> TrainedModel | None:
    models = await trained_models.list_of_voice(server.worker.store, server.account.id, voice)
    return models[0] if models else None


async def test_a_voice_is_trained_found_at_once_and_charged_once(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget, forgotten = Library.forget, list[str | None]()

    def forgets(library: Library, account: str | None) -> None:
        forgotten.append(account)
        forget(library, account)

    async with training_rig.trainings_inside(tmp_path, store_url) as server:
        voice = await training_rig.voice_to_train(server)
        monkeypatch.setattr(Library, "forget", forgets)
        id_ = await training_rig.new_training(server, voice)
        held = await training_rig.hold_of(server, id_)
        assert held is not None
        assert held.split.amount == training_rig.PRICE
        shown = await job_with(server, id_, "done", "failed")
        assert (shown["status"], shown["kind"], shown["steps_done"]) == ("done", "training", 1)
        assert shown["training"]["step"] == shown["training"]["steps"] == 20
        assert shown["training"]["best"] < 100.0
        await soon(lambda: forgotten == [server.account.id])
        model = await model_of(server, voice)
        assert model is not None
        assert (model.origin, model.format) == ("training", "tone")
        bills = training_rig.bills_of(server)
        assert await bills.sweep() == 1
        assert await bills.sweep() == 0
        shown = await job(server, id_)
        assert (shown["credits"], shown["training"]["stage"]) == (400.0, "done")
        assert await training_rig.hold_of(server, id_) is None
        (row,) = await server.usage()
        assert (row.id, row.kind, row.credits, row.job) == (held.request, "training", training_rig.PRICE, id_)
        assert (await verify(server.worker.store)).is_clean
        assert not await list_file(server.worker.store, id_, "checkpoint")
        me = (await server.ask("GET", "/v1/me")).json()
        assert "600" in str(me["credits"])


@pytest.mark.usefixtures("trainer_here")
async def test_a_second_training_leaves_no_file_of_the_first(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path) as server:
        voice = await training_rig.voice_to_train(server)
        await job_with(server, await training_rig.new_training(server, voice), "done")
        first = await model_of(server, voice)
        await job_with(server, await training_rig.new_training(server, voice, steps=30), "done")
        second = await model_of(server, voice)
        assert first is not None
        assert second is not None
        assert first.digest != second.digest
        assert await find_blob(server.worker.store, server.account.id, second.digest) is not None
        # It goes a moment after the end of the job.
        store, account, old = server.worker.store, server.account.id, first.digest
        await soon(lambda: find_blob(store, account, old), lambda found: found is None)


@pytest.mark.usefixtures("trainer_here")
async def test_what_is_taken_home_is_there_or_said_to_be_there_in_another_form(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path) as server:
        voice = await training_rig.voice_to_train(server)
        id_ = await training_rig.new_training(server, voice)
        await job_with(server, id_, "done")
        answer = await server.ask("GET", f"/v1/jobs/{id_}/content")
        assert answer.status_code == 200, answer.text
        head, _, rest = answer.content.partition(b"\n")
        assert head == b"tone as onnx"
        assert read_voice(rest).step == 20
        assert answer.headers["content-disposition"].endswith('.onnx"')
        await server.worker.store.write(Statement("DELETE FROM job_encoded WHERE job = :job", {"job": id_}))
        message = json_of(await server.ask("GET", f"/v1/jobs/{id_}/content"), 409)["error"]["message"]
        assert message.endswith("If it is there, GET /v1/audio/voices/{id}/model has it.")
        assert (await server.ask("GET", f"/v1/audio/voices/{voice}/model")).status_code == 200


@pytest.mark.usefixtures("trainer_here")
async def test_the_same_key_makes_one_training_and_holds_one_price(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path) as server:
        voice = await training_rig.voice_to_train(server)
        sent = {"headers": {"idempotency-key": "once"}}
        first = await training_rig.new_training(server, voice, **sent)
        assert await training_rig.new_training(server, voice, **sent) == first
        await job_with(server, first, "done")
        await training_rig.bills_of(server).sweep()
        assert len(await server.usage()) == 1


@pytest.mark.usefixtures("trainer_here")
async def test_of_two_equal_requests_at_once_one_hold_is_kept(tmp_path: Path, store_url: str) -> None:
    async with training_rig.trainings_inside(tmp_path, store_url, tone="delay_s = 0.05") as server:
        voice = await training_rig.voice_to_train(server)
        sent = {"headers": {"idempotency-key": "once"}}
        first, second = await asyncio.gather(
            *(training_rig.new_training(server, voice, **sent) for _ in range(2))
        )
        assert first == second
        store = server.worker.store
        await soon(lambda: store.read("SELECT request FROM holds"), lambda found: len(found) == 1)
        held = await training_rig.hold_of(server, first)
        assert held is not None
        # The other's is given back, and a second training has just room.
        await training_rig.new_training(server, voice)
        await job_with(server, first, "done")
        await training_rig.bills_of(server).sweep()
        (row,) = [row for row in await server.usage() if row.job == first]
        assert row.credits == training_rig.PRICE


@pytest.mark.parametrize(
    ("plan", "rows"),
    [
        (
            "metered",
            [
                ({"model": "none"}, 404, "model", "model_not_found"),
                ({"voice": "nobody"}, 404, "voice", "voice_not_found"),
                ({"voice": "alloy"}, 404, "voice", "voice_not_found"),
                ({"steps": 0}, 400, "steps", None),
                ({"steps": 20_001}, 400, "steps", None),
                ({"seed": -1}, 400, "seed", None),
                ({"voice": 1}, 400, "voice", None),
            ],
        ),
        ("unpriced", [({}, 403, "kind", "training_not_priced")]),
        ("none", [({}, 403, None, "jobs_not_allowed")]),
    ],
    ids=["metered", "unpriced", "none"],
)
async def test_what_cannot_be_trained_is_refused_and_holds_nothing(
    tmp_path: Path, plan: str, rows: list[tuple[dict[str, Any], int, str | None, str | None]]
) -> None:
    async with training_rig.trainings_inside(tmp_path, plan=plan) as server:
        voice = await training_rig.voice_to_train(server)
        for asked, status, param, code in rows:
            answer = await training_rig.ask_training(server, **{"voice": voice, **asked})
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (status, param), answer.text
            assert code is None or error["code"] == code
            assert not await server.worker.store.read("SELECT request FROM holds"), asked
            assert not await server.worker.store.read("SELECT id FROM trainings"), asked


async def test_what_is_not_added_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with training_rig.trainings_inside(tmp_path) as server:
        voice = await training_rig.voice_to_train(server)
        monkeypatch.setattr(opening, "_ADD", opening._ADD.replace("<= 20000", "<= 0"))
        assert (await training_rig.ask_training(server, voice)).status_code == 429
        assert not await server.worker.store.read("SELECT request FROM holds")
        assert repr(server.worker.ledger.holds).startswith("<MemoryHolds 0 live")


async def test_a_consent_of_before_does_not_name_training(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path) as server:
        voice = await training_rig.voice_to_train(server, ("speech", "conversion"))
        answer = await training_rig.ask_training(server, voice)
        assert answer.status_code == 403, answer.text
        assert answer.json()["error"]["code"] == "consent_not_given"


async def test_too_few_recordings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with training_rig.trainings_inside(tmp_path) as server:
        voice = await training_rig.voice_to_train(server)
        monkeypatch.undo()
        error = json_of(await training_rig.ask_training(server, voice), 400)["error"]
        assert (error["param"], error["code"]) == ("voice", "too_few_recordings")
        assert "20 recordings" in error["message"]


@pytest.mark.usefixtures("trainer_here")
async def test_credits_that_are_not_there_are_not_held(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path, tone="delay_s = 0.05") as server:
        voice = await training_rig.voice_to_train(server)
        for _ in range(2):
            await training_rig.new_training(server, voice)
        answer = await training_rig.ask_training(server, voice)
        assert answer.status_code == 429
        assert answer.json()["error"]["code"] == "insufficient_quota"


@postgresql_in_soak
async def test_a_canceled_training_costs_nothing(tmp_path: Path, store_url: str) -> None:
    async with training_rig.trainings_inside(tmp_path, store_url, tone="delay_s = 0.1") as server:
        voice = await training_rig.voice_to_train(server)
        id_ = await training_rig.new_training(server, voice, steps=2_000)
        await job_with(server, id_, "running")
        await server.ask("POST", f"/v1/jobs/{id_}/cancel")
        await _idle(server)
        await training_rig.bills_of(server).sweep()
        assert await training_rig.hold_of(server, id_) is None
        assert await server.usage() == []
        assert await model_of(server, voice) is None
        assert (await server.ask("POST", f"/v1/jobs/{id_}/retry")).status_code == 409


async def test_a_deleted_job_gives_its_hold_back(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path, tone="delay_s = 0.1") as server:
        id_ = await training_rig.new_training(server, await training_rig.voice_to_train(server), steps=2_000)
        await job_with(server, id_, "running")
        assert (await server.ask("DELETE", f"/v1/jobs/{id_}")).status_code == 200
        await _idle(server)
        await training_rig.bills_of(server).sweep()
        assert await training_rig.hold_of(server, id_) is None
        assert not await server.worker.store.read("SELECT id FROM trainings")


@postgresql_in_soak
async def test_a_killed_process_goes_on_from_its_checkpoint(
    tmp_path: Path, store_url: str, early_checkpoints: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = training_rig.resumed_bytes(monkeypatch)
    async with training_rig.trainings_inside(tmp_path, store_url, tone="delay_s = 0.01") as server:
        voice = await training_rig.voice_to_train(server)
        id_ = await training_rig.new_training(server, voice, steps=90)
        await soon(lambda: list_file(server.worker.store, id_, "checkpoint"))
        training_rig.kind_of(server).forget_voice(voice, ())
        await soon_due(server, id_)
        shown = await job_with(server, id_, "done", "failed")
        assert shown["status"] == "done"
        assert shown["training"]["step"] == 90
        assert len(resumed) == 1
        assert resumed[0] > 100


async def test_an_erasure_ends_the_training_of_its_voice(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The next attempt would notice it, too.
    monkeypatch.setattr(trainings, "WAITS_S", 3_600.0)
    async with training_rig.trainings_inside(tmp_path, store_url, tone="delay_s = 0.1") as server:
        voice = await training_rig.voice_to_train(server)
        id_ = await training_rig.new_training(server, voice, steps=2_000)
        await job_with(server, id_, "running")
        answer = await server.ask("DELETE", f"/v1/audio/voices/{voice}")
        assert answer.status_code in (200, 202), answer.text
        shown = await job_with(server, id_, "failed")
        assert shown["error_code"] == "voice_erased"
        await training_rig.bills_of(server).sweep()
        assert await training_rig.hold_of(server, id_) is None
        assert await server.usage() == []
        assert not await list_file(server.worker.store, id_, "checkpoint")


@pytest.mark.parametrize(
    ("fail", "code"), [("UnusableSample", "unusable_sample"), ("crash", "internal_error")]
)
async def test_a_training_that_fails_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: str, code: str
) -> None:
    monkeypatch.setattr(trainings, "MOST_TRIES", 1)
    async with training_rig.trainings_inside(tmp_path, tone=f'fail = "{fail}"\nfail_at_s = 3') as server:
        id_ = await training_rig.new_training(server, await training_rig.voice_to_train(server))
        shown = await job_with(server, id_, "failed")
        assert shown["error_code"] == code
        await training_rig.bills_of(server).sweep()
        assert await server.usage() == []


async def test_it_says_that_it_waits_for_memory(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path, jobs="training_gb = 4000") as server:
        id_ = await training_rig.new_training(server, await training_rig.voice_to_train(server))
        shown = await job_with(server, id_, "failed")
        # The device never has so much: that is not waited for.
        assert shown["error_code"] == "internal_error"


async def soon_due(server: Inside, id_: str) -> None:
    """Let a training that is put off be due now."""
    await soon(
        lambda: server.worker.store.read("SELECT tries FROM job_steps WHERE job = :job", {"job": id_}),
        lambda rows: rows[0]["tries"],
    )
    await server.worker.store.write(Statement("UPDATE job_steps SET due = 0 WHERE job = :job", {"job": id_}))
    training_rig.kind_of(server).look_now()


async def _idle(server: Inside) -> None:
    await soon(lambda: "0 under way" in repr(training_rig.kind_of(server)))
    await asyncio.sleep(0)


@pytest.mark.usefixtures("trainer_here")
async def test_a_row_shows_how_far_it_is(tmp_path: Path) -> None:
    async with training_rig.trainings_inside(tmp_path, tone="delay_s = 0.05") as server:
        id_ = await training_rig.new_training(server, await training_rig.voice_to_train(server), steps=200)
        await job_with(server, id_, "running")
        training = await records.get(server.worker.store, id_)
        assert training is not None
        assert training.stage in ("preparing", "training")
        assert (await job(server, id_))["training"]["voice"] == training.voice
