"""Requests with a key whose client leaves, whose server stops, or whose disk fails."""

import asyncio
import json
import os
import shutil
import time
from pathlib import Path

import pytest
import structlog
from starlette.types import Message

from proxy.config.sections import Server, VaultSection
from proxy.feature_list import load_config, open_store
from proxy.file_store import locked_files
from proxy.file_store.shared_answers import open_answers
from proxy.file_store.vault import Vault
from proxy.storage.store import Statement
from proxy.telemetry.metrics import Metrics
from tests.proxy.api.inside import Inside
from tests.proxy.api.scripted import RATE_HZ, Halt, Scripted, spoken
from tests.proxy.file_store.idempotent import BODY, CONFIG, KEY, ask, is_replay, kept, speaking
from tests.tables import each_row
from tests.waiting import until

MOST = 1_000_000
SMALL = 60_000
"""Bytes of an answer of 1.25 s, as PCM."""


@each_row(
    ("shape", "messages"),
    [("pcm", 0), ("json", 0), ("pcm", 3)],
    ids=["before the first byte", "before a whole answer", "in the middle"],
)
async def test_a_client_who_leaves_finds_the_whole_answer_when_back(
    tmp_path: Path, shape: str, messages: int
) -> None:
    leaves, sent = asyncio.Event(), list[Message]()

    async def leave(message: Message) -> None:
        sent.append(message)
        if len(sent) == messages:
            leaves.set()

    async def until_gone() -> None:
        if not messages:
            leaves.set()
        await leaves.wait()
        # The departure is seen by a task of its own, some turns of the loop later.
        for _ in range(10):
            await asyncio.sleep(0)

    events, at = spoken(1.0), 2 * messages
    engine = Scripted(*events[:at], until_gone, *events[at:])
    async with speaking(tmp_path, engine) as server:
        body = {**BODY, "response_format": shape}
        await server.raw_speech(body, leaves, leave, headers={"idempotency-key": KEY})
        (row,) = await server.usage()
        again = await ask(server, response_format=shape)
    assert (row.outcome, row.samples) == ("finished", RATE_HZ)
    assert is_replay(again)
    assert all(message.get("more_body", True) for message in sent)
    heard = b"".join(message.get("body", b"") for message in sent)
    assert bool(heard) is bool(messages)
    assert len(heard) < len(again.content)
    assert again.content.startswith(heard)
    if shape == "pcm":
        assert len(again.content) == 2 * RATE_HZ
    assert len(engine.jobs) == 1


async def test_a_worker_that_stops_charges_nothing_and_frees_the_key(tmp_path: Path) -> None:
    halt = Halt(1)
    engine = Scripted(*spoken(1.0)[:-1], halt, spoken(1.0)[-1])
    async with speaking(tmp_path, engine) as server:
        drained = asyncio.create_task(server.raw_speech(BODY, headers={"idempotency-key": KEY}))
        await halt.is_there.wait()
        drained.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drained
        (row,) = await server.usage()
        assert not kept(tmp_path)
        assert not is_replay(await ask(server))
    assert (row.outcome, row.credits) == ("failed", 0)


async def test_an_answer_that_cannot_be_settled_is_not_kept(tmp_path: Path) -> None:
    async def rename(old: str, new: str) -> None:
        await server.worker.store.write(Statement(f"ALTER TABLE {old} RENAME TO {new}"))

    async def break_once() -> None:
        if len(engine.jobs) == 1:
            await rename("usage", "away")

    engine = Scripted(*spoken(0.5)[:-1], break_once, spoken(0.5)[-1])
    async with speaking(tmp_path, engine) as server:
        broken = await server.raw_speech(BODY, headers={"idempotency-key": KEY})
        assert broken[-1]["more_body"]
        assert not kept(tmp_path)
        await rename("away", "usage")
        assert not is_replay(await ask(server))
        assert is_replay(await ask(server))


async def test_an_answer_that_is_larger_than_a_quarter_is_not_kept_and_leaving_is_leaving(
    tmp_path: Path,
) -> None:
    leaves = asyncio.Event()

    async def leave() -> None:
        if len(engine.jobs) == 3:
            leaves.set()
            await asyncio.Event().wait()

    engine = Scripted(*spoken(6.0)[:-1], leave, spoken(6.0)[-1])
    with structlog.testing.capture_logs() as logs:
        async with speaking(tmp_path, engine) as server:
            assert [is_replay(await ask(server)) for _ in range(2)] == [False, False]
            assert not kept(tmp_path)
            await server.raw_speech(BODY, leaves, headers={"idempotency-key": KEY})
            outcomes = [row.outcome for row in await server.usage()]
    assert outcomes == ["left", "finished", "finished"]
    assert not [line for line in logs if line["log_level"] == "warning"]


async def test_a_worker_that_starts_sweeps_what_was_left_over(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "idempotency"
    folder.mkdir(parents=True)
    names = [character * 64 for character in "abcd"]
    (folder / f"{names[0]}.part").write_bytes(b"half")
    (folder / f"{names[0]}.lock").touch()
    (folder / names[1]).write_bytes(b"old")
    (folder / names[2]).write_bytes(b"new")
    held = locked_files.take_lock(folder / names[3])
    (folder / f"{names[3]}.part").write_bytes(b"under way in another worker")
    day = time.time() - 24 * 60 * 60 - 60
    os.utime(folder / names[1], (day, day))
    left = {names[2], f"{names[3]}.part", f"{names[3]}.lock"}
    data = tmp_path / "data"
    async with open_store("sqlite", data) as store:
        vault = Vault(store, VaultSection(), data)
        async with open_answers(store, data, Server(idempotency_mb=1), vault, Metrics()):
            await asyncio.to_thread(until, lambda: set(os.listdir(folder)) == left)
    assert held is not None
    held.release()


@each_row("way", ["no folder", "no room", "no file"])
async def test_a_disk_that_does_not_do_it_never_fails_an_answer(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "data" / "idempotency"
    engine = Scripted(*spoken(0.5))
    with structlog.testing.capture_logs() as logs:
        async with speaking(tmp_path, engine) as server:
            await ask(server)
            (path,) = kept(tmp_path)
            path.unlink()
            _break(way, path)
            answer = await ask(server)
            page = server.worker.metrics.page_text()
            if folder.is_dir():
                shutil.rmtree(folder)
            else:
                folder.unlink()
            assert not is_replay(await ask(server))
            assert is_replay(await ask(server))
    assert (answer.status_code, len(answer.content)) == (200, RATE_HZ)
    assert not is_replay(answer)
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"], line["request"]) for line in warnings] == [
        ("answer.keep.failed", answer.headers["x-request-id"])
    ]
    assert "voxgate_answers_unrecorded_total 1.0" in page


def _break(way: str, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    if way == "no folder":
        path.parent.rmdir()
        path.parent.touch()
    elif way == "no room":
        part.symlink_to("/dev/full")
    else:
        part.mkdir()


async def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
        first = await ask(server)
        (path,) = kept(tmp_path)
        for damaged in (b"", b"\xff" * 100, path.read_bytes()[:20]):
            path.write_bytes(damaged)
            again = await ask(server)
            assert (is_replay(again), again.content) == (False, first.content)


async def test_neither_key_nor_text_is_in_names_heads_or_logs(tmp_path: Path) -> None:
    secret, text = "canary-key-8151", "A canary sings of 8152."
    with structlog.testing.capture_logs() as logs:
        async with speaking(tmp_path, Scripted(*spoken(0.5))) as server:
            for body in (text, text, "Another 8152 text."):
                await ask(server, secret, input=body)
            (path,) = kept(tmp_path)
            written = path.name.encode() + path.read_bytes()
            modes = [oct(each.stat().st_mode & 0o777) for each in (path.parent, path)]
    said = json.dumps(logs, default=str)
    for canary in ("8151", "8152", "canary"):
        assert canary.encode() not in written
        assert canary not in said
    assert [line["event"] for line in logs if line["event"] == "request.finished"] == ["request.finished"] * 3
    assert modes == ["0o700", "0o600"]


async def test_a_bound_of_a_reload_counts_from_then_on(tmp_path: Path) -> None:
    async def bound(server: Inside, megabytes: int) -> None:
        file = tmp_path / "config.toml"
        file.write_text(CONFIG.replace("idempotency_mb = 1", f"idempotency_mb = {megabytes}"))
        server.worker.revise(load_config(file, {}))

    async with speaking(tmp_path, Scripted(*spoken(6.0))) as server:
        assert [is_replay(await ask(server, "one")) for _ in range(2)] == [False, False]
        await bound(server, 4)
        assert [is_replay(await ask(server, "two")) for _ in range(2)] == [False, True]
        await bound(server, 0)
        assert not is_replay(await ask(server, "two"))
