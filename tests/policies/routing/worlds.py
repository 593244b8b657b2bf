"""Models, voices and wishes as hypothesis makes them up, and by hand."""

from hypothesis import strategies as st
from msgspec.structs import replace

from policies import routing
from policies.licence import AcceptedLicence, Licences
from policies.plans import UNLIMITED, Plan, Prices, Terms, build_terms
from policies.price import Price
from speech_engine import ANY_LANGUAGE, EngineVoice, Language, ModelInfo
from speech_engine.models import Quality

BY_CHARACTER = Prices(speech=Price(1, "character"))
ENGINES = ("red", "green", "blue")
ANYONE = build_terms(UNLIMITED)
NO_RULES = routing.Rules()


def info(*tags: str, quality: Quality = "good", **more: object) -> ModelInfo:
    languages = tuple(Language(tag, quality) for tag in tags)
    stated: dict[str, object] = {"id": "m", "languages": languages, "sample_rate_hz": 24_000, **more}
    return ModelInfo(**stated)  # type: ignore[arg-type]  # keywords by name, checked by the struct's users


def voice(*engines: str) -> routing.Voice:
    return routing.Voice(
        id="v",
        name="v",
        bindings=tuple(routing.Binding(engine, EngineVoice(f"{engine}-v")) for engine in engines),
    )


def plan(**more: object) -> Terms:
    return build_terms(Plan(name="some", **more))  # type: ignore[arg-type]  # as above


tags = st.sampled_from(["en", "en-NG", "pt", "pt-BR", "th", ANY_LANGUAGE])
infos = st.builds(
    ModelInfo,
    id=st.sampled_from("abc"),
    languages=st.lists(st.builds(Language, tags, st.sampled_from(["good", "fair", "poor"])), max_size=3).map(
        tuple
    ),
    sample_rate_hz=st.just(24_000),
    pitch=st.sampled_from([(0.0, 0.0), (-12.0, 12.0)]),
    emotions=st.sampled_from([(), ("happy",)]),
    is_local=st.booleans(),
    licence=st.sampled_from(["MIT", "CPML"]),
    paid_use=st.booleans(),
    must_accept_licence=st.booleans(),
    reads_numbers=st.booleans(),
    converts=st.booleans(),
    speaks=st.sampled_from([True, True, True, False]),
)
models = st.builds(routing.Model, st.sampled_from(ENGINES), infos)
lists = st.lists(models, min_size=1, max_size=6).map(tuple)
routes = st.builds(routing.Route, language=st.just("en"), front_end=st.sampled_from([None, "reader", "gone"]))
offers = st.builds(
    routing.Offer,
    models=lists,
    is_pinned=st.booleans(),
    routed=st.none() | st.builds(routing.RoutingResult, routes, lists | st.just(())),
)
voices = st.lists(st.sampled_from(ENGINES), min_size=1, unique=True).map(lambda names: voice(*names))
wishes = st.builds(
    routing.RoutingQuery,
    language=st.sampled_from(["en", "EN-ng", "pt-PT", "th", "xx"]),
    pitch=st.sampled_from([0.0, 2.0]),
    emotion=st.sampled_from([None, "happy"]),
    converts=st.booleans(),
)
plans = st.none() | st.builds(
    plan,
    price=st.sampled_from(["", "$19"]),
    engines=st.none() | st.lists(st.sampled_from(ENGINES), unique=True).map(tuple),
    local_only=st.booleans(),
    prices=st.sampled_from([Prices(), BY_CHARACTER, replace(BY_CHARACTER, conversion=Price(1, "minute"))]),
)
settled = st.builds(
    AcceptedLicence, st.sampled_from(["", "cpml", "MIT"]), st.sampled_from(["", "an agreement"])
)
rules = st.builds(
    routing.Rules,
    st.builds(Licences, st.booleans(), st.dictionaries(st.sampled_from(ENGINES), settled)),
    st.just(routing.FrontEndNames(frozenset(("plain", "reader", "english")), {"en": "english"})),
)
