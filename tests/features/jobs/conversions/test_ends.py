"""Why jobs of recordings end or wait, and what is left of them."""

from pathlib import Path

import pytest

from proxy.errors import DecodingFailed
from proxy.features.admin.verify import verify
from proxy.features.transcriptions.long_decoder import LongDecoder
from proxy.features.transcriptions.long_recordings import StretchRequest
from tests.features.erasure.erasing import erasure_of
from tests.features.jobs.conversions import rig
from tests.features.jobs.conversions.rig import short_stretches
from tests.features.jobs.job_rig import content, job, job_with, kind_of
from tests.proxy.api.inside import Inside
from tests.proxy.api.owning import clone
from tests.speech_engine.host.simulated_time import simulated
from tests.waiting import soon

WORDS = [f"Sentence number {number}." for number in range(6)]
AUDIO = rig.recording(WORDS)
__all__ = ["short_stretches"]
pytestmark = [pytest.mark.usefixtures("short_stretches"), pytest.mark.slow]


async def has_steps(server: Inside, id_: str, least: int) -> bool:
    return bool((await job(server, id_))["steps_done"] >= least)


async def test_a_cancelled_one_keeps_what_was_made_and_charges_no_more(
    tmp_path: Path, store_url: str
) -> None:
    async with rig.conversions_inside(tmp_path, store_url) as server:
        kind_of(server).most_at_once = 1
        made = await rig.new_conversion(server, AUDIO, model="slow/standard", response_format="pcm")
        await soon(lambda: has_steps(server, made["id"], 1))
        canceled = await server.ask("POST", f"/v1/jobs/{made['id']}/cancel")
        assert canceled.json()["status"] == "canceled"
        kind_of(server).most_at_once = 0
        shown = await job(server, made["id"])
        sound = (await content(server, made["id"])).content
        assert 0 < len(sound) < len(AUDIO)
        assert shown["seconds"] == pytest.approx(len(sound) / 48_000, abs=0.001)
        assert shown["credits"] == pytest.approx(shown["seconds"], abs=0.001)
        assert (await verify(server.worker.store)).is_clean
        kind_of(server).most_at_once = 4
        assert (await server.ask("POST", f"/v1/jobs/{made['id']}/retry")).is_success
        done = await job_with(server, made["id"], "done", "failed")
        assert done["credits"] == pytest.approx(rig.seconds_of(AUDIO), abs=0.001)


@pytest.mark.parametrize(("failures", "state"), [(1, "done"), (9, "failed")])
@simulated
async def test_a_step_is_read_again_if_its_process_was_lost_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, state: str
) -> None:
    read: list[int] = []
    stretch = LongDecoder.stretch

    async def lost(decoder: LongDecoder, account: str, asked: StretchRequest, hz: int) -> bytes:
        read.append(asked.start_ms)
        if len(read) > failures:
            return await stretch(decoder, account, asked, hz)
        failure = DecodingFailed()
        failure.retry_after_s = 0.1
        raise failure

    monkeypatch.setattr(LongDecoder, "stretch", lost)
    monkeypatch.setattr("proxy.features.jobs.core.steps.RETRY_DELAY_S", 0.1)
    monkeypatch.setattr("proxy.features.jobs.core.steps.MOST_TRIES", 2)
    async with rig.conversions_inside(tmp_path) as server:
        made = await rig.new_conversion(server, rig.recording(WORDS[:1]))
        ended = await job_with(server, made["id"], "done", "failed")
        assert ended["status"] == state
        assert ended["error_code"] == ("server_busy" if state == "failed" else "")
        assert len(read) == 2
        assert (await verify(server.worker.store)).is_clean


@pytest.mark.parametrize("form", [{"kind": "conversion"}, rig.TRANSCRIPTION], ids=lambda form: form["kind"])
async def test_one_without_credits_waits_and_is_not_decoded_again_and_again(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, form: dict[str, str | None]
) -> None:
    read: list[int] = []
    stretch = LongDecoder.stretch

    async def counted(decoder: LongDecoder, account: str, asked: StretchRequest, hz: int) -> bytes:
        read.append(asked.start_ms)
        return await stretch(decoder, account, asked, hz)

    monkeypatch.setattr(LongDecoder, "stretch", counted)
    monkeypatch.setattr("proxy.features.jobs.core.steps.RETRY_DELAY_S", 0.2)
    async with rig.conversions_inside(tmp_path, store_url, plan="short") as server:
        kind_of(server).most_at_once = 1
        made = await rig.new_conversion(server, AUDIO, response_format=None, **form)
        waiting = await job_with(server, made["id"], "waiting")
        assert (waiting["waits_for"], waiting["steps_done"]) == ("credits", 1)
        assert len(read) == 1
        assert [row.kind for row in await server.usage()] == [form["kind"]]
        grant = await server.administer("POST", f"accounts/{server.account.id}/grants", {"credits": 100})
        assert grant.is_success, grant.text
        done = await job_with(server, made["id"], "done", "failed")
        assert done["credits"] == pytest.approx(rig.seconds_of(AUDIO), abs=0.001)
        assert len(read) == made["steps"]
        assert (await verify(server.worker.store)).is_clean


async def test_a_consent_that_is_withdrawn_ends_it(tmp_path: Path, store_url: str) -> None:
    async with rig.conversions_inside(tmp_path, store_url) as server:
        kind_of(server).most_at_once = 1
        body = {"name": "me", "language": "en", "statement": "I agree.", "uses": ["conversion"]}
        consent = (await server.ask("POST", "/v1/audio/voice_consents", body=body)).json()["id"]
        made = await rig.new_conversion(server, AUDIO, model="slow/standard", consent=consent)
        await soon(lambda: has_steps(server, made["id"], 1))
        gone = await server.ask("DELETE", f"/v1/audio/voice_consents/{consent}")
        assert gone.is_success, gone.text
        failed = await job_with(server, made["id"], "done", "failed")
        assert (failed["status"], failed["error_code"]) == ("failed", "consent_not_found")
        assert failed["steps_done"] < failed["steps"]


async def test_a_consent_that_is_withdrawn_in_mid_step_leaves_no_sound_and_no_charge(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stretch = LongDecoder.stretch
    async with rig.conversions_inside(tmp_path, store_url) as server:
        store, consents = server.worker.store, "/v1/audio/voice_consents"
        body = {"name": "me", "language": "en", "statement": "I agree.", "uses": ["conversion"]}
        consent = (await server.ask("POST", consents, body=body)).json()["id"]

        async def withdrawn(decoder: LongDecoder, account: str, asked: StretchRequest, hz: int) -> bytes:
            gone = await server.ask("DELETE", f"{consents}/{consent}")
            assert gone.is_success, gone.text
            return await stretch(decoder, account, asked, hz)

        monkeypatch.setattr(LongDecoder, "stretch", withdrawn)
        made = await rig.new_conversion(server, rig.recording(WORDS[:1]), consent=consent)
        failed = await job_with(server, made["id"], "done", "failed")
        assert (failed["status"], failed["error_code"]) == ("failed", "consent_not_found")
        assert (failed["steps_done"], failed["credits"]) == (0, 0)
        assert await store.read("SELECT * FROM job_clips") == []
        assert (await verify(store)).is_clean


@pytest.mark.parametrize("consent", ["true", "its id"])
async def test_a_job_that_was_accepted_goes_on_where_words_are_refused_by_now(
    tmp_path: Path, consent: str
) -> None:
    async with rig.conversions_inside(tmp_path) as server:
        kind_of(server).most_at_once = 0
        if consent != "true":
            body = {"name": "me", "language": "en", "statement": "I agree.", "uses": ["conversion"]}
            consent = (await server.ask("POST", "/v1/audio/voice_consents", body=body)).json()["id"]
        made = await rig.new_conversion(server, rig.recording(WORDS[:1]), consent=consent)
        grants = kind_of(server)._kinds["conversion"]._grants  # type: ignore[attr-defined]
        grants.refuses_words = True
        kind_of(server).most_at_once = 4
        assert (await job_with(server, made["id"], "done", "failed"))["status"] == "done"
        refused = await rig.ask_conversion(server, rig.recording(WORDS[:1]), consent=consent)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "consent_waits")


async def test_a_plan_that_needs_a_consent_by_now_ends_a_job_that_names_none(tmp_path: Path) -> None:
    plans = '[plans.waives]\nallowance = 1000\nconsent = "waived"\n[plans.needs]\nallowance = 1000\n'
    async with rig.conversions_inside(tmp_path, plan="waives", more=plans) as server:
        kind_of(server).most_at_once = 0
        made = await rig.new_conversion(server, AUDIO, consent=None)
        moved = await server.administer("POST", f"accounts/{server.account.id}", {"plan": "needs"})
        assert moved.is_success, moved.text
        assert (await server.ask("GET", "/v1/me")).json()["plan"]["consent"] == "required"
        kind_of(server).most_at_once = 4
        kind_of(server).look_now()
        failed = await job_with(server, made["id"], "done", "failed")
        assert (failed["status"], failed["error_code"]) == ("failed", "missing_required_parameter")


async def test_a_consent_to_speech_alone_is_refused(tmp_path: Path) -> None:
    async with rig.conversions_inside(tmp_path) as server:
        body = {"name": "me", "language": "en", "statement": "I agree.", "uses": ["speech"]}
        consent = (await server.ask("POST", "/v1/audio/voice_consents", body=body)).json()["id"]
        answer = await rig.ask_conversion(server, AUDIO, consent=consent)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (403, "consent_not_given", "consent")


async def test_of_a_voice_that_is_erased_in_mid_job_nothing_is_left(tmp_path: Path, store_url: str) -> None:
    async with rig.conversions_inside(tmp_path, store_url) as server:
        kind_of(server).most_at_once = 1
        store = server.worker.store
        voice = (await clone(server, "Ana Souza"))["id"]
        made = await rig.new_conversion(server, AUDIO, model="slow/standard", voice="Ana Souza")
        await soon(lambda: has_steps(server, made["id"], 1))
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice}")).is_success
        failed = await job_with(server, made["id"], "done", "failed")
        assert failed["error"].endswith(": The voice of this job is not here any more.")
        await erasure_of(server.worker).finish_interrupted()
        assert await store.read("SELECT * FROM job_clips") == []
        assert (await content(server, made["id"])).status_code == 409
        assert (await server.ask("DELETE", f"/v1/jobs/{made['id']}")).is_success
        assert await store.read("SELECT * FROM blobs") == []
        assert (await verify(store)).is_clean
