"""A plan: what it would cost at most, what an operator is told of it, and errors that are worth a retry."""

from __future__ import annotations

from typing import Any

import pytest

from policies import plans
from policies.plans import Plan, Prices
from policies.price import Price
from policies.routing import Route
from proxy.catalogue.catalogue import Catalogue
from proxy.config.config_toml import Config, EngineSection, VoiceSection
from proxy.engines.engine_list import Engines, LiveEngine
from proxy.engines.hosted import HostedEngine
from proxy.engines.in_process import InProcessEngine
from proxy.errors import InvalidRequest, NotAllowed, UpstreamFailed
from proxy.http.replies import encode_json
from proxy.speech.planning import Planner
from proxy.speech.speech_request import Defaults, SpeechRequest, parse_speech
from speech_engine import Language
from tests.proxy.api.scripted import Scripted

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


FREE = plans.terms(Plan(name="free"))


def test_each_part_of_a_cast_has_its_own_candidates() -> None:
    both = Route(language="th", candidates=("one/m", "two/m"))
    asked = request("[A] Hello. [B] Bye.", language="th", voice={"cast": {"A": "alloy", "B": "alone"}})
    found = planner(both).plan(asked, plans.terms(DEAR))
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


@pytest.mark.parametrize(
    ("detected", "default", "language"), [("pt", "en", "pt"), (None, "pt-BR", "pt"), (None, "th", "th")]
)
def test_a_language_that_nobody_names_is_detected_or_the_default(
    detected: str | None, default: str, language: str
) -> None:
    routes = (Route(language="pt", candidates=("two/m",)),)
    planned = planner(*routes, detect=lambda _text: detected, default_language=default)
    assert planned.plan(request("Tudo bem com voces hoje de manha?"), FREE).language == language


def test_an_engine_that_is_coming_up_is_a_503_and_one_that_was_named_in_place_of_it_a_400() -> None:
    french = planner(Route(language="fr", candidates=("away/m",)))
    with pytest.raises(UpstreamFailed) as caught:
        french.plan(request(voice="far"), FREE)
    assert caught.value.retry_after_s
    with pytest.raises(InvalidRequest):
        french.plan(request(voice="far", model="one/m"), FREE)
    with pytest.raises(InvalidRequest):
        planner().plan(request(voice="far"), FREE)


def test_a_plan_that_forbids_is_not_asked_again() -> None:
    terms = plans.terms(Plan(name="few", engines=("away",)))
    with pytest.raises(NotAllowed):
        planner(Route(language="en", candidates=("away/m",))).plan(request(), terms)
