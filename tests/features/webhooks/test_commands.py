"""`voxgate webhooks …` on the store itself: without a server, nothing that waits is sent."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from proxy.features.webhooks import delivery_tasks
from proxy.file_store import vault
from tests.features.webhooks.receiver import Receiver, receiver
from tests.proxy.cli.test_main import Run, folder, refused, run

pytestmark = pytest.mark.slow

__all__ = ["folder", "run"]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in a thread of its own: a command has its own loop."""
    loop, ready, opened = asyncio.new_event_loop(), threading.Event(), list[Receiver]()

    async def serve(done: asyncio.Event) -> None:
        async with receiver() as at:
            opened.append(at)
            ready.set()
            await done.wait()

    done = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(done)))
    thread.start()
    ready.wait(20)
    try:
        yield opened[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(20)
        loop.close()


@pytest.fixture
def ada(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = folder / "config.toml"
    file.write_text(f'{file.read_text()}[webhooks]\non = true\nallow = ["127.0.0.1"]\n')
    for module in (delivery_tasks, vault):
        monkeypatch.setattr(module, "_log", structlog.wrap_logger(structlog.ReturnLogger()))
    run("accounts", "create", "ada")
    return "ada"


def test_a_webhook_is_made_tried_rotated_and_deleted(run: Run, ada: str) -> None:
    with receiving() as at:
        made = run("webhooks", "add", at.url, "voice.clone.ready", "--account", ada, "--json").json
        id_ = made["id"]
        assert made["signing_secret"].startswith("whsec_")
        assert "on" in run("webhooks", "list", "--account", ada).out
        assert run("webhooks", "test", id_).out == "It answered with HTTP 200.\n"
        (row,) = run("webhooks", "deliveries", id_, "--json").json["data"]
        assert (row["state"], row["event_type"]) == ("delivered", "webhook.test")
        assert "delivered" in run("webhooks", "deliveries", id_).out
        assert run("webhooks", "resend", row["id"], "--json").json["state"] == "waiting"
        run("webhooks", "list")
        assert len(at.told) == 1, "its server sends it, when it is back"
        rotated = run("webhooks", "rotate", id_, "--keep-old")
        assert "This secret is not shown again." in rotated.out
        assert made["signing_secret"] not in rotated.out
        assert run("webhooks", "delete", id_).out == f"{id_} is gone.\n"
        assert run("webhooks", "list", "--json").json["data"] == []


def test_what_cannot_be_is_refused(run: Run, ada: str) -> None:
    assert "--account" in refused(run("webhooks", "add", "https://a.example/", "voice.clone.ready"))
    wrong = run("webhooks", "add", "https://10.0.0.1/", "voice.clone.ready", "--account", ada)
    unless = "unless the operator allows its host ([webhooks] allow)"
    assert refused(wrong) == f"Invalid value for 'url': its address must be public, {unless}."
    assert "voxgate webhooks list" in refused(run("webhooks", "test", "."))
