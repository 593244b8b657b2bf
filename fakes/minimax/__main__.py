"""`python -m fakes.minimax --port N`: the provider as a program."""

from __future__ import annotations

from fakes.minimax.app import FakeMinimax
from fakes.serving import run


def main() -> None:
    run(FakeMinimax().provider, "fakes.minimax")


if __name__ == "__main__":
    main()
