"""What an account's voice on another engine costs, for any plan: the prices of both models, held and
settled."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.lexicon import Lexicons
from policies.plans import Plan, Prices, Terms, build_terms
from policies.price import Per, Price, most_charge
from policies.routing import Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary, VoiceCache
from proxy.config.sections import Config, EngineSection
from proxy.engines.engine_list import Engines
from proxy.engines.in_process import InProcessEngine
from proxy.engines.source import LiveEngine
from proxy.errors import InvalidRequest, NotAllowed
from proxy.http.replies import encode_json
from proxy.ledger.charges import compute_charge
from proxy.speech.call import PreparedText, Totals
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.speech_request import Defaults, SpeechRequest, parse_speech
from tests.proxy.api.scripted import Scripted
from tests.proxy.speech_steps.repeating import Repeating

pytestmark = pytest.mark.slow

NAMES = ("near", "far", "rvc")
LIVE: dict[str, LiveEngine] = {
    "near": InProcessEngine(Scripted(), 0),
    "far": InProcessEngine(Scripted(is_local=False), 0),
    "rvc": InProcessEngine(Repeating(speaks=False, trained_format="rvc"), 0),
}
SECTIONS = {name: EngineSection(plugin=name) for name in NAMES}
CONFIG = Config(engines=SECTIONS, models={"tts-1": ("near/m", "far/m")})
PLANNER = Planner(Catalogue(CONFIG, Engines(LIVE, SECTIONS)))
REQUEST: SpeechRequest = parse_speech(
    encode_json({"model": "tts-1", "voice": "Ana", "input": "Who goes there?", "language": "en"}), Defaults()
)

prices = st.builds(Price, st.integers(0, 10**7), st.sampled_from(["minute", "character", "job"]))
plans = st.builds(
    Plan,
    name=st.just("some"),
    engines=st.none() | st.lists(st.sampled_from(NAMES), unique=True).map(tuple),
    local_only=st.booleans(),
    prices=st.builds(
        Prices,
        speech=prices,
        conversion=st.none() | prices,
        models=st.dictionaries(st.sampled_from([*NAMES, "near/m", "rvc/m"]), prices, max_size=2),
    ),
)
consents = st.sampled_from([None, ("speech",), ("speech", "training"), ("conversion",), ()])


def price_of(of: Prices, name: str) -> Price:
    return of.models.get(f"{name}/m", of.models.get(name, of.speech))


def repetition_of(of: Prices) -> Price | None:
    sold = price_of(of, "rvc")
    return of.conversion or (None if sold.per == "character" and sold.micro else sold)


def refusal(plan: Plan, uses: tuple[str, ...] | None) -> str:
    """Return the code of the refusal, from the rules alone."""
    able = [name for name in NAMES if plan.engines is None or name in plan.engines]
    if uses is not None and "speech" not in uses:
        return "consent_not_given"
    if "rvc" not in able:
        return "model_not_allowed"
    if repetition_of(plan.prices) is None:
        return "conversion_not_priced"
    bases = [name for name in able if name == "near" or (name == "far" and not plan.local_only)]
    return "" if bases else "model_not_allowed"


def planned(terms: Terms, uses: tuple[str, ...] | None) -> SpeechPlan | str:
    mine = Voice(id="voice_1", name="Ana", account="acc_1", trained=(("rvc", "d"),), uses=uses)
    library = AccountLibrary(VoiceCache((mine,)), VoiceCache(), Lexicons({}))
    try:
        return PLANNER.plan(REQUEST, terms, library)
    except (InvalidRequest, NotAllowed) as refused:
        return refused.code or ""


def cost(price: Price, characters: int, seconds: Fraction) -> tuple[Fraction, int]:
    """Return what is charged by time, and what is not."""
    per: Per = price.per
    if per == "minute":
        return price.micro * seconds / 60, 0
    return Fraction(0), price.micro * (characters if per == "character" else 1)


@settings(max_examples=1000, deadline=None)
@given(plans, consents, st.integers(0, 1), st.integers(1, 24_000 * 60))
def test_the_charge_is_the_price_of_both_models(
    plan: Plan, uses: tuple[str, ...] | None, which: int, samples: int
) -> None:
    terms = build_terms(plan)
    found = planned(terms, uses)
    assert (found if isinstance(found, str) else "") == refusal(plan, uses)
    if isinstance(found, str):
        return
    totals, length_s = Totals(REQUEST, found), samples / 24_000
    (run,) = totals.parts
    assert all(each.post is not None and each.base for each in run.candidates)
    candidate = run.candidates[min(which, len(run.candidates) - 1)]
    text = PreparedText((), 15, 15, 15, length_s)
    run.texts = {each.text_key: text for each in run.candidates}
    held = most_charge([run.highest_charge(terms)[0]])
    run.candidate = run.winner = candidate
    totals.samples = samples
    charge = compute_charge(totals.spent(), terms.prices, "finished")
    repetition = repetition_of(plan.prices)
    assert repetition is not None
    parts = [
        cost(price_of(plan.prices, candidate.model.engine), 15, Fraction(samples, 24_000)),
        cost(repetition, 0, Fraction(samples, 24_000)),
    ]
    assert charge.amount == ceil(sum(by_time for by_time, _ in parts)) + sum(other for _, other in parts)
    assert charge.amount <= held + 2, "the hold is rounded for each model, to a microsecond"
    failed = compute_charge(totals.spent(), terms.prices, "failed")
    assert failed.amount == 0
