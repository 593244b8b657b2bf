"""What a model with real weights says: `python -m bench.pocket_heard FOLDER RECORDING.wav [OUT]`.

FOLDER is an imported model. It speaks ten sentences, and tells how many of their words were recognised (after
`voxgate env build whisper`), how alike the speaker is (after `voxgate env build resemblyzer`), and the
seconds. Sounds stay in OUT.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.pocket import ROOT
from tests.heard.judge import transcript
from tests.heard.natural import EARS, speaking
from tests.plugins.neural import environ, interpreter
from tests.server import Server
from tests.sound import decoded

SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
    "The boy was there when the sun rose.",
    "A rod is used to catch pink salmon.",
)
_WORD = re.compile(r"[a-z']+")


def recognised(live: Server, path: Path, sentence: str) -> int:
    """Return how many of a sentence's words the ears of a server understood."""
    heard = set(_WORD.findall(transcript(live, decoded(path.read_bytes(), "wav")).lower()))
    return sum(word in heard for word in _WORD.findall(sentence.lower()))


def main() -> None:
    out = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp(prefix="pocket-heard-"))
    out.mkdir(parents=True, exist_ok=True)
    command = [interpreter("pocket"), "-m", "bench.pocket_heard_worker", *sys.argv[1:3], str(out)]
    asked = json.dumps(SENTENCES)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environ(ROOT),
        check=True,
        stdout=subprocess.PIPE,
        input=asked,
        text=True,
    )
    print(done.stdout, end="")
    try:
        with tempfile.TemporaryDirectory() as folder, speaking(Path(folder), EARS) as live:
            counts = [recognised(live, out / f"{n}.16k.wav", each) for n, each in enumerate(SENTENCES)]
        words = sum(len(_WORD.findall(each.lower())) for each in SENTENCES)
        print(f"words: {sum(counts)} of {words} recognised, by sentence {counts}")
    except pytest.skip.Exception as why:
        print(f"words: not judged: {why}")
    try:
        alike = [interpreter("resemblyzer"), "-m", "bench.pocket_alike", str(out)]
        subprocess.run(alike, cwd=ROOT, env=environ(ROOT), check=True)
    except pytest.skip.Exception as why:
        print(f"speaker: not compared: {why}")
    print(f"sounds: {out}")


if __name__ == "__main__":
    main()
