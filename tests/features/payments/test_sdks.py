"""The real SDKs drive the fakes, and their validators accept what the fakes sign."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from fakes.mercadopago.app import SECRET as MP_SECRET
from fakes.mercadopago.app import TOKEN, FakeMercadoPago
from fakes.serving import served
from fakes.stripe.app import KEY, FakeStripe
from fakes.stripe.app import SECRET as STRIPE_SECRET
from tests.clients import environments
from tests.clients.environments import Absent
from tests.features.payments.providers import received

PROGRAM = Path(__file__).parents[2] / "clients/programs/payment_sdks.py"


@pytest.fixture(scope="module")
def interpreter() -> str:
    try:
        return str(environments.python("payments"))
    except Absent as error:
        pytest.skip(str(error))


async def test_the_sdks_drive_the_fakes_and_accept_their_signatures(interpreter: str) -> None:
    mercadopago, stripe, now = FakeMercadoPago(), FakeStripe(), time.time()
    sign, event = mercadopago.signer.webhook, stripe.signer.webhook
    shown = {"id": "ch_1", "object": "charge"}
    webhooks = [
        ("mercadopago", sign("77", now, in_seconds=True)),
        ("mercadopago", sign("77", now, request_id="")),
        ("mercadopago", sign("77", now)),
        ("mercadopago", sign("77", now, secret="another")),
        ("stripe", event("charge.refunded", shown, now)),
        ("stripe", event("charge.refunded", shown, now, secrets=("whsec_new", STRIPE_SECRET))),
        ("stripe", event("charge.refunded", shown, now, secrets=("another",))),
        ("stripe", event("charge.refunded", shown, now - 400)),
    ]
    given = {
        "keys": {"mercadopago": TOKEN, "stripe": KEY},
        "secrets": {"mercadopago": MP_SECRET, "stripe": STRIPE_SECRET},
        "webhooks": [_as_json(name, each) for name, each in webhooks],
    }
    async with served(mercadopago.provider) as one, served(stripe.provider) as other:
        seen = await _run(interpreter, given, one.url, other.url)
    assert seen["mercadopago"] == {
        "statuses": [201, 201, 409, 201],
        "is_same": True,
        "title": "500",
        "payments": ["pending", "partially_refunded", 2],
        "ended": [200, True, True],
        "missing": 404,
    }
    assert seen["stripe"] == {
        "is_same": True,
        "paid": ["paid", 2990, "ord_1", "succeeded"],
        "intent": [2990, 1000],
        "disputes": 0,
        "of_intent": [True],
        "ended": ["expired", "InvalidRequestError", "InvalidRequestError"],
        "errors": ["IdempotencyError", "InvalidRequestError", "AuthenticationError", "InvalidRequestError"],
    }
    assert seen["valid"] == [True, True, True, False, True, True, False, False]
    forms = [each for each in stripe.provider.seen if each.method == "POST" and each.path.startswith("/v1/")]
    assert all(each.json is None for each in forms)


def _as_json(provider: str, webhook: Any) -> dict[str, Any]:
    at = received(webhook)
    body = webhook.body.decode()
    return {"provider": provider, "query": dict(at.query), "headers": dict(at.headers), "body": body}


async def _run(interpreter: str, given: dict[str, Any], *urls: str) -> dict[str, Any]:
    program = await asyncio.create_subprocess_exec(
        *(interpreter, str(PROGRAM), *urls),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await program.communicate(json.dumps(given).encode())
    assert program.returncode == 0, errors.decode()
    seen: dict[str, Any] = json.loads(out)
    return seen
