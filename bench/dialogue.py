"""Whether Kokoro halts inside dialogue: `python -m bench.dialogue DATA [LINES [SOUNDS [LANGUAGE...]]]`.

DATA has imported `kokoro-voices`. Lines of dialogue in six languages, each of one sentence, are read by their
front-end and spoken in an answer that is made whole, in a stream, and by the bare network, which gets a line
at once. Their lengths are compared, and their longest pauses. SOUNDS is a folder for their samples.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.dialogue_lines import TAGS, lines
from plugins.latin.front_end import LatinFrontEnd
from plugins.plain.plugin import PlainFrontEnd
from proxy.config.secret import environ_for_hosts
from proxy.hosts.stored_models import ModelStore
from tests.plugins.piper.environment import ROOT, interpreter

VOICES = {"en": ("af_heart", "en-US"), "es": ("ef_dora", "es"), "fr": ("ff_siwis", "fr-FR")}
VOICES |= {"it": ("if_sara", "it"), "pt-BR": ("pf_dora", "pt-BR"), "hi": ("hf_alpha", "hi")}
PAUSE_S = 0.25
KINDS = ("whole", "stream")


def main() -> None:
    data, *more = sys.argv[1:]
    count, sounds = int(more[0]) if more else 200, more[1] if more[1:] else ""
    stored = ModelStore(data).stored_model("kokoro-voices")
    assert stored is not None
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    heads = "bare|whole|stream"
    print(
        f"|language|lines|seconds {heads}|whole by bare|stream by bare|longest pause {heads}|over {PAUSE_S} s"
    )
    print(f"|{heads}|\n|-|-|-|-|-|-|-|-|-|-|-|-|-|")
    for tag in more[2:] or TAGS:
        voice, language = VOICES[tag]
        front = PlainFrontEnd() if tag == "hi" else LatinFrontEnd()
        chosen = lines(tag)[:: 200 // count]
        asked = [
            (voice, language, [each.spoken for each in front.prepare(text, language, {})]) for text in chosen
        ]
        folder = sounds and f"{sounds}/{tag}"
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
        rows = _measured({"folder": str(stored.folder), "sounds": folder, "lines": asked})
        _tell(tag, rows)


def _tell(tag: str, rows: list[dict[str, list[float]]]) -> None:
    kinds = ("bare", *KINDS)
    seconds = {kind: sum(row[kind][0] for row in rows) for kind in kinds}
    shown = [f"{seconds[kind]:.1f}" for kind in kinds]
    shown += [f"{seconds[kind] / seconds['bare']:.3f}" for kind in KINDS]
    shown += [f"{max(row[kind][1] for row in rows):.3f}" for kind in kinds]
    shown += [str(sum(row[kind][1] > PAUSE_S for row in rows)) for kind in kinds]
    print(f"|{tag}|{len(rows)}|{'|'.join(shown)}|", flush=True)


def _measured(asked: dict[str, object]) -> list[dict[str, list[float]]]:
    command = [interpreter("kokoro"), "-P", "-m", "bench.dialogue_worker"]
    environ = environ_for_hosts(os.environ, ()) | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, cwd=ROOT, env=environ, check=False
    )
    assert not found.returncode, found.stderr
    return [json.loads(line) for line in found.stdout.splitlines()]


if __name__ == "__main__":
    main()
