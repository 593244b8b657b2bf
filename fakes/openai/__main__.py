"""`python -m fakes.openai --port N`: the provider as a program."""

from __future__ import annotations

from fakes.openai.app import provider
from fakes.serving import run


def main() -> None:
    run(provider(), "fakes.openai")


if __name__ == "__main__":
    main()
