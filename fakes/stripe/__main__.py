"""`python -m fakes.stripe --port N --webhook URL`: the provider as a program."""

from __future__ import annotations

from fakes.serving import parser_of, run_all
from fakes.stripe.app import KEY, SECRET, FakeStripe


def main() -> None:
    parser = parser_of("fakes.stripe")
    parser.add_argument("--webhook", default="http://127.0.0.1:8000/webhooks/stripe")
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--secret", default=SECRET)
    arguments = parser.parse_args()
    fake = FakeStripe(key=arguments.key, secret=arguments.secret, webhook_url=arguments.webhook, runs=True)
    run_all((fake.provider,), "fakes.stripe", arguments)


if __name__ == "__main__":
    main()
