"""The loudness of shipped voices: `python -m bench.levels DATA [check]`, with models that DATA has imported.

It writes the tables into the galleries: eight sentences of each voice, each alone. `check` measures instead
what two other sentences sound like with the table, as an engine gives them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import plugins
from bench.sentences import LANGUAGES, sentences
from plugins.kokoro.model_format import READINGS
from proxy.config.secret import environ_for_hosts
from proxy.engines.stored_models import ModelStore
from proxy.features.models.entries import read_gallery
from speech_engine.levels import TARGET_LUFS
from tests.heard.judge import OTHERS, SENTENCES
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
            worst = max(abs(lufs - TARGET_LUFS) for lufs, _ in found.values())
            peak = max(peak for _, peak in found.values())
            print(f"{model}: {worst:.1f} LU off at most, peaks of {peak:.1f} dBTP")
        else:
            _write(gallery, model, {voice: found[voice or model][0] for voice in languages})


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
