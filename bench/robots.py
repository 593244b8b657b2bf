"""What a busy machine speaks with: `python -m bench.robots URL KEY [REQUESTS [TAG…]]`.

REQUESTS sentences of each language are asked for by OpenAI's names in turn, some at once, of a server as
shipped. A client that gets a 503 comes back when its `Retry-After` is over. It prints who spoke, whether each
substitute was announced, how soon the others got a 503, and how many were spoken when they came back.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import cycle, islice, pairwise
from statistics import quantiles
from typing import NamedTuple

import httpx2

from bench.sentences import sentences
from proxy.config.config_toml import known_names
from tests.heard.judge import OTHERS, SENTENCES

AT_ONCE = {"en": 6}
_MOST_AT_ONCE = 16
_MOST_TRIES = 6
_LONGEST_S = 60.0
"""The longest `Retry-After`: a longer wait is told in parts."""
_SAME = "coral"
"""The name whose speaker hibari is."""


class Told(NamedTuple):
    text: str
    voice: str
    status: int
    engine: str
    substitute: str
    seconds: float
    retry_after: str
    code: str


def main() -> None:
    url, key, *more = sys.argv[1:]
    count, tags = int((more or ["200"])[0]), more[1:] or ["en", "es", "fr"]
    client = httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=120.0)
    for tag in tags:
        texts = [*SENTENCES, *OTHERS] if tag == "en" else sentences(tag)
        asked = list(islice(zip(cycle(texts), cycle(known_names()), strict=False), count))
        load = os.getloadavg()[0]
        with ThreadPoolExecutor(AT_ONCE.get(tag, _MOST_AT_ONCE)) as pool:
            tries = list(pool.map(lambda one, tag=tag: _tries(client, tag, *one), asked))
        loads = f"load {load:.1f} to {os.getloadavg()[0]:.1f}"
        print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {loads}: {tag}, {count}")
        _print([answer for each in tries for answer in each])
        _print_returns(tries)


def _tries(client: httpx2.Client, tag: str, text: str, voice: str) -> list[Told]:
    answers = [_told(client, tag, text, voice)]
    while (after := answers[-1].retry_after) and len(answers) < _MOST_TRIES:
        time.sleep(float(after))
        answers.append(_told(client, tag, text, voice))
    return answers


def _told(client: httpx2.Client, tag: str, text: str, voice: str) -> Told:
    body = {"model": "tts-1", "voice": voice, "language": tag, "input": text, "response_format": "pcm"}
    began = time.monotonic()
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        status, told = answer.status_code, answer.headers.get
        first_s = time.monotonic() - began  # the headers wait for the first sound
        body_read = answer.read()
    code = "" if status == 200 else str(json.loads(body_read)["error"]["code"])
    engine, substitute = told("x-voxgate-engine", ""), told("x-voxgate-substitute", "")
    return Told(text, voice, status, engine, substitute, first_s, told("retry-after", ""), code)


def _print(answers: Sequence[Told]) -> None:
    spoken = [each for each in answers if each.status == 200]
    stood_in = [each for each in spoken if each.engine.startswith("hibari") and each.voice != _SAME]
    print(f"by {dict(Counter(each.engine for each in spoken))}, {_times(spoken)} to the first sound")
    announced = sum(bool(each.substitute) for each in stood_in)
    robots = sum("espeak" in each.engine for each in spoken)
    print(f"robots {robots}, stood in {len(stood_in)}, told {announced}")
    refused = [each for each in answers if each.status != 200]
    print(f"others {dict(Counter(each.status for each in refused))}, {_times(refused)} to the answer")
    waits = sorted(float(each.retry_after) for each in refused if each.retry_after)
    print(f"Retry-After {waits[:1]} to {waits[-1:]} s in {len(waits)} of {len(refused)}")


def _print_returns(tries: Sequence[Sequence[Told]]) -> None:
    refused = [each for each in tries if each[0].status != 200]
    print(f"first tries: {len(refused)} of {len(tries)} a 503")
    for number in range(2, _MOST_TRIES + 1):
        back = [each for each in refused if len(each) >= number]
        spoken = sum(each[number - 1].status == 200 for each in back)
        if back:
            print(f"try {number}: {spoken} of {len(back)} were spoken when they came back")
    later = [pair for each in tries for pair in pairwise(each)]
    for at_most in (False, True):
        returned = [after for before, after in later if (float(before.retry_after) == _LONGEST_S) == at_most]
        spoken = sum(each.status == 200 for each in returned)
        print(f"told {'60 s' if at_most else 'less than 60 s'}: {spoken} of {len(returned)} were spoken")
    print(f"told by {dict(Counter(before.code for before, _ in later))}", flush=True)


def _times(answers: Sequence[Told]) -> str:
    times = sorted(each.seconds for each in answers)
    if len(times) < 2:
        return f"{times} s"
    hundredths = quantiles(times, n=100, method="inclusive")
    return f"p50 {hundredths[49]:.1f}, p95 {hundredths[94]:.1f}, most {times[-1]:.1f} s"


if __name__ == "__main__":
    main()
