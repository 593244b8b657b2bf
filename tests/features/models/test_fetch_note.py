"""What a running server knows of a fetch beside it: how far it is, how long to wait, or why it has failed."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from policies.alerts import engine_troubles
from proxy.catalogue.catalogue import Catalogue
from proxy.config.config_toml import Config
from proxy.config.sections import EngineSection
from proxy.engines import registry
from proxy.engines.engine_list import Engines
from proxy.engines.engine_models import ModelAbsent
from proxy.errors import RequestFailed, UpstreamFailed
from proxy.features.models import fetch_note, natural_voices
from proxy.features.models.fetch_note import FetchNote, FetchWatch, note_path, read_note
from proxy.features.models.listing import GalleryModel, open_galleries
from proxy.hosts.environments.environment_build import BuildProgress
from proxy.hosts.hosted import HostedEngine
from proxy.hosts.stored_models import with_models
from speech_engine import EngineUnavailable
from speech_engine.host.pipe_messages import HostState
from tests.tables import each_row

MISSING = HostState("kokoro", 0, 0, "failed", "no model called kokoro-voices has been imported")
FAULT = "kokoro-voices could not be fetched: npm is away. To try now, run: voxgate voices natural"


@pytest.fixture(scope="module")
def listed() -> list[GalleryModel]:
    return natural_voices.first_models(open_galleries(registry.load()))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


class Watched:
    """A worker's engines, whose Kokoro is missing, and what a client is told of it."""

    def __init__(self, data: Path) -> None:
        sections = {"kokoro": EngineSection(plugin="kokoro")}
        config = Config(engines=sections, data=str(data), models={"tts-1": ("kokoro/standard",)})
        self.engine = HostedEngine("kokoro")
        engines = Engines({"kokoro": self.engine}, sections)
        engines.update_host(MISSING)
        self.engines, self.catalogue = engines, Catalogue(config, engines)
        self.watch = FetchWatch(engines, config)

    def refusal(self) -> RequestFailed:
        with pytest.raises(UpstreamFailed) as caught:
            self.catalogue.find_offer("tts-1", "es")
        return caught.value


def some(listed: list[GalleryModel], part: float) -> tuple[str, int, int]:
    """The largest package, of which this part is there."""
    largest = max((each for one in listed for each in one.entry.packages), key=lambda each: each.size)
    return f"{largest.package} {largest.version}", int(largest.size * part), largest.size


async def test_an_engine_that_is_fetched_is_installing_and_no_trouble(
    tmp_path: Path, listed: list[GalleryModel], now: list[float]
) -> None:
    server, note = Watched(tmp_path), FetchNote(str(tmp_path), listed)
    await server.watch.show_progress()
    assert (server.engine.state, server.engine.reason) == ("failed", MISSING.reason)
    note.build(BuildProgress("installing the packages", 2, 4, packages=4, of_packages=8))
    note.build(BuildProgress("installing the packages", 2, 4, packages=8))  # before their number is known
    now[0] += 40.0
    note.fetch(*some(listed, 1.0))
    await server.watch.show_progress()
    part = server.engines.load_progress("kokoro")
    assert part is not None
    assert 0.3 < part < 0.4, "a quarter of the bytes, and three eighths of the build"
    assert (server.engine.state, server.engine.reason) == ("installing", f"{part:.0%} is fetched")
    assert [*engine_troubles("kokoro", server.engine.state, ())] == []
    refusal = server.refusal()
    assert refusal.retry_after_s == fetch_note._LONGEST_S, "more than a minute is left"
    assert f"It is being fetched, {part:.0%} so far. Ask again in 60 seconds." in refusal.message
    for each in (each for one in listed for each in one.entry.packages):
        note.fetch(f"{each.package} {each.version}", each.size, each.size)
    await server.watch.show_progress()
    assert 5.0 <= (server.refusal().retry_after_s or 0.0) < 60.0
    with pytest.raises(EngineUnavailable):
        server.engine._check_available(0.0)
    note.remove_note()
    await server.watch.show_progress()
    assert server.engine.state == "installing", "until the supervisor has seen it"
    now[0] += fetch_note._UNSEEN_S
    revision = server.engines.revision
    await server.watch.show_progress()
    assert (server.engine.state, server.engine.reason) == ("failed", MISSING.reason), "it still refuses"
    assert (server.engines.fetch_of("kokoro"), server.engines.revision) == ((None, ()), revision + 1)
    server.engines.update_host(HostState("kokoro", 0, 1, "starting"))
    note.write_note(fault=FAULT)
    await server.watch.show_progress()
    assert server.engine.state == "starting"
    assert "It is starting." in server.refusal().message


async def test_a_fetch_that_failed_is_told_with_the_command_and_nobody_waits(
    tmp_path: Path, listed: list[GalleryModel]
) -> None:
    server = Watched(tmp_path)
    FetchNote(str(tmp_path), listed).write_note(fault=FAULT)
    await server.watch.show_progress()
    assert (server.engine.state, server.engine.reason) == ("failed", FAULT)
    refusal = server.refusal()
    assert (refusal.retry_after_s, refusal.headers) == (None, {"x-should-retry": "false"})
    assert refusal.message.endswith("can run: voxgate doctor")
    with pytest.raises(EngineUnavailable, match="npm is away"):
        server.engine._check_available(0.0)
    note = FetchNote(str(tmp_path), listed)  # the next fetch: the fault stays until something comes
    note.is_built = True
    note.fetch(*some(listed, 0.01))
    await server.watch.show_progress()
    assert server.engine.state == "failed"
    note.fetch(*some(listed, 0.5))
    await server.watch.show_progress()
    assert server.engine.state == "installing"


async def test_an_engine_that_is_fetched_brings_its_own_languages_alone(
    tmp_path: Path, listed: list[GalleryModel]
) -> None:
    server = Watched(tmp_path)
    assert server.catalogue._unknown_engines(("kokoro/standard",), "de") == ("kokoro",)
    FetchNote(str(tmp_path), listed).write_note()
    revision = server.engines.revision
    await server.watch.show_progress()
    assert server.engines.revision == revision + 1, "plans are made anew"
    for tag, unknown in (("de", ()), ("pt-PT", ("kokoro",)), ("en", ("kokoro",))):
        assert server.catalogue._unknown_engines(("kokoro/standard",), tag) == unknown


def test_a_model_that_is_fetched_is_nothing_to_import(tmp_path: Path, listed: list[GalleryModel]) -> None:
    note, path, commands = FetchNote(str(tmp_path), listed), note_path(str(tmp_path)), "models import PATH"

    def assert_told(plugin: str, why: str) -> None:
        with pytest.raises(ModelAbsent, match=why):
            with_models(EngineSection(plugin=plugin, model="x"), listed[0].format_, str(tmp_path))

    note.write_note()
    assert_told("kokoro", "x is not there yet: voxgate engines")
    assert_told("piper", commands)
    os.utime(path, (0, 0))
    assert_told("kokoro", commands)
    note.write_note(fault=FAULT)
    assert_told("kokoro", commands)


async def test_a_fetch_that_was_killed_is_over(tmp_path: Path, listed: list[GalleryModel]) -> None:
    server, path = Watched(tmp_path), note_path(str(tmp_path))
    FetchNote(str(tmp_path), listed).write_note(part=0.5)
    os.utime(path, (0, 0))
    await server.watch.show_progress()
    assert (server.engine.state, server.engine.reason[:29]) == ("failed", "its fetch was broken off; run")
    path.write_text("{")
    assert read_note(path) is None


@each_row(
    "come",
    [
        lambda note, listed: note.fetch(*some(listed, 0.0)),
        lambda note, _listed: note.fetch("another command changes models; waiting for it", 0, 0),
        lambda note, _listed: note.build(BuildProgress("installing the packages", 0, 4)),
    ],
)
def test_a_fetch_that_is_slow_is_not_over(
    come: Callable[[FetchNote, list[GalleryModel]], None],
    tmp_path: Path,
    listed: list[GalleryModel],
    now: list[float],
) -> None:
    note, path = FetchNote(str(tmp_path), listed), note_path(str(tmp_path))
    note.write_note(part=0.5)
    os.utime(path, (0, 0))
    come(note, listed)
    assert path.stat().st_mtime == 0, "once a second will do"
    now[0] += 1.0
    come(note, listed)
    found = read_note(path)
    assert found is not None
    assert (found.part, found.fault) == (0.5, "")


def test_each_lost_model_has_its_command(tmp_path: Path, listed: list[GalleryModel]) -> None:
    joe = open_galleries(registry.load()).listed_model("joe")
    for lost, command in (
        (listed, "voxgate voices natural"),
        ([joe], joe.command),
        ([*listed, joe], f"{listed[0].command} && {joe.command}"),
    ):
        FetchNote(str(tmp_path), lost).write_note()
        os.utime(note_path(str(tmp_path)), (0, 0))
        found = read_note(note_path(str(tmp_path)))
        assert found is not None
        assert found.fault.endswith(f"run: {command}")


async def test_an_engine_of_a_cluster_is_not_fetched_here(tmp_path: Path, listed: list[GalleryModel]) -> None:
    server = Watched(tmp_path)
    server.engine.states.clear()
    FetchNote(str(tmp_path), listed).write_note()
    await server.watch.show_progress()
    assert server.engine.states == {}
    server.engine.fetched_languages = ("es",)
    assert server.engines.fetch_of("kokoro") == (None, ())
