"""One sentence in twenty is said wrong, beside a good model: `python -m bench.heard_faults [ANSWERS]`.

Both models speak in tones, and the ears of tones hear them, so a client reads each word that it gets. Four
clients stream three sentences, by turns unchecked, `behind` and `heard`, and play what comes. A line for
each has the wrong words that were heard in a thousand, the first sound, the sentence and the hearing that it
waited for, the listeners who ran dry, and what was free.
"""

from __future__ import annotations

import difflib
import os
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx2
import numpy as np

from bench.heard_sentences import sentence
from proxy.features.heard.free_room import ALWAYS_FREE_S, FREE_SHARE
from proxy.storage.usage import CheckSums
from tests.faults import damaging_plugin
from tests.faults.books import books
from tests.server import Server, running
from tests.tones import words

CLIENTS, SENTENCES, RATE, RATE_HZ, PACE = 4, 3, 0.05, 24_000, 0.02
WAYS = ("off", "behind", "heard")
CONFIG = f"""
[server]
default_model = "both"
[engines.damaging]
rate = {RATE}
pace = {PACE}
[engines.tone]
hears = true
pace = {PACE}
[models]
both = ["damaging/m", "tone/standard"]
[voices.ana]
damaging = "v"
tone = "tone"
[plans.metered]
allowance = 10000000
prices.speech = {{ credits = 1, per = "second" }}
"""


class Answer(NamedTuple):
    way: str
    first_s: float
    dry_s: float
    words: int
    wrong: int


def listen(client: httpx2.Client, number: int, way: str) -> Answer:
    """Stream an answer, and play it as it comes."""
    chance = random.Random(number)
    text = " ".join(sentence("en", "plain", chance) for _ in range(SENTENCES))
    body = {"model": "both", "voice": "ana", "language": "en", "input": text, "response_format": "pcm"}
    began, pcm, first_at, dry_s = time.monotonic(), b"", 0.0, 0.0
    options = {"check": way, "seed": number}
    with client.stream("POST", "/v1/audio/speech", json={**body, **options}) as answer:
        answer.raise_for_status()
        for piece in answer.iter_raw():
            now = time.monotonic()
            first_at = first_at or now
            dry_s = max(dry_s, now - first_at - len(pcm) / 2 / RATE_HZ)
            pcm += piece
    heard = words(np.frombuffer(pcm, np.int16).astype(np.float32) / 32_768, RATE_HZ)
    said = " ".join(heard or ()).split()
    blocks = difflib.SequenceMatcher(None, wanted := text.split(), said, autojunk=False).get_matching_blocks()
    same = sum(block.size for block in blocks)
    return Answer(way, first_at - began, dry_s, len(wanted), max(len(wanted), len(said)) - same)


def run(server: Server, answers: int) -> list[Answer]:
    key = server.mint_key("ada", plan="metered").secret
    with server.client(key, timeout=120.0) as client, ThreadPoolExecutor(CLIENTS) as pool:
        asked = [(number, way) for number in range(answers) for way in WAYS]
        return list(pool.map(lambda each: listen(client, *each), asked))


def show(found: list[Answer]) -> None:
    print("|check|answers|wrong words of 1,000|first sound p50, p95|ran dry|")
    for way in WAYS:
        rows = [each for each in found if each.way == way]
        wrong = 1000 * sum(each.wrong for each in rows) / sum(each.words for each in rows)
        firsts = statistics.quantiles([each.first_s for each in rows], n=20)
        dry = sum(each.dry_s > 0.05 for each in rows)
        print(f"|{way}|{len(rows)}|{wrong:.2f}|{firsts[9]:.3f}, {firsts[18]:.3f} s|{dry}|")


def main() -> None:
    answers = int(sys.argv[1]) if sys.argv[1:] else 1000
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        (folder := Path(name) / "plugin").mkdir()
        with running(Path(name), CONFIG, environ=damaging_plugin.environ(folder)) as server:
            show(run(server, answers))
        found = books("sqlite", Path(name) / "data")
    sums = [each for row in found.rows.values() if (each := CheckSums.of_column(row.checked))]
    total = {name: sum(getattr(each, name) for each in sums) for name in CheckSums.__struct_fields__}
    most_s = ALWAYS_FREE_S + FREE_SHARE * (total["checked_s"] - total["free_s"])
    print(
        f"{total['checked_s']:.0f} s checked, {total['unchecked_s']:.0f} s not, {total['again']} sentences "
        f"said again, {total['wrong']} places wrong, {total['free_s']:.1f} s free of {most_s:.1f}; "
        f"the books are {'right' if found.verdict.is_clean else 'WRONG'}"
    )


if __name__ == "__main__":
    main()
