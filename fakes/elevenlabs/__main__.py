"""`python -m fakes.elevenlabs --port N` runs the fake as a program."""

from __future__ import annotations

from fakes.elevenlabs.app import fake
from fakes.serving import run


def main() -> None:
    run(fake(), "fakes.elevenlabs")


if __name__ == "__main__":
    main()
