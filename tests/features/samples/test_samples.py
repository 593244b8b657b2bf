"""Samples of voices: what is made, when, what stays, and who may hear it."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from policies.preview_texts import has_preview_text
from proxy.features.samples.folder import SampleFolder
from proxy.features.samples.texts import FRONT_LANGUAGES, front_text, sample_text
from proxy.features.voice_list.voice_entries import VoiceEntry
from proxy.storage import accounts
from tests.features.samples.rig import Sampling, Singer, sampling
from tests.proxy.api.inside import envelope
from tests.proxy.api.scripted import Halt
from tests.sound import decoded
from tests.tables import each_row

pytestmark = pytest.mark.slow_but(
    "test_each_voice_has_a_sample_and_each_language_of_the_front_a_longer_one",
    "test_a_thousand_visits_cause_no_synthesis",
    "test_a_listener_stops_it_at_once_and_it_waits_for_quiet",
)


async def _listed(at: Sampling) -> dict[str, VoiceEntry]:
    listed = (await at.server.ask("GET", "/v1/audio/voices")).json()["data"]
    return {each["id"]: msgspec.convert(each, VoiceEntry) for each in listed}


def _digest(entry: VoiceEntry) -> str:
    assert isinstance(entry.sample, str)
    return entry.sample.removeprefix("/v1/audio/samples/").removesuffix(".mp3")


async def test_each_voice_has_a_sample_and_each_language_of_the_front_a_longer_one(tmp_path: Path) -> None:
    async with sampling(tmp_path) as at:
        before = await _listed(at)
        # It is still to be made. Nobody has a text in Finnish.
        assert before["one/af_heart"].sample is None
        assert before["one/fi_aino"].sample is msgspec.UNSET
        await at.make()
        entries = await _listed(at)
        heart = entries["one/af_heart"]
        assert (heart.title, heart.name, heart.pitch) == ("Heart", "af_heart", "high")
        assert heart.pitch_hz == pytest.approx(220, abs=2)
        assert entries["one/fi_aino"].sample is msgspec.UNSET
        answer = await at.server.ask("GET", str(heart.sample))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert decoded(answer.content, "mp3").seconds == pytest.approx(1.0, abs=0.1)
        english, brazilian = (at.samples.front_sample(tag) for tag in ("en", "pt-BR"))
        assert english is not None
        assert brazilian is not None
        assert (english.voice, english.text) == ("one/af_heart", front_text("en"))
        assert brazilian.voice == "one/pf_dora"
        assert at.samples.front_sample("th") is None
        # Once they are made, nothing is asked for again.
        spoken = len(at.engine.jobs)
        assert spoken == 5
        assert {job.urgency for job in at.engine.jobs} == {"idle"}
        await at.make()
        assert len(at.engine.jobs) == spoken


async def test_a_robot_has_no_longer_sample(tmp_path: Path) -> None:
    async with sampling(tmp_path, Singer(is_trained=False)) as at:
        # The front shows its voices.
        at.samples.show_on_front(lambda: ["one/af_heart", "one/pf_dora"])
        await at.make()
        assert all(at.samples.front_sample(tag) is None for tag in FRONT_LANGUAGES)
        assert isinstance((await _listed(at))["one/af_heart"].sample, str)


async def test_they_are_the_operators_own_and_cost_nobody_anything(tmp_path: Path) -> None:
    async with sampling(tmp_path) as at:
        await accounts.create(at.server.worker.store, name="samples", plan="unlimited")
        await at.make()
        rows = await at.server.usage()
        assert {(each.kind, each.credits, each.outcome) for each in rows} == {("sample", 0, "finished")}
        (owner,) = {each.account for each in rows}
        # A customer has the name already.
        account = await accounts.get(at.server.worker.store, owner)
        assert account is not None
        assert account.name == "samples-2"
        own = (await at.server.ask("GET", "/v1/usage")).json()["data"]
        assert own == []
        await at.make()
        assert (await at.server.administer("GET", "ledger")).json()["is_clean"]


async def test_a_thousand_visits_cause_no_synthesis(tmp_path: Path) -> None:
    async with sampling(tmp_path, public="true") as at:
        await at.make()
        spoken, usage = len(at.engine.jobs), len(await at.server.usage())
        samples = [str(each.sample) for each in (await _listed(at)).values() if each.sample]
        async with at.server.client(key="") as visitor:
            for number in range(1000):
                path = ("/v1/audio/voices", samples[number % len(samples)], "/v1/audio/samples/none.mp3")
                answer = await visitor.get(path[number % 3])
                assert answer.status_code in (200, 404, 429)
        assert len(at.engine.jobs) == spoken
        assert len(await at.server.usage()) == usage


async def test_a_listener_stops_it_at_once_and_it_waits_for_quiet(tmp_path: Path) -> None:
    engine = Singer()
    engine.halt = halt = Halt()
    async with sampling(tmp_path, engine) as at:
        at.worker.quiet_s = 0.0
        turn = asyncio.create_task(at.worker.make_wanted())
        await halt.is_there.wait()
        spoken = await at.server.speech("Hello there.", voice="one/af_heart")
        assert spoken.status_code == 200
        await turn
        assert at.engine.open == 0
        assert at.store.samples == {}
        # Ten seconds have to pass: none has.
        at.worker.quiet_s, asked = 10.0, len(at.engine.jobs)
        await at.worker.make_wanted()
        assert len(at.engine.jobs) == asked
        engine.halt = None
        await at.make()
        assert len(at.store.samples) == 5
        outcomes = [each.outcome for each in await at.server.usage() if each.kind == "sample"]
        assert outcomes.count("failed") == 1


async def test_it_waits_while_another_process_speaks(tmp_path: Path) -> None:
    engine = Singer()
    async with sampling(tmp_path, engine) as at:
        live = at.server.worker.engines["one"]
        halt = engine.halt = Halt()
        at.worker.quiet_s = 0.0
        busy = asyncio.create_task(at.worker.make_wanted())
        await halt.is_there.wait()
        assert (await live.health()).running == 1
        # To a second worker, that job is somebody's.
        before = len(engine.jobs)
        await at.worker.make_wanted()
        assert len(engine.jobs) == before
        halt.goes_on.set()
        engine.halt = None
        await busy


@each_row(
    ("more", "made"),
    [
        ("", 5),
        ('[engines.one.costs]\n"*" = { usd = 0.1, per = "hour" }', 0),
        ('[samples]\npaid = ["one"]\n[engines.one.costs]\n"*" = { usd = 0.1, per = "hour" }', 0),
        (
            '[samples]\npaid = ["one"]\n[engines.one.costs]\n"*" = { usd = 0.1, per = "hour" }\n'
            "[voices.dora]\none = 'pf_dora'\n[front]\nvoices = ['dora', 'nobody']",
            2,
        ),
        ("[samples]\nmb = 0", 0),
    ],
)
async def test_what_costs_money_speaks_for_the_named_voices_alone(
    more: str, made: int, tmp_path: Path
) -> None:
    if "[front]" in more:
        pytest.importorskip("proxy.features.front.section")
    async with sampling(tmp_path, more=more) as at:
        await at.make()
        assert len(at.engine.jobs) == len(at.store.samples) == made


async def test_a_model_that_sends_texts_away_or_that_is_not_loaded_is_never_asked(tmp_path: Path) -> None:
    async with sampling(tmp_path, Singer(is_local=False)) as at:
        await at.make()
        assert at.engine.jobs == []
        assert (await _listed(at))["one/af_heart"].sample is msgspec.UNSET


async def test_another_model_makes_them_anew(tmp_path: Path) -> None:
    async with sampling(tmp_path) as at:
        await at.make()
        before = {*at.store.samples}
    async with sampling(tmp_path, Singer(digest="another"), name="bob") as at:
        assert {*at.store.samples} == before
        await at.make()
        assert len(at.store.samples) == 5
        assert not before & {*at.store.samples}


async def test_when_the_room_is_full_the_front_stays_and_nothing_is_made_again_and_again(
    tmp_path: Path,
) -> None:
    async with sampling(tmp_path) as at:
        await at.make()
        size = at.store.used_bytes // 5
        at.samples.show_on_front(lambda: ["one/pf_dora"])
        heart = _digest((await _listed(at))["one/af_heart"])
        eric = _digest((await _listed(at))["one/am_eric"])
        await at.server.ask("GET", f"/v1/audio/samples/{heart}.mp3")
        at.worker.most_bytes = 4 * size + 10
        await at.make()
        # The one that nobody has heard goes, and is not made while there is no room.
        assert eric not in at.store.samples
        assert heart in at.store.samples
        at.worker.most_bytes = at.samples.most_bytes = 3 * size + 10
        await at.make()
        assert {each.record.voice for each in at.store.samples.values() if each.record.kind == "voice"} == {
            "pf_dora"
        }
        asked = len(at.engine.jobs)
        for _ in range(3):
            await at.make()
        assert len(at.engine.jobs) == asked
        assert (await _listed(at))["one/am_eric"].sample is msgspec.UNSET


async def test_they_outlive_a_restart_and_a_spoilt_file_is_made_again(tmp_path: Path) -> None:
    async with sampling(tmp_path) as at:
        await at.make()
        one, two, *_ = at.store.samples
    folder = tmp_path / "data" / "samples"
    (folder / f"{one}.json").write_text("{")
    (folder / f"{two}.mp3").unlink()
    (folder / "..%2f.json").write_text("{}")
    async with sampling(tmp_path, name="bob") as at:
        assert len(at.store.samples) == 3
        await at.make()
        assert len(at.engine.jobs) == 2
        assert len(at.store.samples) == 5


async def test_who_may_hear_which(tmp_path: Path) -> None:
    async with sampling(tmp_path) as at:
        await at.make()
        entries = await _listed(at)
        heart, dora = str(entries["one/af_heart"].sample), str(entries["one/pf_dora"].sample)
        at.samples.show_on_front(lambda: ["one/pf_dora"])

        async def asked(path: str, key: str = "", **headers: str) -> int:
            return (await at.server.ask("GET", path, key=key, **headers)).status_code

        assert [await asked(heart), await asked(dora), await asked(heart, at.server.key)] == [404, 200, 200]
        long = at.samples.front_sample("en")
        assert long is not None
        assert await asked(long.address) == 200
    async with sampling(tmp_path, public="true", name="bob") as at:
        assert (await at.server.ask("GET", heart, key="")).headers["cache-control"].startswith("public, ")


@each_row(
    "name",
    ["none", "..%2f..%2fdev-key", "%2e%2e", "x" * 5000, "voice_1", "%00", "%E0%B8%81", "a/b", "a.json", "-"],
)
async def test_what_is_no_digest_is_not_found(name: str, tmp_path: Path) -> None:
    async with sampling(tmp_path, public="true") as at:
        answer = await at.server.ask("GET", f"/v1/audio/samples/{name}.mp3", key="")
        assert answer.status_code in (401, 404)
        assert envelope(answer)["message"]


async def test_a_part_of_a_sample_is_sent(tmp_path: Path) -> None:
    async with sampling(tmp_path) as at:
        await at.make()
        path = str((await _listed(at))["one/af_heart"].sample)
        whole = (await at.server.ask("GET", path)).content
        part = await at.server.ask("GET", path, range="bytes=10-19")
        assert (part.status_code, part.content) == (206, whole[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
        beyond = await at.server.ask("GET", path, range=f"bytes={len(whole)}-")
        assert (beyond.status_code, envelope(beyond)["param"]) == (416, "Range")


async def test_an_address_has_a_hundred_and_twenty_a_minute(tmp_path: Path) -> None:
    async with sampling(tmp_path, public="true") as at, at.server.client(key="") as visitor:
        statuses = [(await visitor.get("/v1/audio/samples/none.mp3")).status_code for _ in range(121)]
        assert statuses == [404] * 120 + [429]


async def test_a_description_finds_by_what_was_measured(tmp_path: Path) -> None:
    async with sampling(tmp_path) as at:
        await at.make()
        found = (await at.server.ask("GET", "/v1/audio/voices?describe=high+quick+man")).json()["data"]
        assert found[0]["id"] == "one/am_eric"
        assert {"gender: male", "quality: high", "quality: quick"} <= {*found[0]["reasons"]}


async def test_each_speaker_is_shown_once(tmp_path: Path) -> None:
    more = "[voices.newsman]\none = 'am_eric'\n[voices.alloy]\none = 'af_heart'"
    async with sampling(tmp_path, more=more) as at:
        await at.make()
        entries = await _listed(at)
        assert entries["one/am_eric"].shown_as == entries["newsman"].shown_as == "newsman"
        assert entries["alloy"].shown_as == entries["one/af_heart"].shown_as == "one/af_heart"
        assert entries["newsman"].sample == entries["one/am_eric"].sample


def test_each_language_has_two_sentences() -> None:
    letters = [chr(ord("a") + number) for number in range(26)]
    tags = [one + two for one in letters for two in letters]
    assert [tag for tag in tags if has_preview_text(tag)] == [tag for tag in tags if sample_text(tag)]
    assert {len(sample_text(tag)) <= 110 for tag in tags} == {True}
    assert sample_text("fi") == front_text("de") == ""
    assert all(120 < len(front_text(tag)) < 220 for tag in FRONT_LANGUAGES)


def test_uses_are_written_for_the_next_start(tmp_path: Path) -> None:
    now = [1_000_000_000.0]
    store = SampleFolder(tmp_path / "samples", lambda: now[0])
    store.refresh()
    assert store.samples == {}
    assert store.get("x") is None
    store.write_uses()
