"""A process that makes a dub, for `tests/forked.py`: `main(CONFIG, KEY, BODY, POINT, NUMBER)`.

It asks for the job, with the same Idempotency-Key each time, and works until it is done. It kills itself when
it comes to a point for the time with this number.
"""

import json
from pathlib import Path
from typing import Any

import httpx2

from proxy.app import open_worker
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.dubs import kind, track
from proxy.features.dubs.original_sound import OriginalSounds
from proxy.features.dubs.subtitle_reader import SubtitleReader
from tests.features.jobs.job_program import FILE_POINTS, arm, work_to_the_end
from tests.features.jobs.job_program import POINTS as STEP_POINTS
from tests.waiting import soon

READING: dict[str, tuple[Any, str, str]] = {
    "before subtitles": (SubtitleReader, "read_turns", "before"),
    "after subtitles": (SubtitleReader, "read_turns", "after"),
    "before original": (OriginalSounds, "measure", "before"),
    "after original": (OriginalSounds, "measure", "after"),
}
SPEAKING = {name: point for name, point in STEP_POINTS.items() if not name.endswith("clips")}
MAKING: dict[str, tuple[Any, str, str]] = {
    "in fitting": (kind, "fit_lines", "before"),
    "before bed": (track.OriginalBed, "take_sound", "before"),
    "after bed": (track.OriginalBed, "take_sound", "after"),
    "before mixed": (track.DubFile, "add_sound", "before"),
    "after mixed": (track.DubFile, "add_sound", "after"),
    "before last": (track.DubFile, "end", "before"),
    "after last": (track.DubFile, "end", "after"),
}
POINTS = READING | SPEAKING | MAKING | FILE_POINTS
_UNDER_WAY = (409, 503)


async def main(file: str, key: str, body: str, point: str = "", number: str = "1") -> None:
    async with open_worker(load_config(Path(file), {}), registry.load()) as worker:
        if point:
            arm(point, int(number), POINTS)
        transport = httpx2.ASGITransport(app=worker.public)
        headers = {"authorization": f"Bearer {key}", "idempotency-key": "dub"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://voxgate.test", headers=headers
        ) as client:
            # The request that was killed may hold its key a little longer.
            answer = await soon(
                lambda: client.post("/v1/jobs", json=json.loads(body)),
                lambda given: given.status_code not in _UNDER_WAY,
            )
        assert answer.status_code == 202, answer.text
        print(answer.json()["id"])
        await work_to_the_end(worker)
