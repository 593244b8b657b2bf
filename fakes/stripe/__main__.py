"""`python -m fakes.stripe --port N --webhook URL`: the provider as a program."""

from __future__ import annotations

from fakes.payments import run_fake
from fakes.stripe.app import FakeStripe

if __name__ == "__main__":
    run_fake(FakeStripe, "stripe")
