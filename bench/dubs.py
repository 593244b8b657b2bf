"""Books and dubs by real voices: `python -m bench.dubs [credits] [fit] [words]`.

`credits`: what a preview expects of two minutes of text in six languages, and what is charged, before and
after the server knows the voice's pace. `fit`: sixty subtitles, six languages with ten timings, planned by
the lengths of lines that were spoken, beside two ways of other tools. `words`: what Whisper hears wrong of
six dubs, as spoken and after fitting.
"""

from __future__ import annotations

import io
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import httpx2
import numpy as np
from numpy.typing import NDArray

from bench.sentences import sentences
from proxy.features.dubs.fitting import fit_lines
from proxy.features.dubs.line_values import USUAL_PACE, Fit, FitRules, Lines, fitted_length
from proxy.features.dubs.mixing import sound_bounds
from speech_engine.text.said import words_of
from tests.heard.judge import OTHERS, SENTENCES, edits, transcript
from tests.heard.natural import EARS, ESPEAK, JOE, speaking
from tests.server import Server
from tests.sound import Heard

VOICES = {"en": "piper/joe", "es": "espeak/david", "fr": "espeak/david", "it": "espeak/david"}
VOICES |= {"pt-BR": "espeak/david", "hi": "espeak/david"}
CUES, TIMINGS, RATE_HZ = 40, 10, 24_000
DUBS = 3
_CROWDED = 20.0
"""Characters a second: more than the voices speak, so that most lines must be faster."""
_PLANS = """
[plans.metered]
allowance = 1000000
streams = 2
prices.speech = { credits = 1, per = "second" }
"""
_ENDS = {"done", "failed", "canceled", "expired"}


def texts(tag: str, count: int, seed: int = 0) -> list[str]:
    """Return sentences in a random order, as they come from a film: short and long ones."""
    known = [*SENTENCES, *OTHERS] if tag == "en" else sentences(tag)
    dice = random.Random(seed)
    return [dice.choice(known) for _ in range(count)]


class Desk:
    """A client of a server, whose account pays for each second."""

    def __init__(self, live: Server) -> None:
        self._client = live.client(live.mint_key("bench", plan="metered").secret, timeout=120.0)

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def done(self, body: dict[str, Any]) -> dict[str, Any]:
        """Make a job, and return it when it is done."""
        id_ = self.ask("/v1/jobs", body)["id"]
        while (job := self._client.get(f"/v1/jobs/{id_}").json())["status"] not in _ENDS:
            time.sleep(0.2)
        assert job["status"] == "done", job
        return dict(job)

    def file(self, data: bytes) -> str:
        form = {"data": {"purpose": "user_data"}, "files": {"file": ("a.srt", data)}}
        answer = self._client.post("/v1/files", **form)  # type: ignore[arg-type]
        return str(answer.raise_for_status().json()["id"])

    def content(self, path: str) -> httpx2.Response:
        return self._client.get(path).raise_for_status()


def asked(tag: str) -> dict[str, Any]:
    voice = VOICES[tag]
    return {"model": voice.partition("/")[0] + "/standard", "voice": voice, "language": tag}


def credits_of(desk: Desk) -> None:
    print("|language|voice|expected|charged|off|at most|with the pace known|charged|off|\n" + "|-" * 9 + "|")
    for tag in VOICES:
        cells = list[str]()
        for seed in (1, 2):
            text = "\n\n".join(" ".join(texts(tag, 6, 10 * seed + part)) for part in range(6))
            body = {**asked(tag), "input": text, "response_format": "pcm", "cache": False}
            expected = desk.ask("/v1/jobs/preview", body)
            done = desk.done(body)
            assert done["credits"] <= expected["most_credits"], "the most is passed"
            off = 100 * (expected["credits"] / done["credits"] - 1)
            cells += [f"{expected['credits']:.1f}", f"{done['credits']:.1f}", f"{off:+.1f} %"]
            cells += [f"{expected['most_credits']:.1f}"] if seed == 1 else []
        print(f"|{tag}|{VOICES[tag]}|{'|'.join(cells)}|", flush=True)


def timed(lines: Sequence[str], seed: int, a_second: float = 15.5) -> list[tuple[int, int]]:
    """Return times in milliseconds, as broadcasters set them for so many characters a second."""
    dice, at, cues = random.Random(seed), 1000, list[tuple[int, int]]()
    for line in lines:
        takes = round(min(7000, max(830, 1000 * len(line) / max(9.0, dice.gauss(a_second, 2.6)))))
        cues.append((at, at + takes))
        at += takes + (83 if dice.random() < 0.55 else dice.randrange(200, 3000))
    return cues


def squeezed(lines: Lines) -> Fit:
    """Begin each line at its time, as fast as it must be to end before the next one, as desktop tools do."""
    times = zip(lines.lengths, lines.starts, [*lines.starts[1:], lines.ends[-1]], strict=True)
    found = [max(1.0, length / (then - start)) for length, start, then in times]
    return Fit([*lines.starts], found, dict.fromkeys(lines.speakers, 1.0))


def greedy(lines: Lines) -> Fit:
    """Begin each line once the one before has ended, as fast as our dubs may be and it must be."""
    starts, found, free_at = list[int](), list[float](), 0
    times = zip(lines.lengths, lines.starts, [*lines.starts[1:], lines.ends[-1]], strict=True)
    for length, start, then in times:
        starts.append(max(start, free_at))
        found.append(min(USUAL_PACE, max(1.0, length / max(1, then - starts[-1]))))
        free_at = starts[-1] + fitted_length(length, found[-1])
    return Fit(starts, found, dict.fromkeys(lines.speakers, 1.0))


WAYS: dict[str, Callable[[Lines], Fit]] = {
    "ours": lambda lines: fit_lines(lines, FitRules()),
    "greedy": greedy,
    "squeezed": squeezed,
}


class Judged(NamedTuple):
    """What is wrong with a plan: overlaps, late lines, jumps of the pace; and its extremes."""

    overlaps: int
    late: int
    jumps: int
    worst_ms: float
    highest: float


def judged(lines: Lines, made: Fit) -> Judged:
    shifts = [made.starts[n] - start for n, start in enumerate(lines.starts)]
    stops = [s + fitted_length(n, p) for s, n, p in zip(made.starts, lines.lengths, made.paces, strict=True)]
    own = [p / made.of_speakers[who] for p, who in zip(made.paces, lines.speakers, strict=True)]
    near = [b - a < 0.7 * RATE_HZ for a, b in zip(stops, made.starts[1:], strict=False)]
    return Judged(
        # A sample is what rounding a length may cost.
        sum(b < a - 1 for a, b in zip(stops, made.starts[1:], strict=False)),
        sum(shift > 0.2 * RATE_HZ for shift in shifts),
        sum(n and abs(a - b) > 0.1 for n, (a, b) in zip(near, pairwise(own), strict=True)),
        max(shifts) * 1000 / RATE_HZ,
        max(made.paces),
    )


def fits(desk: Desk) -> None:
    print("|language|voice|lines|way|overlaps|late|worst, ms|jumps, most of a file|highest pace|")
    print("|-" * 9 + "|")
    for tag in VOICES:
        said = texts(tag, CUES, 5)
        body = {**asked(tag), "chapters": [{"title": str(n), "input": each} for n, each in enumerate(said)]}
        id_ = desk.done({**body, "response_format": "pcm"})["id"]
        lengths = list[int]()
        for step in range(1, CUES + 1):
            pcm = desk.content(f"/v1/jobs/{id_}/steps/{step}/content").content
            first, last = sound_bounds(pcm, RATE_HZ)
            lengths.append(last - first)
        files = list[Lines]()
        for seed in range(TIMINGS):
            starts, ends = zip(*timed(said, seed), strict=True)
            speakers = [random.Random(100 * seed + n).randrange(2) for n in range(CUES)]
            ms = RATE_HZ // 1000
            files.append(Lines([s * ms for s in starts], [e * ms for e in ends], lengths, speakers, RATE_HZ))
        for way, plan in WAYS.items():
            found = [judged(each, plan(each)) for each in files]
            overlaps, late, jumps = (sum(column) for column in [*zip(*found, strict=True)][:3])
            worst, highest = max(each.worst_ms for each in found), max(each.highest for each in found)
            row = (tag, VOICES[tag], CUES * TIMINGS, way, overlaps, late, round(worst))
            most = max(each.jumps for each in found)
            print("|" + "|".join(map(str, row)) + f"|{jumps}, {most}|{highest:.2f}|", flush=True)


def words(desk: Desk, live: Server) -> None:
    print("|language|voice|words|wrong as spoken|wrong after fitting|paces|late|\n" + "|-" * 7 + "|")
    for tag in ("es", "en"):
        for seed in range(DUBS):
            said = texts(tag, 15, 20 + seed)
            srt = "".join(
                f"{n}\n{_clock(start)} --> {_clock(end)}\n{line}\n\n"
                for n, (line, (start, end)) in enumerate(
                    zip(said, timed(said, seed, _CROWDED), strict=True), 1
                )
            )
            body = {
                "kind": "dub",
                "input_file_id": desk.file(srt.encode()),
                "results": ["speech"],
                **asked(tag),
            }
            count = sum(len(words_of(line).tokens) for line in said)
            wrong, report = list[int](), dict[str, Any]()
            # At pace 1 the lines are as they were spoken, and a long track cuts none.
            for more in ({"pace": 1.0, "length_s": 200}, {}):
                id_ = desk.done({**body, **more})["id"]
                report = desk.content(f"/v1/jobs/{id_}/content?file=report.json").json()
                sound = _sound(desk.content(f"/v1/jobs/{id_}/content?file=speech").content)
                begins = [each["start"] + each["shift"] for each in report["cues"]]
                judge = _Judge(live, tag, sound, begins)
                wrong.append(sum(map(judge.wrong, range(len(said)), begins, report["cues"], said)))
            paces = [each["pace"] for each in report["cues"]]
            print(
                f"|{tag}|{VOICES[tag]}|{count}|{wrong[0]}|{wrong[1]}|{min(paces):.2f} to {max(paces):.2f}"
                f"|{report['late']}|",
                flush=True,
            )


class _Judge:
    def __init__(self, live: Server, tag: str, sound: NDArray[np.float32], begins: Sequence[float]) -> None:
        self._live, self._tag, self._sound = live, tag, sound
        self._ends = [*begins[1:], len(sound) / RATE_HZ]

    def wrong(self, number: int, begin: float, cue: dict[str, Any], line: str) -> int:
        # The silent ends of a clip are cut, so the next line may begin before its length has passed.
        end = min(begin + cue["spoken"] / cue["pace"], self._ends[number])
        part = self._sound[round(begin * RATE_HZ) : round(end * RATE_HZ)]
        quiet = np.zeros(RATE_HZ // 4, np.float32)
        heard = Heard(np.concatenate((quiet, part, quiet)), RATE_HZ)
        found = transcript(self._live, heard, self._tag)
        return edits(words_of(line).tokens, words_of(found).tokens)


def _sound(flac: bytes) -> NDArray[np.float32]:
    with av.open(io.BytesIO(flac), "r") as container:
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.asarray(np.concatenate(parts).astype(np.float32) / np.float32(32768))


def _clock(ms: int) -> str:
    return f"00:{ms // 60_000:02}:{ms // 1000 % 60:02},{ms % 1000:03}"


def main() -> None:
    wanted = set(sys.argv[1:]) or {"credits", "fit", "words"}
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    speakers = (JOE, ESPEAK, EARS) if "words" in wanted else (JOE, ESPEAK)
    with tempfile.TemporaryDirectory() as folder, speaking(Path(folder), *speakers, plans=_PLANS) as live:
        desk = Desk(live)
        for name, run in (("credits", credits_of), ("fit", fits), ("words", lambda it: words(it, live))):
            if name in wanted:
                run(desk)
                print(flush=True)


if __name__ == "__main__":
    main()
