"""What a model with real weights says: `python -m bench.pocket_heard FOLDER RECORDING.wav [OUT]`.

FOLDER is an imported model. It speaks ten sentences, and tells how many of their words were recognised (where
pocketsphinx is installed), how alike the speaker is (after `voxgate env build resemblyzer`), and the seconds.
Sounds stay in OUT.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import pytest

from bench.pocket import ROOT
from tests.plugins.neural import environ, interpreter

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


def recognised(path: Path, sentence: str) -> int:
    """Return how many of a sentence's words a recogniser understood."""
    sphinx = importlib.import_module("pocketsphinx")
    with wave.open(str(path)) as file:
        pcm = file.readframes(file.getnframes())
    decoder = sphinx.Decoder(samprate=16_000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    said = decoder.hyp()
    heard = set(_WORD.findall(said.hypstr.lower() if said else ""))
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
    if importlib.util.find_spec("pocketsphinx") is None:
        print("words: not judged, pocketsphinx is not installed")
    else:
        counts = [recognised(out / f"{n}.16k.wav", each) for n, each in enumerate(SENTENCES)]
        words = sum(len(_WORD.findall(each.lower())) for each in SENTENCES)
        print(f"words: {sum(counts)} of {words} recognised, by sentence {counts}")
    try:
        alike = [interpreter("resemblyzer"), "-m", "bench.pocket_alike", str(out)]
        subprocess.run(alike, cwd=ROOT, env=environ(ROOT), check=True)
    except pytest.skip.Exception as why:
        print(f"speaker: not compared: {why}")
    print(f"sounds: {out}")


if __name__ == "__main__":
    main()
