"""docs/payments.md, from an empty server to the first Pix: its configuration and its order, at the fakes."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fakes.mercadopago.app import SECRET, SELLER, TOKEN
from fakes.stripe.app import KEY
from proxy.features.mail.section import SmtpServer
from proxy.features.mail.smtp import SendOutcome, SmtpConnections, new_message
from proxy.features.payments.commands import ORDERS
from tests.docs import pages, serve_environment
from tests.docs.pages import Block
from tests.features.payments.shop import Shop, shop
from tests.replies import json_of
from tests.server import free_port
from tests.waiting import soon

_PAGE = pages.ROOT / "docs" / "payments.md"
_TEXT = _PAGE.read_text()
_FILES = {
    "mercadopago_token": TOKEN,
    "mercadopago_secret": SECRET,
    "stripe_key": KEY,
    "stripe_secret": "whsec_x",
    "smtp_url": "smtp://127.0.0.1:9",
}


def _configuration() -> str:
    """The one that the page shows, with secrets in files and the fakes in place of the providers."""
    (block,) = pages.blocks(_PAGE, "toml")
    text = re.sub(r'"env:(\w+)"', lambda found: f'"file:{found[1].lower()}"', block.text)
    text = text[text.index("[front]") :]  # the rest is that of the test's server
    assert f'seller = "{SELLER}"' in text
    for name in ("mercadopago", "stripe"):
        text = text.replace(f"[payments.{name}]\n", f'[payments.{name}]\nbase_url = "{{{name}}}"\n')
    return text


async def test_the_page_leads_to_the_first_pix(tmp_path: Path) -> None:
    wanted, shown = (_json(block) for block in pages.blocks(_PAGE, "json"))
    async with shop(tmp_path, config=_configuration(), secrets=_FILES, people="") as opened:
        listed = json_of(await opened.server.ask("GET", "/v1/plans", key=""))
        assert [each["name"] for each in listed["data"]] == ["creator", "small"]
        order = json_of(await opened.ask("POST", "/v1/orders", wanted), 201)
        assert {name: order[name] for name in shown} == shown
        back = await _pay_with_pix(opened, order["url"])
        assert back.startswith(f"https://voxgate.example.org/orders/{order['id']}?")
        page = await opened.server.ask("GET", back.removeprefix("https://voxgate.example.org"), key="")
        assert (page.status_code, page.headers["location"]) == (303, f"../#/orders/{order['id']}/back")
        await opened.deliver()
        paid = await opened.in_state(order, "paid")
        assert [(each["amount"], each["credited"]) for each in paid["payments"]] == [("29.90", 500)]
        states = [
            code for row in pages.rows(pages.section(_TEXT, "An order")) for code in pages.codes(row[0])
        ]
        assert order["state"] in states
        assert paid["state"] in states
        await _speech_costs_what_the_plan_says(opened)


async def _speech_costs_what_the_plan_says(opened: Shop) -> None:
    """A credit is a minute on the plan free, and its minutes go first."""
    before = json_of(await opened.ask("GET", "/v1/me"))["credits"]
    assert (before["allowance"], before["granted"]) == (10, 500)
    body = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}
    spoken = await opened.ask("POST", "/v1/audio/speech", body)
    assert spoken.status_code == 200, spoken.text
    minutes = len(spoken.content) / 2 / 24_000 / 60
    after = json_of(await opened.ask("GET", "/v1/me"))["credits"]
    assert before["left"] - after["left"] == pytest.approx(minutes, abs=2e-6)


async def _pay_with_pix(opened: Shop, url: str) -> str:
    """Press the button of Pix on the provider's page. Return where the buyer is led then."""
    async with httpx2.AsyncClient(trust_env=False) as buyer:
        page = (await buyer.get(url)).text
        assert "Boleto" not in page
        button = re.search(r'value="(pix:approved)"', page)
        assert button is not None
        answer = await buyer.post(url, data={"pay": button[1]})
    assert answer.status_code == 303
    assert opened.mercadopago.account.payments
    return str(answer.headers["location"])


def test_each_command_of_orders_is_on_the_page() -> None:
    named = set(re.findall(r"voxgate orders (\w+)", _TEXT))
    assert named == {command.name for command in ORDERS.commands}


def _json(block: Block) -> Any:
    return json.loads(block.text)


async def test_the_trial_needs_no_more_than_make_serve_installs(tmp_path: Path) -> None:
    """Its providers and its mail server are a program that a reader starts after `make install`."""
    environ = {**os.environ, **serve_environment.environ(tmp_path)}
    port = free_port()
    command = (sys.executable, "-m", "fakes.shop", "--port", str(port))
    program = await asyncio.create_subprocess_exec(
        *command, cwd=pages.ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    assert program.stderr is not None
    try:
        while b"serves on" not in (line := await program.stdout.readline()):
            assert line, (await program.stderr.read()).decode()
        mail = new_message(
            "row", 0, "Voices <voices@example.org>", "ana@example.org", "Your code", "\n.\n123"
        )
        connections, there = SmtpConnections(""), SmtpServer("127.0.0.1", port + 2, "plain")
        # The mail server is the last that starts.
        await soon(lambda: connections.send(there, mail), lambda outcome: outcome == SendOutcome("sent"))
        shown = [(await program.stdout.readline()).strip() for _ in range(5)]
        assert shown[1:] == [b"Mail to ana@example.org: Your code", b"", b".", b"123"]
    finally:
        program.terminate()
        await program.communicate()
