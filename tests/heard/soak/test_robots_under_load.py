"""The shipped configuration on a busy machine: no robot speaks, and a voice that stands in is told."""

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import numpy as np

from plugins.openai.lists import BUILT_IN
from tests.heard.natural import shipped
from tests.server import Server

REQUESTS, AT_ONCE, LOAD = 200, 6, 8
VOICES = BUILT_IN
TEXTS = ("Hello there, this is a short sentence.", "The ferry leaves from the northern pier at noon.")
ROBOT = "espeak/standard"
LEAST_ALIKE = 0.4


class Asked(NamedTuple):
    voice: str
    text: str


class Told(NamedTuple):
    """What an answer says of itself, and whether its sound is espeak's."""

    request: str
    voice: str
    status: int
    engine: str
    substitute: str
    is_robot: bool


@contextmanager
def load() -> Iterator[None]:
    """Eight processes that leave the processor no moment."""
    with ExitStack() as stack:
        for _ in range(LOAD):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)
        yield


def speech(client: httpx2.Client, asked: Asked, model: str) -> httpx2.Response:
    body = {"model": model, "voice": asked.voice, "input": asked.text, "response_format": "pcm"}
    return client.post("/v1/audio/speech", json=body)


def alike(one: bytes, other: bytes) -> float:
    """How well two sounds match where they match best. Of espeak's two it is 0.7 and more, of others 0.1."""
    a, b = (np.frombuffer(each, "<i2").astype(float) for each in (one, other))
    size = len(a) + len(b)
    match = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size).max()
    return float(match / np.sqrt((a**2).sum() * (b**2).sum()))


def usage(live: Server) -> dict[str, tuple[str, str]]:
    """Engine and substitute of each request."""
    rows: dict[str, tuple[str, str]] = {}
    after = ""
    with live.client() as client:
        while True:
            page = client.get(f"/v1/usage?limit=1000{after}").json()
            rows |= {row["id"]: (row["engine"], row["substitute"]) for row in page["data"]}
            if not page["has_more"]:
                return rows
            after = f"&after={page['last_id']}"


def test_every_answers_header_is_what_spoke(tmp_path: Path) -> None:
    every = [Asked(voice, text) for voice in VOICES for text in TEXTS]
    with shipped(tmp_path) as live, live.client(timeout=60.0) as client:
        espeaks = {asked: speech(client, asked, ROBOT).content for asked in every}
        assert len(set(espeaks.values())) == len(every)

        def ask(asked: Asked) -> Told:
            answer = speech(client, asked, "tts-1")
            told = answer.headers.get
            return Told(
                told("x-request-id", ""),
                asked.voice,
                answer.status_code,
                told("x-voxgate-engine", ""),
                told("x-voxgate-substitute", ""),
                answer.status_code == 200 and alike(answer.content, espeaks[asked]) > LEAST_ALIKE,
            )

        # The first ones come while the natural engines still load.
        with load(), ThreadPoolExecutor(AT_ONCE) as threads:
            answers = list(threads.map(ask, itertools.islice(itertools.cycle(every), REQUESTS)))
        rows = usage(live)
    print(Counter((each.status, each.engine, bool(each.substitute)) for each in answers))
    spoken = [each for each in answers if each.status == 200]
    assert {each.status for each in answers} <= {200, 503}
    assert len(spoken) > REQUESTS / 2
    for each in spoken:
        assert not each.is_robot
        stands_in = each.engine == "hibari/standard" and each.voice != "coral"
        assert each.substitute == ("hibari/heart" if stands_in else "")
        assert rows[each.request] == (each.engine.partition("/")[0], each.substitute)
