"""examples/kinds: a plugin of each kind that is no engine keeps its contract, and works in a server."""

import ast
import itertools
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import structlog

from proxy.engines import registry
from proxy.engines.plugin_folder import entries_of
from proxy.engines.registry import Registry
from proxy.features.marks.section import MARK_KEYS
from proxy.file_store.key_ring import parse_keys
from speech_engine import Comparer, Context, Detection, FrontEnd, Mark, MarkKey
from speech_engine.comparer import COMPARED_RATE_HZ
from speech_engine.plugin import Create, Kind, NoSettings
from speech_engine.testing.comparers import ComparerContract
from speech_engine.testing.marks import MarkContract
from tests.plugins.front_ends import assert_sound
from tests.proxy.api.inside import inside
from tests.proxy.api.scripted import RATE_HZ, Scripted, spoken
from tests.proxy.cli.test_main import Run, folder, run
from tests.proxy.diagnosis.checking import findings

__all__ = ["folder", "run"]

FOLDER = Path(__file__).parents[2] / "examples" / "kinds"
KINDS: dict[Kind, str] = {
    "front_end": "spoken-units",
    "detector": "common-words",
    "comparer": "long-spectra",
    "mark": "lowest-bits",
}
CONFIG = """
[server]
detector = "common-words"
[engines.one]
[marking]
mark = "lowest-bits"
[[routes]]
language = "pt"
front_end = "spoken-units"
"""


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.syspath_prepend(FOLDER)
    return registry.load(entries_of(FOLDER))


def opened(loaded: Registry, kind: Kind) -> AbstractAsyncContextManager[Any]:
    name = KINDS[kind]
    create = cast(Create[NoSettings], loaded.plugins(kind)[name].create)
    return create(name, NoSettings(), Context(structlog.get_logger()))


def test_a_plugin_has_at_most_thirty_lines_below_its_imports() -> None:
    files = [*FOLDER.glob("*.py")]
    assert len(files) == len(KINDS)
    for file in files:
        *_, imports = (
            each for each in ast.parse(file.read_text()).body if isinstance(each, ast.Import | ast.ImportFrom)
        )
        below = file.read_text().splitlines()[imports.end_lineno :]
        assert len([line for line in below if line.strip()]) <= 30, file


def test_check_says_what_each_gives(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    status, found = findings(run, FOLDER)
    assert status == 0
    assert {row["found"] for row in found} == {f"gives {kind} {name}" for kind, name in KINDS.items()}


async def test_a_server_speaks_with_the_front_end_the_detector_and_the_mark(
    tmp_path: Path, loaded: Registry
) -> None:
    engine = Scripted(*spoken(1.0), is_speech=True)
    more = {(kind, name): loaded.plugins(kind)[name] for kind, name in KINDS.items()}
    async with inside(tmp_path, CONFIG, {"one": engine}, more=more) as server:
        body = {"model": "one/m", "voice": "one/v", "response_format": "pcm"}
        text = "A casa é a que fica a 5 km. E o mar?"
        answer = await server.ask("POST", "/v1/audio/speech", body={**body, "input": text})
        assert answer.status_code == 200, answer.text
    (job,) = engine.jobs
    assert [segment.spoken for segment in job.segments] == ["A casa é a que fica a 5 kilometres.", "E o mar?"]
    assert job.language == "pt"
    assert answer.headers["x-voxgate-mark"].startswith("lowest-bits")
    ring = parse_keys((tmp_path / "data" / MARK_KEYS).read_text(), "the keys")
    async with opened(loaded, "mark") as mark:
        keys = [MarkKey(key.id, key.secret) for key in ring]
        found: Detection = mark.detect(answer.content, RATE_HZ, keys)
    assert found.key == ring.newest.id


async def test_the_front_end_promises_what_each_does(loaded: Registry) -> None:
    async with opened(loaded, "front_end") as front_end:
        made: FrontEnd = front_end
        for text in ("", " \n", "5 km.", "5 kmh, 3 kg\u200d. \r\nNow 2  ms", "\ud800 1 km"):
            assert_sound(text, made.prepare(text, "en", {"now": "then"}))


async def test_the_detector_is_unsure_of_words_that_two_languages_have(loaded: Registry) -> None:
    async with opened(loaded, "detector") as detector:
        found = [detector.detect(text) for text in ("the sea of it", "los que una", "que", "", "zebra")]
    assert found == ["en", "es", None, None, None]


def voice(pitch_hz: float, noise: int) -> bytes:
    """Four seconds of a tone with overtones."""
    at = np.arange(4 * COMPARED_RATE_HZ) / COMPARED_RATE_HZ
    sound = sum(np.sin(2 * np.pi * pitch_hz * part * at) / part for part in range(1, 6))
    sound = sound + np.random.default_rng(noise).normal(0, 0.1, len(at))
    return np.asarray(sound * 6000, "<i2").tobytes()


class TestComparer(ComparerContract):
    @pytest.fixture(autouse=True)
    def _loaded(self, loaded: Registry) -> None:
        self._registry = loaded

    def comparer(self) -> AbstractAsyncContextManager[Comparer]:
        return opened(self._registry, "comparer")

    def recordings(self) -> dict[str, list[bytes]]:
        return {f"{pitch} Hz": [voice(pitch, noise) for noise in (1, 2)] for pitch in (110, 190)}


class TestMark(MarkContract):
    @pytest.fixture(autouse=True)
    def _loaded(self, loaded: Registry) -> None:
        self._registry = loaded

    def mark(self) -> AbstractAsyncContextManager[Mark]:
        return opened(self._registry, "mark")

    def speech(self) -> bytes:
        return voice(150, 3)

    async def test_a_part_of_a_clip_has_the_mark(self) -> None:
        async with self.mark() as mark:
            marked = mark.open(8_000, key := MarkKey("key", b"a secret of sixteen"), 7).feed(self.speech())
            for start, keys in itertools.product((2, 95 * 2, 1000), ([key], [])):
                found = mark.detect(marked[start : start + 4000], 8_000, keys)
                assert (found.key, found.payload) == (("key", 7) if keys else (None, None))
