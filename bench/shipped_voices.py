"""The voices that a new server has, heard and told apart: `python -m bench.shipped_voices [FOLDER] [PART…]`.

A server as shipped speaks. `english`: how many of twenty sentences of each of OpenAI's names are recognised,
and how alike the names are. `others`: sounds that the alphabet lacks, lengths beside espeak's without the
silence at both ends, and how alike each of five sentences is to the other four. Clips stay in FOLDER, and are
not spoken again. It needs the environments of kokoro, whisper and resemblyzer.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from statistics import mean

import numpy as np
import soxr  # type: ignore[import-untyped]

from bench.sentences import LANGUAGES, sentences
from plugins.kokoro.model_format import READINGS
from proxy.config.config_toml import known_names
from speech_engine.comparer import COMPARED_RATE_HZ
from tests.heard.judge import OTHERS, SENTENCES, which_sentence
from tests.heard.natural import EARS, shipped, speaking
from tests.plugins.piper.environment import run
from tests.plugins.resemblyzer.test_comparer import ComparerProcess
from tests.server import Server
from tests.sound import Heard, decoded

KNOWN = (*SENTENCES, *OTHERS)
"""No voice was chosen by these sentences."""
COMPARED = 6
"""Sentences of a name that are compared with those of another one: some fifteen seconds."""
APART = 0.80
SILENT = 0.01
"""Of a clip's peak."""
SPOKEN = tuple(range(7, 200, 43))
"""The places of the five sentences of each language."""
_PATIENT = {"VOXGATE_SERVER__FIRST_AUDIO_S": "120", "VOXGATE_SERVER__ROBOT_FALLBACK": "false"}


def main() -> None:
    parts = set(sys.argv[1:]) & {"english", "others"} or {"english", "others"}
    kept = [each for each in sys.argv[1:] if each not in parts]
    clips = Path(kept[0] if kept else tempfile.mkdtemp(prefix="shipped-voices-"))
    clips.mkdir(parents=True, exist_ok=True)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder, shipped(Path(folder), _PATIENT) as live:
        bench = _Bench(live, clips, ComparerProcess())
        if "english" in parts:
            with speaking(Path(folder) / "ears", EARS) as ears:
                bench.english(ears)
        if "others" in parts:
            bench.others(Path(folder) / "data")


class _Bench:
    def __init__(self, live: Server, clips: Path, comparer: ComparerProcess) -> None:
        self._live, self._clips, self._comparer = live, clips, comparer

    def english(self, ears: Server) -> None:
        print("|name|voice|recognised|nearest name|\n|---|---|---|---|")
        heard = {name: [self._clip("tts-1", name, "en", text) for text in KNOWN] for name in known_names()}
        likeness: dict[tuple[str, str], float] = {}
        for one, other in combinations(heard, 2):
            likeness[one, other] = self._comparer.compare(*map(_joined, (heard[one], heard[other])))
        for name, clips in heard.items():
            right = sum(
                which_sentence(ears, each, KNOWN) == text for each, text in zip(clips, KNOWN, strict=True)
            )
            nearest = max((pair for pair in likeness if name in pair), key=lambda pair: likeness[pair])
            other = nearest[nearest[0] == name]
            voice = self._voice(name)
            print(f"|{name}|{voice}|{right} of {len(KNOWN)}|{other} {likeness[nearest]:.2f}|", flush=True)
        near = [f"{' and '.join(pair)} {found:.2f}" for pair, found in likeness.items() if found >= APART]
        print(f"alike by {APART} or more: {', '.join(near) or 'none'}")

    def others(self, data: Path) -> None:
        letters = {reading.tag: letter for letter, reading in READINGS.items()}
        (config,) = data.glob("models/*/*/config.json")
        alphabet = json.loads(config.read_text())
        asked = {
            "alphabet": "".join(alphabet.get("vocab", alphabet)),
            "sentences": {letters[_tag(tag)]: sentences(tag) for tag in LANGUAGES},
        }
        done = run("bench.lost_sounds", stdin=json.dumps(asked), name="kokoro")
        assert not done.returncode, done.stderr
        lost = json.loads(done.stdout)
        print("|voice|length, of espeak's|least alike of five|sounds that the alphabet lacks|")
        print("|---|---|---|---|")
        for tag in LANGUAGES:
            texts = [sentences(tag)[place] for place in SPOKEN]
            plain = [self._clip("espeak/standard", "alloy", tag, text) for text in texts]
            found = lost[letters[_tag(tag)]]
            missing = ", ".join(f"{sound!r} {count}" for sound, count in found.items()) or "none"
            for voice in self._voices(tag):
                clips = [self._clip("kokoro/standard", voice, tag, text) for text in texts]
                ratios = [_spoken_s(own) / _spoken_s(other) for own, other in zip(clips, plain, strict=True)]
                alike = min(
                    self._comparer.compare(_joined([each]), _joined([*clips[:at], *clips[at + 1 :]]))
                    for at, each in enumerate(clips)
                )
                lengths = f"{min(ratios):.2f} to {max(ratios):.2f}, {mean(ratios):.2f}"
                print(f"|{voice}|{lengths}|{alike:.2f}|{missing}|", flush=True)

    def _clip(self, model: str, voice: str, language: str, text: str) -> Heard:
        digest = hashlib.sha256(f"{model} {voice} {language} {text}".encode()).hexdigest()
        file = self._clips / f"{digest[:16]}.wav"
        if not file.exists():
            asked = {"model": model, "voice": voice, "language": language, "response_format": "wav"}
            answer = self._live.speech(text, **asked)
            assert answer.status_code == 200, answer.text
            engine = answer.headers["x-voxgate-engine"]
            assert engine == ("kokoro/standard" if model == "tts-1" else model), engine
            if model == "tts-1":
                assert "x-voxgate-substitute" not in answer.headers, answer.headers
            file.write_bytes(answer.content)
        return decoded(file.read_bytes(), "wav")

    def _voices(self, tag: str) -> Iterator[str]:
        with self._live.client() as client:
            listed = client.get("/v1/audio/voices", params={"engine": "kokoro", "language": _tag(tag)}).json()
        yield from (row["id"] for row in listed["data"] if row["id"].startswith("kokoro/"))

    def _voice(self, name: str) -> str:
        asked = {"input": "Hello.", "voice": name, "language": "en"}
        with self._live.control() as control:
            found = control.post("/admin/route/explain", json=asked).json()
        return str(found["parts"][0]["candidates"][0]["voice"])


def _tag(tag: str) -> str:
    return {"fr": "fr-FR"}.get(tag, tag)


def _spoken_s(clip: Heard) -> float:
    """Return the seconds from the first sound to the last: Kokoro's sentences have silence at both ends."""
    loud = np.flatnonzero(np.abs(clip.samples) > SILENT * np.abs(clip.samples).max())
    return float(loud[-1] - loud[0]) / clip.sample_rate_hz


def _joined(clips: list[Heard]) -> bytes:
    sound = np.concatenate([each.samples for each in clips[:COMPARED]])
    low = soxr.resample(sound, clips[0].sample_rate_hz, COMPARED_RATE_HZ)
    return bytes((np.clip(low, -1, 1) * 32_767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
