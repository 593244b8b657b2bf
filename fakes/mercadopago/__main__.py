"""`python -m fakes.mercadopago --port N --webhook URL`: the provider as a program."""

from __future__ import annotations

from fakes.mercadopago.app import FakeMercadoPago
from fakes.payments import run_fake

if __name__ == "__main__":
    run_fake(FakeMercadoPago, "mercadopago")
