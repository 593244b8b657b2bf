"""An account's voice while an engine starts that may speak it itself, or that is the converter."""

import pytest
from msgspec.structs import replace

from policies.lexicon import Lexicons
from policies.plans import UNLIMITED, build_terms
from policies.routing import Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary, VoiceCache
from proxy.config.sections import Config, EngineSection, Server
from proxy.engines.engine_list import Engines
from proxy.engines.in_process import InProcessEngine
from proxy.engines.source import LiveEngine
from proxy.errors import InvalidRequest, UpstreamFailed
from proxy.http.replies import encode_json
from proxy.speech.planning import Planner, SpeechPlan
from proxy.speech.speech_request import Defaults, parse_speech
from speech_engine import ModelInfo, Sample
from tests.proxy.api.scripted import Scripted
from tests.proxy.speech_steps.repeating import Repeating

RECORDED = Voice(id="voice_1", name="Ana", account="acc_1", samples=(Sample("d", seconds=9.0),))
TRAINED = Voice(id="voice_1", name="Ana", account="acc_1", trained=(("rvc", "d"),))
BODY = {"model": "tts-1", "voice": "Ana", "input": "Who goes there?", "language": "en"}


class Coming(InProcessEngine):
    """An engine that has not been up yet."""

    def __init__(self, state: str) -> None:
        super().__init__(Scripted(), 0)
        self.state = state

    def models(self) -> tuple[ModelInfo, ...]:
        return ()


def converter() -> InProcessEngine:
    return InProcessEngine(Repeating(speaks=False, trained_format="rvc", speaks_samples=True), 0)


def planned(voice: Voice, **live: LiveEngine) -> SpeechPlan:
    engines: dict[str, LiveEngine] = {"near": InProcessEngine(Scripted(), 0), **live}
    sections = {name: EngineSection(plugin=name) for name in engines}
    names: dict[str, tuple[str, ...]] = {"tts-1": ("near/m", "pocket/m")}
    config = Config(server=Server(converter="rvc"), engines=sections, models=names)
    planner = Planner(Catalogue(config, Engines(engines, sections)))
    library = AccountLibrary(VoiceCache((voice,)), VoiceCache(), Lexicons({}))
    return planner.plan(parse_speech(encode_json(BODY), Defaults()), build_terms(UNLIMITED), library)


def test_an_engine_that_starts_may_speak_the_recordings_itself() -> None:
    with pytest.raises(UpstreamFailed, match="'pocket' is not available right now"):
        planned(RECORDED, pocket=Coming("starting"), rvc=converter())
    for voice, state in ((RECORDED, "failed"), (TRAINED, "starting")):
        (part,) = planned(voice, pocket=Coming(state), rvc=converter()).parts
        assert part.candidates[0].base == "near/v"


def test_a_recording_whose_words_are_being_heard_is_waited_for() -> None:
    reader = InProcessEngine(Scripted(speaks_samples=True, needs_sample_text=True), 0)
    (part,) = planned(RECORDED, pocket=reader, rvc=converter()).parts
    assert part.candidates[0].base == "near/v"
    with pytest.raises(InvalidRequest, match="its words are being heard"):
        planned(replace(RECORDED, awaits_words=True), pocket=reader, rvc=converter())


def test_a_converter_that_starts_is_waited_for() -> None:
    with pytest.raises(UpstreamFailed, match="'rvc' is not available right now"):
        planned(RECORDED, rvc=Coming("starting"))
    with pytest.raises(InvalidRequest, match="which is a voice of recordings"):
        planned(RECORDED, rvc=Coming("failed"))
