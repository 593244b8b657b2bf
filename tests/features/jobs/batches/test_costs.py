"""What batches of many lines cost a worker: none holds its loop, and no account reads their files at will."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import httpx2
import pytest

from proxy.access.admission import MOST_A_MINUTE
from tests.features.jobs.batches.rig import ask_batch_of, ended, file_content, jsonl, line, new_batch, upload
from tests.features.jobs.job_rig import content, jobs_inside, kind_of
from tests.proxy.api.inside import envelope
from tests.proxy.http.hostile_json import MOST_S, body, cost
from tests.tables import each_row

LINES = 10_000
"""Half of what a batch may have, and so of the hold."""


@pytest.mark.clock
async def test_many_lines_hold_nobody(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        kind_of(server).most_at_once = 0
        sent = await upload(server, jsonl(*(line(f"{number}", "Hi.") for number in range(LINES))))
        async with cost() as found:
            made = await ask_batch_of(server, sent.json()["id"])
        assert made.status_code == 200, made.text
        assert found.held_s < MOST_S / 2


@each_row(("field", "shape"), [("method", "lists"), ("custom_id", "lists"), ("body", "a long text")])
async def test_a_large_file_takes_no_more_than_three_copies_of_it(
    tmp_path: Path, field: str, shape: str
) -> None:
    lines = [body(line(f"{number}", "Hi."), field, shape, 250_000) for number in range(40)]
    files = {"file": ("lines.jsonl", b"\n".join(lines))}
    form = httpx2.Request("POST", "http://x/", data={"purpose": "batch"}, files=files)
    sent = b"".join(cast(Iterable[bytes], form.stream))
    async with jobs_inside(tmp_path) as server:
        await upload(server, jsonl(line("a", "A.")))
        with _peak() as uploading:
            head, shown = await server.raw_speech(sent, path="/v1/files", headers=dict(form.headers))
        assert head["status"] == 200, shown
        with _peak() as making:
            made = await ask_batch_of(server, json.loads(shown["body"])["id"])
    assert made.json()["status"] == "failed"
    # Results of threads live until the next collection of garbage.
    assert max(*uploading, *making) < 3.2 * len(sent)


@contextmanager
def _peak() -> Iterator[list[int]]:
    """The most bytes that Python took in the block."""
    found = list[int]()
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


async def test_what_a_batch_gives_is_counted_apart(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await ended(
            server, (await new_batch(server, line("a", "A."), line("b", "B.", voice="x")))["id"]
        )
        files = [made[f"{what}_file_id"] for what in ("error", "output", "sound")]
        for number in range(MOST_A_MINUTE["file"] - 1):
            answer = await file_content(server, files[number % 3], range="bytes=0-0")
            assert answer.status_code == (200 if number % 3 == 2 else 206)  # of a zip there are no ranges
        assert (await content(server, made["id"])).status_code == 200
        for asked in (
            file_content(server, files[0]),
            server.ask("GET", f"/v1/files/{files[1]}"),
            content(server, made["id"]),
        ):
            refused = await asked
            assert (refused.status_code, envelope(refused)["code"]) == (429, "rate_limit_exceeded")
            assert "of the class 'file'" in refused.json()["error"]["message"]
        # What was uploaded is there as it is.
        assert (await file_content(server, made["input_file_id"])).status_code == 200


async def test_an_account_has_few_places_for_what_its_batches_give(tmp_path: Path) -> None:
    async with jobs_inside(tmp_path) as server:
        made = await ended(server, (await new_batch(server, line("b", "B.", voice="x")))["id"])
        answers = await asyncio.gather(*(file_content(server, made["error_file_id"]) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 503, 503]
        assert (await file_content(server, made["error_file_id"])).status_code == 200
