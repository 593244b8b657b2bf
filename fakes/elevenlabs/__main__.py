"""`voxgate-fake-elevenlabs --port N`."""

from __future__ import annotations

from fakes.elevenlabs.app import fake
from speech_engine.testing.serving import run


def main() -> None:
    run(fake(), "voxgate-fake-elevenlabs")


if __name__ == "__main__":
    main()
