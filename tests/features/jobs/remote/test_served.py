"""Jobs that are spoken elsewhere, as accounts and operators see them."""

from pathlib import Path

import pytest

from proxy.engines.remote_engine import RemoteEngine
from proxy.feature_list import open_store
from proxy.storage.store import Params, Statement
from speech_engine import API_VERSION
from speech_engine.host.messages import HelloReply
from tests.features.jobs.job_rig import content, job, job_with, kind_of, new_job, said, text_of, words_of
from tests.features.jobs.remote.remote_rig import CONFIG, Plugins, far, runs, sweeping
from tests.features.jobs.remote.rented import USD, rented
from tests.proxy.api.inside import envelope, inside
from tests.proxy.api.owning import agree, clone, send
from tests.waiting import soon

pytestmark = pytest.mark.slow

MICRO = 1_000_000


async def test_a_job_is_spoken_elsewhere_step_by_step(tmp_path: Path, store_url: str) -> None:
    async with far(tmp_path, store_url) as (server, machines):
        text = text_of(3)
        made = await new_job(server, text, model="far")
        shown = await job_with(server, made["id"], "done", "failed")
        assert (shown["status"], shown["steps_done"], shown["credits"]) == ("done", 3, len(text))
        assert said((await content(server, made["id"])).content) == words_of(3)
        hello, *steps = machines.begun
        assert hello.startswith("hello.far.")
        assert len(steps) == 3
        assert set(await runs(server)) == set(steps)
        assert set((await runs(server)).values()) == {"done"}
        rows = await server.worker.store.read(
            "SELECT engine, sum(micro_usd) AS usd, count(*) AS rows FROM costs GROUP BY engine"
        )
        assert [(row["engine"], row["usd"], row["rows"]) for row in rows] == [("far", 4 * USD * MICRO, 4)]
        # Neither the account nor the job's id leaves the box with the text.
        works = [machines.works[key] for key in steps]
        assert all(server.account.id not in repr(work.work) for work in works)


async def test_a_listener_is_told_that_the_engine_speaks_for_jobs_only(tmp_path: Path) -> None:
    async with far(tmp_path) as (server, machines):
        answer = await server.speech(model="far")
        assert answer.status_code == 400
        error = envelope(answer)
        assert (error["code"], error["param"]) == ("only_for_jobs", "model")
        assert "POST /v1/jobs" in error["message"]
        # Where another engine can, it speaks.
        assert (await server.speech(model="both")).status_code == 200
        assert len(machines.begun) == 1


async def test_a_server_that_starts_again_knows_what_the_engine_has(tmp_path: Path) -> None:
    async with far(tmp_path) as (server, machines):
        assert server.worker.engines["far"].models()[0].runner == "rented"
        assert len(machines.begun) == 1
    async with far(tmp_path, name="ben") as (_, machines):
        assert machines.begun == []


async def test_operators_see_where_the_engine_works(tmp_path: Path) -> None:
    async with far(tmp_path) as (server, _):
        shown = (await server.administer("GET", "engines")).json()["data"]
        (engine,) = [each for each in shown if each["name"] == "far"]
        assert (engine["state"], engine["models"]) == ("ready", ["far/standard"])
        assert engine["reason"] == "speaks for jobs only, at rented"
        assert [budget["of_usd"] for budget in engine["budgets"]] == [100]


async def test_operators_see_why_nothing_is_known_of_the_engine(tmp_path: Path) -> None:
    async with rented() as machines:
        machines.submits.append("refused")
        plugins: Plugins = {("runner", "rented"): machines.plugin}
        text = CONFIG.format(url="sqlite", more="", server="")
        async with inside(tmp_path, text, plan="metered", more=plugins) as server:
            engine = server.worker.engines["far"]
            await soon(lambda: engine.reason == "does not tell its models yet: No machine is free.")
            assert engine.state == "starting"
            assert isinstance(engine, RemoteEngine)
            engine.take_hello(HelloReply(API_VERSION, 1, (), ()), first_audio_s=1.0)
            assert engine.reason == "speaks for jobs only, at rented"


async def test_a_plan_that_keeps_texts_here_has_no_runner(tmp_path: Path) -> None:
    async with far(tmp_path, plan="local") as (server, machines):
        answer = await server.ask(
            "POST", "/v1/jobs", body={"model": "far", "voice": "alloy", "input": "Hello."}
        )
        assert (answer.status_code, envelope(answer)["code"]) == (403, "model_not_allowed")
        made = await new_job(server, "Hello.", model="both")
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        assert len(machines.begun) == 1


async def test_a_canceled_job_ends_elsewhere(tmp_path: Path, store_url: str) -> None:
    async with far(tmp_path, store_url) as (server, machines):
        machines.may_end.clear()
        made = await new_job(server, text_of(1), model="far")
        await soon(lambda: runs(server), lambda found: list(found.values()) == ["running"])
        await sweeping(server).sweep()
        assert machines.canceled == []
        await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        await sweeping(server).sweep()
        assert machines.canceled == machines.begun[1:]
        assert set((await runs(server)).values()) == {"canceled"}
        machines.may_end.set()


async def test_a_job_fails_at_its_ceiling_with_a_reason(tmp_path: Path) -> None:
    async with far(tmp_path, more="job_usd = 1.5") as (server, machines):
        kind_of(server).most_at_once = kind_of(server).remote_limiter.at_once = 1
        made = await new_job(server, text_of(4), model="far")
        shown = await job_with(server, made["id"], "done", "failed")
        assert shown["status"] == "failed"
        assert "has used up what it may cost at far: $1.5" in shown["error"]
        # Three runs cost half of it, a fourth might cost more than is left.
        assert shown["steps_done"] == 3
        assert len(machines.begun) == 1 + 3
        assert machines.alive == set()


async def test_what_waits_for_machines_takes_no_place_of_what_is_spoken_here(tmp_path: Path) -> None:
    async with far(tmp_path) as (server, machines):
        machines.may_end.clear()
        kind_of(server).remote_limiter.at_once = 6
        made = await new_job(server, text_of(9), model="far")
        await soon(lambda: runs(server), lambda found: list(found.values()) == ["running"] * 6)
        here = await new_job(server, text_of(2), model="here/standard")
        assert (await job_with(server, here["id"], "done", "failed"))["status"] == "done"
        assert len(machines.begun) == 1 + 6
        machines.may_end.set()
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        assert len(machines.begun) == 1 + 9, await runs(server)
        assert kind_of(server).full_limits() == set()


async def test_a_job_waits_for_a_place_elsewhere_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.jobs.core.steps.RETRY_DELAY_S", 1.0)
    async with far(tmp_path) as (server, machines):
        machines.may_end.clear()
        kind_of(server).remote_limiter.at_once = 1
        first = await new_job(server, "Word 1.", model="far")
        other = await new_job(server, "Word 2.", model="far")

        async def is_put_off() -> bool:
            rows = await server.worker.store.read("SELECT error FROM job_steps WHERE error <> ''")
            has_begun = len(machines.begun) == 1 + 1
            return has_begun and ["too many steps on rented" in row["error"] for row in rows] == [True]

        await soon(is_put_off)
        machines.may_end.set()
        assert (await job_with(server, first["id"], "done", "failed"))["status"] == "done"
        assert (await job_with(server, other["id"], "done", "failed"))["status"] == "done"


async def test_a_model_elsewhere_says_that_it_is_for_jobs_only(tmp_path: Path) -> None:
    async with far(tmp_path) as (server, _):
        shown = (await server.ask("GET", "/v1/models")).json()["data"]
        said = {model["id"]: model.get("jobs_only") for model in shown}
        assert said == {
            "far": True,
            "far/standard": True,
            "both": None,
            "here/standard": None,
            **{name: None for name in said if name not in ("far", "both") and "/" not in name},
        }


async def test_runs_are_counted_with_what_they_cost(tmp_path: Path) -> None:
    async with far(tmp_path) as (server, machines):
        machines.may_end.clear()
        made = await new_job(server, text_of(2), model="far")
        await soon(lambda: runs(server), lambda found: list(found.values()) == ["running"] * 2)
        registry = server.worker.metrics.registry
        await sweeping(server).count()
        assert registry.get_sample_value("voxgate_runs_open", {"runner": "rented"}) == 2
        machines.may_end.set()
        await job_with(server, made["id"], "done", "failed")
        await sweeping(server).count()
        assert registry.get_sample_value("voxgate_runs_open", {"runner": "rented"}) == 0
        done = {"runner": "rented", "end": "done"}
        assert registry.get_sample_value("voxgate_runs_total", done) == 3
        assert registry.get_sample_value("voxgate_run_usd_total", {"runner": "rented"}) == 3 * USD


async def test_recordings_go_with_the_work_that_needs_them(tmp_path: Path) -> None:
    async with far(tmp_path) as (server, machines):
        voice = (await clone(server))["id"]
        made = await new_job(server, "Word 0.", model="far", voice=voice)
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        (sample,) = machines.works[machines.begun[-1]].samples
        assert len(sample.pcm) > 40_000
        assert sample.digest in str(await server.worker.store.read("SELECT samples FROM remote_runs"))


async def test_an_erased_voice_is_ended_elsewhere(tmp_path: Path, store_url: str) -> None:
    async with far(tmp_path, store_url) as (server, machines):
        voice = (await clone(server))["id"]
        machines.may_end.clear()
        made = await new_job(server, "Word 0.", model="far", voice=voice)
        await soon(lambda: runs(server), lambda found: list(found.values()) == ["running"])
        digests = {sample.digest for sample in machines.works[machines.begun[-1]].samples}
        await server.worker.engines.drop_samples(digests)
        assert machines.canceled == [machines.begun[-1]]
        assert (await job(server, made["id"]))["steps_done"] == 0
        machines.may_end.set()


@pytest.mark.parametrize("providers", [["far"], ["rented"]])
async def test_a_voice_goes_to_a_runner_that_its_consent_names(tmp_path: Path, providers: list[str]) -> None:
    async with far(tmp_path) as (server, machines):
        consent = await agree(server, providers=providers)
        made = await send(server, {"name": "Ana", "consent": consent["id"]})
        body = {"model": "far", "voice": made.json()["id"], "input": "Word 0."}
        answer = await server.ask("POST", "/v1/jobs", body=body)
        if providers == ["rented"]:
            assert answer.status_code == 202, answer.text
            assert (await job_with(server, answer.json()["id"], "done", "failed"))["status"] == "done"
        else:
            assert (answer.status_code, envelope(answer)["code"]) == (403, "consent_not_given")
            assert len(machines.begun) == 1


async def test_what_has_begun_is_fetched_although_the_days_money_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.queue.tasks.TaskKind.closing_s", 0.1)
    async with rented() as machines:
        machines.may_end.clear()
        machines.ends_at_once = ("hello.",)
        async with far(tmp_path, machines=machines) as (server, _):
            made = await new_job(server, text_of(2), model="far")
            await soon(lambda: runs(server), lambda found: list(found.values()) == ["running", "running"])
        # While the server was away, others have spent what was left.
        async with open_store("sqlite", tmp_path / "data") as store:
            spent: Params = {"at": await store.now(), "usd": 100 * MICRO}
            await store.write(
                Statement(
                    "INSERT INTO costs (request, attempt, account, at, engine, model, characters, audio_ms, "
                    "micro_usd) VALUES ('other', 0, '', :at, 'far', '', 0, 0, :usd)",
                    spent,
                ),
                Statement("UPDATE job_steps SET lease = 0, due = asked"),
            )
        machines.may_end.set()
        async with far(tmp_path, machines=machines, name="ben") as (again, _):
            ours = server._replace(worker=again.worker)
            assert (await job_with(ours, made["id"], "done", "failed"))["status"] == "done"
            assert len(machines.begun) == 1 + 2
            more = await new_job(ours, "Word 7.", model="far")
            await soon(
                lambda: again.worker.store.read(
                    "SELECT error FROM job_steps WHERE job = :job AND error <> ''", {"job": more["id"]}
                ),
                lambda rows: rows,
            )
            assert len(machines.begun) == 1 + 2
