"""Webhooks: made with a secret that is shown once, tested, changed, and what was sent to them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.replies import json_of

pytestmark = pytest.mark.slow_but("test_a_webhook_is_made_tested_changed_and_deleted")


class _Told(NamedTuple):
    url: str
    bodies: list[dict[str, object]]
    statuses: list[int]
    """The statuses of the answers, in turn. After them, it is 200."""


@contextmanager
def _receiver(*statuses: int) -> Iterator[_Told]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(told.statuses.pop(0) if told.statuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told = _Told(f"http://127.0.0.1:{server.server_port}/told", [], [*statuses])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


def _make(reader: Reader, name: str, url: str) -> str:
    with reader.server.client(reader.key.secret) as client:
        new = {"name": name, "url": url, "event_types": ["job.done"]}
        return str(json_of(client.post("/v1/webhook_endpoints", json=new))["id"])


@pytest.mark.kit("axe")
def test_a_webhook_is_made_tested_changed_and_deleted(reader: Reader) -> None:
    with _receiver(200, 500) as told:
        reader.open("webhooks")
        reader.wait("at('#webhooks-none')")
        reader.assert_readable(LOOKS[:1])
        reader.fill("#webhook-name", "<i>Studio</i>\u202e" + "endless" * 9)
        reader.fill("#webhook-url", told.url)
        reader.tab.run("at('[value=\"batch.completed\"]').click()")
        reader.press("Make the webhook")
        reader.wait("at('#secret') && document.activeElement.id === 'secret-copy'")
        first = reader.tab.run("at('#secret').value")
        assert first.startswith("whsec_")
        reader.assert_readable(LOOKS)
        reader.press("I have it")
        assert first not in reader.tab.run("document.documentElement.outerHTML")
        reader.tab.run("at('#webhooks-list a').click()")
        reader.wait("at('#test-go')")
        checked = "[...document.querySelectorAll('input:checked')].map(({ value }) => value)"
        assert set(reader.tab.run(checked)) == {"job.done", "job.failed", "batch.completed"}
        reader.press("Send a sample")
        reader.reads("answered with 200", "#test-answer")
        reader.choose("#test-event", "job.done")
        reader.press("Send a sample")
        reader.reads("answered with 500", "#test-answer")
        assert [body["type"] for body in told.bodies] == ["webhook.test", "job.done"]
        reader.assert_readable(ALL_LOOKS)
        reader.fill("#webhook-url", told.url + "/there")
        reader.press("Save")
        reader.reads("Done.")
        reader.press("New secret")
        reader.wait("at('#question').open")
        reader.tab.run("at('#question-check').click()")
        reader.press("New secret", "at('#question')")
        reader.wait("at('#secret')")
        assert reader.tab.run("at('#secret').value").startswith("whsec_")
        assert reader.tab.run("at('#secret').value") != first
        reader.press("I have it")
        reader.press("Turn off")
        reader.reads("Off", "#webhook-about")
        reader.press("Delete")
        reader.press("Delete", "at('#question')")
        reader.wait("at('#webhooks-none')")


def test_what_was_sent_is_listed_and_sent_again(reader: Reader) -> None:
    with _receiver(200, 503) as told:
        id_ = _make(reader, "Studio", told.url)
        with reader.server.client(reader.key.secret) as client:
            body = {"model": "tone", "voice": "alloy", "input": "Hey."}
            assert client.post("/v1/jobs", json=body).is_success
        reader.open(f"webhooks/{id_}")
        reader.wait("at('#sent-look')")
        reader.tab.run("window.looks = setInterval(() => at('#sent-look').click(), 300)")
        reader.reads("Delivered", "#sent-list")
        reader.tab.run("clearInterval(looks)")
        reader.press(reader.tab.run("at('[aria-label^=\"Send again\"]').ariaLabel"))
        reader.reads("It is sent again.")
        reader.tab.run("window.looks = setInterval(() => at('#sent-look').click(), 300)")
        reader.reads("503", "#sent-list")
        reader.tab.run("clearInterval(looks)")
        reader.assert_readable(LOOKS)
        assert [each["type"] for each in told.bodies] == ["job.done", "job.done"]


def test_faults_are_told_beside_their_fields(reader: Reader) -> None:
    reader.open("webhooks")
    reader.wait("at('#webhook-make')")
    reader.press("Make the webhook")
    reader.reads("Give it a name.")
    reader.fill("#webhook-name", "Mine")
    for url in ("", "no address", "http://example.org/x", "https://10.0.0.1/x", "javascript:alert(1)"):
        reader.fill("#webhook-url", url)
        reader.press("Make the webhook")
        reader.wait("at('#webhook-url-alert') && document.activeElement.id === 'webhook-url'")
    reader.assert_readable(ALL_LOOKS[:1])
    reader.fill("#webhook-url", "https://hooks.example.org/x")
    reader.tab.run("document.querySelectorAll(':checked[value*=\".\"]').forEach((each) => each.click())")
    reader.press("Make the webhook")
    reader.wait("at('#webhook-event_types-alert')")
    # Nobody answers there.
    id_ = _make(reader, "Nobody", "http://127.0.0.1:9/")
    reader.go(f"webhooks/{id_}")
    reader.press("Send a sample")
    reader.reads("was not told")
    reader.assert_readable(LOOKS[:1])
