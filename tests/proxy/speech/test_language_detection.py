"""The server's detector: opened by name, alone, and never in the way of a speech."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from structlog.testing import capture_logs

from policies import language
from proxy.config.sections import PluginSection
from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.speech.language_detection import open_detector
from speech_engine import Context, Hosted, Plugin
from speech_engine.plugin import Create
from tests.tables import each_row


class NoSettings(msgspec.Struct, frozen=True):
    """There is nothing to set."""


class Answering:
    """Gives what it is told to, whether that is a tag or not."""

    def __init__(self, answer: Callable[[str], object]) -> None:
        self._answer = answer

    def detect(self, text: str) -> object:
        return self._answer(text)


def answering(answer: Callable[[str], object]) -> Create[Any]:
    @asynccontextmanager
    async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Answering]:
        yield Answering(answer)

    return create


@asynccontextmanager
async def broken(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Answering]:
    yield _without_a_model()


def _without_a_model() -> Answering:
    raise OSError("no model")


def plugins(**by_name: Create[Any] | Hosted) -> Registry:
    made = {
        ("detector", name): Plugin(kind="detector", name=name, settings=NoSettings, create=create)
        for name, create in by_name.items()
    }
    return Registry(made, [])


async def test_the_shipped_one_hears_a_language() -> None:
    async with open_detector(registry.load()) as detect:
        assert detect._detector is not None
        chosen = language.language_of_text("Onde fica a estação de trem?", detect)
    assert chosen == language.LanguageChoice("pt", "detected")


async def test_another_is_opened_by_its_name_and_no_other_with_it() -> None:
    opened = plugins(pycld2=broken, mine=answering(lambda _text: "sw"))
    with capture_logs() as logs:
        async with open_detector(opened, "mine") as detect:
            assert detect("Habari", "en") == ("sw",)
    assert logs == []


async def test_a_detector_is_opened_with_the_settings_of_its_section() -> None:
    class Fixed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """What it always says."""

        tag: str = "en"

    @asynccontextmanager
    async def create(_name: str, settings: Fixed, _context: Context) -> AsyncIterator[Answering]:
        yield Answering(lambda _text: settings.tag)

    plugin = Plugin(kind="detector", name="mine", settings=Fixed, create=create)
    found = Registry({("detector", "mine"): plugin}, [])
    async with open_detector(found, "mine", PluginSection(settings={"tag": "sw"})) as detect:
        assert detect("Habari", "en") == ("sw",)
    with capture_logs() as logs:
        async with open_detector(found, "mine", PluginSection(settings={"tga": "sw"})) as detect:
            assert detect("Habari", "en") == ()
    (log,) = logs
    assert (log["event"], log["plugin"]) == ("plugin.start.refused", "mine")
    assert "tga" in log["reason"]


class Ranking(Answering):
    """Has more guesses than one, and puts the usual language first."""

    def rank(self, text: str, usual: str) -> tuple[object, ...]:
        return (usual, self._answer(text), None, "português", "yo")


async def test_a_detector_that_ranks_is_asked_for_all_its_guesses() -> None:
    @asynccontextmanager
    async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Ranking]:
        yield Ranking(lambda _text: "sw")

    async with open_detector(plugins(mine=create), "mine") as detect:
        assert detect("Habari", "en") == ("en", "sw", "yo")
        assert detect("Habari", "fr") == ("fr", "sw", "yo"), "the usual language is a part of the question"


async def test_without_a_name_nothing_is_opened_and_nothing_said() -> None:
    with capture_logs() as logs:
        async with open_detector(registry.load(), "") as detect:
            assert detect("Onde fica a estação de trem?", "en") == ()
    assert logs == []


@each_row(
    ("name", "event"),
    [
        ("broken", "plugin.start.failed"),
        ("hosted", "plugin.start.refused"),
        ("needy", "plugin.start.refused"),
        ("absent", "plugin.start.refused"),
    ],
)
async def test_a_detector_that_cannot_start_is_logged_and_detects_nothing(name: str, event: str) -> None:
    class Needy(msgspec.Struct, frozen=True):
        """Cannot be made without being told."""

        model: str

    made = plugins(broken=broken, hosted=Hosted("some.module")).plugins("detector")
    made["needy"] = Plugin(kind="detector", name="needy", settings=Needy, create=answering(str))
    with capture_logs() as logs:
        async with open_detector(Registry({("detector", n): p for n, p in made.items()}, []), name) as detect:
            assert detect("Onde fica a estação?", "en") == ()
            assert detect._detector is None
    assert [(log["event"], log["plugin"]) for log in logs] == [(event, name)]


async def test_a_detector_that_breaks_on_a_text_is_unsure_and_the_text_stays_out_of_the_log() -> None:
    def breaking(text: str) -> str:
        raise ZeroDivisionError(text)

    with capture_logs() as logs:
        async with open_detector(plugins(mine=answering(breaking)), "mine") as detect:
            assert detect("Canary.", "en") == ()
    (log,) = logs
    assert (log["event"], log["error"]) == ("detector.detect.failed", "ZeroDivisionError")
    assert "Canary" not in str(log)


async def test_a_detector_is_asked_once_for_a_short_text_and_always_for_a_long_one() -> None:
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return "sw"

    long_text = "Habari " * 100
    async with open_detector(plugins(mine=answering(answer)), "mine") as detect:
        assert [detect(text, "en") for text in ("Habari", "Habari", long_text, long_text)] == [("sw",)] * 4
        assert asked == ["Habari", long_text, long_text]
        for number in range(300):
            detect(str(number), "en")
        detect("Habari", "en")
    assert asked.count("Habari") == 2, "only the last texts are kept"


async def test_a_detector_that_broke_is_asked_again() -> None:
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        if len(asked) == 1:
            raise ZeroDivisionError
        return "sw"

    async with open_detector(plugins(mine=answering(answer)), "mine") as detect:
        assert [detect("Habari", "en") for _ in range(3)] == [(), ("sw",), ("sw",)]


@each_row("answer", [7, b"pt", ["pt"], "português", ""])
async def test_an_answer_that_is_no_tag_is_unsure(answer: object) -> None:
    async with open_detector(plugins(mine=answering(lambda _text: answer)), "mine") as detect:
        assert language.language_of_text("Bom dia", detect) == language.LanguageChoice("en", "default")


async def test_a_detector_is_closed_with_its_detection() -> None:
    closed = []

    @asynccontextmanager
    async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Answering]:
        yield Answering(str.lower)
        closed.append("mine")

    async with open_detector(plugins(mine=create), "mine"):
        assert closed == []
    assert closed == ["mine"]
