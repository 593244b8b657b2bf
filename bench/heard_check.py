"""What the check of speech is worth: `python -m bench.heard_check URL KEY [RIGHT [FAULTS [SEED [FOLDER]]]]`.

A server with Kokoro, Piper's joe and a model that hears speaks RIGHT sentences of seven kinds in five
languages, of those that the ears know well, and FAULTS with one fault each; joe, who is quick, most of those
in English. Each is spoken whole, as a checked part is, and heard once. Wrong ones are only counted where
`heard/check.py` has an empty `OFTEN_CALLED_WRONG`; their sounds go to FOLDER, for `bench.heard_judge`. Faults
come from an engine that damages texts, by these lines:

    [engines.damaging]
    plugin = "openai"
    base_url = "http://127.0.0.1:18177/v1"
    models = ["kokoro", "joe"]
    voices = ["alloy", "nova", "onyx"]
    languages = ["en", "es", "fr", "it", "pt-BR"]
    is_local = true
    billed_on_submit = false
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from bench.ears import LANGUAGES
from bench.heard_sentences import FRAMED, KINDS, sentence, words

PORT = 18177
SPEAKERS = {"kokoro": "kokoro/standard", "joe": "piper/standard"}
VOICES: Mapping[str, Sequence[str]] = {
    language: ("alloy", "nova", "onyx") if language == "en" else LANGUAGES[language] for language in FRAMED
}
FAULTS = ("drop", "swap", "double", "double little", "repeat", "cut", "add")
RESULTS = ("right", "unsure", "wrong", "unchecked")
TURNS = 15
"""In so many turns of all kinds Kokoro speaks each language once, and joe the rest."""
AT_ONCE, _LITTLE, _MOST_SHOWN, _BUSY_S = 2, 3, 60, 2.0


class Asked(NamedTuple):
    speaker: str
    voice: str
    language: str
    kind: str
    text: str


class Table:
    """Counts results by the names of rows."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: dict[str, Counter[str]] = {}

    def note(self, result: str, *names: str) -> None:
        for name in (*names, "all"):
            self._rows.setdefault(name, Counter())[result] += 1

    def print(self) -> None:
        print(f"\n|{self._title}|sentences|{'|'.join(RESULTS)}|wrong %|unsure %|\n|{'-|' * 8}")
        for name, row in sorted(self._rows.items()):
            heard = sum(row.values()) - row["unchecked"]
            shares = [f"{100 * row[result] / heard:.1f}" if heard else "" for result in ("wrong", "unsure")]
            counts = [str(row[each]) for each in RESULTS]
            print(f"|{name}|{sum(row.values())}|{'|'.join(counts)}|{'|'.join(shares)}|")


def damaged(text: str, fault: str, language: str, chance: random.Random) -> str | None:
    """Return a text with one fault, or None if it has no place for it. Its last word keeps its mark."""
    said = text.split()
    places = [n for n, word in enumerate(said[1:-1], 1) if word.isalpha()]
    if fault.startswith("double"):
        is_little = fault != "double"
        places = [n for n in places if (len(said[n]) <= _LITTLE) == is_little]
    if not places or len(said) < 6:
        return None
    at, other = chance.choice(places), chance.choice(words(language))
    if other.lower() == said[at].lower():
        return None
    damages: dict[str, Callable[[], list[str]]] = {
        "drop": lambda: said[:at] + said[at + 1 :],
        "swap": lambda: [*said[:at], other, *said[at + 1 :]],
        "double": lambda: [*said[: at + 1], *said[at:]],
        "double little": lambda: [*said[: at + 1], *said[at:]],
        "repeat": lambda: [*said[: at + 1], *said[max(0, at - 2) :]],
        "cut": lambda: said[: -max(2, len(said) // 4)],
        "add": lambda: [*said[:at], other, *said[at:]],
    }
    return " ".join(damages[fault]())


class Bench:
    def __init__(self, url: str, key: str, seed: int, folder: Path | None = None) -> None:
        self._client = httpx2.Client(
            base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=300.0, trust_env=False
        )
        self._chance = random.Random(seed)
        self._damages: dict[str, str] = {}
        self._folder = folder
        self.shown: list[str] = []
        self.languages = [*VOICES]

    def leave_out_languages(self) -> None:
        """Leave out the languages that the server does not check, and print them."""
        for language in VOICES:
            text = sentence(language, "plain", self._chance)
            asked = Asked("kokoro", VOICES[language][0], language, "plain", text)
            _, answer = self._heard(asked, SPEAKERS["kokoro"])
            if answer["check"].get("why") == "language":
                print(f"{language}: not checked")
                self.languages.remove(language)

    def ask(self, number: int) -> Asked:
        kind, turn = KINDS[number % len(KINDS)], number // len(KINDS) % TURNS
        language = self.languages[turn] if turn < len(self.languages) else "en"
        speaker = "kokoro" if turn < len(self.languages) else "joe"
        voice = self._chance.choice(VOICES[language])
        return Asked(speaker, voice, language, kind, sentence(language, kind, self._chance))

    def right(self, asked: Asked, table: Table) -> None:
        result, answer = self._heard(asked, SPEAKERS[asked.speaker])
        table.note(
            result, f"{asked.speaker} {asked.kind}", f"{asked.speaker} {asked.language}", asked.speaker
        )
        if result == "wrong" and len(self.shown) < _MOST_SHOWN:
            wrong = answer["check"]["wrong"]
            found = "; ".join(f"{each['wanted']!r} as {each['heard']!r}" for each in wrong)
            if self._folder is not None:
                self._keep(
                    self._folder / f"{len(self.shown)}.wav", answer, {**asked._asdict(), "wrong": wrong}
                )
            self.shown.append(f"- {asked.speaker}, {asked.voice}: {asked.text} ({found})")

    def _keep(self, file: Path, answer: Mapping[str, Any], facts: dict[str, Any]) -> None:
        file.write_bytes(base64.b64decode(answer["audio_base64"]))
        file.with_suffix(".json").write_text(json.dumps(facts))

    def damage(self, number: int) -> tuple[str, Asked]:
        fault, asked, text = FAULTS[number % len(FAULTS)], self.ask(number // len(FAULTS)), None
        while text is None:
            asked = asked._replace(text=sentence(asked.language, asked.kind, self._chance))
            text = damaged(asked.text, fault, asked.language, self._chance)
        self._damages[asked.text] = text
        return fault, asked

    def fault(self, made: tuple[str, Asked], table: Table) -> None:
        fault, asked = made
        result, _ = self._heard(asked, f"damaging/{asked.speaker}")
        table.note(result, fault, *(() if fault.startswith("double") else ("all but doubled",)))

    def _heard(self, asked: Asked, model: str) -> tuple[str, dict[str, Any]]:
        body = {"model": model, "voice": asked.voice, "language": asked.language, "input": asked.text}
        options = {"response_format": "json", "audio_format": "wav", "check": "behind"}
        while (answer := self._client.post("/v1/audio/speech", json={**body, **options})).status_code == 503:
            time.sleep(_BUSY_S)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        check = found["check"]
        if not check["checked_s"]:
            return "unchecked", found
        return ("wrong" if "wrong" in check else "unsure" if "unsure" in check else "right"), found

    def damage_at(self, port: int) -> ThreadingHTTPServer:
        """Open a server of OpenAI's speech API that says a damaged text."""
        bench = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                text = bench._damages.get(body["input"], body["input"])
                said = {
                    "model": SPEAKERS[body["model"]],
                    "voice": body["voice"],
                    "input": text,
                    "check": "off",
                }
                answer = bench._client.post("/v1/audio/speech", json={**said, "response_format": "pcm"})
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is logged."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


def main() -> None:
    url, key, *more = sys.argv[1:]
    rights, faults, seed = (*map(int, more[:3]), *(3000, 3000, 1)[len(more[:3]) :])
    folder = Path(more[3]) if more[3:] else None
    when, load = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", f"load {os.getloadavg()[0]:.1f}"
    print(f"{when}, {os.cpu_count()} cores, {load}, {seed=}")
    bench, right, wrong = Bench(url, key, seed, folder), Table("right sentences"), Table("one fault each")
    server = bench.damage_at(PORT)
    bench.leave_out_languages()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        deque(pool.map(lambda asked: bench.right(asked, right), [bench.ask(n) for n in range(rights)]), 0)
    right.print()
    print("\nCalled wrong:", *bench.shown, sep="\n", flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        deque(pool.map(lambda each: bench.fault(each, wrong), [bench.damage(n) for n in range(faults)]), 0)
    wrong.print()
    server.shutdown()


if __name__ == "__main__":
    main()
