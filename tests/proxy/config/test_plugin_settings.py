"""[front_ends] and [detectors]: settings reach the plugin; wrong ones leave out that one alone."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from policies import plans
from policies.routing import FrontEndNames
from proxy.app import open_worker
from proxy.config.sections import Config, EngineSection, PluginSection, Server, VoiceSection
from proxy.engines.registry import Registry
from proxy.http.replies import encode_json
from proxy.speech.front_ends import open_front_ends
from proxy.speech.language_detection import open_detector
from proxy.speech.speech_request import Defaults, parse_speech
from speech_engine import Context, Plugin, Segment
from tests.proxy.api.inside import NoSettings
from tests.proxy.api.scripted import Scripted
from tests.tables import each_row


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    said: str = "nothing"


class Saying:
    """A front-end for two languages, and a detector: both say what they were set to."""

    languages = ("xx", "yy")

    def __init__(self, said: str) -> None:
        self._said = said

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        return (Segment(self._said, 0, len(text)),)

    def detect(self, text: str) -> str | None:
        return self._said


@asynccontextmanager
async def saying(_name: str, settings: Settings, _context: Context) -> AsyncIterator[Saying]:
    yield Saying(settings.said)


def plugin(kind: str, name: str) -> dict[tuple[str, str], Plugin[Settings]]:
    made = Plugin(kind=kind, name=name, settings=Settings, create=saying)  # type: ignore[arg-type]  # a Kind
    return {(kind, name): made}


INSTALLED = Registry(plugin("front_end", "b") | plugin("front_end", "a") | plugin("detector", "d"), [])
GOOD = PluginSection(settings={"said": "something"})
BAD = {
    "an unknown key": PluginSection(settings={"zzz": 1}),
    "a wrong type": PluginSection(settings={"said": 1}),
    "a secret that is not there": PluginSection("front_ends.b.said: not set"),
}


@pytest.mark.parametrize(("sections", "said"), [({}, "nothing"), ({"b": GOOD}, "something")])
async def test_settings_reach_a_front_end(sections: dict[str, PluginSection], said: str) -> None:
    async with open_front_ends(INSTALLED, sections) as front_ends:
        (segment,) = await front_ends.use("b", lambda prepare: prepare("Hi.", "en", {}), is_short=True)
    assert segment.spoken == said


@each_row("section", BAD.values(), ids=BAD)
async def test_a_front_end_with_wrong_settings_is_left_out_alone(section: PluginSection) -> None:
    with capture_logs() as logs:
        async with open_front_ends(INSTALLED, {"b": section}) as front_ends:
            assert front_ends.names == FrontEndNames(frozenset("a"), {"xx": "a", "yy": "a"})
    (line,) = logs
    assert (line["event"], line["plugin"]) == ("plugin.start.refused", "b")
    assert "front_ends.b" in line["reason"]


async def test_the_first_by_name_of_two_front_ends_prepares_a_language() -> None:
    async with open_front_ends(INSTALLED) as front_ends:
        assert front_ends.names == FrontEndNames(frozenset("ab"), {"xx": "a", "yy": "a"})


async def test_settings_reach_the_detector_and_wrong_ones_leave_none() -> None:
    async with open_detector(INSTALLED, "d", GOOD) as detect:
        assert detect("Hi.", "en") == ("something",)
    with capture_logs() as logs:
        async with open_detector(INSTALLED, "d", BAD["an unknown key"]) as detect:
            assert detect("Hi.", "en") == ()
    assert [line["event"] for line in logs] == ["plugin.start.refused"]


async def test_no_detector_is_a_choice_and_no_warning() -> None:
    with capture_logs() as logs:
        async with open_detector(INSTALLED, "") as detect:
            assert detect("Hi.", "en") == ()
    assert logs == []


@each_row(
    ("reads_numbers", "language", "front_end"),
    [(True, "xx", "plain"), (False, "xx", "a"), (False, "xx-XX", "a"), (False, "en", "plain")],
)
async def test_a_model_that_does_not_read_numbers_gets_its_languages_front_end(
    tmp_path: Path, reads_numbers: bool, language: str, front_end: str
) -> None:
    engine = Scripted(reads_numbers=reads_numbers)

    @asynccontextmanager
    async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Scripted]:
        yield engine

    scripted = Plugin(kind="engine", name="e", settings=NoSettings, create=create)
    plugins = plugin("front_end", "a") | plugin("front_end", "plain") | {("engine", "e"): scripted}
    config = Config(
        server=Server(detector=""),
        engines={"e": EngineSection("e")},
        models={"tts-1": ("e/m",)},
        voices={"alloy": VoiceSection(bindings={"e": "v"})},
        data=str(tmp_path),
    )
    body = {"model": "tts-1", "voice": "alloy", "input": "Hi.", "language": language}
    request = parse_speech(encode_json(body), Defaults())
    async with open_worker(config, Registry(plugins, [])) as worker:
        plan = worker.planner.plan(request, plans.build_terms(plans.UNLIMITED))
    assert [candidate.front_end for candidate in plan.parts[0].candidates] == [front_end]
