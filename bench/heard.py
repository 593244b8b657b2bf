"""Of ten clips of each kind, how many are heard as what they say: `python -m bench.heard [ENGINE…] [whole]`.

Each engine speaks with a real model, in a server that hears with Whisper: piper, kokoro and espeak. A clip
counts for its format, its speed and its voice; with `whole`, for all three together, which takes an hour for
Kokoro.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.heard.matrix import EACH, hear, joined, rows, spread, whole
from tests.heard.natural import EARS, SPEAKERS, Speaker, speaking


def main() -> None:
    wanted = set(sys.argv[1:])
    is_whole = "whole" in wanted
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("|engine|clips|heard|\n|---|---|---|")
    for engine in sorted(wanted - {"whole"}) or SPEAKERS:
        _show(SPEAKERS[engine], is_whole)


def _show(speaker: Speaker, is_whole: bool) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="heard-") as folder,
        speaking(Path(folder), speaker, EARS) as live,
    ):
        clips = whole(speaker.voices) if is_whole else spread(speaker.voices, EACH)
        for spoken in (
            hear(live, speaker.engine, clips),
            joined(live, speaker.engine, speaker.voices, "mp3"),
        ):
            print(*rows(speaker.engine, spoken), sep="\n", flush=True)


if __name__ == "__main__":
    main()
