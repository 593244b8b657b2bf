"""How a long recording is cut: `python -m bench.cutting URL KEY VOICE [MINUTES]`.

A voice of the server reads known English sentences with pauses between, for 30 minutes. They are cut as a
recording of a voice. It prints how much of the speech is kept, how many words are wrong, and at how many
borders of pieces there is sound: a word was cut there.
"""

from __future__ import annotations

import io
import os
import random
import sys
import time
import wave
from datetime import UTC, datetime
from typing import Any, NamedTuple

import av
import httpx2
import numpy as np

from proxy.audio.formats import wav_header
from proxy.features.own_voices.trained.prompt_texts import PROMPTS
from speech_engine.text.comparing import compare
from speech_engine.text.said import words_of
from tests.heard.judge import OTHERS, SENTENCES

RATE_HZ = 24_000
SPEEDS = (1.0,)
QUIET_DB = -35.0
_BORDER_S = 0.04


class _Said(NamedTuple):
    text: str
    start_s: float
    end_s: float


def main() -> None:
    url, key, voice, *more = sys.argv[1:]
    minutes = float(more[0]) if more else 30.0
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=600.0) as client:
        sound, said = _read(client, voice, 60 * minutes)
        began = time.monotonic()
        job = _cut(client, voice, sound)
        took_s = time.monotonic() - began
        report = client.get(f"/v1/jobs/{job['id']}/content").raise_for_status().json()
    kept = [piece for piece in report["pieces"] if not piece["left_out"]]
    speech_s = sum(each.end_s - each.start_s for each in said)
    kept_s = sum(_overlap(piece, each) for piece in kept for each in said)
    wrong, count = _words(kept, said)
    cut = sum(_is_loud(sound, piece[side]) for piece in kept for side in ("start_s", "end_s"))
    print(f"{voice}: {len(said)} sentences, {speech_s:.0f} s of speech in {len(sound) / RATE_HZ:.0f} s")
    print(f"{len(kept)} clips, {kept_s / speech_s:.1%} of the speech kept; left out: {report['left_out']}")
    print(f"words wrong: {wrong} of {count} ({wrong / max(1, count):.1%}); borders in sound: {cut}")
    print(f"{job['steps']} steps, {job['credits']} credits, {took_s:.0f} s")


def _read(client: httpx2.Client, voice: str, most_s: float) -> tuple[np.ndarray[Any, Any], list[_Said]]:
    """Have sentences read, until they play for so long."""
    chance, parts, said, at = random.Random(7), list[np.ndarray[Any, Any]](), list[_Said](), 0
    texts = [(text, speed) for text in (*PROMPTS["en"], *OTHERS, *SENTENCES) for speed in SPEEDS]
    spoken = {each: _speak(client, voice, *each) for each in texts}
    while at < most_s * RATE_HZ:
        text, speed = chance.choice(texts)
        pause = np.zeros(round(chance.uniform(0.4, 1.2) * RATE_HZ), np.int16)
        found = spoken[text, speed]
        said.append(_Said(text, (at + len(pause)) / RATE_HZ, (at + len(pause) + len(found)) / RATE_HZ))
        parts += [pause, found]
        at += len(pause) + len(found)
    noise = np.random.default_rng(7).normal(0.0, 12.0, at)
    return (np.concatenate(parts) + noise).astype(np.int16), said


def _speak(client: httpx2.Client, voice: str, text: str, speed: float) -> np.ndarray[Any, Any]:
    body = {"model": "tts-1", "voice": voice, "input": text, "response_format": "wav", "speed": speed}
    while (answer := client.post("/v1/audio/speech", json=body)).status_code == 503:
        time.sleep(1.0)
    with wave.open(io.BytesIO(answer.raise_for_status().content)) as file:
        assert file.getframerate() == RATE_HZ
        samples = np.frombuffer(file.readframes(1 << 30), np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 0.01 * np.abs(samples.astype(np.int32)).max())
    return samples[loud[0] : loud[-1] + 1]


def _cut(client: httpx2.Client, name: str, sound: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Make a voice of the beginning, cut the whole, and return the job at its end."""
    agreed = {
        "name": name,
        "language": "en",
        "statement": "It is a voice of this server.",
        "uses": ["training"],
    }
    consent = client.post("/v1/audio/voice_consents", json=agreed).raise_for_status().json()["id"]
    sent = {
        "name": f"Reader {time.time():.0f}",
        "consent": consent,
        "language": "en",
        "ref_text": "It reads.",
    }
    first = sound[: 20 * RATE_HZ].tobytes()
    files = {"audio_sample": ("a.wav", wav_header(len(first) // 2) + first)}
    voice = client.post("/v1/audio/voices", data=sent, files=files).raise_for_status().json()["id"]
    path = f"/v1/audio/voices/{voice}/samples?cut=true"
    job = client.post(path, files={"file": ("a.ogg", _opus(sound))}).raise_for_status().json()
    while job["ended"] is None:
        time.sleep(2.0)
        job = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    assert job["status"] == "done", job
    found: dict[str, Any] = job
    return found


def _opus(sound: np.ndarray[Any, Any]) -> bytes:
    to = io.BytesIO()
    with av.open(to, "w", format="ogg") as file:
        stream = file.add_stream("libopus", rate=RATE_HZ)
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(sound[None, :], format="s16", layout="mono")
        frame.rate = RATE_HZ
        resampler = av.AudioResampler("flt", "mono", RATE_HZ, frame_size=480)
        for each in (*resampler.resample(frame), *resampler.resample(None), None):
            file.mux(stream.encode(each))
    return to.getvalue()


def _overlap(piece: dict[str, Any], said: _Said) -> float:
    return float(max(0.0, min(piece["end_s"], said.end_s) - max(piece["start_s"], said.start_s)))


def _words(kept: list[dict[str, Any]], said: list[_Said]) -> tuple[int, int]:
    """Return how many words of kept pieces are wrong: inserted, changed, or missing between two of them. What
    sounds the same, as a number in digits, is right."""
    wrong = count = 0
    for run in _runs(kept, said):
        whole = {"start_s": run[0]["start_s"], "end_s": run[-1]["end_s"]}
        known = " ".join(each.text for each in said if _overlap(whole, each))
        heard = " ".join(piece["text"] for piece in run)
        runs = compare(known, heard, "en").runs
        wrong += sum(max(len(each.wanted), len(each.transcribed)) for each in runs)
        count += len(words_of(known).tokens)
    return wrong, count


def _runs(kept: list[dict[str, Any]], said: list[_Said]) -> list[list[dict[str, Any]]]:
    """Return the pieces that share a sentence, in order."""
    runs: list[list[dict[str, Any]]] = []
    for piece in sorted(kept, key=lambda each: each["start_s"]):
        shared = runs and any(_overlap(runs[-1][-1], each) and _overlap(piece, each) for each in said)
        if shared:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _is_loud(sound: np.ndarray[Any, Any], at_s: float) -> bool:
    if at_s + _BORDER_S > len(sound) / RATE_HZ:
        return False  # the recording itself ends there
    around = sound[max(0, round((at_s - _BORDER_S) * RATE_HZ)) : round((at_s + _BORDER_S) * RATE_HZ)]
    level = np.sqrt(np.mean(np.square(around.astype(np.float64)))) if len(around) else 0.0
    return bool(
        20 * np.log10(max(level, 1.0) / 32768) > 20 * np.log10(np.abs(sound).max() / 32768) + QUIET_DB
    )


if __name__ == "__main__":
    main()
