"""Which answers are marked: engines, plans and configurations by parts, formats and the cache, in one table.

The mark of this test hums, so an answer in any format tells how often it was marked.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from proxy.app import open_worker
from proxy.audio.encode import open_encoder
from proxy.audio.formats import MACHINE_COMMENT, OutputForm
from proxy.feature_list import load_config
from speech_engine import Encoded, EngineFailed, Event, Finished, SpeechJob, Started
from tests.features.cache.keeping import landed
from tests.features.marks.marks import hum, hums
from tests.proxy.api.inside import Inside, inside, with_engines
from tests.proxy.api.scripted import RATE_HZ, Scripted, sound
from tests.sound import decoded, tone
from tests.tables import each_row, soak

pytestmark = pytest.mark.slow

SECONDS = 0.6
MP3_HZ = 44_100
"""Of what a provider encodes itself."""


class Kind(NamedTuple):
    is_local: bool
    is_speech: bool = True
    encodes: bool = False


KINDS = {
    "local": Kind(is_local=True),
    "tones": Kind(is_local=True, is_speech=False),
    "cloud": Kind(is_local=False),
    "encoding cloud": Kind(is_local=False, encodes=True),
    "encoding local": Kind(is_local=True, encodes=True),
}


class Row(NamedTuple):
    """Two engines that may speak, what the operator wrote, and whether answers are marked.

    `alone` is the case that the first engine speaks everything; the second one may stand by.
    """

    one: str
    two: str
    is_marked: bool
    alone: bool
    more: str = ""
    plan: str = ""


MARK = '[marking]\nmark = "hum"\n'
TABLE = [
    Row("local", "local", True, True, MARK),
    Row("local", "cloud", True, True, MARK),
    Row("cloud", "local", True, False, MARK),
    Row("encoding cloud", "local", True, False, MARK),
    Row("encoding local", "tones", True, True, MARK),
    Row("encoding cloud", "tones", False, False, MARK),
    Row("cloud", "encoding cloud", False, False, MARK),
    Row("tones", "tones", False, False, MARK),
    Row("encoding cloud", "cloud", True, True, f"{MARK}[engines.one]\nmarking = true\n"),
    Row("local", "cloud", False, False, f"{MARK}[engines.one]\nmarking = false\n"),
    Row("local", "local", True, False, f"{MARK}[engines.one]\nmarking = false\n"),
    Row("encoding cloud", "tones", True, True, MARK, "marking = true"),
    Row("local", "local", False, False, MARK, "marking = false"),
    Row("local", "cloud", False, False, f"{MARK}[engines.one]\nmarking = true\n", "marking = false"),
    Row("encoding local", "local", False, False, '[marking]\nmark = ""\n'),
]

SHAPES: dict[str, Any] = {
    "one part by one engine": {"voice": "ana", "input": "Hello there."},
    "one part by two candidates": {"voice": "both", "input": "Hello there."},
    "parts of one voice": {
        "voice": "both",
        "language": "auto",
        "input": "Good morning to all of you, my friends. Guten Morgen, meine lieben Freunde und Nachbarn.",
    },
    "a cast": {"voice": {"cast": {"Ana": "ana", "Ben": "ben"}}, "input": "[Ana] Hello. [Ben] Hi."},
}
FORMATS = ("mp3", "pcm", "opus")


class Speaker(Scripted):
    """Gives what the job asks for: its own encoding where that may pass, PCM otherwise."""

    def __init__(self, kind: Kind) -> None:
        self.fails = False
        self._encodes = kind.encodes
        super().__init__(
            is_local=kind.is_local, is_speech=kind.is_speech, formats=("mp3",) if kind.encodes else ()
        )

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        self.jobs.append(job)
        if self.fails:
            raise EngineFailed("it broke")
        yield Started(RATE_HZ)
        if self._encodes and job.formats:
            yield Encoded("mp3", mp3())
        else:
            for event in sound(SECONDS):
                yield event
        yield Finished()


def mp3() -> bytes:
    encoder = open_encoder(OutputForm("mp3", MP3_HZ))
    return encoder.feed(tone(440, SECONDS, MP3_HZ)).data + encoder.flush().data


def config(row: Row) -> str:
    engines = "".join(f"[engines.{name}]\n" for name in ("one", "two") if f"[engines.{name}]" not in row.more)
    return f"""
[server]
turn_pause_ms = 0
{row.more}
{engines}
[models]
m = ["one/m", "two/m"]
[[routes]]
language = "de"
sentences = true
[voices.ana]
one = "v"
[voices.ben]
two = "v"
[voices.both]
one = "v"
two = "v"
[plans.sold]
cache = true
{row.plan}
"""


@asynccontextmanager
async def serving(folder: Path, row: Row) -> AsyncIterator[tuple[Inside, dict[str, Speaker]]]:
    engines = {"one": Speaker(KINDS[row.one]), "two": Speaker(KINDS[row.two])}
    async with inside(folder, config(row), engines, "sold", {("mark", "hum"): hum()}) as server:
        yield server, engines


async def is_marked(server: Inside, format_: str, cache: str, shape: str) -> bool:
    """Ask, and tell whether the answer is marked. Its header must agree with its sound."""
    body = {"model": "m", "response_format": format_, "cache": cache != "off", **SHAPES[shape]}
    answer = await server.ask("POST", "/v1/audio/speech", body=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-cache"] == cache
    times = hums(decoded(answer.content, format_))
    assert times <= 1, "not once more for each part"
    assert ("x-voxgate-mark" in answer.headers) == bool(times)
    return bool(times)


def _few() -> list[Any]:
    """Each row with each shape, in the formats by turns. `make soak` has all formats of all rows."""
    formats = cycle(FORMATS)
    return [pytest.param(row, [(shape, next(formats)) for shape in SHAPES], id=name(row)) for row in TABLE]


def name(row: Row) -> str:
    return f"{row.one}+{row.two}{row.more}{row.plan}"


@pytest.mark.parametrize("has_all", [False, *soak(True)])
@each_row(("row", "few"), _few())
async def test_an_answer_is_marked_where_it_is_due_and_nowhere_else(
    tmp_path: Path, row: Row, few: Sequence[tuple[str, str]], has_all: bool
) -> None:
    asked = list(product(SHAPES, FORMATS)) if has_all else few
    async with serving(tmp_path, row) as (server, engines):
        for shape, format_ in asked:
            is_joined = shape not in ("one part by one engine", "one part by two candidates")
            due = row.is_marked if is_joined else row.alone
            for cache in ("off", "miss", "hit"):
                assert await is_marked(server, format_, cache, shape) == due, (shape, format_, cache)
            jobs = [job for engine in engines.values() for job in engine.jobs]
            assert len(jobs) == (4 if is_joined else 2), "part by part, and not for the hit"
            if due:
                assert all(job.formats in ((), ("pcm",)) for job in jobs), "no foreign encoding"
            for engine in engines.values():
                engine.jobs.clear()


@pytest.mark.parametrize("second", ["cloud", "local"])
async def test_what_passes_through_unmarked_keeps_its_bytes_and_its_rate(tmp_path: Path, second: str) -> None:
    async with serving(tmp_path, Row("encoding cloud", second, False, False, MARK)) as (server, _engines):
        body = {"model": "m", "voice": "both", "input": "Hello there.", "response_format": "mp3"}
        for cache in ("miss", "hit"):
            answer = await server.ask("POST", "/v1/audio/speech", body={**body, "cache": True})
            assert answer.content == mp3()
            headers = answer.headers
            assert (headers["x-voxgate-cache"], headers["x-voxgate-sample-rate"]) == (cache, str(MP3_HZ))
            assert "x-voxgate-mark" not in headers
            assert "link" not in headers


async def test_whoever_speaks_in_place_of_a_provider_is_marked(tmp_path: Path) -> None:
    async with serving(tmp_path, Row("encoding cloud", "local", True, False, MARK)) as (server, engines):
        engines["one"].fails = True
        assert await is_marked(server, "mp3", "off", "one part by two candidates")
        engines["one"].fails = False
        assert not await is_marked(server, "mp3", "off", "one part by two candidates")


@each_row(
    ("before", "after"),
    [
        ('[marking]\nmark = ""\nmanifests = false\n', MARK),
        (MARK, '[marking]\nmark = ""\nmanifests = false\n'),
        (MARK, f"{MARK}[marks.hum]\nfails_after_s = 100.0\n"),
    ],
    ids=["switched on", "switched off", "other settings"],
)
async def test_a_clip_is_given_again_only_under_the_marking_that_it_has(
    tmp_path: Path, before: str, after: str
) -> None:
    shape = "one part by one engine"
    async with serving(tmp_path, Row("local", "local", True, True, before)) as (server, engines):
        was_due = await is_marked(server, "mp3", "miss", shape)
        assert was_due == ("hum" in before)
    (tmp_path / "config.toml").write_text(config(Row("local", "local", True, True, after)))
    plugins = with_engines(engines, {("mark", "hum"): hum()})
    async with open_worker(load_config(tmp_path / "config.toml", {}), plugins) as worker:
        again = server._replace(worker=worker)
        for cache in ("miss", "hit"):
            assert await is_marked(again, "mp3", cache, shape) == ("hum" in after)


async def test_a_new_key_makes_new_clips(tmp_path: Path) -> None:
    row = Row("local", "local", True, True, MARK)
    async with serving(tmp_path, row) as (server, _engines):
        assert await is_marked(server, "mp3", "miss", "one part by one engine")
        keys = tmp_path / "data" / "mark-keys"
        keys.write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" + keys.read_text())
        server.worker.revise(load_config(tmp_path / "config.toml", {}))
        assert await is_marked(server, "mp3", "miss", "one part by one engine")


@each_row("format_", ["wav", "opus", "flac"])
async def test_a_tag_is_in_what_is_marked_and_nowhere_else(tmp_path: Path, format_: str) -> None:
    """In one part, who speaks decides, whoever stands by. The clip has the name of who spoke it."""
    async with serving(tmp_path, Row("cloud", "local", True, False, MARK)) as (server, engines):
        body = {"voice": "both", "input": "Hello there.", "response_format": format_, "cache": True}
        for due in (False, True):
            engines["one"].fails = due
            for cache, model in (("miss", "m"), ("hit", "two/m" if due else "m")):
                answer = await server.ask("POST", "/v1/audio/speech", body={**body, "model": model})
                await landed(tmp_path)
                assert answer.headers["x-voxgate-cache"] == cache
                assert ("x-voxgate-mark" in answer.headers) == due
                assert (MACHINE_COMMENT.encode() in answer.content) == due
            body["input"] = "Good bye then."
