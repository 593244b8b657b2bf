"""`python -m fakes.minimax --port N`, or `voxgate-fake-minimax`."""

from __future__ import annotations

from fakes.minimax.app import FakeMinimax
from speech_engine.testing.serving import run


def main() -> None:
    run(FakeMinimax().provider, "voxgate-fake-minimax")


if __name__ == "__main__":
    main()
