"""`python -m fakes.shop`: both payment providers and a mail server, for a trial of docs/payments.md.

It prints the variables that make a server use them, and each mail that it gets.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy

from fakes.mercadopago.app import SECRET as MERCADOPAGO_SECRET
from fakes.mercadopago.app import TOKEN, FakeMercadoPago
from fakes.serving import parser_of, run_all
from fakes.stripe.app import KEY, FakeStripe
from fakes.stripe.app import SECRET as STRIPE_SECRET

PORT = 8010
_MAIL_BYTES = 1_000_000


def variables(port: int, url: str) -> dict[str, str]:
    """Return the variables of a server at `url`. Mercado Pago is at `port`, and the others follow."""
    return {
        "MERCADOPAGO_TOKEN": TOKEN,
        "MERCADOPAGO_SECRET": MERCADOPAGO_SECRET,
        "STRIPE_KEY": KEY,
        "STRIPE_SECRET": STRIPE_SECRET,
        "SMTP_URL": f"smtp://127.0.0.1:{port + 2}",
        "VOXGATE_SERVER__PUBLIC_URL": url,
        "VOXGATE_PAYMENTS__MERCADOPAGO__BASE_URL": f"http://127.0.0.1:{port}",
        "VOXGATE_PAYMENTS__STRIPE__BASE_URL": f"http://127.0.0.1:{port + 1}",
    }


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the mails of one connection, and print them: as much of SMTP as a sender needs."""
    writer.write(b"220 fakes.shop\r\n")
    while line := await reader.readline():
        answer = b"250 OK"
        if line.upper().startswith(b"DATA"):
            writer.write(b"354 The mail, then a dot\r\n")
            content = await reader.readuntil(b"\r\n.\r\n")
            _print_mail(content.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n."))
        elif line.upper().startswith(b"QUIT"):
            answer = b"221 Bye"
        writer.write(answer + b"\r\n")
    writer.close()


def _print_mail(content: bytes) -> None:
    mail = message_from_bytes(content, policy=policy.default)
    plain = mail.get_body(("plain",))
    text = "" if plain is None else plain.get_content()
    sys.stdout.write(f"\nMail to {mail['To']}: {mail['Subject']}\n{text}\n")
    sys.stdout.flush()


@asynccontextmanager
async def _mail_server(port: int) -> AsyncIterator[None]:
    server = await asyncio.start_server(_receive, "127.0.0.1", port, limit=_MAIL_BYTES)
    try:
        yield
    finally:
        server.close()


def _main(arguments: Namespace) -> None:
    port, url = arguments.port or PORT, arguments.url.rstrip("/")
    arguments.port = port
    for name, value in variables(port, url).items():
        sys.stdout.write(f"export {name}={value}\n")
    mercadopago = FakeMercadoPago(webhook_url=f"{url}/webhooks/mercadopago", runs=True)
    stripe = FakeStripe(webhook_url=f"{url}/webhooks/stripe", runs=True)
    run_all((mercadopago.provider, stripe.provider), "fakes.shop", arguments, _mail_server(port + 2))


if __name__ == "__main__":
    parser = parser_of("fakes.shop")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="Where the voxgate of the trial is.")
    _main(parser.parse_args())
