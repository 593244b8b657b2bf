"""An account's voice on engines that cannot speak it: they speak with a voice of their own, and another model
repeats that in the account's voice."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec.structs import replace
from starlette.types import Message

from plugins.tone.plugin import ToneSettings
from plugins.tone.worker import ToneEngine
from proxy.features.admin import verify
from speech_engine import (
    Context,
    EngineUnavailable,
    Event,
    Language,
    ModelInfo,
    Plugin,
    Started,
    UnsupportedOption,
    VoiceInfo,
)
from speech_engine.values import EngineVoice, Samples, SpeechJob, Trained
from tests import speech_clips
from tests.features.own_voices.trained_files import tone_voice
from tests.proxy.api.inside import Inside, NoSettings, envelope, inside
from tests.proxy.api.owning import agree, clone, new_key, send
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.replies import json_of
from tests.waiting import soon

CONFIG = """
[server]
converter = "mute"
[cache]
on = true
[engines.one]
[engines.two]
[engines.mute]
[engines.deaf]
[models]
tts-1 = ["one/m", "two/m"]
[voices.alloy]
one = "eve"
[voices.boss]
one = "joe"
[plans.timed]
allowance = 1000
prices.speech = { credits = 60, per = "minute" }
prices.conversion = { credits = 30, per = "minute" }
[plans.lettered]
allowance = 1000
prices.speech = { credits = 1, per = "character" }
[plans.narrow]
engines = ["one", "two"]
[plans.waived]
consent = "waived"
"""


BODY = {"model": "tts-1", "voice": "Ana", "input": "Hello.", "language": "en", "response_format": "pcm"}
_VOICES = (("joe", "en", "male"), ("ana", "pt", "female"), ("eve", "en", "female"), ("jim", "en", "male"))


class Speaking(Scripted):
    """Speaks English and Portuguese with voices of its own."""

    def __init__(self, *script: Any, **model: object) -> None:
        super().__init__(*script, **{"languages": (Language("en"), Language("pt")), **model})

    def voices(self) -> tuple[VoiceInfo, ...]:
        listed = (
            ("joe", "en", "male"),
            ("ana", "pt", "female"),
            ("eve", "en", "female"),
            ("jim", "en", "male"),
        )
        voices = [VoiceInfo(id=id_, name=id_, language=tag, gender=sex) for id_, tag, sex in listed]
        return (VoiceInfo(id="sue", name="sue", gender="male", is_cloned=True), *voices)


class Mute(ToneEngine):
    """Repeats recordings, and speaks no texts."""

    def __init__(self, **settings: Any) -> None:
        super().__init__("mute", ToneSettings(**settings), Context(structlog.get_logger()))
        self.jobs: list[SpeechJob] = []
        self.change: dict[str, Any] = {}
        self.fault: UnsupportedOption | None = None

    @asynccontextmanager
    async def create(self, _name: str, _settings: NoSettings, context: Context) -> AsyncIterator["Mute"]:
        self._samples = context.samples
        yield self

    def models(self) -> tuple[ModelInfo, ...]:
        (info,) = super().models()
        return (replace(info, **{"speaks": False, "clones": False, "mixes": False, **self.change}),)

    async def convert(self, job: SpeechJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        self.jobs.append(job)
        if self.fault is not None:
            raise self.fault
        async with aclosing(super().convert(job, pcm)) as events:
            async for event in events:
                yield event


class Deaf(Mute):
    """Takes no recordings, and repeats no voices."""

    def models(self) -> tuple[ModelInfo, ...]:
        return (replace(super().models()[0], trained_format="", speaks_samples=False, converts=False),)


def engines(**others: Any) -> dict[str, Any]:
    found = {"one": Speaking(*spoken(0.5)), "two": Speaking(*spoken(0.5)), "mute": Mute(), "deaf": Deaf()}
    return {**found, **others}


@asynccontextmanager
async def opened(
    folder: Path, asked: dict[str, Any], plan: str = "unlimited", config: str = CONFIG
) -> AsyncIterator[Inside]:
    """A worker with these engines. Those that are Mute get the recordings and the models of voices."""
    plain = {name: each for name, each in asked.items() if not isinstance(each, Mute)}
    more: Any = {
        ("engine", name): Plugin(kind="engine", name=name, settings=NoSettings, create=each.create)
        for name, each in asked.items()
        if isinstance(each, Mute)
    }
    async with inside(folder, config, plain, plan, more) as server:
        yield server


async def bring(server: Inside, uses: tuple[str, ...] = ("speech",), **fields: Any) -> dict[str, Any]:
    """Make a voice of a model that was trained elsewhere."""
    consent = await agree(server, uses=uses)
    data = {"format": "tone", "name": "Ana", "consent": consent["id"], **fields}
    async with server.client() as client:
        made = await client.post("/v1/audio/voice_models", data=data, files={"file": tone_voice()})
    return json_of(made)


def speech(server: Inside, **more: object) -> Any:
    return server.speech(**{"voice": "Ana", "language": "en", "response_format": "pcm", **more})  # type: ignore[arg-type]  # keywords by name


async def test_a_trained_voice_speaks_by_a_base_voice_of_its_gender(tmp_path: Path) -> None:
    asked = engines()
    rows = [("", "en", "eve"), ("male", "en", "jim"), ("female", "en-GB", "eve"), ("male", "pt", "ana")]
    async with opened(tmp_path, asked, "timed") as server:
        for gender, language, base in rows:
            name = f"{gender} {language}"
            await bring(server, gender=gender, name=name)
            answer = await speech(server, voice=name, language=language)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-voxgate-engine"] == "one/m, mute/standard"
            assert answer.headers["x-voxgate-voice-from"] == f"one/{base}"
            assert "x-voxgate-substitute" not in answer.headers
            assert asked["one"].jobs[-1].voice == EngineVoice(base)
            assert isinstance(asked["mute"].jobs[-1].voice, Trained)
            (row, *_) = await server.usage()
            assert (row.engine, row.model, row.outcome) == ("one+mute", "m+standard", "finished")
            seconds = len(answer.content) / 2 / 24_000
            assert row.credits == pytest.approx(1_500_000 * seconds, abs=2)
            told = (await speech(server, voice=name, language=language, response_format="json")).json()
            assert (told["voice_base"], told["model_used"]) == (f"one/{base}", "one/m, mute/standard")
            events = (
                await speech(server, voice=name, language=language, model="one/m", stream_format="sse")
            ).text
            assert f'"voice_base":"one/{base}"' in events.rpartition("speech.audio.done")[2]
        plain = await server.speech(language="en")
        assert "x-voxgate-voice-from" not in plain.headers
        assert (
            "voice_base" not in (await server.speech(language="en", model="one/m", stream_format="sse")).text
        )
        assert (await verify.verify(server.worker.store)).is_clean


async def test_recordings_speak_by_the_converter(tmp_path: Path) -> None:
    for converter, asked in (("mute", engines()), ("deaf", engines()), ("", engines())):
        (folder := tmp_path / f"by {converter}").mkdir()
        config = CONFIG.replace('converter = "mute"', f'converter = "{converter}"')
        async with opened(folder, asked, config=config) as server:
            await clone(server)
            answer = await speech(server, language="pt")
            if converter == "mute":
                assert answer.headers["x-voxgate-voice-from"] == "one/ana"
                assert isinstance(asked["mute"].jobs[0].voice, Samples)
            else:
                assert envelope(answer)["code"] == "voice_not_available"


REFUSED: list[tuple[str, dict[str, Any], dict[str, object], str]] = [
    ("timed", {"uses": ("training",)}, {}, "403 consent_not_given: 'Ana' does not name speech"),
    ("timed", {"uses": ("conversion",)}, {}, "403 consent_not_given: 'Ana' does not name speech"),
    ("lettered", {}, {}, "403 conversion_not_priced: no price for conversions by mute/standard"),
    ("narrow", {}, {}, "403 model_not_allowed: does not have mute/standard"),
    ("timed", {}, {"pitch": 2}, "400 unsupported_value: mute/standard cannot change the pitch"),
    ("timed", {}, {"emotion": "sad"}, "400 unsupported_value: 'emotion' is 'sad'"),
    ("timed", {}, {"language": "th"}, "400 voice_not_available"),
    ("timed", {}, {"model": "deaf/standard"}, "400 unsupported_model"),
    ("timed", {}, {"voice": {"mix": [{"id": "Ana"}, {"id": "alloy"}]}}, "400 voice_not_available"),
]


@pytest.mark.parametrize(("plan", "voice", "request_", "refusal"), REFUSED)
async def test_a_voice_is_refused_before_an_engine_hears(
    tmp_path: Path, plan: str, voice: dict[str, Any], request_: dict[str, object], refusal: str
) -> None:
    asked = engines()
    async with opened(tmp_path, asked, plan) as server:
        await bring(server, **voice)
        answer = await speech(server, **request_)
        status, _, rest = refusal.partition(" ")
        code, _, message = rest.partition(": ")
        assert (answer.status_code, envelope(answer)["code"]) == (int(status), code), answer.text
        assert message in envelope(answer)["message"]
        assert await server.usage() == []
    assert [asked[name].jobs for name in ("one", "two", "mute")] == [[], [], []]


async def test_an_explanation_names_the_model_that_repeats(tmp_path: Path) -> None:
    async with opened(tmp_path, engines()) as server:
        await bring(server)
        asked = {"model": "tts-1", "voice": "Ana", "input": "Hello.", "language": "en", "account": "ada"}
        answer = await server.administer("POST", "route/explain", asked)
        (part,) = answer.json()["parts"]
        assert [(each["voice"], each["repeated_by"]) for each in part["candidates"]] == [
            ("eve", "mute/standard"),
            ("joe", "mute/standard"),
        ]
        plain = await server.administer("POST", "route/explain", {**asked, "voice": "alloy"})
        assert "repeated_by" not in plain.json()["parts"][0]["candidates"][0]


async def test_the_voice_of_another_account_is_unknown(tmp_path: Path) -> None:
    asked = engines()
    async with opened(tmp_path, asked) as server:
        voice = await bring(server)
        other = await new_key(server, "ben")
        body = {"model": "tts-1", "voice": voice["id"], "input": "Hello.", "language": "en"}
        answer = await server.ask("POST", "/v1/audio/speech", key=other, body=body)
        assert envelope(answer)["code"] == "voice_not_found"
    assert asked["one"].jobs == asked["mute"].jobs == []


async def test_the_pitch_is_that_of_the_model_that_repeats(tmp_path: Path) -> None:
    asked = engines()
    asked["mute"].change = {"pitch": (-12.0, 12.0)}
    async with opened(tmp_path, asked) as server:
        await bring(server)
        assert (await speech(server, pitch=2)).status_code == 200
    assert [asked[name].jobs[0].pitch for name in ("one", "mute")] == [0.0, 2.0]


async def test_the_model_that_repeats_gets_its_own_fields(tmp_path: Path) -> None:
    asked = engines()
    asked["mute"].change = {"client_fields": ("tau",)}
    async with opened(tmp_path, asked) as server:
        await bring(server)
        for tau, state in ((0.1, "miss"), (0.1, "hit"), (0.2, "miss")):
            answer = await speech(server, tau=tau, cache=True)
            assert (answer.status_code, answer.headers["x-voxgate-cache"]) == (200, state)
            assert "tau" not in answer.headers.get("x-voxgate-ignored", "")
        assert [each.extra for each in asked["mute"].jobs] == [{"tau": 0.1}, {"tau": 0.2}]
        assert [each.extra for each in asked["one"].jobs] == [{}, {}]
        asked["mute"].fault = UnsupportedOption("Invalid value for 'tau'.", detail="tau")
        answer = await speech(server, tau=7)
        assert (answer.status_code, envelope(answer)["param"]) == (400, "tau")
        plain = await speech(server, model="one/m")
        assert (plain.status_code, envelope(plain)["param"]) == (503, None)


async def test_the_base_voice_is_never_heard_alone(tmp_path: Path) -> None:
    asked = engines(mute=Mute(fail="EngineUnavailable"))
    async with opened(tmp_path, asked, "timed") as server:
        await bring(server)
        answer = await speech(server)
        assert (answer.status_code, envelope(answer)["code"]) == (503, "engine_unavailable")
        (row,) = await server.usage()
        assert (row.credits, row.outcome) == (0, "failed")
    assert asked["two"].jobs == [], "it would be repeated by the same model"


async def test_another_base_voice_is_tried(tmp_path: Path) -> None:
    asked = engines(one=Speaking(EngineUnavailable("away")))
    async with opened(tmp_path, asked) as server:
        await bring(server)
        for state in ("miss", "hit"):
            answer = await speech(server)
            assert answer.headers["x-voxgate-engine"] == "two/m, mute/standard"
            assert answer.headers["x-voxgate-voice-from"] == "two/joe"
            assert answer.headers["x-voxgate-cache"] == state


async def test_a_model_that_speaks_the_voice_comes_first(tmp_path: Path) -> None:
    config = CONFIG.replace('"one/m", ', '"one/m", "able/standard", ') + "[engines.able]"
    able = Mute(pace=0.0)
    able.change = {"speaks": True}
    async with opened(tmp_path, engines(able=able), config=config) as server:
        await bring(server)
        answer = await speech(server)
        assert answer.headers["x-voxgate-engine"] == "able/standard"
        assert "x-voxgate-voice-from" not in answer.headers


async def test_a_route_with_its_own_post_step_gives_todays_error(tmp_path: Path) -> None:
    route = '[[routes]]\nlanguage = "en"\npost = [{ engine = "mute", voice = "tone" }]\n'
    config = CONFIG.replace("[voices.alloy]", f"{route}[voices.alloy]")
    async with opened(tmp_path, engines(), config=config) as server:
        await bring(server)
        assert envelope(await speech(server))["code"] == "voice_not_available"
        assert (await speech(server, language="pt")).status_code == 200


async def test_a_clip_goes_with_the_voice(tmp_path: Path) -> None:
    asked = engines()
    async with opened(tmp_path, asked) as server:
        voice = await bring(server)
        states = [(await speech(server)).headers["x-voxgate-cache"] for _ in range(2)]
        again = await speech(server)
        assert again.headers["x-voxgate-voice-from"] == "one/eve"
        assert (await server.ask("DELETE", f"/v1/audio/voices/{voice['id']}")).status_code == 200
        assert list((tmp_path / "data" / "cache").rglob("*.clip")) == []
        await bring(server)
        states.append((await speech(server)).headers["x-voxgate-cache"])
    assert states == ["miss", "hit", "miss"]
    assert len(asked["mute"].jobs) == 2


async def test_an_entry_says_in_which_languages_others_speak_for_a_voice(tmp_path: Path) -> None:
    async with opened(tmp_path, engines(), "waived") as server:
        voice = await bring(server)
        assert voice["through"] == {"one": ["en", "pt"], "two": ["en", "pt"]}
        listed = (await server.ask("GET", "/v1/audio/voices?mine=true&language=pt")).json()["data"]
        assert [each["id"] for each in listed] == [voice["id"]]
        assert "through" not in listed[0]
        listed = (await server.ask("GET", "/v1/audio/voices?mine=true&language=th")).json()["data"]
        assert listed == []


@pytest.mark.parametrize("end", ["voice", "account"])
async def test_what_ends_the_voice_ends_its_speech(tmp_path: Path, end: str) -> None:
    goes_on = asyncio.Event()
    asked = engines(one=Speaking(Started(RATE_HZ), *sound(1.0), goes_on.wait, *sound(20.0)))
    async with opened(tmp_path, asked, "timed") as server:
        voice = await bring(server)
        began = asyncio.Event()

        async def note(message: Message) -> None:
            if message.get("body"):
                began.set()

        speaking = asyncio.create_task(server.raw_speech(BODY, on_sent=note))
        await asyncio.wait_for(began.wait(), 20.0)
        # A consent that a voice needs is there as long as the voice.
        kept = await server.ask("DELETE", f"/v1/audio/voice_consents/{voice['consent']}")
        assert (kept.status_code, speaking.done()) == (409, False)
        paths = {"voice": "/v1/audio/voices/Ana", "account": f"/admin/accounts/{server.account.id}"}
        key = server.admin_key if end == "account" else server.key
        ending = asyncio.create_task(server.ask("DELETE", paths[end], key=key))
        erased = server.worker.open_features.context.erased
        await soon(lambda: speaking.done() or erased.is_erased(voice["id"]))
        goes_on.set()
        messages = await asyncio.wait_for(speaking, 20.0)
        assert (await ending).status_code == 200
        assert messages[-1]["more_body"], "the answer is broken off"
        (row,) = await server.usage()
        assert (row.outcome, row.error) == (
            ("failed", "voice_not_found") if end == "voice" else ("left", None)
        )
        assert row.credits == pytest.approx(1_500_000 * row.samples / 24_000, abs=2), "of what was sent"
        assert row.samples <= 24_000 * 1.0, "nothing of what came later"
        assert list(await server.worker.store.read("SELECT * FROM holds", {})) == []
        assert (await verify.verify(server.worker.store)).is_clean
        files = [each for each in (tmp_path / "data").rglob("*") if "cache" in str(each) and each.is_file()]
        assert [each for each in files if each.stat().st_size > 1000] == []
    assert asked["one"].open == 0


@pytest.mark.parametrize("stated_hz", [16_000, 48_000])
async def test_a_base_engine_of_another_rate_than_stated_sounds_right(tmp_path: Path, stated_hz: int) -> None:
    asked = engines(one=Speaking(*spoken(0.5, stated_hz)))
    async with opened(tmp_path, asked) as server:
        await bring(server)
        answer = await speech(server)
        assert len(answer.content) / 2 / 24_000 == pytest.approx(0.5, abs=0.1)


async def test_a_base_engine_that_changes_its_rate_is_broken_off(tmp_path: Path) -> None:
    changing = [Started(RATE_HZ), *sound(0.5), *spoken(0.5, 16_000)]
    asked = engines(one=Speaking(*changing), two=Speaking(*changing))
    async with opened(tmp_path, asked, "timed") as server:
        await bring(server)
        messages = await server.raw_speech(BODY)
        (row,) = await server.usage()
        assert (row.outcome, row.credits) == ("failed", 0)
    assert messages[0]["status"] == 503 or messages[-1]["more_body"], "never two rates in one answer"


class Quick(Speaking):
    """Stands in for slower engines, with a woman."""

    def voices(self) -> tuple[VoiceInfo, ...]:
        return (VoiceInfo(id="amy", name="amy", language="en", gender="female"),)


async def test_an_engine_that_stands_in_comes_first_unless_its_voice_is_of_another_gender(
    tmp_path: Path,
) -> None:
    config = CONFIG.replace("[engines.two]", "[engines.two]\nstands_in = true")
    async with opened(tmp_path, engines(two=Quick(*spoken(0.5))), config=config) as server:
        for gender, base in (("", "two/amy"), ("female", "two/amy"), ("male", "one/jim")):
            await bring(server, name=f"voice {gender}", gender=gender)
            answer = await speech(server, voice=f"voice {gender}")
            assert answer.headers["x-voxgate-voice-from"] == base


async def test_a_robot_speaks_only_where_no_natural_voice_does(tmp_path: Path) -> None:
    asked = engines(one=Speaking(*spoken(0.5), is_trained=False), two=Speaking(EngineUnavailable("away")))
    async with opened(tmp_path, asked) as server:
        await bring(server)
        assert (await speech(server)).status_code == 503
        assert asked["one"].jobs == []
        two = engines(one=Speaking(*spoken(0.5), is_trained=False), two=Quick(*spoken(0.5), languages=()))
    (tmp_path / "robots").mkdir()
    async with opened(tmp_path / "robots", two) as server:
        await bring(server)
        answer = await speech(server, language="pt")
        assert answer.headers["x-voxgate-voice-from"] == "one/ana"
        assert "x-voxgate-substitute" not in answer.headers


async def test_to_a_provider_goes_the_text_alone(tmp_path: Path) -> None:
    """Its consent names no provider, and no provider hears the voice."""
    asked = engines(one=Speaking(*spoken(0.5), is_local=False))
    async with opened(tmp_path, asked) as server:
        consent = await agree(server, uses=["speech"], providers=[])
        data = {"format": "tone", "name": "Ana", "consent": consent["id"]}
        async with server.client() as client:
            await client.post("/v1/audio/voice_models", data=data, files={"file": tone_voice()})
        answer = await speech(server)
        assert answer.headers["x-voxgate-engine"] == "one/m, mute/standard"
        assert asked["one"].jobs[0].voice == EngineVoice("eve")


async def test_what_this_way_lacks_names_the_model_that_has_it(tmp_path: Path) -> None:
    able = Mute()
    able.change = {"speaks": True, "trained_format": "", "languages": (Language("en"),), "mixes": True}
    config = CONFIG + '[engines.able]\n[plans.some]\nengines = ["one", "two", "mute", "able"]\n'
    async with opened(tmp_path, engines(able=able), "some", config) as server:
        consent = await agree(server)
        for name in ("Ana", "Ben"):
            await send(server, {"name": name, "consent": consent["id"]})
        added = await server_sample(server, "Ana", "sad")
        assert added.status_code == 201, added.text
        assert (await speech(server)).headers["x-voxgate-engine"] == "one/m, mute/standard"
        for lacked in ({"emotion": "sad"}, {"voice": {"mix": [{"id": "Ana"}, {"id": "Ben"}]}}):
            refused = envelope(await speech(server, **lacked))
            assert refused["message"].endswith("able/standard can."), refused


async def server_sample(server: Inside, voice: str, emotion: str) -> Any:
    async with server.client() as client:
        files, data = {"file": speech_clips.wav()}, {"emotion": emotion}
        return await client.post(f"/v1/audio/voices/{voice}/samples", data=data, files=files)
