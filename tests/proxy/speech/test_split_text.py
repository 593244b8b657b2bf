"""A text's parts: who says what in which language, what each is charged for, and what cannot be spoken."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.plans import UNLIMITED, build_terms
from policies.routing import Binding, Voice
from proxy.catalogue.library import EMPTY_LIBRARY, AccountLibrary, VoiceCache
from proxy.errors import InvalidRequest
from proxy.http.replies import encode_json
from proxy.speech import speech_request
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.speech_request import Defaults
from proxy.speech.split_text import MOST_PARTS
from speech_engine import EngineVoice
from tests.proxy.api.inside import envelope, inside
from tests.proxy.api.scripted import Scripted, spoken
from tests.tables import each_row

CONFIG = """
[engines.one]
[engines.two]
[engines.three]
[models]
all = ["one/m", "two/m", "three/m"]
[[routes]]
language = "th"
candidates = ["three/m"]
sentences = true
[[routes]]
language = "ja"
candidates = ["three/m"]
sentences = true
voice = "three/v"
[[routes]]
language = "el"
candidates = ["two/m"]
[voices.ana]
one = "v"
[voices.ben]
two = "v"
[voices.both]
one = "v"
three = "v"
[voices.rui]
language = "pt-BR"
one = "v"
[voices.talk]
cast = { Ana = "ana", Ben = "ben" }
"""
CAST = {"Ana": "ana", "Ben": "ben", "Rui": "rui", "Tak": "both"}
THAI = "สวัสดีครับ ยินดีต้อนรับสู่กรุงเทพ "
JAPANESE = "今日はとても天気がいいので、公園を散歩しましょう。"
ENGLISH = (
    "This is a sentence in English which is long enough to be most of the text, and then some more of it. "
)


def engines() -> dict[str, Scripted]:
    return {name: Scripted(*spoken(0.1)) for name in ("one", "two", "three")}


def planned(
    planner: Planner, text: str, more: Mapping[str, object], own: AccountLibrary = EMPTY_LIBRARY
) -> SpeechPlan:
    body = {"model": "all", "voice": {"cast": CAST}, "input": text, **more}
    return planner.plan(
        speech_request.parse_speech(encode_json(body), Defaults()), build_terms(UNLIMITED), own
    )


async def spans(tmp_path: Path, text: str, **more: object) -> list[tuple[str, str, str]]:
    """Voice, language, and what is said, of each part."""
    async with inside(tmp_path, CONFIG, engines()) as server:
        plan = planned(server.worker.planner, text, more)
    return [(part.voice.id, part.language, text[part.start : part.end].strip()) for part in plan.parts]


async def test_a_name_may_stand_for_a_voice_of_the_accounts_own(tmp_path: Path) -> None:
    mine = Voice(id="voice_1", name="mine", bindings=(Binding("two", EngineVoice("v")),))
    own = AccountLibrary(VoiceCache((mine,)), VoiceCache(), EMPTY_LIBRARY._lexicons)
    cast = {"voice": {"cast": {"Me": "mine"}}}
    async with inside(tmp_path, CONFIG, engines()) as server:
        plan = planned(server.worker.planner, "[Me] Hi.", cast, own)
        with pytest.raises(InvalidRequest) as caught:
            planned(server.worker.planner, "[Me] Hi.", cast)
    assert [part.voice for part in plan.parts] == [mine]
    assert caught.value.param == "voice.cast.Me"


async def test_in_a_cast_of_the_operators_no_name_is_the_accounts_own(tmp_path: Path) -> None:
    ana = Voice(id="voice_1", name="ana", bindings=(Binding("two", EngineVoice("v")),))
    mine, stage = (
        Voice(id=f"voice_{name}", name=name, bindings=(), cast=(("Ana", "ana"),))
        for name in ("mine", "stage")
    )
    own = AccountLibrary(VoiceCache((ana, mine)), VoiceCache((stage,)), EMPTY_LIBRARY._lexicons)
    async with inside(tmp_path, CONFIG, engines()) as server:
        found = [
            planned(server.worker.planner, "[Ana] Hi.", {"voice": voice}, own).parts[0].voice.id
            for voice in ("mine", "stage", "talk", {"cast": {"Ana": "ana"}})
        ]
    assert found == ["voice_1", "ana", "ana", "voice_1"]


@each_row(
    ("text", "more", "field", "code"),
    [
        # Who has nothing to say must be there all the same: the next text may have a line for them.
        ("[Ana] Hi.", {"voice": {"cast": {"Ana": "ana", "Eve": "no"}}}, "voice.cast.Eve", "voice_not_found"),
        ("[Ana] ... [Ben] !", {}, "input", "invalid_value"),
        ("[Ana] Hi. [Ben] Ho. " * (MOST_PARTS // 2 + 1), {}, "input", "invalid_value"),
        ("[Ana] Hi. [Ben] Ho. " * (MOST_PARTS // 2 + 1), {"language": "auto"}, "input", "invalid_value"),
        ("[Ana] Hi. [Ben] Ho.", {"model": "one/m"}, "voice", "voice_not_available"),
    ],
)
async def test_a_text_that_cannot_be_spoken_names_its_field(
    tmp_path: Path, text: str, more: Mapping[str, object], field: str, code: str
) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        body = {"model": "all", "voice": {"cast": CAST}, "input": text, **more}
        answer = await server.ask("POST", "/v1/audio/speech", body=body)
        error = envelope(answer)
        assert await server.usage() == []
    assert (answer.status_code, error["param"], error["code"]) == (400, field, code)


async def test_a_member_of_a_cast_speaks_its_own_language(tmp_path: Path) -> None:
    found = await spans(tmp_path, f"[Ana] {ENGLISH} [Rui] Hi. [Tak] {THAI} [Ben] Hi.")
    assert [(voice, tag) for voice, tag, _ in found] == [
        ("ana", "en"),
        ("rui", "pt-BR"),
        ("both", "th"),
        ("ben", "en"),
    ]


async def test_a_turn_too_short_to_tell_is_in_the_language_of_the_whole(tmp_path: Path) -> None:
    greek = "Καλημέρα σας, τι κάνετε σήμερα φίλοι μου"
    async with inside(tmp_path, CONFIG, engines()) as server:
        plan = planned(server.worker.planner, f"[Ben] {greek} [Ben] 1.", {})
    assert [(part.language, part.source) for part in plan.parts] == [("el", "script"), ("el", "script")]


async def test_sentences_go_where_their_language_is_spoken(tmp_path: Path) -> None:
    found = await spans(tmp_path, f"{ENGLISH}{THAI}{ENGLISH}", voice="both", language="auto")
    assert [(voice, tag) for voice, tag, _ in found] == [("both", "en"), ("both", "th"), ("both", "en")]
    assert [said for _, _, said in found] == [ENGLISH.strip(), THAI.strip(), ENGLISH.strip()]


async def test_neighbours_that_are_spoken_alike_are_one_part(tmp_path: Path) -> None:
    found = await spans(tmp_path, f"{ENGLISH * 3}{THAI}{ENGLISH * 2}", voice="both", language="auto")
    assert [tag for _, tag, _ in found] == ["en", "th", "en"]


@pytest.mark.parametrize("sign", ["...! ", "?!\n\n"])
async def test_signs_alone_are_no_part(tmp_path: Path, sign: str) -> None:
    """An engine may have nothing to say of them, and the whole answer would break."""
    text = f"{sign}{THAI}{ENGLISH * 2}"
    found = await spans(tmp_path, text, voice="both", language="auto")
    assert [(tag, said) for _, tag, said in found] == [
        ("th", f"{sign}{THAI}".strip()),
        ("en", (ENGLISH * 2).strip()),
    ]


async def test_a_voice_that_is_not_there_gives_way_to_the_routes_own(tmp_path: Path) -> None:
    found = await spans(tmp_path, f"{ENGLISH * 2}{JAPANESE}", voice="ana", language="auto")
    assert [(voice, tag) for voice, tag, _ in found] == [("ana", "en"), ("three/v", "ja")]


async def test_so_it_does_where_most_of_the_text_is_in_that_language(tmp_path: Path) -> None:
    """And what is in another one was not meant by that route."""
    found = await spans(tmp_path, f"{JAPANESE * 3}{ENGLISH}", voice="ana", language="auto")
    assert [(voice, tag) for voice, tag, _ in found] == [("three/v", "ja"), ("ana", "en")]


async def test_the_speaker_is_named(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        answers = [
            await server.speech(text, model="all", voice="ana", language="auto")
            for text in (ENGLISH, f"{ENGLISH}{JAPANESE}", JAPANESE)
        ]
        rows = await server.usage()
    named = ["ana", "ana+three/v", "three/v"]
    assert [answer.headers["x-voxgate-voice"] for answer in answers] == named
    assert sorted(row.voice for row in rows) == named


@pytest.mark.parametrize("text", [f"{ENGLISH * 2}{THAI}", f"{THAI * 3}{ENGLISH}"])
async def test_letters_that_nobody_can_read_with_this_voice_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await spans(tmp_path, text, voice="ana", language="auto")
    assert (refused.value.param, refused.value.code) == ("voice", "voice_not_available")


async def test_a_model_that_was_named_speaks_all_and_is_told_each_language(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        more = {"voice": "ana", "language": "auto", "model": "one/m"}
        plan = planned(server.worker.planner, f"{ENGLISH * 2}{THAI}", more)
    told = [(part.language, [each.model.name for each in part.candidates]) for part in plan.parts]
    assert told == [("en", ["one/m"]), ("th", ["one/m"])]


@pytest.mark.parametrize("more", [{}, {"language": "en"}])
async def test_otherwise_a_text_is_one_part(tmp_path: Path, more: Mapping[str, object]) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        text = f"{ENGLISH * 2}{THAI}"
        plan = planned(server.worker.planner, text, {"voice": "ana", **more})
    (part,) = plan.parts
    assert (part.start, part.end, part.characters) == (0, len(text), len(text))


async def test_a_text_that_goes_to_and_fro_too_often_stays_with_one_from_there_on(tmp_path: Path) -> None:
    text = "Yes it is. ดี! " * (MOST_PARTS // 2 - 1)
    cast = f"[Tak] {text}{text}[Ana] Hi. [Tak] Ho."
    async with inside(tmp_path, CONFIG, engines()) as server:
        planner = server.worker.planner
        fitting = planned(planner, text, {"voice": "both", "language": "auto"}).parts
        over = planned(planner, f"{text}{text}", {"voice": "both", "language": "auto"}).parts
        turns = planned(planner, cast, {"language": "auto"}).parts
    assert [part.language for part in fitting] == ["en", "th"] * (MOST_PARTS // 2 - 1)
    assert [part.language for part in over] == [*["en", "th"] * (MOST_PARTS // 2 - 1), "en", "en"]
    assert over[-1].end == 2 * len(text)
    # Nobody who has a turn goes without.
    assert (len(turns), [part.voice.id for part in turns[-2:]]) == (MOST_PARTS, ["ana", "both"])


async def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    example = "Good morning. สวัสดีครับ ยินดีต้อนรับ. Let us begin."
    assert f'"{example}" is' in (Path(__file__).parents[3] / "docs/http.md").read_text()
    config = f"{CONFIG}[[routes]]\nlanguage = 'en'\ncandidates = ['one/m']\nsentences = true"
    asked = engines()
    async with inside(tmp_path, config, asked) as server:
        answer = await server.speech(example, model="all", voice="both", language="auto")
    assert answer.headers["x-voxgate-engine"] == "one/m, three/m"
    said = {name: [job.segments[0].spoken for job in engine.jobs] for name, engine in asked.items()}
    assert said == {"one": ["Good morning.", "Let us begin."], "two": [], "three": ["สวัสดีครับ ยินดีต้อนรับ."]}


async def test_a_plan_is_held_for_by_its_parts(tmp_path: Path) -> None:
    config = (
        f"{CONFIG}[plans.paid]\nprices.models = {{ one = {_job(1)}, two = {_job(10)}, three = {_job(100)} }}"
    )
    async with inside(tmp_path, config, engines(), plan="paid") as server:
        await server.ask(
            "POST",
            "/v1/audio/speech",
            body={"model": "all", "voice": {"cast": CAST}, "input": "[Ana] Hi. [Ben] Ho. [Ana] Hey."},
        )
        (row,) = await server.usage()
    assert row.credits == 10 * 10**6  # the dearest price by job, once


def _job(credits: int) -> str:
    return f"{{ credits = {credits}, per = 'job' }}"


pieces = st.lists(
    st.one_of(
        st.sampled_from(["[Ana]", "[Ben]", "[Rui] ", "[Eve] ", ENGLISH, THAI, "Hi. ", "... ", "\n"]),
        st.text(max_size=20),
    ),
    min_size=1,
    max_size=12,
)


async def test_the_parts_of_any_text_are_in_order_and_every_character_is_charged_once(
    tmp_path: Path,
) -> None:
    async with inside(tmp_path, CONFIG, engines()) as server:
        planner = server.worker.planner

        @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(pieces, st.sampled_from(["both", "talk", {"cast": CAST}]), st.sampled_from(["auto", ""]))
        def check(pieces: list[str], voice: object, tag: str) -> None:
            text = "".join(pieces)[:4096]
            try:
                plan = planned(planner, text, {"voice": voice, "language": tag})
            except InvalidRequest:
                return
            assert sum(part.characters for part in plan.parts) == len(text)
            at = 0
            for part in plan.parts:
                assert at <= part.start < part.end <= len(text)
                at = part.end
            if voice == "both":
                assert "".join(text[part.start : part.end] for part in plan.parts) == text

        check()
