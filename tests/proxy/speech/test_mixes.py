"""Mixes of voices: what a request may ask for, who can speak it, and that it is heard."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from plugins.tone.decode import decode, decode_timbres
from plugins.tone.timbre import nominal_timbre
from policies.plans import UNLIMITED, build_terms
from policies.routing import Voice
from proxy.audio.formats import FORMATS
from proxy.catalogue.library import EMPTY_LIBRARY, AccountLibrary, VoiceCache
from proxy.errors import InvalidRequest
from proxy.http.replies import encode_json
from proxy.speech import speech_request
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.speech_request import Defaults
from speech_engine import EngineVoice, Mix, Sample, Samples
from tests.proxy.api.inside import envelope, inside
from tests.sound import decoded
from tests.tables import each_row

CONFIG = """
[engines.tone]
hosted = false
voices = ["anna", "ben"]
[engines.plain]
plugin = "tone"
hosted = false
mixes = false
[models]
tts-1 = ["tone/standard"]
both = ["plain/standard", "tone/standard"]
[voices.anna]
tone = "anna"
plain = "tone"
[voices.ben]
tone = "ben"
[voices.pair]
cast = { Anna = "anna", Ben = "ben" }
"""
MIX = {"mix": [{"id": "anna", "weight": 3}, {"id": "ben"}]}
MINE = Voice(id="voice_1", name="mine", samples=(Sample("a", seconds=5.0),), revision="1", account="acc_1")


def saved(*members: tuple[str, float]) -> Voice:
    return Voice(id="voice_mix", name="blend", mix=members, revision="1")


def planned(
    planner: Planner,
    voice: object,
    own: AccountLibrary = EMPTY_LIBRARY,
    model: str = "tts-1",
    text: str = "Hello there.",
) -> SpeechPlan:
    body = {"model": model, "voice": voice, "input": text}
    return planner.plan(
        speech_request.parse_speech(encode_json(body), Defaults()), build_terms(UNLIMITED), own
    )


def library(*own: Voice, shared: tuple[Voice, ...] = ()) -> AccountLibrary:
    return AccountLibrary(VoiceCache(own), VoiceCache(shared), EMPTY_LIBRARY._lexicons)


@each_row("audio_format", FORMATS)
async def test_a_mix_is_heard_with_its_weights_in_every_format(tmp_path: Path, audio_format: str) -> None:
    async with inside(tmp_path, CONFIG) as server:
        answer = await server.speech("Hello there.", voice=MIX, response_format=audio_format)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-voice"] == "anna*0.75+ben*0.25"
    sound = decoded(answer.content, audio_format)
    assert decode(*sound) == ("Hello there.",)
    (timbre,) = decode_timbres(*sound)
    expected = 0.75 * nominal_timbre("anna").pitch_hz + 0.25 * nominal_timbre("ben").pitch_hz
    assert timbre.pitch_hz == pytest.approx(expected, rel=0.01)


@each_row(
    ("mix", "said"),
    [
        ([], "1 to 8 voices"),
        ([{"id": f"v{number}"} for number in range(9)], "it has 9"),
        ([{"id": "anna", "weight": 0}], "above 0"),
        ([{"id": "anna", "weight": -1}], "above 0"),
        ([{"id": "anna", "weight": 1001}], "up to 1000"),
        ([{"id": "anna"}, {"id": "anna"}], "twice"),
        ([{"id": "nobody"}], "does not exist"),
        ([{"id": "pair"}], "is a cast itself"),
    ],
)
async def test_a_wrong_mix_names_its_field(tmp_path: Path, mix: object, said: str) -> None:
    async with inside(tmp_path, CONFIG) as server:
        answer = await server.speech(voice={"mix": mix})
    assert answer.status_code == 400
    assert envelope(answer)["param"] == "voice.mix"
    assert said in envelope(answer)["message"]


@each_row(
    ("voice", "id_"),
    [("anna(3)+ben", "anna*0.75+ben*0.25"), (" tone/anna +ben ( 0.25 )", "tone/anna*0.8+ben*0.2")],
)
async def test_a_mix_may_be_written_as_one_name(tmp_path: Path, voice: str, id_: str) -> None:
    members = [
        {"id": name, "weight": float(weight)} for name, weight in (p.split("*") for p in id_.split("+"))
    ]
    async with inside(tmp_path, CONFIG) as server:
        written, listed = (planned(server.worker.planner, each) for each in (voice, {"mix": members}))
    assert written.voice.id == id_
    assert (written.voice, written.parts[0].candidates) == (listed.voice, listed.parts[0].candidates)


async def test_a_voice_whose_name_has_a_plus_is_no_mix(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as server:
        plan = planned(server.worker.planner, "anna+ben", library(replace(MINE, name="anna+ben")))
    assert plan.voice.id == MINE.id


@each_row(
    ("voice", "said"),
    [
        ("anna(0)+ben", "weight of 'anna' must be a number above 0"),
        ("anna+ben(-1)", "weight of 'ben' must be a number above 0"),
        ("anna(1001)+ben", "up to 1000"),
        (f"anna({'9' * 200})+ben", "up to 1000"),
        ("anna(much)+ben", "weight of 'anna' must be a number"),
        ("anna(1e-9)+ben", "too small"),
        ("anna+ben+anna", "twice"),
        ("tone/ben+Ben", "twice"),
        ("+".join(f"v{number}" for number in range(9)), "it has 9"),
        ("anna+nobody", "'nobody' does not exist"),
        ("anna+pair", "is a cast itself"),
        ("anna+", "'anna+' does not exist"),
        ("anna(1)(2)+ben", "'anna(1)(2)+ben' does not exist"),
        ("anna(2)", "'anna(2)' does not exist"),
    ],
)
async def test_a_wrong_mix_that_is_written_as_a_name_is_a_wrong_voice(
    tmp_path: Path, voice: str, said: str
) -> None:
    async with inside(tmp_path, CONFIG) as server:
        answer = await server.speech(voice=voice)
    assert (answer.status_code, envelope(answer)["param"]) == (400, "voice")
    assert said in envelope(answer)["message"]


@each_row(
    "voice",
    [
        {"mix": "anna"},
        {"mix": [{"weight": 1}]},
        {"mix": [{"id": "anna", "weight": "much"}]},
        {"mix": None},
        {**MIX, "id": "anna"},
        {**MIX, "cast": {"Anna": "anna"}},
        {},
    ],
)
async def test_what_is_no_mix_at_all_is_a_wrong_voice(tmp_path: Path, voice: Mapping[str, object]) -> None:
    async with inside(tmp_path, CONFIG) as server:
        answer = await server.speech(voice=voice)
    assert (answer.status_code, envelope(answer)["param"]) == (400, "voice")


async def test_a_model_that_cannot_mix_is_passed_over_and_alone_it_is_a_400(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG) as server:
        both = await server.speech(voice={"mix": [{"id": "anna"}]}, model="both")
        alone = await server.speech(voice={"mix": [{"id": "anna"}]}, model="plain/standard")
    assert (both.status_code, both.headers["x-voxgate-engine"]) == (200, "tone/standard")
    assert alone.status_code == 400
    assert envelope(alone)["param"] == "voice.mix"
    assert "plain/standard cannot mix voices" in envelope(alone)["message"]


async def test_the_members_of_a_mix_are_the_accounts_own_voices_first(tmp_path: Path) -> None:
    mix = {"mix": [{"id": "mine"}, {"id": "anna"}]}
    async with inside(tmp_path, CONFIG) as server:
        plan = planned(server.worker.planner, mix, library(MINE))
        with pytest.raises(InvalidRequest) as refused:
            planned(server.worker.planner, mix)
    expected = Mix(((Samples(MINE.samples), 0.5), (EngineVoice("anna"), 0.5)))
    assert plan.parts[0].candidates[0].voice == expected
    assert (refused.value.param, refused.value.code) == ("voice.mix", "voice_not_found")


async def test_a_saved_mix_is_a_voice_by_id_and_name_and_in_a_cast(tmp_path: Path) -> None:
    own = library(saved(("voice_1", 0.4), ("anna", 0.6)), MINE)
    expected = Mix(((Samples(MINE.samples), 0.4), (EngineVoice("anna"), 0.6)))
    async with inside(tmp_path, CONFIG) as server:
        for voice in ("blend", "voice_mix", {"id": "voice_mix"}, {"cast": {"Ana": "blend"}}):
            plan = planned(server.worker.planner, voice, own)
            assert plan.parts[0].candidates[0].voice == expected
            assert plan.voice.id == "voice_mix"
            assert {member.id for member in plan.parts[0].voice.members} == {"voice_1", "anna"}


async def test_a_mix_of_the_operators_means_the_same_for_every_account(tmp_path: Path) -> None:
    mine = replace(MINE, name="anna")
    shared = (saved(("anna", 1.0)),)
    async with inside(tmp_path, CONFIG) as server:
        plan = planned(server.worker.planner, "blend", library(mine, shared=shared))
    assert plan.parts[0].candidates[0].voice == Mix(((EngineVoice("anna"), 1.0),))


async def test_a_mix_of_a_mix_is_refused_by_name(tmp_path: Path) -> None:
    own = library(saved(("anna", 1.0)))
    async with inside(tmp_path, CONFIG) as server:
        with pytest.raises(InvalidRequest, match="'blend' is a mix itself"):
            planned(server.worker.planner, {"mix": [{"id": "blend"}, {"id": "anna"}]}, own)


async def test_the_revision_of_a_mix_follows_its_members(tmp_path: Path) -> None:
    mix = {"mix": [{"id": "mine"}, {"id": "anna"}]}
    async with inside(tmp_path, CONFIG) as server:
        before = planned(server.worker.planner, mix, library(MINE))
        after = planned(server.worker.planner, mix, library(replace(MINE, revision="2")))
    assert before.voice.revision != after.voice.revision


@each_row(
    ("members", "text", "language"),
    [
        (("mine", "other"), "Hm.", "pt-BR"),
        (("mine", "lisbon"), "Hm.", "pt"),
        (("mine", "anna"), "Hm.", "en"),
        # Recordings speak the language of the text.
        (("mine", "other"), "Hello there, how are you today?", "en"),
    ],
)
async def test_a_mix_of_one_language_is_in_that_language_where_the_text_tells_none(
    tmp_path: Path, members: tuple[str, str], text: str, language: str
) -> None:
    other = replace(MINE, id="voice_2", name="other", language="pt-BR")
    lisbon = replace(MINE, id="voice_3", name="lisbon", language="pt-PT")
    own = library(replace(MINE, language="pt-BR"), other, lisbon)
    mix = {"mix": [{"id": member} for member in members]}
    async with inside(tmp_path, CONFIG) as server:
        assert planned(server.worker.planner, mix, own, text=text).language == language
