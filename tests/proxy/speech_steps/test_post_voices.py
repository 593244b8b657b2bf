"""Whose voices post-steps may have, and what an erasure of either voice ends."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.types import Message

from policies.lexicon import Lexicons
from policies.plans import UNLIMITED, build_terms
from policies.routing import Binding, PostStep, Route, Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary, VoiceCache
from proxy.config.sections import Config, EngineSection
from proxy.engines.engine_list import Engines
from proxy.engines.hosts.in_process import InProcessEngine
from proxy.engines.source import LiveEngine
from proxy.errors import NotAllowed
from proxy.features.admin import verify
from proxy.http.replies import encode_json
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.speech_request import Defaults, parse_speech
from proxy.speech_steps.post_steps import find_step
from speech_engine import EngineVoice, ModelInfo, Started, Trained
from tests.features.erasure.erasing import erase, erasure_of
from tests.features.own_voices.saving import add_cast, saved
from tests.proxy.api.inside import Inside, envelope, inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound, spoken
from tests.proxy.speech_steps.repeating import Repeating
from tests.waiting import soon

CONFIG = """
[cache]
on = true
[engines.one]
[engines.rvc]
[models]
tts-1 = ["one/m"]
[voices.alloy]
one = "v"
[voices.bound]
rvc = "v"
[[routes]]
language = "en"
candidates = ["one/m"]
post = [{ engine = "rvc", voice = "Anna" }]
"""


def engines() -> dict[str, Any]:
    return {"one": Scripted(*spoken(0.5)), "rvc": Repeating()}


async def save(server: Inside, name: str = "Anna") -> str:
    made = await server.administer("POST", "voices", {"name": name, "bindings": {"rvc": "v"}})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def test_a_voice_that_the_operator_saved_repeats_as_long_as_it_is_there(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        for _ in range(2):
            missing = await server.speech(language="en")
            assert (missing.status_code, envelope(missing)["code"]) == (503, "post_step_not_ready")
            assert "there is no voice 'Anna'" in envelope(missing)["message"]
            id_ = await save(server)
            answer = await server.speech(language="en")
            assert (answer.status_code, answer.headers["x-voxgate-engine"]) == (200, "one/m, rvc/m")
            assert (await server.administer("DELETE", f"voices/{id_}")).status_code == 200


async def test_an_accounts_voice_of_that_name_is_not_meant(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        await add_cast(server.worker.store, server.account.id, "Anna", {"Ana": "alloy"})
        refused = await server.speech(language="en")
        assert (refused.status_code, envelope(refused)["code"]) == (503, "post_step_not_ready")
        await save(server)
        assert (await server.speech(language="en")).status_code == 200


async def test_who_repeats_is_forgotten_with_the_clips_of_its_voice(tmp_path: Path) -> None:
    asked = engines()
    async with inside(tmp_path, CONFIG, asked) as server:
        id_ = await save(server)
        states = [(await server.speech(language="en")).headers["x-voxgate-cache"] for _ in range(2)]
        assert (await server.administer("DELETE", f"voices/{id_}")).status_code == 200
        await save(server)
        states.append((await server.speech(language="en")).headers["x-voxgate-cache"])
    assert states == ["miss", "hit", "miss"]
    assert len(asked["rvc"].jobs) == 2


@pytest.mark.parametrize("whose", ["who repeats", "who speaks"])
async def test_an_erasure_of_either_voice_ends_the_answer_and_both_engines(
    tmp_path: Path, whose: str
) -> None:
    may_go_on = asyncio.Event()
    asked = {
        "one": Scripted(Started(RATE_HZ), *sound(1.0), may_go_on.wait, *sound(4.0)),
        "rvc": Repeating(),
    }
    async with inside(tmp_path, CONFIG, asked) as server:
        post_voice = await saved(server.worker.store).get(await save(server))
        cast = await add_cast(server.worker.store, server.account.id, "Mine", {"Ana": "alloy"})
        assert cast is not None
        assert post_voice is not None
        began = asyncio.Event()

        async def note(message: Message) -> None:
            if message.get("body"):
                began.set()

        body = {
            "model": "tts-1",
            "voice": cast.id,
            "input": "[Ana] Hello. " * 8,
            "language": "en",
            "response_format": "pcm",
        }
        speaking = asyncio.create_task(server.raw_speech(body, on_sent=note))
        await asyncio.wait_for(began.wait(), 20.0)
        gone = post_voice if whose == "who repeats" else cast
        erased = asyncio.create_task(erase(server, gone))
        await soon(lambda: erasure_of(server.worker).erased.is_erased(gone.id))
        may_go_on.set()
        messages = await asyncio.wait_for(speaking, 20.0)
        await asyncio.wait_for(erased, 20.0)
        (row,) = await server.usage()
        assert list(await server.worker.store.read("SELECT * FROM holds", {})) == []
        assert (await verify.verify(server.worker.store)).is_clean
    assert messages[-1]["more_body"], "the answer is broken off"
    assert (row.outcome, row.error) == ("failed", "voice_not_found")
    assert [each.open for each in asked.values()] == [0, 0]


class Unlisting(InProcessEngine):
    """An engine that does not list one of its voices."""

    unlisted_voices = ("hidden",)


async def test_what_a_step_names_is_the_operators_the_files_or_the_engines(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        live = dict(server.worker.engines.items())
        trained = Voice(id="voice_1", name="Anna", bindings=(Binding("rvc", Trained("d1")),))
        mine = Voice(id="voice_2", name="Mine", account="acc_1")
        library = AccountLibrary(VoiceCache((mine,)), VoiceCache((trained,)), Lexicons({}))

        def found(voice: str, engine: str = "rvc", configured: Voice | None = None) -> tuple[object, str]:
            step = find_step(PostStep(engine=engine, voice=voice), live, library.operator_voices, configured)
            return step.voice, step.lack

        assert found("Anna") == found("voice_1") == (trained, "")
        own = Voice(id="rvc/v", name="v", bindings=(Binding("rvc", EngineVoice("v")),))
        assert found("v") == found("rvc/v") == (own, "")
        of_file = Voice(id="bound", name="bound")
        assert found("bound", configured=of_file) == (of_file, "")
        assert found("Mine") == (None, "there is no voice 'Mine' for rvc/m")
        # An engine may speak a voice that it does not list.
        unlisting = Unlisting(Repeating(), 0)
        step = find_step(PostStep(engine="rvc", voice="hidden"), {"rvc": unlisting}, {}, None)
        assert step.voice == Voice(
            id="rvc/hidden", name="hidden", bindings=(Binding("rvc", EngineVoice("hidden")),)
        )
        assert found("v", "rvc/x") == (None, "rvc has no model of 'rvc/x'; known: m")
        assert found("v", "gone") == (None, "no [engines.gone] for gone")


def test_in_a_cast_each_voice_must_agree_to_be_repeated() -> None:
    live: dict[str, LiveEngine] = {name: InProcessEngine(each, 0) for name, each in engines().items()}
    sections = {name: EngineSection(plugin=name) for name in live}
    route = Route(language="en", candidates=("one/m",), post=(PostStep(engine="rvc", voice="v"),))
    config = Config(engines=sections, models={"tts-1": ("one/m",)}, routes=(route,))
    planner = Planner(Catalogue(config, Engines(live, sections)))
    body = {
        "model": "tts-1",
        "voice": {"cast": {"Ana": "Open", "Ben": "Closed"}},
        "input": "[Ana] Who goes there? [Ben] It is only me.",
        "language": "en",
    }
    request = parse_speech(encode_json(body), Defaults())
    bound = (Binding("one", EngineVoice("v")),)
    of_open = Voice(id="voice_2", name="Open", account="acc_1", bindings=bound)

    def plan(uses: tuple[str, ...]) -> SpeechPlan:
        mine = (of_open, replace(of_open, id="voice_3", name="Closed", uses=uses))
        return planner.plan(
            request, build_terms(UNLIMITED), AccountLibrary(VoiceCache(mine), VoiceCache(), Lexicons({}))
        )

    assert [part.candidates[0].speaker for part in plan(("speech", "conversion")).parts] == [
        "one/m, rvc/m",
        "one/m, rvc/m",
    ]
    with pytest.raises(NotAllowed, match="'Closed' does not name conversion"):
        plan(("speech",))


class Both(Repeating):
    """Its first model only speaks."""

    def models(self) -> tuple[ModelInfo, ...]:
        (converting,) = super().models()
        return replace(converting, id="speaks", converts=False), converting


async def test_an_engine_stands_for_its_first_model_that_converts(tmp_path: Path) -> None:
    asked = engines() | {"rvc": Both()}
    async with inside(tmp_path, CONFIG.replace('"Anna"', '"v"'), asked) as server:
        answer = await server.speech(language="en")
    assert answer.headers["x-voxgate-engine"] == "one/m, rvc/m"
