"""What helps where nobody can speak a recording: told before anything is recorded."""

from policies.routing import Binding, RoutingQuery, Rules, Voice, decide
from proxy.catalogue.catalogue import Catalogue
from proxy.config.sections import Config, EngineSection, Server
from proxy.engines import registry
from proxy.engines.engine_list import Engines
from proxy.engines.in_process import InProcessEngine
from proxy.engines.source import LiveEngine
from proxy.features.models.entries import GalleryEntry, GalleryFile
from proxy.features.models.listing import Galleries, GalleryModel, open_galleries
from proxy.hosts.hosted import HostedEngine
from proxy.speech_steps.recording_speakers import RecordingSpeakers, advice_for
from speech_engine import EngineVoice, Language, Sample
from speech_engine.model_files import ModelFormat
from tests.proxy.api.scripted import Scripted
from tests.tables import each_row

_FILES = (GalleryFile(name="weights.bin", urls=("https://hub.test/weights.bin",)),)
_FORMAT = ModelFormat(files=())


def _listed(name: str, tag: str, licence: str = "MIT", *, speaks_samples: bool = True) -> GalleryModel:
    entry = GalleryEntry(
        title=name, languages=(tag,), licence=licence, files=_FILES, speaks_samples=speaks_samples
    )
    return GalleryModel(name, "toy", _FORMAT, entry)


GALLERIES = Galleries(
    (
        _listed("read-en", "en", speaks_samples=False),
        _listed("own-en-nc", "en", "CC-BY-NC-4.0"),
        _listed("own-en", "en"),
        _listed("own-en-small", "en"),
        _listed("own-th-nc", "th", "CC-BY-NC-4.0"),
    ),
    (),
)


@each_row(
    ("tag", "is_paid", "command"),
    [
        (None, False, "voxgate voices own en"),
        ("en-GB", True, "voxgate voices own en"),
        ("th", False, "voxgate voices own th --accept CC-BY-NC-4.0"),
        ("th", True, ""),
        ("pt", False, ""),
    ],
)
def test_the_command_pulls_what_speaks_recordings_of_the_language(
    tag: str | None, is_paid: bool, command: str
) -> None:
    assert GALLERIES.command_for(tag, is_paid=is_paid) == command


def _engine(tag: str, **more: object) -> Scripted:
    """One model of one language."""
    return Scripted(languages=(Language(tag),), **more)


def _catalogue(converter: str = "", /, **engines: Scripted | None) -> Catalogue:
    """A catalogue of engines. None has not been up yet."""
    live: dict[str, LiveEngine] = {
        name: HostedEngine(name) if engine is None else InProcessEngine(engine, 0)
        for name, engine in engines.items()
    }
    sections = {name: EngineSection(plugin=name) for name in live}
    config = Config(server=Server(converter=converter), engines=sections)
    return Catalogue(config, Engines(live, sections), GALLERIES.command_for)


def _hint(tag: str | None, **engines: Scripted | None) -> str:
    return RecordingSpeakers(_catalogue(**engines), None).hint(tag)


def test_nothing_is_told_where_a_model_speaks_recordings() -> None:
    able = _engine("en", speaks_samples=True)
    assert _hint(None, rules=_engine("th"), able=able) == ""
    assert _hint("en-GB", able=able) == ""


def test_nothing_is_told_where_a_converter_repeats_a_model_of_the_language() -> None:
    converter = Scripted(speaks=False, converts=True, speaks_samples=True)
    for name, tag, is_told in (("tones", "en", False), ("tones", "th", True), ("", "en", True)):
        known = _catalogue(name, rules=_engine("en"), tones=converter)
        assert bool(RecordingSpeakers(known, None).hint(tag)) is is_told


def test_a_language_that_no_model_speaks_is_told_with_what_to_pull() -> None:
    able = _engine("en", speaks_samples=True)
    said = "Nothing on this server can speak a voice of a recording in the language 'th'. "
    helps = "The operator of this server can add it with: voxgate voices own th --accept CC-BY-NC-4.0"
    assert _hint("th", able=able, rules=_engine("th")) == said + helps
    assert _hint("pt", able=able).endswith("No model is known that the operator could add for it.")


def test_a_clone_at_a_provider_is_another_way() -> None:
    said = _hint(None, rules=_engine("en"), cloud=_engine("en", clones=True, is_local=False))
    assert said.endswith("A provider's clone of it can: name cloud in 'engines'.")


def test_nothing_is_told_while_an_engine_starts_that_may_be_the_one() -> None:
    assert _hint(None, rules=_engine("en"), starting=None) == ""
    assert _hint(None, rules=_engine("en")).endswith("voxgate voices own en")


@each_row(
    ("providers", "seconds", "advice"),
    [
        (("cloud",), 30.0, "cloud/m, here/m can."),
        ((), 30.0, "here/m can."),
        (None, 6.0, "here/m can."),
        ((), 1.0, ""),
    ],
)
def test_another_model_is_advised_only_if_it_may_and_can_speak_this_recording(
    providers: tuple[str, ...] | None, seconds: float, advice: str
) -> None:
    catalogue = _catalogue(
        rules=_engine("en"),
        cloud=_engine("en", speaks_samples=True, is_local=False, sample_s=(20.0, 60.0)),
        here=_engine("en", speaks_samples=True, sample_s=(5.0, 60.0)),
    )
    recording = Sample("d", seconds=seconds)
    mine = Voice(id="voice_1", name="Ana", account="acc_1", samples=(recording,), providers=providers)
    query = RoutingQuery(language="en", source="default")
    refused = decide(catalogue.find_offer("rules", "en"), mine, query, None, Rules())
    assert advice_for(refused, catalogue, None) == advice


@each_row(
    ("others", "advice"),
    [
        ({}, "No model that you may use here can."),
        ({"mute": Scripted(speaks=False, converts=True)}, "mute/m can."),
        ({"starts": None}, ""),
    ],
)
def test_who_cannot_convert_is_told_who_can_if_anybody_does(
    others: dict[str, Scripted | None], advice: str
) -> None:
    catalogue = _catalogue(speaks=_engine("en"), **others)
    query = RoutingQuery(language="und", converts=True)
    mine = Voice(id="voice_1", name="Ana", account="acc_1")
    refused = decide(catalogue.find_offer("speaks", "en"), mine, query, None, Rules())
    assert advice_for(refused, catalogue, None) == advice


@each_row(
    ("others", "advice"),
    [
        ({}, "No model that you may use here speaks it: the operator of this server can add one that does."),
        ({"thai": "th", "more": "th"}, "Name a model that speaks it, and one of its voices: thai/m, more/m."),
        ({"coming": None}, ""),
    ],
)
def test_a_language_that_is_lacking_is_told_with_who_speaks_it(
    others: dict[str, str | None], advice: str
) -> None:
    engines = {name: None if tag is None else _engine(tag) for name, tag in others.items()}
    catalogue = _catalogue(english=_engine("en"), **engines)
    voice = Voice(id="v", name="v", bindings=(Binding("english", EngineVoice("v")),))
    query = RoutingQuery(language="th")
    decision = decide(catalogue.find_offer("english", "th"), voice, query, None, Rules(catalogue.licences))
    assert decision.error is not None
    assert decision.error.code == "unsupported_language"
    assert advice_for(decision, catalogue, None) == advice


def test_a_language_that_a_natural_model_speaks_is_told_with_the_command_for_it() -> None:
    catalogue = _catalogue(english=_engine("en"))
    catalogue.command_for = open_galleries(registry.load()).command_for
    voice = Voice(id="v", name="v", bindings=(Binding("english", EngineVoice("v")),))
    for tag, command in (("th", "it with: voxgate voices natural th"), ("ja", "one that does.")):
        query = RoutingQuery(language=tag)
        refused = decide(catalogue.find_offer("english", tag), voice, query, None, Rules())
        assert advice_for(refused, catalogue, None).endswith(f" this server can add {command}")
