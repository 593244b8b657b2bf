"""Which models and voices a name means; never another one in its place."""

import pytest
from msgspec.structs import replace

from policies import plans
from policies.plans import Plan
from policies.routing import Binding, Offer, Route, Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.config.sections import Config, EngineSection, VoiceSection
from proxy.engines.engine_list import Engines
from proxy.engines.hosts.hosted import HostedEngine
from proxy.engines.hosts.in_process import InProcessEngine
from proxy.engines.source import LiveEngine
from proxy.errors import InvalidRequest, NotFound, UpstreamFailed
from speech_engine import EngineVoice, ModelInfo, VoiceInfo
from speech_engine.host.pipe_messages import HostState
from tests.proxy.api.scripted import Scripted
from tests.tables import each_row

OWN = {
    "alloy": VoiceSection(bindings={"one": "v"}),
    "one/v": VoiceSection(bindings={"two": "v"}, language="th"),
}
THAI = Route(language="th", candidates=("two/big", "away/m", "gone/m"))
LOST = Route(language="th-TH", candidates=("gone/m", "one/gone"))
COMING = Route(language="fr", candidates=("away/m",))
READING = Route(language="pt", front_end="reader")
ALIASES = {"tts-1": ("two/m", "one/m"), "lost": ("one/gone",), "starting": ("away/m",), "one/m": ("two/m",)}


class TwoModels(Scripted):
    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(replace(super(TwoModels, self).models()[0], id=id_) for id_ in ("m", "big"))

    def voices(self) -> tuple[VoiceInfo, ...]:
        return (
            VoiceInfo(id="v", name="V"),
            VoiceInfo(id="y", name="V"),
            VoiceInfo(id="w", name="alloy"),
            VoiceInfo(id="x", name="Only"),
        )


def opened(*routes: Route) -> Catalogue:
    live: dict[str, LiveEngine] = {
        "one": InProcessEngine(Scripted(), 0),
        "two": InProcessEngine(TwoModels(), 0),
        "away": HostedEngine("away"),
    }
    sections = {name: EngineSection(plugin=name) for name in live}
    config = Config(engines=sections, models=ALIASES, voices=OWN, routes=routes)
    return Catalogue(config, Engines(live, sections))


@pytest.fixture
def catalogue() -> Catalogue:
    return opened(THAI, LOST, COMING, READING)


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("tts-1", ["two/m", "one/m"]),
        ("two/big", ["two/big"]),
        ("two", ["two/m"]),
        ("one/m", ["two/m"]),
        ("m", ["one/m", "two/m"]),
        ("big", ["two/big"]),
    ],
)
def test_a_model_is_an_alias_then_a_full_name_then_an_engines_first_then_its_own_id(
    catalogue: Catalogue, name: str, models: list[str]
) -> None:
    assert [model.name for model in catalogue.resolve_models(name)] == models


@pytest.mark.parametrize(
    "name", ["gpt-9", "two/gone", "three/m", "lost", "", "/", "two/", "TTS-1", "x" * 500]
)
def test_an_unknown_model_is_a_404_that_does_not_go_on_for_ever(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        catalogue.resolve_models(name)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("name", ["away", "away/m", "starting"])
def test_an_engine_that_has_not_been_up_yet_is_a_503_not_a_404(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        catalogue.resolve_models(name)
    assert caught.value.retry_after_s
    assert caught.value.message == (
        "The engine 'away' is not available right now. It is starting. Ask again in a minute."
    )


def test_an_engine_that_lacks_its_environment_may_still_be_installed(catalogue: Catalogue) -> None:
    catalogue.live.update_host(HostState("away", 0, 0, "failed", "run: voxgate env build away"))
    with pytest.raises(UpstreamFailed) as caught:
        catalogue.resolve_models("away/m")
    assert caught.value.message == (
        "The engine 'away' is not available right now. It may still be fetched or installed. "
        "Ask again in a minute."
    )


@pytest.mark.parametrize(
    ("name", "engine", "id_"),
    [
        ("alloy", "one", "v"),
        ("one/v", "two", "v"),
        ("two/v", "two", "v"),
        ("Only", "two", "x"),
        ("two/w", "two", "w"),
        # A name in any case, and a voice without its engine; but ids are as they are.
        ("ALLOY", "one", "v"),
        ("only", "two", "x"),
        ("w", "two", "w"),
    ],
)
def test_a_voice_is_our_own_then_an_id_then_a_name(
    catalogue: Catalogue, name: str, engine: str, id_: str
) -> None:
    voice = catalogue.resolve_voice(name)
    assert voice.bindings == (Binding(engine, EngineVoice(id_)),)


@pytest.mark.parametrize("name", ["nobody", "TWO/W", "", "two/", "x" * 500])
def test_an_unknown_voice_is_a_400(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        catalogue.resolve_voice(name)
    assert (caught.value.code, caught.value.param) == ("voice_not_found", "voice")
    assert len(caught.value.message) < 250


MINE = Voice(id="voice_1", name="me", bindings=(Binding("one", EngineVoice("clone")),))


def test_an_accounts_own_voice_comes_before_all_others(catalogue: Catalogue) -> None:
    own = {"voice_1": MINE, "me": MINE, "alloy": MINE}
    for name in own:
        assert catalogue.resolve_voice(name, own) is MINE
    assert catalogue.resolve_voice("Me", own) is MINE
    assert catalogue.resolve_voice("one/v", own).bindings == (Binding("two", EngineVoice("v")),)


@pytest.mark.parametrize("name", ["voice_1", "me"])
def test_a_voice_of_another_account_is_not_there(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        catalogue.resolve_voice(name, {})
    assert (caught.value.code, caught.value.param) == ("voice_not_found", "voice")


def named(offer: Offer) -> list[str]:
    return [model.name for model in offer.in_order]


@pytest.mark.parametrize(
    ("model", "tag", "route", "models"),
    [
        ("tts-1", "th", THAI, ["two/big"]),
        ("tts-1", "th-TH", THAI, ["two/big"]),
        ("tts-1", "en", None, ["two/m", "one/m"]),
        ("tts-1", "fr", None, ["two/m", "one/m"]),
        ("tts-1", "pt-BR", READING, ["two/m", "one/m"]),
        ("two/m", "th", THAI, ["two/m"]),
        ("two", "th", THAI, ["two/m"]),
        ("m", "th", THAI, ["one/m", "two/m"]),
        ("starting", "th", THAI, ["two/big"]),
    ],
)
def test_a_route_speaks_for_an_alias_with_what_is_there_of_its_candidates(
    catalogue: Catalogue, model: str, tag: str, route: Route | None, models: list[str]
) -> None:
    offer = catalogue.find_offer(model, tag)
    assert (offer.routed and offer.routed.route) == route
    assert named(offer) == models


@each_row(
    ("engines", "aliases"),
    [
        (None, ["tts-1", "starting", "one/m"]),
        (("one",), ["tts-1"]),
        (("two",), ["tts-1", "one/m"]),
        (("away",), ["starting"]),
        (("gone",), []),
    ],
)
def test_an_alias_is_listed_where_somebody_of_the_plan_may_speak_for_it(
    engines: tuple[str, ...] | None, aliases: list[str]
) -> None:
    terms = plans.build_terms(Plan(name="some", engines=engines))
    assert opened(LOST).list_models(terms)[0] == aliases


def test_a_route_of_the_plan_may_speak_for_any_alias(catalogue: Catalogue) -> None:
    away = plans.build_terms(Plan(name="some", engines=("away",)))
    assert catalogue.list_models(away)[0] == list(ALIASES)


def test_an_alias_that_nobody_speaks_for_is_told_as_ever(catalogue: Catalogue) -> None:
    with pytest.raises(UpstreamFailed):
        catalogue.find_offer("starting", "en")
    with pytest.raises(NotFound):
        catalogue.find_offer("nothing", "th")


@pytest.mark.parametrize(
    ("model", "tag", "is_coming"),
    [
        ("tts-1", "fr", True),
        ("tts-1", "fr-CA", True),
        ("tts-1", "th-TH", True),
        ("tts-1", "en", False),
        ("tts-1", "pt", False),
        ("two/m", "fr", False),
    ],
)
def test_an_alias_may_yet_get_an_engine_that_is_only_starting(
    catalogue: Catalogue, model: str, tag: str, is_coming: bool
) -> None:
    assert catalogue.starting_engines(model, tag) == (["away"] if is_coming else [])


def test_an_offer_names_the_engines_of_its_list_that_have_not_been_up() -> None:
    aliases = {"late": ("away/m", "one/m"), "early": ("one/m",)}
    config = Config(
        engines=opened()._config.engines,
        models=aliases,
        routes=(COMING,),
        built_in_models=frozenset(("late",)),
    )
    catalogue = Catalogue(config, opened().live)
    for name, tag, unknown in (
        ("late", "en", ("away",)),
        ("early", "en", ()),
        ("early", "fr", ("away",)),
        ("one/m", "fr", ()),
    ):
        offer = catalogue.find_offer(name, tag)
        assert (offer.unknown, offer.is_built_in) == (unknown, name == "late")


class Ears(Scripted):
    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(replace(each, hears=True, speaks=False) for each in super().models())


def test_a_name_that_only_hears_is_never_spoken_for_by_a_route() -> None:
    live: dict[str, LiveEngine] = {
        "ears": InProcessEngine(Ears(), 0),
        "one": InProcessEngine(Scripted(), 0),
    }
    sections = {name: EngineSection(plugin=name) for name in live}
    aliases = {"whisper-1": ("ears/m",), "both": ("ears/m", "one/m")}
    thai = Route(language="th", candidates=("one/m",))
    catalogue = Catalogue(Config(engines=sections, models=aliases, routes=(thai,)), Engines(live, sections))
    assert named(catalogue.find_offer("whisper-1", "th")) == ["ears/m"]
    assert named(catalogue.find_offer("both", "th")) == ["one/m"]
    deaf = plans.build_terms(Plan(name="some", engines=("one",)))
    assert catalogue.list_models(deaf)[0] == ["both"]


def test_a_name_of_the_configuration_is_no_other_engine_s_model() -> None:
    """A recording for a local model goes to no provider that has a model of that name."""
    live: dict[str, LiveEngine] = {"cloud": InProcessEngine(Ears(), 0)}
    sections = {name: EngineSection(plugin="one") for name in live}
    named = Catalogue(Config(engines=sections, models={"m": ("away/base",)}), Engines(live, sections))
    with pytest.raises(NotFound):
        named.resolve_models("m")
    unnamed = Catalogue(Config(engines=sections), Engines(live, sections))
    assert [model.name for model in unnamed.resolve_models("m")] == ["cloud/m"]


def test_without_ears_their_names_say_how_to_get_some(catalogue: Catalogue) -> None:
    for name, how in (("whisper-1", "voxgate models pull whisper-base"), ("whisper-2", "/v1/models")):
        with pytest.raises(NotFound) as caught:
            catalogue.resolve_models(name)
        assert how in caught.value.message


def test_a_name_that_two_voices_have_is_refused_with_their_ids(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidRequest) as caught:
        catalogue.resolve_voice("V")
    assert caught.value.message.endswith("use one of the ids: two/v, two/y.")


def test_everything_is_listed_once_with_its_full_name(catalogue: Catalogue) -> None:
    assert [model.name for model in catalogue.models()] == ["one/m", "two/m", "two/big"]
    ids = [voice.id for voice in catalogue.voices()]
    assert ids == ["alloy", "one/v", "two/v", "two/y", "two/w", "two/x"]
