"""The common parts of the fakes of payment providers: webhooks, idempotency keys, the checkout page."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import httpx2
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fakes.faults import scripted
from fakes.serving import parser_of, run_all

Now = Callable[[], float]
_AGAIN_S = (0.0, 1.0, 5.0, 30.0)
"""The pauses before the tries of a fake that runs as a program."""


class Webhook(NamedTuple):
    """A signed request to the merchant's server."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<Webhook of {len(self.body)} bytes>"


class Notices:
    """The webhooks that a fake owes to the merchant, the oldest first.

    They wait for `deliver`, so a test can repeat, reorder, delay and lose them. With `runs`, as in a program,
    they are sent at once. A webhook stays `waiting` until its answer is a 2xx. `sent` has all tries.
    """

    def __init__(self, *, runs: bool = False) -> None:
        self.waiting: list[Webhook] = []
        self.sent: list[tuple[Webhook, int]] = []
        self._runs = runs
        self._sending: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Notices {len(self.waiting)} waiting, {len(self.sent)} sent>"

    def add(self, webhook: Webhook) -> None:
        self.waiting.append(webhook)
        if self._runs:
            task = asyncio.get_running_loop().create_task(self._send_at_last(webhook))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def deliver(self, webhooks: Iterable[Webhook] | None = None, copies: int = 1) -> list[int]:
        """Send these webhooks, or all that wait, each so many times. Return the statuses, 0 for no answer."""
        chosen = list(self.waiting if webhooks is None else webhooks)
        return [await self._send(webhook) for webhook in chosen for _ in range(copies)]

    def lose(self) -> int:
        """Drop all webhooks that wait."""
        number = len(self.waiting)
        self.waiting.clear()
        return number

    async def _send_at_last(self, webhook: Webhook) -> None:
        for pause_s in _AGAIN_S:
            await asyncio.sleep(pause_s)
            if 200 <= await self._send(webhook) < 300:
                return

    async def _send(self, webhook: Webhook) -> int:
        try:
            async with httpx2.AsyncClient(trust_env=False) as client:
                answer = await client.post(webhook.url, content=webhook.body, headers=dict(webhook.headers))
            status = answer.status_code
        except httpx2.HTTPError:
            status = 0
        self.sent.append((webhook, status))
        if 200 <= status < 300 and webhook in self.waiting:
            self.waiting.remove(webhook)
        return status


class KeyReused(Exception):
    """An idempotency key came again with another body."""


class Replies:
    """The first answer of each idempotency key, for so long."""

    def __init__(self, now: Now, stored_s: float) -> None:
        self._now = now
        self._stored_s = stored_s
        self._answers: dict[str, tuple[float, bytes, Any]] = {}

    def __repr__(self) -> str:
        return f"<Replies {len(self._answers)} keys>"

    def find(self, key: str, body: bytes) -> Any:
        """Return the answer that this key has, or None. Raises KeyReused."""
        until, first, answer = self._answers.get(key, (0.0, b"", None))
        if not key or until <= self._now():
            return None
        if first != body:
            raise KeyReused
        return answer

    def keep(self, key: str, body: bytes, answer: Any) -> None:
        if key:
            self._answers[key] = (self._now() + self._stored_s, body, answer)


def json_answer(value: Any, status: int = 200, **headers: str) -> Response:
    shown = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(msgspec.json.encode(value), status, shown, media_type="application/json")


def refusal(request: Request, worded: Callable[[int], Response]) -> Response | None:
    """Return the answer of a fault that the fake words itself, or with the code `html` a gateway's page."""
    fault = scripted(request.scope)
    if fault is None or fault.name not in ("429", "5xx"):
        return None
    status = 429 if fault.name == "429" else fault.status
    page = Response("<html><h1>Something went wrong</h1></html>", status, media_type="text/html")
    refused = page if fault.code == "html" else worded(status)
    if fault.retry_after is not None:
        refused.headers["retry-after"] = fault.retry_after
    return refused


async def chosen_button(request: Request) -> str:
    """Return the value of the button that was pressed on a checkout page."""
    return dict(parse_qsl((await request.body()).decode())).get("pay", "")


def checkout_page(title: str, price: str, buttons: Sequence[tuple[str, str]], note: str = "") -> Response:
    """A page with the price and a button for each way to pay. The form posts the button's value as `pay`."""
    shown = "".join(
        f'<p><button name="pay" value="{html.escape(value)}">{html.escape(text)}</button></p>'
        for value, text in buttons
    )
    return Response(
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(price)}</p><p>{html.escape(note)}</p>"
        f'<form method="post">{shown}</form>',
        media_type="text/html",
    )


def run_fake(make: Callable[..., Any], name: str) -> None:
    """Run the program `fakes.NAME --port N --webhook URL`."""
    parser = parser_of(f"fakes.{name}")
    parser.add_argument("--webhook", default=f"http://127.0.0.1:8000/webhooks/{name}")
    arguments = parser.parse_args()
    fake = make(webhook_url=arguments.webhook, runs=True)
    run_all((fake.provider,), f"fakes.{name}", arguments)
