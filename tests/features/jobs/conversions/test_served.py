"""Jobs of a whole worker that convert a long recording: cut, converted, charged, heard, and gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from plugins.tone.decode import decode
from proxy.audio.formats import FORMATS
from proxy.ledger.verify import verify
from proxy.storage.blobs import list_all
from tests.features.jobs.conversions.rig import (
    STEP_MS,
    conversions_inside,
    new_conversion,
    recording,
    seconds_of,
    short_stretches,
)
from tests.features.jobs.job_rig import content, until
from tests.sound import decoded

WORDS = [f"Sentence number {number}." for number in range(6)]
__all__ = ["short_stretches"]
pytestmark = pytest.mark.usefixtures("short_stretches")


async def test_a_long_recording_is_heard_in_order_and_charged_by_its_length(
    tmp_path: Path, store_url: str
) -> None:
    audio = recording(WORDS)
    async with conversions_inside(tmp_path, store_url) as server:
        made = await new_conversion(server, audio, response_format="pcm")
        assert (made["kind"], made["characters"], made["format"]) == ("conversion", 0, "pcm")
        assert made["steps"] >= seconds_of(audio) * 1000 / STEP_MS
        done = await until(server, made["id"], "done", "failed")
        assert (done["status"], done["error"], done["steps_done"]) == ("done", "", made["steps"])
        sound = (await content(server, made["id"])).content
        assert decode(*decoded(sound, "pcm")) == tuple(WORDS)
        assert abs(len(sound) - (len(audio) - 44)) <= 2 * made["steps"]
        rows = await server.usage()
        assert {(row.kind, row.outcome, row.characters) for row in rows} == {("conversion", "finished", 0)}
        assert len(rows) == made["steps"]
        assert done["credits"] == pytest.approx(seconds_of(audio), abs=0.001)
        assert (await verify(server.worker.store)).is_clean
