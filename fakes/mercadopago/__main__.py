"""`python -m fakes.mercadopago --port N --webhook URL`: the provider as a program."""

from __future__ import annotations

from fakes.mercadopago.app import SECRET, SELLER, TOKEN, FakeMercadoPago
from fakes.serving import parser_of, run_all


def main() -> None:
    parser = parser_of("fakes.mercadopago")
    parser.add_argument("--webhook", default="http://127.0.0.1:8000/webhooks/mercadopago")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--secret", default=SECRET)
    parser.add_argument("--seller", type=int, default=SELLER)
    arguments = parser.parse_args()
    fake = FakeMercadoPago(
        token=arguments.token,
        secret=arguments.secret,
        seller=arguments.seller,
        webhook_url=arguments.webhook,
        runs=True,
    )
    run_all((fake.provider,), "fakes.mercadopago", arguments)


if __name__ == "__main__":
    main()
