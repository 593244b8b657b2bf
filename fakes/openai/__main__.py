"""`python -m fakes.openai --port N`, also installed as `voxgate-fake-openai`."""

from __future__ import annotations

from fakes.openai.app import provider
from speech_engine.testing.serving import run


def main() -> None:
    run(provider(), "voxgate-fake-openai")


if __name__ == "__main__":
    main()
