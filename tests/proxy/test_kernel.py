"""What a worker and a command have before any feature is there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import msgspec

from proxy.api.server import ServerLink
from speech_engine import Context, Plugin
from tests.features.cache.keeping import CONFIG, revise
from tests.proxy.api.inside import TONE, inside

RELOADED = """
[server]
spill_mb = 7
"""


async def test_a_reload_bounds_what_is_on_the_disk(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        revise(server, tmp_path, RELOADED + CONFIG)
        # Of sound that nobody has read yet.
        assert repr(server.worker.parts.spill_quota) == "<SpillQuota 0 of 7340032 bytes, 0 files>"


async def test_features_of_a_worker_reach_its_supervisor(tmp_path: Path) -> None:
    async def unanswered(*_question: object) -> NoReturn:
        raise AssertionError("it is not asked")

    async with inside(tmp_path) as server:
        link = ServerLink("mch_1", "", 0, unanswered, unanswered, unanswered)
        assert server.worker.parts.context(link).link is link


async def test_features_see_which_revision_of_a_front_end_speaks(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        assert (
            server.worker.open_features.context.front_end_revision == server.worker.parts.front_ends.revision
        )


class Fixed(msgspec.Struct, frozen=True):
    """What it always says."""

    tag: str = "en"


class FixedDetector:
    def __init__(self, tag: str) -> None:
        self._tag = tag

    def detect(self, _text: str) -> str:
        return self._tag


@asynccontextmanager
async def _fixed(_name: str, settings: Fixed, _context: Context) -> AsyncIterator[FixedDetector]:
    yield FixedDetector(settings.tag)


async def test_the_detector_of_a_server_has_the_settings_of_its_section(tmp_path: Path) -> None:
    text = TONE.replace("[server]", '[server]\ndetector = "fixed"') + '[detectors.fixed]\ntag = "sw"\n'
    fixed = Plugin(kind="detector", name="fixed", settings=Fixed, create=_fixed)
    async with inside(tmp_path, text, more={("detector", "fixed"): fixed}) as server:
        assert server.worker.parts.detector("Habari", "en") == ("sw",)
