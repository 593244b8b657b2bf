"""Who could speak: never anyone whom a filter forbids, always in order, with a reason for the rest."""

import msgspec
import pytest
from hypothesis import given

from policies import routing
from policies.licence import AcceptedLicence, Licences
from policies.plans import Terms
from policies.routing import (
    Candidate,
    Decision,
    FrontEndNames,
    Model,
    NoCandidate,
    Offer,
    Route,
    RoutingQuery,
    RoutingResult,
    Rules,
    Voice,
    decide,
)
from speech_engine import EngineVoice, Language, ModelInfo
from tests.policies.routing import worlds
from tests.policies.routing.worlds import ANYONE, NO_RULES, info, plan, voice
from tests.tables import each_row

FIELDS = {
    "converts": "model",
    "voice": "voice",
    "mix": "voice.mix",
    "sample": "voice",
    "plan": "model",
    "licence": "model",
    "consent": "voice",
    "language": "language",
    "pitch": "pitch",
    "emotion": "emotion",
    "ready": "voice",
}
"""The filters in their order, and the field of the request that each one blames."""
ENGLISH = RoutingQuery(language="en")


def passes(
    model: Model, filter_: str, by: Voice, query: RoutingQuery, terms: Terms | None, rules: Rules
) -> bool:
    """One filter's promise, as the documentation has it."""
    stated = model.info
    is_paid = terms is not None and terms.is_paid
    has_price = terms is None or terms.prices.conversion_price(model.engine, stated.id) is not None
    return {
        "converts": stated.converts if query.converts else stated.speaks,
        "voice": by.on(model.engine) is not None,
        "mix": True,
        "sample": True,
        "plan": (terms is None or routing.is_allowed(model, terms)) and (has_price or not query.converts),
        "licence": rules.licences.obstacle(model.engine, stated, is_paid) is None,
        "language": query.converts or routing.speaks(stated, query.language),
        "pitch": stated.pitch[0] <= query.pitch <= stated.pitch[1],
        "emotion": query.emotion is None or query.emotion in stated.emotions,
        "consent": True,
        "ready": True,
    }[filter_]


@given(worlds.offers, worlds.voices, worlds.wishes, worlds.plans, worlds.rules)
def test_candidates_are_those_that_no_filter_forbids_in_their_order(
    offer: Offer, by: Voice, query: RoutingQuery, terms: Terms | None, rules: Rules
) -> None:
    decision = decide(offer, by, query, terms, rules)
    assert [verdict.model for verdict in decision.verdicts] == list(offer.in_order)
    kept = [verdict.model for verdict in decision.verdicts if verdict.refused_by is None]
    assert [candidate.model for candidate in decision.candidates] == kept
    for candidate in decision.candidates:
        assert all(passes(candidate.model, each, by, query, terms, rules) for each in FIELDS)
        assert candidate.voice == EngineVoice(f"{candidate.model.engine}-v")


@given(worlds.offers, worlds.voices, worlds.wishes, worlds.plans, worlds.rules)
def test_a_model_is_refused_by_the_first_filter_that_forbids(
    offer: Offer, by: Voice, query: RoutingQuery, terms: Terms | None, rules: Rules
) -> None:
    for verdict in decide(offer, by, query, terms, rules).verdicts:
        if verdict.refused_by is not None:
            forbidding = [f for f in FIELDS if not passes(verdict.model, f, by, query, terms, rules)]
            assert verdict.refused_by == forbidding[0]
            assert verdict.reason


@given(worlds.offers, worlds.voices, worlds.wishes, worlds.plans, worlds.rules)
def test_there_are_candidates_or_the_error_of_the_filter_that_left_none(
    offer: Offer, by: Voice, query: RoutingQuery, terms: Terms | None, rules: Rules
) -> None:
    decision = decide(offer, by, query, terms, rules)
    assert (decision.error is None) == bool(decision.candidates)
    if decision.error is None:
        return
    refused = [str(verdict.refused_by) for verdict in decision.verdicts]
    emptied = max(refused, key=list(FIELDS).index)
    assert decision.error.field == FIELDS[emptied]
    assert decision.error.is_forbidden == (emptied in ("plan", "licence"))
    assert decision.error.message


def decided(
    model: ModelInfo, by: Voice, query: RoutingQuery, terms: Terms = ANYONE, rules: Rules = NO_RULES
) -> Decision:
    return decide(Offer(models=(Model("red", model),)), by, query, terms, rules)


def error(decision: Decision) -> NoCandidate:
    assert decision.error is not None
    return decision.error


@each_row(
    ("tags", "ending"),
    [
        ((), "red/m speaks none."),
        (("yo", "en"), "red/m speaks en, yo."),
        (
            tuple(f"{letter}a" for letter in "bcdefghijklm"),
            "red/m speaks ba, ca, da, ea, fa, ga, ha, ia, ja, ka, la, ma.",
        ),
        (
            (*(f"{letter}a" for letter in "bcdefghijkl"), "pt", "en"),
            "red/m speaks 13 languages, among them en, pt, ja.",
        ),
        (
            tuple(f"{letter}b" for letter in "bcdefghijklmn"),
            "red/m speaks 13 languages, among them bb, cb, db.",
        ),
    ],
)
def test_a_refused_language_names_the_others_or_some_of_many(tags: tuple[str, ...], ending: str) -> None:
    model = Model("red", info("th", languages=tuple(Language(tag) for tag in tags)))
    decision = decide(Offer(models=(model,)), voice("red"), RoutingQuery(language="th"), ANYONE, NO_RULES)
    assert error(decision).message.endswith(ending)


def test_a_refused_language_names_who_speaks_which() -> None:
    models = (Model("red", info("yo", "en")), Model("blue", info("pt")))
    both, query = voice("red", "blue"), RoutingQuery(language="th")
    decision = decide(Offer(models=models), both, query, ANYONE, NO_RULES)
    assert error(decision).message == (
        "The language 'th' is not spoken well enough: red/m speaks en, yo; blue/m speaks pt."
    )


CLOUD, UNPAID, CLOSED = (
    info("en", is_local=False),
    info("en", paid_use=False),
    info("en", must_accept_licence=True, licence="CPML"),
)


@each_row(
    ("model", "by", "query", "terms", "field", "code", "is_forbidden"),
    [
        (info("en"), voice("blue"), ENGLISH, ANYONE, "voice", "voice_not_available", False),
        (info("en"), voice("red"), ENGLISH, plan(engines=("blue",)), "model", "model_not_allowed", True),
        (CLOUD, voice("red"), ENGLISH, plan(local_only=True), "model", "model_not_allowed", True),
        (CLOSED, voice("red"), ENGLISH, ANYONE, "model", "licence_not_accepted", True),
        (UNPAID, voice("red"), ENGLISH, plan(price="$9"), "model", "paid_use_forbidden", True),
        (info("pt"), voice("red"), ENGLISH, ANYONE, "language", "unsupported_language", False),
        (
            info("en", quality="poor"),
            voice("red"),
            ENGLISH,
            ANYONE,
            "language",
            "unsupported_language",
            False,
        ),
        (
            info("en"),
            voice("red"),
            RoutingQuery(language="en", pitch=1),
            ANYONE,
            "pitch",
            "unsupported_value",
            False,
        ),
        (
            info("en", emotions=("happy",)),
            voice("red"),
            RoutingQuery(language="en", emotion="sad"),
            ANYONE,
            "emotion",
            "unsupported_value",
            False,
        ),
    ],
)
def test_an_empty_list_names_the_filter_that_emptied_it(
    model: ModelInfo, by: Voice, query: RoutingQuery, terms: Terms, field: str, code: str, is_forbidden: bool
) -> None:
    found = error(decided(model, by, query, terms))
    assert (found.field, found.code, found.is_forbidden) == (field, code, is_forbidden)
    assert "red" in found.message


def test_the_error_is_of_the_last_filter_that_anybody_reached() -> None:
    lacks_voice, lacks_language = Model("blue", info("en")), Model("red", info("th"))
    found = error(
        decide(Offer(models=(lacks_voice, lacks_language)), voice("red"), ENGLISH, ANYONE, NO_RULES)
    )
    assert found.field == "language"
    assert "red/m" in found.message
    assert "blue" not in found.message


def test_a_candidate_is_a_model_with_its_own_engines_voice() -> None:
    red, blue = Model("red", info("en")), Model("blue", info("en"))
    found = decide(Offer(models=(blue, red)), voice("red", "blue"), ENGLISH, ANYONE, NO_RULES)
    assert found.candidates == (Candidate(blue, EngineVoice("blue-v")), Candidate(red, EngineVoice("red-v")))
    assert blue.name == "blue/m"


def test_a_route_replaces_an_alias_and_never_a_model_that_was_named() -> None:
    named, routed = Model("red", info("en")), Model("blue", info("en"))
    by_route = RoutingResult(Route(language="en"), (routed,))
    for is_pinned, speaking in ((False, routed), (True, named)):
        offer = Offer(models=(named,), is_pinned=is_pinned, routed=by_route)
        found = decide(offer, voice("red", "blue"), ENGLISH, ANYONE, NO_RULES)
        assert [candidate.model for candidate in found.candidates] == [speaking]
        assert found.route == by_route.route


def test_a_route_without_candidates_leaves_the_request_its_model() -> None:
    named = Model("red", info("en"))
    offer = Offer(models=(named,), routed=RoutingResult(Route(language="en", front_end="reader"), ()))
    rules = Rules(front_ends=FrontEndNames(frozenset(("plain", "reader"))))
    found = decide(offer, voice("red"), ENGLISH, ANYONE, rules)
    assert found.candidates == (Candidate(named, EngineVoice("red-v"), "reader"),)


@each_row("is_pinned", [True, False])
@each_row(
    ("written", "tag", "reads_numbers", "front_end"),
    [
        ("reader", "en", True, "reader"),
        ("reader", "en", False, "reader"),
        ("gone", "en", False, "plain"),
        (None, "en", True, "plain"),
        (None, "en-NG", False, "english"),
        (None, "th", False, "plain"),
    ],
)
def test_texts_are_prepared_as_the_route_says_or_as_the_model_needs(
    written: str | None, tag: str, reads_numbers: bool, front_end: str, is_pinned: bool
) -> None:
    model = Model("red", info("en", "th", reads_numbers=reads_numbers))
    names = FrontEndNames(frozenset(("plain", "reader", "english")), {"en": "english"})
    routed = RoutingResult(Route(language=tag, front_end=written), (model,))
    offer = Offer(models=(model,), is_pinned=is_pinned, routed=routed)
    found = decide(offer, voice("red"), RoutingQuery(language=tag), ANYONE, Rules(front_ends=names))
    assert [candidate.front_end for candidate in found.candidates] == [front_end]


@each_row(
    ("licence", "terms", "message"),
    [
        ("CPML", plan(), "The operator of this server has not accepted the licence of red/m (CPML)."),
        (
            "Blizzard-2013",
            plan(price="$9"),
            "The licence of red/m (Blizzard-2013) forbids paid use, and your plan 'some' is a paid one.",
        ),
        ("", plan(price="$9"), "The licence of red/m forbids paid use, and your plan 'some' is a paid one."),
    ],
)
def test_an_error_of_a_licence_names_it(licence: str, terms: Terms, message: str) -> None:
    model = info("en", licence=licence, paid_use=False, must_accept_licence=not terms.is_paid)
    assert error(decided(model, voice("red"), ENGLISH, terms)).message == message


def test_an_own_voice_is_called_by_its_name_and_any_other_by_its_id() -> None:
    own = Voice(id="voice_0123", name="Ana", account="acc_1", bindings=voice("blue").bindings)
    refused = decided(info("en"), own, ENGLISH, ANYONE)
    assert error(refused).message == "The voice 'Ana' is on blue, not on red/m."
    of_engine = msgspec.structs.replace(own, id="blue/ana", account=None)
    assert "'blue/ana'" in error(decided(info("en"), of_engine, ENGLISH, ANYONE)).message


def test_a_decision_of_the_operator_opens_a_model() -> None:
    closed = info("en", must_accept_licence=True, licence="CPML", paid_use=False)
    paid, free = plan(price="$9"), plan()
    accepted, with_basis = AcceptedLicence("CPML"), AcceptedLicence("CPML", "an agreement")
    for settled, terms, is_open in (
        (AcceptedLicence(), free, False),
        (accepted, free, True),
        (accepted, paid, False),
        (with_basis, paid, True),
    ):
        rules = Rules(Licences(True, {"red": settled}))
        assert bool(decided(closed, voice("red"), ENGLISH, terms, rules).candidates) is is_open


@each_row(
    ("stated", "tag", "speaks"),
    [
        (("en",), "en", True),
        (("en",), "EN", True),
        (("en",), "en-NG", True),
        (("en-NG",), "en", False),
        (("pt-BR",), "pt-br", True),
        (("pt-BR",), "pt-PT", False),
        (("*",), "th", True),
        ((), "en", False),
    ],
)
def test_a_region_falls_back_to_its_language_and_never_the_other_way(
    stated: tuple[str, ...], tag: str, speaks: bool
) -> None:
    assert routing.speaks(info(*stated), tag) is speaks


def test_a_poor_language_is_refused_though_the_engine_takes_any() -> None:
    poor = info("th", quality="poor").languages
    model = ModelInfo(id="m", languages=(*poor, *info("*").languages), sample_rate_hz=24_000)
    assert not routing.speaks(model, "th")
    assert routing.speaks(model, "lo")


@pytest.mark.parametrize(
    ("runner", "said"),
    [
        ("", "red/m cannot convert recordings."),
        ("pods", "red/m cannot convert recordings: machines that are rented only speak texts."),
    ],
)
def test_who_cannot_convert_is_told_why(runner: str, said: str) -> None:
    query = RoutingQuery(language="und", converts=True)
    refused = error(decided(info("en", runner=runner), voice("red"), query))
    assert (refused.field, refused.code, refused.message) == ("model", "unsupported_model", said)


def test_what_only_converts_speaks_no_text() -> None:
    refused = error(decided(info("en", converts=True, speaks=False), voice("red"), ENGLISH))
    assert (refused.field, refused.code) == ("model", "unsupported_model")
    assert "/v1/audio/conversions" in refused.message
