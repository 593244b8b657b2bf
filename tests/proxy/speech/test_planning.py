"""A plan: what it would cost at most, what an operator is told of it, and errors that are worth a retry."""

from typing import Any

import pytest

from policies import plans
from policies.language import Detect
from policies.plans import Plan, Prices
from policies.price import Price
from policies.routing import Route
from proxy.catalogue.catalogue import Catalogue
from proxy.config.sections import Config, EngineSection, VoiceSection
from proxy.engines.engine_list import Engines
from proxy.engines.hosts.hosted import HostedEngine
from proxy.engines.hosts.in_process import InProcessEngine
from proxy.engines.source import LiveEngine
from proxy.errors import InvalidRequest, NotAllowed, UpstreamFailed
from proxy.http.replies import encode_json
from proxy.speech.planning import Planner
from proxy.speech.speech_request import Defaults, SpeechRequest, parse_speech
from speech_engine import Language
from tests.proxy.api.scripted import Scripted
from tests.tables import each_row

DEAR = Plan(
    name="dear",
    prices=Prices(
        speech=Price(2, "character"), models={"one": Price(3, "character"), "two/m": Price(500, "job")}
    ),
)


def planner(*routes: Route, detect: Any = None, default_language: str = "en") -> Planner:
    live: dict[str, LiveEngine] = {
        "one": InProcessEngine(Scripted(languages=(Language("en"), Language("th"))), 0),
        "two": InProcessEngine(Scripted(languages=(Language("th"), Language("pt"))), 0),
        "away": HostedEngine("away"),
    }
    sections = {name: EngineSection(plugin=name) for name in live}
    config = Config(
        engines=sections,
        models={"tts-1": ("one/m",)},
        routes=routes,
        voices={
            "alloy": VoiceSection(bindings={"one": "v", "two": "v"}),
            "alone": VoiceSection(bindings={"one": "v"}),
            "far": VoiceSection(bindings={"away": "v"}, language="fr"),
        },
    )
    catalogue = Catalogue(config, Engines(live, sections))
    return Planner(catalogue, detect=detect, default_language=default_language)


def request(text: str = "Hello.", **more: object) -> SpeechRequest:
    body = {"model": "tts-1", "voice": "alloy", "input": text, **more}
    return parse_speech(encode_json(body), Defaults())


FREE = plans.build_terms(Plan(name="free"))


def test_each_part_of_a_cast_has_its_own_candidates() -> None:
    both = Route(language="th", candidates=("one/m", "two/m"))
    asked = request("[A] Hello. [B] Bye.", language="th", voice={"cast": {"A": "alloy", "B": "alone"}})
    found = planner(both).plan(asked, plans.build_terms(DEAR))
    assert [[each.model.name for each in part.candidates] for part in found.parts] == [
        ["one/m", "two/m"],
        ["one/m"],
    ]


def test_an_operator_is_told_language_source_route_and_candidates() -> None:
    routed = planner(Route(language="th", candidates=("two/m", "one/m")))
    assert routed.plan(request("สวัสดี"), FREE).description == "th (script), route th: two/m, one/m"
    assert routed.plan(request(), FREE).description == "en (default), no route: one/m"


def test_an_operator_is_not_told_more_than_a_header_holds() -> None:
    listed = ("two/m", "one/m") * 200
    plan = planner(Route(language="th", candidates=listed)).plan(request("สวัสดี"), FREE)
    assert len(plan.description) <= 1000


def guessing(*tags: str) -> Detect:
    return lambda _text, _usual: tags


LATIN = "Tudo bem com voces hoje de manha?"


@each_row(
    ("detected", "default", "language"),
    [
        (("pt",), "en", "pt"),
        (("pt",), "pt-BR", "pt-BR"),
        ((), "pt-BR", "pt-BR"),
        ((), "th", "th"),
        # Nobody speaks Galician or Catalan.
        (("gl", "ca", "pt"), "en", "pt"),
        (("gl", "ca"), "en-GB", "en-GB"),
        (("gl", "en"), "en-GB", "en-GB"),
    ],
)
def test_a_language_that_nobody_names_is_the_first_guess_that_somebody_speaks_or_the_default(
    detected: tuple[str, ...], default: str, language: str
) -> None:
    routes = (Route(language="pt", candidates=("two/m",)),)
    planned = planner(*routes, detect=guessing(*detected), default_language=default)
    assert planned.plan(request(LATIN), FREE).language == language


@each_row(
    "route",
    [
        Route(language="gl", candidates=("one/m",)),
        # The voice `alone` is not there.
        Route(language="gl", candidates=("two/m",)),
        Route(language="gl", candidates=("one/m",), sentences=True),
    ],
)
@each_row("more", [{}, {"language": "auto"}])
def test_no_route_of_a_guess_refuses_what_the_default_would_speak(
    route: Route, more: dict[str, object]
) -> None:
    planned = planner(route, detect=guessing("gl"))
    plan = planned.plan(request(LATIN, voice="alone", **more), FREE)
    assert [(part.language, part.source) for part in plan.parts] == [("en", "default")]


def test_a_plan_that_forbids_the_engine_of_a_guess_leaves_the_default() -> None:
    planned = planner(Route(language="pt", candidates=("two/m",)), detect=guessing("pt"))
    terms = plans.build_terms(Plan(name="few", engines=("one",)))
    assert planned.plan(request(LATIN), terms).language == "en"
    with pytest.raises(NotAllowed):
        planned.plan(request(LATIN, language="pt"), terms)


def test_a_short_turn_has_the_language_of_the_dialogue_only_if_its_voice_speaks_it() -> None:
    def detect(text: str, _usual: str) -> tuple[str, ...]:
        return ("pt",) if "manha" in text else ()

    text = f"[A] {LATIN} [B] Bye. [A] Sim."
    both = Route(language="pt", candidates=("two/m",))
    asked = request(text, voice={"cast": {"A": "alloy", "B": "alone"}})
    plan = planner(both, detect=detect).plan(asked, FREE)
    assert [part.language for part in plan.parts] == ["pt", "en", "pt"]


def test_an_engine_of_a_guess_that_is_coming_up_is_waited_for() -> None:
    planned = planner(Route(language="fr", candidates=("away/m",)), detect=guessing("fr"))
    with pytest.raises(UpstreamFailed):
        planned.plan(request("Bonjour, mes amis."), FREE)


@each_row(
    ("text", "detected", "voice", "field", "tag", "known_from"),
    [
        ("Привет", "", "alloy", "language", "ru", "was detected in the text"),
        ("Привіт", "uk", "alloy", "language", "ru", "was detected in the text"),
        ("สวัสดี", "", "alone", "voice", "th", "was detected in the text"),
        (LATIN, "pt", "alloy", "language", "sw", "is the server's default"),
    ],
)
def test_a_refusal_says_that_nobody_named_the_language_and_who_may(
    text: str, detected: str, voice: str, field: str, tag: str, known_from: str
) -> None:
    thai = Route(language="th", candidates=("two/m",))
    planned = planner(thai, detect=guessing(detected) if detected else None, default_language="sw")
    with pytest.raises(InvalidRequest) as caught:
        planned.plan(request(text, voice=voice), FREE)
    assert caught.value.param == field
    assert f" The language '{tag}' {known_from}; 'language' in the request decides." in caught.value.message


def test_a_refusal_of_auto_says_what_would_help() -> None:
    planned = planner(Route(language="th", candidates=("two/m",)))
    for language, helps in (("", "'language' in the request decides."), ("auto", "'sentences = true'.")):
        with pytest.raises(InvalidRequest) as caught:
            planned.plan(request("สวัสดี", voice="alone", language=language), FREE)
        assert caught.value.message.endswith(helps)
    assert "In place of 'auto', name one language of the text" in caught.value.message


@each_row(
    ("emotion", "says"),
    [
        ("happy", "'emotion' is 'happy', which one/m cannot express; it knows: none."),
        ("a secret; text", "'emotion' is not one that one/m can express; it knows: none."),
        ("h" * 33, "'emotion' is not one that one/m can express; it knows: none."),
        ("\u202ehappy", "'emotion' is not one that one/m can express; it knows: none."),
    ],
)
def test_a_refusal_of_an_emotion_repeats_it_if_it_is_a_short_word(emotion: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        planner().plan(request(emotion=emotion), FREE)
    assert caught.value.message == says


def test_a_refusal_of_a_named_language_or_of_a_voice_without_a_route_says_nothing_of_guesses() -> None:
    with pytest.raises(InvalidRequest) as caught:
        planner().plan(request(language="fr"), FREE)
    assert "decides" not in caught.value.message
    with pytest.raises(InvalidRequest) as caught:
        planner().plan(request(voice="alone", model="two/m"), FREE)
    assert caught.value.param == "voice"
    assert "decides" not in caught.value.message


def test_the_detector_is_asked_no_more_than_once_for_each_text_that_is_spoken() -> None:
    asked: list[str] = []

    def detect(text: str, _usual: str) -> tuple[str, ...]:
        asked.append(text)
        return ("en",)

    planner(detect=detect).plan(request("Hello."), FREE)
    assert asked == ["Hello."]


def test_an_engine_that_is_coming_up_is_a_503_and_one_that_was_named_in_place_of_it_a_400() -> None:
    french = planner(Route(language="fr", candidates=("away/m",)))
    with pytest.raises(UpstreamFailed) as caught:
        french.plan(request(voice="far"), FREE)
    assert caught.value.retry_after_s
    assert caught.value.message == (
        "The engine 'away' is not available right now. It is starting. Ask again in a minute."
    )
    with pytest.raises(InvalidRequest):
        french.plan(request(voice="far", model="one/m"), FREE)
    with pytest.raises(InvalidRequest):
        planner().plan(request(voice="far"), FREE)


def test_a_plan_that_forbids_is_not_asked_again() -> None:
    terms = plans.build_terms(Plan(name="few", engines=("away",)))
    with pytest.raises(NotAllowed):
        planner(Route(language="en", candidates=("away/m",))).plan(request(), terms)
