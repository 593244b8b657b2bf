"""The loudness of shipped voices: `python -m bench.levels DATA [check]`, with models that DATA has imported.

It writes the tables into the galleries: eight sentences of each voice, each alone. `check` measures instead
what two other sentences sound like with the table, as an engine gives them, and those of hibari and espeak.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import plugins
from bench.sentences import LANGUAGES, sentences
from plugins.kokoro.model_format import READINGS
from proxy.config.secret import environ_for_hosts
from proxy.features.models.entries import read_gallery
from proxy.hosts.stored_models import ModelStore
from speech_engine.levels import TARGET_LUFS
from speech_engine.loudness import true_peaks
from tests.heard.judge import OTHERS, SENTENCES
from tests.plugins.espeak.heard import espeak, hear, loudness_lufs, said
from tests.plugins.espeak.test_voices import shipped
from tests.plugins.piper.environment import ROOT, interpreter

MODELS = {"kokoro-voices": "kokoro", "joe": "piper"}
_GALLERIES = Path(plugins.__file__).parent


def main() -> None:
    store, is_check = ModelStore(sys.argv[1]), "check" in sys.argv[2:]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for model, plugin in MODELS.items():
        stored = store.stored_model(model)
        if stored is None:
            continue
        gallery = _GALLERIES / plugin / "gallery.toml"
        languages = {voice: _language(voice) for voice in read_gallery(gallery)[model].genders}
        asked = {
            "plugin": plugin,
            "folder": str(stored.folder),
            "check": is_check,
            "voices": {
                voice or model: (language, _texts(language, is_check))
                for voice, language in languages.items()
            },
        }
        found = {name: levels for name, *levels in _measured(asked)}
        if is_check:
            _show(model, found)
        else:
            _write(gallery, model, {voice: found[voice or model][0] for voice in languages})
    if is_check:
        voices = {"heart": ("en-US", _texts("en-US", is_check))}
        asked = {"plugin": "hibari", "folder": "", "check": True, "voices": voices}
        _show("hibari", {name: levels for name, *levels in _measured(asked)})
        _show("espeak", asyncio.run(_espeak()))


def _show(model: str, found: Mapping[str, Sequence[float]]) -> None:
    worst = max(found, key=lambda name: abs(found[name][0] - TARGET_LUFS))
    peak = max(peak for _, peak in found.values())
    print(
        f"{model}: {len(found)}, {worst} is furthest off, {found[worst][0]:.1f} LUFS, {peak:.1f} dBTP at most"
    )


async def _espeak() -> dict[str, tuple[float, float]]:
    """Return the loudness and peak of each name's voice in each language of the shipped sentences."""
    found = {}
    async with espeak() as engine:
        for tag in ("en-US", *(tag for tag in LANGUAGES if tag != "hi")):
            for name, voice in shipped().items():
                texts = _texts(tag, is_check=True)
                heard = await hear(engine, said(*texts, language=tag, voice=voice))
                peak_db = 20 * math.log10(float(np.max(true_peaks(np.pad(heard.samples / 32768, 6)))))
                found[f"{name} in {tag}"] = loudness_lufs(heard), peak_db
                print(json.dumps([f"{name} in {tag}", *found[f"{name} in {tag}"]]))
    return found


def _language(voice: str) -> str:
    return READINGS[voice[0]].tag if voice else "en-US"


def _texts(language: str, is_check: bool) -> tuple[str, ...]:
    base = language.partition("-")[0]
    tag = next((tag for tag in LANGUAGES if tag.partition("-")[0] == base), "")
    known = sentences(tag)[7::21] if tag else (*SENTENCES[:4], *OTHERS[:6])
    return tuple(known[8:10] if is_check else known[:8])


def _measured(asked: dict[str, object]) -> list[tuple[str, float, float]]:
    command = [interpreter(str(asked["plugin"])), "-P", "-m", "bench.levels_worker"]
    environ = environ_for_hosts(os.environ, ()) | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environ
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked))
        process.stdin.close()
        found = []
        for line in process.stdout:
            print(line, end="", flush=True)
            found.append(json.loads(line))
    assert not process.returncode
    return found


def _write(gallery: Path, model: str, table: dict[str, float]) -> None:
    pairs = ", ".join(f"{voice or chr(34) * 2} = {lufs:.1f}" for voice, lufs in table.items())
    text = gallery.read_text(encoding="utf-8")
    entry = re.compile(rf"(\[{re.escape(model)}\]\n.*?\ngenders = [^\n]*\n)(lufs = [^\n]*\n)?", re.DOTALL)
    gallery.write_text(entry.sub(rf"\1lufs = {{ {pairs} }}\n", text, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
