"""The language of a voice of recordings: what the text shows, and its speaker's as a last resort."""

from pathlib import Path

from msgspec.structs import replace

from policies import plans
from policies.lexicon import Lexicons
from policies.plans import Plan
from policies.routing import Binding, Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary, VoiceCache
from proxy.config.sections import Config, EngineSection
from proxy.engines.engine_list import Engines
from proxy.engines.in_process import InProcessEngine
from proxy.http.replies import encode_json
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.speech_request import Defaults, parse_speech
from speech_engine import EngineVoice, Language, Sample
from tests.proxy.api.inside import TONE, envelope, inside
from tests.proxy.api.owning import clone
from tests.proxy.api.scripted import Scripted, spoken
from tests.tables import each_row

ENGLISH = "How are you doing this fine morning, my old friend?"
PORTUGUESE = "Tudo bem com você hoje de manhã, meu velho amigo?"
THAI = "สวัสดีครับ ยินดีต้อนรับสู่กรุงเทพ"
JAPANESE = "今日はとても天気がいいですね。"

RECORDED = Voice(
    id="voice_1", name="me", account="acc", language="pt-BR", samples=(Sample("s", seconds=9.0),)
)
NAMED = Voice(id="voice_2", name="rui", language="pt-BR", bindings=(Binding("able", EngineVoice("v")),))
BLEND = Voice(id="voice_3", name="blend", account="acc", mix=(("voice_1", 0.5), ("voice_2", 0.5)))
PLAIN = Voice(id="voice_4", name="plain", bindings=(Binding("able", EngineVoice("v")),))
OWN = (RECORDED, NAMED, BLEND, PLAIN)


def plan(
    voice: Voice, text: str, detected: tuple[str, ...], hints: list[str] | None = None, **more: object
) -> SpeechPlan:
    def detect(_text: str, usual: str) -> tuple[str, ...]:
        if hints is not None:
            hints.append(usual)
        return detected if any(map(str.isalpha, _text)) else ()

    languages = tuple(map(Language, ("en", "th", "pt")))
    able = Scripted(languages=languages, speaks_samples=True, mixes=True, most_mixed=2)
    sections = {"able": EngineSection(plugin="able")}
    catalogue = Catalogue(Config(engines=sections), Engines({"able": InProcessEngine(able, 0)}, sections))
    body = {"model": "able/m", "voice": voice.id, "input": text, **more}
    library = AccountLibrary(
        VoiceCache((voice, *(each for each in OWN if each.id != voice.id))), VoiceCache(), Lexicons({})
    )
    asked = parse_speech(encode_json(body), Defaults())
    return Planner(catalogue, detect=detect).plan(asked, plans.build_terms(Plan(name="free")), library)


@each_row(
    ("voice", "text", "detected", "known"),
    [
        (RECORDED, THAI, (), ("th", "script")),
        (RECORDED, ENGLISH, ("en",), ("en", "detected")),
        # The region and the last resort are the recording's.
        (RECORDED, PORTUGUESE, ("pt",), ("pt-BR", "detected")),
        (RECORDED, "Hm.", (), ("pt-BR", "default")),
        # Nobody speaks Galician.
        (RECORDED, ENGLISH, ("gl", "pt"), ("pt-BR", "detected")),
        (RECORDED, ENGLISH, ("gl",), ("pt-BR", "default")),
        (BLEND, THAI, (), ("th", "script")),
        (BLEND, "Hm.", (), ("pt-BR", "default")),
        (replace(RECORDED, language=None), "Hm.", (), ("en", "default")),
        (NAMED, THAI, (), ("pt-BR", "voice")),
        (NAMED, ENGLISH, ("en",), ("pt-BR", "voice")),
    ],
)
@each_row("more", [{}, {"language": "auto"}])
def test_a_recording_speaks_what_the_text_shows_and_a_named_voice_its_own_language(
    voice: Voice, text: str, detected: tuple[str, ...], known: tuple[str, str], more: dict[str, object]
) -> None:
    hints: list[str] = []
    made = plan(voice, text, detected, hints, **more)
    assert [(part.language, part.source) for part in made.parts] == [known]
    if voice is RECORDED and not more:
        assert set(hints) <= {"pt"}


@each_row(
    ("text", "detected", "languages"),
    [
        ("[A] Hm. [B] 12.", (), ["pt-BR", "pt-BR"]),
        ("[A] Hm. [C] 12.", (), ["pt-BR", "en"]),
        # Of the whole dialogue, with the recording's region.
        (f"[A] 12. [B] {PORTUGUESE}", ("pt",), ["pt-BR", "pt-BR"]),
        (f"[A] 12. [B] {THAI}", (), ["th", "th"]),
    ],
)
def test_a_short_turn_of_a_recording_has_the_language_of_the_whole_or_its_speaker(
    text: str, detected: tuple[str, ...], languages: list[str]
) -> None:
    cast = (("A", RECORDED.id), ("B", RECORDED.id), ("C", PLAIN.id))
    made = plan(Voice(id="voice_5", name="cast", account="acc", cast=cast), text, detected)
    assert [part.language for part in made.parts] == languages


def test_a_request_overrules_both() -> None:
    made = plan(RECORDED, THAI, (), language="en")
    assert [(part.language, part.source) for part in made.parts] == [("en", "request")]


async def test_an_own_voice_speaks_english_thai_and_japanese_until_it_has_no_language(
    tmp_path: Path,
) -> None:
    async with inside(tmp_path, TONE) as server:
        voice = await clone(server, language="pt-BR")

        async def heard(text: str) -> str:
            answer = await server.speech(text, voice=voice["id"], response_format="wav")
            assert answer.status_code == 200, answer.text
            return answer.headers["x-voxgate-language"]

        told = [await heard(text) for text in (ENGLISH, THAI, JAPANESE, PORTUGUESE, "Hm.")]
        assert told == ["en", "th", "ja", "pt-BR", "pt-BR"]
        path = f"/v1/audio/voices/{voice['id']}"
        changed = await server.ask("POST", path, body={"language": None, "gender": None})
        assert (changed.status_code, changed.json()["language"]) == (200, None)
        assert await heard("Hm.") == "en"
        stored = await server.ask("POST", path, body={"language": "th", "name": None})
        assert (stored.json()["language"], stored.json()["name"]) == ("th", "Ana")
        refused = await server.ask("POST", path, body={"language": 7})
        assert (refused.status_code, envelope(refused)["param"]) == (400, "language")


async def test_a_list_by_language_has_recordings_that_can_speak_it_behind_voices_of_it(
    tmp_path: Path,
) -> None:
    async with inside(tmp_path, TONE + '[voices.bea]\ntone = "tone"\nlanguage = "th"\n') as server:
        await clone(server, language="pt-BR")
        ids = [each["name"] for each in (await server.ask("GET", "/v1/voices?language=th")).json()["data"]]
    assert ids[0] == "bea"
    assert "Ana" in ids


async def test_a_route_that_lacks_an_own_voice_leaves_it_to_the_alias(tmp_path: Path) -> None:
    thai, both = (Language("th"),), (Language("th"), Language("en"))
    able = Scripted(*spoken(0.2), languages=both, speaks_samples=True)
    engines = {"dull": Scripted(*spoken(0.2), languages=thai), "able": able}
    models = '[engines.dull]\n[engines.able]\n[models]\nany = ["dull/m", "able/m"]\nfew = ["dull/m"]\n'
    route = '[[routes]]\nlanguage = "th"\ncandidates = ["dull/m"]\n'
    async with inside(tmp_path, TONE.replace("[models]", models) + route, engines) as server:
        voice = (await clone(server))["id"]

        async def heard(**more: object) -> tuple[int, str | None, str | None]:
            answer = await server.speech(THAI, **{"voice": voice, "model": "any", **more})
            headers = answer.headers
            return answer.status_code, headers.get("x-voxgate-engine"), headers.get("x-voxgate-ignored")

        assert await heard() == (200, "able/m", "route")
        assert await heard(voice="dull/v") == (200, "dull/m", None)
        assert await heard(model="few") == (400, None, None)
        assert await heard(model="dull/m") == (400, None, None)
        assert await heard(emotion="happy") == (400, None, None)
        job = await server.ask("POST", "/v1/jobs", body={"model": "any", "voice": voice, "input": THAI})
        assert job.json()["warnings"] == ["route: not all of it is followed"]
        asked = {"input": THAI, "voice": voice, "model": "any", "account": server.account.id}
        (part,) = (await server.administer("POST", "route/explain", asked)).json()["parts"]
    assert [each["model"] for each in part["models"]] == ["dull/m", "able/m"]
